//! A connection that stands, and who uses it.
//!
//! Invariant: a connection that is being stopped is entered by nobody, and one that is in use is not stopped for
//! idleness.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::dial::Dialled;
use super::key::Key;
use super::leg::Leg;
use crate::protocol::{Json, ServerFacts};

/// A conversation that stands.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) leg: Leg,
    pub(super) facts: Arc<ServerFacts>,
    pub(super) key: Key,
    pub(super) since: Instant,
    /// How many attempts had failed before it stood.
    pub(super) failures: u32,
    /// Nobody shall use it any more.
    pub(super) gone: CancellationToken,
    usage: Mutex<Usage>,
    held: Arc<Held>,
}

#[derive(Debug)]
struct Usage {
    users: usize,
    last: Instant,
}

/// Keeps a connection from being stopped for idleness.
#[derive(Debug)]
pub(super) struct Use {
    connection: Arc<Connection>,
    /// Whether a client asked for it: only that counts as use.
    asked_for: bool,
}

/// What a legacy server was asked to remember through a slot. Outlives its connections, to be said again on the next.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Which sessions are subscribed to which resources.
    subscriptions: Mutex<Subscriptions>,
    /// The parameters of the last `logging/setLevel`.
    level: Mutex<Option<Json>>,
}

type Subscriptions = BTreeMap<String, Vec<Option<Arc<str>>>>;

impl Connection {
    pub(super) fn new(
        dialled: Dialled,
        key: Key,
        since: Instant,
        failures: u32,
        held: Arc<Held>,
    ) -> Self {
        Self {
            leg: dialled.leg,
            facts: dialled.facts,
            key,
            since,
            failures,
            gone: CancellationToken::new(),
            usage: Mutex::new(Usage {
                users: 0,
                last: Instant::now(),
            }),
            held,
        }
    }

    /// Takes the connection into use; `None` if it is on its way out.
    pub(super) fn enter(self: &Arc<Self>, asked_for: bool) -> Option<Use> {
        let mut usage = self.usage();
        if self.gone.is_cancelled() {
            return None;
        }
        usage.users += 1;
        Some(Use {
            connection: Arc::clone(self),
            asked_for,
        })
    }

    /// Resolves when nobody has used it for `limit`, and then nobody can any more.
    pub(super) async fn idle(&self, limit: Duration) {
        loop {
            let due = {
                let usage = self.usage();
                let busy = usage.users > 0 || !self.held.is_empty();
                let from = if busy { Instant::now() } else { usage.last };
                from.checked_add(limit)
            };
            match due {
                Some(due) => sleep_until(due).await,
                // Later than the clock can tell.
                None => std::future::pending().await,
            }
            let usage = self.usage();
            if usage.users == 0 && self.held.is_empty() && usage.last.elapsed() >= limit {
                // Under the lock, so that nobody enters in between.
                self.gone.cancel();
                return;
            }
        }
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Use {
    /// The connection itself.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Deref for Use {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let mut usage = self.connection.usage();
        usage.users -= 1;
        if self.asked_for {
            usage.last = Instant::now();
        }
    }
}

impl Held {
    /// A session subscribed.
    pub(super) fn hold(&self, uri: &str, session: Option<&Arc<str>>) {
        let mut held = self.lock();
        let holders = held.entry(uri.to_owned()).or_default();
        if !holders.iter().any(|holder| holder.as_ref() == session) {
            holders.push(session.cloned());
        }
    }

    /// The level of log messages that was asked for last.
    pub(super) fn set_level(&self, params: Json) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(params);
    }

    /// The level that a new connection must be asked for again.
    pub(super) fn level(&self) -> Option<Json> {
        self.level
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A session unsubscribed. Whether others still hold it.
    pub(super) fn let_go(&self, uri: &str, session: Option<&Arc<str>>) -> bool {
        let mut held = self.lock();
        let Some(holders) = held.get_mut(uri) else {
            return false;
        };
        holders.retain(|holder| holder.as_ref() != session);
        if holders.is_empty() {
            held.remove(uri);
        }
        held.contains_key(uri)
    }

    /// A session ended. The resources that nobody holds any more.
    pub(super) fn release(&self, session: &Arc<str>) -> Vec<String> {
        let mut orphans = Vec::new();
        self.lock().retain(|uri, holders| {
            let before = holders.len();
            holders.retain(|holder| holder.as_ref() != Some(session));
            if holders.is_empty() && before > 0 {
                orphans.push(uri.clone());
            }
            !holders.is_empty()
        });
        orphans
    }

    /// Every resource that somebody holds.
    pub(super) fn uris(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Subscriptions> {
        self.subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_held_until_its_last_holder_lets_go() {
        let held = Held::default();
        let (a, b) = (Arc::<str>::from("a"), Arc::<str>::from("b"));
        held.hold("u", Some(&a));
        held.hold("u", Some(&a));
        held.hold("u", Some(&b));
        held.hold("v", None);
        assert!(held.let_go("u", Some(&a)));
        assert_eq!(held.release(&b), ["u"]);
        assert_eq!(held.uris(), ["v"]);
        assert!(!held.let_go("v", None) && held.is_empty());
        assert!(!held.let_go("never", None));
        assert!(held.level().is_none());
        held.set_level(Json::string("debug"));
        assert_eq!(held.level(), Some(Json::string("debug")));
    }
}
