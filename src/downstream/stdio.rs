//! MCP line by line: one client, both eras, decided for each message by itself. The client is the process that started
//! Janus, or `janus connect` on the unix socket, which can come again.
//!
//! Invariants:
//! - Nothing but protocol is written.
//! - Who connected is looked at again with each line: a key that ended, or a rule that is new, holds for the next one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authn::{self, Authn, Caller, Header};
use crate::binding::{Entry, Refused, Scope};
use crate::protocol::{Envelope, Json, Kind, Request, Revision, RpcError, code};

use super::adapt::{Response, ResponseBody, error_text};
use super::conversation::{Conversation, Edge, Next, Posed};
use super::intake::Running;
use super::legacy::{Follow, Opened, Reading, Session};
use super::lines::{self, Line, Out};
use super::{Downstream, modern, refusal};

/// Lines waiting to be written: a client that does not read slows its own answers.
const LINES: usize = 64;
/// Requests under way on one connection. Beyond that they are refused, and nothing more is read until the client has
/// read that.
const IN_FLIGHT: usize = 4096;
/// A client that closed its end may still wait for answers, but not for long.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// And to read them.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The one client.
struct Peer {
    downstream: Downstream,
    entry: Entry,
    /// The id of the session that `initialize` opens, for a client that can come again; `None` for one that cannot.
    reserved: Option<Arc<str>>,
    /// What it showed when it connected; `None` for the process that started Janus.
    shown: Option<Shown>,
    session: Mutex<Option<Arc<Session>>>,
    /// Ends with the session, and when another connection takes it over.
    reading: Mutex<CancellationToken>,
    /// Modern requests under way, by id: `notifications/cancelled` names one.
    in_flight: Mutex<BTreeMap<String, CancellationToken>>,
    /// Streams of changes, which have no end of their own.
    listening: CancellationToken,
    /// The answers under way.
    calls: TaskTracker,
    lines: mpsc::Sender<Out>,
}

/// A client that can come again on another connection.
pub(super) struct Returning {
    /// The id of the session that `initialize` opens on this connection.
    pub(super) reserved: Arc<str>,
    /// The session it comes back to.
    pub(super) session: Option<Arc<Session>>,
    /// What it showed when it connected.
    pub(super) shown: Shown,
}

/// What a connection showed of who it is.
pub(super) struct Shown {
    /// The process.
    pub(super) peer: authn::Peer,
    /// `Authorization`.
    pub(super) authorization: Option<Bytes>,
    /// `Janus-Directory`.
    pub(super) directory: Option<Bytes>,
}

impl Shown {
    /// Whether it still is this caller.
    fn is(&self, caller: &Caller, authn: &Authn) -> bool {
        let authorization = Header::of(self.authorization.as_deref());
        let directory = Header::of(self.directory.as_deref());
        authn
            .caller(&self.peer, authorization, directory)
            .is_ok_and(|now| now == *caller)
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The client said all it had to say.
    ByClient,
    /// The connection did not hold.
    Broken,
    /// Janus stops, the session is over, or the client is not who it was.
    ByJanus,
}

impl Downstream {
    /// Serves one client until its input ends or Janus stops; what it still waits for is then cancelled.
    pub async fn stdio<R, W>(self, path: &str, input: R, output: W) -> Result<(), Refused>
    where
        R: AsyncBufRead + Unpin,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let entry = Entry {
            caller: authn::Peer::from_stdio(std::env::current_dir().ok()).caller(),
            path: path.into(),
            profile: None,
        };
        self.reach.scope(&entry)?;
        self.converse(entry, None, input, output).await;
        Ok(())
    }

    /// Serves one client line by line. A client that can come again finds its session there, and when Janus stops, its
    /// calls are finished; an empty line at the end then says that whatever is not answered was not begun.
    pub(super) async fn converse<R, W>(
        self,
        entry: Entry,
        returning: Option<Returning>,
        input: R,
        output: W,
    ) where
        R: AsyncBufRead + Unpin,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (lines, queue) = mpsc::channel(LINES);
        let mut writer = self.tasks.spawn(lines::write(queue, output));
        let stopping = self.stopping.clone();
        let (reserved, session, shown) = returning.map_or((None, None, None), |client| {
            (Some(client.reserved), client.session, Some(client.shown))
        });
        let peer = Arc::new(Peer {
            downstream: self,
            entry,
            reserved,
            shown,
            session: Mutex::default(),
            reading: Mutex::default(),
            in_flight: Mutex::default(),
            listening: CancellationToken::new(),
            calls: TaskTracker::new(),
            lines,
        });
        if let Some(session) = session {
            peer.attach(session);
        }
        let ended = tokio::select! {
            () = stopping.cancelled() => Ended::ByJanus,
            ended = peer.read(input) => ended,
        };
        match ended {
            Ended::ByClient => drop(peer.finish().await),
            Ended::ByJanus if peer.reserved.is_some() => {
                if peer.finish().await {
                    peer.write(Bytes::new()).await;
                }
            }
            Ended::Broken | Ended::ByJanus => {}
        }
        peer.close(ended);
        drop(peer);
        // A client that is gone takes nothing more, and one that does not read sees the end of the connection.
        if tokio::time::timeout(LAST_LINES, &mut writer).await.is_err() {
            writer.abort();
        }
    }
}

impl Peer {
    async fn read<R: AsyncBufRead + Unpin>(self: &Arc<Self>, mut input: R) -> Ended {
        loop {
            let over = self.over();
            let next = tokio::select! {
                biased;
                () = over.cancelled(), if self.reserved.is_some() => return Ended::ByJanus,
                next = lines::next(&mut input) => next,
            };
            match next {
                Ok(Some(_)) if !self.is_who_it_was() => return Ended::ByJanus,
                Ok(Some(Line::Text(text))) if text.iter().all(u8::is_ascii_whitespace) => {}
                Ok(Some(Line::Text(text))) => self.line(text).await,
                Ok(Some(Line::TooLong)) => {
                    let error =
                        RpcError::new(code::INVALID_REQUEST, "a message has at most 16 MiB");
                    self.write(error.text(None).into_bytes()).await;
                }
                Ok(None) => return Ended::ByClient,
                Err(error) => {
                    tracing::debug!(%error, "a client's connection broke");
                    return Ended::Broken;
                }
            }
        }
    }

    fn over(&self) -> CancellationToken {
        self.reading
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn is_who_it_was(&self) -> bool {
        let authn = &self.downstream.authn;
        self.shown
            .as_ref()
            .is_none_or(|shown| shown.is(&self.entry.caller, authn))
    }

    async fn line(self: &Arc<Self>, text: Bytes) {
        let session = self
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let is_array = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        let may_batch = session
            .as_ref()
            .is_some_and(|session| session.client.revision == Revision::V2025_03_26);
        if is_array && may_batch {
            let Ok(array) = Json::parse(text) else {
                let error = RpcError::new(code::PARSE_ERROR, "the array is not JSON");
                return self.write(error_text(None, &error)).await;
            };
            let messages = array.elements().unwrap_or_default();
            if messages.is_empty() {
                let error = RpcError::new(code::INVALID_REQUEST, "the array is empty");
                return self.write(error_text(None, &error)).await;
            }
            for message in messages {
                self.parsed(session.as_ref(), Envelope::of(&message)).await;
            }
            return;
        }
        self.parsed(session.as_ref(), Envelope::parse(text)).await;
    }

    async fn parsed(
        self: &Arc<Self>,
        session: Option<&Arc<Session>>,
        message: Result<Envelope, crate::protocol::Refused>,
    ) {
        match message {
            Ok(message) => self.message(session, message).await,
            Err(refused) => {
                self.write(refused.error.text(refused.id.as_ref()).into_bytes())
                    .await;
            }
        }
    }

    async fn message(self: &Arc<Self>, session: Option<&Arc<Session>>, message: Envelope) {
        if message.kind() == Kind::Request && self.calls.len() >= IN_FLIGHT {
            let error = RpcError::new(code::INTERNAL_ERROR, "too many requests are under way");
            return self.write(error.text(message.id()).into_bytes()).await;
        }
        let version = modern::declared_version(&message)
            .filter(|version| !modern::is_slip(version, session.is_some()));
        match (message.kind(), message.method(), version, session) {
            (Kind::Request, "initialize", ..) => self.initialize(&message).await,
            (Kind::Request, _, Some(version), _) => self.modern(message, &version).await,
            (Kind::Request, _, None, Some(session)) => self.legacy(session, message),
            (Kind::Request, _, None, None) => {
                let error = RpcError::new(
                    code::INVALID_PARAMS,
                    "begin with `initialize`, or send `_meta` of revision 2026-07-28",
                );
                self.write(error.text(message.id()).into_bytes()).await;
            }
            (_, "notifications/cancelled", ..) => {
                self.cancel(&message);
                if let Some(session) = session {
                    session.cancel(&message);
                }
            }
            (.., Some(session)) => self.downstream.received(session, &message).await,
            (.., None) => {}
        }
    }

    async fn initialize(self: &Arc<Self>, message: &Envelope) {
        let opened = match Opened::of_message(message) {
            Ok(opened) => opened,
            Err(error) => return self.write(error_text(message.id(), &error)).await,
        };
        let downstream = &self.downstream;
        let later = opened.capabilities.has("roots") && downstream.may_settle_later(&self.entry);
        let scope = match self.scope() {
            // What it will be is not known yet, so nothing is said of it.
            _ if later => None,
            Ok(scope) => Some(scope),
            Err(error) => return self.write(error_text(message.id(), &error)).await,
        };
        let (gateway, entry) = (&downstream.gateway, self.entry.clone());
        let result = gateway.initialize(scope.as_deref(), opened.revision).await;
        // Before the new one opens: it may have the same id.
        self.leave_session();
        let (sessions, scope) = (&downstream.sessions, scope.as_deref());
        let session = if let Some(id) = &self.reserved {
            let id = Arc::clone(id);
            sessions.open_as(id, gateway, entry, opened, scope).await
        } else {
            sessions.open(gateway, entry, opened, scope).await
        };
        let id = message.id().cloned().unwrap_or_else(|| Json::of(&()));
        self.write(Envelope::result_text(&id, &result).into_bytes())
            .await;
        self.attach(session);
    }

    /// Goes on in this session: the lines without a `_meta` of their own belong to it, and its messages go here.
    fn attach(self: &Arc<Self>, session: Arc<Session>) {
        let until = session.take_reader(&self.downstream.stopping);
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = until.clone();
        self.session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(Arc::clone(&session));
        let peer = Arc::clone(self);
        let passing = async move { peer.pass_standalone(&Reading::of(session)).await };
        let passing = until.run_until_cancelled_owned(passing);
        self.downstream.tasks.spawn(passing);
    }

    fn leave_session(&self) {
        let session = self
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(session) = session {
            self.downstream
                .sessions
                .close(&self.downstream.gateway, &session.id);
        }
    }

    /// Messages that belong to no call, from where the last reader stopped.
    async fn pass_standalone(&self, reading: &Reading) {
        let session = reading.session();
        let mut position = session.read_to();
        loop {
            match std::future::poll_fn(|cx| session.standalone.poll_follow(&mut position, cx)).await
            {
                Follow::Event(_, text) if text.is_empty() => {}
                Follow::Event(_, text) => {
                    self.write(text).await;
                    session.set_read_to(position);
                }
                Follow::End => return,
            }
        }
    }

    fn legacy(self: &Arc<Self>, session: &Arc<Session>, message: Envelope) {
        session.note(&message);
        let id = message.id().cloned().unwrap_or_else(|| Json::of(&()));
        let cancel = session.begin(&id);
        let request = Request {
            message,
            client: Arc::clone(&session.client),
            param_headers: Vec::new(),
            over_http: false,
            log_level: Some(session.questions.level()),
            holder: None,
        };
        let edge = Edge::Legacy(Posed::to(session));
        let conversation = Conversation::begin(
            &self.downstream.gateway,
            self.downstream.acting(session),
            request,
            edge,
            cancel,
        );
        let (peer, session) = (Arc::clone(self), Arc::clone(session));
        let running = self.downstream.intake.begin();
        self.spawn(async move {
            peer.run(&id, conversation, Some(running)).await;
            session.finish(&id);
        });
    }

    async fn modern(self: &Arc<Self>, message: Envelope, version: &str) {
        let id = message.id().cloned().unwrap_or_else(|| Json::of(&()));
        let scope = match self.scope() {
            Ok(scope) => scope,
            Err(error) => return self.write(error_text(Some(&id), &error)).await,
        };
        let request = match modern::request(message, version, None) {
            Ok(request) => request,
            Err(error) => return self.write(error.text(Some(&id)).into_bytes()).await,
        };
        let listens = request.method() == "subscriptions/listen";
        let cancel = if listens {
            self.listening.child_token()
        } else {
            CancellationToken::new()
        };
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.as_str().to_owned(), cancel.clone());
        let conversation = self.downstream.modern_conversation(scope, request, cancel);
        let conversation = match conversation.await {
            Ok(conversation) => conversation,
            Err(error) => {
                self.leave(&id);
                return self.write(error.text(Some(&id)).into_bytes()).await;
            }
        };
        let peer = Arc::clone(self);
        let running = (!listens).then(|| self.downstream.intake.begin());
        self.spawn(async move {
            peer.run(&id, conversation, running).await;
            peer.leave(&id);
        });
    }

    /// A modern request is under way no more.
    fn leave(&self, id: &Json) {
        let mut in_flight = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        in_flight.remove(id.as_str());
    }

    /// What is in reach now: a reload may have changed it.
    fn scope(&self) -> Result<Arc<Scope>, RpcError> {
        let reach = &self.downstream.reach;
        reach
            .scope(&self.entry)
            .map_err(|why| refusal::explained(&why, reach))
    }

    fn cancel(&self, message: &Envelope) {
        let Some(id) = message.params().and_then(|params| params.get("requestId")) else {
            return;
        };
        if let Some(cancel) = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id.as_str())
        {
            cancel.cancel();
        }
    }

    /// Answers a request; it counts as `running` until the answer is written.
    async fn run(&self, id: &Json, mut conversation: Conversation, running: Option<Running>) {
        let listens = running.is_none();
        loop {
            match conversation.next().await {
                Next::Stream => {}
                Next::Message(message) => self.write(message.into_bytes()).await,
                // Whoever comes again listens on: what ends is not the subscription but this Janus.
                Next::Response(_)
                    if listens
                        && self.reserved.is_some()
                        && self.downstream.stopping.is_cancelled() =>
                {
                    return;
                }
                Next::Response(response) => return self.respond(id, response, running).await,
                Next::Pause => {
                    if let Some(response) = self.downstream.parking.park(conversation) {
                        self.respond(id, response, running).await;
                    }
                    return;
                }
                Next::Cancelled => return,
            }
        }
    }

    /// A line must be whole before it is begun: another message may come between its parts.
    async fn respond(&self, id: &Json, response: Response, running: Option<Running>) {
        let line = match response.body {
            ResponseBody::Whole(parts) => super::adapt::joined(&parts),
            ResponseBody::Stream(mut stream) => {
                let mut line = BytesMut::new();
                while let Some(chunk) = stream.next().await {
                    match chunk {
                        Ok(chunk) => line.extend_from_slice(&chunk),
                        Err(broken) => {
                            let error = RpcError::new(code::INTERNAL_ERROR, broken.to_string());
                            return self.write(error_text(Some(id), &error)).await;
                        }
                    }
                }
                line.freeze()
            }
        };
        self.send(Out { line, running }).await;
    }

    async fn write(&self, line: Bytes) {
        self.send(line.into()).await;
    }

    async fn send(&self, out: Out) {
        // The writer ends when the client is gone.
        drop(self.lines.send(out).await);
    }

    /// A task for one answer: waited for when the input ends, and when Janus does.
    fn spawn(&self, answer: impl Future<Output = ()> + Send + 'static) {
        self.downstream.tasks.spawn(self.calls.track_future(answer));
    }

    /// Nothing more is read: what was asked is answered, to whoever still reads, within a limit. Returns whether all
    /// of it was.
    async fn finish(&self) -> bool {
        self.listening.cancel();
        self.calls.close();
        tokio::select! {
            () = self.calls.wait() => true,
            () = self.lines.closed() => false,
            () = tokio::time::sleep(LAST_ANSWERS) => false,
        }
    }

    /// The session ends when the client does; one that can come again finds it where only the connection ended, and
    /// goes on undisturbed where it came again before this end was noticed.
    fn close(&self, ended: Ended) {
        let is_elsewhere = self.over().is_cancelled();
        if self.reserved.is_none() || (ended == Ended::ByClient && !is_elsewhere) {
            self.leave_session();
        }
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .for_each(CancellationToken::cancel);
        // What its session is told from now on waits for whoever reads it next.
        self.over().cancel();
    }
}
