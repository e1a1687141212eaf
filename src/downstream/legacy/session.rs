//! A legacy session: what a client said once and is held to, what it was sent, what it is being answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::binding::Scope;
use crate::downstream::modern::declared_version;
use crate::gateway::{Gateway, Pending};
use crate::model::hex;
use crate::protocol::{ClientFacts, Envelope, Era, Json, Object, Revision, RpcError, code};
use crate::upstream::Change;

use super::{KeptStream, Questions};

/// Subscriptions of one session, and the length of what they name.
const SUBSCRIPTIONS: usize = 1000;
const LONGEST_URI: usize = 8 * 1024;
/// Ended streams that can still be resumed, for each session.
const ENDED_STREAMS: usize = 8;

/// Sessions at once: beyond that the one that was idle longest ends. Some clients open one for every request.
const SESSIONS: usize = 10_000;

/// All sessions, by id.
#[derive(Debug)]
pub(in crate::downstream) struct Sessions {
    by_id: Mutex<BTreeMap<Arc<str>, Arc<Session>>>,
    idle: Duration,
}

/// One session.
#[derive(Debug)]
pub(in crate::downstream) struct Session {
    pub(in crate::downstream) id: Arc<str>,
    pub(in crate::downstream) scope: Arc<Scope>,
    pub(in crate::downstream) client: Arc<ClientFacts>,
    pub(in crate::downstream) questions: Arc<Questions>,
    /// Messages that belong to no call.
    pub(in crate::downstream) standalone: Arc<KeptStream>,
    /// Ends when the session does, or when another GET takes the standalone stream over.
    reader: Mutex<CancellationToken>,
    /// Where the last GET stopped reading.
    read_to: AtomicU64,
    /// Readers of the standalone stream now.
    readers: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: Instant,
    in_flight: BTreeMap<String, CancellationToken>,
    streams: BTreeMap<u64, Arc<KeptStream>>,
    next_stream: u64,
    subscriptions: BTreeSet<String>,
    pending: Pending,
}

/// What `initialize` said.
pub(in crate::downstream) struct Opened {
    /// The revision both sides speak from now on.
    pub(in crate::downstream) revision: Revision,
    /// The client's capabilities.
    pub(in crate::downstream) capabilities: Object,
    /// `clientInfo`.
    pub(in crate::downstream) info: Option<Json>,
}

impl Opened {
    /// Reads an `initialize`, whatever else it says.
    ///
    /// # Errors
    /// Without `protocolVersion` it is none: -32601 where it says that it is modern, else -32602.
    pub(in crate::downstream) fn of_message(message: &Envelope) -> Result<Self, RpcError> {
        match message.params() {
            Some(params) if params.has("protocolVersion") => Ok(Self::of(&params)),
            _ if declared_version(message).is_some() => Err(RpcError::new(
                code::METHOD_NOT_FOUND,
                "`initialize` does not exist in this revision",
            )),
            _ => Err(RpcError::new(
                code::INVALID_PARAMS,
                "`protocolVersion` is missing",
            )),
        }
    }

    /// Reads the parameters of `initialize`. A revision we do not know is answered with our latest legacy one
    /// (2025-11-25, basic/lifecycle, "Version Negotiation"); so is the modern one, which has no `initialize`.
    fn of(params: &Object) -> Self {
        let asked = params
            .text("protocolVersion")
            .and_then(|date| Revision::named(&date));
        let revision = asked
            .filter(|revision| revision.era() == Era::Legacy)
            .unwrap_or(Revision::LATEST_LEGACY);
        Self {
            revision,
            capabilities: params.object("capabilities").unwrap_or_else(Object::empty),
            info: params.get("clientInfo"),
        }
    }
}

/// Somebody reads the standalone stream of a session: it is in use.
#[derive(Debug)]
pub(in crate::downstream) struct Reading(Arc<Session>);

impl Reading {
    /// Begins to read.
    pub(in crate::downstream) fn of(session: Arc<Session>) -> Self {
        session.readers.fetch_add(1, Ordering::Relaxed);
        Self(session)
    }

    /// Whose stream it is.
    pub(in crate::downstream) fn session(&self) -> &Session {
        &self.0
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
        self.0.touch();
    }
}

impl Sessions {
    /// No sessions; one nobody used for `idle` ends.
    pub(in crate::downstream) fn new(idle: Duration) -> Self {
        Self {
            by_id: Mutex::default(),
            idle,
        }
    }

    fn by_id(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<Session>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session.
    pub(in crate::downstream) fn open(
        &self,
        gateway: &Gateway,
        scope: Arc<Scope>,
        opened: Opened,
    ) -> Arc<Session> {
        let session = Arc::new(Session::new(random_id(), gateway, scope, opened));
        let crowded = {
            let mut sessions = self.by_id();
            sessions.insert(Arc::clone(&session.id), Arc::clone(&session));
            (sessions.len() > SESSIONS).then(|| {
                sessions
                    .values()
                    .max_by_key(|session| session.idle_for())
                    .cloned()
            })
        };
        if let Some(idlest) = crowded.flatten() {
            self.close(gateway, &idlest);
        }
        session
    }

    /// The session of that id, for whoever reaches Janus in this scope. To anybody else it does not exist.
    pub(in crate::downstream) fn find(&self, id: &str, scope: &Scope) -> Option<Arc<Session>> {
        let session = self.by_id().get(id).cloned()?;
        let same = session.scope.client() == scope.client()
            && session.scope.profile() == scope.profile()
            && session.scope.view() == scope.view();
        same.then(|| {
            session.touch();
            session
        })
    }

    /// Ends a session.
    pub(in crate::downstream) fn close(&self, gateway: &Gateway, session: &Session) {
        self.by_id().remove(&session.id);
        session.end();
        gateway.release(&session.id);
    }

    /// Ends the sessions that nobody used for too long.
    pub(in crate::downstream) fn expire(&self, gateway: &Gateway) {
        let expired: Vec<Arc<Session>> = self
            .by_id()
            .values()
            .filter(|session| session.idle_for() > self.idle)
            .cloned()
            .collect();
        for session in expired {
            self.close(gateway, &session);
        }
        for session in self.all() {
            session
                .state()
                .streams
                .retain(|_, stream| !stream.is_stale());
        }
    }

    /// Those there are now.
    pub(in crate::downstream) fn all(&self) -> Vec<Arc<Session>> {
        self.by_id().values().cloned().collect()
    }
}

impl Session {
    /// A session of its own, for a transport that is one: the process on standard input.
    pub(in crate::downstream) fn new(
        id: Arc<str>,
        gateway: &Gateway,
        scope: Arc<Scope>,
        opened: Opened,
    ) -> Self {
        let client = ClientFacts {
            revision: opened.revision,
            capabilities: opened.capabilities,
            info: opened.info,
            session: Some(Arc::clone(&id)),
        };
        let state = State {
            used: Instant::now(),
            in_flight: BTreeMap::new(),
            streams: BTreeMap::new(),
            next_stream: 1,
            subscriptions: BTreeSet::new(),
            pending: gateway.pending(&scope, Era::Legacy),
        };
        let standalone = KeptStream::new(0, None);
        // Something to resume after, before there is anything to read.
        let start = standalone.keep(&bytes::Bytes::new()) + 1;
        Self {
            id,
            scope,
            client: Arc::new(client),
            questions: Arc::new(Questions::new()),
            standalone: Arc::new(standalone),
            reader: Mutex::default(),
            read_to: AtomicU64::new(start),
            readers: AtomicUsize::new(0),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        self.state().used = Instant::now();
    }

    /// Whether its streams begin with an event that says how to resume them (2025-11-25, basic/transports, "Sending
    /// Messages to the Server").
    pub(in crate::downstream) fn is_primed(&self) -> bool {
        self.client.revision >= Revision::V2025_11_25
    }

    /// How long nobody used it. A call under way is a use, and so is somebody who listens.
    fn idle_for(&self) -> Duration {
        let state = self.state();
        if state.in_flight.is_empty() && self.readers.load(Ordering::Relaxed) == 0 {
            state.used.elapsed()
        } else {
            Duration::ZERO
        }
    }

    fn end(&self) {
        self.standalone.end();
        self.reader
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .cancel();
        for cancel in self.state().in_flight.values() {
            cancel.cancel();
        }
    }

    /// A request begins: `notifications/cancelled` with its id cancels the token.
    pub(in crate::downstream) fn begin(&self, id: &Json) -> CancellationToken {
        let cancel = CancellationToken::new();
        self.state()
            .in_flight
            .insert(id.as_str().to_owned(), cancel.clone());
        cancel
    }

    /// A request has ended.
    pub(in crate::downstream) fn finish(&self, id: &Json) {
        let mut state = self.state();
        state.in_flight.remove(id.as_str());
        state.used = Instant::now();
    }

    /// The client cancelled a request. One that has ended, or never was, is nobody's business any more: some clients
    /// cancel every call they finished.
    pub(in crate::downstream) fn cancel(&self, notification: &Envelope) {
        let Some(id) = notification
            .params()
            .and_then(|params| params.get("requestId"))
        else {
            return;
        };
        let cancel = self.state().in_flight.get(id.as_str()).cloned();
        if let Some(cancel) = cancel {
            cancel.cancel();
        }
    }

    /// A stream for the answer to a POST.
    pub(in crate::downstream) fn new_stream(&self, request: Json) -> Arc<KeptStream> {
        let mut state = self.state();
        let number = state.next_stream;
        state.next_stream += 1;
        let stream = Arc::new(KeptStream::new(number, Some(request)));
        state.streams.insert(number, Arc::clone(&stream));
        let ended: Vec<u64> = state
            .streams
            .iter()
            .filter(|(_, stream)| stream.is_ended())
            .map(|(number, _)| *number)
            .collect();
        for number in ended.iter().take(ended.len().saturating_sub(ENDED_STREAMS)) {
            state.streams.remove(number);
        }
        stream
    }

    /// The stream that an event id belongs to.
    pub(in crate::downstream) fn stream(&self, number: u64) -> Option<Arc<KeptStream>> {
        if number == 0 {
            Some(Arc::clone(&self.standalone))
        } else {
            self.state().streams.get(&number).cloned()
        }
    }

    /// Takes the standalone stream over from whoever reads it: its token ends with the next take-over, with the
    /// session, and when Janus stops.
    pub(in crate::downstream) fn take_reader(
        &self,
        stopping: &CancellationToken,
    ) -> CancellationToken {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.cancel();
        *reader = stopping.child_token();
        reader.clone()
    }

    /// Where a reader of the standalone stream goes on.
    pub(in crate::downstream) fn read_to(&self) -> u64 {
        self.read_to.load(Ordering::Relaxed)
    }

    /// A reader of the standalone stream has come this far.
    pub(in crate::downstream) fn set_read_to(&self, position: u64) {
        self.read_to.store(position, Ordering::Relaxed);
    }

    /// Remembers what the client subscribed to, so that it is told of nothing else.
    pub(in crate::downstream) fn subscription(&self, method: &str, uri: &str) {
        let mut state = self.state();
        let room = uri.len() <= LONGEST_URI && state.subscriptions.len() < SUBSCRIPTIONS;
        match method {
            "resources/subscribe" if room => state.subscriptions.insert(uri.to_owned()),
            "resources/subscribe" => false,
            _ => state.subscriptions.remove(uri),
        };
    }

    /// A change behind Janus. Returns whether changes of merged lists wait to be told.
    pub(in crate::downstream) fn changed(&self, gateway: &Gateway, change: &Change) -> bool {
        // What comes from another session's own connection is not for this one.
        if matches!(change, Change::Notification { session: Some(of), .. } if *of != self.id) {
            return false;
        }
        let mut state = self.state();
        let message = gateway.announce(&self.scope, &mut state.pending, change);
        let message =
            message.filter(|message| self.questions.wants(message) && concerns(&state, message));
        let due = Gateway::is_due(&state.pending);
        drop(state);
        if let Some(message) = message {
            self.standalone
                .keep(message.json().clone().on_one_line().bytes());
        }
        due
    }

    /// Some changes were missed: the lists are compared again.
    pub(in crate::downstream) fn look_again(&self) {
        self.state().pending.look_again();
    }

    /// Tells the changes of merged lists.
    pub(in crate::downstream) fn tell_due(&self, gateway: &Gateway) {
        let messages = gateway.due(&self.scope, Era::Legacy, &mut self.state().pending);
        for message in messages {
            self.standalone.keep(message.json().bytes());
        }
    }
}

fn concerns(state: &State, message: &Envelope) -> bool {
    if message.method() != "notifications/resources/updated" {
        return true;
    }
    message
        .params()
        .and_then(|params| params.text("uri"))
        .is_some_and(|uri| state.subscriptions.contains(&uri))
}

/// 128 random bits, visible ASCII (2025-11-25, basic/transports, "Session Management").
#[expect(
    clippy::expect_used,
    reason = "the system's generator never fails once it has started"
)]
fn random_id() -> Arc<str> {
    let mut bits = [0_u8; 16];
    getrandom::fill(&mut bits).expect("the system has random numbers");
    hex(&bits).into()
}
