//! MCP on standard input and output: one client, both eras, decided for each message by itself.
//!
//! Invariant: nothing but protocol is written.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authn;
use crate::binding::{Entry, Refused, Scope};
use crate::protocol::{Envelope, Json, Kind, LONGEST_MESSAGE, Request, Revision, RpcError, code};

use super::adapt::{Response, ResponseBody, error_text};
use super::conversation::{Acting, Conversation, Edge, Next, requested_level};
use super::legacy::{Follow, Opened, Reading, Session};
use super::{Downstream, modern};

/// Lines waiting to be written: a client that does not read slows its own answers.
const LINES: usize = 64;
/// A client that closed its end may still wait for answers, but not for long.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// The one client.
struct Peer {
    downstream: Downstream,
    entry: Entry,
    scope: Arc<Scope>,
    session: Mutex<Option<Arc<Session>>>,
    /// Modern requests under way, by id: `notifications/cancelled` names one.
    in_flight: Mutex<BTreeMap<String, CancellationToken>>,
    /// Streams of changes, which have no end of their own.
    listening: CancellationToken,
    /// The answers under way.
    calls: TaskTracker,
    lines: mpsc::Sender<Bytes>,
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
        let scope = self.reach.scope(&entry)?;
        let (lines, queue) = mpsc::channel(LINES);
        let writer = self.tasks.spawn(write(queue, output));
        let stopping = self.stopping.clone();
        let peer = Arc::new(Peer {
            downstream: self,
            entry,
            scope,
            session: Mutex::default(),
            in_flight: Mutex::default(),
            listening: CancellationToken::new(),
            calls: TaskTracker::new(),
            lines,
        });
        tokio::select! {
            () = stopping.cancelled() => {}
            () = peer.read(input) => peer.finish().await,
        }
        peer.close();
        drop(peer);
        // A client that is gone takes nothing more.
        drop(tokio::time::timeout(Duration::from_secs(2), writer).await);
        Ok(())
    }
}

impl Peer {
    async fn read<R: AsyncBufRead + Unpin>(self: &Arc<Self>, mut input: R) {
        while let Some(line) = next_line(&mut input).await {
            match line {
                Line::Text(text) if text.iter().all(u8::is_ascii_whitespace) => {}
                Line::Text(text) => self.line(text).await,
                Line::TooLong => {
                    let error =
                        RpcError::new(code::INVALID_REQUEST, "a message has at most 16 MiB");
                    self.write(error.text(None).into_bytes()).await;
                }
            }
        }
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
        let gateway = &self.downstream.gateway;
        let result = gateway.initialize(Some(&self.scope), opened.revision).await;
        let sessions = &self.downstream.sessions;
        let session = sessions.open(gateway, self.entry.clone(), opened).await;
        let before = self
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(Arc::clone(&session));
        if let Some(before) = before {
            self.downstream.sessions.close(gateway, &before.id);
        }
        let id = message.id().cloned().unwrap_or_else(|| Json::of(&()));
        self.write(Envelope::result_text(&id, &result).into_bytes())
            .await;
        let peer = Arc::clone(self);
        self.downstream
            .tasks
            .spawn(async move { peer.pass_standalone(&Reading::of(session)).await });
    }

    /// Messages that belong to no call.
    async fn pass_standalone(&self, reading: &Reading) {
        let mut position = 0;
        loop {
            match std::future::poll_fn(|cx| {
                reading.session().standalone.poll_follow(&mut position, cx)
            })
            .await
            {
                Follow::Event(_, text) if text.is_empty() => {}
                Follow::Event(_, text) => self.write(text).await,
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
        };
        let edge = Edge::Legacy(Arc::clone(&session.questions));
        let conversation = Conversation::begin(
            &self.downstream.gateway,
            self.downstream.acting(session),
            request,
            edge,
            cancel,
        );
        let (peer, session) = (Arc::clone(self), Arc::clone(session));
        self.spawn(async move {
            peer.run(&id, conversation).await;
            session.finish(&id);
        });
    }

    async fn modern(self: &Arc<Self>, message: Envelope, version: &str) {
        let id = message.id().cloned().unwrap_or_else(|| Json::of(&()));
        let request = match modern::request(message, version, None) {
            Ok(request) => request,
            Err(error) => return self.write(error.text(Some(&id)).into_bytes()).await,
        };
        let cancel = if request.method() == "subscriptions/listen" {
            self.listening.child_token()
        } else {
            CancellationToken::new()
        };
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.as_str().to_owned(), cancel.clone());
        let edge = Edge::Modern(requested_level(&request));
        let conversation = Conversation::begin(
            &self.downstream.gateway,
            Acting::As(Arc::clone(&self.scope)),
            request,
            edge,
            cancel,
        );
        let peer = Arc::clone(self);
        self.spawn(async move {
            peer.run(&id, conversation).await;
            peer.in_flight
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(id.as_str());
        });
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

    async fn run(&self, id: &Json, mut conversation: Conversation) {
        loop {
            match conversation.next().await {
                Next::Stream => {}
                Next::Message(message) => self.write(message.into_bytes()).await,
                Next::Response(response) => return self.respond(id, response).await,
                Next::Cancelled => return,
            }
        }
    }

    /// A line must be whole before it is begun: another message may come between its parts.
    async fn respond(&self, id: &Json, response: Response) {
        match response.body {
            ResponseBody::Whole(parts) => self.write(super::adapt::joined(&parts)).await,
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
                self.write(line.freeze()).await;
            }
        }
    }

    async fn write(&self, line: Bytes) {
        // The writer ends when the client is gone.
        drop(self.lines.send(line).await);
    }

    /// A task for one answer: waited for when the input ends, and when Janus does.
    fn spawn(&self, answer: impl Future<Output = ()> + Send + 'static) {
        self.downstream.tasks.spawn(self.calls.track_future(answer));
    }

    /// The input has ended: what was asked is answered, to whoever still reads, within a limit.
    async fn finish(&self) {
        self.listening.cancel();
        self.calls.close();
        tokio::select! {
            () = self.calls.wait() => {}
            () = self.lines.closed() => {}
            () = tokio::time::sleep(LAST_ANSWERS) => {}
        }
    }

    fn close(&self) {
        if let Some(session) = self
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            self.downstream
                .sessions
                .close(&self.downstream.gateway, &session.id);
        }
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .for_each(CancellationToken::cancel);
    }
}

async fn write<W: AsyncWrite + Unpin>(mut queue: mpsc::Receiver<Bytes>, mut output: W) {
    while let Some(line) = queue.recv().await {
        let written = async {
            output.write_all(&line).await?;
            output.write_all(b"\n").await?;
            output.flush().await
        };
        if written.await.is_err() {
            return;
        }
    }
}

enum Line {
    Text(Bytes),
    TooLong,
}

/// The next line; one that is too long is read to its end without being kept.
async fn next_line<R: AsyncBufRead + Unpin>(input: &mut R) -> Option<Line> {
    let (mut line, mut too_long) = (BytesMut::new(), false);
    loop {
        let chunk = input.fill_buf().await.ok()?;
        if chunk.is_empty() {
            return (!line.is_empty()).then(|| Line::Text(line.freeze()));
        }
        let (part, used, ended) = match memchr::memchr(b'\n', chunk) {
            Some(end) => (chunk.get(..end).unwrap_or_default(), end + 1, true),
            None => (chunk, chunk.len(), false),
        };
        too_long |= line.len() + part.len() > LONGEST_MESSAGE;
        if !too_long {
            line.extend_from_slice(part);
        }
        input.consume(used);
        if ended {
            return Some(if too_long {
                Line::TooLong
            } else {
                Line::Text(line.freeze())
            });
        }
        if too_long {
            line.clear();
        }
    }
}
