//! JSON texts compared by how they are written: members in their order, values in their spelling. Only blanks outside
//! strings do not count.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object in their order, keys and values as they are written, repeated keys and all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Members(Vec<(String, String)>);

impl Members {
    /// Reads an object, one level deep.
    pub(super) fn of(text: &str) -> Self {
        Self::try_of(text).unwrap_or_else(|| panic!("no object: {}", head(text)))
    }

    /// Reads an object; `None` for any other value.
    pub(super) fn try_of(text: &str) -> Option<Self> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let members = reader.deserialize_map(InOrder).ok()?;
        reader.end().ok()?;
        Some(members)
    }

    /// The last value of a key, however the key is spelt.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(written, _)| is(written, key))?;
        Some(&found.1)
    }

    /// Replaces a value in its place, or appends the member.
    pub(super) fn set(&mut self, key: &str, value: &str) {
        match self.0.iter_mut().find(|(written, _)| is(written, key)) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((format!("\"{key}\""), value.to_owned())),
        }
    }

    /// Puts a member before all others.
    pub(super) fn put_first(&mut self, key: &str, value: &str) {
        self.0.insert(0, (format!("\"{key}\""), value.to_owned()));
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.0.retain(|(written, _)| !is(written, key));
    }

    /// Changes a member that is an object; one that is none, or is missing, counts as empty.
    pub(super) fn change(&mut self, key: &str, change: impl FnOnce(&mut Self)) {
        let mut inner = self.get(key).and_then(Self::try_of).unwrap_or_default();
        change(&mut inner);
        self.set(key, &inner.text());
    }

    /// Changes every value of a key; whether there was one.
    pub(super) fn change_each(&mut self, key: &str, change: impl Fn(&str) -> String) -> bool {
        let mut found = false;
        for (_, value) in self.0.iter_mut().filter(|(written, _)| is(written, key)) {
            *value = change(value);
            found = true;
        }
        found
    }

    pub(super) fn text(&self) -> String {
        let members: Vec<String> = self.0.iter().map(|(k, v)| format!("{k}:{v}")).collect();
        format!("{{{}}}", members.join(","))
    }
}

fn is(written: &str, key: &str) -> bool {
    decoded(written).as_deref() == Some(key)
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            members.push((key.get().to_owned(), value.get().to_owned()));
        }
        Ok(Members(members))
    }
}

/// The text without blanks outside strings: two texts are equal so if they have the same members in the same order with
/// the same spelling of every value.
pub(super) fn compact(text: &str) -> String {
    let (mut out, mut in_string, mut escaped) = (String::with_capacity(text.len()), false, false);
    for character in text.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = character == '\\' && !escaped;
        } else if matches!(character, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = character == '"';
        }
        out.push(character);
    }
    out
}

/// The same on one line, as a pipe needs it: a raw line break is never inside a string.
pub(super) fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// The characters of a JSON string.
pub(super) fn decoded(text: &str) -> Option<String> {
    serde_json::from_str(text).ok()
}

/// Whether two texts are the same; if not, both of them around the place where they part.
pub(super) fn same(what: &str, expected: &str, actual: &str) -> Result<(), String> {
    let (wanted, found) = (compact(expected), compact(actual));
    if wanted == found {
        return Ok(());
    }
    let pairs = wanted.bytes().zip(found.bytes());
    let at = pairs.take_while(|(a, b)| a == b).count();
    Err(format!(
        "{what}: the texts part at byte {at}\n  expected {}\n    actual {}",
        around(&wanted, at),
        around(&found, at)
    ))
}

/// The beginning of a text that may be long.
pub(super) fn head(text: &str) -> String {
    around(text, 0)
}

fn around(text: &str, at: usize) -> String {
    const SHOWN: usize = 600;
    if text.len() <= 2 * SHOWN {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let (from, to) = (at.saturating_sub(SHOWN), (at + SHOWN).min(text.len()));
    format!("…{}…", String::from_utf8_lossy(&bytes[from..to]))
}

#[test]
fn texts_are_compared_by_their_spelling() {
    let text = "{ \"b\" : 1.0,\n\"a\": [1e2, \"x \\\" y\"], \"a\":null }";
    assert_eq!(compact(text), r#"{"b":1.0,"a":[1e2,"x \" y"],"a":null}"#);
    assert_eq!(compact(&Members::of(text).text()), compact(text));
    for other in [
        r#"{"b":1.0,"a":[1e2,"x \" y"]}"#,
        r#"{"a":[1e2,"x \" y"],"b":1.0,"a":null}"#,
        r#"{"b":1,"a":[1e2,"x \" y"],"a":null}"#,
        r#"{"b":1.0,"a":[1e2,"x \u0022 y"],"a":null}"#,
        r#"{"b":1.0,"a":[1e2,"x  \" y"],"a":null}"#,
    ] {
        assert_ne!(compact(other), compact(text));
    }
}
