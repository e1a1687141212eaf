//! Janus.

pub mod cli;
pub mod config;
pub mod model;
pub mod policy;
pub mod protocol;
pub mod upstream;
