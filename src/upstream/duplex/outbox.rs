//! What waits to be sent to the other side.
//!
//! Invariant: the queue is bounded. Who sends a request waits for room for as long as the request may take; what must
//! not wait (a cancellation, an answer to the server) waits in a task of its own, and there are only so many of these.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use crate::protocol::Json;

/// Enough that a server which is busy for a moment holds nobody up; a message has up to 16 MiB, so not more.
pub(in crate::upstream) const QUEUE: usize = 32;
/// Answers that wait for a server that does not read. A server that asks more than this and reads none of the
/// answers waits for nothing.
const WAITING_REPLIES: usize = 64;
/// Where messages for the other side are put.
#[derive(Debug, Clone)]
pub(in crate::upstream) struct Outbox {
    lines: mpsc::Sender<Json>,
    replies: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// The other side takes no more.
#[derive(Debug)]
pub(in crate::upstream) struct Closed;

impl Outbox {
    /// A queue, and the end that is written out.
    pub(in crate::upstream) fn new(tasks: TaskTracker) -> (Self, mpsc::Receiver<Json>) {
        let (lines, queue) = mpsc::channel(QUEUE);
        let outbox = Self {
            lines,
            replies: Arc::new(Semaphore::new(WAITING_REPLIES)),
            tasks,
        };
        (outbox, queue)
    }

    /// Waits for room for one line.
    pub(in crate::upstream) async fn room(&self) -> Result<mpsc::Permit<'_, Json>, Closed> {
        self.lines.reserve().await.map_err(|_| Closed)
    }

    /// Sends a line that must arrive, without waiting: its sender may be a destructor. Lines that find no room are as
    /// many as the requests they belong to, and those waited for theirs.
    pub(in crate::upstream) fn post(&self, line: Json) {
        if let Err(mpsc::error::TrySendError::Full(line)) = self.lines.try_send(line) {
            self.later(line, None);
        }
    }

    /// Sends an answer to the server, without waiting; `false` if too many are waiting already.
    pub(in crate::upstream) fn reply(&self, line: Json) -> bool {
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
                // The other side is gone: there is nobody left to tell.
                lines.send(line).await.ok();
                drop(place);
            },
            &runtime,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_to_a_server_that_does_not_read_are_bounded() {
        let (outbox, _queue) = Outbox::new(TaskTracker::new());
        let sent = (0..1000).filter(|_| outbox.reply(Json::of(&1))).count();
        assert_eq!(sent, QUEUE + WAITING_REPLIES);
    }
}
