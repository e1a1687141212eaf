//! A small MCP client for the commands that use a gateway that runs: of revision 2026-07-28, and in a session for
//! `janus demo`, which shows what most clients do.
//!
//! One POST for each request, on a connection of its own. Messages stay text, so that members this program does not
//! know survive.
//!
//! Invariants:
//! - Nothing is sent twice.
//! - Every wait ends: with `--timeout`, or when the gateway shows no sign of life.

mod message;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::{Context, Exit, Failure, Output};
use crate::model::Secret;
use crate::protocol::{Edit, Envelope, Json, Kind, Object, Revision, header, meta};

use message::{Messages, said};

/// A listening socket of this machine takes a connection at once or not at all.
const CONNECT: Duration = Duration::from_secs(5);
/// The gateway sends something at least every 15 s while a call runs; four times that means it is gone.
const SILENCE: Duration = Duration::from_mins(1);
/// Every request is the first and last on its connection.
const ID: &str = "1";

/// Where a gateway listens.
#[derive(Debug, Clone)]
pub(super) enum Address {
    /// A daemon's unix socket.
    Unix(PathBuf),
    /// Loopback.
    Tcp(SocketAddr),
}

/// A client of one gateway.
#[derive(Debug)]
pub(super) struct Client {
    address: Address,
    path: String,
    identity: Identity,
    /// The session it speaks in, as clients up to 2025-11-25 do.
    session: Option<HeaderValue>,
    timeout: Option<Duration>,
    /// Where notifications of a call are shown, and the level they are asked for at.
    shown: Option<(Output, &'static str)>,
}

/// As whom a client asks.
#[derive(Debug, Default)]
pub(super) struct Identity {
    /// Its access key.
    pub(super) key: Option<Secret>,
    /// The profile it names.
    pub(super) profile: Option<String>,
    /// The account that its calls name.
    pub(super) account: Option<String>,
}

/// One request.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: &'static str,
    /// What `Mcp-Name` says.
    pub(super) name: Option<&'a str>,
    pub(super) params: Vec<Edit<'a>>,
    /// `Mcp-Param-…`
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// What its `_meta` says beside what every request says.
    pub(super) said: Vec<(&'static str, serde_json::Value)>,
}

/// What came back.
#[derive(Debug)]
pub(super) enum Answer {
    Result(Object),
    Refused(Refused),
}

/// A JSON-RPC error.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Option<Object>,
}

impl Client {
    /// A client of the merged view; `-v` shows what servers say while a call runs.
    pub(super) fn new(address: Address, context: &Context) -> Self {
        let level = match context.global.verbose {
            0 => None,
            1 => Some("info"),
            _ => Some("debug"),
        };
        Self {
            address,
            path: "/mcp".to_owned(),
            identity: Identity::default(),
            session: None,
            timeout: context.global.timeout,
            shown: level.map(|level| (context.output, level)),
        }
    }

    /// The same, with this view instead.
    pub(super) fn at(self, path: impl Into<String>) -> Self {
        let path = path.into();
        Self { path, ..self }
    }

    /// The same, as somebody.
    pub(super) fn acting(self, identity: Identity) -> Self {
        Self { identity, ..self }
    }

    /// Opens a session and speaks in it from now on.
    pub(super) async fn in_session(mut self) -> Result<Self, Failure> {
        let params = json!({
            "protocolVersion": Revision::LATEST_LEGACY.as_str(),
            "capabilities": {},
            "clientInfo": {"name": "janus", "version": env!("CARGO_PKG_VERSION")},
        });
        let text =
            Envelope::request_text(&Json::string(ID), "initialize", Some(&Json::of(&params)));
        let opening = self.built(self.post(), text)?;
        let (answer, session) = self.sent(self.timeout, opening).await?;
        match (answer, session) {
            (Answer::Result(_), Some(session)) => {
                self.session = Some(session);
                Ok(self)
            }
            (Answer::Refused(refused), _) => Err(interrupted(&refused.message)),
            (Answer::Result(_), None) => Err(interrupted("the gateway opened no session")),
        }
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, Failure> {
        self.ask_within(self.timeout, ask).await
    }

    /// The same with a limit of its own.
    pub(super) async fn ask_within(
        &self,
        limit: Option<Duration>,
        ask: Ask<'_>,
    ) -> Result<Answer, Failure> {
        let (answer, _) = self.sent(limit, self.request(ask)?).await?;
        Ok(answer)
    }

    /// The answer, and the session that it opened.
    async fn sent(
        &self,
        limit: Option<Duration>,
        request: http::Request<Full<Bytes>>,
    ) -> Result<(Answer, Option<HeaderValue>), Failure> {
        let exchange = async {
            match &self.address {
                Address::Unix(path) => {
                    let stream = self.connected(UnixStream::connect(path)).await?;
                    self.exchange(stream, request).await
                }
                Address::Tcp(address) => {
                    let stream = self.connected(TcpStream::connect(address)).await?;
                    self.exchange(stream, request).await
                }
            }
        };
        match limit {
            None => exchange.await,
            Some(limit) => timeout(limit, exchange).await.unwrap_or_else(|_| {
                let said = format!("no answer within {} s", limit.as_secs_f32());
                Err(Failure::new(Exit::Failed, "timed_out", said)
                    .sent("the request, which was cancelled; it may have happened")
                    .help("give it longer:  --timeout 5m"))
            }),
        }
    }

    fn request(&self, ask: Ask<'_>) -> Result<http::Request<Full<Bytes>>, Failure> {
        let mut request = self.post();
        // Progress is a sign of life, also where nobody looks at it.
        let mut said = json!({meta::PROGRESS_TOKEN: 1});
        if let Some(members) = said.as_object_mut() {
            let more = ask.said.into_iter();
            members.extend(more.map(|(key, value)| (key.to_owned(), value)));
            if let Some(account) = &self.identity.account {
                members.insert(meta::ACCOUNT.to_owned(), account.as_str().into());
            }
            if self.session.is_none() {
                members.extend(modern(self.shown.map(|(_, level)| level)));
                request = request
                    .header(header::PROTOCOL_VERSION, Revision::LATEST_MODERN.as_str())
                    .header(header::METHOD, ask.method);
                if let Some(name) = ask.name {
                    request = request.header(header::NAME, header::encode(name));
                }
            }
        }
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let mut edits = ask.params;
        edits.push(Edit::Set("_meta", Json::of(&said)));
        let params = Object::empty().edited(&edits);
        let text = Envelope::request_text(&Json::string(ID), ask.method, Some(&params));
        self.built(request, text)
    }

    /// What every request says.
    fn post(&self) -> http::request::Builder {
        let mut request = http::Request::post(self.path.as_str())
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream");
        if let Some(key) = &self.identity.key {
            let bearer = format!("Bearer {}", key.expose());
            request = request.header(AUTHORIZATION, bearer);
        }
        if let Some(profile) = &self.identity.profile {
            request = request.header(header::JANUS_PROFILE, profile);
        }
        if let Some(session) = &self.session {
            request = request.header(header::SESSION_ID, session);
        }
        request
    }

    #[expect(clippy::unused_self, reason = "reads as a step of the client")]
    fn built(
        &self,
        request: http::request::Builder,
        text: Json,
    ) -> Result<http::Request<Full<Bytes>>, Failure> {
        let body = Full::new(text.into_bytes());
        request
            .body(body)
            .map_err(|error| Failure::from(anyhow::Error::from(error)))
    }

    async fn connected<S>(
        &self,
        connecting: impl Future<Output = std::io::Result<S>>,
    ) -> Result<S, Failure> {
        let error = match timeout(CONNECT, connecting).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not take the connection".to_owned(),
        };
        let place = match &self.address {
            Address::Unix(path) => path.display().to_string(),
            Address::Tcp(address) => address.to_string(),
        };
        Err(Failure::no_daemon(place, error))
    }

    async fn exchange<S>(
        &self,
        stream: S,
        request: http::Request<Full<Bytes>>,
    ) -> Result<(Answer, Option<HeaderValue>), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        let mut answer = pin!(async {
            let sending = timeout(SILENCE, sender.send_request(request));
            let response = sending.await.map_err(|_| silent())?.map_err(lost)?;
            let session = response.headers().get(header::SESSION_ID).cloned();
            Ok((self.read(response).await?, session))
        });
        // The connection is driven here; what it has read already is still there when it ends.
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            _ = connection => answer.await,
        }
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Answer, Failure> {
        let (parts, mut body) = response.into_parts();
        let mut messages = Messages::of(&parts.headers);
        loop {
            let frame = timeout(SILENCE, body.frame());
            let Some(frame) = frame.await.map_err(|_| silent())? else {
                break;
            };
            let Ok(data) = frame.map_err(lost)?.into_data() else {
                continue;
            };
            for message in messages.take(&data)? {
                if let Some(answer) = self.received(&message) {
                    return Ok(answer);
                }
            }
        }
        let last = messages.end().and_then(|text| self.received(&text));
        last.ok_or_else(|| no_answer(parts.status))
    }

    /// A message from the gateway: the answer, or something to show meanwhile.
    fn received(&self, text: &Bytes) -> Option<Answer> {
        let message = Envelope::parse(text.clone()).ok()?;
        match message.kind() {
            Kind::Result => Some(Answer::Result(message.result()?.object()?)),
            Kind::Error => {
                let error = message.error()?;
                Some(Answer::Refused(Refused {
                    code: message.error_code().unwrap_or_default(),
                    message: error.text("message").unwrap_or_default(),
                    data: error.object("data"),
                }))
            }
            Kind::Notification => {
                if let Some((output, _)) = self.shown
                    && let Some(line) = said(&message)
                {
                    output.note(&line);
                }
                None
            }
            // This revision has no requests from servers.
            Kind::Request => None,
        }
    }
}

/// What every request of revision 2026-07-28 says of its sender.
fn modern(level: Option<&str>) -> serde_json::Map<String, serde_json::Value> {
    let mut said = serde_json::Map::new();
    said.insert(
        meta::PROTOCOL_VERSION.to_owned(),
        Revision::LATEST_MODERN.as_str().into(),
    );
    said.insert(meta::CLIENT_CAPABILITIES.to_owned(), json!({}));
    let info = json!({"name": "janus", "version": env!("CARGO_PKG_VERSION")});
    said.insert(meta::CLIENT_INFO.to_owned(), info);
    if let Some(level) = level {
        said.insert(meta::LOG_LEVEL.to_owned(), level.into());
    }
    said
}

fn interrupted(message: &str) -> Failure {
    Failure::new(Exit::Failed, "outcome_unknown", message)
        .sent("the request; it may or may not have happened")
        .help("check before you repeat it")
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the form that `map_err` wants"
)]
fn lost(error: hyper::Error) -> Failure {
    interrupted("the connection to the daemon broke before it answered").because(error.to_string())
}

fn silent() -> Failure {
    let seconds = SILENCE.as_secs();
    interrupted(&format!(
        "the daemon gave no sign of life for {seconds} seconds"
    ))
}

fn no_answer(status: StatusCode) -> Failure {
    interrupted("what listens there does not answer as Janus does")
        .because(format!("HTTP {status}"))
}
