//! From where a secret is to the secret, and when it must be looked at again.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::attach::Ground;
use super::error::NoCredential;
use super::file::{self, Version};
use super::helper::Source;
use crate::model::{Format, Helper, Reference, Secret};
use crate::telemetry::Live;
use crate::vault::Vault;

/// A file is looked at no more often than this: a busy account would ask the file system for each call.
const LOOK: Duration = Duration::from_secs(1);
/// What a command of `cmd:` printed is used for this long, and it may take this long.
const COMMAND_TTL: Duration = Duration::from_mins(5);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// A header cannot be longer at most servers.
const LONGEST: usize = 16 * 1024;

/// One reference, with what it was resolved to.
#[derive(Debug)]
pub(super) struct Resolver {
    reference: Reference,
    vault: Vault,
    /// What prints it, for `cmd:`.
    source: Option<Source>,
    read: Mutex<Option<Read>>,
}

/// What a file held.
#[derive(Debug)]
struct Read {
    live: Live,
    version: Option<Version>,
    looked: Instant,
}

impl Resolver {
    pub(super) fn new(reference: &Reference, ground: &Ground) -> Self {
        let source = match reference {
            Reference::Command(argv) => Some(ground.source(Arc::new(Helper {
                argv: argv.clone(),
                format: Format::Auto,
                ttl: COMMAND_TTL,
                pointer: None,
                expiry_pointer: None,
                timeout: COMMAND_TIMEOUT,
                pass_env: Vec::new(),
                input: String::new(),
            }))),
            _ => None,
        };
        Self {
            reference: reference.clone(),
            vault: ground.vault.clone(),
            source,
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

    async fn found(&self) -> Result<Arc<Secret>, NoCredential> {
        let reference = self.reference.to_string();
        match &self.reference {
            Reference::Vault(name) => self
                .vault
                .get(name)
                .await
                .map_err(|why| NoCredential::of_vault(reference, why)),
            Reference::Environment {
                value: Some(value), ..
            } => Ok(self.learnt(value)),
            Reference::Environment { value: None, .. } => Err(NoCredential::Missing {
                reference,
                why: "the variable was not set when Janus was started".to_owned(),
            }),
            Reference::File(path) => self.file(path),
            Reference::Command(_) => match &self.source {
                Some(source) => Ok(source.token().await?.secret),
                None => Err(NoCredential::helper("", "there is no command")),
            },
        }
    }

    fn file(&self, path: &Path) -> Result<Arc<Secret>, NoCredential> {
        if let Some(read) = &*self.read()
            && read.looked.elapsed() < LOOK
        {
            return Ok(Arc::clone(read.live.secret()));
        }
        let (text, version) = file::read(path)?;
        let mut read = self.read();
        let looked = Instant::now();
        if let Some(before) = &mut *read
            && before.live.secret().expose() == text.as_str()
        {
            (before.version, before.looked) = (Some(version), looked);
            return Ok(Arc::clone(before.live.secret()));
        }
        let secret = Arc::new(Secret::new(text.as_str()));
        let before = read.take().map(|before| before.live);
        *read = Some(Read {
            live: Live::new(Arc::clone(&secret)).after(before),
            version: Some(version),
            looked,
        });
        Ok(secret)
    }

    /// A value of the environment, which is known from its first use.
    fn learnt(&self, value: &Arc<Secret>) -> Arc<Secret> {
        let mut read = self.read();
        if read.is_none() {
            *read = Some(Read {
                live: Live::new(Arc::clone(value)),
                version: None,
                looked: Instant::now(),
            });
        }
        Arc::clone(value)
    }

    fn clean(&self, secret: Arc<Secret>) -> Result<Arc<Secret>, NoCredential> {
        let text = secret.expose();
        let trimmed = text.strip_suffix('\n').unwrap_or(text);
        let trimmed = trimmed.strip_suffix('\r').unwrap_or(trimmed);
        let bad = |why: &str| NoCredential::Bad {
            reference: self.reference.to_string(),
            why: why.to_owned(),
        };
        if trimmed.is_empty() {
            return Err(bad("it is empty"));
        }
        if trimmed.len() > LONGEST {
            return Err(bad("it is longer than 16 KiB"));
        }
        if trimmed.contains(['\n', '\r']) {
            return Err(bad("it has several lines"));
        }
        if trimmed.chars().any(|c| c != ' ' && !c.is_ascii_graphic()) {
            return Err(bad("it has control characters or letters beyond ASCII"));
        }
        if trimmed.len() == text.len() {
            Ok(secret)
        } else {
            Ok(Arc::new(Secret::new(trimmed)))
        }
    }

    /// Whether what was resolved may still be used without looking.
    pub(super) fn is_fresh(&self, used: &Arc<Secret>) -> bool {
        match &self.reference {
            // The vault counts its changes, which its user compares.
            Reference::Vault(_) | Reference::Environment { .. } => true,
            Reference::File(path) => {
                let mut read = self.read();
                let Some(read) = &mut *read else { return false };
                if read.looked.elapsed() < LOOK {
                    return true;
                }
                let same = read.version.is_some() && Version::at(path) == read.version;
                if same {
                    read.looked = Instant::now();
                }
                same
            }
            Reference::Command(_) => {
                let source = self.source.as_ref();
                source.is_some_and(|source| source.is_fresh(used))
            }
        }
    }

    /// Looks anew, whatever is held: the server refused the value.
    pub(super) async fn look_again(&self, status: u16) {
        match (&self.reference, &self.source) {
            (Reference::File(_), _) => self.look_anew(),
            (Reference::Command(_), Some(source)) => {
                if let Some(token) = source.held() {
                    source.renewed(token.generation, status).await;
                }
            }
            _ => {}
        }
    }

    /// What a file held a moment ago does not count.
    pub(super) fn look_anew(&self) {
        if let (Reference::File(_), Some(read)) = (&self.reference, &mut *self.read()) {
            read.version = None;
            read.looked = read.looked.checked_sub(LOOK).unwrap_or(read.looked);
        }
    }

    /// Has a command run anew; everything else is looked at when it is used.
    pub(super) async fn renew(&self) {
        if let Some(source) = &self.source {
            // What came of it is seen when the value is asked for.
            source.renew().await.ok();
        }
    }

    /// How long until it is worth looking again.
    pub(super) fn due(&self) -> Option<Duration> {
        match (&self.reference, &self.source) {
            (Reference::Command(_), Some(source)) => source.due(),
            // Nobody tells of a file that changed.
            (Reference::File(_), _) => Some(LOOK * 2),
            _ => None,
        }
    }

    /// How long its value is valid, where that is known.
    pub(super) fn left(&self) -> Option<Duration> {
        self.source.as_ref().and_then(Source::left)
    }

    fn read(&self) -> MutexGuard<'_, Option<Read>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
