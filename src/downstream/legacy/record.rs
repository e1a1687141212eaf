//! What the store keeps of a session, as JSON.
//!
//! Of who opened it only a digest is kept: a record can recognise the caller that comes back, and cannot make one.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Opened;
use super::frozen::Frozen;
use crate::authn::Transport;
use crate::binding::Entry;
use crate::model::hex;
use crate::protocol::{Json, LogLevel, Object, Revision};

/// What a session gathered since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::downstream) struct Kept {
    /// What the client answered to `roots/list`, if it was asked.
    pub(in crate::downstream) roots: Option<Vec<PathBuf>>,
    /// How much of the servers' logs it wants.
    pub(in crate::downstream) level: LogLevel,
    /// The resources whose changes it wants to be told.
    pub(in crate::downstream) subscriptions: BTreeSet<String>,
    /// Its streams, while no process has them.
    pub(super) streams: Vec<Frozen>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            roots: None,
            // What counts until a client says otherwise.
            level: LogLevel::Info,
            subscriptions: BTreeSet::new(),
            streams: Vec::new(),
        }
    }
}

/// The record. Members are only added; a reader that does not know one leaves it out.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// The digest of how it was opened.
    entry: String,
    revision: String,
    capabilities: serde_json::Value,
    info: Option<serde_json::Value>,
    #[serde(default)]
    roots: Option<Vec<PathBuf>>,
    #[serde(default)]
    level: Option<String>,
    #[serde(default)]
    subscriptions: BTreeSet<String>,
    #[serde(default)]
    streams: Vec<Frozen>,
    /// What it acted as and where its client works: for people, and nothing follows from it.
    #[serde(default)]
    profile: Option<String>,
    #[serde(default)]
    directory: Option<String>,
}

/// What people are told of a session that nobody has taken up yet.
#[derive(Debug, Default)]
pub(in crate::downstream) struct Shown {
    pub(in crate::downstream) program: Option<String>,
    pub(in crate::downstream) profile: Option<String>,
    pub(in crate::downstream) directory: Option<String>,
}

impl Shown {
    /// Of a record; nothing if it is none.
    pub(in crate::downstream) fn of(facts: &str) -> Self {
        let Some(record) = Record::read(facts) else {
            return Self::default();
        };
        let program = record.info.as_ref().and_then(|info| info.get("name"));
        Self {
            program: program.and_then(|name| name.as_str()).map(str::to_owned),
            profile: record.profile,
            directory: record.directory,
        }
    }
}

impl Record {
    pub(super) fn of(entry: &Entry, opened: &Opened, kept: &Kept, profile: Option<String>) -> Self {
        Self {
            entry: digest(entry),
            revision: opened.revision.as_str().to_owned(),
            capabilities: opened.capabilities.json().read().unwrap_or_default(),
            info: opened.info.as_ref().and_then(Json::read),
            // Paths that are no UTF-8 cannot come out of a URI.
            roots: kept.roots.clone(),
            level: Some(kept.level.as_str().to_owned()),
            subscriptions: kept.subscriptions.clone(),
            streams: kept.streams.clone(),
            profile,
            directory: entry.caller.directory().map(ToString::to_string),
        }
    }

    pub(super) fn text(&self) -> String {
        Json::of(self).as_str().to_owned()
    }

    /// Reads a record; `None` if it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether this is how it was opened.
    pub(super) fn is_of(&self, entry: &Entry) -> bool {
        self.entry == digest(entry)
    }

    /// What it acted as, for people.
    pub(super) fn profile(&self) -> Option<String> {
        self.profile.clone()
    }

    /// What `initialize` said, and what came after it.
    pub(super) fn into_parts(self) -> Option<(Opened, Kept)> {
        let opened = Opened {
            revision: Revision::named(&self.revision)?,
            capabilities: Json::of(&self.capabilities)
                .object()
                .unwrap_or_else(Object::empty),
            info: self.info.as_ref().map(Json::of),
        };
        let level = self.level.as_deref().and_then(LogLevel::named);
        let kept = Kept {
            roots: self.roots,
            level: level.unwrap_or_else(|| Kept::default().level),
            subscriptions: self.subscriptions,
            streams: self.streams,
        };
        Some((opened, kept))
    }
}

/// Everything that tells one way in from another, each part with its length.
fn digest(entry: &Entry) -> String {
    let mut digest = Sha256::new();
    let mut part = |text: &[u8]| {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    };
    let caller = &entry.caller;
    part(
        caller
            .client()
            .map_or("", |client| client.as_str())
            .as_bytes(),
    );
    part(match caller.transport() {
        Transport::Tcp => b"tcp",
        Transport::Unix => b"unix",
        Transport::Stdio => b"stdio",
    });
    part(entry.path.as_bytes());
    part(entry.profile.is_some().to_string().as_bytes());
    part(entry.profile.as_deref().unwrap_or_default().as_bytes());
    if let Some(directory) = caller.directory() {
        part(directory.proof().name().as_bytes());
        for path in directory.paths() {
            part(path.as_os_str().as_encoded_bytes());
        }
    }
    hex(&digest.finalize())
}
