//! Janus.

pub mod model;
