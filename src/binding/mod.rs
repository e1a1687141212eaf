//! Scope and choice: which accounts a request may reach, and which one it goes to. Pure.
//!
//! Scope is set by people: five rules make of a caller, a path and a header exactly one profile, or a refusal
//! (`rules`). Choice is the model's, inside that scope: nine rules make of a server exactly one account, or a refusal
//! (`choice`). Both say why; lists and calls ask the same functions.
//!
//! Invariants:
//! - No unknown name ever resolves to something else, and no missing choice becomes the first account.
//! - A path or a header narrows or confirms what the rules give, and never widens it.
//! - A [`Route`] exists only for an account in the scope it was made from.

mod choice;
mod explain;
mod profile;
mod refused;
mod route;
mod rules;
mod scope;
mod target;
#[cfg(test)]
mod tests;

pub use choice::{Chosen, NoChoice, ResolvedFrom, Wish};
pub use explain::{Explanation, Step};
pub use profile::Reachable;
pub use refused::Refused;
pub use route::Route;
pub use rules::{Decided, Rule};
pub use scope::{Binding, Entry, Given, Scope, View};
