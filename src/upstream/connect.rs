//! One place for one connection of an account: connects it once for all who wait, and again after it was lost.
//!
//! Invariants:
//! - At most one attempt is under way for a slot; all who wait share it and its result.
//! - A caller who goes away ends no attempt that others may wait for.
//! - Only the shared connection is brought back by itself; others when somebody needs them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::account::Account;
use super::backoff;
use super::change::State;
use super::connection::{Connection, Use};
use super::dial::Dialled;
use super::held::Held;
use super::key::Key;
use super::{Failure, keeper, listen};
use crate::credential::oauth::LoginReason;
use crate::credential::{Given, NoCredential};

/// A caller does not try again what was tried this short a time ago: a server that crashes at once would be started as
/// often as a client repeats itself.
const FRESH: Duration = Duration::from_secs(1);
/// A connection that stood this long was a working one, and its end begins a new count.
const STOOD: Duration = Duration::from_secs(10);
/// Calls on a connection that another one replaces get this long.
const LAST_CALLS: Duration = Duration::from_mins(10);
/// And this long when the account ends, or Janus does.
const FAREWELL: Duration = Duration::from_secs(10);
/// After so many failures in a row the pauses are at their longest, and a person should look.
const MANY: u32 = 7;

/// The place of one connection.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: Key,
    status: watch::Sender<Status>,
    pub(super) held: Arc<Held>,
}

#[derive(Debug, Clone)]
enum Status {
    Idle,
    Connecting,
    Ready(Arc<Connection>),
    Down(Down),
    /// Its session ended, or Janus does.
    Closed,
}

/// Why there is no connection.
#[derive(Debug, Clone)]
struct Down {
    failure: Failure,
    /// When the attempt began that failed, or the connection that was lost.
    began: Instant,
    failures: u32,
    next: Option<Instant>,
}

impl Slot {
    pub(super) fn new(key: Key) -> Self {
        Self {
            key,
            status: watch::Sender::new(Status::Idle),
            held: Arc::default(),
        }
    }

    /// The connection, if one stands.
    pub(super) fn standing(&self) -> Option<Arc<Connection>> {
        match &*self.status.borrow() {
            Status::Ready(connection) if !connection.gone.is_cancelled() => {
                Some(Arc::clone(connection))
            }
            _ => None,
        }
    }

    /// Takes the connection away for good; what stood is given back to be ended.
    pub(super) fn close(&self) -> Option<Arc<Connection>> {
        let Status::Ready(connection) = self.status.send_replace(Status::Closed) else {
            return None;
        };
        connection.gone.cancel();
        Some(connection)
    }

    /// Takes this connection out of everybody's reach, if it is still there. Who uses it goes on doing so.
    fn take(&self, connection: &Arc<Connection>) -> bool {
        self.status.send_if_modified(|now| {
            let ours = matches!(now, Status::Ready(ready) if Arc::ptr_eq(ready, connection));
            if ours {
                *now = Status::Idle;
            }
            ours
        })
    }

    /// Puts another status in the place of this connection, if it is still there.
    fn replace(&self, connection: &Arc<Connection>, status: Status) -> bool {
        connection.gone.cancel();
        self.status.send_if_modified(|now| {
            let ours = matches!(now, Status::Ready(ready) if Arc::ptr_eq(ready, connection));
            if ours {
                *now = status;
            }
            ours
        })
    }
}

impl Account {
    /// A connection to use: the one that stands, or the result of the attempt under way, or of a new one.
    ///
    /// # Errors
    /// Why there is none. Nothing was sent.
    pub(super) async fn ready(self: &Arc<Self>, slot: &Arc<Slot>) -> Result<Use, Failure> {
        let mut status = slot.status.subscribe();
        let mut waited = false;
        loop {
            let now = status.borrow_and_update().clone();
            match now {
                Status::Ready(connection) => {
                    if let Some(used) = connection.enter(true) {
                        return Ok(used);
                    }
                    self.begin(slot);
                }
                Status::Connecting => {}
                Status::Down(down) if waited || down.began.elapsed() < FRESH => {
                    return Err(down.failure());
                }
                Status::Idle | Status::Down(_) => self.begin(slot),
                Status::Closed => return Err(self.stopping()),
            }
            if self.shutdown.is_cancelled() {
                return Err(self.stopping());
            }
            waited = true;
            if status.changed().await.is_err() {
                return Err(self.stopping());
            }
        }
    }

    /// Starts an attempt, unless one is under way or not needed.
    pub(super) fn begin(self: &Arc<Self>, slot: &Arc<Slot>) {
        self.begin_after(slot, |down| down.failures);
    }

    /// The same, where so many of the failures before count.
    fn begin_after(self: &Arc<Self>, slot: &Arc<Slot>, counted: impl Fn(&Down) -> u32) {
        if self.shutdown.is_cancelled() {
            return;
        }
        let mut failures = None;
        slot.status.send_if_modified(|status| {
            failures = match status {
                Status::Idle => Some(0),
                Status::Down(down) => Some(counted(down)),
                Status::Ready(connection) if connection.gone.is_cancelled() => Some(0),
                Status::Ready(_) | Status::Connecting | Status::Closed => None,
            };
            if failures.is_some() {
                *status = Status::Connecting;
            }
            failures.is_some()
        });
        if let Some(failures) = failures {
            let (account, slot) = (Arc::clone(self), Arc::clone(slot));
            self.tasks
                .spawn(async move { account.attempt(&slot, failures).await });
        }
    }

    async fn attempt(self: Arc<Self>, slot: &Arc<Slot>, failures: u32) {
        let began = Instant::now();
        self.show(slot, || State::Connecting);
        let dialled = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Err(self.stopping()),
            dialled = Box::pin(self.dial.connect(&slot.key)) => dialled,
        };
        match dialled {
            Ok(dialled) => self.stand(slot, dialled, failures).await,
            Err(failure) => {
                if !matches!(failure, Failure::Stopping { .. }) {
                    tracing::warn!(account = %self.id(), "{failure}");
                }
                let failures = failures.saturating_add(1);
                let down = Self::down(slot, failure, began, failures);
                let connecting = slot.status.send_if_modified(|status| {
                    let ours = matches!(status, Status::Connecting);
                    if ours {
                        *status = Status::Down(down.clone());
                    }
                    ours
                });
                if connecting {
                    self.after(slot, &down);
                }
            }
        }
    }

    /// A connection that stands already takes its place.
    pub(super) async fn stand_adopted(self: &Arc<Self>, key: Key, dialled: (Dialled, Given)) {
        let slot = self.slot(key);
        slot.status.send_replace(Status::Connecting);
        self.stand(&slot, dialled, 0).await;
    }

    async fn stand(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        (mut dialled, given): (Dialled, Given),
        failures: u32,
    ) {
        let (_, none) = tokio::sync::mpsc::channel(1);
        let inbox = std::mem::replace(&mut dialled.inbox, none);
        let (key, held) = (slot.key.clone(), Arc::clone(&slot.held));
        let connection = Arc::new(Connection::new(
            (dialled, given),
            key,
            Instant::now(),
            failures,
            held,
        ));
        let stands = slot.status.send_if_modified(|status| {
            let ours = matches!(status, Status::Connecting);
            if ours {
                *status = Status::Ready(Arc::clone(&connection));
            }
            ours
        });
        if !stands {
            // The session ended meanwhile.
            connection.leg.end().await;
            return;
        }
        let revision = connection.facts.revision;
        tracing::info!(account = %self.id(), %revision, "connected");
        self.show(slot, || State::Ready {
            era: revision.era(),
            revision,
        });
        let keep = keeper::keep(
            Arc::clone(self),
            Arc::clone(slot),
            Arc::clone(&connection),
            inbox,
        );
        self.tasks.spawn(keep);
        let listen = listen::run(Arc::clone(self), Arc::clone(slot), Arc::clone(&connection));
        self.tasks.spawn(listen);
        if slot.key == Key::Shared {
            self.wanted.all();
        }
    }

    /// A connection is lost. The shared one comes back by itself.
    pub(super) fn lost(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        connection: &Arc<Connection>,
        failure: Failure,
    ) {
        let failures = if connection.since.elapsed() >= STOOD {
            0
        } else {
            connection.failures.saturating_add(1)
        };
        let down = Self::down(slot, failure, connection.since, failures);
        if slot.replace(connection, Status::Down(down.clone())) {
            tracing::warn!(account = %self.id(), "{}", down.failure);
            self.after(slot, &down);
        }
    }

    /// A connection is of no more use though nothing is wrong: the next call makes another one.
    pub(super) fn retire(&self, slot: &Slot, connection: &Arc<Connection>) {
        if slot.replace(connection, Status::Idle) {
            self.show(slot, || State::Idle);
        }
    }

    /// Another connection takes the place of this one, with the values that count now: new calls wait for it, those that
    /// run end on the old one.
    pub(super) async fn supersede(self: Arc<Self>, slot: Arc<Slot>, connection: Arc<Connection>) {
        if !slot.take(&connection) {
            return;
        }
        tracing::info!(account = %self.id(), "its credential changed; a new connection takes over");
        if slot.key == Key::Shared {
            self.begin(&slot);
        }
        tokio::select! {
            () = connection.unused(LAST_CALLS) => {}
            () = async {
                self.shutdown.cancelled().await;
                connection.unused(FAREWELL).await;
            } => {}
        }
        connection.gone.cancel();
        // A session is given back, a process is ended.
        connection.leg.end().await;
    }

    fn down(slot: &Slot, failure: Failure, began: Instant, failures: u32) -> Down {
        let wish = match &failure {
            Failure::Unreachable { retry_in, .. } => retry_in.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let by_itself = slot.key == Key::Shared
            && match &failure {
                Failure::Rejected { .. }
                | Failure::NeedsScope { .. }
                | Failure::Stopping { .. } => false,
                // A command may work the next time; what a person must set is told of by the vault.
                Failure::NoCredential { why, .. } => why.may_pass(),
                _ => true,
            };
        let pause = backoff::pause(failures.saturating_sub(1), backoff::chance());
        // A server's wish is heard up to a limit: it may be a mistake.
        let pause = pause.max(wish.min(backoff::MOST * 10));
        Down {
            failure,
            began,
            failures,
            next: by_itself.then(|| Instant::now() + pause),
        }
    }

    /// Says how things stand and arranges the next attempt.
    fn after(self: &Arc<Self>, slot: &Arc<Slot>, down: &Down) {
        self.show(slot, || match &down.failure {
            Failure::Rejected { status, .. } => State::Rejected { status: *status },
            Failure::NeedsScope { .. } => State::NoCredential(NoCredential::NeedsLogin {
                reason: LoginReason::Scope,
            }),
            Failure::NoCredential { why, .. } => State::NoCredential(NoCredential::clone(why)),
            Failure::Stopping { .. } => State::Idle,
            failure if down.failures >= MANY => State::Failed {
                next: down.next,
                reason: failure.reason(),
            },
            failure => State::Backoff {
                next: down.next,
                reason: failure.reason(),
            },
        });
        if slot.key == Key::Shared {
            self.settled.send_replace(true);
        }
        let waits = matches!(
            down.failure,
            Failure::Rejected { .. } | Failure::NoCredential { .. }
        );
        if down.next.is_none() && (!waits || slot.key != Key::Shared) {
            return;
        }
        let pause = down.next.is_some().then(|| down.pause());
        let stirred = self.stirred.subscribe();
        let of_the_way = down.is_of_the_way();
        let (account, slot) = (Arc::clone(self), Arc::clone(slot));
        let (began, failures) = (down.began, down.failures);
        let seen = self.dial.credential.seen();
        let for_login = matches!(
            &down.failure,
            Failure::NoCredential { why, .. }
                if matches!(**why, NoCredential::NeedsLogin { .. } | NoCredential::Sealed(_))
        );
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            let is_this = |now: &Status| {
                matches!(now, Status::Down(now) if now.began == began && now.failures == failures)
            };
            let mut status = slot.status.subscribe();
            let due = async {
                match pause {
                    Some(pause) => sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            let mut afresh = false;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = due => {}
                // In another network, what failed before says nothing.
                () = account.worth_trying(stirred), if of_the_way => afresh = true,
                () = account.dial.credential.vault_changed(seen) => {}
                () = account.granted_at_last(), if for_login => {}
                // A caller tried meanwhile: that has a pause of its own.
                _ = status.wait_for(|now| !is_this(now)) => return,
            }
            let ours = is_this(&slot.status.borrow());
            if ours {
                account.begin_after(&slot, |down| if afresh { 0 } else { down.failures });
            }
        });
    }

    /// The state of an account is that of its shared connection.
    fn show(&self, slot: &Slot, state: impl FnOnce() -> State) {
        if slot.key == Key::Shared {
            self.state.send_replace(state());
        }
    }

    pub(super) fn stopping(&self) -> Failure {
        Failure::Stopping {
            account: self.id().clone(),
        }
    }
}

impl Down {
    /// Whether another way into the network may bring more than waiting. Who wishes to be left alone was reached.
    fn is_of_the_way(&self) -> bool {
        let wish = matches!(
            self.failure,
            Failure::Unreachable {
                retry_in: Some(_),
                ..
            }
        );
        self.next.is_some() && !wish
    }

    fn pause(&self) -> Duration {
        self.next
            .map(|next| next.saturating_duration_since(Instant::now()))
            .unwrap_or_default()
    }

    /// What a caller is told: nothing was sent, and when Janus tries again.
    fn failure(&self) -> Failure {
        match &self.failure {
            Failure::Rejected { .. }
            | Failure::NeedsScope { .. }
            | Failure::NoCredential { .. }
            | Failure::Stopping { .. } => self.failure.clone(),
            Failure::Unreachable {
                account, reason, ..
            } => Failure::Unreachable {
                account: account.clone(),
                reason: reason.clone(),
                retry_in: self.next.map(|_| self.pause()),
            },
            // Of a handshake: whatever became of that, nothing of the caller was sent.
            other => Failure::Unreachable {
                account: other.account().clone(),
                reason: other.reason(),
                retry_in: self.next.map(|_| self.pause()),
            },
        }
    }
}
