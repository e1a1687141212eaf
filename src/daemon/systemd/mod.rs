//! What the service manager gives and is told: sockets at the start, messages from then on. Without one all of it is
//! silent, and Janus binds for itself.
//!
//! Invariants:
//! - Descriptors and the variables that name them are read before any thread exists.
//! - A socket has its role by its name and its kind by its family, never by its position.
//! - A socket that the manager holds is never unlinked.

mod inherited;
mod manager;
mod standing;
mod watchdog;

pub use inherited::Inherited;
pub(super) use inherited::Socket;
pub use manager::{Manager, NOT_STARTED};
pub(super) use standing::Standing;
pub(super) use watchdog::{keep_waiting, watchdog};
