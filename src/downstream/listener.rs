//! The sockets: accept, serve, close gracefully.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::io::Errno;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::authn::{NotAuthenticated, Peer};

use super::Downstream;
use super::hand_over::Resumed;
use super::intake::{Intake, Line};
use super::reply::{Counted, Reply};
use super::service::{is_lasting, refused};
use super::stream::{Socket, Stream};

/// Connections at once. Each client has a few; a thousand sessions fit several times.
const CONNECTIONS: usize = 4096;
/// Connections beyond that which are still told so.
const TURNED_AWAY: usize = 64;
/// A client that connects and says nothing.
const READ_HEAD: Duration = Duration::from_secs(10);
/// Headers of one request, in all.
const HEAD_BYTES: usize = 64 * 1024;
const HEADERS: usize = 100;
/// When Janus stops, a connection that has not said anything yet may have its first request on the way: closing it then
/// would look like a call that was lost.
const FIRST_REQUEST: Duration = Duration::from_millis(500);
/// Out of descriptors: what is open must close first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Calls in flight get this long when Janus stops: shorter than any service manager waits.
const DRAIN: Duration = Duration::from_secs(10);

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

/// And this long when Janus goes on as another program: they were waited for before that.
const LEAVING: Duration = Duration::from_secs(1);

/// The place that a connection takes. It is held until the connection is closed, also when it was upgraded meanwhile
/// and is no HTTP any more: so it is counted, and waited for when Janus stops.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    /// Among those of its listener, and among all.
    _tokens: [TaskTrackerToken; 2],
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
        let mut resumed = VecDeque::from(resumed);
        let connections = TaskTracker::new();
        let mut heart = self.pulse.heart();
        let (room, margin) = (
            Arc::new(Semaphore::new(CONNECTIONS)),
            Arc::new(Semaphore::new(TURNED_AWAY)),
        );
        loop {
            let accepted = tokio::select! {
                () = self.stopping.cancelled() => break,
                () = heart.beat() => continue,
                accepted = next(&mut resumed, &listener) => accepted,
            };
            let (socket, ahead, peer) = match accepted {
                Ok(accepted) => {
                    heart.works();
                    accepted
                }
                Err(error) => {
                    // Connections that are open have the descriptors, and give them back; else nobody will.
                    if self.open.is_empty() || !is_out_of_descriptors(&error) {
                        heart.fails();
                    }
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (permit, full) = match Arc::clone(&room).try_acquire_owned() {
                Ok(permit) => (permit, false),
                Err(_) => match Arc::clone(&margin).try_acquire_owned() {
                    Ok(permit) => (permit, true),
                    Err(_) => continue,
                },
            };
            let serves = match &listener {
                Listener::Control(_) => Serves::Control,
                Listener::Tcp(_) | Listener::Unix(_) => Serves::Clients,
            };
            let serves = if full { Serves::Nobody } else { serves };
            let place = Arc::new(Place {
                _permit: permit,
                _tokens: [connections.token(), self.open.token()],
            });
            let line = Arc::<Line>::default();
            let intake = match serves {
                Serves::Clients => self.intake.clone(),
                // What asks for the change must not wait for it.
                Serves::Control | Serves::Nobody => Intake::default(),
            };
            let stream = Stream::new(socket, ahead, intake, Arc::clone(&line));
            self.connection(stream, line, peer, serves, place);
        }
        drop(listener);
        connections.close();
        let limit = if self.intake.is_leaving() {
            LEAVING
        } else {
            DRAIN
        };
        let drained = tokio::select! {
            drained = tokio::time::timeout(limit, connections.wait()) => drained.is_ok(),
            () = heart.beat_on() => false,
        };
        if !drained {
            tracing::warn!(
                "some calls did not end within {} s and are cut off",
                limit.as_secs()
            );
        }
    }

    fn connection(
        &self,
        stream: Stream,
        line: Arc<Line>,
        peer: Result<Peer, NotAuthenticated>,
        serves: Serves,
        place: Arc<Place>,
    ) {
        let (downstream, peer) = (self.clone(), Arc::new(peer));
        let asks = Arc::clone(&line);
        let begun = Arc::new(Notify::new());
        let begins = Arc::clone(&begun);
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(Arc::clone(&place));
            begins.notify_one();
            let (downstream, peer) = (downstream.clone(), Arc::clone(&peer));
            let line = Arc::clone(&asks);
            line.begins();
            async move {
                let running = matches!(serves, Serves::Clients).then(|| downstream.intake.begin());
                let response = match serves {
                    Serves::Nobody => Ok(overloaded()),
                    Serves::Clients => downstream.serve(&peer, request).await,
                    Serves::Control => downstream.serve_control(&peer, request).await,
                };
                response.map(|response| {
                    let running = running.filter(|_| !is_lasting(&response));
                    response.map(|reply| Counted::new(reply, running, line))
                })
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(READ_HEAD)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let downstream = self.clone();
        self.tasks.spawn(async move {
            let mut connection = connection;
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = downstream.stopping.cancelled() => {
                    let goes_along = matches!(serves, Serves::Clients) && downstream.intake.is_leaving();
                    let late = async {
                        if goes_along {
                            line.rest().await;
                        } else {
                            tokio::time::timeout(FIRST_REQUEST, begun.notified()).await.ok();
                        }
                    };
                    // Whatever comes first: the request, the client's end, or nothing at all.
                    let early = tokio::select! {
                        ended = &mut connection => Some(ended),
                        () = late => None,
                    };
                    match early {
                        Some(ended) => ended,
                        None if goes_along => {
                            // One that was upgraded is no HTTP any more, and its client comes again.
                            if let Some(parts) = connection.into_parts() {
                                downstream.rested.put(parts.io.into_inner(), parts.read_buf);
                            }
                            return;
                        }
                        None => {
                            std::pin::Pin::new(&mut connection).graceful_shutdown();
                            connection.await
                        }
                    }
                }
            };
            // Peers break connections all the time; what was being asked is cancelled or goes on by its own rule.
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
}

/// What a connection is served.
#[derive(Debug, Clone, Copy)]
enum Serves {
    /// MCP.
    Clients,
    /// The control API.
    Control,
    /// Nothing: there are too many.
    Nobody,
}

/// A connection that an earlier program of this process had, or the next one.
async fn next(
    resumed: &mut VecDeque<Resumed>,
    listener: &Listener,
) -> std::io::Result<(Socket, Bytes, Result<Peer, NotAuthenticated>)> {
    if let Some(Resumed { socket, ahead }) = resumed.pop_front() {
        let peer = known(&socket);
        return Ok((socket, ahead, peer));
    }
    let (socket, peer) = accept(listener).await?;
    Ok((socket, Bytes::new(), peer))
}

/// The next connection, and who it is. A stranger is told so with each of its requests.
pub(super) async fn accept(
    listener: &Listener,
) -> std::io::Result<(Socket, Result<Peer, NotAuthenticated>)> {
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

fn known(socket: &Socket) -> Result<Peer, NotAuthenticated> {
    let peer = match socket {
        Socket::Tcp(stream) => Peer::from_tcp(stream),
        Socket::Unix(stream) => Peer::from_unix(stream),
    };
    match &peer {
        Ok(_) => {}
        // Programs look whether somebody listens, and go away.
        Err(error @ NotAuthenticated::Closing) => {
            tracing::debug!(%error, "a connection is refused");
        }
        Err(error @ NotAuthenticated::Unknown(why)) => {
            tracing::warn!(%error, %why, "a connection is refused");
        }
        Err(error) => tracing::warn!(%error, "a connection is refused"),
    }
    peer
}

/// Of the process, or of the machine.
fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    let full = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    full.contains(&error.raw_os_error())
}

fn overloaded() -> http::Response<Reply> {
    let mut response = refused(
        http::StatusCode::SERVICE_UNAVAILABLE,
        "too many connections",
    );
    response.headers_mut().insert(
        http::header::RETRY_AFTER,
        http::HeaderValue::from_static("1"),
    );
    response
}
