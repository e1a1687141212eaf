//! Scope and choice: which accounts a request may reach, and which one it goes to. Pure.
//!
//! Invariants:
//! - No unknown name ever resolves to something else.
//! - A [`Route`] exists only for an account in the scope it was made from.

mod route;
mod scope;

pub use route::Route;
pub use scope::{Binding, Scope, Unknown, View};
