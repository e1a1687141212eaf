//! What an account attaches to its requests, and what its process gets: resolved when it is needed.
//!
//! [`Credential`] is that of one account. `resolve` goes from a reference to a value and knows when that must be looked
//! at again, `helper` runs the commands that print tokens, `proof` says where values go, `attach` puts them
//! together, `refusal` remembers what the server said of them, `outdated` tells when a process or a session needs others.
//! `oauth` is where tokens of a login come from, and `clock` the time that all of them go by.
//!
//! Invariants:
//! - Nothing is resolved at load, and a value is used no longer than its source says.
//! - A command runs once for all who wait, detached from them: nobody who goes away ends it.
//! - What a value is attached with counts where it was used: a refusal of an older value renews nothing.
//! - No error holds a value.

mod alone;
mod attach;
mod clock;
mod error;
mod file;
mod ground;
mod hand_over;
mod helper;
pub mod oauth;
mod outdated;
mod proof;
mod refusal;
mod resolve;

pub use alone::{USE_THE_DAEMON, stand_alone, stands_alone};
pub use attach::{Attached, Credential, Report, Variables};
pub use clock::{Clock, Moment};
pub use error::NoCredential;
pub use ground::{Ground, Means};
pub use hand_over::PrintedRecord;
pub use outdated::Given;
