//! Janus.

pub mod authn;
pub mod binding;
pub mod model;
pub mod policy;
pub mod protocol;
pub mod upstream;
