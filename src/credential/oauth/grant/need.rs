//! A grant comes to need a person: said once, and written down to be kept.

use std::sync::Arc;

use super::{Grant, Inner, LoginReason, Notice};
use crate::store::NotSaved;
use crate::vault::{GrantSecrets, Refused};

impl Grant {
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

    /// Where a grant comes to need a person it is said once, and written down to be kept. A row that cannot be read (`open`)
    /// is said alone: there is nothing to write it into.
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
        let saved = match self.saved(was, &record, &secrets).await {
            // A login came first.
            Err(Refused::NotSaved(NotSaved::Contradiction)) => return,
            saved => saved.is_ok(),
        };
        let mut inner = self.inner();
        if inner.life.generation != mine {
            return;
        }
        inner.unpersisted = !saved;
        if saved {
            inner.disk = record.generation;
            drop(inner);
            self.forget_rescue();
        } else {
            // After a restart before it is saved, the provider would be asked once more, and say the same.
            tracing::warn!(account = %self.account, "that it needs a login could not be saved yet");
            self.save_in_time(&inner);
        }
    }

    /// A person is needed, and that is new.
    pub(super) fn notice(&self, reason: LoginReason) {
        tracing::warn!(
            event = "grant_ended",
            account = %self.account,
            reason = reason.word(),
            "{} needs a login: {}; run: janus login {}",
            self.account,
            reason.told(),
            self.account,
        );
        // Nobody may be listening.
        let account = self.account.clone();
        self.engine.notices.send(Notice { account, reason }).ok();
    }
}
