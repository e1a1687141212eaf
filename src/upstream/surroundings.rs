//! What a change of the machine's surroundings means for the connections: what waits to be tried again is tried now, and
//! what stands is looked at before a call finds out.
//!
//! Invariants:
//! - No call in flight is ended because the machine slept, or because a network is out of sight: it may be answered yet.
//! - Whoever calls this bounds how often: every change costs each remote server one request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::account::Account;
use super::backoff::chance;
use super::connect::Slot;
use super::connection::Connection;
use super::handshake::unreachable;
use super::key::Key;
use super::leg::Leg;
use super::{Failure, Upstream};
use crate::model::Surroundings;
use crate::protocol::Era;

/// Remote accounts come back within this, each at a time of its own: a provider sees no burst, and nobody notices.
const SPREAD: Duration = Duration::from_millis(500);
/// Processes within this: thirty that start at once keep a laptop busy.
const SPREAD_OF_PROCESSES: Duration = Duration::from_secs(5);
/// The answer of HTTP+SSE comes on a stream that may be dead, which nothing else shows.
const SIGN: Duration = Duration::from_secs(10);

/// Wakes the streams of one connection that tell of changes, and says what the server says of them.
#[derive(Debug)]
pub(super) struct Stir {
    /// Where one is open, it may be dead.
    suspect: Notify,
    /// Where one could not be opened, it may be now.
    afresh: Notify,
    /// Whether the server refused the credential the last time.
    refused: watch::Sender<bool>,
}

impl Default for Stir {
    fn default() -> Self {
        Self {
            suspect: Notify::new(),
            afresh: Notify::new(),
            refused: watch::Sender::new(false),
        }
    }
}

impl Stir {
    /// Resolves when a stream that is open shall be opened anew.
    pub(super) async fn suspected(&self) {
        self.suspect.notified().await;
    }

    /// What came of opening a stream.
    pub(super) fn opened(&self, refused: bool) {
        self.refused
            .send_if_modified(|was| std::mem::replace(was, refused) != refused);
    }

    /// Waits so long, unless it is worth trying before.
    pub(super) async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.afresh.notified() => {}
        }
    }
}

impl Upstream {
    /// Tells every connection.
    pub fn heed(&self, change: &Surroundings) {
        for account in self.accounts().values() {
            account.heed(change);
        }
    }
}

impl Account {
    fn heed(self: &Arc<Self>, change: &Surroundings) {
        match change {
            Surroundings::Slept => {
                self.dial.dial_anew();
                self.afresh();
                self.look();
            }
            Surroundings::Reachable => self.afresh(),
            Surroundings::Lost(addresses) => {
                self.dial.dial_anew();
                self.dial.cut(addresses);
                self.look();
            }
        }
    }

    /// Follows what the server says of the streams' credential, which somebody may have revoked while nobody calls.
    pub(super) async fn follow_refusals(&self, slot: &Slot, connection: &Connection) {
        let mut refused = connection.stir.refused.subscribe();
        // The connection has the sender.
        while refused.changed().await.is_ok() {
            if *refused.borrow_and_update() {
                tracing::warn!(account = %self.id(), "the server refuses the credential that it took before (HTTP 401)");
                self.refused(slot, 401);
            } else {
                self.well(slot, connection);
            }
        }
    }

    /// What waits is tried now.
    fn afresh(&self) {
        self.stirred.send_modify(|times| *times += 1);
        for slot in self.slots() {
            if let Some(connection) = slot.standing() {
                connection.stir.afresh.notify_waiters();
            }
        }
    }

    /// Resolves after the next change that makes an attempt worthwhile, at this account's own time.
    pub(super) async fn worth_trying(&self, mut stirred: watch::Receiver<u64>) {
        if stirred.changed().await.is_err() {
            return std::future::pending().await;
        }
        let spread = if self.dial.is_pipe() {
            SPREAD_OF_PROCESSES
        } else {
            SPREAD
        };
        sleep(spread.mul_f64(chance())).await;
    }

    /// Asks the servers of the connections that stand. Processes sleep as Janus does, and are no further away than before.
    fn look(self: &Arc<Self>) {
        for slot in self.slots() {
            let Some(connection) = slot.standing() else {
                continue;
            };
            if matches!(connection.leg, Leg::Stdio(_)) {
                continue;
            }
            let account = Arc::clone(self);
            self.tasks.spawn(async move {
                let shutdown = account.shutdown.clone();
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = account.ask_whether_there(&slot, &connection) => {}
                }
            });
        }
    }

    async fn ask_whether_there(self: &Arc<Self>, slot: &Arc<Slot>, connection: &Arc<Connection>) {
        sleep(SPREAD.mul_f64(chance())).await;
        let Some(used) = connection.enter(false) else {
            return;
        };
        let revision = used.facts.revision;
        let question = match revision.era() {
            Era::Legacy => "ping",
            Era::Modern => "server/discover",
        };
        let asking = used.leg.own(self.id(), question, None, revision);
        let answer = match (&used.leg, timeout(SIGN, asking).await) {
            (_, Ok(answer)) => answer,
            (Leg::Sse(_), Err(_)) => {
                let reason = format!("it gave no sign for {} s", SIGN.as_secs());
                Err(unreachable(self.id(), reason))
            }
            // It is there, and slow.
            (_, Err(_)) => return,
        };
        match answer {
            Ok(_) => connection.stir.suspect.notify_waiters(),
            Err(failure @ (Failure::Unreachable { .. } | Failure::Interrupted { .. })) => {
                self.lost(slot, connection, unreachable(self.id(), failure.reason()));
            }
            Err(failure) => {
                self.failed(slot, &used, &failure);
                let forgotten = matches!(failure, Failure::SessionUnknown { .. });
                if forgotten && slot.key == Key::Shared {
                    self.begin(slot);
                }
            }
        }
    }
}
