//! A child process in a group of its own: started without a shell, ended with all that it started.

mod explain;
mod group;
mod limit;
mod signals;

pub use group::{Group, Pipes, Process};
pub use limit::{descriptor_limit_before, raise_descriptor_limit};
pub use signals::{
    ask_the_next_to_stop, expect_the_next_within, hold_signals, release_signals, with_signals_held,
};
