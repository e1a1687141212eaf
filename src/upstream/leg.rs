//! The kinds of connection, with one face.

use std::sync::Arc;

use super::duplex::Duplex;
use super::wire::Outgoing;
use super::{Failure, http_sse, stdio, streamable_http};
use crate::model::AccountId;
use crate::protocol::{Body, ClientFacts, Envelope, Era, Events, Json, Relayed, Revision};

/// A conversation with a server.
#[derive(Debug)]
pub(super) enum Leg {
    /// A process.
    Stdio(stdio::Leg),
    /// A remote server.
    Http(streamable_http::Leg),
    /// A remote server of 2024-11-05.
    Sse(http_sse::Leg),
}

/// The two ways to converse.
enum Side<'a> {
    /// Everything the server says comes on one stream.
    Duplex(&'a Duplex),
    /// Each request has an answer of its own.
    Http(&'a streamable_http::Leg),
}

impl Leg {
    fn side(&self) -> Side<'_> {
        match self {
            Self::Stdio(leg) => Side::Duplex(leg.duplex()),
            Self::Sse(leg) => Side::Duplex(leg.duplex()),
            Self::Http(leg) => Side::Http(leg),
        }
    }

    pub(super) fn next_id(&self) -> u64 {
        match self.side() {
            Side::Duplex(duplex) => duplex.next_id(),
            Side::Http(leg) => leg.next_id(),
        }
    }

    pub(super) async fn exchange(
        &self,
        outgoing: &Outgoing,
        client: Option<&Arc<ClientFacts>>,
        era: Era,
        events: &Events,
    ) -> Result<Relayed, Failure> {
        match self.side() {
            Side::Duplex(duplex) => duplex.exchange(outgoing, client, era, events).await,
            Side::Http(leg) => leg.exchange(outgoing, client, era, events).await,
        }
    }

    /// A request of Janus's own and its answer, whole.
    pub(super) async fn own(
        &self,
        account: &AccountId,
        method: &str,
        params: Option<&Json>,
        revision: Revision,
    ) -> Result<Envelope, Failure> {
        // Nobody takes these events: what is not progress of ours goes to the inbox.
        let (events, _nobody) = Events::channel();
        let outgoing = Outgoing::own(method, params, self.next_id(), revision);
        let relayed = self.exchange(&outgoing, None, revision.era(), &events);
        // What Janus reads itself is never streamed.
        let why = match relayed.await?.body {
            Body::Whole(json) => match Envelope::of(&json) {
                Ok(message) => return Ok(message),
                Err(refused) => refused.error.message,
            },
            Body::Stream(_) => "it is too long".to_owned(),
        };
        Err(Failure::BadAnswer {
            account: account.clone(),
            reason: why,
        })
    }

    pub(super) async fn send(&self, message: Json) -> Result<(), Failure> {
        match self.side() {
            Side::Duplex(duplex) => duplex.send(message).await,
            Side::Http(leg) => leg.send(message).await,
        }
    }

    /// After the handshake: what HTTP requests say in their header.
    pub(super) fn speak(&self, revision: Revision) {
        if let Self::Http(leg) = self {
            leg.speak(revision);
        }
    }

    pub(super) fn asked(&self) -> bool {
        match self.side() {
            Side::Duplex(duplex) => duplex.asked(),
            Side::Http(leg) => leg.asked(),
        }
    }

    /// How many requests wait for an answer.
    pub(super) fn in_flight(&self) -> usize {
        match self.side() {
            Side::Duplex(duplex) => duplex.in_flight(),
            Side::Http(leg) => leg.in_flight(),
        }
    }

    /// How many requests of clients wait for an answer.
    pub(super) fn calls(&self) -> usize {
        match self.side() {
            Side::Duplex(duplex) => duplex.calls(),
            Side::Http(leg) => leg.in_flight(),
        }
    }

    /// Resolves with the reason when a process or a stream is gone. Streamable HTTP shows only when it is asked.
    pub(super) async fn closed(&self) -> String {
        match self.side() {
            Side::Duplex(duplex) => duplex.closed().await,
            Side::Http(_) => std::future::pending().await,
        }
    }

    /// Ends it: stops the process, closes the stream, gives the session back.
    pub(super) async fn end(&self) {
        match self.side() {
            Side::Duplex(duplex) => duplex.stop().await,
            Side::Http(leg) => leg.end().await,
        }
    }
}
