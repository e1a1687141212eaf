//! Names that one section gives and others use, and where each thing is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::problem::{Mistake, Place, Position, Problems};
use super::words::instead;
use crate::model::Written;

/// The names that something may have.
pub(super) struct Names<'a> {
    /// One of them: `account of …`.
    pub(super) what: String,
    /// All of them: `accounts of …`.
    pub(super) kind: String,
    pub(super) words: Vec<&'a str>,
    /// Whether these are all. Where one was left out, an unknown name is no mistake of its own.
    pub(super) complete: bool,
}

impl Names<'_> {
    /// Whether this is one of the names. That it is none is noted, with the one that was probably meant.
    pub(super) fn check(&self, name: &str, place: &Place, problems: &mut Problems) -> bool {
        let known = self.words.contains(&name);
        if !known && self.complete {
            let what = self.what.clone();
            let help = instead(name, &self.kind, &self.words);
            problems.add_with_help(place, Mistake::UnknownName { what }, help);
        }
        known
    }
}

/// Where the things of the model are written, with the columns, which the model does not keep.
#[derive(Default)]
pub(super) struct Places(BTreeMap<Arc<str>, Position>);

impl Places {
    /// The place as the model keeps it.
    pub(super) fn note(&mut self, place: &Place) -> Written {
        let written = Written::new(place.position.line, &place.path);
        self.0.insert(Arc::clone(&written.key), place.position);
        written
    }

    /// The place of a key that was noted.
    pub(super) fn find(&self, key: &str) -> Option<Place> {
        let position = *self.0.get(key)?;
        let path = key.to_owned();
        Some(Place { position, path })
    }

    /// The place of something that was written down.
    pub(super) fn of(&self, written: &Written) -> Place {
        let column = self
            .0
            .get(&written.key)
            .map_or(1, |position| position.column);
        Place {
            position: Position {
                line: written.line,
                column,
            },
            path: written.key.to_string(),
        }
    }
}
