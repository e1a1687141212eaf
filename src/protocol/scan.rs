//! Finding one's way in text that is known to be JSON, without taking it apart.

use std::borrow::Cow;
use std::ops::Range;

/// The characters of a JSON string; `None` for any other value.
pub(super) fn text_of(json: &[u8]) -> Option<Cow<'_, str>> {
    let [b'"', inner @ .., b'"'] = json else {
        return None;
    };
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(json).ok().map(Cow::Owned)
}

/// Where the value is, without the blanks around it.
pub(super) fn trimmed(text: &[u8]) -> Range<usize> {
    let start = skip_blank(text, 0);
    let end = text
        .iter()
        .rposition(|byte| !byte.is_ascii_whitespace())
        .map_or(start, |last| last + 1);
    start..end
}

/// The first byte at or after `at` that is no blank.
pub(super) fn skip_blank(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The end of the value that starts at `at`, in text known to be JSON.
pub(super) fn skip_value(text: &[u8], at: usize) -> usize {
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
    closing_quote(text, start + 1).map_or(text.len(), |quote| quote + 1)
}

/// Strings up to this long are read byte by byte.
const SHORT: usize = 8;

/// The quote that ends the string in which `from` is, at a byte that is not escaped itself.
///
/// Only quotes are looked for: prose and code have many more escapes than escaped quotes.
pub(super) fn closing_quote(text: &[u8], from: usize) -> Option<usize> {
    // Keys are short, and a call for each of them costs more than a look at their bytes.
    let head = text.get(from..)?.iter().take(SHORT);
    let mut at = from;
    for byte in head {
        match byte {
            b'"' => return Some(at),
            b'\\' => break,
            _ => at += 1,
        }
    }
    loop {
        let quote = at + memchr::memchr(b'"', text.get(at..)?)?;
        if !ends_in_escape(text.get(from..quote)?) {
            return Some(quote);
        }
        at = quote + 1;
    }
}

/// Whether what follows this part of a string is escaped.
pub(super) fn ends_in_escape(text: &[u8]) -> bool {
    let backslashes = text.iter().rev().take_while(|byte| **byte == b'\\');
    backslashes.count() % 2 == 1
}

/// Goes through the members of the object that begins at `at` and gives where it ends. `end_of` is told where each key
/// is, with its quotes, and where its value begins; it says where the value ends, mostly by [`skip_value`].
pub(super) fn each_member(
    text: &[u8],
    at: usize,
    mut end_of: impl FnMut(Range<usize>, usize) -> usize,
) -> usize {
    let mut at = skip_blank(text, at + 1);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                let key_end = skip_string(text, at);
                let colon = skip_blank(text, key_end);
                let value = skip_blank(text, colon + 1);
                at = skip_blank(text, end_of(at..key_end, value));
            }
            b',' => at = skip_blank(text, at + 1),
            _ => break,
        }
    }
    (at + 1).min(text.len())
}

/// Whether a key, as it is written with its quotes, means `key`.
pub(super) fn means(written: &[u8], key: &str) -> bool {
    let Some(inner) = written.get(1..written.len().saturating_sub(1)) else {
        return false;
    };
    if inner.len() == key.len() {
        return inner == key.as_bytes();
    }
    // An escaped spelling is longer than what it means.
    inner.len() > key.len()
        && memchr::memchr(b'\\', inner).is_some()
        && text_of(written).is_some_and(|text| text == key)
}

/// What a byte outside of strings means for where a value ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    None,
    Quote,
    Open,
    Close,
    Comma,
}

impl Mark {
    /// What `byte` means: one look into a table, for texts that are all brackets and commas.
    pub(super) fn of(byte: u8) -> Self {
        MARKS.get(usize::from(byte)).copied().unwrap_or(Self::None)
    }
}

const MARKS: [Mark; 256] = {
    let mut marks = [Mark::None; 256];
    let mut rest: &mut [Mark] = &mut marks;
    let mut byte = 0_u8;
    while let Some((mark, after)) = rest.split_first_mut() {
        *mark = match byte {
            b'"' => Mark::Quote,
            b'{' | b'[' => Mark::Open,
            b'}' | b']' => Mark::Close,
            b',' => Mark::Comma,
            _ => Mark::None,
        };
        byte = byte.wrapping_add(1);
        rest = after;
    }
    marks
};

fn skip_nested(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        match Mark::of(byte) {
            Mark::None | Mark::Comma => {}
            Mark::Quote => {
                at = skip_string(text, at);
                continue;
            }
            Mark::Open => depth += 1,
            Mark::Close => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
        }
        at += 1;
    }
    text.len()
}
