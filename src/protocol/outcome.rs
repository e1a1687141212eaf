//! Where things are in the result of a response: found on the one way through its text that is made anyway.

use std::ops::Range;

use super::scan::{each_member, means, skip_value};
use super::{Json, meta};

/// A result that is an object. Places count from the beginning of the message.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The bracket that closes it.
    pub(super) close: usize,
    /// It has no members.
    pub(super) is_empty: bool,
    /// It has a `_meta`, or several.
    pub(super) has_meta: bool,
    /// The value of `resultType`; the last one, as most parsers have it.
    pub(super) kind: Option<Range<usize>>,
}

impl Place {
    /// The result that begins at `at`, and where it ends.
    pub(super) fn of(text: &[u8], at: usize) -> (Self, usize) {
        let mut place = Self {
            close: at,
            is_empty: true,
            has_meta: false,
            kind: None,
        };
        let end = each_member(text, at, |key, value| {
            let end = skip_value(text, value);
            let key = text.get(key).unwrap_or_default();
            place.is_empty = false;
            place.has_meta |= means(key, "_meta");
            if means(key, "resultType") {
                place.kind = Some(value..end);
            }
            end
        });
        place.close = end.saturating_sub(1);
        (place, end)
    }

    /// The message around it with another id in its place, and with a `_meta` that says who answered: for a result
    /// that has none.
    pub(super) fn identified(
        &self,
        message: &[u8],
        (old, id): (Range<usize>, &Json),
        identity: &Json,
    ) -> Json {
        let mut meta = Vec::with_capacity(identity.bytes().len() + 40);
        meta.extend_from_slice(if self.is_empty { b"" } else { b"," });
        meta.extend_from_slice(b"\"_meta\":{\"");
        meta.extend_from_slice(meta::IDENTITY.as_bytes());
        meta.extend_from_slice(b"\":");
        meta.extend_from_slice(identity.bytes());
        meta.push(b'}');
        let end = self.close..self.close;
        let edits = if old.start < self.close {
            [(old, &id.bytes()[..]), (end, &meta[..])]
        } else {
            [(end, &meta[..]), (old, &id.bytes()[..])]
        };
        let mut out = Vec::with_capacity(message.len() + id.bytes().len() + meta.len());
        let mut at = 0;
        for (place, text) in edits {
            out.extend_from_slice(message.get(at..place.start).unwrap_or_default());
            out.extend_from_slice(text);
            at = place.end;
        }
        out.extend_from_slice(message.get(at..).unwrap_or_default());
        Json::composed(out)
    }
}
