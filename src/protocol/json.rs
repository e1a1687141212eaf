//! JSON text that stays text: checked once, looked into without being taken apart, edited member by member.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::check;

/// One well-formed JSON value as the bytes that arrived. Cloning and slicing share them.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Bytes);

/// The text is not one JSON value in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not JSON: {reason}")]
pub struct NotJson {
    /// What the parser saw, with its place but none of the text.
    pub reason: String,
}

impl Json {
    /// Checks the text: UTF-8 and exactly one JSON value.
    pub fn parse(text: Bytes) -> Result<Self, NotJson> {
        let checked = std::str::from_utf8(&text).map_err(|e| NotJson {
            reason: e.to_string(),
        })?;
        check::one_value(checked).map_err(|offset| NotJson {
            reason: format!("unexpected at byte {offset}"),
        })?;
        let value = trimmed(&text);
        Ok(Self(if value.len() == text.len() {
            text
        } else {
            text.slice(value)
        }))
    }

    /// The text of a value that Janus authors.
    ///
    /// A value that cannot be written as JSON becomes `null`; none of ours is one (no maps with odd keys).
    pub fn of(value: &impl Serialize) -> Self {
        Self(serde_json::to_vec(value).map_or_else(|_| Bytes::from_static(b"null"), Bytes::from))
    }

    /// A JSON string.
    pub fn string(text: &str) -> Self {
        Self::of(&text)
    }

    /// `null`, `true`, `{}` and other literals of the code itself.
    pub(crate) fn literal(text: &'static str) -> Self {
        debug_assert!(check::one_value(text).is_ok(), "a literal is JSON: {text}");
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// An array of these elements.
    pub fn array(elements: &[Self]) -> Self {
        let mut out = Vec::with_capacity(
            2 + elements
                .iter()
                .map(|element| element.0.len() + 1)
                .sum::<usize>(),
        );
        out.push(b'[');
        for (at, element) in elements.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&element.0);
        }
        out.push(b']');
        Self::composed(out)
    }

    /// Text that is JSON by construction: made from checked parts.
    pub(crate) fn composed(text: Vec<u8>) -> Self {
        debug_assert!(
            std::str::from_utf8(&text).is_ok_and(|text| check::one_value(text).is_ok()),
            "composed text is JSON"
        );
        Self(text.into())
    }

    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes, given away.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Checked when it was parsed; the second check is cheap and keeps `unsafe` out.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Reads it into a value; `None` if it is not of that shape.
    pub fn read<'a, T: serde::Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_slice(&self.0).ok()
    }

    /// The characters of a JSON string; `None` for any other kind of value.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        text_of(&self.0)
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        &self.0[..] == b"null"
    }

    /// Whether it is an array.
    pub fn is_array(&self) -> bool {
        self.0.first() == Some(&b'[')
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        self.0.first() == Some(&b'{')
    }

    /// Its members, if it is an object.
    pub fn object(&self) -> Option<Object> {
        self.is_object().then(|| Object::scan(self.clone()))
    }

    /// Its elements, if it is an array.
    pub fn elements(&self) -> Option<Vec<Self>> {
        if !self.is_array() {
            return None;
        }
        let mut elements = Vec::new();
        let mut at = skip_blank(&self.0, 1);
        while let Some(&byte) = self.0.get(at) {
            match byte {
                b']' => break,
                b',' => at = skip_blank(&self.0, at + 1),
                _ => {
                    let end = skip_value(&self.0, at);
                    elements.push(self.part(at..end));
                    at = skip_blank(&self.0, end);
                }
            }
        }
        Some(elements)
    }

    /// The same value without a raw line break: what a stdio line or an SSE `data:` line may hold. Inside strings a
    /// raw line break is not JSON, so those that are found are blanks between tokens.
    #[must_use]
    pub fn on_one_line(self) -> Self {
        if memchr::memchr2(b'\n', b'\r', &self.0).is_none() {
            return self;
        }
        let line: Vec<u8> = self
            .0
            .iter()
            .map(|&byte| {
                if matches!(byte, b'\n' | b'\r') {
                    b' '
                } else {
                    byte
                }
            })
            .collect();
        Self(line.into())
    }

    fn part(&self, range: Range<usize>) -> Self {
        Self(self.0.slice(range))
    }
}

impl fmt::Debug for Json {
    /// Only the size: the text may hold anybody's secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}

/// A JSON object and where its members are.
#[derive(Clone)]
pub struct Object {
    text: Json,
    /// Shared: objects are handed around more often than they are made.
    members: Arc<[Member]>,
}

#[derive(Clone)]
struct Member {
    /// With its quotes.
    key: Range<usize>,
    value: Range<usize>,
}

/// One change to an object's members.
#[derive(Debug, Clone)]
pub enum Edit<'a> {
    /// Replace the value in its place, or append the member.
    Set(&'a str, Json),
    /// Remove the member, if it is there.
    Remove(&'a str),
}

impl Edit<'_> {
    fn key(&self) -> &str {
        match self {
            Self::Set(key, _) | Self::Remove(key) => key,
        }
    }
}

impl Object {
    /// An object without members.
    pub fn empty() -> Self {
        Self {
            text: Json::literal("{}"),
            members: Arc::default(),
        }
    }

    fn scan(text: Json) -> Self {
        let bytes = text.bytes();
        let mut members = Vec::with_capacity(8);
        let mut at = skip_blank(bytes, 1);
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    let key_end = skip_value(bytes, at);
                    let colon = skip_blank(bytes, key_end);
                    let start = skip_blank(bytes, colon + 1);
                    let end = skip_value(bytes, start);
                    members.push(Member {
                        key: at..key_end,
                        value: start..end,
                    });
                    at = skip_blank(bytes, end);
                }
                b',' => at = skip_blank(bytes, at + 1),
                _ => break,
            }
        }
        Self {
            text,
            members: members.into(),
        }
    }

    /// The whole object.
    pub fn json(&self) -> &Json {
        &self.text
    }

    /// The value of a member; the last one where a server repeats a key, as most parsers have it.
    pub fn get(&self, key: &str) -> Option<Json> {
        self.members
            .iter()
            .rev()
            .find(|member| self.is(member, key))
            .map(|member| self.text.part(member.value.clone()))
    }

    /// Whether there is such a member.
    pub fn has(&self, key: &str) -> bool {
        self.members.iter().any(|member| self.is(member, key))
    }

    /// The characters of a member that is a string.
    pub fn text(&self, key: &str) -> Option<String> {
        self.get(key)
            .and_then(|value| value.as_text().map(Cow::into_owned))
    }

    /// A member that is an object.
    pub fn object(&self, key: &str) -> Option<Self> {
        self.get(key).and_then(|value| value.object())
    }

    /// The members in their order, keys decoded.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, Json)> {
        self.members.iter().map(|member| {
            let key = self.raw(&member.key).and_then(text_of).unwrap_or_default();
            (key, self.text.part(member.value.clone()))
        })
    }

    /// The first of `keys` that the object has twice: two parsers may pick different ones.
    pub fn repeated<'k>(&self, keys: &[&'k str]) -> Option<&'k str> {
        keys.iter()
            .find(|key| {
                self.members
                    .iter()
                    .filter(|member| self.is(member, key))
                    .count()
                    > 1
            })
            .copied()
    }

    /// The object with some members changed: kept ones stay as they were written and where they were, new ones come
    /// last.
    #[must_use]
    pub fn edited(&self, edits: &[Edit<'_>]) -> Json {
        let extra: usize = edits
            .iter()
            .map(|edit| {
                if let Edit::Set(key, value) = edit {
                    key.len() + value.0.len() + 6
                } else {
                    0
                }
            })
            .sum();
        let mut out = Vec::with_capacity(self.text.0.len() + extra);
        out.push(b'{');
        for member in &*self.members {
            let edit = edits.iter().find(|edit| self.is(member, edit.key()));
            let value = match edit {
                Some(Edit::Remove(_)) => continue,
                Some(Edit::Set(_, value)) => Some(&value.0[..]),
                None => self.raw(&member.value),
            };
            comma(&mut out);
            out.extend_from_slice(self.raw(&member.key).unwrap_or_default());
            out.push(b':');
            out.extend_from_slice(value.unwrap_or_default());
        }
        for edit in edits {
            let Edit::Set(key, value) = edit else {
                continue;
            };
            if !self.has(key) {
                comma(&mut out);
                out.extend_from_slice(&Json::string(key).0);
                out.push(b':');
                out.extend_from_slice(&value.0);
            }
        }
        out.push(b'}');
        Json::composed(out)
    }

    fn raw(&self, range: &Range<usize>) -> Option<&[u8]> {
        self.text.0.get(range.clone())
    }

    fn is(&self, member: &Member, key: &str) -> bool {
        let Some([b'"', written @ .., b'"']) = self.raw(&member.key) else {
            return false;
        };
        if written.len() == key.len() {
            return written == key.as_bytes();
        }
        // An escaped spelling is longer than what it means.
        written.len() > key.len()
            && memchr::memchr(b'\\', written).is_some()
            && self
                .raw(&member.key)
                .and_then(text_of)
                .is_some_and(|text| text == key)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Object({} members, {} bytes)",
            self.members.len(),
            self.text.0.len()
        )
    }
}

fn comma(out: &mut Vec<u8>) {
    if out.len() > 1 {
        out.push(b',');
    }
}

fn text_of(json: &[u8]) -> Option<Cow<'_, str>> {
    let [b'"', inner @ .., b'"'] = json else {
        return None;
    };
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(json).ok().map(Cow::Owned)
}

/// Where the value is, without the blanks around it.
fn trimmed(text: &[u8]) -> Range<usize> {
    let start = skip_blank(text, 0);
    let end = text
        .iter()
        .rposition(|byte| !byte.is_ascii_whitespace())
        .map_or(start, |last| last + 1);
    start..end
}

fn skip_blank(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The end of the value that starts at `at`, in text known to be JSON.
fn skip_value(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(b'"') => skip_string(text, at),
        Some(b'{' | b'[') => skip_nested(text, at),
        _ => {
            let rest = text.get(at..).unwrap_or_default();
            let end = rest
                .iter()
                .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
            at + end.unwrap_or(rest.len())
        }
    }
}

fn skip_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', rest) {
            None => return text.len(),
            Some(found) if rest.get(found) == Some(&b'"') => return at + found + 1,
            Some(found) => at += found + 2,
        }
    }
}

fn skip_nested(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                at = skip_string(text, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    #[test]
    fn an_edit_leaves_every_other_member_as_it_was_written() {
        let object =
            json(r#" { "b" : 1.0, "a":[1e2, "]}\"" ], "nul\u006c":null ,"x":{"y":"\u00e9"} } "#)
                .object()
                .unwrap();
        let edited = object.edited(&[
            Edit::Set("b", Json::string("new")),
            Edit::Remove("x"),
            Edit::Set("last", Json::literal("true")),
        ]);
        assert_eq!(
            edited.as_str(),
            r#"{"b":"new","a":[1e2, "]}\"" ],"nul\u006c":null,"last":true}"#
        );
        assert!(object.get("null").unwrap().is_null());
    }

    #[test]
    fn an_object_can_lose_and_gain_all_of_its_members() {
        let object = json(r#"{"a":1,"b":2}"#).object().unwrap();
        assert_eq!(
            object
                .edited(&[Edit::Remove("a"), Edit::Remove("b")])
                .as_str(),
            "{}"
        );
        assert_eq!(object.edited(&[Edit::Remove("a")]).as_str(), r#"{"b":2}"#);
        assert_eq!(
            Object::empty()
                .edited(&[Edit::Set("k\"", Json::literal("{}"))])
                .as_str(),
            r#"{"k\"":{}}"#
        );
    }

    #[test]
    fn a_repeated_member_is_found_in_any_spelling() {
        let object = json(r#"{"id":1,"\u0069d":2,"z":3}"#).object().unwrap();
        assert_eq!(object.repeated(&["z", "id"]), Some("id"));
        assert_eq!(object.repeated(&["z"]), None);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in ["", "{", "{}{}", "nul", "[1,]", "\"\u{1}\"", "{\"a\":01}"] {
            assert!(
                Json::parse(Bytes::copy_from_slice(text.as_bytes())).is_err(),
                "{text}"
            );
        }
        assert!(Json::parse(Bytes::from_static(b"\"\xff\"")).is_err());
    }

    #[test]
    fn nesting_deeper_than_any_stack_is_walked() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(
            json(&deep)
                .object()
                .unwrap()
                .get("a")
                .unwrap()
                .bytes()
                .len(),
            400_001
        );
    }

    proptest::proptest! {
        #[test]
        fn elements_and_members_are_those_of_the_parser(value in arbitrary()) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            let json = json(&text);
            if let Some(elements) = json.elements() {
                let read: Vec<serde_json::Value> = elements.iter().map(|e| e.read().unwrap()).collect();
                proptest::prop_assert_eq!(&serde_json::Value::from(read), &value);
            }
            if let Some(object) = json.object() {
                let read: serde_json::Map<_, _> = object.iter().map(|(k, v)| (k.into_owned(), v.read().unwrap())).collect();
                proptest::prop_assert_eq!(&serde_json::Value::from(read), &value);
                let copy: serde_json::Value = object.edited(&[]).read().unwrap();
                proptest::prop_assert_eq!(&copy, &value);
            }
        }
    }

    fn arbitrary() -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".*".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                proptest::collection::btree_map(".*", inner, 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
