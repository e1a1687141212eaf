//! Answers for a Janus that cannot start: whoever waits at its sockets learns why, instead of seeing the connection break.
//!
//! Invariants:
//! - The same strangers are refused as ever, and learn nothing.
//! - It ends soon, whatever clients do.

use std::convert::Infallible;
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

use super::listener::{Listener, Stream, accept};
use super::reply::Reply;
use super::service::{json as json_answer, refused, rpc_error};
use super::{guard, refusal};
use crate::authn::{NotAuthenticated, Peer, Transport};
use crate::protocol::{Json, RpcError, code};

/// Nobody came for this long: whoever waited has been answered.
const QUIET: Duration = Duration::from_millis(300);
/// At the latest; a service manager waits longer for the start.
const LONGEST: Duration = Duration::from_secs(5);
/// The beginning of a request, and then its body.
const READ: Duration = Duration::from_secs(1);
/// A request is read for its id.
const BODY: usize = 1024 * 1024;

/// Why Janus cannot start, for clients and commands.
#[derive(Debug, Clone)]
pub struct Unready {
    /// What is wrong.
    pub message: String,
    /// File, line and column.
    pub place: Option<String>,
    /// The command that helps.
    pub help: String,
}

/// Answers whoever waits at these sockets with the reason, until nobody does.
pub async fn refuse(listeners: Vec<Listener>, why: Unready) {
    let (connections, why) = (TaskTracker::new(), Arc::new(why));
    let end = Instant::now() + LONGEST;
    loop {
        let waiting = listeners.iter().enumerate();
        let waiting =
            waiting.map(|(at, listener)| accept(listener).map(move |got| (at, got)).boxed());
        let waiting = waiting.chain([std::future::pending().boxed()]);
        let ((at, accepted), ..) = tokio::select! {
            accepted = select_all(waiting) => accepted,
            () = sleep(QUIET), if connections.is_empty() => break,
            () = sleep_until(end) => break,
        };
        let Ok((stream, peer)) = accepted else { break };
        let control = matches!(listeners.get(at), Some(Listener::Control(_)));
        let why = Arc::clone(&why);
        match stream {
            Stream::Tcp(stream) => connections.spawn(connection(stream, peer, control, why)),
            Stream::Unix(stream) => connections.spawn(connection(stream, peer, control, why)),
        };
    }
    connections.close();
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
        "code": "config_invalid",
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
    let place = why
        .place
        .as_ref()
        .map_or_else(String::new, |place| format!("{place}: "));
    let text = format!(
        "Janus cannot start, its configuration is wrong: {place}{}; run: {}",
        why.message, why.help
    );
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
