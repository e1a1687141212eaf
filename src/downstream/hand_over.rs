//! Clients' connections go along when Janus becomes another program: those at rest, with what was read of a request
//! that is not whole. Streams end and `janus connect` comes again, as when Janus stops.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpStream, UnixStream};

use super::Downstream;
use super::stream::{Socket, Stream};
use crate::handover::{Carried, Luggage};

/// Connections at rest.
#[derive(Debug, Default)]
pub(super) struct Rested(Mutex<Vec<(Socket, Bytes)>>);

/// A client's connection that goes along.
#[derive(Debug, Serialize, Deserialize)]
pub struct ClientRecord {
    tcp: bool,
    socket: Carried,
    /// What was read of it.
    #[serde(with = "crate::handover::bytes")]
    read: Vec<u8>,
}

/// A client's connection that came along.
#[derive(Debug)]
pub struct Resumed {
    pub(super) socket: Socket,
    pub(super) ahead: Bytes,
}

impl Rested {
    /// Keeps a connection, with what was read and not understood yet.
    pub(super) fn put(&self, stream: Stream, read: Bytes) {
        let (socket, ahead) = stream.into_parts();
        let ahead = if read.is_empty() {
            ahead
        } else {
            [read, ahead].concat().into()
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((socket, ahead));
    }
}

impl Downstream {
    /// Reads nothing new from clients.
    pub fn close_intake(&self) {
        self.intake.close();
    }

    /// Reads from clients again.
    pub fn open_intake(&self) {
        self.intake.open();
    }

    /// Resolves when clients wait for nothing; the intake is closed.
    pub async fn quiet(&self) {
        self.intake.quiet().await;
    }

    /// For how many requests clients wait.
    pub fn waiting(&self) -> usize {
        self.intake.running()
    }

    /// When Janus stops now, connections at rest are kept for [`Downstream::give`].
    pub fn leave(&self) {
        self.intake.leave();
    }

    /// The connections that were at rest when Janus stopped.
    pub fn give(&self, luggage: &mut Luggage) -> Vec<ClientRecord> {
        let rested =
            std::mem::take(&mut *self.rested.0.lock().unwrap_or_else(PoisonError::into_inner));
        let records = rested.into_iter().filter_map(|(socket, read)| {
            let tcp = matches!(socket, Socket::Tcp(_));
            // One that is broken is nobody's loss.
            let socket = luggage.put(socket.into_fd().ok()?);
            Some(ClientRecord {
                tcp,
                socket,
                read: read.to_vec(),
            })
        });
        records.collect()
    }
}

impl ClientRecord {
    /// The connection again; `None` if it broke.
    pub fn resume(self, luggage: &mut Luggage) -> Option<Resumed> {
        let socket: OwnedFd = luggage.take(self.socket)?;
        let socket = if self.tcp {
            let stream = std::net::TcpStream::from(socket);
            stream.set_nonblocking(true).ok()?;
            Socket::Tcp(TcpStream::from_std(stream).ok()?)
        } else {
            let stream = std::os::unix::net::UnixStream::from(socket);
            stream.set_nonblocking(true).ok()?;
            Socket::Unix(UnixStream::from_std(stream).ok()?)
        };
        Some(Resumed {
            socket,
            ahead: self.read.into(),
        })
    }
}

impl Resumed {
    /// Whether it came by TCP.
    pub fn is_tcp(&self) -> bool {
        matches!(self.socket, Socket::Tcp(_))
    }
}
