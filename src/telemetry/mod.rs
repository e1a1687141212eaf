//! What Janus says of itself, and what must never be in it.
//!
//! [`learn`] is told every secret that is alive; [`redact`] takes it out of a text, [`Redacting`] out of all that is
//! logged.
//!
//! Invariants:
//! - A secret of 8 bytes or more is known before it is used for the first time, and for as long as anybody holds it.
//! - A text is redacted before it is cut: half a secret is one too.

mod forms;
mod known;
mod traces;
mod writer;

pub use known::{SHORTEST, learn, let_go, redact, redact_cut};
pub use writer::{Record, Redacting};
