//! A child process in a group of its own: started without a shell, ended with all that it started.

mod explain;
mod group;

pub use group::{Group, Pipes, Process};
