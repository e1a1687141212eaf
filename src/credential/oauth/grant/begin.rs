//! A grant begins with a login and ends with a logout.
//!
//! Invariants:
//! - A login is on the disk before anybody sees its tokens; if the disk does not take it, there was none.
//! - A logout ends it here whatever the disk says.

use std::sync::Arc;

use super::kept::Facts;
use super::state::Life;
use super::{Grant, Inner, LoginReason, Point};
use crate::credential::oauth::granted::{Ended, Granted, RegistrationKind, Tokens};
use crate::telemetry::learn;
use crate::vault::{GrantSecrets, Refused};

impl Grant {
    /// A login succeeded: from now on this is the grant. It is on the disk when this returns.
    ///
    /// # Errors
    /// It could not be kept, and the grant is what it was.
    pub async fn begin(&self, granted: Granted) -> Result<(), Refused> {
        let Some(me) = self.me.upgrade() else {
            return Ok(());
        };
        // Whoever logged in may go away meanwhile; what came is not lost by that.
        let keeping = self
            .engine
            .means
            .tasks
            .spawn(async move { me.take(granted).await });
        keeping.await.unwrap_or(Err(Refused::Unsettled))
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

    /// Ends the grant here, always; what could be ended at the provider, and whether the store took it: if not, it would
    /// be there again after a restart.
    pub async fn end(&self) -> (Option<Ended>, Result<(), Refused>) {
        let _turn = self.turn.lock().await;
        let client = self.client().await.ok();
        let ended = {
            let mut inner = self.inner();
            let generation = inner.life.generation;
            let life = if self.configured().is_machine() {
                Life::machine()
            } else {
                // Another generation: a renewal that is under way is of one that is gone.
                Life::absent(LoginReason::LoggedOut, generation + 1)
            };
            let (challenge, waiting) = (inner.challenge.take(), inner.waiting);
            let (running, disk) = (inner.running, inner.disk);
            let mut facts = Facts::default();
            facts.set_needs(None, &self.engine.means.clock);
            std::mem::replace(
                &mut *inner,
                Inner {
                    life,
                    facts,
                    disk,
                    challenge,
                    waiting,
                    running,
                    ..Inner::absent(LoginReason::LoggedOut, generation)
                },
            )
        };
        self.engine.mark(Point::LogoutBegins);
        self.forget_rescue();
        let stored = self.engine.means.vault.end_grant(&self.account).await;
        self.engine.mark(Point::LogoutSaved);
        self.changes();
        let source = ended.facts.source();
        let tokens = ended.secrets.access.map(|access| Tokens {
            access,
            refresh: ended.secrets.refresh,
            life: None,
            scopes: None,
            id_token: None,
        });
        let ended = client.map(|registration| Ended {
            registration,
            source,
            tokens,
        });
        (ended, stored)
    }
}

fn learn_all(tokens: &Tokens) {
    learn(&tokens.access);
    tokens.refresh.iter().for_each(learn);
    tokens.id_token.iter().for_each(learn);
}
