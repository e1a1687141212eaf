//! The connections of one listener: each has a place, is served, and is closed when Janus stops, or goes along.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::authn::{NotAuthenticated, Peer};

use super::Downstream;
use super::hand_over::Resumed;
use super::intake::Line;
use super::listener::Listener;
use super::reply::{Counted, Reply};
use super::service::{is_lasting, refused};
use super::stream::{Socket, Stream};

/// Connections at once. Each client has a few; a thousand sessions fit several times.
const CONNECTIONS: usize = 4096;
/// Connections beyond that which are still told so.
const TURNED_AWAY: usize = 64;
/// Headers of one request, in all.
const HEAD_BYTES: usize = 64 * 1024;
const HEADERS: usize = 100;
/// When Janus stops, a connection that has not said anything yet may have its first request on the way: closing it then
/// would look like a call that was lost.
const FIRST_REQUEST: Duration = Duration::from_millis(500);
/// Calls in flight get this long when Janus stops: shorter than any service manager waits.
const DRAIN: Duration = Duration::from_secs(10);
/// And this long when Janus goes on as another program: clients' calls were waited for before that.
const LEAVING: Duration = Duration::from_secs(1);
/// What is cut then is answered when its server was let go, which is a moment later. A client that does not take its answer
/// by now is cut, too.
const LAST_ANSWER: Duration = Duration::from_secs(4);

/// The connections of one listener.
#[derive(Debug)]
pub(super) struct Connections {
    downstream: Downstream,
    serves: Serves,
    open: TaskTracker,
    room: Arc<Semaphore>,
    margin: Arc<Semaphore>,
}

/// The place that a connection takes. It is held until the connection is closed, also when it was upgraded meanwhile
/// and is no HTTP any more: so it is counted, and waited for when Janus stops.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    /// Among those of its listener, and among all.
    _tokens: [TaskTrackerToken; 2],
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

impl Connections {
    pub(super) fn of(downstream: &Downstream, listener: &Listener) -> Self {
        Self {
            downstream: downstream.clone(),
            serves: match listener {
                Listener::Control(_) => Serves::Control,
                Listener::Tcp(_) | Listener::Unix(_) => Serves::Clients,
            },
            open: TaskTracker::new(),
            room: Arc::new(Semaphore::new(CONNECTIONS)),
            margin: Arc::new(Semaphore::new(TURNED_AWAY)),
        }
    }

    /// Serves one that an earlier program of this process had.
    pub(super) fn resume(&self, resumed: Resumed) {
        // There were no more of them in that program.
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            return;
        };
        let (peer, line) = (known(&resumed.socket), Arc::<Line>::default());
        let intake = self.downstream.intake.clone();
        let stream = Stream::resumed(resumed, intake, Arc::clone(&line));
        self.serve(stream, line, peer, (self.serves, permit));
    }

    /// Serves one that was accepted, or says that there are too many.
    pub(super) fn take(&self, socket: Socket, peer: Result<Peer, NotAuthenticated>) {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let room = room.map(|permit| (self.serves, permit));
        let margin = |_| Arc::clone(&self.margin).try_acquire_owned();
        let room = room.or_else(|full| margin(full).map(|permit| (Serves::Nobody, permit)));
        let Ok((serves, permit)) = room else {
            return;
        };
        let line = Arc::<Line>::default();
        // What asks for another program must not wait for it.
        let intake = matches!(serves, Serves::Clients).then(|| self.downstream.intake.clone());
        let stream = Stream::new(socket, intake, Arc::clone(&line));
        self.serve(stream, line, peer, (serves, permit));
    }

    /// Resolves when all are closed, or the limit for that is over; no more are taken.
    pub(super) async fn drained(&self) {
        self.open.close();
        let limit = if self.downstream.intake.is_leaving() {
            LEAVING
        } else {
            DRAIN
        };
        let drained = timeout(limit, self.open.wait()).await.is_ok();
        // What goes along has a limit of its own.
        if !drained && !self.downstream.intake.is_leaving() {
            tracing::warn!(
                "some calls did not end within {} s and are cut off",
                limit.as_secs()
            );
        }
    }

    fn serve(
        &self,
        stream: Stream,
        line: Arc<Line>,
        peer: Result<Peer, NotAuthenticated>,
        (serves, permit): (Serves, OwnedSemaphorePermit),
    ) {
        let (downstream, peer) = (self.downstream.clone(), Arc::new(peer));
        let place = Arc::new(Place {
            _permit: permit,
            _tokens: [self.open.token(), downstream.open.token()],
        });
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
                    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                        line.upgrade();
                    }
                    let running = running.filter(|_| !is_lasting(&response));
                    response.map(|reply| Counted::new(reply, running, line))
                })
            }
        });
        let connection = http1::Builder::new()
            // The stream has a limit of its own, which does not run while nothing is read.
            .header_read_timeout(None)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let downstream = self.downstream.clone();
        self.downstream.tasks.spawn(async move {
            let mut connection = connection;
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = downstream.stopping.cancelled() => {
                    let goes_along = matches!(serves, Serves::Clients) && downstream.intake.is_leaving();
                    let late = async {
                        if goes_along {
                            timeout(LAST_ANSWER, line.rest()).await.is_ok()
                        } else {
                            timeout(FIRST_REQUEST, begun.notified()).await.is_ok()
                        }
                    };
                    // Whatever comes first: the request, the client's end, or nothing at all.
                    let early = tokio::select! {
                        ended = &mut connection => Ok(ended),
                        is_at_rest = late => Err(is_at_rest),
                    };
                    match early {
                        Ok(ended) => ended,
                        Err(is_at_rest) if goes_along => {
                            // One that was upgraded is no HTTP any more, and its client comes again. One that is not at
                            // rest is cut, as somebody asked for that.
                            let parts = is_at_rest.then(|| connection.into_parts()).flatten();
                            if let Some(parts) = parts {
                                downstream.rested.put(parts.io.into_inner(), parts.read_buf);
                            }
                            return;
                        }
                        Err(_) => {
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

/// Who it is. A stranger is told so with each of its requests.
pub(super) fn known(socket: &Socket) -> Result<Peer, NotAuthenticated> {
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

fn overloaded() -> http::Response<Reply> {
    let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, "too many connections");
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    // The next one may find a place, and this one takes none of those for whoever is told so.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
