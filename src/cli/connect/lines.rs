//! Lines as they are read, each with its line break, so that they can be written as they are.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line with its line break; the last one gets it if it has none.
    Text(Bytes),
    /// One that is too long. It was read to its end and not kept.
    TooLong,
}

/// The lines of an input.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    longest: usize,
    line: BytesMut,
    too_long: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// Lines of at most `longest` bytes.
    pub(super) fn new(input: R, longest: usize) -> Self {
        Self {
            input,
            longest,
            line: BytesMut::new(),
            too_long: false,
        }
    }

    /// The next line; `None` at the end. Dropped in between, it loses nothing.
    pub(super) async fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            let chunk = self.input.fill_buf().await?;
            if chunk.is_empty() {
                if self.line.is_empty() && !self.too_long {
                    return Ok(None);
                }
                return Ok(Some(self.finish()));
            }
            let (part, used, ended) = match memchr::memchr(b'\n', chunk) {
                Some(end) => (chunk.get(..end).unwrap_or_default(), end + 1, true),
                None => (chunk, chunk.len(), false),
            };
            self.too_long |= self.line.len() + part.len() > self.longest;
            if self.too_long {
                self.line.clear();
            } else {
                self.line.extend_from_slice(part);
            }
            self.input.consume(used);
            if ended {
                return Ok(Some(self.finish()));
            }
        }
    }

    fn finish(&mut self) -> Line {
        if std::mem::take(&mut self.too_long) {
            return Line::TooLong;
        }
        self.line.extend_from_slice(b"\n");
        Line::Text(self.line.split().freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_lines_are_told_and_the_last_needs_no_break() {
        let text = [&b"one\n"[..], &[b'x'; 9], b"\n\nlast"].concat();
        // A buffer of four: lines come in pieces.
        let input = tokio::io::BufReader::with_capacity(4, &text[..]);
        let mut lines = Lines::new(input, 8);
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            read.push(line);
        }
        let text = |text: &'static str| Line::Text(text.into());
        let expected = [text("one\n"), Line::TooLong, text("\n"), text("last\n")];
        assert_eq!(read, expected);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_loses_nothing() {
        let (mut writer, reader) = tokio::io::duplex(64);
        let mut lines = Lines::new(tokio::io::BufReader::new(reader), 64);
        tokio::io::AsyncWriteExt::write_all(&mut writer, b"first ")
            .await
            .unwrap();
        tokio::select! {
            biased;
            _ = lines.next() => panic!("it has no end yet"),
            () = std::future::ready(()) => {}
        }
        tokio::io::AsyncWriteExt::write_all(&mut writer, b"half\n")
            .await
            .unwrap();
        let line = lines.next().await.unwrap();
        assert_eq!(line, Some(Line::Text("first half\n".into())));
    }
}
