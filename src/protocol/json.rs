//! JSON text that stays text: checked once, looked into without being taken apart.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::Serialize;

use super::scan::{skip_blank, skip_value, text_of, trimmed};
use super::{Object, check};

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
        check::one_value(&text).map_err(|flaw| NotJson {
            reason: flaw.to_string(),
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
        debug_assert!(
            check::one_value(text.as_bytes()).is_ok(),
            "a literal is JSON: {text}"
        );
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
        debug_assert!(check::one_value(&text).is_ok(), "composed text is JSON");
        Self(text.into())
    }

    /// What an edit made of a text that is JSON.
    pub(super) fn spliced(text: Bytes) -> Self {
        debug_assert!(check::one_value(&text).is_ok(), "spliced text is JSON");
        Self(text)
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

    /// The value that stands there.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        Self(self.0.slice(range))
    }
}

impl fmt::Debug for Json {
    /// Only the size: the text may hold anybody's secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
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
