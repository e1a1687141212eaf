//! The sockets that Janus listens on.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, UnixListener};

use crate::authn::{NotAuthenticated, Peer};

use super::Downstream;
use super::connection::{Connections, known};
use super::hand_over::Resumed;
use super::stream::Socket;

/// Out of descriptors: what is open must close first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket that is bound and listens.
#[derive(Debug)]
pub enum Listener {
    /// Loopback TCP.
    Tcp(TcpListener),
    /// The unix socket.
    Unix(UnixListener),
    /// The control socket.
    Control(UnixListener),
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) | Self::Control(listener) => listener.as_fd(),
        }
    }
}

impl Listener {
    /// The address of a TCP listener, with the port the system chose.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) | Self::Control(_) => None,
        }
    }
}

impl Downstream {
    /// Accepts connections until Janus stops, then lets the calls in flight finish: a vital task. `resumed` are those
    /// that an earlier program of this process had.
    pub async fn listen(self, listener: Listener, resumed: Vec<Resumed>) {
        let mut heart = self.pulse.heart();
        let connections = Connections::of(&self, &listener);
        for resumed in resumed {
            connections.resume(resumed);
        }
        loop {
            let accepted = tokio::select! {
                () = self.stopping.cancelled() => break,
                () = heart.beat() => continue,
                accepted = accept(&listener) => accepted,
            };
            match accepted {
                Ok((socket, peer)) => {
                    heart.works();
                    connections.take(socket, peer);
                }
                Err(error) => {
                    // Connections that are open have the descriptors, and give them back; else nobody will.
                    if self.open.is_empty() || !is_out_of_descriptors(&error) {
                        heart.fails();
                    }
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        tokio::select! {
            () = connections.drained() => {}
            () = heart.beat_on() => {}
        }
    }
}

/// What a defect would do, for the tests of the watchdog.
#[cfg(debug_assertions)]
static HANGS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// From now on no connection can be accepted.
#[cfg(debug_assertions)]
pub(super) fn hang_accept() {
    HANGS.store(true, std::sync::atomic::Ordering::Relaxed);
}

/// The next connection, and who it is. A stranger is told so with each of its requests.
pub(super) async fn accept(
    listener: &Listener,
) -> std::io::Result<(Socket, Result<Peer, NotAuthenticated>)> {
    #[cfg(debug_assertions)]
    if HANGS.load(std::sync::atomic::Ordering::Relaxed) {
        return Err(std::io::Error::other("a test wants it so"));
    }
    let socket = match listener {
        Listener::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            // Without it a relay's median was 44 ms instead of half a millisecond.
            stream.set_nodelay(true)?;
            Socket::Tcp(stream)
        }
        Listener::Unix(listener) | Listener::Control(listener) => {
            let (stream, _) = listener.accept().await?;
            Socket::Unix(stream)
        }
    };
    let peer = known(&socket);
    Ok((socket, peer))
}

/// Of the process, or of the machine.
fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    let full = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    full.contains(&error.raw_os_error())
}
