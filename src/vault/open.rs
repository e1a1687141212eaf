//! The vault itself: what is in it, whether it is open, and how it is opened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::error::{Refused, Sealed};
use super::key::VaultKey;
use super::oauth;
use super::rows::Value;
use super::seal::{Row, open, seal};
use super::source::{self, Place};
use crate::model::{Secret, SecretName, VaultSettings, hex};
use crate::store::{Change, SecretRecord, Store, VaultRecord};
use crate::telemetry::learn;

/// What the probe says when it is opened.
const PROBE: &[u8] = b"this is the vault of Janus";
/// A keyring that was asked this short a time ago is not asked again.
const FRESH: Duration = Duration::from_secs(2);
/// A call waits this long for a keyring to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The secrets of this installation. Clones are the same vault.
#[derive(Debug, Clone)]
pub struct Vault(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) store: Store,
    state: Mutex<State>,
    /// One write, or one attempt to open it, at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Held from sealing a row of OAuth until it is on the disk. Nobody who has it asks a keyring: a renewal that waited
    /// for one could lose what it brought.
    pub(super) sealing: tokio::sync::Mutex<()>,
    /// Counts what changed: it was opened, a secret was set or removed.
    pub(super) changed: watch::Sender<u64>,
    /// Counts attempts to open it.
    pub(super) attempts: watch::Sender<u64>,
    /// Somebody needs it.
    pub(super) wanted: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: VaultSettings,
    pub(super) record: Option<VaultRecord>,
    pub(super) rows: BTreeMap<SecretName, SecretRecord>,
    pub(super) values: BTreeMap<SecretName, Value>,
    pub(super) oauth: oauth::Rows,
    pub(super) key: Option<Opened>,
    /// The disk did not say whether all is sealed with a new key by now.
    pub(super) unsettled: bool,
    sealed: Sealed,
    attempted: Option<Instant>,
}

/// The key, and where it was.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) key: VaultKey,
    pub(super) place: Place,
    #[expect(
        dead_code,
        reason = "its text is kept out of others as long as it is here"
    )]
    text: Arc<Secret>,
}

impl State {
    /// What rows are sealed with and opened by.
    pub(super) fn sealing_key(&self) -> Result<&VaultKey, Sealed> {
        let opened = self.key.as_ref().ok_or(Sealed::NotAsked)?;
        Ok(&opened.key)
    }
}

/// How the vault stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// `empty` before the first secret, `open` or `sealed`.
    pub word: &'static str,
    /// Why it is sealed, and the command that mends it.
    pub sealed: Option<Sealed>,
    /// Where its key is, or is looked for.
    pub place: String,
    /// The word for that place in the configuration.
    pub key: &'static str,
    /// What the key's keeper knows it by.
    pub id: Option<Arc<str>>,
    /// When it was made.
    pub created: Option<SystemTime>,
    /// How many secrets it has.
    pub secrets: usize,
}

impl Opened {
    pub(super) fn new(key: VaultKey, place: Place) -> Self {
        let text = Arc::new(Secret::new(key.text().as_str()));
        learn(&text);
        Self { key, place, text }
    }
}

impl Vault {
    /// The vault whose rows the store has. It is not opened yet, and nobody is asked.
    pub fn new(
        store: &Store,
        settings: &VaultSettings,
        record: Option<VaultRecord>,
        secrets: Vec<SecretRecord>,
    ) -> Self {
        let rows = secrets
            .into_iter()
            .map(|row| (row.name.clone(), row))
            .collect();
        let state = State {
            settings: settings.clone(),
            record,
            rows,
            values: BTreeMap::new(),
            oauth: oauth::Rows::default(),
            key: None,
            unsettled: false,
            sealed: Sealed::NotAsked,
            attempted: None,
        };
        Self(Arc::new(Inner {
            store: store.clone(),
            state: Mutex::new(state),
            turn: tokio::sync::Mutex::default(),
            sealing: tokio::sync::Mutex::default(),
            changed: watch::Sender::new(0),
            attempts: watch::Sender::new(0),
            wanted: Notify::new(),
        }))
    }

    /// Goes on with another configuration: the key may be elsewhere. One that is open stays open.
    pub fn configure(&self, settings: &VaultSettings) {
        let changed = {
            let mut state = self.state();
            let changed = state.settings != *settings;
            state.settings = settings.clone();
            changed
        };
        if changed {
            self.0.wanted.notify_one();
        }
    }

    /// Tells when something is in it that was not, or the other way round.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        let state = self.state();
        let place = source::place(&state.settings);
        let (word, sealed) = match (&state.record, &state.key) {
            (_, Some(_)) => ("open", None),
            (None, None) => ("empty", None),
            (Some(_), None) => ("sealed", Some(state.sealed.clone())),
        };
        let place = state
            .key
            .as_ref()
            .map(|opened| opened.place.clone())
            .map_or(place, Ok);
        Status {
            word,
            sealed,
            key: place
                .as_ref()
                .map_or_else(|_| state.settings.key.word(), Place::word),
            place: place.map_or_else(|why| why.to_string(), |place| place.name()),
            id: state.record.as_ref().map(|record| Arc::clone(&record.id)),
            created: state.record.as_ref().map(|record| record.created),
            secrets: state.rows.len(),
        }
    }

    /// Has it opened if it is not, and waits for what comes of that.
    ///
    /// # Errors
    /// Why it stays sealed.
    pub async fn open(&self) -> Result<(), Sealed> {
        let _turn = self.0.turn.lock().await;
        self.opened().await
    }

    /// The same for who has the turn.
    pub(super) async fn opened(&self) -> Result<(), Sealed> {
        let (settings, record) = {
            let state = self.state();
            match (&state.record, &state.key) {
                (Some(record), None) => (state.settings.clone(), record.clone()),
                _ => return Ok(()),
            }
        };
        let found = find(&settings, &record).await;
        let outcome = {
            let mut state = self.state();
            state.attempted = Some(Instant::now());
            match found {
                Ok(opened) => {
                    tracing::info!(place = opened.place.name(), "the vault is open");
                    state.key = Some(opened);
                    Ok(())
                }
                Err(why) => {
                    if state.sealed != why {
                        tracing::warn!(event = "vault_sealed", "the vault is sealed: {why}");
                    }
                    state.sealed = why.clone();
                    Err(why)
                }
            }
        };
        if outcome.is_ok() {
            self.tell();
        }
        self.0.attempts.send_modify(|count| *count += 1);
        outcome
    }

    /// The key of this vault, which is made if there is none.
    pub(super) async fn ready(&self) -> Result<(), Refused> {
        self.opened().await?;
        if self.state().key.is_some() {
            return Ok(());
        }
        let place = source::place(&self.state().settings)
            .map_err(|why| Refused::NoPlace(why.to_string()))?;
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let id: Arc<str> = hex(&id).into();
        let key = match place.find(&id).await {
            // A credential, or a file that is there already: what it has becomes the key.
            Ok(key) => key,
            Err(Sealed::NoKey(_)) => {
                let key = VaultKey::random()?;
                place.keep(&id, &key).await?;
                key
            }
            Err(why @ Sealed::Absent(_)) => return Err(Refused::NoPlace(why.to_string())),
            Err(why) => return Err(why.into()),
        };
        let record = record(&key, id, SystemTime::now())?;
        self.0
            .store
            .write(Change::VaultMade(record.clone()))
            .await?;
        tracing::info!(place = place.name(), "a vault was made");
        let mut state = self.state();
        state.record = Some(record);
        state.key = Some(Opened::new(key, place));
        drop(state);
        self.tell();
        Ok(())
    }

    /// Whether the place that the configuration names has the key that is in use, or could get one for a vault that is
    /// yet to be made. From then on that place counts.
    ///
    /// # Errors
    /// Why the next start would find the vault sealed.
    pub async fn check_place(&self) -> Result<(), Sealed> {
        let (settings, id, live) = {
            let state = self.state();
            let id = state.record.as_ref().map(|record| Arc::clone(&record.id));
            let live = state.key.as_ref().map(|opened| opened.key.id());
            (state.settings.clone(), id, live)
        };
        let place = source::place(&settings)?;
        match (place.find(id.as_deref().unwrap_or_default()).await, live) {
            (Err(Sealed::NoKey(_)), None) => Ok(()),
            (Err(why), _) => Err(why),
            (Ok(key), Some(live)) if key.id() != live => Err(Sealed::WrongKey(place.name())),
            (Ok(_), _) => {
                if let Some(opened) = &mut self.state().key {
                    opened.place = place;
                }
                Ok(())
            }
        }
    }

    /// Has the keyring asked once more where the vault is sealed, unless it just was.
    ///
    /// # Errors
    /// It stays sealed.
    pub async fn asked(&self) -> Result<(), Sealed> {
        if self.sealed().is_some() && !self.was_just_asked() {
            let mut attempts = self.0.attempts.subscribe();
            self.0.wanted.notify_one();
            // However that ends, what is there now counts.
            timeout(PATIENCE, attempts.changed()).await.ok();
        }
        self.sealed().map_or(Ok(()), Err)
    }

    /// Whether it is closed, without asking anybody.
    pub fn is_sealed(&self) -> Option<Sealed> {
        self.sealed()
    }

    /// Whether somebody asked so short a time ago that the answer is still good.
    pub(super) fn was_just_asked(&self) -> bool {
        self.state()
            .attempted
            .is_some_and(|at| at.elapsed() < FRESH)
    }

    /// When the next attempt makes sense.
    pub(super) fn next_attempt(&self) -> Instant {
        self.state()
            .attempted
            .map_or_else(Instant::now, |at| at + FRESH)
    }

    pub(super) fn sealed(&self) -> Option<Sealed> {
        let state = self.state();
        (state.record.is_some() && state.key.is_none()).then(|| state.sealed.clone())
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait that something is different.
    pub(super) fn tell(&self) {
        self.0.changed.send_modify(|count| *count += 1);
    }
}

/// What identifies a vault that this key opens.
pub(super) fn record(
    key: &VaultKey,
    id: Arc<str>,
    created: SystemTime,
) -> Result<VaultRecord, Refused> {
    let probe = seal(key, Row::probe(&id), PROBE)?;
    Ok(VaultRecord {
        key_id: key.id(),
        probe,
        id,
        created,
    })
}

/// Whether a key is this vault's.
fn opens(key: &VaultKey, record: &VaultRecord) -> bool {
    let probe = open(key, Row::probe(&record.id), &record.probe);
    key.id() == record.key_id && probe.is_some_and(|probe| probe.as_slice() == PROBE)
}

async fn find(settings: &VaultSettings, record: &VaultRecord) -> Result<Opened, Sealed> {
    let place = source::place(settings)?;
    let found = place.find(&record.id).await;
    if let Ok(key) = &found
        && opens(key, record)
    {
        return Ok(Opened::new(key.clone(), place));
    }
    if let Place::File(path) = &place
        && let Some(key) = source::succeeded(path, |key| opens(key, record))
    {
        return Ok(Opened::new(key, place));
    }
    match found {
        Ok(_) => Err(Sealed::WrongKey(place.name())),
        Err(why) => Err(why),
    }
}
