//! The one writer of a child's standard input.
//!
//! Invariants:
//! - Only whole lines are written, one after the other, in the order they entered the queue.
//! - The queue is bounded. Who sends a request waits for room for as long as the request may take; what must not wait
//!   (a cancellation, an answer to the server) waits in a task of its own, and there are only so many of these.

use std::sync::Arc;

use tokio::io::{AsyncWrite, AsyncWriteExt as _, BufWriter};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::protocol::Json;

/// Enough that a server which is busy for a moment holds nobody up; a message has up to 16 MiB, so not more.
const QUEUE: usize = 32;
/// Answers that wait for a server that does not read. A server that asks more than this and reads none of the
/// answers waits for nothing.
const WAITING_REPLIES: usize = 64;
/// As much as a pipe holds on Linux.
const BUFFER: usize = 64 * 1024;

/// Where lines for the child are put.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    lines: mpsc::Sender<Json>,
    replies: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// The child takes no more lines.
#[derive(Debug)]
pub(super) struct Closed;

impl Outbox {
    /// A queue, and the end that is written out.
    pub(super) fn new(tasks: TaskTracker) -> (Self, mpsc::Receiver<Json>) {
        let (lines, queue) = mpsc::channel(QUEUE);
        let outbox = Self {
            lines,
            replies: Arc::new(Semaphore::new(WAITING_REPLIES)),
            tasks,
        };
        (outbox, queue)
    }

    /// Waits for room for one line.
    pub(super) async fn room(&self) -> Result<mpsc::Permit<'_, Json>, Closed> {
        self.lines.reserve().await.map_err(|_| Closed)
    }

    /// Sends a line that must arrive, without waiting: its sender may be a destructor. Lines that find no room are as
    /// many as the requests they belong to, and those waited for theirs.
    pub(super) fn post(&self, line: Json) {
        if let Err(mpsc::error::TrySendError::Full(line)) = self.lines.try_send(line) {
            self.later(line, None);
        }
    }

    /// Sends an answer to the server, without waiting; `false` if too many are waiting already.
    pub(super) fn reply(&self, line: Json) -> bool {
        if let Err(mpsc::error::TrySendError::Full(line)) = self.lines.try_send(line) {
            let Ok(place) = Arc::clone(&self.replies).try_acquire_owned() else {
                return false;
            };
            self.later(line, Some(place));
        }
        true
    }

    fn later(&self, line: Json, place: Option<tokio::sync::OwnedSemaphorePermit>) {
        // A runtime that is being torn down has no tasks any more, and the child goes with it.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let lines = self.lines.clone();
        self.tasks.spawn_on(
            async move {
                // The child is gone: there is nobody left to tell.
                lines.send(line).await.ok();
                drop(place);
            },
            &runtime,
        );
    }
}

/// Writes until the pipe breaks, or until `closing` and what was sent before it is written.
pub(super) async fn write(
    stdin: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Json>,
    closing: CancellationToken,
) {
    let mut stdin = BufWriter::with_capacity(BUFFER, stdin);
    loop {
        let line = tokio::select! {
            biased;
            () = closing.cancelled(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
            line = queue.recv() => line,
        };
        let Some(line) = line else {
            return;
        };
        if write_line(&mut stdin, &line, queue.is_empty())
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn write_line(
    stdin: &mut BufWriter<impl AsyncWrite + Unpin>,
    line: &Json,
    last: bool,
) -> std::io::Result<()> {
    stdin.write_all(line.bytes()).await?;
    stdin.write_all(b"\n").await?;
    if last {
        stdin.flush().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_was_sent_before_the_end_is_written() {
        let tasks = TaskTracker::new();
        let (outbox, queue) = Outbox::new(tasks.clone());
        let (ours, mut theirs) = tokio::io::duplex(4);
        let closing = CancellationToken::new();
        for n in 0..QUEUE + 3 {
            outbox.post(Json::of(&n));
        }
        assert!(outbox.reply(Json::string("answer")));
        tasks.spawn(write(ours, queue, closing.clone()));
        let mut text = String::new();
        let mut expected = (0..QUEUE + 3).fold(String::new(), |text, n| format!("{text}{n}\n"));
        expected.push_str("\"answer\"\n");
        let mut piece = [0; 4];
        while text.len() < expected.len() {
            let read = theirs.read(&mut piece).await.unwrap();
            text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
        assert_eq!(text, expected);
        closing.cancel();
        assert_eq!(theirs.read(&mut piece).await.unwrap(), 0);
        assert!(outbox.room().await.is_err());
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn answers_to_a_server_that_does_not_read_are_bounded() {
        let (outbox, _queue) = Outbox::new(TaskTracker::new());
        let sent = (0..1000).filter(|_| outbox.reply(Json::of(&1))).count();
        assert_eq!(sent, QUEUE + WAITING_REPLIES);
    }
}
