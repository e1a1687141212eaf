//! From a request to its scope: the rules as they stand, and what they gave before.
//!
//! Invariant: what is kept was made by the rules that hold now. A reload replaces both together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::binding::{Binding, Entry, Refused, Scope};

/// Callers are few; whoever sends ever new paths or directories gets nothing kept.
const KEPT: usize = 1024;

/// The rules, and the scopes they gave.
#[derive(Debug)]
pub(super) struct Reach(Mutex<State>);

#[derive(Debug)]
struct State {
    binding: Arc<Binding>,
    scopes: BTreeMap<Entry, Result<Arc<Scope>, Refused>>,
    generation: u64,
    file: Option<PathBuf>,
    read: SystemTime,
    refused: Vec<String>,
}

/// What is known of the file that the rules come from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// `None`: there is none.
    pub(super) file: Option<PathBuf>,
    /// When what is in force was read.
    pub(super) read: SystemTime,
    /// The mistakes for which it is not in force as it stands now.
    pub(super) refused: Vec<String>,
}

impl Reach {
    /// These rules, from this file.
    pub(super) fn new(binding: Binding, file: Option<&Path>) -> Self {
        Self(Mutex::new(State {
            binding: Arc::new(binding),
            scopes: BTreeMap::new(),
            generation: 0,
            file: file.map(Path::to_owned),
            read: SystemTime::now(),
            refused: Vec::new(),
        }))
    }

    /// Goes on with other rules.
    pub(super) fn configure(&self, binding: Binding, file: Option<&Path>) {
        let mut state = self.state();
        state.binding = Arc::new(binding);
        state.scopes.clear();
        state.generation += 1;
        state.file = file.map(Path::to_owned);
        state.read = SystemTime::now();
        state.refused.clear();
    }

    /// The file is wrong, and the earlier rules go on.
    pub(super) fn refuse(&self, mistakes: &[String]) {
        self.state().refused = mistakes.to_vec();
    }

    /// What is known of the file.
    pub(super) fn source(&self) -> Source {
        let state = self.state();
        Source {
            file: state.file.clone(),
            read: state.read,
            refused: state.refused.clone(),
        }
    }

    /// The scope of a request.
    pub(super) fn scope(&self, entry: &Entry) -> Result<Arc<Scope>, Refused> {
        let mut state = self.state();
        if let Some(kept) = state.scopes.get(entry) {
            return kept.clone();
        }
        let made = state.binding.scope(entry).map(Arc::new);
        if state.scopes.len() >= KEPT {
            state.scopes.clear();
        }
        state.scopes.insert(entry.clone(), made.clone());
        made
    }

    /// The rules themselves.
    pub(super) fn binding(&self) -> Arc<Binding> {
        Arc::clone(&self.state().binding)
    }

    /// Another number after each reload.
    pub(super) fn generation(&self) -> u64 {
        self.state().generation
    }

    /// The file that the rules come from.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.state().file.clone()
    }

    /// Where a line of the configuration is, for people.
    pub(super) fn place(&self, line: usize) -> String {
        let file = self.file();
        let file = file.map_or_else(
            || "the configuration".to_owned(),
            |file| file.display().to_string(),
        );
        format!("{file}:{line}")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
