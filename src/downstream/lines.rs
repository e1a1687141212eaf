//! Messages as lines: each ends with a line break and holds none.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::protocol::LONGEST_MESSAGE;

use super::intake::Running;

/// What was read.
pub(super) enum Line {
    /// A line without its end.
    Text(Bytes),
    /// One that is longer than a message may be.
    TooLong,
}

/// What is to be written.
pub(super) struct Out {
    pub(super) line: Bytes,
    /// The request that it answers, until it is written.
    pub(super) running: Option<Running>,
}

impl From<Bytes> for Out {
    fn from(line: Bytes) -> Self {
        Self {
            line,
            running: None,
        }
    }
}

/// Writes the lines of the queue until it ends or nobody reads any more.
pub(super) async fn write<W: AsyncWrite + Unpin>(mut queue: mpsc::Receiver<Out>, mut output: W) {
    while let Some(Out { line, running }) = queue.recv().await {
        let written = async {
            output.write_all(&line).await?;
            output.write_all(b"\n").await?;
            output.flush().await
        };
        if written.await.is_err() {
            return;
        }
        drop(running);
    }
}

/// The next line, `None` where the input has ended; one that is too long is read to its end without being kept.
pub(super) async fn next<R: AsyncBufRead + Unpin>(input: &mut R) -> std::io::Result<Option<Line>> {
    let (mut line, mut too_long) = (BytesMut::new(), false);
    loop {
        let chunk = input.fill_buf().await?;
        if chunk.is_empty() {
            return Ok((!line.is_empty()).then(|| Line::Text(line.freeze())));
        }
        let (part, used, ended) = match memchr::memchr(b'\n', chunk) {
            Some(end) => (chunk.get(..end).unwrap_or_default(), end + 1, true),
            None => (chunk, chunk.len(), false),
        };
        too_long |= line.len() + part.len() > LONGEST_MESSAGE;
        if !too_long {
            line.extend_from_slice(part);
        }
        input.consume(used);
        if ended {
            return Ok(Some(if too_long {
                Line::TooLong
            } else {
                Line::Text(line.freeze())
            }));
        }
        if too_long {
            line.clear();
        }
    }
}
