//! Server-sent events, as MCP uses them: one message per event.
//!
//! The reader never holds more than the bytes it was given: data comes out in pieces, so that a long answer can be
//! passed on while it arrives (WHATWG HTML, section 9.2.6, "Interpreting an event stream").

use bytes::{Buf, Bytes, BytesMut};

/// The start of a stream, the line that keeps it open, and what separates events.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Something read from an event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Part of the event's data. Line breaks between `data:` lines come as `\n`.
    Data(Bytes),
    /// The event is whole.
    End(Fields),
}

/// What an event has beside its data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Where to take the stream up again.
    pub id: Option<String>,
    /// The event's type; MCP sends `message`, and `endpoint` in the transport of 2024-11-05.
    pub event: Option<String>,
    /// Milliseconds to wait before reconnecting.
    pub retry: Option<u64>,
    /// Whether there was any data.
    pub has_data: bool,
}

/// Takes an event stream apart.
#[derive(Debug, Default)]
pub struct Reader {
    input: BytesMut,
    line: Line,
    fields: Fields,
    /// A carriage return ended the last line: a line feed that follows belongs to it.
    after_return: bool,
    started: bool,
}

#[derive(Debug, Default)]
enum Line {
    /// At its start, or in its field name.
    #[default]
    Name,
    /// In the value of `data`.
    Data { at_start: bool },
    /// In a comment, or in a field too long to matter.
    Ignored,
}

/// Field lines other than `data` are short; a longer one is nothing we read.
const LONGEST_FIELD: usize = 8 * 1024;

impl Reader {
    /// Takes in bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        if !self.started && !self.input.is_empty() {
            self.started = true;
            if self.input.starts_with(b"\xef\xbb\xbf") {
                self.input.advance(3);
            }
        }
    }

    /// The next piece; `None` until more bytes come.
    pub fn next_piece(&mut self) -> Option<Piece> {
        loop {
            if self.after_return {
                let first = *self.input.first()?;
                if first == b'\n' {
                    self.input.advance(1);
                }
                self.after_return = false;
            }
            let piece = match self.line {
                Line::Name => self.name(),
                Line::Data { at_start } => self.data(at_start),
                Line::Ignored => self.ignored(),
            };
            match piece {
                Step::Piece(piece) => return Some(piece),
                Step::More => return None,
                Step::Next => {}
            }
        }
    }

    fn name(&mut self) -> Step {
        if let Some(rest) = self.input.strip_prefix(b"data") {
            match rest.first() {
                Some(b':') => {
                    self.input.advance(5);
                    return self.begin_data();
                }
                Some(b'\n' | b'\r') => {
                    self.input.advance(4);
                    return self.begin_data();
                }
                None => return Step::More,
                Some(_) => {}
            }
        }
        let Some(end) = memchr::memchr2(b'\n', b'\r', &self.input) else {
            if self.input.len() > LONGEST_FIELD {
                self.input.clear();
                self.line = Line::Ignored;
            }
            return Step::More;
        };
        let line = self.take_line(end);
        if line.is_empty() {
            return Step::Piece(Piece::End(std::mem::take(&mut self.fields)));
        }
        self.field(&line);
        Step::Next
    }

    fn begin_data(&mut self) -> Step {
        self.line = Line::Data { at_start: true };
        if std::mem::replace(&mut self.fields.has_data, true) {
            return Step::Piece(Piece::Data(Bytes::from_static(b"\n")));
        }
        Step::Next
    }

    fn data(&mut self, at_start: bool) -> Step {
        if at_start {
            match self.input.first() {
                None => return Step::More,
                Some(b' ') => self.input.advance(1),
                Some(_) => {}
            }
            self.line = Line::Data { at_start: false };
        }
        match memchr::memchr2(b'\n', b'\r', &self.input) {
            Some(end) => {
                self.line = Line::Name;
                let data = self.take_line(end);
                if data.is_empty() {
                    Step::Next
                } else {
                    Step::Piece(Piece::Data(data))
                }
            }
            None if self.input.is_empty() => Step::More,
            None => Step::Piece(Piece::Data(self.input.split().freeze())),
        }
    }

    fn ignored(&mut self) -> Step {
        if let Some(end) = memchr::memchr2(b'\n', b'\r', &self.input) {
            self.line = Line::Name;
            self.take_line(end);
            Step::Next
        } else {
            self.input.clear();
            Step::More
        }
    }

    /// Takes the line and its ending.
    fn take_line(&mut self, end: usize) -> Bytes {
        let line = self.input.split_to(end).freeze();
        self.after_return = self.input.first() == Some(&b'\r');
        self.input.advance(1);
        line
    }

    fn field(&mut self, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else {
            return;
        };
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" if !value.contains('\0') => self.fields.id = Some(value.to_owned()),
            "event" => self.fields.event = Some(value.to_owned()),
            "retry" => self.fields.retry = value.parse().ok(),
            _ => {}
        }
    }
}

enum Step {
    Piece(Piece),
    More,
    Next,
}

/// The head of an event, up to its data. An id makes the event one that a client can resume after.
pub fn head(id: Option<&str>) -> Bytes {
    match id {
        Some(id) => format!("id: {id}\nevent: message\ndata: ").into(),
        None => Bytes::from_static(b"event: message\ndata: "),
    }
}

/// What ends an event.
pub const END: &[u8] = b"\n\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<(String, Fields)> {
        let mut reader = Reader::default();
        let (mut events, mut data) = (Vec::new(), Vec::new());
        for chunk in chunks {
            reader.push(chunk);
            while let Some(piece) = reader.next_piece() {
                match piece {
                    Piece::Data(bytes) => data.extend_from_slice(&bytes),
                    Piece::End(fields) => {
                        let text = String::from_utf8(std::mem::take(&mut data)).unwrap();
                        if !text.is_empty() || fields != Fields::default() {
                            events.push((text, fields));
                        }
                    }
                }
            }
        }
        events
    }

    #[test]
    fn an_event_is_the_same_however_it_is_cut_and_whatever_ends_its_lines() {
        let text = "\u{feff}: hello\nid: 7\nretry: 50\nevent: message\ndata: {\"a\":\ndata:1}\nunknown: x\n\ndata: b\n\ndata\n\nid: 8\n\n";
        let whole = read(&[text.as_bytes()]);
        assert_eq!(whole[0].0, "{\"a\":\n1}");
        assert_eq!(
            whole[0].1,
            Fields {
                id: Some("7".into()),
                event: Some("message".into()),
                retry: Some(50),
                has_data: true
            }
        );
        assert_eq!(whole[1].0, "b");
        assert_eq!(whole[3].1.id.as_deref(), Some("8"));
        for ending in ["\n", "\r\n", "\r"] {
            let text = text.replace('\n', ending);
            for cut in 1..text.len() {
                let bytes = text.as_bytes();
                // A lone carriage return at the end is complete only when the next byte shows that no line feed follows.
                let mut events = read(&[&bytes[..cut], &bytes[cut..], b":\n"]);
                events.truncate(whole.len());
                assert_eq!(events, whole, "cut at {cut}, ending {ending:?}");
            }
        }
    }

    #[test]
    fn an_endless_field_costs_no_memory() {
        let mut reader = Reader::default();
        for _ in 0..1000 {
            reader.push(&[b'x'; 1024]);
            assert_eq!(reader.next_piece(), None);
            assert!(reader.input.len() <= LONGEST_FIELD + 1024);
        }
        reader.push(b"\ndata: ok\n\n");
        assert_eq!(
            reader.next_piece(),
            Some(Piece::Data(Bytes::from_static(b"ok")))
        );
    }
}
