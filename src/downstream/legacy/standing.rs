//! As whom a session acts: fixed before its first list, and again only when the configuration changes.
//!
//! Where a directory could decide and nothing proves one, the client is asked for its roots, once. Until it answers, or
//! the time for it is over, no request of the session is served (`identity.md` calls this the weakest proof: it reaches
//! no guarded profile).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::binding::{Entry, Refused, Scope};
use crate::downstream::reach::Reach;
use crate::protocol::{Answer, Envelope, Events, Json, Kind, Question, QuestionKind};

/// How long a client has to say its roots. Some clients give a request 5 s in all, and the list must still be made.
const ROOTS: Duration = Duration::from_secs(2);
/// A workspace with more roots than this has no directory.
const MOST_ROOTS: usize = 64;

/// What a session's scope follows from.
#[derive(Debug)]
pub(super) struct Standing {
    entry: Entry,
    can_say_roots: bool,
    state: Mutex<State>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// What the client answered; empty where it did not.
    roots: Option<Vec<PathBuf>>,
    resolved: Option<(u64, Result<Arc<Scope>, Refused>)>,
    /// As what it acted in an earlier life: for people, until it acts in this one.
    acted_as: Option<String>,
}

impl Standing {
    pub(super) fn new(entry: Entry, can_say_roots: bool, roots: Option<Vec<PathBuf>>) -> Self {
        let state = State {
            roots,
            ..State::default()
        };
        Self {
            entry,
            can_say_roots,
            state: Mutex::new(state),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// How it was opened.
    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// What the client said of its roots, if it was asked.
    pub(super) fn roots(&self) -> Option<Vec<PathBuf>> {
        self.state().roots.clone()
    }

    /// It goes on, and acted as this before.
    pub(super) fn acted_as(&self, profile: Option<String>) {
        self.state().acted_as = profile;
    }

    /// As what it acted last.
    pub(super) fn profile(&self) -> Option<String> {
        let state = self.state();
        let Some((_, resolved)) = &state.resolved else {
            return state.acted_as.clone();
        };
        let scope = resolved.as_ref().ok()?;
        Some(scope.profile().as_str().to_owned())
    }

    /// The scope, if it needs no question.
    pub(super) fn settled(&self, reach: &Reach) -> Option<Result<Arc<Scope>, Refused>> {
        let generation = reach.generation();
        let mut state = self.state();
        if let Some((of, resolved)) = &state.resolved
            && *of == generation
        {
            return Some(resolved.clone());
        }
        if self.must_ask(&state, reach) {
            return None;
        }
        let resolved = self.resolve(state.roots.as_deref(), reach);
        state.resolved = Some((generation, resolved.clone()));
        Some(resolved)
    }

    /// The scope; asks the client for its roots where it must.
    pub(super) async fn scope(
        &self,
        reach: &Reach,
        events: &Events,
    ) -> Result<Arc<Scope>, Refused> {
        if let Some(resolved) = self.settled(reach) {
            return resolved;
        }
        let _one_at_a_time = self.asking.lock().await;
        if let Some(resolved) = self.settled(reach) {
            return resolved;
        }
        let roots = tokio::time::timeout(ROOTS, ask(events)).await;
        self.state().roots = Some(roots.unwrap_or_default());
        let resolved = self.settled(reach);
        resolved.unwrap_or_else(|| reach.scope(&self.entry))
    }

    fn must_ask(&self, state: &State, reach: &Reach) -> bool {
        self.can_say_roots
            && state.roots.is_none()
            && self.entry.caller.directory().is_none()
            && reach.binding().has_directory_rules()
    }

    fn resolve(&self, roots: Option<&[PathBuf]>, reach: &Reach) -> Result<Arc<Scope>, Refused> {
        match roots {
            Some(roots) if !roots.is_empty() => reach.scope(&Entry {
                caller: self.entry.caller.with_roots(roots.to_vec()),
                ..self.entry.clone()
            }),
            _ => reach.scope(&self.entry),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(events: &Events) -> Vec<PathBuf> {
    let Some(question) = Question::new(QuestionKind::Roots, None) else {
        return Vec::new();
    };
    match events.ask(question).await {
        Answer::Response(response) if response.kind() == Kind::Result => directories(&response),
        _ => Vec::new(),
    }
}

/// The directories among the roots: absolute paths of `file:` URIs on this machine.
fn directories(response: &Envelope) -> Vec<PathBuf> {
    let roots = response
        .result()
        .and_then(|result| result.object()?.get("roots")?.elements());
    let roots = roots.unwrap_or_default();
    if roots.len() > MOST_ROOTS {
        return Vec::new();
    }
    let directory = |root: &Json| {
        let path = directory(&root.object()?.text("uri")?)?;
        // Rules hold canonical paths; one that is not there matches by its name.
        Some(std::fs::canonicalize(&path).unwrap_or(path))
    };
    roots.iter().filter_map(directory).collect()
}

fn directory(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    let path = PathBuf::from(percent_decoded(path)?);
    let plain = path.components().all(|part| {
        matches!(
            part,
            std::path::Component::RootDir | std::path::Component::Normal(_)
        )
    });
    (path.is_absolute() && plain).then_some(path)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digits = std::str::from_utf8(&digits)
                .ok()
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
            decoded.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_a_directory_of_this_machine_or_none() {
        for (uri, expected) in [
            ("file:///home/ana/src", Some("/home/ana/src")),
            ("file:///home/ana/a%20b", Some("/home/ana/a b")),
            ("file://localhost/x", Some("/x")),
            ("file://elsewhere/x", None),
            ("file:///a/../b", None),
            ("file:///a%2", None),
            ("file:///a%zz", None),
            ("file:///a%+1", None),
            ("https://x/y", None),
            ("file:x", None),
            ("", None),
        ] {
            assert_eq!(directory(uri), expected.map(PathBuf::from), "{uri}");
        }
    }
}
