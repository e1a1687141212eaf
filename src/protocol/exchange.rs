//! An exchange: one request, its ordered events, exactly one outcome. Neither side of it knows the other's era.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderName, HeaderValue};

use super::{Envelope, Era, Json, LogLevel, Object, Revision, RpcError};

/// What is known of the client beside who it is: how it speaks and what it can be asked.
#[derive(Debug, Clone)]
pub struct ClientFacts {
    /// The revision it speaks.
    pub revision: Revision,
    /// The capabilities it declared, at `initialize` or in this request.
    pub capabilities: Object,
    /// `clientInfo`, for display only.
    pub info: Option<Json>,
    /// Legacy: the session, which may have a connection of its own at a server.
    pub session: Option<Arc<str>>,
}

impl ClientFacts {
    /// The era it speaks.
    pub fn era(&self) -> Era {
        self.revision.era()
    }

    /// Whether it declared a capability.
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities
            .get(capability)
            .is_some_and(|declared| !declared.is_null())
    }
}

/// A request on its way through.
#[derive(Debug, Clone)]
pub struct Request {
    /// The message as the client sent it.
    pub message: Envelope,
    /// Who sent it, as far as the protocol goes.
    pub client: Arc<ClientFacts>,
    /// Modern: the `Mcp-Param-…` headers that came with it.
    pub param_headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether it came over a transport that has headers at all: there, a missing one is an error.
    pub over_http: bool,
    /// Legacy: the least severe log message that the session wants. A modern request says it in its `_meta`.
    pub log_level: Option<LogLevel>,
    /// Modern: in whose name a legacy server is asked to remember something; a legacy request names its session.
    pub holder: Option<Arc<str>>,
}

impl Request {
    /// The client's id, in its own spelling.
    pub fn id(&self) -> Json {
        self.message
            .id()
            .cloned()
            .unwrap_or_else(|| Json::literal("null"))
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.message.method()
    }

    /// The parameters; empty where there are none.
    pub fn params(&self) -> Object {
        self.message.params().unwrap_or_else(Object::empty)
    }

    /// In whose name the server is asked to remember what this request says.
    pub fn held_by(&self) -> Option<&Arc<str>> {
        self.holder.as_ref().or(self.client.session.as_ref())
    }

    /// `params._meta`; empty where there is none.
    pub fn meta(&self) -> Object {
        self.params().object("_meta").unwrap_or_else(Object::empty)
    }
}

/// How an exchange ends.
#[derive(Debug)]
pub enum Outcome {
    /// A response as a server wrote it, with the client's id.
    Relayed(Relayed),
    /// A result that Janus authored, without any era's own members.
    Result {
        /// The object.
        result: Json,
        /// How long a modern client may keep it.
        cache: Option<CacheHint>,
    },
    /// An error that Janus authored.
    Error(RpcError),
}

/// How long a modern client may keep a result (2026-07-28, server/utilities/caching). Always private: what a caller
/// sees depends on who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheHint {
    /// Milliseconds.
    pub ttl_ms: u64,
}

/// A server's response on its way back.
#[derive(Debug)]
pub struct Relayed {
    /// The whole message.
    pub body: Body,
    /// The era it is written in.
    pub era: Era,
    /// What it says.
    pub completion: Completion,
}

/// What a response says, as far as an edge must know before it passes it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// A result; modern: `resultType` is `complete` or absent.
    Complete,
    /// Modern: the server needs input before it can go on.
    InputRequired,
    /// Modern: an extension's own kind of result.
    Extension,
    /// A JSON-RPC error with this code.
    Error(i64),
}

/// A message, whole or still arriving.
pub enum Body {
    /// All of it.
    Whole(Json),
    /// A long answer of an HTTP server, handed on as it comes, at the client's pace.
    Stream(BodyStream),
}

/// The chunks of a long answer. Raw line breaks are already blanks.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>>;

/// A streamed answer ended before it was whole.
#[derive(Debug, thiserror::Error)]
#[error("the server's answer broke off: {0}")]
pub struct Broken(pub String);

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(json) => write!(f, "Whole({json:?})"),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}
