//! Another key for the same secrets, or the same key in another place.
//!
//! Invariant: at every moment the key that opens the rows is somewhere. The new one is kept first, then all rows are
//! sealed with it in one transaction, and the old one is forgotten last.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::Refused;
use super::key::VaultKey;
use super::open::{Opened, State, Vault, record};
use super::seal::{Row, seal};
use super::source::{Place, next, place, succeed};
use crate::model::{KeySource, SecretName, hex};
use crate::store::{Change, SecretRecord};

impl Vault {
    /// Seals everything with a new key. How many secrets there are.
    ///
    /// # Errors
    /// Why nothing changed.
    pub async fn rekey(&self) -> Result<usize, Refused> {
        let _turn = self.0.turn.lock().await;
        self.ready().await?;
        if self.state().unsettled {
            return Err(Refused::Unsettled);
        }
        // Where the configuration looks at the next start: a new key elsewhere would not be found.
        self.check_place().await?;
        let (place, old) = {
            let state = self.state();
            let old = state.record.as_ref().map(|record| Arc::clone(&record.id));
            (place(&state.settings)?, old)
        };
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let id: Arc<str> = hex(&id).into();
        let key = VaultKey::random()?;
        match &place {
            Place::File(path) => {
                let beside = next(path);
                // What an earlier attempt left opens nothing: the key in its place is the one in use.
                std::fs::remove_file(&beside).ok();
                Place::File(beside).keep(&id, &key).await?;
            }
            place => place.keep(&id, &key).await?,
        }
        let sealing = self.0.sealing.lock().await;
        let (vault, rows, (registrations, grants)) = {
            let mut state = self.state();
            let created = state
                .record
                .as_ref()
                .map_or_else(std::time::SystemTime::now, |record| record.created);
            (
                record(&key, Arc::clone(&id), created)?,
                state.sealed_with(&key)?,
                state.oauth_sealed_with(&key)?,
            )
        };
        let secrets: Vec<SecretRecord> = rows.values().cloned().collect();
        let count = secrets.len();
        let change = Change::Rekeyed {
            vault: vault.clone(),
            secrets,
            registrations: registrations.clone(),
            grants: grants.clone(),
        };
        if let Err(not_saved) = self.0.store.write(change).await {
            // A commit whose sync failed may still turn out to have been one, so that the new key stays where it is.
            self.state().unsettled = true;
            return Err(not_saved.into());
        }
        if let Place::File(path) = &place
            && let Err(error) = succeed(path)
        {
            // It is found beside its place at the next start as well.
            tracing::warn!("the new key stays in `{}`: {error}", next(path).display());
        }
        {
            let mut state = self.state();
            state.record = Some(vault);
            state.rows = rows;
            state.values = BTreeMap::new();
            state.replace_oauth(registrations, grants);
            state.key = Some(Opened::new(key, place.clone()));
        }
        drop(sealing);
        if let Some(old) = old {
            place.forget(&old).await;
        }
        self.tell();
        Ok(count)
    }

    /// Keeps the key in another place too, and makes sure that it is there. Where it was, it stays: the configuration
    /// says which one counts.
    ///
    /// # Errors
    /// It cannot be kept there.
    pub async fn keep_also(
        &self,
        source: KeySource,
        file: Option<PathBuf>,
    ) -> Result<String, Refused> {
        let _turn = self.0.turn.lock().await;
        self.ready().await?;
        let (settings, key, id) = {
            let state = self.state();
            let key = state.key.as_ref().map(|opened| opened.key.clone());
            let id = state.record.as_ref().map(|record| Arc::clone(&record.id));
            (state.settings.clone(), key, id)
        };
        let (Some(key), Some(id)) = (key, id) else {
            return Err(Refused::NoPlace("the vault has no key".to_owned()));
        };
        let place = match (source, file) {
            (KeySource::File, Some(path)) if path.is_absolute() => Place::File(path),
            (KeySource::SecretService, _) => {
                let bus = settings.session_bus;
                Place::Keyring(
                    bus.ok_or_else(|| Refused::NoPlace("no session bus is known".to_owned()))?,
                )
            }
            _ => {
                let why =
                    "a key is moved to `secret-service`, or to a `file` with an absolute path"
                        .to_owned();
                return Err(Refused::NoPlace(why));
            }
        };
        match place.keep(&id, &key).await {
            Ok(()) => Ok(place.name()),
            // The vault is open; it is the other place that is not.
            Err(Refused::Sealed(why)) => Err(Refused::NotKept {
                place: place.name(),
                why: why.to_string(),
            }),
            Err(other) => Err(other),
        }
    }
}

impl State {
    /// All rows, sealed with another key.
    fn sealed_with(
        &mut self,
        key: &VaultKey,
    ) -> Result<BTreeMap<SecretName, SecretRecord>, Refused> {
        let names: Vec<SecretName> = self.rows.keys().cloned().collect();
        let mut rows = BTreeMap::new();
        for name in names {
            let secret = self.value(&name)?;
            let Some(old) = self.rows.get(&name) else {
                continue;
            };
            let generation = super::rows::next(old.generation);
            let place = Row::secret(name.as_str(), generation);
            let value = seal(key, place, secret.expose().as_bytes())?;
            rows.insert(
                name,
                SecretRecord {
                    generation,
                    value,
                    ..old.clone()
                },
            );
        }
        Ok(rows)
    }
}
