//! Who is calling.
//!
//! A connection has a [`Peer`]: a process of this user, or nobody. A request on it has a [`Caller`]: the peer, the
//! client that its access key proves, and its working directory as far as that is proved.
//!
//! Invariants:
//! - A [`Caller`] is made here and nowhere else.
//! - A session id, `clientInfo` or an address is never a caller.
//! - A directory has a proof, and a weaker one never replaces a stronger one.
//! - A key is known by its digest alone; its text is shown once, when it is made.

mod directory;
mod key;
mod keys;
mod peer;
mod proc_net;
mod refused;
mod signature;
mod sock_diag;
mod tcp;
mod working_directory;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

pub use directory::{Directory, Proof};
pub use key::{KeyInfo, NewKey};
pub use keys::Authn;
pub use peer::{Peer, Transport};
pub use refused::{DirectoryRefused, NotAuthenticated};

use crate::model::ClientId;

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caller {
    client: Option<ClientId>,
    transport: Transport,
    directory: Option<Directory>,
}

/// How often a request has a header, and what it says. Two of one kind would let two readers see two callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header<'a> {
    /// It is not there.
    Missing,
    /// It is there once.
    Once(&'a [u8]),
    /// It is there more than once.
    Repeated,
}

impl<'a> Header<'a> {
    /// The header with these values.
    pub fn of(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Missing,
            (Some(value), None) => Self::Once(value),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }
}

impl Caller {
    /// The client that its key proves; `None`: a program of this user without one.
    pub fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }

    /// How it reached Janus.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Its working directory, as far as it is proved.
    pub fn directory(&self) -> Option<&Directory> {
        self.directory.as_ref()
    }

    /// The same caller with the roots that the client names, where nothing better says where it works.
    #[must_use]
    pub fn with_roots(&self, roots: Vec<PathBuf>) -> Self {
        Self {
            directory: self.directory.clone().or_else(|| Directory::roots(roots)),
            ..self.clone()
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.transport {
            Transport::Tcp => "over TCP",
            Transport::Unix => "over the unix socket",
            Transport::Stdio => "on standard input",
        };
        match &self.client {
            Some(client) => write!(f, "{client} {how}"),
            None => write!(f, "a local program {how}"),
        }
    }
}
