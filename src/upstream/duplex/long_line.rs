//! What a line is about that is too long to hold, or that is no message: its id, and whether it is a response.
//!
//! The scan looks at the members of the outermost object and nothing below them, byte by byte, in any order of
//! members and in any chunking.
//!
//! Invariants:
//! - Memory is constant: one key and one id, both cut at a limit.
//! - Nothing is said of a text whose outermost value is not an object, and no id of a text that has two.

use bytes::Bytes;

use crate::protocol::Json;

/// What the outermost object of a line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::upstream) struct Found {
    /// Its `id`, a string or a number.
    pub(in crate::upstream) id: Option<Json>,
    /// It has a `method`: a request or a notification, whose id is the sender's own.
    pub(in crate::upstream) method: bool,
    /// It has a `result` or an `error`.
    pub(in crate::upstream) outcome: bool,
}

impl Found {
    /// The id of a request of ours, if this is a response to it.
    pub(in crate::upstream) fn response_to(&self) -> Option<u64> {
        self.id
            .as_ref()
            .filter(|_| self.outcome && !self.method)
            .and_then(Json::read)
    }
}

/// A scan in progress.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Scan {
    place: Place,
    depth: u64,
    escaped: bool,
    key: Vec<u8>,
    value: Vec<u8>,
    capturing: bool,
    ids: u32,
    found: Found,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Before the outermost object.
    #[default]
    Before,
    /// Before a key of the outermost object.
    Member,
    /// In such a key.
    Key,
    /// Between a key and its colon.
    Colon,
    /// In a value, outside strings.
    Value,
    /// In a string of a value.
    Text,
    /// Behind the outermost object, or in something that is none.
    After,
}

/// The longest key of interest is `method`, with each of its letters written as `\u0000`.
const LONGEST_KEY: usize = 36;
/// A longer id is none of ours, and no server has one.
const LONGEST_ID: usize = 256;

impl Scan {
    /// What a whole text says.
    pub(in crate::upstream) fn of(text: &[u8]) -> Found {
        let mut scan = Self::default();
        scan.push(text);
        scan.finish()
    }

    /// Takes the next chunk.
    pub(in crate::upstream) fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            match self.place {
                Place::Before => self.before(byte),
                Place::Member => self.member(byte),
                Place::Key => self.in_key(byte),
                Place::Colon => self.colon(byte),
                Place::Value => self.in_value(byte),
                Place::Text => {
                    self.text(byte);
                    if self.place == Place::Text && !self.escaped && !self.capturing {
                        // Nothing but a quote or an escape matters here, and long lines are long strings.
                        let next = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                        rest = rest.get(next..).unwrap_or_default();
                    }
                }
                Place::After => return,
            }
        }
    }

    /// What was found, at the end of the line.
    pub(in crate::upstream) fn finish(mut self) -> Found {
        if self.ids > 1 {
            self.found.id = None;
        }
        self.found
    }

    fn before(&mut self, byte: u8) {
        match byte {
            b'{' => {
                self.depth = 1;
                self.place = Place::Member;
            }
            _ if byte.is_ascii_whitespace() => {}
            _ => self.place = Place::After,
        }
    }

    fn member(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.key.clear();
                self.key.push(b'"');
                self.place = Place::Key;
            }
            b'}' => self.place = Place::After,
            _ => {}
        }
    }

    fn in_key(&mut self, byte: u8) {
        // One more than fits tells a key that was cut from one that is complete.
        if self.key.len() <= LONGEST_KEY + 2 {
            self.key.push(byte);
        }
        if self.ends_string(byte) {
            self.place = Place::Colon;
        }
    }

    fn colon(&mut self, byte: u8) {
        if byte != b':' {
            return;
        }
        self.place = Place::Value;
        match key_of(&self.key).as_deref() {
            Some("id") => {
                self.ids += 1;
                self.value.clear();
                self.capturing = true;
            }
            Some("method") => self.found.method = true,
            Some("result" | "error") => self.found.outcome = true,
            _ => {}
        }
    }

    fn in_value(&mut self, byte: u8) {
        if self.depth == 1 && matches!(byte, b',' | b'}') {
            self.end_of_value();
            self.place = if byte == b',' {
                Place::Member
            } else {
                Place::After
            };
            return;
        }
        self.capture(byte);
        match byte {
            b'"' => self.place = Place::Text,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1).max(1),
            _ => {}
        }
    }

    fn text(&mut self, byte: u8) {
        self.capture(byte);
        if self.ends_string(byte) {
            self.place = Place::Value;
        }
    }

    /// Follows the escapes of a string; whether this byte is its closing quote.
    fn ends_string(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
            return false;
        }
        self.escaped = byte == b'\\';
        byte == b'"'
    }

    fn capture(&mut self, byte: u8) {
        if self.capturing && self.value.len() <= LONGEST_ID {
            self.value.push(byte);
        }
    }

    fn end_of_value(&mut self) {
        if !std::mem::take(&mut self.capturing) || self.value.len() > LONGEST_ID {
            return;
        }
        let value = Json::parse(Bytes::copy_from_slice(&self.value)).ok();
        self.found.id =
            value.filter(|id| matches!(id.bytes().first(), Some(b'"' | b'-' | b'0'..=b'9')));
    }
}

/// What a key means, escapes undone; `None` for one that is cut or broken.
fn key_of(written: &[u8]) -> Option<String> {
    if written.len() > LONGEST_KEY + 2 {
        return None;
    }
    serde_json::from_slice(written).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> (Option<String>, bool, bool) {
        let found = Scan::of(text.as_bytes());
        let id = found.id.map(|id| id.as_str().to_owned());
        (id, found.method, found.outcome)
    }

    #[test]
    fn only_the_outermost_members_count() {
        for (text, id, method, outcome) in [
            (r#"{"id":7,"result":{"id":8}}"#, Some("7"), false, true),
            (
                r#" { "result" : [{"id":1},"\",\"id\":2"] , "id" : 9 } "#,
                Some("9"),
                false,
                true,
            ),
            (
                r#"{"id":"a\"b,}","method":"x"}"#,
                Some(r#""a\"b,}""#),
                true,
                false,
            ),
            (
                r#"{"\u0069d":5,"\u0065\u0072\u0072\u006f\u0072":{}}"#,
                Some("5"),
                false,
                true,
            ),
            (
                r#"{"\u006d\u0065\u0074\u0068\u006f\u0064":""}"#,
                None,
                true,
                false,
            ),
            (r#"{"id":{"id":1},"result":{}}"#, None, false, true),
            (r#"{"id":null,"error":{}}"#, None, false, true),
            (r#"{"id":1,"id":2,"result":{}}"#, None, false, true),
            (r#"[{"id":1,"result":{}}]"#, None, false, false),
            ("id: 4, result", None, false, false),
            (r#"{"id":4"#, None, false, false),
            (r#"{"id":3,"result":{"a":["#, Some("3"), false, true),
            ("", None, false, false),
        ] {
            assert_eq!(
                found(text),
                (id.map(str::to_owned), method, outcome),
                "{text}"
            );
        }
    }

    #[test]
    fn a_request_of_the_server_is_no_response_to_ours() {
        assert_eq!(
            Scan::of(br#"{"id":7,"method":"sampling/createMessage","params":{}}"#).response_to(),
            None
        );
        assert_eq!(Scan::of(br#"{"result":{},"id":7}"#).response_to(), Some(7));
        assert_eq!(Scan::of(br#"{"result":{},"id":"7"}"#).response_to(), None);
    }

    #[test]
    fn keys_and_ids_of_any_length_take_no_more_memory() {
        let mut scan = Scan::default();
        scan.push(b"{\"id\":\"");
        for _ in 0..1000 {
            scan.push(&[b'a'; 100]);
        }
        scan.push(b"\",\"");
        for _ in 0..1000 {
            scan.push(&[b'k'; 100]);
        }
        scan.push(b"\":1,\"result\":1}");
        assert!(scan.value.capacity() < 1024 && scan.key.capacity() < 1024);
        assert_eq!(
            scan.finish(),
            Found {
                id: None,
                method: false,
                outcome: true
            }
        );
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i64>().prop_map(Into::into),
            r#"[a-z\\"{},:\[\]é\n]{0,12}"#.prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                proptest::collection::vec((key(), inner), 0..5)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("id".to_owned()),
            Just("result".to_owned()),
            Just("method".to_owned()),
            r#"[a-z\\"{},:é]{0,40}"#,
        ]
    }

    proptest! {
        #[test]
        fn the_scan_agrees_with_a_parser_in_any_chunking(
            members in proptest::collection::vec((key(), value()), 0..8),
            id in proptest::option::of(any::<u64>()),
            at in any::<prop::sample::Index>(),
            cuts in proptest::collection::vec(1..9_usize, 1..40),
            pretty in any::<bool>(),
        ) {
            let mut members = members;
            if let Some(id) = id {
                members.retain(|(key, _)| key != "id");
                members.insert(at.index(members.len() + 1), ("id".to_owned(), id.into()));
            }
            let object: serde_json::Map<_, _> = members.into_iter().collect();
            let whole = serde_json::Value::Object(object.clone());
            let text = if pretty { serde_json::to_string_pretty(&whole) } else { serde_json::to_string(&whole) }.unwrap();
            let mut scan = Scan::default();
            let mut rest = text.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (head, tail) = rest.split_at((*cut).min(rest.len()));
                scan.push(head);
                rest = tail;
            }
            let found = scan.finish();
            let expected = object.get("id").filter(|id| id.is_string() || id.is_number());
            let id: Option<serde_json::Value> = found.id.and_then(|id| id.read());
            prop_assert_eq!(id.as_ref(), expected);
            prop_assert_eq!(found.method, object.contains_key("method"));
            prop_assert_eq!(found.outcome, object.contains_key("result") || object.contains_key("error"));
        }

        #[test]
        fn no_text_is_too_broken_to_scan(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            Scan::of(&text);
        }
    }
}
