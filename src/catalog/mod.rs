//! What a client sees: names, merged lists, addresses of resources. Pure.
//!
//! Invariants:
//! - A name shown to a client depends on its server and its own name, never on order or on what else is there.
//! - What is listed resolves to where it came from, and nothing else resolves.
//! - Lists come in the order of the configuration, then in the server's own.

mod address;
mod argument;
mod merge;
mod name;

pub use address::{Addresses, Found, told_apart};
pub use argument::{Argument, of_tool as argument_of_tool};
pub use merge::{Entry, Merged, Source, for_era};
pub use name::{NAME_LIMIT, exposed_name};
