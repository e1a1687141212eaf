//! An HTTP client that shows the wire: every request is a connection of its own, every header the test's own, nothing
//! is followed or repeated. Dropping a [`Reply`] closes its connection.

use std::path::{Path, PathBuf};

use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

use super::PATIENCE;

/// Where to send requests.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    to: Peer,
    host: String,
}

#[derive(Debug, Clone)]
enum Peer {
    Tcp(String),
    Unix(PathBuf),
}

/// The beginning of an answer; the body comes as it is asked for.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    /// What of the body has come and was not given out.
    ahead: Vec<u8>,
    _connection: JoinSet<()>,
}

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) retry: Option<String>,
    pub(crate) data: String,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: StatusCode,
    /// `Mcp-Session-Id`, empty if it is missing.
    pub(crate) session: String,
    /// The message, the last one of a stream; null if there is none.
    pub(crate) message: Value,
    /// The same, byte for byte.
    pub(crate) text: String,
}

impl Http {
    /// A client of the server in this URL, whatever its path.
    pub(crate) fn tcp(url: &str) -> Self {
        let host = url.strip_prefix("http://").expect("a plain URL");
        let host = host.split('/').next().unwrap().to_owned();
        Self {
            to: Peer::Tcp(host.clone()),
            host,
        }
    }

    pub(crate) fn unix(socket: &Path) -> Self {
        Self {
            to: Peer::Unix(socket.to_owned()),
            host: "localhost".to_owned(),
        }
    }

    /// Sends the request as it is; only `Host` is added where it is missing.
    pub(crate) async fn send(&self, request: Request<String>) -> Reply {
        let mut request = request.map(|body| Full::new(Bytes::from(body)));
        let headers = request.headers_mut();
        if !headers.contains_key(http::header::HOST) {
            headers.insert(http::header::HOST, self.host.parse().unwrap());
        }
        within("an answer", async {
            match &self.to {
                Peer::Tcp(host) => over(TcpStream::connect(host).await.unwrap(), request).await,
                Peer::Unix(path) => over(UnixStream::connect(path).await.unwrap(), request).await,
            }
        })
        .await
    }

    /// Sends a message of MCP and hears the whole answer; `None` where the other side went away before it was whole.
    pub(crate) async fn attempt(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Option<Heard> {
        self.attempt_text(method, path, headers, &body.to_string())
            .await
    }

    /// The same with a body that need not be JSON.
    pub(crate) async fn attempt_text(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Heard> {
        let mut request = Request::builder().method(method).uri(path);
        let mut all = vec![
            ("host", self.host.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        all.retain(|(name, _)| !headers.iter().any(|(own, _)| own == name));
        all.extend(headers);
        for (name, value) in all {
            request = request.header(name, value);
        }
        let request = request.body(Full::from(body.to_owned())).unwrap();
        within("an answer", async {
            match &self.to {
                Peer::Tcp(host) => heard(TcpStream::connect(host).await.ok()?, request).await,
                Peer::Unix(path) => heard(UnixStream::connect(path).await.ok()?, request).await,
            }
        })
        .await
    }

    /// A request of MCP with these headers besides the usual ones.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        self.post_text(path, headers, &body.to_string()).await
    }

    /// The same with a body that need not be JSON.
    pub(crate) async fn post_text(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        self.send(Self::posting(path, headers, body)).await
    }

    /// Such a request, for whoever sends it.
    pub(crate) fn posting(path: &str, headers: &[(&str, &str)], body: &str) -> Request<String> {
        let usual = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        built(Method::POST, path, &[&usual[..], headers].concat(), body)
    }

    /// The stream that a legacy session listens to.
    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let headers = [&[("accept", "text/event-stream")][..], headers].concat();
        self.request(Method::GET, path, &headers, "").await
    }

    pub(crate) async fn delete(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.request(Method::DELETE, path, headers, "").await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        self.send(built(method, path, headers, body)).await
    }
}

fn built(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Request<String> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.to_owned()).unwrap()
}

async fn heard<S>(stream: S, request: Request<Full<Bytes>>) -> Option<Heard>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let exchange = async {
        let response = sender.send_request(request).await.ok()?;
        let session = response.headers().get("mcp-session-id");
        let session = session.and_then(|id| id.to_str().ok()).unwrap_or_default();
        let (status, session) = (response.status(), session.to_owned());
        let body = response.into_body().collect().await.ok()?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        // Either the message itself, or events, the last of which it is.
        let last = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("data: {"));
        let message = last.map_or_else(|| text.clone().into_owned(), |rest| format!("{{{rest}"));
        Some(Heard {
            status,
            session,
            message: serde_json::from_str(&message).unwrap_or(Value::Null),
            text: message,
        })
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        biased;
        heard = &mut exchange => heard,
        // It may end when all of the answer is there.
        _ = connection => exchange.await,
    }
}

async fn over<S>(stream: S, request: Request<Full<Bytes>>) -> Reply
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // How it ends is seen where the answer is read.
        connection.await.ok();
    });
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    Reply {
        status: parts.status,
        headers: parts.headers,
        body,
        ahead: Vec::new(),
        _connection: tasks,
    }
}

impl Reply {
    /// A header as text; empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.header("content-type").starts_with("text/event-stream")
    }

    /// The whole body.
    pub(crate) async fn text(mut self) -> String {
        while self.more().await {}
        String::from_utf8(self.ahead).unwrap()
    }

    /// The whole body.
    pub(crate) async fn json(self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The next event of the stream, comments left out; `None` at its end.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            while let Some(block) = self.block() {
                let event = Event::parse(&block);
                if event != Event::default() {
                    return Some(event);
                }
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next message of the stream; `None` at its end.
    pub(crate) async fn message(&mut self) -> Option<Value> {
        loop {
            let event = self.event().await?;
            // A priming event has an id and no message.
            if !event.data.is_empty() {
                return Some(serde_json::from_str(&event.data).expect("a message is JSON"));
            }
        }
    }

    /// The next message of a stream, or the one that is the whole body.
    pub(crate) async fn next_or_whole(&mut self) -> Option<Value> {
        if self.is_stream() {
            return self.message().await;
        }
        while self.more().await {}
        let text = std::mem::take(&mut self.ahead);
        serde_json::from_slice(&text).ok()
    }

    /// The text before the next blank line.
    fn block(&mut self) -> Option<String> {
        let text = std::str::from_utf8(&self.ahead).ok()?;
        let (end, length) = ["\n\n", "\r\n\r\n"]
            .into_iter()
            .filter_map(|blank| Some((text.find(blank)?, blank.len())))
            .min()?;
        let block = text.get(..end)?.to_owned();
        self.ahead.drain(..end + length);
        Some(block)
    }

    /// Waits for more of the body; false at its end.
    async fn more(&mut self) -> bool {
        let frame = within("more of the body", self.body.frame()).await;
        match frame {
            None => false,
            Some(frame) => {
                if let Ok(data) = frame.expect("the connection holds").into_data() {
                    self.ahead.extend_from_slice(&data);
                }
                true
            }
        }
    }
}

impl Event {
    fn parse(block: &str) -> Self {
        let mut event = Self::default();
        let mut data = Vec::new();
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match field {
                "id" => event.id = Some(value),
                "event" => event.name = Some(value),
                "retry" => event.retry = Some(value),
                "data" => data.push(value),
                _ => {}
            }
        }
        event.data = data.join("\n");
        event
    }
}

/// Waits, but not for ever.
pub(crate) async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come within {PATIENCE:?}"))
}
