//! Streamable HTTP: a connection to a remote server of either era.
//!
//! A [`Leg`] is one conversation: with a legacy server at most one session, with a modern one nothing but requests.
//! Each request is its own POST, answered inside the caller's own future: no task, no channel.
//!
//! Invariants:
//! - Nothing of the client is forwarded: every header is Janus's own or the account's.
//! - The fixed headers go to the configured origin and nowhere else: no redirect leaves it.
//! - Events leave in the order of the server's bytes; the outcome comes last.
//! - No request is sent again after any of it may have been read.
//! - A long result is never collected: it is handed on at the pace of whoever reads it.

mod answer;
mod call;
mod client;
mod dial;
mod head;
mod line;
mod listen;
mod long;
mod patience;
mod questions;
mod redirect;
mod refusal;
mod request;
mod source;
mod stream;
#[cfg(test)]
mod tests;
mod underway;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use ::http::{HeaderValue, Response, StatusCode, Uri};
use bytes::Bytes;
use hyper::body::Incoming;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use call::Probe;
pub(super) use call::is_events;
pub(crate) use client::Client;
pub(super) use source::{Frame, Held, Source, drain, is_message};

use super::failure::Failure;
use super::surroundings::Stir;
use super::wire::Outgoing;
use crate::model::{AccountId, HttpEndpoint};
use crate::protocol::{ClientFacts, Envelope, Era, Events, Json, Relayed, Revision};

/// What is looked at before it is decided whether an answer is long. Most answers are shorter and leave as one piece;
/// a longer one has its `result` begun by then unless its other members are strange.
const HOLD: usize = 64 * 1024;
/// A session that ends is a courtesy to the server, and nobody waits long for a courtesy.
const FAREWELL: Duration = Duration::from_secs(2);

/// One conversation with a server. Clones are the same conversation.
#[derive(Debug, Clone)]
pub(crate) struct Leg(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    account: AccountId,
    endpoint: Arc<HttpEndpoint>,
    client: Client,
    timeout: Duration,
    /// For what belongs to no call: changed lists, updated resources.
    inbox: mpsc::Sender<Envelope>,
    tasks: TaskTracker,
    ids: AtomicU64,
    in_flight: AtomicUsize,
    asked: AtomicBool,
    /// Counts how often the GET stream was opened.
    opened: watch::Sender<u64>,
    agreed: RwLock<Agreed>,
    /// The callers' calls in flight at a legacy server, oldest first: what comes on the GET stream may belong to one.
    callers: Mutex<Vec<underway::CallerOf>>,
    ended: CancellationToken,
    /// `initialize` was refused as servers refuse it that speak HTTP+SSE only.
    refused_opening: AtomicBool,
}

/// What the handshake settled.
#[derive(Debug, Clone, Default)]
struct Agreed {
    session: Option<HeaderValue>,
    revision: Option<Revision>,
}

impl Leg {
    /// A conversation that has not begun.
    pub(crate) fn new(
        account: AccountId,
        endpoint: Arc<HttpEndpoint>,
        client: Client,
        timeout: Duration,
        inbox: mpsc::Sender<Envelope>,
        tasks: TaskTracker,
    ) -> Self {
        Self(Arc::new(Inner {
            account,
            endpoint,
            client,
            timeout,
            inbox,
            tasks,
            ids: AtomicU64::new(1),
            in_flight: AtomicUsize::new(0),
            asked: AtomicBool::new(false),
            opened: watch::Sender::new(0),
            agreed: RwLock::default(),
            callers: Mutex::default(),
            ended: CancellationToken::new(),
            refused_opening: AtomicBool::new(false),
        }))
    }

    /// An id that no open request of this conversation has.
    pub(crate) fn next_id(&self) -> u64 {
        self.0.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// After the handshake: the revision that every later request names.
    pub(crate) fn speak(&self, revision: Revision) {
        self.0.agree(|agreed| agreed.revision = Some(revision));
    }

    /// Sends a request and gives its response; what comes before it goes to `events`. `client` is whom the server may
    /// ask; `None` for a request of Janus's own, whose events nobody need take.
    ///
    /// Dropping the future cancels the request: a legacy server is told, for a modern one the closed stream says it.
    pub(crate) async fn exchange(
        &self,
        outgoing: &Outgoing,
        client: Option<&Arc<ClientFacts>>,
        era: Era,
        events: &Events,
    ) -> Result<Relayed, Failure> {
        call::exchange(&self.0, outgoing, client, era, events).await
    }

    /// Sends a notification or a response.
    pub(crate) async fn send(&self, message: Json) -> Result<(), Failure> {
        self.0.deliver(message).await
    }

    /// Sends `server/discover` and gives what came back, whatever it is: the era is concluded elsewhere.
    pub(crate) async fn probe(&self, outgoing: &Outgoing) -> Result<Probe, Failure> {
        call::probe(&self.0, outgoing).await
    }

    /// The GET stream of a legacy session, until the server has none or the conversation ends. Notifications go to the
    /// inbox; questions go to the caller they can be attributed to and are declined otherwise.
    pub(super) fn listen_legacy(
        &self,
        stir: Arc<Stir>,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        listen::run(Arc::clone(&self.0), stir)
    }

    /// Changes whenever the GET stream is open, for the first time or again.
    pub(crate) fn opened(&self) -> watch::Receiver<u64> {
        self.0.opened.subscribe()
    }

    /// Ends the conversation; a legacy session is given back. Best effort.
    pub(crate) async fn end(&self) {
        self.0.ended.cancel();
        self.0.farewell().await;
    }

    /// Whether the server ever asked its client something.
    pub(crate) fn asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Whether the server refused `initialize` as one does that speaks the transport of 2024-11-05 only
    /// (2025-03-26, basic/transports, "Backwards Compatibility").
    pub(crate) fn may_be_old(&self) -> bool {
        self.0.refused_opening.load(Ordering::Relaxed)
    }

    /// For HTTP+SSE: the stream that says everything.
    pub(super) async fn get_stream(&self) -> Result<Response<Incoming>, Failure> {
        self.0.get(None).await
    }

    /// For HTTP+SSE: one message to the address that the stream named.
    pub(super) async fn post_to(
        &self,
        address: &Uri,
        text: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        self.0.post_at(address, text).await
    }

    /// Where a reference leads, if that is within the configured origin.
    pub(super) fn within(&self, reference: &str) -> Result<Uri, String> {
        redirect::within(&self.0.endpoint.url, reference)
    }

    /// Why a response is none.
    pub(super) fn refusal(&self, response: &Response<Incoming>) -> Failure {
        match response.status() {
            StatusCode::NOT_FOUND => self.0.session_unknown(),
            status => self.0.refused(status, response.headers()),
        }
    }

    /// The server did not answer in time.
    pub(super) fn silent(&self) -> Failure {
        self.0.timed_out()
    }

    /// How many requests have no response yet, or one that is still streaming.
    pub(crate) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn agreed(&self) -> Agreed {
        self.agreed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn agree(&self, change: impl FnOnce(&mut Agreed)) {
        change(&mut self.agreed.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn callers(&self) -> MutexGuard<'_, Vec<underway::CallerOf>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreachable(&self, reason: impl Into<String>) -> Failure {
        Failure::Unreachable {
            account: self.account.clone(),
            reason: reason.into(),
            retry_in: None,
        }
    }

    fn interrupted(&self, reason: impl Into<String>) -> Failure {
        Failure::Interrupted {
            account: self.account.clone(),
            reason: reason.into(),
        }
    }

    fn bad(&self, reason: impl Into<String>) -> Failure {
        Failure::BadAnswer {
            account: self.account.clone(),
            reason: reason.into(),
        }
    }

    fn timed_out(&self) -> Failure {
        Failure::TimedOut {
            account: self.account.clone(),
            waited: self.timeout,
        }
    }
}
