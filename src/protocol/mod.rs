//! JSON-RPC and the two eras of MCP, as text and values. No I/O.
//!
//! A message in transit is an [`Envelope`]: the members Janus must look at are found, everything else stays the
//! bytes that arrived. Edits re-write only the object that contains them, in its own order.
//!
//! Invariants:
//! - A [`Json`] is well-formed UTF-8 JSON, whole; whoever holds one need not check again.
//! - Member order, number spelling, escapes, explicit nulls and unknown members survive every edit.
//! - Nothing here decides who may do what.

mod check;
pub mod code;
mod envelope;
mod era;
mod events;
mod exchange;
pub mod header;
mod json;
mod listing;
mod log_level;
pub mod meta;
mod object;
mod outcome;
pub mod param_header;
mod question;
mod scan;
mod seal;
mod splice;
pub mod sse;

pub use envelope::{Envelope, Kind, Refused, RpcError};
pub use era::{Era, Revision};
pub use events::{Event, EventQueue, Events};
pub use exchange::{
    Body, BodyStream, Broken, CacheHint, ClientFacts, Completion, Outcome, Relayed, Request,
};
pub use json::{Json, NotJson};
pub use listing::{Item, ListKind, Listing, ServerFacts};
pub use log_level::LogLevel;
pub use object::{Edit, Object};
pub use question::{Answer, Asker, Question, QuestionKind};
pub use seal::{Sealer, Unsealed};
pub use splice::Splice;

/// One message is at most this long, in any direction (HTTP: 413). Longer ones would have to be held in memory whole
/// wherever a line or a question is concerned.
pub const LONGEST_MESSAGE: usize = 16 * 1024 * 1024;
