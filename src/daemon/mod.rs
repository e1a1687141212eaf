//! The composition root: builds everything, serves, and stops in order.
//!
//! Invariants:
//! - Nothing is bound before the configuration is valid; nothing upstream delays readiness.
//! - Vital tasks live in a `JoinSet`: whichever ends first ends the daemon. What outlives its request lives in a
//!   `TaskTracker` and is waited for within a limit.

mod bind;
mod compose;
mod desktop;
mod end;
mod hand_over;
mod hygiene;
mod run;
mod standalone;
mod start;
mod systemd;
mod vault;
mod wake;

pub use bind::NotBound;
pub use hand_over::{Came, Leaving, Way};
pub use hygiene::keep_memory_private;
pub use run::{Handed, Read, Ready, Stopped, asked_to_stop, run};
pub use systemd::{Inherited, Manager, NOT_STARTED};

pub use crate::downstream::Unready;
pub use crate::process::{hold_signals, release_signals};
pub use standalone::standalone;
pub use vault::{NoVault, NotRevealed, ask_vault, reveal, secret_names, unlock_keyring};
