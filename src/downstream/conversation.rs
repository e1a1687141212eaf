//! An exchange as its edge sees it: messages to the client in order, then the response.
//!
//! The edge owns the exchange and polls it from within the response body, so that a call costs no task and no channel.
//! When the client goes away, a modern exchange ends with the body (gone means cancelled: 2026-07-28,
//! basic/transports/streamable-http, "Cancellation"); a legacy one goes on in a task, because only
//! `notifications/cancelled` cancels it (2025-11-25, basic/transports), and what it says is kept for resumption. One
//! that asks a modern client something is parked (see `modern/parking`), and resumed by another request.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::binding::Scope;
use crate::downstream::reach::Reach;
use crate::gateway::Gateway;
use crate::protocol::{
    Envelope, Event, EventQueue, Events, Json, LogLevel, Outcome, Request, RpcError, meta,
};

use super::adapt::{Asked, Response};
use super::legacy::{Questions, Session, Sessions};
use super::modern::Asking;
use super::refusal;

/// One exchange under way.
pub(super) struct Conversation {
    running: Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>,
    events: EventQueue,
    ended: Option<Outcome>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    edge: Edge,
    asked: Asked,
}

/// What differs between the eras while an exchange runs.
pub(super) enum Edge {
    /// Questions go to the client as requests; log messages by the session's level.
    Legacy(Posed),
    /// Nothing can be said before the response: no questions, no messages.
    Mute,
    /// Questions end the response, and the exchange is parked; log messages only if the request asked for them.
    Modern(Box<Asking>),
}

/// The questions of one exchange that a legacy client was shown, by their numbers in it.
pub(super) struct Posed {
    questions: Arc<Questions>,
    open: BTreeMap<u64, String>,
}

impl Posed {
    /// None yet.
    pub(super) fn to(session: &Session) -> Self {
        Self {
            questions: Arc::clone(&session.questions),
            open: BTreeMap::new(),
        }
    }
}

/// As whom a request acts.
pub(super) enum Acting {
    /// As was found out already.
    As(Arc<Scope>),
    /// As its session does, which may have to ask its client first.
    In(Arc<Session>, Arc<Reach>, Arc<Sessions>),
}

impl Acting {
    /// Where what this request asks to be remembered is kept beyond this process.
    fn remembering(&self, request: &Request) -> Option<(Arc<Session>, Arc<Sessions>)> {
        let remembers = matches!(
            request.method(),
            "resources/subscribe" | "resources/unsubscribe" | "logging/setLevel"
        );
        match self {
            Self::In(session, _, sessions) if remembers => {
                Some((Arc::clone(session), Arc::clone(sessions)))
            }
            _ => None,
        }
    }

    async fn scope(self, gateway: &Gateway, events: &Events) -> Result<Arc<Scope>, RpcError> {
        let (session, reach, sessions) = match self {
            Self::As(scope) => return Ok(scope),
            Self::In(session, reach, sessions) => (session, reach, sessions),
        };
        let settled = if let Some(settled) = session.settled(gateway, &reach) {
            settled
        } else {
            let found = Box::pin(session.scope(gateway, &reach, events)).await;
            sessions.keep(&session).await;
            found
        };
        settled.map_err(|why| refusal::explained(&why, &reach))
    }
}

/// What comes next.
pub(super) enum Next {
    /// The answer will be a stream, of which nothing is there yet.
    Stream,
    /// A notification or a question.
    Message(Json),
    /// The response. Nothing comes after it.
    Response(Response),
    /// The client must answer before it goes on: the conversation is to be parked.
    Pause,
    /// The client cancelled: there is no response.
    Cancelled,
}

impl Conversation {
    /// Begins to serve a request.
    pub(super) fn begin(
        gateway: &Arc<Gateway>,
        acting: Acting,
        request: Request,
        edge: Edge,
        cancel: CancellationToken,
    ) -> Self {
        let (sender, events) = gateway.events();
        let asked = Asked::of(&request);
        let gateway = Arc::clone(gateway);
        let remembering = acting.remembering(&request);
        let running = async move {
            let outcome = match acting.scope(&gateway, &sender).await {
                Ok(scope) => gateway.handle(&scope, request, &sender).await,
                Err(refused) => Outcome::Error(refused),
            };
            // Whoever has the answer may count on it.
            if let Some((session, sessions)) = remembering {
                sessions.keep(&session).await;
            }
            outcome
        };
        Self {
            running: Some(Box::pin(running)),
            events,
            ended: None,
            cancelled: Box::pin(cancel.cancelled_owned()),
            edge,
            asked,
        }
    }

    /// What comes next; not called again after a response or a cancellation.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            while let Some(event) = self.events.try_next() {
                if let Some(next) = self.edge.next(event) {
                    return Poll::Ready(next);
                }
            }
            if let Some(outcome) = self.ended.take() {
                return Poll::Ready(Next::Response(self.asked.response(outcome)));
            }
            if self.cancelled.as_mut().poll(cx).is_ready() {
                self.running = None;
                return Poll::Ready(Next::Cancelled);
            }
            if self.running.is_none() {
                return Poll::Ready(Next::Cancelled);
            }
            if self.poll_running(cx).is_ready() {
                continue;
            }
            match self.events.poll_next(cx) {
                Poll::Ready(event) => {
                    if let Some(next) = self.edge.next(event) {
                        return Poll::Ready(next);
                    }
                }
                Poll::Pending => return self.edge.poll_pause(cx).map(|()| Next::Pause),
            }
        }
    }

    /// Carries the exchange on without looking at what it says; ready when it has ended.
    fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(running) = &mut self.running else {
            return Poll::Ready(());
        };
        self.ended = Some(std::task::ready!(running.as_mut().poll(cx)));
        self.running = None;
        Poll::Ready(())
    }

    /// Carries the exchange on while nobody listens, to its end. What it says waits.
    pub(super) async fn run(&mut self) {
        std::future::poll_fn(|cx| self.poll_running(cx)).await;
    }

    /// Whether the response is to be a stream, even where it comes first.
    pub(super) fn streams(&self) -> bool {
        matches!(&self.edge, Edge::Modern(asking) if asking.streams())
    }

    /// What the client must answer before it goes on, and under which request it asked.
    pub(super) fn asking(&mut self) -> Option<(&mut Asking, &Asked)> {
        match &mut self.edge {
            Edge::Modern(asking) => Some((asking, &self.asked)),
            Edge::Legacy(_) | Edge::Mute => None,
        }
    }

    /// Goes on under another request of its client, which has the same parameters.
    pub(super) fn resume(&mut self, request: &Request, cancel: CancellationToken) {
        if let Edge::Modern(asking) = &mut self.edge {
            asking.go_on(request);
        }
        self.asked.go_on_as(request.id());
        self.cancelled = Box::pin(cancel.cancelled_owned());
    }

    /// Waits for what comes next.
    pub(super) async fn next(&mut self) -> Next {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Edge {
    fn next(&mut self, event: Event) -> Option<Next> {
        match (self, event) {
            // Dropping the asker refuses the question: nobody can be asked here.
            (Self::Mute, _) => None,
            (Self::Modern(asking), Event::Opened(era)) => {
                asking.opened(era).then_some(Next::Stream)
            }
            (Self::Legacy(_), Event::Opened(_)) => Some(Next::Stream),
            (Self::Legacy(posed), Event::Notify(message)) => posed
                .questions
                .wants(&message)
                .then(|| Next::Message(line(&message))),
            (Self::Legacy(posed), Event::Ask(question, asker)) => {
                let number = asker.number();
                let (id, text) = posed.questions.ask(&question, asker);
                posed.open.insert(number, id);
                Some(Next::Message(text))
            }
            (Self::Legacy(posed), Event::Withdrawn(number)) => {
                let id = posed.open.remove(&number)?;
                Some(Next::Message(posed.questions.withdraw(&id)))
            }
            (Self::Modern(asking), Event::Notify(message)) => asking
                .passed(message)
                .map(|message| Next::Message(line(&message))),
            (Self::Modern(asking), Event::Ask(question, asker)) => {
                asking.ask(question, asker);
                None
            }
            (Self::Modern(asking), Event::Withdrawn(number)) => {
                asking.withdraw(number);
                None
            }
        }
    }

    /// Ready when a modern client shall be asked what has come together.
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Modern(asking) => asking.poll_due(cx),
            Self::Legacy(_) | Self::Mute => Poll::Pending,
        }
    }
}

fn line(message: &Envelope) -> Json {
    message.json().clone().on_one_line()
}

/// The level of a log message; `None` for every other notification.
pub(super) fn log_level(message: &Envelope) -> Option<LogLevel> {
    if message.method() != "notifications/message" {
        return None;
    }
    let level = message.params().and_then(|params| params.text("level"));
    Some(
        level
            .and_then(|level| LogLevel::named(&level))
            .unwrap_or(LogLevel::Info),
    )
}

/// The level a modern request asks for.
pub(super) fn requested_level(request: &Request) -> Option<LogLevel> {
    request
        .meta()
        .text(meta::LOG_LEVEL)
        .and_then(|level| LogLevel::named(&level))
}
