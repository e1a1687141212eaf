//! The lines of a child's standard output.
//!
//! Invariants:
//! - A line that is handed on is at most the longest message; `\r\n` ends a line as `\n` does.
//! - A longer line is read to its end in constant memory, and what it was an answer to is still found.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::upstream::duplex::{Found, Scan};

/// What one line was.
#[derive(Debug)]
pub(super) enum Line {
    /// Its bytes, without the line break. Never blank.
    Whole(Bytes),
    /// It was longer than a message may be and is gone.
    TooLong(Found),
}

/// As much as a pipe holds on Linux, so that a full pipe is emptied by one read.
const CHUNK: usize = 64 * 1024;

/// Reads lines.
#[derive(Debug)]
pub(super) struct Lines<R> {
    source: R,
    buffer: BytesMut,
    /// So much of the buffer holds no line break.
    searched: usize,
    longest: usize,
    /// A line that is too long is being thrown away.
    skipping: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// The lines of `source`, of which none is longer than `longest`, after those that were read of it already.
    pub(super) fn new(source: R, read: Bytes, longest: usize) -> Self {
        Self {
            source,
            buffer: read.into(),
            searched: 0,
            longest,
            skipping: false,
        }
    }

    /// Stops between two reads: the source, and what was read of a line that has not ended. `None` in the middle of a
    /// line that is thrown away, whose rest would be taken for a line.
    pub(super) fn into_parts(self) -> Option<(R, Bytes)> {
        (!self.skipping).then(|| (self.source, self.buffer.freeze()))
    }

    /// The next line that is not blank; `None` at the end of the stream, and where reading fails. Dropping it loses
    /// nothing, unless a line is being thrown away.
    pub(super) async fn next(&mut self) -> Option<Line> {
        loop {
            let fresh = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(found) = memchr::memchr(b'\n', fresh) {
                let line = self.take_line(self.searched + found);
                match self.judge(line) {
                    Some(line) => return Some(line),
                    None => continue,
                }
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > self.longest {
                self.skipping = true;
                let found = self.skip_line().await;
                self.skipping = false;
                return Some(Line::TooLong(found));
            }
            if !self.fill().await {
                // A process may end without ending its last line.
                let last = std::mem::take(&mut self.buffer).freeze();
                self.searched = 0;
                return self.judge(last);
            }
        }
    }

    fn take_line(&mut self, end: usize) -> Bytes {
        let mut line = self.buffer.split_to(end + 1);
        line.truncate(end);
        if end > CHUNK {
            // The rest would keep the whole block of the long line alive.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        self.searched = 0;
        line.freeze()
    }

    fn judge(&self, mut line: Bytes) -> Option<Line> {
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if line.len() > self.longest {
            return Some(Line::TooLong(Scan::of(&line)));
        }
        let blank = line.iter().all(u8::is_ascii_whitespace);
        (!blank).then_some(Line::Whole(line))
    }

    /// Throws the line away, from what is held of it to its end.
    async fn skip_line(&mut self) -> Found {
        let mut scan = Scan::default();
        loop {
            let end = memchr::memchr(b'\n', &self.buffer);
            scan.push(
                self.buffer
                    .get(..end.unwrap_or(self.buffer.len()))
                    .unwrap_or_default(),
            );
            if let Some(end) = end {
                self.take_line(end);
                return scan.finish();
            }
            if self.buffer.capacity() > 2 * CHUNK {
                self.buffer = BytesMut::new();
            }
            self.buffer.clear();
            if !self.fill().await {
                self.searched = 0;
                return scan.finish();
            }
        }
    }

    /// Reads more; `false` at the end. A pipe that cannot be read has ended as well.
    async fn fill(&mut self) -> bool {
        self.buffer.reserve(CHUNK);
        matches!(self.source.read_buf(&mut self.buffer).await, Ok(read) if read > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &str, longest: usize) -> Vec<String> {
        let mut lines = Lines::new(text.as_bytes(), Bytes::new(), longest);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await {
            all.push(match line {
                Line::Whole(line) => String::from_utf8(line.to_vec()).unwrap(),
                Line::TooLong(found) => format!("too long: {:?}", found.response_to()),
            });
        }
        all
    }

    #[tokio::test]
    async fn lines_end_in_any_way_and_blank_ones_are_none() {
        assert_eq!(lines("a\r\n\n  \r\nb\nlast", 100).await, ["a", "b", "last"]);
        assert_eq!(lines("", 100).await, [""; 0]);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_does_not_hurt_its_neighbours() {
        let long = format!("{{\"result\":\"{}\",\"id\":7}}", "x".repeat(3 * CHUNK));
        let text = format!("first\n{long}\nsecond\n{long}");
        // Longer than one read, and shorter.
        for longest in [10, 2 * CHUNK] {
            assert_eq!(
                lines(&text, longest).await,
                ["first", "too long: Some(7)", "second", "too long: Some(7)"]
            );
        }
    }

    #[tokio::test]
    async fn the_limit_is_the_longest_line_that_passes() {
        assert_eq!(
            lines("12345\r\n123456\n", 5).await,
            ["12345", "too long: None"]
        );
    }
}
