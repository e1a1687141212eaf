//! The one writer of a child's standard input.
//!
//! Invariant: only whole lines are written, one after the other, in the order they entered the queue.

use tokio::io::{AsyncWrite, AsyncWriteExt as _, BufWriter};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::protocol::Json;

/// As much as a pipe holds on Linux.
const BUFFER: usize = 64 * 1024;

/// Writes until the pipe breaks, or until `closing` and what was sent before it is written; then gives the pipe back.
pub(super) async fn write<W: AsyncWrite + Unpin>(
    stdin: W,
    mut queue: mpsc::Receiver<Json>,
    closing: CancellationToken,
) -> Option<W> {
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
            return Some(stdin.into_inner());
        };
        if write_line(&mut stdin, &line, queue.is_empty())
            .await
            .is_err()
        {
            return None;
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
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::upstream::duplex::{Outbox, QUEUE};

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
        let writing = write(ours, queue, closing.clone());
        tasks.spawn(async { drop(writing.await) });
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
}
