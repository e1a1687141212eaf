//! Edits of a response while it streams: its id, and the members of its result that belong to one era.
//!
//! A response that is longer than what Janus holds is never collected. The splice walks the text once, looks no
//! deeper than the members of `result`, and once all it has to do is done it hands bytes on without looking.

use bytes::{Bytes, BytesMut};

use super::Json;

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
    walk: Walk,
    depth: u32,
    in_result: bool,
    /// Something was written in the innermost watched object, so that the next member needs a comma.
    wrote_member: [bool; 2],
    key: BytesMut,
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
    /// In a string of a value.
    Text { keep: bool },
    /// In a value: a number or word, or inside an object or array that is not watched.
    Inside { keep: bool },
    /// Nothing left to do.
    Through,
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

    fn new(id: Option<Json>, insert: Option<Bytes>, drop: &'static [&'static str]) -> Self {
        Self {
            id,
            insert,
            drop,
            object_or_nothing: None,
            walk: Walk::Members,
            depth: 0,
            in_result: false,
            wrote_member: [false; 2],
            key: BytesMut::new(),
            escaped: false,
        }
    }

    /// Takes a chunk and gives what goes on instead of it.
    pub fn push(&mut self, chunk: &Bytes) -> Bytes {
        if self.walk == Walk::Through {
            return chunk.clone();
        }
        let mut out = BytesMut::with_capacity(chunk.len() + 64);
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            at = match self.walk {
                Walk::Members => self.members(byte, at, &mut out),
                Walk::Key => self.in_key(byte, at),
                Walk::Colon => self.colon(byte, at),
                Walk::Value => self.value(byte, at, &mut out),
                Walk::Text { keep } => self.text(chunk, at, keep, &mut out),
                Walk::Inside { keep } => self.inside(byte, at, keep, &mut out),
                Walk::Through => {
                    out.extend_from_slice(chunk.get(at..).unwrap_or_default());
                    chunk.len()
                }
            };
        }
        out.freeze()
    }

    fn level(&self) -> usize {
        usize::from(self.in_result)
    }

    fn members(&mut self, byte: u8, at: usize, out: &mut BytesMut) -> usize {
        match byte {
            b'{' if self.depth == 0 => {
                self.depth = 1;
                out.extend_from_slice(b"{");
            }
            b'"' => {
                self.key.clear();
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
        out.extend_from_slice(b"}");
        if self.in_result {
            self.in_result = false;
            self.depth = 1;
            self.insert = None;
            self.drop = &[];
            if self.id.is_none() {
                self.walk = Walk::Through;
            }
        } else {
            self.walk = Walk::Through;
        }
    }

    fn in_key(&mut self, byte: u8, at: usize) -> usize {
        match byte {
            b'"' if !self.escaped => self.walk = Walk::Colon,
            _ => {
                self.escaped = byte == b'\\' && !self.escaped;
                self.key.extend_from_slice(&[byte]);
            }
        }
        at + 1
    }

    fn colon(&mut self, byte: u8, at: usize) -> usize {
        if byte == b':' {
            self.walk = Walk::Value;
        }
        at + 1
    }

    /// Whether a member whose value begins with `byte` is left out.
    fn drops(&self, byte: u8) -> bool {
        let is = |name: &&str| self.key == name.as_bytes();
        self.in_result
            && self.key.len() <= LONGEST_KEY
            && (self.drop.iter().any(is)
                || byte != b'{' && self.object_or_nothing.as_ref().is_some_and(is))
    }

    fn write_key(&mut self, out: &mut BytesMut) {
        let level = self.level();
        if let Some(wrote) = self.wrote_member.get_mut(level)
            && std::mem::replace(wrote, true)
        {
            out.extend_from_slice(b",");
        }
        out.extend_from_slice(b"\"");
        out.extend_from_slice(&self.key);
        out.extend_from_slice(b"\":");
    }

    fn value(&mut self, byte: u8, at: usize, out: &mut BytesMut) -> usize {
        if byte.is_ascii_whitespace() {
            return at + 1;
        }
        if self.drops(byte) {
            self.walk = Walk::Inside { keep: false };
            return at;
        }
        self.write_key(out);
        if !self.in_result
            && &self.key[..] == b"id"
            && let Some(id) = self.id.take()
        {
            // The server's id is left out like any dropped value.
            out.extend_from_slice(id.bytes());
            self.walk = Walk::Inside { keep: false };
            return at;
        }
        if !self.in_result
            && &self.key[..] == b"result"
            && byte == b'{'
            && (self.insert.is_some() || !self.drop.is_empty())
        {
            out.extend_from_slice(b"{");
            self.in_result = true;
            self.depth = 2;
            self.walk = Walk::Members;
            self.wrote_member = [true, false];
            if let Some(insert) = self.insert.take() {
                out.extend_from_slice(&insert);
                self.wrote_member = [true, true];
            }
            return at + 1;
        }
        self.walk = Walk::Inside { keep: true };
        at
    }

    fn text(&mut self, chunk: &Bytes, at: usize, keep: bool, out: &mut BytesMut) -> usize {
        let mut end = at;
        loop {
            let rest = chunk.get(end..).unwrap_or_default();
            if std::mem::take(&mut self.escaped) {
                if rest.is_empty() {
                    self.escaped = true;
                    break;
                }
                end += 1;
                continue;
            }
            match memchr::memchr2(b'"', b'\\', rest) {
                None => {
                    end = chunk.len();
                    break;
                }
                Some(found) if rest.get(found) == Some(&b'"') => {
                    end += found + 1;
                    self.walk = Walk::Inside { keep };
                    break;
                }
                Some(found) => {
                    end += found + 1;
                    self.escaped = true;
                }
            }
        }
        if keep {
            out.extend_from_slice(chunk.get(at..end).unwrap_or_default());
        }
        end
    }

    fn inside(&mut self, byte: u8, at: usize, keep: bool, out: &mut BytesMut) -> usize {
        let watched = 1 + u32::from(self.in_result);
        match byte {
            b'"' => {
                self.escaped = false;
                self.walk = Walk::Text { keep };
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > watched => self.depth -= 1,
            b'}' | b',' if self.depth == watched => return self.end_of_value(byte, at, out),
            _ => {}
        }
        if keep {
            out.extend_from_slice(&[byte]);
        }
        at + 1
    }

    fn end_of_value(&mut self, byte: u8, at: usize, out: &mut BytesMut) -> usize {
        if !self.in_result && self.id.is_none() && self.insert.is_none() && self.drop.is_empty() {
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
mod tests {
    use super::*;

    const RESPONSES: [&str; 6] = [
        r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"text":"a\\\"b}"}],"resultType":"complete","n":1e2}}"#,
        r#" { "result" : { "resultType":"complete" , "id" : 3, "ttlMs":[1,{"resultType":2}], "x":{"id":1} } , "jsonrpc":"2.0", "id" : "seven" } "#,
        r#"{"id":7,"result":{},"jsonrpc":"2.0"}"#,
        r#"{"result":{"ttlMs":5},"extra":{"result":{"ttlMs":1}},"id":7}"#,
        r#"{"id":1,"result":[{"ttlMs":1}]}"#,
        r#"{"id":{"odd":["}",2]},"result":{"a":"\\","ttlMs":"\\","b":1}}"#,
    ];

    fn run(splice: &mut Splice, text: &str, cut: usize) -> serde_json::Value {
        let (head, tail) = text.as_bytes().split_at(cut);
        let out = [
            splice.push(&Bytes::copy_from_slice(head)),
            splice.push(&Bytes::copy_from_slice(tail)),
        ]
        .concat();
        serde_json::from_slice(&out)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out)))
    }

    #[test]
    fn a_streamed_response_gets_the_id_of_its_client() {
        for text in RESPONSES {
            let mut expected: serde_json::Value = serde_json::from_str(text).unwrap();
            expected["id"] = "mine".into();
            for cut in 0..text.len() {
                assert_eq!(
                    run(&mut Splice::id(Json::string("mine")), text, cut),
                    expected,
                    "{text} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn a_member_that_must_be_an_object_is_left_out_if_it_is_not() {
        for (text, expected) in [
            (
                r#"{"result":{"a":1,"s": [ {"x":"]"},2 ],"b":{"s":3}},"s":4}"#,
                r#"{"result":{"a":1,"b":{"s":3}},"s":4}"#,
            ),
            (r#"{"result":{"s":"}\"","t":7}}"#, r#"{"result":{}}"#),
            (r#"{"result":{"s" : 1.0}}"#, r#"{"result":{}}"#),
            (
                r#"{"result":{"s" : null,"a":"b"}}"#,
                r#"{"result":{"a":"b"}}"#,
            ),
            (
                r#"{"result":{"s" :\n{"x":[1]},"t":1,"a":2}}"#,
                r#"{"result":{"s":{"x":[1]},"a":2}}"#,
            ),
        ] {
            let text = text.replace("\\n", "\n");
            let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
            for cut in 0..text.len() {
                let mut splice = Splice::result(None, &["t"]).object_or_nothing("s");
                assert_eq!(
                    run(&mut splice, &text, cut),
                    expected,
                    "{text} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn a_streamed_result_loses_and_gains_the_members_of_an_era() {
        for text in RESPONSES {
            let mut expected: serde_json::Value = serde_json::from_str(text).unwrap();
            if let Some(result) = expected["result"].as_object_mut() {
                result.remove("ttlMs");
                result.remove("resultType");
                result.insert("new".into(), 1.into());
            }
            for cut in 0..text.len() {
                let mut splice = Splice::result(
                    Some(Bytes::from_static(b"\"new\":1")),
                    &["ttlMs", "resultType"],
                );
                assert_eq!(run(&mut splice, text, cut), expected, "{text} cut at {cut}");
            }
        }
    }
}
