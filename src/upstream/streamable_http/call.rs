//! One request and what comes of it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use ::http::header::CONTENT_TYPE;
use ::http::{HeaderMap, Response, StatusCode};
use bytes::Bytes;
use hyper::body::Incoming;

use super::patience::Patience;
use super::questions::Asked;
use super::source::{Frame, Held, poll_frame};
use super::underway::Underway;
use super::{HOLD, Inner, refusal};
use crate::protocol::{
    Body, ClientFacts, Envelope, Era, Events, Kind, LONGEST_MESSAGE, Relayed, header,
};
use crate::upstream::Failure;
use crate::upstream::wire::Outgoing;

/// What `server/discover` brought.
#[derive(Debug)]
pub(crate) struct Probe {
    /// The status.
    pub(crate) status: StatusCode,
    /// When the server wants to be asked again.
    pub(crate) retry_in: Option<Duration>,
    /// The body, if it is a JSON-RPC message.
    pub(crate) message: Option<Envelope>,
}

/// A request while it waits for its response.
pub(super) struct Call<'a> {
    pub(super) leg: &'a Arc<Inner>,
    pub(super) outgoing: &'a Outgoing,
    /// Whom the server may ask. Janus itself reads its own answers, so they are never streamed.
    pub(super) client: Option<&'a Arc<ClientFacts>>,
    pub(super) era: Era,
    pub(super) events: &'a Events,
    pub(super) patience: Patience,
    pub(super) asked: Asked,
}

pub(super) async fn exchange(
    leg: &Arc<Inner>,
    outgoing: &Outgoing,
    client: Option<&Arc<ClientFacts>>,
    era: Era,
    events: &Events,
) -> Result<Relayed, Failure> {
    let mut underway = Underway::begin(leg, outgoing, client, era, events);
    let outcome = Call::new(leg, outgoing, client, era, events).run().await;
    match &outcome {
        // The server may still be at it, and nobody waits.
        Err(Failure::Interrupted { .. } | Failure::TimedOut { .. }) => {}
        Ok(_) | Err(_) => underway.settled(),
    }
    outcome
}

pub(super) async fn probe(leg: &Arc<Inner>, outgoing: &Outgoing) -> Result<Probe, Failure> {
    let (events, _nobody) = Events::channel();
    let mut call = Call::new(leg, outgoing, None, Era::Modern, &events);
    let agreed = leg.agreed();
    let post = leg.post(outgoing, Era::Modern, &agreed);
    let response = call.drive(post).await??;
    let status = response.status();
    let retry_in = refusal::retry_after(response.headers());
    let is_stream = status == StatusCode::OK && is_events(&response);
    let mut body = response.into_body();
    let message = if is_stream {
        match call.stream(body).await {
            Ok(Relayed {
                body: Body::Whole(json),
                ..
            }) => Envelope::of(&json).ok(),
            Ok(_) | Err(Failure::BadAnswer { .. }) => None,
            Err(failure) => return Err(failure),
        }
    } else {
        refusal::message(call.up_to(LONGEST_MESSAGE, &mut body).await)
    };
    Ok(Probe {
        status,
        retry_in,
        message,
    })
}

impl<'a> Call<'a> {
    fn new(
        leg: &'a Arc<Inner>,
        outgoing: &'a Outgoing,
        client: Option<&'a Arc<ClientFacts>>,
        era: Era,
        events: &'a Events,
    ) -> Self {
        let limit = (!outgoing.is_listen()).then_some(leg.timeout);
        Self {
            leg,
            outgoing,
            client,
            era,
            events,
            patience: Patience::new(limit),
            asked: Asked::new(leg),
        }
    }

    async fn run(mut self) -> Result<Relayed, Failure> {
        let mut agreed = self.leg.agreed();
        let opens = self.era == Era::Legacy && self.outgoing.method == "initialize";
        if opens {
            agreed.session = None;
        }
        let post = self.leg.post(self.outgoing, self.era, &agreed);
        let response = self.drive(post).await??;
        if response.status() != StatusCode::OK {
            let had_session = self.era == Era::Legacy && agreed.session.is_some();
            if opens && is_old(response.status()) {
                self.leg.refused_opening.store(true, Ordering::Relaxed);
            }
            return self.refused(response, had_session).await;
        }
        if opens {
            let mut session = response.headers().get(header::SESSION_ID).cloned();
            if let Some(session) = &mut session {
                session.set_sensitive(true);
            }
            self.leg.agree(|agreed| agreed.session = session);
        }
        match content(response.headers()) {
            Content::Json => self.json(response.into_body()).await,
            Content::Events => {
                if self.client.is_some() {
                    self.events.opened(self.era);
                }
                self.stream(response.into_body()).await
            }
            Content::Other(what) => Err(self.leg.bad(format!("its content type is {what}"))),
        }
    }

    /// A response that is not 200.
    async fn refused(
        mut self,
        response: Response<Incoming>,
        had_session: bool,
    ) -> Result<Relayed, Failure> {
        let (head, mut body) = response.into_parts();
        let status = head.status;
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(self.leg.refused(status, &head.headers));
        }
        if status.is_success() {
            return Err(self
                .leg
                .bad(format!("HTTP {status} without an answer to the request")));
        }
        let body = self.up_to(HOLD, &mut body).await;
        if had_session && refusal::forgets_session(status, &body) {
            return Err(self.leg.session_unknown());
        }
        match refusal::message(body) {
            Some(message) if message.kind() == Kind::Error => Ok(self.relay(&message)),
            _ => Err(self.leg.refused(status, &head.headers)),
        }
    }

    /// Waits for `future` while the questions go on, as long as the server gives signs.
    pub(super) async fn drive<F: Future>(&mut self, future: F) -> Result<F::Output, Failure> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            if self.asked.waits() {
                self.patience.heard();
            }
            self.asked.poll(cx);
            if !self.asked.is_full()
                && let Poll::Ready(output) = future.as_mut().poll(cx)
            {
                return Poll::Ready(Ok(output));
            }
            self.patience
                .poll_over(cx)
                .map(|()| Err(self.leg.timed_out()))
        })
        .await
    }

    /// The next bytes of a body.
    pub(super) async fn frame(&mut self, body: &mut Incoming) -> Result<Frame, Failure> {
        let frame = self.drive(std::future::poll_fn(|cx| poll_frame(body, cx)));
        let frame = frame.await?;
        self.patience.heard();
        Ok(frame)
    }

    /// A short body, as far as it comes.
    async fn up_to(&mut self, most: usize, body: &mut Incoming) -> Bytes {
        let mut held = Held::default();
        while held.len() <= most
            && let Ok(Frame::Data(bytes)) = self.frame(body).await
        {
            held.push(bytes);
        }
        held.into_bytes()
    }
}

/// How a server of HTTP+SSE only refuses a POST to the address of its stream.
fn is_old(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
    )
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Json,
    Events,
    Other(String),
}

/// Whether a response is an event stream.
pub(in crate::upstream) fn is_events(response: &Response<Incoming>) -> bool {
    content(response.headers()) == Content::Events
}

fn content(headers: &HeaderMap) -> Content {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Content::Other("missing".to_owned());
    };
    let Ok(text) = value.to_str() else {
        return Content::Other("unreadable".to_owned());
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Content::Json
    } else if essence.eq_ignore_ascii_case("text/event-stream") {
        Content::Events
    } else {
        Content::Other(format!("`{}`", essence.escape_debug()))
    }
}
