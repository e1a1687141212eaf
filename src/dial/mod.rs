//! What every connection outward has in common, to a server or to an authorization server: whom a certificate may be
//! signed by, which proxy is before it, and what an error of it says.
//!
//! Invariants:
//! - The environment is not read here.
//! - No text of an error holds a URL's query or user information.

mod proxy;
mod said;
pub mod tls;

pub use proxy::through;
pub use said::{is_tls, said};
