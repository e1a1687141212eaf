//! A JSON object whose members are found and edited in place.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::Json;
use super::scan::{each_member, means, skip_value, text_of};

/// A JSON object and where its members are.
#[derive(Clone)]
pub struct Object {
    text: Json,
    /// Shared: objects are handed around more often than they are made.
    members: Arc<[Member]>,
}

/// The members that were found in an object, before it is cut out of its text. Places count from its beginning.
pub(super) struct Members(Vec<Member>);

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
    /// Replace the value by this object with changes of its own, in its place, or append the member. Long objects are
    /// copied once that way, not once for each object around them.
    Within(&'a str, &'a Object, &'a [Self]),
    /// Remove the member, if it is there.
    Remove(&'a str),
}

impl Edit<'_> {
    fn key(&self) -> &str {
        match self {
            Self::Set(key, _) | Self::Within(key, ..) | Self::Remove(key) => key,
        }
    }

    /// What it may add to a text at most.
    fn growth(&self) -> usize {
        match self {
            Self::Set(key, value) => key.len() + value.bytes().len() + 6,
            Self::Within(key, object, edits) => key.len() + object.size(edits) + 6,
            Self::Remove(_) => 0,
        }
    }

    /// Writes the new value.
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Set(_, value) => out.extend_from_slice(value.bytes()),
            Self::Within(_, object, edits) => object.write(edits, out),
            Self::Remove(_) => {}
        }
    }
}

impl Members {
    /// Those of the object that begins at `at`, and where it ends.
    pub(super) fn at(text: &[u8], at: usize) -> (Self, usize) {
        let mut members = Self::none();
        let end = each_member(text, at, |key, value| {
            let end = skip_value(text, value);
            members.push(key.start - at..key.end - at, value - at..end - at);
            end
        });
        (members, end)
    }

    /// None yet.
    pub(super) fn none() -> Self {
        Self(Vec::with_capacity(8))
    }

    /// One more.
    pub(super) fn push(&mut self, key: Range<usize>, value: Range<usize>) {
        self.0.push(Member { key, value });
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
        let (members, _) = Members::at(text.bytes(), 0);
        Self::with(text, members)
    }

    /// The same where the members are found already.
    pub(super) fn with(text: Json, members: Members) -> Self {
        Self {
            text,
            members: members.0.into(),
        }
    }

    /// The whole object.
    pub fn json(&self) -> &Json {
        &self.text
    }

    /// The value of a member; the last one where a server repeats a key, as most parsers have it.
    pub fn get(&self, key: &str) -> Option<Json> {
        Some(self.text.part(self.place(key)?))
    }

    /// Where the value of a member is in the object's text.
    pub(super) fn place(&self, key: &str) -> Option<Range<usize>> {
        let mut members = self.members.iter().rev();
        let found = members.find(|member| self.is(member, key))?;
        Some(found.value.clone())
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

    /// One of `keys` that the object has twice: two parsers may pick different ones.
    pub fn repeated<'k>(&self, keys: &[&'k str]) -> Option<&'k str> {
        // One bit for each key that was seen; there are few of them.
        let mut seen = 0_u32;
        for member in &*self.members {
            let written = self.raw(&member.key).unwrap_or_default();
            let found = keys.iter().position(|key| means(written, key));
            let Some((bit, key)) = found.and_then(|at| Some((1 << at, keys.get(at)?))) else {
                continue;
            };
            if seen & bit != 0 {
                return Some(key);
            }
            seen |= bit;
        }
        None
    }

    /// The object with some members changed: kept ones stay as they were written and where they were, new ones come
    /// last.
    #[must_use]
    pub fn edited(&self, edits: &[Edit<'_>]) -> Json {
        let mut out = Vec::with_capacity(self.size(edits));
        self.write(edits, &mut out);
        Json::composed(out)
    }

    /// How long it may be with these changes.
    fn size(&self, edits: &[Edit<'_>]) -> usize {
        let replaced = |edit: &Edit<'_>| match edit {
            // Its old value is about as long as the new one, and is not written.
            Edit::Within(key, ..) => self.place(key).map_or(0, |place| place.len()),
            Edit::Set(..) | Edit::Remove(_) => 0,
        };
        let growth = edits.iter().map(Edit::growth).sum::<usize>();
        (self.text.bytes().len() + growth).saturating_sub(edits.iter().map(replaced).sum::<usize>())
    }

    fn write(&self, edits: &[Edit<'_>], out: &mut Vec<u8>) {
        out.push(b'{');
        let mut wrote = false;
        for member in &*self.members {
            let edit = edits.iter().find(|edit| self.is(member, edit.key()));
            if let Some(Edit::Remove(_)) = edit {
                continue;
            }
            comma(&mut wrote, out);
            out.extend_from_slice(self.raw(&member.key).unwrap_or_default());
            out.push(b':');
            match edit {
                Some(edit) => edit.write(out),
                None => out.extend_from_slice(self.raw(&member.value).unwrap_or_default()),
            }
        }
        for edit in edits {
            if !matches!(edit, Edit::Remove(_)) && !self.has(edit.key()) {
                comma(&mut wrote, out);
                out.extend_from_slice(Json::string(edit.key()).bytes());
                out.push(b':');
                edit.write(out);
            }
        }
        out.push(b'}');
    }

    fn raw(&self, range: &Range<usize>) -> Option<&[u8]> {
        self.text.bytes().get(range.clone())
    }

    fn is(&self, member: &Member, key: &str) -> bool {
        self.raw(&member.key)
            .is_some_and(|written| means(written, key))
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

fn comma(wrote: &mut bool, out: &mut Vec<u8>) {
    if std::mem::replace(wrote, true) {
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
    fn an_edit_within_an_edit_is_the_same_as_one_after_the_other() {
        let object = json(r#"{"a":1.0,"in":{"x":[1e2],"y":"z"},"b":{}}"#)
            .object()
            .unwrap();
        let inner = object.object("in").unwrap();
        let edits = [Edit::Set("x", Json::literal("7")), Edit::Remove("y")];
        for key in ["in", "b", "new"] {
            let once = object.edited(&[Edit::Within(key, &inner, &edits), Edit::Remove("a")]);
            let twice = [Edit::Set(key, inner.edited(&edits)), Edit::Remove("a")];
            assert_eq!(once, object.edited(&twice), "{key}");
        }
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
