//! The reference: the least that a gateway must do. It reads id, method and tool name without copying, cuts the
//! server's name off the tool's, keeps sessions, and hands the answer on as it comes.
//!
//! It checks nothing, logs nothing and adds nothing, so that what it costs is what HTTP costs.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Either, Empty};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    ground::PREFIX,
    http::{SESSION, Text, text},
};

/// What is passed on of a request; the session is mapped.
const FORWARDED: [HeaderName; 3] = [
    ACCEPT,
    CONTENT_TYPE,
    HeaderName::from_static("mcp-protocol-version"),
];

type Answer = Response<Either<Incoming, Empty<Bytes>>>;

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    name: &'a str,
}

struct Relay {
    client: Client<HttpConnector, Text>,
    server: Uri,
    sessions: Mutex<HashMap<HeaderValue, HeaderValue>>,
    last: AtomicU64,
}

pub(crate) async fn serve(to: SocketAddr) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let relay = Arc::new(Relay {
        client: Client::builder(TokioExecutor::new()).build(connector),
        server: format!("http://{to}/mcp").parse()?,
        sessions: Mutex::default(),
        last: AtomicU64::new(1),
    });
    crate::http::serve("relay", move |request| Arc::clone(&relay).handle(request)).await
}

impl Relay {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        self.forward(request).await.unwrap_or_else(|code| {
            let mut refusal = Response::new(Either::Right(Empty::new()));
            *refusal.status_mut() = code;
            refusal
        })
    }

    async fn forward(&self, request: Request<Incoming>) -> Result<Answer, StatusCode> {
        let (parts, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|_| StatusCode::BAD_REQUEST)?
            .to_bytes();
        let body = if body.is_empty() {
            text("", "")
        } else {
            splice(&body)?
        };
        let mut forwarded = Request::new(body);
        *forwarded.method_mut() = parts.method;
        *forwarded.uri_mut() = self.server.clone();
        for name in FORWARDED {
            if let Some(value) = parts.headers.get(&name) {
                forwarded.headers_mut().insert(name, value.clone());
            }
        }
        if let Some(session) = parts.headers.get(SESSION) {
            let mut sessions = self.sessions.lock().unwrap();
            let theirs = if forwarded.method() == Method::DELETE {
                sessions.remove(session)
            } else {
                sessions.get(session).cloned()
            };
            forwarded
                .headers_mut()
                .insert(SESSION, theirs.ok_or(StatusCode::NOT_FOUND)?);
        }
        let response = self
            .client
            .request(forwarded)
            .await
            .map_err(|_| StatusCode::BAD_GATEWAY)?;
        Ok(self.answer(response))
    }

    fn answer(&self, response: Response<Incoming>) -> Answer {
        let (parts, body) = response.into_parts();
        let mut answer = Response::new(Either::Left(body));
        *answer.status_mut() = parts.status;
        if let Some(value) = parts.headers.get(CONTENT_TYPE) {
            answer.headers_mut().insert(CONTENT_TYPE, value.clone());
        }
        if let Some(theirs) = parts.headers.get(SESSION) {
            let number = self.last.fetch_add(1, Ordering::Relaxed);
            let ours: HeaderValue = format!("relay-{number:026}")
                .parse()
                .expect("digits are a header value");
            self.sessions
                .lock()
                .unwrap()
                .insert(ours.clone(), theirs.clone());
            answer.headers_mut().insert(SESSION, ours);
        }
        answer
    }
}

/// The message without the server's name before the tool's; nothing else of it is copied or changed.
fn splice(body: &Bytes) -> Result<Text, StatusCode> {
    let asked: Asked<'_> = serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    // An answer needs its id even where a relay would author it, so a real one reads it.
    std::hint::black_box(asked.id);
    let Some(params) = asked.params.filter(|_| asked.method == "tools/call") else {
        return Ok(text(body.clone(), ""));
    };
    let params: Params<'_> =
        serde_json::from_str(params.get()).map_err(|_| StatusCode::BAD_REQUEST)?;
    if !params.name.starts_with(PREFIX) {
        return Err(StatusCode::NOT_FOUND);
    }
    let at = params.name.as_ptr().addr() - body.as_ptr().addr();
    Ok(text(body.slice(..at), body.slice(at + PREFIX.len()..)))
}
