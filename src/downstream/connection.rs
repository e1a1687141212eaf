//! The connections of one listener: each has a place, is served, and is closed when Janus stops, or goes along.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper::service::{Service, service_fn};
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
        let downstream = &self.downstream;
        let place = Place {
            _permit: permit,
            _tokens: [self.open.token(), downstream.open.token()],
        };
        let one = Arc::new(One {
            downstream: downstream.clone(),
            serves,
            peer,
            line,
            begun: Notify::new(),
        });
        let (asked, place) = (Arc::clone(&one), Arc::new(place));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Arc::clone(&place));
            asked.begins();
            let asked = Arc::clone(&asked);
            async move { asked.answer(request).await }
        });
        let connection = http1::Builder::new()
            // The stream has a limit of its own, which does not run while nothing is read.
            .header_read_timeout(None)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        downstream.tasks.spawn(async move {
            // Peers break connections all the time; what was being asked is cancelled or goes on by its own rule.
            if let Err(error) = one.run(connection).await {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
}

/// One of the connections.
#[derive(Debug)]
struct One {
    downstream: Downstream,
    serves: Serves,
    peer: Result<Peer, NotAuthenticated>,
    line: Arc<Line>,
    /// Something was asked.
    begun: Notify,
}

impl One {
    /// A request has come.
    fn begins(&self) {
        self.begun.notify_one();
        self.line.begins();
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Counted>, Infallible> {
        let (downstream, line) = (&self.downstream, Arc::clone(&self.line));
        let running = self.is_of_a_client().then(|| downstream.intake.begin());
        let response = match self.serves {
            Serves::Nobody => overloaded(),
            Serves::Clients => downstream.serve(&self.peer, request).await?,
            Serves::Control => downstream.serve_control(&self.peer, request).await?,
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            line.upgrade();
        }
        let running = running.filter(|_| !is_lasting(&response));
        Ok(response.map(|reply| Counted::new(reply, running, line)))
    }

    fn is_of_a_client(&self) -> bool {
        matches!(self.serves, Serves::Clients)
    }

    /// Serves until one side ends it. When Janus stops, what was asked is answered first; when it goes on as another
    /// program, a connection at rest goes along.
    async fn run<S>(
        &self,
        mut connection: UpgradeableConnection<TokioIo<Stream>, S>,
    ) -> hyper::Result<()>
    where
        S: Service<Request<Incoming>, Response = Response<Counted>, Error = Infallible>,
        S::Future: Send + 'static,
    {
        let downstream = &self.downstream;
        tokio::select! {
            ended = &mut connection => return ended,
            () = downstream.stopping.cancelled() => {}
        }
        let goes_along = self.is_of_a_client() && downstream.intake.is_leaving();
        let late = async {
            if goes_along {
                timeout(LAST_ANSWER, self.line.rest()).await.is_ok()
            } else {
                timeout(FIRST_REQUEST, self.begun.notified()).await.is_ok()
            }
        };
        // Whatever comes first: the request, the client's end, or nothing at all.
        let is_at_rest = tokio::select! {
            ended = &mut connection => return ended,
            is_at_rest = late => is_at_rest,
        };
        if !goes_along {
            Pin::new(&mut connection).graceful_shutdown();
            return connection.await;
        }
        // One that was upgraded is no HTTP any more, and its client comes again. One that is not at rest is cut, as
        // somebody asked for that.
        let parts = is_at_rest.then(|| connection.into_parts()).flatten();
        if let Some(parts) = parts {
            downstream.rested.put(parts.io.into_inner(), parts.read_buf);
        }
        Ok(())
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

fn overloaded() -> Response<Reply> {
    let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, "too many connections");
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    // The next one may find a place, and this one takes none of those for whoever is told so.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
