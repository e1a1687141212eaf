//! A connection that stands, and who uses it.
//!
//! Invariant: a connection that is being stopped is entered by nobody, and one that is in use is not stopped for
//! idleness.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::dial::Dialled;
use super::held::Held;
use super::key::Key;
use super::leg::Leg;
use super::surroundings::Stir;
use crate::credential::Given;
use crate::protocol::ServerFacts;

/// How often it is looked whether a result that streams has ended, which nobody tells.
const LOOK: Duration = Duration::from_millis(250);

/// A conversation that stands.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) leg: Leg,
    pub(super) facts: Arc<ServerFacts>,
    pub(super) key: Key,
    pub(super) since: Instant,
    /// What of the account's credential it was made with.
    pub(super) given: Given,
    /// How many attempts had failed before it stood.
    pub(super) failures: u32,
    /// Nobody shall use it any more.
    pub(super) gone: CancellationToken,
    /// Wakes its streams.
    pub(super) stir: Arc<Stir>,
    usage: Mutex<Usage>,
    /// Somebody stopped using it.
    left: Notify,
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

impl Connection {
    pub(super) fn new(
        (dialled, given): (Dialled, Given),
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
            given,
            failures,
            gone: CancellationToken::new(),
            stir: Arc::default(),
            usage: Mutex::new(Usage {
                users: 0,
                last: Instant::now(),
            }),
            left: Notify::new(),
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

    /// Resolves when nobody uses it any more, or after `limit`. It is in nobody's reach by then.
    pub(super) async fn unused(&self, limit: Duration) {
        let end = Instant::now() + limit;
        // A long result is read after its call has ended.
        let busy = || self.usage().users > 0 || self.leg.in_flight() > 0;
        while busy() && Instant::now() < end {
            let left = self.left.notified();
            if !busy() {
                return;
            }
            tokio::select! {
                () = left => {}
                () = sleep_until(Instant::now() + LOOK) => {}
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
        drop(usage);
        self.connection.left.notify_waiters();
    }
}
