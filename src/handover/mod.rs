//! One process, another program: what goes along when Janus goes on as the binary that was installed meanwhile.
//!
//! A text and open files. They wait in a socket whose other end is the standard input of the next program, as
//! `SCM_RIGHTS` keeps files open that `exec` would close (`unix(7)`); nothing of it has a name that another process could
//! open. Each room says itself what of its own goes along, as a record that names its files by their [`Carried`] place.
//!
//! Invariants:
//! - What is not taken out is closed.
//! - A file is open once at most, besides the copy in a socket, which the limit of open files does not count: as many go
//!   along as can be open.

pub mod bytes;
mod carry;
mod program;

use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

pub use carry::{receive, send};
pub use program::{Program, Rehearsed};

/// The format of the text, and what the next program has to undo: held-back signals and an alarm. It changes with every
/// change of a record. A program that does not know it is not started.
pub const FORMAT: u32 = 2;

/// The open files that go along.
#[derive(Debug, Default)]
pub struct Luggage(Vec<Option<OwnedFd>>);

/// The place of a file among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried(usize);

impl Luggage {
    /// Takes a file along.
    pub fn put(&mut self, file: impl Into<OwnedFd>) -> Carried {
        self.0.push(Some(file.into()));
        Carried(self.0.len() - 1)
    }

    /// Gives the file back, once.
    pub fn take(&mut self, carried: Carried) -> Option<OwnedFd> {
        self.0.get_mut(carried.0)?.take()
    }
}
