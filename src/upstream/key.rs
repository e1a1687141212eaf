//! Which connection a request uses.
//!
//! One is shared by all, until the server asks its client something: over a pipe it cannot say whose call made it ask,
//! so from then on each session gets a connection of its own; over HTTP the question comes with the call, but what
//! clients can be asked is said once for a connection, so those that differ in it do not share.

use std::sync::Arc;

use serde_json::Value;

use crate::model::{Endpoint, Server, Sharing};
use crate::protocol::{ClientFacts, Era};

use super::handshake;

/// What connections of one account are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Everybody's.
    Shared,
    /// Of the clients that can be asked these things.
    Capabilities(String),
    /// Of one session, whose client can be asked these things.
    Session(Arc<str>, String),
}

impl Key {
    /// The connection for a request of this client. `asked`: the server has asked something before.
    pub(super) fn of(server: &Server, asked: bool, client: &ClientFacts) -> Self {
        let capabilities = || handshake::of_client(&client.capabilities).to_string();
        let own = |session: &Option<Arc<str>>| {
            session.as_ref().map_or(Self::Shared, |session| {
                Self::Session(Arc::clone(session), capabilities())
            })
        };
        match (server.sharing, &server.endpoint) {
            (Sharing::Shared, _) => Self::Shared,
            (Sharing::Auto, _) if !asked || client.era() == Era::Modern => Self::Shared,
            (Sharing::PerSession, _) | (Sharing::Auto, Endpoint::Process(_)) => {
                own(&client.session)
            }
            (Sharing::Auto, Endpoint::Http(_)) => Self::Capabilities(capabilities()),
        }
    }

    /// What the connection declares at `initialize`.
    pub(super) fn capabilities(&self) -> Value {
        match self {
            Self::Shared => handshake::everything(),
            Self::Capabilities(text) | Self::Session(_, text) => {
                serde_json::from_str(text).unwrap_or_else(|_| serde_json::json!({}))
            }
        }
    }

    /// The session it belongs to.
    pub(super) fn session(&self) -> Option<&Arc<str>> {
        match self {
            Self::Session(session, _) => Some(session),
            Self::Shared | Self::Capabilities(_) => None,
        }
    }
}
