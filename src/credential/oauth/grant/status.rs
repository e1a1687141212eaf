//! How a grant stands, for people and for those who follow it.

use std::time::{Duration, SystemTime};

use super::kept::{Facts, RegistrationFacts};
use super::state::Phase;
use super::{Grant, Inner, LoginReason};
use crate::credential::oauth::granted::{Identity, Source};

/// A secret that ends this soon is shown.
const SOON: Duration = Duration::from_hours(7 * 24);

/// How a grant stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantState {
    /// There is none.
    Absent,
    /// Its token is valid.
    Fresh,
    /// Its token is valid, and a newer one is wanted.
    Due,
    /// Its token has ended; a newer one is on its way.
    Expired,
    /// A person must log in.
    NeedsLogin(LoginReason),
    /// The vault is locked.
    Sealed,
}

/// How a grant stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantStatus {
    /// In one word.
    pub state: GrantState,
    /// Since when.
    pub since: SystemTime,
    /// How long the access token is valid; `None`: it did not say, or there is none.
    pub left: Option<Duration>,
    /// How long until a newer one is looked for; `None`: there is nothing to renew it with.
    pub renews: Option<Duration>,
    /// Who logged in; `None` where nobody did, or that could not be learnt.
    pub verified_as: Option<Identity>,
    /// Who logged in the last time that this could be learnt: what the next login is held against.
    pub known_as: Option<Identity>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// By whom.
    pub issuer: Option<String>,
    /// Why the last renewal failed, and when the next one is.
    pub backoff: Option<(String, Duration)>,
    /// Somebody must correct what the last renewal failed of.
    pub stuck: bool,
    /// Newer than what is on the disk.
    pub unpersisted: bool,
    /// When the client's secret ends, if that is soon.
    pub secret_expires: Option<SystemTime>,
    /// Counts what was granted.
    pub generation: u64,
}

impl Grant {
    /// How it stands now.
    pub fn status(&self) -> GrantStatus {
        let now = self.engine.now();
        let optional = self.configured().optional;
        let mut inner = self.inner();
        self.answer(&mut inner);
        let state = match (inner.life.state(now), inner.life.phase()) {
            (GrantState::Absent, Phase::Absent(reason)) if !optional || inner.asked => {
                GrantState::NeedsLogin(reason)
            }
            (state, _) => state,
        };
        let there = !matches!(inner.life.phase(), Phase::Absent(_));
        let nothing = Facts::default();
        let facts = if inner.life.elsewhere {
            &nothing
        } else {
            &inner.facts
        };
        let next = inner.life.waits_until(now);
        let backoff = inner.life.cause.clone().map(|cause| {
            let next = next.map_or(Duration::ZERO, |next| next.from(now));
            (cause, next)
        });
        GrantStatus {
            since: facts.since(),
            left: inner
                .life
                .end
                .filter(|_| inner.life.phase() == Phase::Held)
                .map(|end| end.from(now)),
            renews: inner.life.due(now).filter(|_| inner.life.renewable),
            verified_as: facts.verified_as(),
            known_as: facts.known_as(),
            scopes: facts.scopes.clone(),
            issuer: there
                .then(|| facts.issuer.clone())
                .filter(|issuer| !issuer.is_empty()),
            backoff,
            stuck: inner.life.stuck,
            unpersisted: inner.unpersisted,
            secret_expires: self.secret_expires(&inner),
            generation: inner.life.generation,
            state,
        }
    }

    /// When the client's secret ends, if that is soon.
    fn secret_expires(&self, inner: &Inner) -> Option<SystemTime> {
        let id = inner.registration.as_ref()?;
        let records = self.engine.means.vault.registrations();
        let record = records.into_iter().find(|record| record.id == *id)?;
        let end = RegistrationFacts::read(&record.facts)?.secret_expires()?;
        (end <= self.engine.means.clock.wall() + SOON).then_some(end)
    }

    /// From where the tokens are, if somebody has logged in.
    pub fn source(&self) -> Option<Source> {
        let mut inner = self.inner();
        self.answer(&mut inner);
        if let Some((found, _)) = &inner.found {
            return Some(found.clone());
        }
        let is_known = !inner.life.elsewhere && !inner.facts.issuer.is_empty();
        is_known.then(|| inner.facts.source())
    }

    /// How long until a newer token is worth looking for.
    pub(in crate::credential) fn due(&self) -> Option<Duration> {
        let inner = self.inner();
        inner.life.due(self.engine.now())
    }

    /// How long the token at hand is valid, where it ends.
    pub(in crate::credential) fn left(&self) -> Option<Duration> {
        let inner = self.inner();
        let end = inner.life.end.filter(|_| inner.life.phase() == Phase::Held);
        Some(end?.from(self.engine.now()))
    }
}
