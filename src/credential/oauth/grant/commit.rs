//! From the vault to memory and back: what is read at the start, what a login brought, what a renewal brought.
//!
//! Invariants:
//! - Nobody sees a token before it is on the disk. Where the disk fails, what came is kept beside it, which is said, and
//!   the disk is tried again until it takes it.
//! - The disk is changed by who names the generation that is on it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::kept::Facts;
use super::mark::Point;
use super::state::Life;
use super::{Grant, Granted, Inner, LoginReason, rescue};
use crate::credential::oauth::granted::{RegistrationKind, Tokens};
use crate::store::{GrantRecord, NotSaved};
use crate::telemetry::learn;
use crate::vault::{GrantSecrets, NotOpened, Refused};

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
    /// It is beside the disk.
    Rescued,
    /// The grant is another one by now, and stays as it is.
    Replaced,
}

impl Grant {
    /// Reads what the vault has, if it is open by now.
    pub(super) fn open(&self, inner: &mut Inner) {
        let vault = &self.engine.means.vault;
        let Some(row) = vault.grant(&self.account) else {
            // It was there when Janus was started; somebody forgot it since.
            inner.life = Life::absent(LoginReason::Never, inner.life.generation);
            return;
        };
        let beside = self.beside(&row);
        let mut damaged = beside.is_err();
        let mut newer = beside.unwrap_or_default();
        if let Some(record) = &newer
            && matches!(self.read(record), Err(NotOpened::Damaged))
        {
            (newer, damaged) = (None, true);
        }
        let rescued = newer.is_some();
        let record = newer.unwrap_or(row);
        let read = self.read(&record);
        if let Err(NotOpened::Sealed(_)) = read {
            // For whom it is can be read all the same.
            let facts = Facts::read(&record.facts);
            inner.life.elsewhere = facts.is_some_and(|facts| self.is_elsewhere(&facts));
            return;
        }
        if damaged {
            tracing::warn!(account = %self.account, "what was kept beside the disk is damaged; what is on the disk is used");
            self.forget_rescue();
        }
        let Ok((secrets, facts)) = read else {
            tracing::warn!(account = %self.account, "its tokens cannot be opened: the row is damaged");
            inner.life.generation = record.generation;
            inner.disk = record.generation;
            if inner.life.need(LoginReason::Lost) {
                self.notice(LoginReason::Lost);
            }
            self.changed_while_read();
            return;
        };
        if !rescued {
            inner.disk = record.generation;
        }
        inner.unpersisted = rescued;
        inner.registration.clone_from(&record.registration);
        self.hold(inner, record.generation, facts, secrets);
        let intent = vault.intent(&self.account);
        let interrupted = intent.is_some_and(|intent| intent.generation == record.generation);
        // Something newer was there, so that what is on the disk was used.
        inner.life.interrupted = (interrupted || damaged) && inner.life.renewable;
        if rescued {
            self.save_in_time(inner);
        }
        self.changed_while_read();
    }

    /// What a record says, if the vault is open and it is whole.
    fn read(&self, record: &GrantRecord) -> Result<(GrantSecrets, Facts), NotOpened> {
        let secrets = self.engine.means.vault.open_grant(record)?;
        let facts = Facts::read(&record.facts).ok_or(NotOpened::Damaged)?;
        Ok((secrets, facts))
    }

    /// Whoever reads it holds it, so that only those who wait are told.
    fn changed_while_read(&self) {
        self.changed.send_modify(|count| *count += 1);
        self.engine.wake.notify_one();
    }

    fn hold(&self, inner: &mut Inner, generation: u64, facts: Facts, secrets: GrantSecrets) {
        let clock = &self.engine.means.clock;
        let now = clock.now();
        let remembered = facts.end(clock);
        let keep = now.after(self.keep_alive().saturating_sub(facts.age(clock)));
        let renewable = secrets.refresh.is_some();
        let mut life = Life::found(generation, renewable, (remembered.end, facts.life()), keep);
        if remembered.is_odd {
            life.due_at(now);
        }
        if let Some(reason) = facts.needs() {
            life.need(reason);
        } else if secrets.access.is_none() && !renewable {
            life.need(LoginReason::Expired);
        } else if secrets.access.is_none() {
            life.refused = true;
        }
        life.elsewhere = self.is_elsewhere(&facts);
        inner.by_wall = remembered.by_wall;
        inner.life = life;
        inner.facts = facts;
        inner.secrets = secrets;
    }

    /// Whether it was granted for another server than the one that is configured.
    pub(super) fn is_elsewhere(&self, facts: &Facts) -> bool {
        facts.server != self.configured().policy.origin()
    }

    /// The clock on the wall was set: what is known by it alone is worked out anew.
    pub(super) fn reckon_anew(&self, forward: bool) {
        let clock = &self.engine.means.clock;
        let mut inner = self.inner();
        if !inner.life.holds() {
            return;
        }
        if inner.by_wall {
            let remembered = inner.facts.end(clock);
            let life = inner.facts.life();
            inner.life.ends(remembered.end, life);
            if remembered.is_odd {
                inner.life.due_at(clock.now());
            }
        } else if forward && inner.life.end.is_some() {
            // The machine may have been stopped from outside, where no clock of its own goes on.
            inner.life.due_at(clock.now());
        }
    }

    /// What a login brought.
    pub(super) async fn take(self: Arc<Self>, granted: Granted) -> Result<(), Refused> {
        let _turn = self.turn.lock().await;
        let clock = &self.engine.means.clock;
        learn_all(&granted.tokens);
        let mut facts = Facts::of(&granted);
        facts.set_life(granted.tokens.life, clock);
        let secrets = GrantSecrets {
            access: Some(Arc::clone(&granted.tokens.access)),
            refresh: granted.tokens.refresh.clone(),
        };
        let dynamic = granted.registration.kind == RegistrationKind::Dynamic;
        let registration = dynamic.then(|| Arc::clone(&granted.registration.id));
        if dynamic {
            let records = self.engine.means.vault.registrations();
            if !records.iter().any(|one| one.id == granted.registration.id) {
                self.keep_registration(&granted.registration).await?;
            }
        }
        let generation = {
            let inner = self.inner();
            let kept = self.engine.means.vault.grant(&self.account);
            let kept = kept.map_or(0, |record| record.generation);
            inner.life.generation.max(inner.disk).max(kept) + 1
        };
        let record = self.record(generation, registration.clone(), &facts);
        self.engine.mark(Point::LoginTaken);
        let vault = &self.engine.means.vault;
        vault.begin_grant(record, &secrets).await?;
        self.engine.mark(Point::LoginSaved);
        {
            let mut inner = self.inner();
            let renewable = secrets.refresh.is_some();
            let mut life = Life::held(
                generation,
                renewable,
                granted.tokens.life,
                self.keep_alive(),
                clock.now(),
            );
            // Another server may have been configured while the person was at the provider.
            life.elsewhere = self.is_elsewhere(&facts);
            let (challenge, waiting, running) =
                (inner.challenge.take(), inner.waiting, inner.running);
            *inner = Inner {
                life,
                facts,
                registration,
                secrets,
                challenge,
                waiting,
                running,
                ..Inner::absent(LoginReason::Never, generation)
            };
        }
        self.forget_rescue();
        let client = (
            granted.source.issuer.as_str(),
            granted.registration.client_id.as_str(),
        );
        self.engine
            .siblings()
            .logged_in(&self.account, client, clock.now());
        self.changes();
        self.forget_other_registrations(&granted.source.issuer)
            .await;
        tracing::info!(account = %self.account, "logged in");
        Ok(())
    }

    /// Earlier registrations of this account at the issuer: the login that used them is replaced.
    async fn forget_other_registrations(&self, issuer: &str) {
        let mine = self.inner().registration.clone();
        let vault = &self.engine.means.vault;
        let used: Vec<Arc<str>> = vault
            .granted()
            .iter()
            .filter_map(|account| vault.grant(account)?.registration)
            .collect();
        let others: Vec<Arc<str>> = self
            .registrations(issuer)
            .into_iter()
            .map(|record| record.id)
            .filter(|id| mine.is_some() && Some(id) != mine.as_ref() && !used.contains(id))
            .collect();
        if let Err(why) = vault.forget_registrations(others).await {
            tracing::debug!(account = %self.account, "an earlier registration stays: {why}");
        }
    }

    /// What a renewal of generation `mine` brought. What becomes of it, and who has it by now.
    pub(super) async fn renewed(self: &Arc<Self>, mine: u64, tokens: &Tokens) -> Committed {
        let _turn = self.turn.lock().await;
        let clock = &self.engine.means.clock;
        let (was, facts, secrets, registration) = {
            let inner = self.inner();
            if inner.life.generation != mine || !inner.life.holds() {
                return Committed::Replaced;
            }
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
            (inner.disk, facts, secrets, inner.registration.clone())
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

    async fn saved(
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
    fn save_in_time(&self, _held: &Inner) {
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
        let mut pause = Duration::from_secs(1);
        loop {
            let again = self.engine.now().after(pause);
            let stops = tokio::select! {
                () = self.engine.means.clock.sleep_until(again) => false,
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

    /// A person is needed from now on. `wipe`: the tokens are good for nothing any more.
    pub(super) async fn needs(self: &Arc<Self>, mine: u64, reason: LoginReason, wipe: bool) {
        let _turn = self.turn.lock().await;
        {
            let mut inner = self.inner();
            if inner.life.generation != mine || !inner.life.holds() {
                return;
            }
            if wipe {
                inner.secrets = GrantSecrets::default();
            }
            self.need(&mut inner, reason);
        }
        self.changes();
        self.save_need(mine).await;
    }

    /// The same where somebody holds it, who cannot wait for the disk.
    pub(super) fn needs_now(&self, inner: &mut Inner, reason: LoginReason) {
        self.need(inner, reason);
        self.changed_while_read();
        let Some(me) = self.me.upgrade() else {
            return;
        };
        let mine = inner.life.generation;
        self.engine.means.tasks.spawn(async move {
            let _turn = me.turn.lock().await;
            me.save_need(mine).await;
        });
    }

    /// The one place where a grant comes to need a person: it is said once, and written down to be kept.
    fn need(&self, inner: &mut Inner, reason: LoginReason) {
        if inner.life.need(reason) {
            let clock = &self.engine.means.clock;
            inner.facts.set_needs(Some(reason), clock);
            self.notice(reason);
        }
    }

    /// Has it on the disk that generation `mine` needs a person, unless it is another one by now.
    async fn save_need(&self, mine: u64) {
        let (was, record, secrets) = {
            let inner = self.inner();
            if inner.life.generation != mine || inner.facts.needs().is_none() {
                return;
            }
            let registration = inner.registration.clone();
            let record = self.record(mine, registration, &inner.facts);
            (inner.disk, record, inner.secrets.clone())
        };
        if self.saved(was, &record, &secrets).await.is_ok() {
            self.inner().disk = record.generation;
            self.forget_rescue();
        } else {
            // After a restart it would be asked once more, and told the same.
            tracing::warn!(account = %self.account, "that it needs a login could not be saved");
        }
    }

    fn record(
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

    /// What was kept beside the disk, if it is newer than what is on it.
    fn beside(&self, row: &GrantRecord) -> Result<Option<GrantRecord>, rescue::Damaged> {
        let Some(directory) = self.engine.rescue.as_deref() else {
            return Ok(None);
        };
        let Some(kept) = rescue::read(directory, &self.account)? else {
            return Ok(None);
        };
        if kept.generation > row.generation {
            tracing::info!(account = %self.account, "what could not be saved is taken from beside the disk");
            return Ok(Some(kept));
        }
        self.forget_rescue();
        Ok(None)
    }

    fn rescue(&self, record: &GrantRecord, secrets: &GrantSecrets) {
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

fn learn_all(tokens: &Tokens) {
    learn(&tokens.access);
    tokens.refresh.iter().for_each(learn);
    tokens.id_token.iter().for_each(learn);
}
