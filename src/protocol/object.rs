//! A JSON object whose members are found and edited in place.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::Json;
use super::scan::{skip_blank, skip_value, text_of};

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

    /// Finds the members of what is known to be an object.
    pub(super) fn scan(text: Json) -> Self {
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
                    key.len() + value.bytes().len() + 6
                } else {
                    0
                }
            })
            .sum();
        let mut out = Vec::with_capacity(self.text.bytes().len() + extra);
        out.push(b'{');
        for member in &*self.members {
            let edit = edits.iter().find(|edit| self.is(member, edit.key()));
            let value = match edit {
                Some(Edit::Remove(_)) => continue,
                Some(Edit::Set(_, value)) => Some(&value.bytes()[..]),
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
                out.extend_from_slice(Json::string(key).bytes());
                out.push(b':');
                out.extend_from_slice(value.bytes());
            }
        }
        out.push(b'}');
        Json::composed(out)
    }

    fn raw(&self, range: &Range<usize>) -> Option<&[u8]> {
        self.text.bytes().get(range.clone())
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
            self.text.bytes().len()
        )
    }
}

fn comma(out: &mut Vec<u8>) {
    if out.len() > 1 {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

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
}
