//! The legacy era towards clients: `initialize`, sessions, streams that can be resumed, questions in mid-call.
//!
//! Invariants:
//! - A session answers only to the caller and the path it was opened with; to anybody else it does not exist.
//! - Each message goes to exactly one stream (2025-11-25, basic/transports, "Multiple Connections").

mod hub;
mod kept;
mod questions;
mod session;

pub(super) use hub::run as run_hub;
pub(super) use kept::{Follow, KeptStream, LONGEST as LONGEST_KEPT};
pub(super) use questions::Questions;
pub(super) use session::{Opened, Reading, Session, Sessions};
