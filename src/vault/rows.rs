//! Secrets by their names: read, set, listed, removed.

use std::sync::Arc;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::error::{NotThere, Refused};
use super::open::{State, Vault};
use super::seal::{Row, open, seal};
use crate::model::{Secret, SecretName};
use crate::store::{Change, SecretRecord};
use crate::telemetry::learn;

/// A certificate chain with its key is shorter.
const LONGEST: usize = 64 * 1024;

/// A value that was opened.
#[derive(Debug)]
pub(super) struct Value {
    generation: u64,
    secret: Arc<Secret>,
}

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What people call it.
    pub name: SecretName,
    /// When it was set.
    pub updated: SystemTime,
}

impl Vault {
    /// The value under a name. Where the vault is sealed, the keyring is asked once more, unless it just was.
    ///
    /// # Errors
    /// It was never set, the vault stays sealed, or the row is damaged.
    pub async fn get(&self, name: &SecretName) -> Result<Arc<Secret>, NotThere> {
        if !self.state().rows.contains_key(name) {
            return Err(NotThere::Missing(name.clone()));
        }
        self.asked().await?;
        self.state().value(name)
    }

    /// Whether there is a secret of this name.
    pub fn has(&self, name: &SecretName) -> bool {
        self.state().rows.contains_key(name)
    }

    /// All of them, by name.
    pub fn list(&self) -> Vec<Listed> {
        let state = self.state();
        let rows = state.rows.values();
        rows.map(|row| Listed {
            name: row.name.clone(),
            updated: row.updated,
        })
        .collect()
    }

    /// Sets a secret. The first one makes the vault.
    ///
    /// # Errors
    /// Why nothing changed.
    pub async fn set(&self, name: &SecretName, value: &Arc<Secret>) -> Result<(), Refused> {
        let _turn = self.0.turn.lock().await;
        self.save(&[(name.clone(), Arc::clone(value))]).await
    }

    /// Sets several, all or none. For who has the turn.
    pub(super) async fn save(&self, secrets: &[(SecretName, Arc<Secret>)]) -> Result<(), Refused> {
        let legal = |secret: &Secret| (1..=LONGEST).contains(&secret.expose().len());
        if !secrets.iter().all(|(_, secret)| legal(secret)) {
            return Err(Refused::BadValue);
        }
        self.ready().await?;
        // Known before it can be seen anywhere.
        for (_, secret) in secrets {
            learn(secret);
        }
        let rows = {
            let state = self.state();
            let sealed = secrets
                .iter()
                .map(|(name, secret)| state.sealed_row(name, secret));
            sealed.collect::<Result<Vec<_>, _>>()?
        };
        self.0
            .store
            .write(Change::SecretsSaved(rows.clone()))
            .await?;
        {
            let mut state = self.state();
            for (row, (_, secret)) in rows.into_iter().zip(secrets) {
                let value = Value {
                    generation: row.generation,
                    secret: Arc::clone(secret),
                };
                state.values.insert(row.name.clone(), value);
                state.rows.insert(row.name.clone(), row);
            }
        }
        self.tell();
        Ok(())
    }

    /// Removes a secret. That needs no key.
    ///
    /// # Errors
    /// There is none of this name, or the store did not take it.
    pub async fn remove(&self, name: &SecretName) -> Result<(), Refused> {
        let _turn = self.0.turn.lock().await;
        if !self.has(name) {
            return Err(NotThere::Missing(name.clone()).into());
        }
        self.0
            .store
            .write(Change::SecretRemoved(name.clone()))
            .await?;
        {
            let mut state = self.state();
            state.rows.remove(name);
            state.values.remove(name);
        }
        self.tell();
        Ok(())
    }
}

impl State {
    /// A value, opened now or before.
    pub(super) fn value(&mut self, name: &SecretName) -> Result<Arc<Secret>, NotThere> {
        let missing = || NotThere::Missing(name.clone());
        let row = self.rows.get(name).ok_or_else(missing)?;
        if let Some(value) = self.values.get(name)
            && value.generation == row.generation
        {
            return Ok(Arc::clone(&value.secret));
        }
        let damaged = || NotThere::Damaged(name.clone());
        let key = self.sealing_key().map_err(|_| damaged())?;
        let place = Row::secret(name.as_str(), row.generation);
        let text = open(key, place, &row.value).ok_or_else(damaged)?;
        let text = std::str::from_utf8(&text).map_err(|_| damaged())?;
        let secret = Arc::new(Secret::new(text));
        learn(&secret);
        let value = Value {
            generation: row.generation,
            secret: Arc::clone(&secret),
        };
        self.values.insert(name.clone(), value);
        Ok(secret)
    }

    fn sealed_row(&self, name: &SecretName, secret: &Secret) -> Result<SecretRecord, Refused> {
        let generation = self.rows.get(name).map_or(1, |row| next(row.generation));
        let key = self.sealing_key()?;
        let text = Zeroizing::new(secret.expose().as_bytes().to_vec());
        let value = seal(key, Row::secret(name.as_str(), generation), &text)?;
        Ok(SecretRecord {
            name: name.clone(),
            generation,
            updated: SystemTime::now(),
            value,
        })
    }
}

/// The generation after this one. The database counts with a sign.
pub(super) fn next(generation: u64) -> u64 {
    let next = generation.wrapping_add(1);
    if i64::try_from(next).is_ok() { next } else { 1 }
}
