//! From the vault to memory: what is read at the start, or when the vault is opened, and what the clocks make of it.

use super::kept::Facts;
use super::state::Life;
use super::{Grant, Inner, LoginReason, rescue};
use crate::store::GrantRecord;
use crate::vault::{GrantSecrets, NotOpened};

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
        // Each is read once: between two looks somebody may open the vault, and then what is beside the disk would be
        // taken for the disk.
        let newer = beside.unwrap_or_default();
        let newer = newer.map(|record| (self.read(&record), record));
        damaged |= matches!(newer, Some((Err(NotOpened::Damaged), _)));
        let newer = newer.filter(|_| !damaged);
        let rescued = newer.is_some();
        let (read, record) = newer.unwrap_or_else(|| (self.read(&row), row));
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
    pub(super) fn changed_while_read(&self) {
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

    /// What was kept beside the disk, if it is newer than what is on it.
    fn beside(&self, row: &GrantRecord) -> Result<Option<GrantRecord>, rescue::Damaged> {
        let Some(directory) = self.engine.rescue.as_deref() else {
            return Ok(None);
        };
        let Some(kept) = rescue::read(directory, &self.account)? else {
            return Ok(None);
        };
        let login = |record: &GrantRecord| Facts::read(&record.facts).map(|facts| facts.login);
        // One of a login that was ended, or replaced, has nothing to do with this one.
        if kept.generation > row.generation && login(&kept) == login(row) {
            tracing::info!(account = %self.account, "what could not be saved is taken from beside the disk");
            return Ok(Some(kept));
        }
        self.forget_rescue();
        Ok(None)
    }
}
