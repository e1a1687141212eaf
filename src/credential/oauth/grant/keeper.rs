//! Who begins renewals: one task that looks at all grants whenever something may be due.
//!
//! Invariants:
//! - It sleeps while no grant is there.
//! - Calls that wait go before what is done ahead of time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::breaker::{Admitted, Pass};
use super::state::Phase;
use super::{Engine, Grant};
use crate::credential::clock::Moment;

/// The two clocks are compared at least so often while there are grants.
const COMPARE: Duration = Duration::from_secs(15);
/// When they differ by more than this, one of them was set.
const DRIFT: Duration = Duration::from_secs(30);

impl Engine {
    /// Has the grants kept from now on.
    pub(super) fn keep(self: &Arc<Self>) {
        // Where nothing runs, there is nothing to be kept for.
        if tokio::runtime::Handle::try_current().is_err() || self.kept.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let engine = Arc::clone(self);
        self.means.tasks.spawn(async move {
            let stopping = engine.means.stopping.clone();
            tokio::select! {
                () = stopping.cancelled() => {}
                () = engine.keeping() => {}
            }
        });
    }

    async fn keeping(self: Arc<Self>) {
        let mut vault = self.means.vault.changes();
        loop {
            vault.mark_unchanged();
            let next = self.look();
            self.looked();
            tokio::select! {
                () = self.wake.notified() => {}
                changed = vault.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.reconsider();
                }
                () = self.until(next) => {}
            }
        }
    }

    /// A secret was set: what a client could not be proved with may be right now.
    fn reconsider(&self) {
        for grant in self.living() {
            if grant.settings().client.is_some() {
                grant.inner().life.reconsider();
            }
        }
    }

    /// What failed on the way to an authorization server is tried now, and what is due is looked at.
    pub(super) fn begin_afresh(&self) {
        for breaker in self.breakers().values_mut() {
            breaker.begin_afresh();
        }
        for grant in self.living() {
            grant.inner().life.begin_afresh();
        }
        self.wake.notify_one();
    }

    fn living(&self) -> Vec<Arc<Grant>> {
        let mut grants = self.grants();
        grants.retain(|_, grant| grant.strong_count() > 0);
        grants
            .values()
            .filter_map(std::sync::Weak::upgrade)
            .collect()
    }

    async fn until(&self, next: Option<Moment>) {
        match next {
            Some(next) => self.means.clock.sleep_until(next).await,
            None => std::future::pending().await,
        }
    }

    /// Begins what is due. When to look again.
    fn look(&self) -> Option<Moment> {
        let now = self.now();
        let drifted = self.compare_clocks();
        let grants = self.living();
        let (mut due, mut next) = (Vec::new(), None);
        let mut sooner =
            |then: Moment| next = Some(next.map_or(then, |next: Moment| next.min(then)));
        for grant in grants {
            if let Some(forward) = drifted {
                grant.reckon_anew(forward);
            }
            let (wanted, called, blocked) = {
                let mut inner = grant.inner();
                grant.answer(&mut inner);
                if inner.life.phase() == Phase::Held {
                    sooner(now.after(COMPARE));
                }
                if inner.running {
                    continue;
                }
                let blocked = inner.life.blocked.take();
                let called = inner.waiting > 0;
                let used = grant.last_used();
                if let Some(end) = inner.life.end.filter(|end| *end > now) {
                    // It may end for a person to act, though nothing renews it.
                    sooner(end);
                }
                (inner.life.next(now, used, called), called, blocked)
            };
            match wanted {
                Some(then) if then <= now => due.push((!called, grant, blocked)),
                Some(then) => sooner(then),
                None => {}
            }
        }
        due.sort_by_key(|(idle, ..)| *idle);
        for (idle, grant, blocked) in due {
            if let Some(then) = grant.start(now, !idle, blocked) {
                sooner(then);
            }
        }
        next
    }

    /// Whether the clock on the wall was set, and if so, whether forward.
    fn compare_clocks(&self) -> Option<bool> {
        let (now, wall) = (self.now(), self.means.clock.wall());
        let before = {
            let mut clocks = self
                .clocks
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            clocks.replace((now, wall))
        };
        let (then, was) = before?;
        let expected = was.checked_add(now.from(then))?;
        let ahead = wall.duration_since(expected);
        match ahead {
            Ok(ahead) if ahead > DRIFT => {
                tracing::info!("the clock was set forward by {} s", ahead.as_secs());
                Some(true)
            }
            Err(behind) if behind.duration() > DRIFT => {
                tracing::info!(
                    "the clock was set back by {} s",
                    behind.duration().as_secs()
                );
                Some(false)
            }
            _ => None,
        }
    }
}

impl Grant {
    /// Begins a renewal, if the breaker of its issuer lets it; else when to look again.
    fn start(
        self: &Arc<Self>,
        now: Moment,
        called: bool,
        blocked: Option<Moment>,
    ) -> Option<Moment> {
        let issuer = self.issuer();
        let admitted = {
            let mut breakers = self.engine.breakers();
            let breaker = breakers.entry(issuer.clone()).or_default();
            breaker.admit(now, called)
        };
        match admitted {
            Admitted::Go => {
                self.inner().running = true;
                let grant = Arc::clone(self);
                let pass = Pass::new(&self.engine, issuer);
                self.engine.means.tasks.spawn(grant.attempt(pass));
                None
            }
            // The end of that attempt wakes who keeps.
            Admitted::After => None,
            Admitted::At(then) => {
                let mut inner = self.inner();
                inner.life.blocked = Some(then);
                if inner.life.cause.is_none() {
                    inner.life.cause = Some("it does not answer".to_owned());
                }
                drop(inner);
                if blocked != Some(then) {
                    // Who waits may be told when, now that this is known.
                    self.changed.send_modify(|count| *count += 1);
                }
                Some(then)
            }
        }
    }

    /// Whose breaker counts.
    pub(super) fn issuer(&self) -> String {
        let inner = self.inner();
        match &inner.found {
            Some((found, _)) => found.issuer.clone(),
            None if inner.facts.issuer.is_empty() => format!("of {}", self.account.server()),
            None => inner.facts.issuer.clone(),
        }
    }
}
