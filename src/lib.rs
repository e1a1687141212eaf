//! Janus.

pub mod model;
pub mod protocol;
