//! The legacy era towards clients: `initialize`, sessions, streams that can be resumed, questions in mid-call.
//!
//! Invariants:
//! - A session answers only to whoever comes the way it was opened: client, directory, path, headers. To anybody else
//!   it does not exist.
//! - Each message goes to exactly one stream (2025-11-25, basic/transports, "Multiple Connections").

mod event_id;
mod frozen;
mod hub;
mod kept;
mod questions;
mod record;
mod session;
mod sessions;
mod standing;

pub(super) use event_id::EventId;
pub(super) use frozen::lost;
pub(super) use hub::run as run_hub;
pub(super) use kept::{Follow, KeptStream, LONGEST as LONGEST_KEPT};
pub(super) use questions::Questions;
pub(super) use record::Shown;
pub(super) use session::{Opened, Reading, Session};
pub(super) use sessions::{Found, Sessions, random_id};
