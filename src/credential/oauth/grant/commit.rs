//! From memory to the vault: what a renewal brought.
//!
//! Invariants:
//! - Nobody sees a token before it is on the disk. Where the disk fails, what came is kept beside it, or in memory alone
//!   where that fails too, which is said; and the disk is tried again until it takes it.
//! - The disk is changed by who names the generation that is on it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::kept::Facts;
use super::mark::Point;
use super::state::Life;
use super::{Grant, Inner, rescue};
use crate::credential::oauth::granted::Tokens;
use crate::store::{GrantRecord, NotSaved};
use crate::vault::{GrantSecrets, Refused};

/// A disk that fails may take it the next time; a call waits meanwhile.
const TRIES: u32 = 3;
const BETWEEN: Duration = Duration::from_millis(300);
/// After that it is tried with pauses that double up to this.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What became of a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Committed {
    /// It is on the disk.
    Saved,
    /// It is beside the disk, or in memory alone where even that fails; people are told either way.
    Rescued,
    /// The grant is another one by now, and stays as it is.
    Replaced,
}

impl Grant {
    /// What a renewal of generation `mine` brought. What becomes of it, and who has it by now.
    pub(super) async fn renewed(self: &Arc<Self>, mine: u64, tokens: &Tokens) -> Committed {
        let _turn = self.turn.lock().await;
        let clock = &self.engine.means.clock;
        let (made, was, facts, secrets, registration) = {
            let inner = self.inner();
            if inner.life.generation != mine || !inner.life.holds() {
                return Committed::Replaced;
            }
            let made = Arc::clone(&inner.made);
            let mut facts = inner.facts.clone();
            facts.set_life(tokens.life, clock);
            if let Some(scopes) = &tokens.scopes {
                facts.scopes.clone_from(scopes);
            }
            let secrets = GrantSecrets {
                access: Some(Arc::clone(&tokens.access)),
                //= https://www.rfc-editor.org/rfc/rfc6749#section-6
                //# The authorization server MAY issue a new refresh token
                refresh: tokens
                    .refresh
                    .clone()
                    .or_else(|| inner.secrets.refresh.clone()),
            };
            let registration = inner.registration.clone();
            (made, inner.disk, facts, secrets, registration)
        };
        let record = self.record(mine + 1, registration, &facts);
        self.engine.mark(Point::RenewalTaken);
        let saved = self.saved(was, &record, &secrets).await;
        self.engine.mark(Point::RenewalSaved);
        let committed = match saved {
            Ok(()) => Committed::Saved,
            Err(Refused::NotSaved(NotSaved::Contradiction)) => {
                tracing::info!(account = %self.account, "a login came first; the renewal is dropped");
                return Committed::Replaced;
            }
            Err(why) => {
                tracing::error!(account = %self.account, "a new token cannot be saved, and is used all the same: {why}");
                self.engine.mark(Point::RescueNotWritten);
                self.rescue(&record, &secrets);
                self.engine.mark(Point::RescueWritten);
                Committed::Rescued
            }
        };
        {
            let mut inner = self.inner();
            if !Arc::ptr_eq(&inner.made, &made) {
                // Configured otherwise meanwhile, as a machine perhaps. What was got is kept for when it is that again.
                return committed;
            }
            inner.life = Life::held(
                mine + 1,
                secrets.refresh.is_some(),
                facts.life(),
                self.keep_alive(),
                clock.now(),
            );
            inner.life.elsewhere = self.is_elsewhere(&facts);
            inner.facts = facts;
            inner.secrets = secrets;
            inner.by_wall = false;
            inner.unpersisted = committed == Committed::Rescued;
            if committed == Committed::Saved {
                inner.disk = mine + 1;
            } else {
                self.save_in_time(&inner);
            }
        }
        if committed == Committed::Saved {
            self.forget_rescue();
        }
        committed
    }

    pub(super) async fn saved(
        &self,
        was: u64,
        record: &GrantRecord,
        secrets: &GrantSecrets,
    ) -> Result<(), Refused> {
        let vault = &self.engine.means.vault;
        let mut tried = 1;
        loop {
            match vault.change_grant(was, record.clone(), secrets).await {
                Err(Refused::NotSaved(NotSaved::Contradiction)) => {
                    return Err(NotSaved::Contradiction.into());
                }
                Err(why) if tried < TRIES => {
                    tracing::debug!(account = %self.account, "not saved yet: {why}");
                    tried += 1;
                    tokio::time::sleep(BETWEEN).await;
                }
                saved => return saved,
            }
        }
    }

    /// Has what is not saved tried again, by one task. Whoever holds the grant while it ends or begins says so here.
    pub(super) fn save_in_time(&self, _held: &Inner) {
        let Some(me) = self.me.upgrade() else {
            return;
        };
        if !self.saving.swap(true, Ordering::Relaxed) {
            self.engine.means.tasks.spawn(me.save_later());
        }
    }

    /// Tries the disk again until it has what is in memory.
    async fn save_later(self: Arc<Self>) {
        let stopping = self.engine.means.stopping.clone();
        let mut vault = self.engine.means.vault.changes();
        let mut pause = Duration::from_secs(1);
        loop {
            let again = self.engine.now().after(pause);
            let stops = tokio::select! {
                () = self.engine.means.clock.sleep_until(again) => false,
                // Another key, perhaps: what is beside the disk was sealed with the one before.
                Ok(()) = vault.changed() => false,
                () = stopping.cancelled() => true,
            };
            if self.save_now().await || stops {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether there is nothing more to be saved.
    async fn save_now(&self) -> bool {
        let _turn = self.turn.lock().await;
        let (was, record, secrets) = {
            let inner = self.inner();
            if !inner.unpersisted {
                self.saving.store(false, Ordering::Relaxed);
                return true;
            }
            let registration = inner.registration.clone();
            let record = self.record(inner.life.generation, registration, &inner.facts);
            (inner.disk, record, inner.secrets.clone())
        };
        let generation = record.generation;
        let vault = &self.engine.means.vault;
        self.engine.mark(Point::RescueNotSaved);
        match vault.change_grant(was, record, &secrets).await {
            Ok(()) => {
                self.engine.mark(Point::RescueSaved);
                {
                    let mut inner = self.inner();
                    inner.disk = generation;
                    inner.unpersisted = false;
                    self.saving.store(false, Ordering::Relaxed);
                }
                self.forget_rescue();
                self.changes();
                tracing::info!(account = %self.account, "its tokens are saved again");
                true
            }
            Err(why) => {
                tracing::debug!(account = %self.account, "its tokens are still not saved: {why}");
                false
            }
        }
    }

    pub(super) fn record(
        &self,
        generation: u64,
        registration: Option<Arc<str>>,
        facts: &Facts,
    ) -> GrantRecord {
        GrantRecord {
            account: self.account.clone(),
            issuer: facts.issuer.clone(),
            registration,
            generation,
            facts: facts.write(),
            access_token: None,
            refresh_token: None,
        }
    }

    pub(super) fn rescue(&self, record: &GrantRecord, secrets: &GrantSecrets) {
        let Some(directory) = self.engine.rescue.as_deref() else {
            return;
        };
        let vault = &self.engine.means.vault;
        let sealed = vault.seal_grant(record.clone(), secrets);
        let written = sealed.map(|sealed| rescue::write(directory, &sealed));
        match written {
            Ok(Ok(())) => {}
            Ok(Err(why)) => {
                tracing::error!(account = %self.account, "nor can it be kept in `{}`: {why}", directory.display());
            }
            Err(why) => tracing::error!(account = %self.account, "nor can it be sealed: {why}"),
        }
    }

    pub(super) fn forget_rescue(&self) {
        if let Some(directory) = self.engine.rescue.as_deref() {
            rescue::forget(directory, &self.account);
        }
    }
}
