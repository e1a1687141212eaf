//! A legacy session: what a client said once and is held to, what it was sent, what it is being answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::binding::{Entry, Refused, Scope};
use crate::downstream::modern::declared_version;
use crate::downstream::reach::Reach;
use crate::gateway::{Gateway, Pending, is_below};
use crate::model::ClientId;
use crate::protocol::{ClientFacts, Envelope, Era, Events, Json, Object, Revision, RpcError, code};
use crate::store::Change as Stored;
use crate::upstream::Change;

use super::frozen::Frozen;
use super::record::{Kept, Record};
use super::standing::Standing;
use super::{KeptStream, Questions};

/// Subscriptions of one session, and the length of what they name.
const SUBSCRIPTIONS: usize = 1000;
const LONGEST_URI: usize = 8 * 1024;
/// What `initialize` says is kept, here and on disk.
const LONGEST_OPENING: usize = 64 * 1024;
/// Ended streams that can still be resumed, for each session.
const ENDED_STREAMS: usize = 8;

/// One session.
#[derive(Debug)]
pub(in crate::downstream) struct Session {
    pub(in crate::downstream) id: Arc<str>,
    standing: Standing,
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
    ended: AtomicBool,
    /// What the store has of it, if not the streams of an earlier life; whoever writes holds it until that is done.
    pub(super) saved: tokio::sync::Mutex<Option<Kept>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: Instant,
    /// The same for the store, which outlives this process's clock.
    last: SystemTime,
    in_flight: BTreeMap<String, CancellationToken>,
    streams: BTreeMap<u64, Arc<KeptStream>>,
    next_stream: u64,
    subscriptions: BTreeSet<String>,
    /// What was told of lists, once the session acts as somebody.
    pending: Option<Pending>,
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
            Some(params) if params.json().bytes().len() > LONGEST_OPENING => Err(RpcError::new(
                code::INVALID_PARAMS,
                "what a client says of itself has at most 64 KiB",
            )),
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

impl Session {
    /// A session that begins, or goes on after a restart.
    pub(super) fn new(id: Arc<str>, entry: Entry, opened: Opened, kept: Kept) -> Self {
        let client = ClientFacts {
            revision: opened.revision,
            capabilities: opened.capabilities,
            info: opened.info,
            session: Some(Arc::clone(&id)),
        };
        let saved = kept.streams.is_empty().then(|| kept.clone());
        let (mut streams, mut standalone, mut read_to) = (BTreeMap::new(), None, None);
        for frozen in kept.streams {
            if frozen.number == 0 {
                read_to = Some(frozen.read_to);
                standalone = Some(KeptStream::thawed(frozen));
            } else {
                streams.insert(frozen.number, Arc::new(KeptStream::thawed(frozen)));
            }
        }
        let standalone = standalone.unwrap_or_else(KeptStream::standalone);
        // Something to resume after, before there is anything to read.
        let start = standalone.keep(&bytes::Bytes::new()) + 1;
        let state = State {
            used: Instant::now(),
            last: SystemTime::now(),
            in_flight: BTreeMap::new(),
            next_stream: streams.last_key_value().map_or(0, |(last, _)| *last) + 1,
            streams,
            subscriptions: kept.subscriptions,
            pending: None,
        };
        let questions = Questions::new(opened.revision);
        questions.set_level(kept.level);
        Self {
            id,
            standing: Standing::new(entry, client.can("roots"), kept.roots),
            client: Arc::new(client),
            questions: Arc::new(questions),
            standalone: Arc::new(standalone),
            reader: Mutex::default(),
            read_to: AtomicU64::new(read_to.unwrap_or(start)),
            readers: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            saved: tokio::sync::Mutex::new(saved),
            state: Mutex::new(state),
        }
    }

    /// It goes on after a restart, and acted as this before.
    pub(super) fn acted_as(&self, profile: Option<String>) {
        self.standing.acted_as(profile);
    }

    /// How it was opened: whoever presents it must come the same way.
    pub(super) fn entry(&self) -> &Entry {
        self.standing.entry()
    }

    /// The client that opened it.
    pub(in crate::downstream) fn client(&self) -> Option<&ClientId> {
        self.entry().caller.client()
    }

    /// As whom it acts, as far as that needs no question.
    pub(in crate::downstream) fn settled(
        &self,
        gateway: &Gateway,
        reach: &Reach,
    ) -> Option<Result<Arc<Scope>, Refused>> {
        let settled = self.standing.settled(reach)?;
        if let Ok(scope) = &settled {
            self.listen_as(gateway, scope);
        }
        Some(settled)
    }

    /// As whom it acts. Asks the client for its roots where they decide.
    pub(in crate::downstream) async fn scope(
        &self,
        gateway: &Gateway,
        reach: &Reach,
        events: &Events,
    ) -> Result<Arc<Scope>, Refused> {
        let scope = self.standing.scope(reach, events).await?;
        self.listen_as(gateway, &scope);
        Ok(scope)
    }

    /// Changes are told against the lists as they are when it first acts as somebody.
    fn listen_as(&self, gateway: &Gateway, scope: &Scope) {
        let mut state = self.state();
        if state.pending.is_none() {
            state.pending = Some(gateway.pending(scope, Era::Legacy));
        }
    }

    /// What of it the store is to keep.
    pub(super) fn facts(&self, kept: &Kept) -> Stored {
        let opened = Opened {
            revision: self.client.revision,
            capabilities: self.client.capabilities.clone(),
            info: self.client.info.clone(),
        };
        Stored::SessionFacts {
            id: Arc::clone(&self.id),
            facts: Record::of(self.entry(), &opened, kept, self.standing.profile()).text(),
        }
    }

    /// What it gathered since it was opened.
    pub(super) fn kept(&self) -> Kept {
        Kept {
            roots: self.standing.roots(),
            level: self.questions.level(),
            subscriptions: self.state().subscriptions.clone(),
            streams: Vec::new(),
        }
    }

    /// The same with its streams, for the next process.
    pub(super) fn frozen(&self) -> Kept {
        let standalone = self.standalone.frozen().map(|frozen| Frozen {
            read_to: self.read_to(),
            ..frozen
        });
        let state = self.state();
        let calls = state.streams.values().filter(|stream| !stream.is_stale());
        let streams = calls.filter_map(|stream| stream.frozen()).chain(standalone);
        let streams = streams.collect();
        drop(state);
        Kept {
            streams,
            ..self.kept()
        }
    }

    /// What servers were asked to remember for it, as it was asked.
    pub(in crate::downstream) fn asked(&self) -> Vec<(&'static str, Value)> {
        let Kept {
            level,
            subscriptions,
            ..
        } = self.kept();
        // What counts until a client says otherwise was not asked for.
        let level = (level != Kept::default().level).then(|| json!({"level": level.as_str()}));
        let level = level.map(|level| ("logging/setLevel", level));
        let subscriptions = subscriptions
            .into_iter()
            .map(|uri| ("resources/subscribe", json!({"uri": uri})));
        level.into_iter().chain(subscriptions).collect()
    }

    /// Tells it what belongs to no call.
    pub(in crate::downstream) fn tell(&self, message: &Envelope) {
        self.standalone
            .keep(message.json().clone().on_one_line().bytes());
    }

    /// The client that its key proved.
    pub(in crate::downstream) fn client_id(&self) -> Option<String> {
        self.entry().caller.client().map(ToString::to_string)
    }

    /// Where its client works, as far as that is proved.
    pub(in crate::downstream) fn directory(&self) -> Option<String> {
        self.entry().caller.directory().map(ToString::to_string)
    }

    /// When it was used last; now where it is in use.
    pub(in crate::downstream) fn used(&self) -> SystemTime {
        if self.idle_for().is_zero() {
            SystemTime::now()
        } else {
            self.last()
        }
    }

    /// When it was used last.
    pub(super) fn last(&self) -> SystemTime {
        self.state().last
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn touch(&self) {
        let mut state = self.state();
        state.used = Instant::now();
        state.last = SystemTime::now();
    }

    /// Forgets the streams that nobody takes up any more.
    pub(super) fn forget_stale(&self) {
        self.state().streams.retain(|_, stream| !stream.is_stale());
    }

    /// Whether its streams begin with an event that says how to resume them (2025-11-25, basic/transports, "Sending
    /// Messages to the Server").
    pub(in crate::downstream) fn is_primed(&self) -> bool {
        self.client.revision >= Revision::V2025_11_25
    }

    /// How long nobody used it. A call under way is a use, and so is somebody who listens.
    pub(super) fn idle_for(&self) -> Duration {
        let state = self.state();
        if state.in_flight.is_empty() && self.readers.load(Ordering::Relaxed) == 0 {
            state.used.elapsed()
        } else {
            Duration::ZERO
        }
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
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
        let mut state = self.state();
        state
            .in_flight
            .insert(id.as_str().to_owned(), cancel.clone());
        drop(state);
        // A session that ended has no choices any more: a call that found it before would act as somebody else.
        if self.ended.load(Ordering::SeqCst) {
            cancel.cancel();
        }
        cancel
    }

    /// A request has ended.
    pub(in crate::downstream) fn finish(&self, id: &Json) {
        let mut state = self.state();
        state.in_flight.remove(id.as_str());
        state.used = Instant::now();
        state.last = SystemTime::now();
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

    /// A stream for the answer to a POST: to this request, alone or with others.
    pub(in crate::downstream) fn new_stream(&self, request: Json, alone: bool) -> Arc<KeptStream> {
        let mut state = self.state();
        let number = state.next_stream;
        state.next_stream += 1;
        let stream = Arc::new(KeptStream::answering(number, request, alone));
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
        // Whoever found it just before it ended.
        if self.ended.load(Ordering::SeqCst) {
            reader.cancel();
        }
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
    pub(in crate::downstream) fn changed(
        &self,
        gateway: &Gateway,
        reach: &Reach,
        change: &Change,
    ) -> bool {
        // What comes from another session's own connection is not for this one.
        if matches!(change, Change::Notification { session: Some(of), .. } if *of != self.id) {
            return false;
        }
        let Some(Ok(scope)) = self.settled(gateway, reach) else {
            return false;
        };
        let mut state = self.state();
        let Some(pending) = &mut state.pending else {
            return false;
        };
        let message = gateway.announce(&scope, pending, change);
        let due = Gateway::is_due(pending);
        let message =
            message.filter(|message| self.questions.wants(message) && concerns(&state, message));
        drop(state);
        if let Some(message) = message {
            self.tell(&message);
        }
        due
    }

    /// It may know other lists than those that are: they are told once.
    pub(super) fn missed_lists(&self) {
        let mut pending = Pending::default();
        pending.look_again();
        self.state().pending = Some(pending);
    }

    /// Some changes were missed, or the configuration is another one: the lists are compared again.
    pub(in crate::downstream) fn look_again(&self) {
        if let Some(pending) = &mut self.state().pending {
            pending.look_again();
        }
    }

    /// Tells the changes of merged lists.
    pub(in crate::downstream) fn tell_due(&self, gateway: &Gateway, reach: &Reach) {
        let Some(Ok(scope)) = self.settled(gateway, reach) else {
            return;
        };
        let mut state = self.state();
        let messages = match &mut state.pending {
            Some(pending) => gateway.due(&scope, Era::Legacy, pending),
            None => Vec::new(),
        };
        drop(state);
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
        .is_some_and(|uri| {
            state
                .subscriptions
                .iter()
                .any(|watched| is_below(watched, &uri))
        })
}
