//! Keeps the lists of an account: one task reads what changed, one swap shows it, then it is saved and told.
//!
//! Invariants:
//! - Announcements that come while a list is being read lead to one more reading, however many they are.
//! - A list that cannot be read leaves the old one in its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::account::Account;
use super::backoff::chance;
use super::change::Change;
use super::connection::Use;
use super::handshake::unreachable;
use super::lists::{self, Fetched};
use super::{Failure, listen};
use crate::protocol::{ListKind, ServerFacts};

/// A server that says its lists are stale at once would otherwise be asked without end.
const LEAST: Duration = Duration::from_secs(30);
/// When a list that could not be read is asked for again.
const RETRY: Duration = Duration::from_mins(1);

/// The lists that shall be read again.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// And whether the server said that they changed.
    kinds: Mutex<BTreeMap<ListKind, bool>>,
    notify: Notify,
}

impl Wanted {
    /// The server said that it changed.
    pub(super) fn announced(&self, kind: ListKind) {
        self.kinds().insert(kind, true);
        self.notify.notify_one();
    }

    /// It may have changed.
    pub(super) fn stale(&self, kind: ListKind) {
        self.kinds().entry(kind).or_default();
        self.notify.notify_one();
    }

    /// Everything may have changed.
    pub(super) fn all(&self) {
        for kind in ListKind::ALL {
            self.stale(kind);
        }
    }

    fn take(&self) -> BTreeMap<ListKind, bool> {
        std::mem::take(&mut *self.kinds())
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeMap<ListKind, bool>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// Reads lists until Janus stops.
    pub(super) async fn refresh(self: Arc<Self>) {
        let mut due: BTreeMap<ListKind, Instant> = BTreeMap::new();
        let mut unread = BTreeSet::from(ListKind::ALL);
        loop {
            let first = due.values().min().copied();
            let expiry = async {
                match first {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                () = self.wanted.notify.notified() => {}
                () = expiry => {}
            }
            let now = Instant::now();
            due.retain(|kind, at| {
                let later = *at > now;
                if !later {
                    self.wanted.stale(*kind);
                }
                later
            });
            // A process that was stopped for idleness is not started for this; whoever connects wants all lists anyway.
            let standing = self.shared().standing();
            let Some(used) = standing.and_then(|connection| connection.enter(false)) else {
                continue;
            };
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                () = used.gone.cancelled() => {}
                () = Box::pin(self.pass(&used, &mut due, &mut unread)) => {}
            }
        }
    }

    /// Connects, if its lists were never read, and waits until they are. At once for one whose lists are known.
    ///
    /// # Errors
    /// Why they are not.
    pub(super) async fn listed(self: &Arc<Self>) -> Result<(), Failure> {
        let mut listing = self.listing.subscribe();
        if listing.borrow_and_update().server.is_some() {
            return Ok(());
        }
        let used = self.wait(&self.shared()).await?;
        tokio::select! {
            biased;
            read = listing.wait_for(|listing| listing.server.is_some()) => {
                read.map(|_| ()).map_err(|_| self.stopping())
            }
            () = self.shutdown.cancelled() => Err(self.stopping()),
            () = used.gone.cancelled() => {
                let reason = "the connection broke before its lists were read";
                Err(unreachable(self.id(), reason.to_owned()))
            }
        }
    }

    /// Reads what is wanted and shows it.
    async fn pass(
        &self,
        used: &Use,
        due: &mut BTreeMap<ListKind, Instant>,
        unread: &mut BTreeSet<ListKind>,
    ) {
        let wanted = self.wanted.take();
        let reading = wanted.keys().map(|&kind| self.read(used, kind));
        let read: Vec<_> = join_all(reading).await;
        let now = Instant::now();
        let mut changes = Vec::new();
        self.listing.send_modify(|listing| {
            let mut new = listing.as_ref().clone();
            new.server = Some(Arc::clone(&used.facts));
            for ((&kind, &announced), fetched) in wanted.iter().zip(&read) {
                let Ok(fetched) = fetched else { continue };
                let identical = new.of(kind)[..] == fetched.items[..];
                if !identical {
                    *new.of_mut(kind) = fetched.items.as_slice().into();
                }
                if announced || !identical {
                    changes.push((kind, identical));
                }
            }
            *listing = Arc::new(new);
        });
        for (&kind, fetched) in wanted.keys().zip(&read) {
            match fetched {
                Ok(fetched) => {
                    unread.remove(&kind);
                    due.remove(&kind);
                    due.extend(
                        fresh_for(&used.facts, kind, fetched.ttl).map(|ttl| (kind, now + ttl)),
                    );
                }
                Err(failure) => {
                    tracing::warn!(account = %self.id(), list = kind.member(), "the list could not be read: {}", failure.reason());
                    due.insert(kind, now + RETRY);
                }
            }
        }
        self.save(unread.is_empty());
        self.settled.send_replace(true);
        for (kind, identical) in changes {
            self.tell(Change::Listed {
                account: self.id().clone(),
                kind,
                identical,
            });
        }
    }

    async fn read(&self, used: &Use, kind: ListKind) -> Result<Fetched, Failure> {
        if !lists::offered(&used.facts, kind) {
            return Ok(Fetched::default());
        }
        lists::read(self.id(), used, kind).await
    }
}

/// When a list is read again without being announced. A server that announces its changes need not be asked because it
/// calls its answer stale at once.
fn fresh_for(facts: &ServerFacts, kind: ListKind, ttl: Option<Duration>) -> Option<Duration> {
    let ttl = ttl?;
    if ttl.is_zero() && listen::announces(facts, kind) {
        return None;
    }
    // 2026-07-28, server/utilities/caching: whoever polls must apply jitter. A month is for ever.
    let ttl = ttl.clamp(LEAST, Duration::from_hours(24 * 30));
    Some(ttl.mul_f64(1.0 + chance() / 10.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Json, Revision};

    fn facts(capabilities: &str) -> ServerFacts {
        ServerFacts {
            revision: Revision::LATEST_MODERN,
            capabilities: Json::parse(capabilities.to_owned().into())
                .unwrap()
                .object()
                .unwrap(),
            info: None,
            instructions: None,
        }
    }

    #[test]
    fn a_list_is_asked_for_again_when_it_expires_and_never_without_end() {
        let (quiet, loud) = (
            facts(r#"{"tools":{}}"#),
            facts(r#"{"tools":{"listChanged":true}}"#),
        );
        let after = |facts, ttl| fresh_for(facts, ListKind::Tools, ttl);
        assert_eq!(after(&quiet, None), None);
        assert_eq!(after(&loud, Some(Duration::ZERO)), None);
        assert!(after(&quiet, Some(Duration::ZERO)).unwrap() >= LEAST);
        assert!(after(&quiet, Some(Duration::MAX)).unwrap() < Duration::from_hours(24 * 40));
        let hour = after(&loud, Some(Duration::from_hours(1))).unwrap();
        assert!(hour >= Duration::from_hours(1) && hour <= Duration::from_mins(66));
    }

    #[test]
    fn an_announcement_outlives_a_mere_suspicion() {
        let wanted = Wanted::default();
        wanted.announced(ListKind::Tools);
        wanted.all();
        let taken = wanted.take();
        assert_eq!(taken.len(), 4);
        assert!(taken[&ListKind::Tools] && !taken[&ListKind::Prompts]);
        assert!(wanted.take().is_empty());
    }
}
