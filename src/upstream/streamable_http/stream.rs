//! An answer that is an event stream: notifications and questions in their order, then the response.

use std::pin::pin;
use std::time::Duration;

use ::http::StatusCode;
use bytes::Bytes;
use hyper::body::Incoming;

use tokio_util::sync::CancellationToken;

use super::answer::{batch, is_batch};
use super::call::{Call, is_events};
use super::source::{Frame, Held, Source, drain, is_event, is_message};
use super::{HOLD, long};
use crate::protocol::sse::Piece;
use crate::protocol::{Completion, Edit, Envelope, Era, Json, Kind, Relayed};
use crate::upstream::Failure;

/// What a legacy server wants between two connections of a stream if it does not say (2025-11-25 leaves it open; the
/// SDKs wait a second).
const RETRY: Duration = Duration::from_secs(1);
/// Connections in a row without one event: there is nothing to resume.
const TRIES: u32 = 5;

/// What a stream brought.
enum Heard {
    /// A message, whole.
    Message(Bytes),
    /// The head of a long result.
    Long(Bytes, Completion),
    /// The connection is over, and why.
    End(String),
}

impl Call<'_> {
    /// Reads the stream up to the response of this request.
    pub(super) async fn stream(mut self, body: Incoming) -> Result<Relayed, Failure> {
        let mut source = Source::new(body);
        let mut odd = None;
        let mut tries = TRIES;
        let relayed = loop {
            match self.next(&mut source, &mut tries).await? {
                Heard::Message(text) if is_batch(&text) => {
                    if let Some(relayed) = self.batch(text).await {
                        drain(&self.leg.tasks, source.into_body());
                        break relayed;
                    }
                }
                Heard::Message(text) => {
                    let message = match Envelope::parse(text) {
                        Ok(message) => message,
                        Err(refused) if refused.id.as_ref().is_some_and(|id| self.is_ours(id)) => {
                            return Err(self.leg.bad(refused.error.message));
                        }
                        Err(refused) => {
                            tracing::debug!(account = %self.leg.account, error = %refused.error.message, "an event is no message");
                            odd = Some(refused.error.message);
                            continue;
                        }
                    };
                    if let Some(relayed) = self.message(message).await {
                        drain(&self.leg.tasks, source.into_body());
                        break relayed;
                    }
                }
                Heard::Long(head, completion) => {
                    let body = long::event(&self, head, source);
                    break self.streamed(body, completion);
                }
                Heard::End(why) => match odd {
                    // Most likely that was the response.
                    Some(why) => return Err(self.leg.bad(why)),
                    None => self.resume(&mut source, &mut tries, why).await?,
                },
            }
        };
        self.asked.finish();
        Ok(relayed)
    }

    /// The next message. Comments keep a connection open and are no sign of life of this request.
    async fn next(&mut self, source: &mut Source, tries: &mut u32) -> Result<Heard, Failure> {
        let mut held = Held::default();
        let mut most = HOLD;
        loop {
            while let Some(piece) = source.piece() {
                match piece {
                    Piece::Data(bytes) => {
                        self.patience.heard();
                        held.push(bytes);
                        if held.len() > most {
                            if let Some(completion) = self.streams(held.text(), most) {
                                return Ok(Heard::Long(held.into_bytes(), completion));
                            }
                            most = self.longer(most)?;
                        }
                    }
                    Piece::End(fields) => {
                        if is_event(&fields) {
                            self.patience.heard();
                            *tries = TRIES;
                        }
                        let message = std::mem::take(&mut held);
                        if message.len() > 0 && is_message(&fields) {
                            return Ok(Heard::Message(message.into_bytes()));
                        }
                    }
                }
            }
            let more = self.drive(std::future::poll_fn(|cx| source.poll_more(cx)));
            match more.await? {
                Frame::Data(_) => {}
                Frame::End => return Ok(Heard::End("the stream ended".to_owned())),
                Frame::Broken(why) => return Ok(Heard::End(why)),
            }
        }
    }

    /// Passes on what came together; gives the response if it is among it.
    async fn batch(&mut self, text: Bytes) -> Option<Relayed> {
        let mut response = None;
        for message in batch(text) {
            let relayed = self.message(message).await;
            response = response.or(relayed);
        }
        response
    }

    /// Passes a message on; gives the response when it is there.
    async fn message(&mut self, message: Envelope) -> Option<Relayed> {
        match message.kind() {
            Kind::Result | Kind::Error => {
                let ours = message
                    .id()
                    .is_none_or(|id| id.is_null() || self.is_ours(id));
                if ours {
                    return Some(self.relay(&message));
                }
                tracing::debug!(account = %self.leg.account, "a response to another request on this stream");
            }
            Kind::Request => {
                let (client, events) = (self.client, self.events);
                self.asked.take(&message, |question| {
                    client
                        .filter(|client| question.suits(client))
                        // The questions of a call live in its own future.
                        .map(|_| (events.clone(), CancellationToken::new()))
                });
            }
            Kind::Notification => self.notification(message).await,
        }
        None
    }

    async fn notification(&mut self, message: Envelope) {
        match message.method() {
            "notifications/progress" => {
                if let Some(message) = self.progress(&message) {
                    self.pass_on(message).await;
                }
            }
            "notifications/cancelled" => self.asked.withdraw(&message),
            method if self.era == Era::Legacy && is_unsolicited(method) => {
                // Never waits: the reader of the inbox may be waiting for this call.
                if self.leg.inbox.try_send(message).is_err() {
                    tracing::debug!(account = %self.leg.account, "the inbox is full");
                }
            }
            _ => {
                let params = message.params();
                let params = params.and_then(|params| self.resubscribed(params.json()));
                let message = match params.map(|params| message.with_params(params)) {
                    None => message,
                    Some(text) => Envelope::of(&text).unwrap_or(message),
                };
                self.pass_on(message).await;
            }
        }
    }

    /// Progress of this call, with the client's own token. That of anything else is nobody's.
    fn progress(&self, message: &Envelope) -> Option<Envelope> {
        let marked = message.params()?.get("progressToken")?;
        if !self.is_ours(&marked) {
            return None;
        }
        with_token(message, self.outgoing.token.as_ref()?)
    }

    /// Gives a notification to the client, at its pace. Janus's own requests have no reader to wait for.
    async fn pass_on(&mut self, message: Envelope) {
        if self.client.is_none() {
            self.events.offer(message);
            return;
        }
        let events = self.events;
        let mut passing = pin!(events.notify(message));
        std::future::poll_fn(|cx| {
            // Questions that came before are put before it.
            self.asked.poll(cx);
            passing.as_mut().poll(cx)
        })
        .await;
        self.patience.heard();
    }

    /// Takes the stream up again where it ended, if the server gave it a place.
    //= https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#sending-messages-to-the-server
    //# The client **MUST** respect the `retry` field,
    //# waiting the given number of milliseconds before attempting to reconnect.
    async fn resume(
        &mut self,
        source: &mut Source,
        tries: &mut u32,
        mut why: String,
    ) -> Result<(), Failure> {
        let leg = self.leg;
        while self.era == Era::Legacy
            && let Some(last_event) = source.last_event.clone()
            && *tries > 0
        {
            *tries -= 1;
            let wait = source.retry.unwrap_or(RETRY);
            self.drive(tokio::time::sleep(wait)).await?;
            match self.drive(leg.get(Some(&last_event))).await? {
                Ok(response) if response.status() == StatusCode::OK && is_events(&response) => {
                    source.resumed(response.into_body());
                    return Ok(());
                }
                // The server has an opinion; another try would get the same one.
                Ok(response) if !response.status().is_server_error() => {
                    why = format!("{why}, and resuming got HTTP {}", response.status());
                    break;
                }
                Ok(response) => why = format!("resuming got HTTP {}", response.status()),
                Err(failure) => why = failure.to_string(),
            }
        }
        Err(leg.interrupted(why))
    }
}

/// Progress under another token.
pub(super) fn with_token(message: &Envelope, token: &Json) -> Option<Envelope> {
    let params = message
        .params()?
        .edited(&[Edit::Set("progressToken", token.clone())]);
    Envelope::of(&message.with_params(params)).ok()
}

/// What a legacy server says to the connection, on whichever stream.
fn is_unsolicited(method: &str) -> bool {
    method == "notifications/resources/updated"
        || (method.starts_with("notifications/") && method.ends_with("/list_changed"))
}
