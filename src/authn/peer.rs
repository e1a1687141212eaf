//! The process on the other end of a connection.

use std::path::PathBuf;

use tokio::net::{TcpStream, UnixStream};

use super::{Caller, Directory, NotAuthenticated, Proof, tcp, working_directory};

/// The process on the other end of a connection. It belongs to this user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    transport: Transport,
    directory: Option<Directory>,
    pid: Option<u32>,
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

impl Peer {
    /// A program that connected to the loopback address: it must belong to this user. Asked once, when the connection
    /// is accepted; its requests carry what else there is to know.
    ///
    /// # Errors
    /// It is somebody else's, or the kernel does not say whose.
    pub fn from_tcp(stream: &TcpStream) -> Result<Self, NotAuthenticated> {
        check_user(tcp::user(stream)?)?;
        Ok(Self {
            transport: Transport::Tcp,
            directory: None,
            pid: None,
        })
    }

    /// The process on the other end of the unix socket: it must belong to this user. The socket's directory is 0700
    /// already; this holds when somebody passed a descriptor on. Its working directory is known where it can be
    /// trusted.
    ///
    /// # Errors
    /// It is somebody else's, or the kernel does not say whose.
    pub fn from_unix(stream: &UnixStream) -> Result<Self, NotAuthenticated> {
        let peer = stream.peer_cred().map_err(NotAuthenticated::Unknown)?;
        check_user(peer.uid())?;
        // 0: a process that our namespace does not show.
        let pid = peer
            .pid()
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| *pid != 0);
        Ok(Self {
            transport: Transport::Unix,
            directory: pid
                .and_then(working_directory::of)
                .map(|path| Directory::one(path, Proof::Peer)),
            pid,
        })
    }

    /// The parent process; `directory` is our own working directory, which it gave us.
    pub fn from_stdio(directory: Option<PathBuf>) -> Self {
        Self {
            transport: Transport::Stdio,
            directory: directory
                .filter(|path| path.is_absolute())
                .map(|path| Directory::one(path, Proof::Peer)),
            pid: None,
        }
    }

    /// How it reached Janus.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Its working directory, where the kernel says so.
    pub fn directory(&self) -> Option<&Directory> {
        self.directory.as_ref()
    }

    /// The process that connected, for explanations only: numbers are given again.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// A peer without a connection.
    #[cfg(test)]
    pub(super) fn over(transport: Transport, directory: Option<Directory>) -> Self {
        Self {
            transport,
            directory,
            pid: None,
        }
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

fn check_user(theirs: u32) -> Result<(), NotAuthenticated> {
    let ours = rustix::process::geteuid().as_raw();
    if theirs == ours {
        Ok(())
    } else {
        Err(NotAuthenticated::OtherUser { theirs, ours })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn the_peer_of_the_unix_socket_is_known_with_its_directory() {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let _client = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let peer = Peer::from_unix(&stream).unwrap();
        assert_eq!(peer.pid(), Some(std::process::id()));
        let directory = peer.directory().unwrap();
        assert_eq!(directory.proof(), Proof::Peer);
        let own = std::env::current_dir().unwrap();
        assert_eq!(directory.paths().collect::<Vec<_>>(), [own.as_path()]);
        // The process is not the caller: two of them in one directory are.
        let other = Peer {
            pid: Some(1),
            ..peer.clone()
        };
        assert_eq!(peer.caller(), other.caller());
    }

    #[test]
    fn another_user_is_refused_whoever_it_is() {
        let ours = rustix::process::geteuid().as_raw();
        check_user(ours).unwrap();
        let refused = check_user(ours ^ 1).unwrap_err();
        assert_eq!(refused.code(), "other_user");
        assert!(
            refused.to_string().contains(&(ours ^ 1).to_string()),
            "{refused}"
        );
    }
}
