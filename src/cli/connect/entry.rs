//! One line of the client on its way to the daemon, and how a request among them is answered when there is no way.

use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;

use super::session::line;
use crate::protocol::{Json, RpcError, code};

/// A stream of changes, which ends when it is cancelled.
const LISTEN: &str = "subscriptions/listen";

/// A line on its way to the daemon.
#[derive(Debug)]
pub(super) struct Entry {
    /// With its line break; empty where it was not kept.
    pub(super) line: Bytes,
    pub(super) what: What,
    /// Since when it waits.
    pub(super) since: Instant,
}

/// What is said in it.
#[derive(Debug)]
pub(super) enum What {
    /// A request.
    Request {
        /// In the client's spelling.
        id: Json,
        /// Empty where the daemon will refuse it.
        method: Box<str>,
        /// Sent by the shim itself: the client does not know of it.
        own: bool,
        /// Sent before, on a connection that is gone.
        again: bool,
    },
    /// `notifications/initialized`.
    Initialized,
    /// Nothing is answered to it.
    Other,
}

impl Entry {
    /// Whether it is the request with this id.
    pub(super) fn is(&self, wanted: &Json) -> bool {
        matches!(&self.what, What::Request { id, .. } if id == wanted)
    }

    /// Whether it is this request of the client.
    pub(super) fn asks(&self, id: &Json) -> bool {
        self.is(id) && !self.is_own()
    }

    /// Whether it is a request of the shim.
    pub(super) fn is_own(&self) -> bool {
        // The only lines of the shim that are no requests repeat the client's own, and can wait like them.
        matches!(self.what, What::Request { own: true, .. })
    }

    /// Whether it opens a stream of changes.
    pub(super) fn listens(&self) -> bool {
        matches!(&self.what, What::Request { method, .. } if **method == *LISTEN)
    }

    /// The answer with this error, where the client waits for one.
    pub(super) fn refused(&self, error: &RpcError) -> Option<Bytes> {
        match &self.what {
            What::Request { id, own: false, .. } => Some(line(&error.text(Some(id)))),
            _ => None,
        }
    }
}

impl What {
    /// A request of the client.
    pub(super) fn request(id: Json, method: &str) -> Self {
        Self::Request {
            id,
            method: method.into(),
            own: false,
            again: false,
        }
    }
}

/// Whether a request may run twice: it asks for nothing but an answer, or sets what is set already.
pub(super) fn changes_nothing(method: &str) -> bool {
    matches!(
        method,
        "initialize"
            | "ping"
            | "server/discover"
            | "logging/setLevel"
            | "resources/subscribe"
            | "resources/unsubscribe"
            | LISTEN
    ) || method.ends_with("/list")
}

/// Whether a request goes to an account that a session may have chosen.
pub(super) fn acts_as(method: &str) -> bool {
    matches!(
        method,
        "tools/call"
            | "prompts/get"
            | "resources/read"
            | "resources/subscribe"
            | "completion/complete"
    )
}

/// The session ended, and with it what was chosen there.
pub(super) fn session_lost() -> RpcError {
    RpcError::new(
        code::INTERNAL_ERROR,
        "The session with Janus ended, and accounts that were chosen in it are not chosen any more. Nothing was sent. Choose again where that matters, and repeat the call.",
    )
    .with_data(&json!({"code": "session_unknown", "sent": false}))
}

/// It was sent, and nobody knows what came of it.
pub(super) fn outcome_unknown() -> RpcError {
    RpcError::new(
        code::INTERNAL_ERROR,
        "The connection to Janus broke after the request was sent. It may or may not have happened. Check before you repeat it.",
    )
    .with_data(&json!({"code": "outcome_unknown", "sent": true}))
}

/// It was not begun, but it is not here any more either.
pub(super) fn too_much() -> RpcError {
    RpcError::new(
        code::INTERNAL_ERROR,
        "Janus was restarted before it began with the request. Nothing was sent to the server. Repeat it.",
    )
    .with_data(&json!({"code": "unavailable", "sent": false}))
}
