//! The life of an account as people and models see it: which there are, how they stand, which one is chosen.
//!
//! Control tools, the control socket and the command line ask here, so that they cannot disagree; `login` is how somebody
//! logs in.
//!
//! Invariants:
//! - A choice is in the store before it is anywhere else, and an answer leaves after that.
//! - A choice belongs to a profile: none reaches into another one.

mod choices;
mod host;
pub mod login;
mod report;
mod standing;

pub use choices::{Choices, Holders, Switch, Switched};
pub use host::{host_name, known_host_name};
pub use report::{Labels, State, listed, stands, state, unrenewed, verified_as, visible, who};
pub use standing::{LoginNeed, LoginReason, granted_since, login_need};
