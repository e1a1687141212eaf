//! The transport of one connection.

use std::sync::Arc;

use crate::protocol::{ClientFacts, Era, Events, Json, Relayed, Revision};

use super::Failure;
use super::wire::Outgoing;
use super::{stdio, streamable_http};

/// A process or a Streamable HTTP server.
#[derive(Debug)]
pub(super) enum Leg {
    Process(stdio::Leg),
    Http(streamable_http::Leg),
}

impl Leg {
    pub(super) fn next_id(&self) -> u64 {
        match self {
            Self::Process(leg) => leg.next_id(),
            Self::Http(leg) => leg.next_id(),
        }
    }

    pub(super) async fn exchange(
        &self,
        outgoing: &Outgoing,
        client: Option<&Arc<ClientFacts>>,
        era: Era,
        events: &Events,
    ) -> Result<Relayed, Failure> {
        match self {
            Self::Process(leg) => leg.exchange(outgoing, client, era, events).await,
            Self::Http(leg) => leg.exchange(outgoing, client, era, events).await,
        }
    }

    /// A request of Janus's own, whose events nobody reads.
    pub(super) async fn ask(
        &self,
        method: &str,
        params: Option<&Json>,
        revision: Revision,
    ) -> Result<Relayed, Failure> {
        let outgoing = Outgoing::own(method, params, self.next_id(), revision);
        // The queue's other end is dropped at once: what comes is not kept.
        let (events, _) = Events::channel();
        self.exchange(&outgoing, None, revision.era(), &events)
            .await
    }

    pub(super) async fn send(&self, message: Json) -> Result<(), Failure> {
        match self {
            Self::Process(leg) => leg.send(message).await,
            Self::Http(leg) => leg.send(message).await,
        }
    }

    /// Every later request names this revision.
    pub(super) fn speak(&self, revision: Revision) {
        if let Self::Http(leg) = self {
            leg.speak(revision);
        }
    }

    /// Whether the server ever asked its client something.
    pub(super) fn asked(&self) -> bool {
        match self {
            Self::Process(leg) => leg.asked(),
            Self::Http(leg) => leg.asked(),
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        match self {
            Self::Process(leg) => leg.in_flight(),
            Self::Http(leg) => leg.in_flight(),
        }
    }

    /// Ends when the connection has: the process is gone. An HTTP server has no connection to lose.
    pub(super) async fn closed(&self) -> String {
        match self {
            Self::Process(leg) => leg.closed().await,
            Self::Http(_) => std::future::pending().await,
        }
    }

    /// Ends the connection: the process and its group, or the session.
    pub(super) async fn end(&self) {
        match self {
            Self::Process(leg) => leg.stop().await,
            Self::Http(leg) => leg.end().await,
        }
    }
}
