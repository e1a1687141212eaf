//! Edits of a response while it streams: its id, the members of its result that belong to one era, and whose identity
//! answered.
//!
//! A response that is longer than what Janus holds is never collected. The splice walks the text once, looks no
//! deeper than the members of `result` and of its `_meta`, and once all it has to do is done it hands bytes on without
//! looking. A chunk in which nothing changes is handed on as it is.

use bytes::{Bytes, BytesMut};

use crate::protocol::scan::{Mark, closing_quote, ends_in_escape, means};
use crate::protocol::{Json, meta};

/// What to change in a response that is passing by.
#[derive(Debug)]
pub struct Splice {
    /// The value that replaces the response's `id`.
    id: Option<Json>,
    /// Members to put at the head of `result`: `"a":1,"b":2`.
    insert: Option<Bytes>,
    /// Members of `result` to leave out.
    drop: &'static [&'static str],
    /// A member of `result` to leave out if it is no object.
    object_or_nothing: Option<&'static str>,
    /// What every `_meta` of a result says of who answered, whatever the server says there.
    identity: Option<Json>,
    walk: Walk,
    place: Place,
    depth: u32,
    /// Something was written in the watched object of each place, so that the next member needs a comma.
    wrote_member: [bool; 3],
    /// The result has said who answered.
    identified: bool,
    /// The key that is being read, with its quotes.
    key: BytesMut,
    /// In a string of a value.
    in_text: bool,
    /// The next byte of the string is escaped.
    escaped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    /// Before the first member of a watched object, or between two.
    Members,
    /// In a key of a watched object.
    Key,
    /// After a key, before the colon.
    Colon,
    /// After the colon, before the value.
    Value,
    /// In a value of which no member is watched.
    Inside { keep: bool },
    /// Nothing left to do.
    Through,
}

/// The object whose members are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Message,
    Result,
    /// `_meta` of the result.
    Meta,
}

impl Place {
    /// How many brackets are open among its members.
    fn depth(self) -> u32 {
        match self {
            Self::Message => 1,
            Self::Result => 2,
            Self::Meta => 3,
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Message => 0,
            Self::Result => 1,
            Self::Meta => 2,
        }
    }
}

/// Longer keys are none of ours.
const LONGEST_KEY: usize = 256;

impl Splice {
    /// A splice that replaces the id.
    pub fn id(id: Json) -> Self {
        Self::new(Some(id), None, &[])
    }

    /// A splice that leaves out members of the result and puts others at its head.
    pub fn result(insert: Option<Bytes>, drop: &'static [&'static str]) -> Self {
        Self::new(None, insert, drop)
    }

    /// The same, leaving out this member too if its value is no object.
    #[must_use]
    pub fn object_or_nothing(mut self, member: &'static str) -> Self {
        self.object_or_nothing = Some(member);
        self
    }

    /// The same, and the result says in its `_meta` who answered: this object, and nothing that the server says in
    /// its place. A `_meta` that is no object becomes one; a result that is none stays as it is.
    #[must_use]
    pub fn identity(mut self, identity: Option<Json>) -> Self {
        self.identity = identity;
        self
    }

    fn new(id: Option<Json>, insert: Option<Bytes>, drop: &'static [&'static str]) -> Self {
        Self {
            id,
            insert,
            drop,
            object_or_nothing: None,
            identity: None,
            walk: Walk::Members,
            place: Place::Message,
            depth: 0,
            wrote_member: [false; 3],
            identified: false,
            key: BytesMut::new(),
            in_text: false,
            escaped: false,
        }
    }

    /// Takes a chunk and gives what goes on instead of it.
    pub fn push(&mut self, chunk: &Bytes) -> Bytes {
        let mut at = 0;
        let mut out = match self.walk {
            _ if chunk.is_empty() => return Bytes::new(),
            Walk::Through => return chunk.clone(),
            Walk::Inside { keep } => {
                at = self.inside(chunk, 0);
                match (at == chunk.len(), keep) {
                    (true, true) => return chunk.clone(),
                    (true, false) => return Bytes::new(),
                    (false, _) => self.room(chunk),
                }
            }
            _ => self.room(chunk),
        };
        if self.walk == (Walk::Inside { keep: true }) {
            out.extend_from_slice(chunk.get(..at).unwrap_or_default());
        }
        while let Some(&byte) = chunk.get(at) {
            at = match self.walk {
                Walk::Members => self.members(byte, at, &mut out),
                Walk::Key => self.in_key(chunk, at),
                Walk::Colon => self.colon(byte, at),
                Walk::Value => self.value(byte, at, &mut out),
                Walk::Inside { keep } => {
                    let end = self.inside(chunk, at);
                    if keep {
                        out.extend_from_slice(chunk.get(at..end).unwrap_or_default());
                    }
                    match chunk.get(end) {
                        Some(&byte) => self.end_of_value(byte, end, &mut out),
                        None => end,
                    }
                }
                Walk::Through => {
                    out.extend_from_slice(chunk.get(at..).unwrap_or_default());
                    chunk.len()
                }
            };
        }
        out.freeze()
    }

    /// Room for a chunk and what is put into it.
    fn room(&self, chunk: &Bytes) -> BytesMut {
        let identity = self.identity.as_ref();
        BytesMut::with_capacity(chunk.len() + 64 + identity.map_or(0, |json| json.bytes().len()))
    }

    /// Whether nothing is left to change after this value of the message.
    fn is_done(&self) -> bool {
        self.place == Place::Message
            && self.id.is_none()
            && self.insert.is_none()
            && self.drop.is_empty()
            && self.identity.is_none()
    }

    fn members(&mut self, byte: u8, at: usize, out: &mut BytesMut) -> usize {
        match byte {
            b'{' if self.depth == 0 => {
                self.depth = 1;
                out.extend_from_slice(b"{");
            }
            b'"' => {
                self.key.clear();
                self.key.extend_from_slice(b"\"");
                self.escaped = false;
                self.walk = Walk::Key;
            }
            b'}' => self.close(out),
            // Commas are written when the next member is known to stay.
            _ => {}
        }
        at + 1
    }

    fn close(&mut self, out: &mut BytesMut) {
        match self.place {
            Place::Message => self.walk = Walk::Through,
            Place::Result => {
                if !self.identified && self.identity.is_some() {
                    self.comma(out);
                    out.extend_from_slice(b"\"_meta\":{");
                    self.identify(out);
                    out.extend_from_slice(b"}");
                }
                self.place = Place::Message;
                self.insert = None;
                self.drop = &[];
                if self.is_done() {
                    self.walk = Walk::Through;
                }
            }
            Place::Meta => {
                self.comma(out);
                self.identify(out);
                self.place = Place::Result;
            }
        }
        self.depth = self.place.depth();
        out.extend_from_slice(b"}");
    }

    /// The member that says who answered.
    fn identify(&mut self, out: &mut BytesMut) {
        self.identified = true;
        if let Some(identity) = &self.identity {
            out.extend_from_slice(b"\"");
            out.extend_from_slice(meta::IDENTITY.as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(identity.bytes());
        }
    }

    fn in_key(&mut self, chunk: &[u8], at: usize) -> usize {
        let end = self.text(chunk, at);
        self.key
            .extend_from_slice(chunk.get(at..end).unwrap_or_default());
        if !self.in_text {
            self.walk = Walk::Colon;
        }
        end
    }

    fn colon(&mut self, byte: u8, at: usize) -> usize {
        if byte == b':' {
            self.walk = Walk::Value;
        }
        at + 1
    }

    fn is(&self, name: &str) -> bool {
        self.key.len() <= LONGEST_KEY && means(&self.key, name)
    }

    /// Whether a member whose value begins with `byte` is left out.
    fn drops(&self, byte: u8) -> bool {
        match self.place {
            Place::Message => false,
            Place::Result => {
                self.drop.iter().any(|name| self.is(name))
                    || byte != b'{' && self.object_or_nothing.is_some_and(|name| self.is(name))
            }
            Place::Meta => self.is(meta::IDENTITY),
        }
    }

    /// A comma, if something is written before it.
    fn comma(&mut self, out: &mut BytesMut) {
        if let Some(wrote) = self.wrote_member.get_mut(self.place.index())
            && std::mem::replace(wrote, true)
        {
            out.extend_from_slice(b",");
        }
    }

    fn value(&mut self, byte: u8, at: usize, out: &mut BytesMut) -> usize {
        if byte.is_ascii_whitespace() {
            return at + 1;
        }
        self.in_text = false;
        if self.drops(byte) {
            self.walk = Walk::Inside { keep: false };
            return at;
        }
        self.comma(out);
        out.extend_from_slice(&self.key);
        out.extend_from_slice(b":");
        match self.place {
            Place::Message => self.value_of_message(byte, at, out),
            Place::Result if self.identity.is_some() && self.is("_meta") => {
                self.value_of_meta(byte, at, out)
            }
            Place::Result | Place::Meta => self.keep(at),
        }
    }

    fn keep(&mut self, at: usize) -> usize {
        self.walk = Walk::Inside { keep: true };
        at
    }

    fn value_of_message(&mut self, byte: u8, at: usize, out: &mut BytesMut) -> usize {
        if self.id.is_some() && self.is("id") {
            // The server's id is left out like any dropped value.
            out.extend_from_slice(&self.id.take().map(Json::into_bytes).unwrap_or_default());
            self.walk = Walk::Inside { keep: false };
            return at;
        }
        let edits = self.insert.is_some() || !self.drop.is_empty() || self.identity.is_some();
        if !(edits && byte == b'{' && self.is("result")) {
            return self.keep(at);
        }
        let insert = self.insert.take();
        self.enter(Place::Result, out);
        self.identified = false;
        if let Some(insert) = insert {
            self.comma(out);
            out.extend_from_slice(&insert);
        }
        at + 1
    }

    fn value_of_meta(&mut self, byte: u8, at: usize, out: &mut BytesMut) -> usize {
        if byte == b'{' {
            self.enter(Place::Meta, out);
            return at + 1;
        }
        out.extend_from_slice(b"{");
        self.identify(out);
        out.extend_from_slice(b"}");
        self.walk = Walk::Inside { keep: false };
        at
    }

    /// Begins an object whose members are watched.
    fn enter(&mut self, place: Place, out: &mut BytesMut) {
        out.extend_from_slice(b"{");
        self.place = place;
        self.depth = place.depth();
        self.walk = Walk::Members;
        if let Some(wrote) = self.wrote_member.get_mut(place.index()) {
            *wrote = false;
        }
    }

    /// The end of the string in which `at` is, after its quote; the end of the chunk if it goes on.
    fn text(&mut self, chunk: &[u8], at: usize) -> usize {
        let from = at + usize::from(std::mem::take(&mut self.escaped));
        if let Some(quote) = closing_quote(chunk, from) {
            self.in_text = false;
            return quote + 1;
        }
        self.in_text = true;
        self.escaped = ends_in_escape(chunk.get(from..).unwrap_or_default());
        chunk.len()
    }

    /// Where the value in which `at` is ends: at a comma or a bracket that is no more its own; the end of the chunk if
    /// it goes on.
    fn inside(&mut self, chunk: &[u8], mut at: usize) -> usize {
        let watched = self.place.depth();
        if self.in_text {
            at = self.text(chunk, at);
        }
        while let Some(&byte) = chunk.get(at) {
            match Mark::of(byte) {
                Mark::Quote => {
                    self.escaped = false;
                    at = self.text(chunk, at + 1);
                    continue;
                }
                Mark::Open => self.depth += 1,
                Mark::Close if self.depth > watched => self.depth -= 1,
                Mark::Close if byte == b'}' => return at,
                Mark::Comma if self.depth == watched => return at,
                Mark::Close | Mark::Comma | Mark::None => {}
            }
            at += 1;
        }
        chunk.len()
    }

    fn end_of_value(&mut self, byte: u8, at: usize, out: &mut BytesMut) -> usize {
        if self.is_done() {
            self.walk = Walk::Through;
            return at;
        }
        self.walk = Walk::Members;
        if byte == b'}' {
            self.close(out);
        }
        at + 1
    }
}

#[cfg(test)]
mod tests;
