//! What is left of a secret that nobody holds: enough to take it out of a text, too little to have it back.
//!
//! Invariant: of a form there is a keyed hash of how it begins, and its length.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use super::forms::Form;

/// Of this process alone.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// How one form begins, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trace {
    window: usize,
    hash: u64,
    length: usize,
}

impl Trace {
    /// `head`: so much of a secret is one.
    pub(super) fn of(form: &Form, head: usize) -> Self {
        let begin = form.get(..head).unwrap_or(form);
        Self {
            window: begin.len(),
            hash: KEY.hash_one(begin),
            length: form.len(),
        }
    }
}

/// Finds them: by the length of the beginning, then by its hash.
#[derive(Debug, Default)]
pub(super) struct Traces(BTreeMap<usize, BTreeMap<u64, usize>>);

impl Traces {
    pub(super) fn new(traces: impl Iterator<Item = Trace>) -> Self {
        let mut found: BTreeMap<usize, BTreeMap<u64, usize>> = BTreeMap::new();
        for trace in traces {
            let lengths = found.entry(trace.window).or_default();
            let longest = lengths.entry(trace.hash).or_default();
            *longest = trace.length.max(*longest);
        }
        Self(found)
    }

    /// Where they are in a text. How far one goes is not known any more: as far as all of it would.
    pub(super) fn spots<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = (usize, usize)> + 't {
        self.0.iter().flat_map(move |(window, lengths)| {
            let windows = text.windows(*window).enumerate();
            windows.filter_map(move |(start, bytes)| {
                let length = lengths.get(&KEY.hash_one(bytes))?;
                Some((start, (start + length).min(text.len())))
            })
        })
    }
}
