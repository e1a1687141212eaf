//! A server over HTTP, in the test's process, that accepts the credentials it is told, answers every call with who
//! called, and watches for crossings.
//!
//! Every TCP connection and every session is pinned to the first credential seen on it. A request there with another
//! one or with none is a violation, and so are somebody else's credential anywhere in a request and a request that
//! expected to reach somebody else.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[path = "../../fixture/who_server/answer.rs"]
#[allow(
    unreachable_pub,
    clippy::allow_attributes,
    reason = "it is a file of the process that answers alike, too"
)]
mod answer;

/// Enough to understand what went wrong.
const VIOLATIONS: usize = 20;

/// The server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct WhoServer {
    shared: Arc<Shared>,
    url: String,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    modern: bool,
    /// The credentials, and whose they are.
    accepted: BTreeMap<String, String>,
    state: Mutex<State>,
    calls: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// The credential that opened each session.
    sessions: BTreeMap<String, String>,
    opened: usize,
    violations: Vec<String>,
    /// Ends the connections that stand.
    standing: CancellationToken,
}

impl WhoServer {
    /// Serves these accounts of a server of this name.
    pub(crate) async fn start(name: &str, modern: bool, accounts: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let accepted = accounts.iter().map(|account| {
            let credential = format!("cred-{name}-{account}");
            let who = answer::account(&credential);
            (credential, who)
        });
        let shared = Arc::new(Shared {
            modern,
            accepted: accepted.collect(),
            state: Mutex::default(),
            calls: AtomicUsize::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, Arc::clone(&shared)));
        Self {
            shared,
            url,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it should never have seen.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().violations.clone()
    }

    /// How many calls and reads it has seen.
    pub(crate) fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }

    /// Cuts every connection.
    pub(crate) fn break_connections(&self) {
        let mut state = self.shared.state.lock().unwrap();
        std::mem::take(&mut state.standing).cancel();
    }

    /// Knows no session any more.
    pub(crate) fn forget_sessions(&self) {
        self.shared.state.lock().unwrap().sessions.clear();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let standing = shared.state.lock().unwrap().standing.clone();
        let connection = connection(stream, Arc::clone(&shared));
        connections.spawn(async move {
            tokio::select! {
                () = standing.cancelled() => {}
                () = connection => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let pinned: Arc<Mutex<Option<String>>> = Arc::default();
    let service = service_fn(move |request| {
        let (shared, pinned) = (Arc::clone(&shared), Arc::clone(&pinned));
        async move { Ok::<_, Infallible>(shared.serve(&pinned, request).await) }
    });
    // Cut off in the middle: that is what the test wants to see answered.
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

impl Shared {
    fn violation(&self, what: String) {
        let mut state = self.state.lock().unwrap();
        if state.violations.len() < VIOLATIONS {
            state.violations.push(what);
        }
    }

    async fn serve(
        &self,
        pinned: &Mutex<Option<String>>,
        request: Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let header = |name: &str| {
            let value = head.headers.get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let credential = header("authorization")
            .trim_start_matches("Bearer ")
            .to_owned();
        let first = pinned
            .lock()
            .unwrap()
            .get_or_insert_with(|| credential.clone())
            .clone();
        if first != credential {
            self.violation(format!("{credential:?} on a connection of {first:?}"));
        }
        let Some(who) = self.accepted.get(&credential) else {
            self.violation(format!("{} with {credential:?}", head.method));
            return said(StatusCode::UNAUTHORIZED, None);
        };
        let session = header("mcp-session-id");
        let known = self.state.lock().unwrap().sessions.get(&session).cloned();
        if known.as_ref().is_some_and(|opener| *opener != credential) {
            self.violation(format!("{credential} in a session of {known:?}"));
        }
        for value in head.headers.values() {
            self.watch(&String::from_utf8_lossy(value.as_bytes()), &credential);
        }
        if head.method == Method::DELETE {
            self.state.lock().unwrap().sessions.remove(&session);
            return said(StatusCode::OK, None);
        }
        if head.method != Method::POST {
            return said(StatusCode::METHOD_NOT_ALLOWED, None);
        }
        let Ok(body) = body.collect().await else {
            return said(StatusCode::BAD_REQUEST, None);
        };
        let body = body.to_bytes();
        self.watch(&String::from_utf8_lossy(&body), &credential);
        let Ok(message) = serde_json::from_slice::<Value>(&body) else {
            return said(StatusCode::BAD_REQUEST, None);
        };
        if !session.is_empty() && known.is_none() {
            return said(StatusCode::NOT_FOUND, None);
        }
        if let Some(other) = answer::misrouted(&message, who) {
            self.violation(format!("a request for {other} as {who}"));
        }
        if matches!(
            message["method"].as_str(),
            Some("tools/call" | "resources/read")
        ) {
            self.calls.fetch_add(1, Ordering::SeqCst);
        }
        let Some(response) = answer::answer(self.modern, who, &message) else {
            return said(StatusCode::ACCEPTED, None);
        };
        let mut response = said(StatusCode::OK, Some(&response));
        if !self.modern && message["method"] == "initialize" {
            let mut state = self.state.lock().unwrap();
            state.opened += 1;
            let id = format!("session-{}", state.opened);
            response
                .headers_mut()
                .insert("mcp-session-id", id.parse().unwrap());
            state.sessions.insert(id, credential);
        }
        response
    }

    fn watch(&self, text: &str, credential: &str) {
        if let Some(foreign) = answer::foreign(text, credential) {
            self.violation(format!("{foreign} in a request of {credential}"));
        }
    }
}

fn said(status: StatusCode, message: Option<&Value>) -> Response<Full<Bytes>> {
    let body = message.map(Value::to_string).unwrap_or_default();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let json = "application/json".parse().unwrap();
    response.headers_mut().insert("content-type", json);
    response
}
