//! What Janus says of itself, and what must never be in it.
//!
//! [`learn`] is told every secret that is alive; [`redact`] takes it out of a text, [`Redacting`] out of all that is
//! logged as text, [`Journal`] out of what goes to systemd's journal. [`Recent`] keeps the last records in memory, and
//! [`Damping`] holds back the same warning again and again.
//!
//! Invariants:
//! - A secret of 8 bytes or more is known before it is used for the first time, and for as long as anybody holds it.
//! - A text is redacted before it is cut: half a secret is one too.

mod damping;
mod entry;
mod forms;
mod happening;
mod journal;
mod known;
mod recent;
mod traces;
mod writer;

pub use damping::Damping;
pub use entry::{Entry, FIELDS, Fields};
pub use happening::{HAPPENINGS, Happening};
pub use journal::{Flushed, Journal, is_in_use, is_stream};
pub use known::{SHORTEST, learn, let_go, redact, redact_cut};
pub use recent::{Recent, Recorded, go_on_after, recent, recorded};
pub use writer::{Record, Redacting};
