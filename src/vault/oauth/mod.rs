//! The rows of OAuth: what accounts were granted, and the clients that Janus is. What is secret of them is in sealed
//! `columns`.
//!
//! The rows are kept here as they are on the disk, because another key means to seal them all anew.
//!
//! Invariants:
//! - Between sealing a row and having it on the disk, the key does not change ([`Inner::sealing`]).
//! - The key is in memory once it was found: nothing here asks a keyring but [`Vault::ensure`].
//!
//! [`Inner::sealing`]: super::open::Inner

mod columns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::Refused;
use super::key::VaultKey;
use super::open::{State, Vault};
use crate::model::AccountId;
use crate::store::{Change, GrantRecord, IntentRecord, Kept, RegistrationRecord, Store};
use columns::{grant_again, registration_again};

pub use columns::{GrantSecrets, NotOpened, RegistrationSecrets};

/// What the store had of OAuth at the start.
#[derive(Debug, Default)]
pub struct OAuthRows {
    /// What accounts were granted.
    pub grants: Vec<GrantRecord>,
    /// The clients that Janus is.
    pub registrations: Vec<RegistrationRecord>,
    /// The renewals that began.
    pub intents: Vec<IntentRecord>,
    /// The authorization servers that machine accounts first asked.
    pub issuers: Vec<(AccountId, String)>,
}

impl OAuthRows {
    /// Takes them out of what was kept.
    pub fn of(kept: &mut Kept) -> Self {
        Self {
            grants: std::mem::take(&mut kept.grants),
            registrations: std::mem::take(&mut kept.registrations),
            intents: std::mem::take(&mut kept.intents),
            issuers: std::mem::take(&mut kept.issuers),
        }
    }
}

/// The rows of OAuth, as they are on the disk.
#[derive(Debug, Default)]
pub(super) struct Rows {
    grants: BTreeMap<AccountId, GrantRecord>,
    registrations: BTreeMap<Arc<str>, RegistrationRecord>,
    intents: BTreeMap<AccountId, IntentRecord>,
    /// Grants that were ended, which the disk still has.
    ended: BTreeSet<AccountId>,
    /// Not sealed: it is no secret who gives tokens.
    issuers: BTreeMap<AccountId, String>,
}

impl Vault {
    /// The vault with these rows of OAuth, as the store had them.
    #[must_use]
    pub fn with_oauth(self, kept: OAuthRows) -> Self {
        let OAuthRows {
            grants,
            registrations,
            intents,
            issuers,
        } = kept;
        {
            let mut state = self.state();
            let account = |grant: GrantRecord| (grant.account.clone(), grant);
            state.oauth.grants = grants.into_iter().map(account).collect();
            let id = |one: RegistrationRecord| (Arc::clone(&one.id), one);
            state.oauth.registrations = registrations.into_iter().map(id).collect();
            let account = |intent: IntentRecord| (intent.account.clone(), intent);
            state.oauth.intents = intents.into_iter().map(account).collect();
            state.oauth.issuers = issuers.into_iter().collect();
        }
        self
    }

    /// Where its rows are kept.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Has a vault made if there is none, and opened if it is not: for what is about to be kept in it.
    ///
    /// # Errors
    /// Why nothing can be kept.
    pub async fn ensure(&self) -> Result<(), Refused> {
        let _turn = self.0.turn.lock().await;
        self.ready().await
    }

    /// What is kept of an account's grant, sealed.
    pub fn grant(&self, account: &AccountId) -> Option<GrantRecord> {
        self.state().oauth.grants.get(account).cloned()
    }

    /// The renewal that an earlier life of Janus began and did not end.
    pub fn intent(&self, account: &AccountId) -> Option<IntentRecord> {
        self.state().oauth.intents.get(account).cloned()
    }

    /// The authorization server that a machine account asks.
    pub fn issuer(&self, account: &AccountId) -> Option<String> {
        self.state().oauth.issuers.get(account).cloned()
    }

    /// Has a machine account ask this authorization server from now on. That needs no key.
    ///
    /// # Errors
    /// The store did not take it: it holds until the next start.
    pub async fn trust_issuer(&self, account: &AccountId, issuer: &str) -> Result<(), Refused> {
        let issuer = issuer.to_owned();
        self.state()
            .oauth
            .issuers
            .insert(account.clone(), issuer.clone());
        let account = account.clone();
        let change = Change::IssuerTrusted { account, issuer };
        Ok(self.0.store.write(change).await?)
    }

    /// The accounts that have a grant, or would have one again after a restart.
    pub fn granted(&self) -> Vec<AccountId> {
        let state = self.state();
        let rows = &state.oauth;
        rows.grants.keys().chain(&rows.ended).cloned().collect()
    }

    /// The registrations that are kept, sealed.
    pub fn registrations(&self) -> Vec<RegistrationRecord> {
        self.state().oauth.registrations.values().cloned().collect()
    }

    /// The tokens of a grant.
    ///
    /// # Errors
    /// Why they cannot be read.
    pub fn open_grant(&self, grant: &GrantRecord) -> Result<GrantSecrets, NotOpened> {
        self.with_key(|key| GrantSecrets::open(key, grant))
    }

    /// What is secret of a registration.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn open_registration(
        &self,
        one: &RegistrationRecord,
    ) -> Result<RegistrationSecrets, NotOpened> {
        self.with_key(|key| RegistrationSecrets::open(key, one))
    }

    /// Seals the tokens of a grant into its record, for where it is kept beside the store.
    ///
    /// # Errors
    /// The vault is closed.
    pub fn seal_grant(
        &self,
        grant: GrantRecord,
        secrets: &GrantSecrets,
    ) -> Result<GrantRecord, Refused> {
        Ok(secrets.seal(self.state().sealing_key()?, grant)?)
    }

    /// A login: this is the grant from now on. Its tokens are sealed into the record.
    ///
    /// # Errors
    /// The vault is closed, or the store did not take it. Nothing changed.
    pub async fn begin_grant(
        &self,
        grant: GrantRecord,
        secrets: &GrantSecrets,
    ) -> Result<(), Refused> {
        self.ensure().await?;
        let _sealing = self.0.sealing.lock().await;
        let grant = self.seal_grant(grant, secrets)?;
        let change = Change::GrantBegun(grant.clone());
        self.0.store.write(change).await?;
        self.state().oauth.ended.remove(&grant.account);
        self.state()
            .oauth
            .grants
            .insert(grant.account.clone(), grant);
        Ok(())
    }

    /// Replaces the grant of generation `was`. Its tokens are sealed into the record.
    ///
    /// # Errors
    /// The vault is closed, or the store did not take it; with [`NotSaved::Contradiction`] because the grant is another
    /// one by now.
    ///
    /// [`NotSaved::Contradiction`]: crate::store::NotSaved::Contradiction
    pub async fn change_grant(
        &self,
        was: u64,
        grant: GrantRecord,
        secrets: &GrantSecrets,
    ) -> Result<(), Refused> {
        let _sealing = self.0.sealing.lock().await;
        let grant = self.seal_grant(grant, secrets)?;
        let change = Change::GrantChanged {
            was,
            grant: grant.clone(),
        };
        self.0.store.write(change).await?;
        self.state()
            .oauth
            .grants
            .insert(grant.account.clone(), grant);
        Ok(())
    }

    /// Forgets a grant. That needs no key.
    ///
    /// # Errors
    /// The store did not take it.
    pub async fn end_grant(&self, account: &AccountId) -> Result<(), Refused> {
        let _sealing = self.0.sealing.lock().await;
        {
            // Whatever the disk says: it is not used any more.
            let mut state = self.state();
            let had = state.oauth.grants.remove(account).is_some();
            state.oauth.intents.remove(account);
            state.oauth.issuers.remove(account);
            if had {
                state.oauth.ended.insert(account.clone());
            }
        }
        let change = Change::GrantEnded(account.clone());
        self.0.store.write(change).await?;
        self.state().oauth.ended.remove(account);
        Ok(())
    }

    /// Keeps a registration; what is secret of it is sealed into the record.
    ///
    /// # Errors
    /// The vault is closed, or the store did not take it.
    pub async fn keep_registration(
        &self,
        record: RegistrationRecord,
        secrets: &RegistrationSecrets,
    ) -> Result<(), Refused> {
        self.ensure().await?;
        let _sealing = self.0.sealing.lock().await;
        let record = secrets.seal(self.state().sealing_key()?, record)?;
        let change = Change::RegistrationKept(record.clone());
        self.0.store.write(change).await?;
        self.state()
            .oauth
            .registrations
            .insert(Arc::clone(&record.id), record);
        Ok(())
    }

    /// Forgets registrations. That needs no key.
    ///
    /// # Errors
    /// The store did not take it.
    pub async fn forget_registrations(&self, ids: Vec<Arc<str>>) -> Result<(), Refused> {
        if ids.is_empty() {
            return Ok(());
        }
        let _sealing = self.0.sealing.lock().await;
        let change = Change::RegistrationsGone(ids.clone());
        self.0.store.write(change).await?;
        let mut state = self.state();
        for id in &ids {
            state.oauth.registrations.remove(id);
        }
        Ok(())
    }

    fn with_key<T>(
        &self,
        read: impl FnOnce(&VaultKey) -> Result<T, NotOpened>,
    ) -> Result<T, NotOpened> {
        if let Some(why) = self.sealed() {
            return Err(NotOpened::Sealed(why));
        }
        let state = self.state();
        // Rows without a vault are none of its own.
        read(state.sealing_key().map_err(|_| NotOpened::Damaged)?)
    }
}

impl State {
    /// All rows of OAuth, sealed with another key.
    pub(super) fn oauth_sealed_with(
        &self,
        key: &VaultKey,
    ) -> Result<(Vec<RegistrationRecord>, Vec<GrantRecord>), Refused> {
        let Some(old) = self.key.as_ref().map(|opened| &opened.key) else {
            return Ok((Vec::new(), Vec::new()));
        };
        let registrations = self.oauth.registrations.values();
        let registrations = registrations.map(|one| registration_again(one, (old, key)));
        let grants = self.oauth.grants.values();
        let grants = grants.map(|one| grant_again(one, (old, key)));
        Ok((
            registrations.collect::<Result<_, _>>()?,
            grants.collect::<Result<_, _>>()?,
        ))
    }

    /// They are on the disk as these.
    pub(super) fn replace_oauth(
        &mut self,
        registrations: Vec<RegistrationRecord>,
        grants: Vec<GrantRecord>,
    ) {
        for one in registrations {
            self.oauth.registrations.insert(Arc::clone(&one.id), one);
        }
        for one in grants {
            self.oauth.grants.insert(one.account.clone(), one);
        }
    }
}
