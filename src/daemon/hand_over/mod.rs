//! Going on as another program without a client noticing: sockets, processes and clients' connections stay.
//!
//! In this order: the new program says that it can ([`prepare`]); nothing new is read and what was asked is answered, or
//! else all stays as it was; Janus stops as it always does, but for what goes along ([`Leaving`]); it becomes the new
//! program, which finds everything on its standard input ([`Came`]) and serves. Until it does, it can go back to the
//! program it was ([`Way`]).
//!
//! Invariants:
//! - What goes wrong before Janus stops changes nothing, and what goes wrong after it has packed leads back to the program
//!   before. In between nothing is opened that was not open already but the packet itself; where the system refuses even
//!   that, Janus ends as it does after any failure, and whoever keeps it running starts it again.
//! - A program that passes the rehearsal and then crashes, or hangs before it listens to signals, ends the process: the
//!   alarm sees to the latter.
//! - A request to stop is not lost in between: the next program gets it.
//! - No call is cut for it, unless somebody asked for that.

mod came;
mod leaving;
mod prepare;
mod record;

pub use came::{Came, Way};
pub(super) use leaving::Along;
pub use leaving::Leaving;
pub(super) use prepare::prepare;

/// The next program reads its configuration and begins its log, in seconds. One that hangs ends the process then, and
/// with that everything: no program can be gone back to from outside.
const TAKES_OVER: u32 = 30;
