//! From where a secret is to the secret, and when it must be looked at again.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::error::NoCredential;
use super::file::{self, Version};
use crate::model::{Reference, Secret};
use crate::telemetry::learn;
use crate::vault::Vault;

/// A file is looked at no more often than this: a busy account would ask the file system for each call.
const LOOK: Duration = Duration::from_secs(1);
/// A header cannot be longer at most servers.
const LONGEST: usize = 16 * 1024;

/// One reference to a value that lies somewhere.
#[derive(Debug)]
pub(super) struct Resolver {
    reference: Reference,
    vault: Vault,
    read: Mutex<Option<Read>>,
}

/// What a file held.
#[derive(Debug)]
struct Read {
    secret: Arc<Secret>,
    /// `None`: it is read again whatever the file system says.
    version: Option<Version>,
    looked: Option<Instant>,
}

impl Resolver {
    pub(super) fn new(reference: &Reference, vault: &Vault) -> Self {
        if let Reference::Environment {
            value: Some(value), ..
        } = reference
        {
            learn(value);
        }
        Self {
            reference: reference.clone(),
            vault: vault.clone(),
            read: Mutex::default(),
        }
    }

    pub(super) fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Its value now, cleaned: one line end less, and nothing that a header cannot have.
    pub(super) async fn value(&self) -> Result<Arc<Secret>, NoCredential> {
        let secret = self.found().await?;
        self.clean(secret)
    }

    /// The same with all its lines: a key in PEM.
    pub(super) async fn text(&self) -> Result<Arc<Secret>, NoCredential> {
        self.found().await
    }

    async fn found(&self) -> Result<Arc<Secret>, NoCredential> {
        match &self.reference {
            Reference::Vault(name) => {
                let found = self.vault.get(name).await;
                found.map_err(|why| NoCredential::of_vault(self.reference.clone(), why))
            }
            Reference::Environment {
                value: Some(value), ..
            } => Ok(Arc::clone(value)),
            Reference::Environment { value: None, .. } => Err(NoCredential::Missing {
                reference: self.reference.clone(),
                why: "the variable was not set when Janus was started".to_owned(),
            }),
            Reference::File(path) => self.file(path),
            // It is printed, and no resolver's.
            Reference::Command(_) => Err(self.bad("a command is run, not looked at")),
        }
    }

    fn file(&self, path: &Path) -> Result<Arc<Secret>, NoCredential> {
        if let Some(held) = self.held(path) {
            return Ok(held);
        }
        let (text, version) = file::read(path)?;
        // A file ends with a line end that no header has.
        let text = one_line_end_less(&text);
        let mut read = self.read();
        let (version, looked) = (Some(version), Some(Instant::now()));
        if let Some(before) = &mut *read
            && before.secret.expose() == text
        {
            (before.version, before.looked) = (version, looked);
            return Ok(Arc::clone(&before.secret));
        }
        let secret = Arc::new(Secret::new(text));
        learn(&secret);
        *read = Some(Read {
            secret: Arc::clone(&secret),
            version,
            looked,
        });
        Ok(secret)
    }

    fn clean(&self, secret: Arc<Secret>) -> Result<Arc<Secret>, NoCredential> {
        let text = secret.expose();
        let trimmed = one_line_end_less(text);
        if trimmed.is_empty() {
            return Err(self.bad("it is empty"));
        }
        if trimmed.len() > LONGEST {
            return Err(self.bad("it is longer than 16 KiB"));
        }
        if trimmed.contains(['\n', '\r']) {
            return Err(self.bad("it has several lines"));
        }
        if trimmed.chars().any(|c| c != ' ' && !c.is_ascii_graphic()) {
            return Err(self.bad("it has control characters or letters beyond ASCII"));
        }
        if trimmed.len() == text.len() {
            Ok(secret)
        } else {
            Ok(Arc::new(Secret::new(trimmed)))
        }
    }

    pub(super) fn bad(&self, why: &str) -> NoCredential {
        NoCredential::Bad {
            reference: self.reference.clone(),
            why: why.to_owned(),
        }
    }

    /// Whether `used`, the value from before, may still be used without looking.
    pub(super) fn is_fresh(&self, used: &Arc<Secret>) -> bool {
        match &self.reference {
            Reference::File(path) => self.held(path).is_some_and(|held| Arc::ptr_eq(&held, used)),
            // The vault counts its changes, which its user compares; a variable never changes.
            _ => true,
        }
    }

    /// What a file held when it was read, if it is the same file still.
    fn held(&self, path: &Path) -> Option<Arc<Secret>> {
        let mut read = self.read();
        let read = read.as_mut()?;
        if read.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            if read.version.is_none() || Version::at(path) != read.version {
                return None;
            }
            read.looked = Some(Instant::now());
        }
        Some(Arc::clone(&read.secret))
    }

    /// What a file held a moment ago does not count.
    pub(super) fn look_anew(&self) {
        if let Some(read) = &mut *self.read() {
            (read.version, read.looked) = (None, None);
        }
    }

    /// How long until it is worth looking again: nobody tells of a file that changed.
    pub(super) fn due(&self) -> Option<Duration> {
        matches!(self.reference, Reference::File(_)).then_some(LOOK * 2)
    }

    fn read(&self) -> MutexGuard<'_, Option<Read>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn one_line_end_less(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}
