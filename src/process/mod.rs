//! A child process in a group of its own: started without a shell, ended with all that it started.

mod explain;
mod group;
mod limit;

pub use group::{Group, Pipes, Process};
pub use limit::{descriptor_limit_before, raise_descriptor_limit};
