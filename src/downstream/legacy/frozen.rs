//! A stream as the store keeps it between two lives of Janus, and what is said in place of a response that is lost.
//!
//! It is written when Janus stops, and gone from the store as soon as its session goes on: after a kill there is none.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::protocol::{RpcError, code};

/// A stream of a session. Members are only added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::downstream) struct Frozen {
    pub(super) number: u64,
    /// The id of the request that it answers, in the client's spelling.
    pub(super) request: Option<String>,
    pub(super) alone: bool,
    pub(super) lives: Vec<(String, u64)>,
    pub(super) response: Option<u64>,
    pub(super) first: u64,
    pub(super) events: Vec<Option<String>>,
    pub(super) ended: bool,
    /// Where the last reader of the stream of unsolicited messages stopped.
    pub(super) read_to: u64,
}

/// Said to whoever takes up a stream whose response never came, or is not there any more.
pub(in crate::downstream) fn lost() -> RpcError {
    RpcError::new(
        code::INTERNAL_ERROR,
        "The answer is lost: Janus ended before it was there, or it came too long ago. The request may or may not have happened. Check before you repeat it.",
    )
    .with_data(&json!({"code": "outcome_unknown", "sent": true}))
}
