//! The connections of one account: made once for all who wait, kept while they serve, made anew when they are gone.
//!
//! Invariants:
//! - Connecting is single flight, and goes on when the caller who began it goes away.
//! - A connection that is gone is never handed out.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::model::{AccountId, Endpoint, HttpEndpoint, ProxySettings, Server};
use crate::protocol::{Envelope, Json, ListKind, Listing};

use super::connection::Connection;
use super::handshake::{self, Begin, Known};
use super::key::Key;
use super::leg::Leg;
use super::{Change, Failure, backoff, stdio, streamable_http};

/// A failed attempt answers those who come within this time: a server that is down is not asked for each of them.
const FAILURE_LASTS: Duration = Duration::from_secs(1);
/// Messages of one connection that wait to be looked at.
const INBOX: usize = 256;

/// One account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) server: Arc<Server>,
    pub(super) tasks: TaskTracker,
    pub(super) stopping: CancellationToken,
    pub(super) listing: watch::Sender<Arc<Listing>>,
    /// The first attempt to list has ended, well or not.
    pub(super) settled: watch::Sender<bool>,
    pub(super) changes: broadcast::Sender<Change>,
    /// Lists that the server said have changed.
    pub(super) dirty: Mutex<BTreeSet<ListKind>>,
    /// Wakes the keeper: there is something dirty, or somebody connected.
    pub(super) wake: Notify,
    pub(super) held: Mutex<Held>,
    environment: Arc<[(String, OsString)]>,
    proxy: Arc<ProxySettings>,
    client: OnceLock<streamable_http::Client>,
    slots: Mutex<BTreeMap<Key, Slot>>,
    known: Mutex<Option<Known>>,
    asked: AtomicBool,
}

/// What clients asked a legacy server to remember: said again on a new connection.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// URI and session of each subscription.
    pub(super) subscriptions: BTreeSet<(String, Option<Arc<str>>)>,
    /// The parameters of the last `logging/setLevel`.
    pub(super) level: Option<Json>,
}

/// What is known of one connection of the account.
enum Slot {
    Connecting(Shared<BoxFuture<'static, Result<Arc<Connection>, Failure>>>),
    Ready(Arc<Connection>),
    Failed {
        at: Instant,
        failures: u32,
        failure: Failure,
    },
}

impl Account {
    pub(super) fn new(
        id: AccountId,
        server: Arc<Server>,
        environment: Arc<[(String, OsString)]>,
        proxy: Arc<ProxySettings>,
        changes: broadcast::Sender<Change>,
        (tasks, stopping): (TaskTracker, CancellationToken),
    ) -> Self {
        Self {
            id,
            server,
            tasks,
            stopping,
            listing: watch::channel(Arc::default()).0,
            settled: watch::channel(false).0,
            changes,
            dirty: Mutex::default(),
            wake: Notify::new(),
            held: Mutex::default(),
            environment,
            proxy,
            client: OnceLock::new(),
            slots: Mutex::default(),
            known: Mutex::default(),
            asked: AtomicBool::new(false),
        }
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server ever asked its client something.
    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// A request used this connection: whether its server asks is remembered.
    pub(super) fn used(&self, connection: &Connection) {
        connection.touch();
        if connection.leg.asked() {
            self.asked.store(true, Ordering::Relaxed);
        }
    }

    /// The connection of that key, made if need be. Waits for whoever makes it already.
    pub(super) async fn connection(
        self: &Arc<Self>,
        key: &Key,
    ) -> Result<Arc<Connection>, Failure> {
        let attempt = {
            let mut slots = self.slots();
            match slots.get(key) {
                Some(Slot::Ready(connection)) if !connection.is_gone() => {
                    return Ok(Arc::clone(connection));
                }
                Some(Slot::Connecting(attempt)) => attempt.clone(),
                Some(Slot::Failed {
                    at,
                    failures,
                    failure,
                }) if at.elapsed() < FAILURE_LASTS => return Err(retried(failure, *failures)),
                previous => {
                    let failures = if let Some(Slot::Failed { failures, .. }) = previous {
                        *failures
                    } else {
                        0
                    };
                    let attempt = self.attempt(key.clone(), failures);
                    slots.insert(key.clone(), Slot::Connecting(attempt.clone()));
                    attempt
                }
            }
        };
        attempt.await
    }

    /// The connection of that key, if there is one.
    pub(super) fn present(&self, key: &Key) -> Option<Arc<Connection>> {
        match self.slots().get(key) {
            Some(Slot::Ready(connection)) if !connection.is_gone() => Some(Arc::clone(connection)),
            _ => None,
        }
    }

    /// All connections there are.
    pub(super) fn all_present(&self) -> Vec<Arc<Connection>> {
        let slots = self.slots();
        slots
            .values()
            .filter_map(|slot| {
                if let Slot::Ready(connection) = slot {
                    Some(Arc::clone(connection))
                } else {
                    None
                }
            })
            .collect()
    }

    /// How often connecting has failed in a row.
    pub(super) fn failures(&self, key: &Key) -> u32 {
        if let Some(Slot::Failed { failures, .. }) = self.slots().get(key) {
            *failures
        } else {
            0
        }
    }

    /// A connection is of no more use: the next who needs one gets a new one.
    pub(super) fn lost(&self, connection: &Arc<Connection>) {
        connection.give_up();
        let mut slots = self.slots();
        if matches!(slots.get(&connection.key), Some(Slot::Ready(current)) if Arc::ptr_eq(current, connection))
        {
            slots.remove(&connection.key);
        }
    }

    /// A task of its own: whoever waits may go away, the attempt goes on.
    fn attempt(
        self: &Arc<Self>,
        key: Key,
        failures: u32,
    ) -> Shared<BoxFuture<'static, Result<Arc<Connection>, Failure>>> {
        let account = Arc::clone(self);
        let task = self.tasks.spawn(async move {
            let connected = tokio::select! {
                () = account.stopping.cancelled() => Err(Failure::Stopping { account: account.id.clone() }),
                connected = account.connect(key.clone()) => connected.map_err(Failure::in_handshake),
            };
            let slot = match &connected {
                Ok(connection) => Slot::Ready(Arc::clone(connection)),
                Err(failure) => Slot::Failed { at: Instant::now(), failures: failures.saturating_add(1), failure: failure.clone() },
            };
            account.slots().insert(key, slot);
            if let Ok(connection) = &connected {
                account.watch(Arc::clone(connection));
            }
            account.wake.notify_one();
            connected
        });
        let id = self.id.clone();
        task.map(move |ended| {
            ended.unwrap_or_else(|_| Err(unreachable(&id, "connecting was broken off")))
        })
        .boxed()
        .shared()
    }

    async fn connect(self: &Arc<Self>, key: Key) -> Result<Arc<Connection>, Failure> {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = Begin::with(
            self.server.era,
            known,
            matches!(self.server.endpoint, Endpoint::Http(_)),
        );
        let (leg, inbox) = self.leg()?;
        let opened = match handshake::open(&self.id, &leg, begin, &key.capabilities()).await {
            // Some processes end at a first message they do not know.
            Err(Failure::Interrupted { .. })
                if begin == Begin::Probe && matches!(leg, Leg::Process(_)) =>
            {
                leg.end().await;
                return self.connect_legacy(key).await;
            }
            other => other,
        };
        match opened {
            Ok(facts) => Ok(self.ready(key, leg, facts, inbox)),
            Err(failure) => {
                leg.end().await;
                // What was remembered may be wrong by now.
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Err(failure)
            }
        }
    }

    async fn connect_legacy(self: &Arc<Self>, key: Key) -> Result<Arc<Connection>, Failure> {
        let (leg, inbox) = self.leg()?;
        match handshake::open(&self.id, &leg, Begin::Legacy, &key.capabilities()).await {
            Ok(facts) => Ok(self.ready(key, leg, facts, inbox)),
            Err(failure) => {
                leg.end().await;
                Err(failure)
            }
        }
    }

    fn ready(
        self: &Arc<Self>,
        key: Key,
        leg: Leg,
        facts: crate::protocol::ServerFacts,
        inbox: mpsc::Receiver<Envelope>,
    ) -> Arc<Connection> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Known::now(facts.revision.era()));
        tracing::info!(account = %self.id, revision = %facts.revision, "connected");
        self.take_in(inbox, key.session().cloned());
        Arc::new(Connection::new(key, leg, facts))
    }

    fn leg(&self) -> Result<(Leg, mpsc::Receiver<Envelope>), Failure> {
        let (sender, inbox) = mpsc::channel(INBOX);
        let leg = match &self.server.endpoint {
            Endpoint::Process(command) => Leg::Process(stdio::Leg::start(
                self.id.clone(),
                command,
                &self.environment,
                self.server.timeout,
                sender,
                &self.tasks,
            )?),
            Endpoint::Http(endpoint) => {
                let client = self.http_client(endpoint)?;
                let endpoint = Arc::new(endpoint.clone());
                Leg::Http(streamable_http::Leg::new(
                    self.id.clone(),
                    endpoint,
                    client,
                    self.server.timeout,
                    sender,
                    self.tasks.clone(),
                ))
            }
        };
        Ok((leg, inbox))
    }

    /// One client for the account: its connections are nobody else's.
    fn http_client(&self, endpoint: &HttpEndpoint) -> Result<streamable_http::Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = streamable_http::Client::new(&self.id, endpoint, &self.proxy)?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    /// Frees the slot when the connection ends, and ends it when Janus stops.
    fn watch(self: &Arc<Self>, connection: Arc<Connection>) {
        let account = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = account.stopping.cancelled() => {}
                reason = connection.ended() => {
                    tracing::info!(account = %account.id, %reason, "the connection ended");
                }
            }
            account.lost(&connection);
            account.wake.notify_one();
            connection.leg.end().await;
        });
    }
}

fn unreachable(account: &AccountId, reason: &str) -> Failure {
    Failure::Unreachable {
        account: account.clone(),
        reason: reason.to_owned(),
        retry_in: None,
    }
}

/// The failure, with when Janus tries again by itself.
fn retried(failure: &Failure, failures: u32) -> Failure {
    match failure {
        Failure::Unreachable {
            account,
            reason,
            retry_in,
        } => Failure::Unreachable {
            account: account.clone(),
            reason: reason.clone(),
            retry_in: retry_in.or_else(|| Some(backoff::wait(failures))),
        },
        other => other.clone(),
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connecting(_) => "Connecting",
            Self::Ready(_) => "Ready",
            Self::Failed { .. } => "Failed",
        })
    }
}
