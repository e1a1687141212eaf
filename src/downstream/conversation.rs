//! An exchange as its edge sees it: messages to the client in order, then the response.
//!
//! The edge owns the exchange and polls it from within the response body, so that a call costs no task and no channel.
//! When the client goes away, a modern exchange ends with the body (gone means cancelled: 2026-07-28,
//! basic/transports/streamable-http, "Cancellation"); a legacy one goes on in a task, because only
//! `notifications/cancelled` cancels it (2025-11-25, basic/transports), and what it says is kept for resumption.

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
    Legacy(Arc<Questions>),
    /// Nothing can be said before the response: no questions, no messages.
    Mute,
    /// No questions on the stream; log messages only if the request asked for them.
    Modern(Option<LogLevel>),
}

/// As whom a request acts.
pub(super) enum Acting {
    /// As was found out already.
    As(Arc<Scope>),
    /// As its session does, which may have to ask its client first.
    In(Arc<Session>, Arc<Reach>, Arc<Sessions>),
}

impl Acting {
    async fn scope(self, gateway: &Gateway, events: &Events) -> Result<Arc<Scope>, RpcError> {
        let (session, reach, sessions) = match self {
            Self::As(scope) => return Ok(scope),
            Self::In(session, reach, sessions) => (session, reach, sessions),
        };
        let settled = if let Some(settled) = session.settled(gateway, &reach) {
            settled
        } else {
            let found = Box::pin(session.scope(gateway, &reach, events)).await;
            sessions.keep(&session);
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
        let (sender, events) = Events::channel();
        let asked = Asked::of(&request);
        let gateway = Arc::clone(gateway);
        let running = async move {
            match acting.scope(&gateway, &sender).await {
                Ok(scope) => gateway.handle(&scope, request, &sender).await,
                Err(refused) => Outcome::Error(refused),
            }
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
            let Some(running) = &mut self.running else {
                return Poll::Ready(Next::Cancelled);
            };
            if let Poll::Ready(outcome) = running.as_mut().poll(cx) {
                self.running = None;
                self.ended = Some(outcome);
                continue;
            }
            match self.events.poll_next(cx) {
                Poll::Ready(event) => {
                    if let Some(next) = self.edge.next(event) {
                        return Poll::Ready(next);
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Waits for what comes next.
    pub(super) async fn next(&mut self) -> Next {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Edge {
    fn next(&self, event: Event) -> Option<Next> {
        match (self, event) {
            // Dropping a question's sender refuses it: nobody can be asked here, or the other era's way of asking is
            // not spoken yet.
            (Self::Mute, _) | (Self::Modern(_), Event::Ask(..)) => None,
            (_, Event::Opened) => Some(Next::Stream),
            (Self::Legacy(questions), Event::Notify(message)) => questions
                .wants(&message)
                .then(|| Next::Message(line(&message))),
            (Self::Modern(level), Event::Notify(message)) => {
                let wanted = log_level(&message)
                    .is_none_or(|of_message| level.is_some_and(|level| of_message >= level));
                wanted.then(|| Next::Message(line(&message)))
            }
            (Self::Legacy(questions), Event::Ask(question, answer)) => {
                Some(Next::Message(questions.ask(&question, answer)))
            }
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
