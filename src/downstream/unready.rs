//! Answers for a Janus that cannot start: whoever waits at its sockets learns why, instead of seeing the connection break.
//!
//! Invariants:
//! - The same strangers are refused as ever, and learn nothing.
//! - It ends soon, whatever clients do.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt as _, select_all};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::task::TaskTracker;

use super::listener::{Listener, accept};
use super::reply::Reply;
use super::service::{json as json_answer, refused, rpc_error};
use super::stream::Socket;
use super::{guard, refusal};
use crate::authn::{NotAuthenticated, Peer, Transport};
use crate::protocol::{Json, RpcError, code};

/// Nobody came for this long after the last answer: whoever waited has been answered.
const QUIET: Duration = Duration::from_millis(300);
/// Out of descriptors, or a client that is gone already: the others still wait.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// At the latest; a service manager waits longer for the start.
const LONGEST: Duration = Duration::from_secs(5);
/// The beginning of a request, and then its body.
const READ: Duration = Duration::from_secs(1);
/// A request is read for its id.
const BODY: usize = 1024 * 1024;

/// Why Janus cannot start, for clients and commands.
#[derive(Debug, Clone)]
pub struct Unready {
    /// A word for programs: `config_invalid` or `cannot_start`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// File, line and column.
    pub place: Option<String>,
    /// The command that helps.
    pub help: String,
}

/// All of it on one line.
impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}; run: {}", self.message, self.help)
    }
}

/// Answers whoever waits at these sockets with the reason, until nobody does.
pub async fn refuse(listeners: Vec<Listener>, why: Unready) {
    let (connections, why) = (TaskTracker::new(), Arc::new(why));
    let end = Instant::now() + LONGEST;
    // From here on it can be waited for that there is none; more may come.
    connections.close();
    loop {
        let waiting = listeners.iter().enumerate();
        let waiting =
            waiting.map(|(at, listener)| accept(listener).map(move |got| (at, got)).boxed());
        let waiting = waiting.chain([std::future::pending().boxed()]);
        let ((at, accepted), ..) = tokio::select! {
            accepted = select_all(waiting) => accepted,
            () = connections.wait().then(|()| sleep(QUIET)) => break,
            () = sleep_until(end) => break,
        };
        let Ok((stream, peer)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let control = matches!(listeners.get(at), Some(Listener::Control(_)));
        let why = Arc::clone(&why);
        match stream {
            Socket::Tcp(stream) => connections.spawn(connection(stream, peer, control, why)),
            Socket::Unix(stream) => connections.spawn(connection(stream, peer, control, why)),
        };
    }
    // What is not over by then is cut off.
    drop(timeout(READ, connections.wait()).await);
}

async fn connection<S>(
    stream: S,
    peer: Result<Peer, NotAuthenticated>,
    control: bool,
    why: Arc<Unready>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let peer = Arc::new(peer);
    let service = service_fn(move |request: Request<Incoming>| {
        let (peer, why) = (Arc::clone(&peer), Arc::clone(&why));
        async move { Ok::<_, Infallible>(answer(&peer, request, control, &why).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ)
        // The next request is one for the next start.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn answer(
    peer: &Result<Peer, NotAuthenticated>,
    request: Request<Incoming>,
    control: bool,
    why: &Unready,
) -> Response<Reply> {
    let guarded = match peer.as_ref().map(Peer::transport) {
        Ok(Transport::Unix) => guard::check_unix(request.headers()),
        Ok(Transport::Tcp | Transport::Stdio) | Err(_) => guard::check_tcp(request.headers()),
    };
    if let Err(foreign) = guarded {
        return refused(StatusCode::FORBIDDEN, &foreign.to_string());
    }
    if let Err(stranger) = peer {
        return refusal::stranger(stranger);
    }
    let facts = json!({
        "code": why.code,
        "message": why.message,
        "where": why.place,
        "help": [why.help],
        "sent": false,
    });
    if control {
        let error = Json::of(&json!({"error": facts}));
        return json_answer(
            StatusCode::SERVICE_UNAVAILABLE,
            Reply::text(error.into_bytes()),
        );
    }
    let text = match why.code {
        "config_invalid" => format!("Janus cannot start, its configuration is wrong: {why}"),
        _ => format!("Janus cannot start: {why}"),
    };
    let error = RpcError::new(code::INTERNAL_ERROR, text).with_data(&facts);
    let id = id(request).await;
    rpc_error(StatusCode::SERVICE_UNAVAILABLE, id.as_ref(), &error)
}

/// The id of the request, if it is one that can be answered.
async fn id(request: Request<Incoming>) -> Option<Json> {
    let body = Limited::new(request.into_body(), BODY).collect();
    let body = timeout(READ, body).await.ok()?.ok()?.to_bytes();
    let message: Value = serde_json::from_slice(&body).ok()?;
    let id = message.get("id")?;
    (id.is_string() || id.is_number()).then(|| Json::of(id))
}

#[cfg(test)]
mod tests {
    use rustix::fd::AsRawFd as _;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{UnixListener, UnixStream};

    use super::*;

    fn why() -> Unready {
        Unready {
            code: "config_invalid",
            message: "unknown key `a`".to_owned(),
            place: Some("config.yaml:1:1".to_owned()),
            help: "janus config validate".to_owned(),
        }
    }

    /// A request, and its answer to the end of the connection.
    async fn asks(mut client: UnixStream) -> String {
        let request = "GET /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n";
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_soon_after_the_last_answer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = Listener::Unix(UnixListener::bind(&path).unwrap());
        let client = UnixStream::connect(&path).await.unwrap();
        let begun = Instant::now();
        let (answer, ()) = tokio::join!(asks(client), refuse(vec![listener], why()));
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("config.yaml:1:1"), "{answer}");
        assert!(begun.elapsed() < LONGEST / 2, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_cannot_be_accepted_yet_is_answered_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = Listener::Unix(UnixListener::bind(&path).unwrap());
        let client = UnixStream::connect(&path).await.unwrap();
        // As many descriptors as are open.
        let free = rustix::io::dup(&client).unwrap().as_raw_fd();
        let before = getrlimit(Resource::Nofile);
        let none = Rlimit {
            current: u64::try_from(free).ok(),
            ..before
        };
        setrlimit(Resource::Nofile, none).unwrap();
        let later = async {
            sleep(QUIET / 3).await;
            setrlimit(Resource::Nofile, before).unwrap();
            asks(client).await
        };
        let (answer, ()) = tokio::join!(later, refuse(vec![listener], why()));
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
}
