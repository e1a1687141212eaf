//! Who is calling.
//!
//! A connection has a [`Peer`]: a process of this user, or nobody. A request on it has a [`Caller`]: the peer, the
//! client that its access key proves, and its working directory as far as that is proved.
//!
//! Invariants:
//! - A [`Caller`] is made here and nowhere else.
//! - A session id, `clientInfo` or an address is never a caller.
//! - A directory has a proof, and a weaker one never replaces a stronger one.

mod directory;

use std::fmt;

pub use directory::{Directory, Proof};

use crate::model::ClientId;

/// The process on the other end of a connection. It belongs to this user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    transport: Transport,
    directory: Option<Directory>,
}

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caller {
    client: Option<ClientId>,
    transport: Transport,
    directory: Option<Directory>,
}

/// How the caller reached Janus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Loopback TCP.
    Tcp,
    /// The unix socket, whose peer is a process of this user.
    Unix,
    /// The process that started Janus and speaks on its standard input.
    Stdio,
}

/// Why somebody on the unix socket is nobody to us.
#[derive(Debug, thiserror::Error)]
pub enum NotAuthenticated {
    /// Another user's process got hold of the socket.
    #[error("the process on the unix socket belongs to user {0}, not to this one")]
    OtherUser(u32),
    /// The kernel would not say.
    #[error("the user of the unix socket's peer is not known: {0}")]
    Unknown(#[source] std::io::Error),
}

impl Peer {
    /// A program that connected to the loopback address.
    pub fn from_tcp() -> Self {
        Self {
            transport: Transport::Tcp,
            directory: None,
        }
    }

    /// The process on the other end of the unix socket: it must belong to this user. The socket's directory is 0700
    /// already; this holds when somebody passed a descriptor on.
    pub fn from_unix(stream: &tokio::net::UnixStream) -> Result<Self, NotAuthenticated> {
        let peer = stream.peer_cred().map_err(NotAuthenticated::Unknown)?;
        if peer.uid() != rustix::process::geteuid().as_raw() {
            return Err(NotAuthenticated::OtherUser(peer.uid()));
        }
        Ok(Self {
            transport: Transport::Unix,
            directory: None,
        })
    }

    /// The parent process.
    pub fn from_stdio() -> Self {
        Self {
            transport: Transport::Stdio,
            directory: None,
        }
    }

    /// How it reached Janus.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The caller of a request without a key.
    pub fn caller(&self) -> Caller {
        Caller {
            client: None,
            transport: self.transport,
            directory: self.directory.clone(),
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
