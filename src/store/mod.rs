//! Durable state: the directory it lives in, who may use it, and the installation key.
//!
//! Invariants:
//! - The directory is 0700 and this user's own; one Janus at a time holds it.
//! - The installation key is 0600, made on first start, and never written anywhere else.

mod directory;
mod key;

pub use directory::{StateDirectory, Unusable};
pub use key::InstallationKey;
