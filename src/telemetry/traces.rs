//! What is left of a secret that nobody holds: enough to take it out of a text, too little to have it back.
//!
//! Invariants:
//! - Of a form there are keyed hashes, and its length.
//! - What only begins like one takes nothing with it that stands beside it: a record stays a record.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::ops::Range;
use std::sync::LazyLock;

use super::forms::Form;

/// Of this process alone.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// How one form begins, how long it is, and what all of it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trace {
    /// Of those beginnings that count at the end of a cut text only.
    beginnings: Vec<u64>,
    window: usize,
    head: u64,
    length: usize,
    whole: u64,
}

impl Trace {
    /// `cut`: so much of a secret is one where the text was cut; from its end on it is one anywhere.
    pub(super) fn of(form: &Form, cut: &Range<usize>) -> Self {
        let head = form.get(..cut.end).unwrap_or(form);
        let beginnings = cut.clone().filter_map(|length| form.get(..length));
        Self {
            beginnings: beginnings.map(hash).collect(),
            window: head.len(),
            head: hash(head),
            length: form.len(),
            whole: hash(form),
        }
    }
}

/// What is as long as this, and its hash.
type Wholes = BTreeMap<usize, BTreeSet<u64>>;

/// Finds them: by the length of the beginning, then by its hash.
#[derive(Debug, Default)]
pub(super) struct Traces {
    heads: BTreeMap<usize, BTreeMap<u64, Wholes>>,
    beginnings: BTreeSet<u64>,
}

impl Traces {
    pub(super) fn new<'t>(traces: impl Iterator<Item = &'t Trace>) -> Self {
        let mut found = Self::default();
        for trace in traces {
            let heads = found.heads.entry(trace.window).or_default();
            let wholes = heads.entry(trace.head).or_default();
            wholes.entry(trace.length).or_default().insert(trace.whole);
            found.beginnings.extend(&trace.beginnings);
        }
        found
    }

    /// Where they are in a text.
    pub(super) fn spots<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = (usize, usize)> + 't {
        self.heads.iter().flat_map(move |(window, heads)| {
            let windows = text.windows(*window).enumerate();
            windows.filter_map(move |(start, bytes)| {
                let wholes = heads.get(&hash(bytes))?;
                let rest = text.get(start..)?;
                let length = whole(rest, wholes).unwrap_or_else(|| part(rest, *window, wholes));
                Some((start, start + length))
            })
        })
    }

    /// Whether one begins with these bytes, which are fewer than are one anywhere.
    pub(super) fn begin_with(&self, bytes: &[u8]) -> bool {
        self.beginnings.contains(&hash(bytes))
    }
}

/// How long the longest is that a text begins with. The text is hashed once for all of them: tokens of one provider begin
/// alike.
fn whole(text: &[u8], wholes: &Wholes) -> Option<usize> {
    let mut hasher = KEY.build_hasher();
    let (mut at, mut longest) = (0, None);
    for (length, hashes) in wholes {
        let Some(more) = text.get(at..*length) else {
            break;
        };
        hasher.write(more);
        at = *length;
        if hashes.contains(&hasher.finish()) {
            longest = Some(at);
        }
    }
    longest
}

/// How far a text goes on that begins like one of them and is none: how much of it is a secret is not known any more.
fn part(text: &[u8], window: usize, wholes: &Wholes) -> usize {
    let longest = wholes
        .last_key_value()
        .map_or(window, |(length, _)| *length);
    let mut rest = text.iter().take(longest).enumerate().skip(window);
    rest.find(|(_, byte)| ends(**byte))
        .map_or_else(|| longest.min(text.len()), |(at, _)| at)
}

/// Whether it stands beside a word, and not in it.
fn ends(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_control() || b"\"'`\\,()[]{}<>".contains(&byte)
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = KEY.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}
