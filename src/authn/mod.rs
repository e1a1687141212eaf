//! Who is calling.
//!
//! Invariants:
//! - A [`Caller`] is made here and nowhere else.
//! - A session id, `clientInfo` or an address is never a caller.

use std::fmt;

/// Who is on the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    transport: Transport,
}

/// How the caller reached Janus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

impl Caller {
    /// A program that connected to the loopback address.
    pub fn from_tcp() -> Self {
        Self {
            transport: Transport::Tcp,
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
        })
    }

    /// The parent process.
    pub fn from_stdio() -> Self {
        Self {
            transport: Transport::Stdio,
        }
    }

    /// How it reached Janus.
    pub fn transport(&self) -> Transport {
        self.transport
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.transport {
            Transport::Tcp => "a local program over TCP",
            Transport::Unix => "a local program over the unix socket",
            Transport::Stdio => "the parent process",
        })
    }
}
