//! The connection to the daemon: one HTTP request on its socket that says who this is, then lines.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, HOST, UPGRADE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{BufReader, ReadHalf, WriteHalf};
use tokio::net::UnixStream;

use super::lines::Lines;
use crate::cli::control::Control;
use crate::cli::{Context, Exit, Failure};
use crate::model::Secret;
use crate::protocol::{Envelope, LONGEST_MESSAGE, RpcError, code, header};

/// The daemon resolves names and looks at a key; it reaches no server meanwhile.
const OPENING: Duration = Duration::from_secs(10);
/// A refusal is one JSON-RPC error.
const LONGEST_REFUSAL: usize = 64 * 1024;
/// The gateway hands long results on without holding them; this much is held here.
const LONGEST_LINE: usize = 4 * LONGEST_MESSAGE;
/// The protocol that is asked for.
const LINES: HeaderValue = HeaderValue::from_static("janus-stdio");

/// Where the daemon is, and what to say at its door.
#[derive(Debug)]
pub(super) struct Door {
    /// The daemon's socket.
    pub(super) socket: PathBuf,
    view: Uri,
    profile: Option<HeaderValue>,
    /// `JANUS_KEY`.
    key: Option<Arc<Secret>>,
    /// Who a key is asked for, where none is given.
    client: Option<String>,
    control: Control,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) input: Lines<BufReader<ReadHalf<TokioIo<Upgraded>>>>,
    pub(super) output: WriteHalf<TokioIo<Upgraded>>,
    /// The session that can be come back to.
    pub(super) session: Option<String>,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// Nobody listens, or not well.
    Away(String),
    /// The daemon does not know the session, or not the view either.
    SessionUnknown,
    /// It wants an access key, or another one.
    KeyRequired(RpcError),
    /// It does not let us in.
    Refused(RpcError),
}

impl Door {
    /// # Errors
    /// The view or the profile is nothing that could be sent.
    pub(super) fn new(
        socket: PathBuf,
        view: &str,
        client: Option<String>,
        context: &Context,
    ) -> Result<Self, Failure> {
        let parsed = view.parse().ok();
        let parsed = parsed.filter(|uri: &Uri| view.starts_with('/') && uri.query().is_none());
        let view = parsed.ok_or_else(|| {
            Failure::new(Exit::Usage, "usage", "`--path` is no path")
                .help("janus connect --path /mcp/PROFILE")
        })?;
        let profile = context.profile().as_deref().map(HeaderValue::from_str);
        let profile = profile.transpose().map_err(|_| {
            Failure::new(Exit::Usage, "usage", "`--profile` is no name of a profile")
        })?;
        Ok(Self {
            socket,
            view,
            profile,
            key: context.environment.access_key().map(Arc::new),
            client,
            control: Control::new(context),
        })
    }

    /// Opens a connection, one that comes back to this session if there is one.
    pub(super) async fn open(&self, session: Option<&str>) -> Result<Opened, NotOpened> {
        let key = match (&self.key, &self.client) {
            (None, Some(_)) => self.connection_key().await?.map(Arc::new),
            (key, _) => key.clone(),
        };
        match self.open_with(session, key.as_ref()).await {
            // A key that was given and is refused is not replaced by another identity.
            Err(NotOpened::KeyRequired(error)) if key.is_none() => {
                match self.connection_key().await?.map(Arc::new) {
                    None => Err(NotOpened::KeyRequired(error)),
                    key => self.open_with(session, key.as_ref()).await,
                }
            }
            opened => opened,
        }
    }

    /// A key for one connection, from the control socket: `None` where the daemon wants none.
    async fn connection_key(&self) -> Result<Option<Secret>, NotOpened> {
        let of = self
            .client
            .as_ref()
            .map_or_else(|| json!({}), |name| json!({"client": name}));
        let answer = self
            .control
            .ask(Method::POST, "/connection", Some(&of))
            .await;
        match answer {
            Ok(answer) => {
                let key = answer.get("key").and_then(serde_json::Value::as_str);
                Ok(key.map(Secret::new))
            }
            Err(failure) if failure.exit() == Exit::NoDaemon => Err(NotOpened::Away(
                "its control socket is not there".to_owned(),
            )),
            Err(failure) => {
                let parts = failure.parts();
                let data = json!({"code": parts.code, "sent": false, "where": parts.place});
                let mut why = format!("{}. Nothing was sent.", parts.message);
                if parts.code == "key_required" && self.client.is_none() {
                    why.push_str(
                        " A person starts it as one of `janus client list`: janus connect --client NAME.",
                    );
                }
                let error = RpcError::new(code::INVALID_REQUEST, why).with_data(&data);
                Err(NotOpened::Refused(error))
            }
        }
    }

    async fn open_with(
        &self,
        session: Option<&str>,
        key: Option<&Arc<Secret>>,
    ) -> Result<Opened, NotOpened> {
        let request = self.request(session, key)?;
        let opening = async {
            let stream = UnixStream::connect(&self.socket).await.map_err(away)?;
            let (sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
            let answer = ask(sender, request, session.is_some());
            let (_, answer) = tokio::join!(connection.with_upgrades(), answer);
            answer
        };
        tokio::time::timeout(OPENING, opening)
            .await
            .unwrap_or_else(|_| Err(NotOpened::Away("it does not answer".to_owned())))
    }

    fn request(
        &self,
        session: Option<&str>,
        key: Option<&Arc<Secret>>,
    ) -> Result<Request<Empty<Bytes>>, NotOpened> {
        let mut request = Request::get(self.view.clone())
            .header(HOST, "localhost")
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, LINES);
        if let Some(profile) = &self.profile {
            request = request.header(header::JANUS_PROFILE, profile);
        }
        if let Some(session) = session {
            request = request.header(header::SESSION_ID, session);
        }
        if let Some(key) = key {
            let bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
            let mut bearer = bearer.map_err(|_| {
                let why = "`JANUS_KEY` is no access key. Nothing was sent.";
                let data = json!({"code": "key_required", "sent": false});
                NotOpened::Refused(RpcError::new(code::INVALID_REQUEST, why).with_data(&data))
            })?;
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        request.body(Empty::new()).map_err(away)
    }
}

/// Sends the request; the sender goes with it, so that a refused connection ends.
async fn ask(
    mut sender: http1::SendRequest<Empty<Bytes>>,
    request: Request<Empty<Bytes>>,
    resumes: bool,
) -> Result<Opened, NotOpened> {
    let response = sender.send_request(request).await.map_err(away)?;
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => {
            let session = response.headers().get(header::SESSION_ID);
            let session = session.and_then(|id| id.to_str().ok().map(str::to_owned));
            let upgraded = hyper::upgrade::on(response).await.map_err(away)?;
            let (input, output) = tokio::io::split(TokioIo::new(upgraded));
            Ok(Opened {
                input: Lines::new(BufReader::new(input), LONGEST_LINE),
                output,
                session,
            })
        }
        StatusCode::NOT_FOUND if resumes => Err(NotOpened::SessionUnknown),
        StatusCode::UNAUTHORIZED => {
            let error = refusal(response.status(), response.into_body()).await;
            Err(NotOpened::KeyRequired(error))
        }
        status => Err(NotOpened::Refused(
            refusal(status, response.into_body()).await,
        )),
    }
}

/// The error in a refusal, as the daemon words it.
async fn refusal(status: StatusCode, body: Incoming) -> RpcError {
    let body = Limited::new(body, LONGEST_REFUSAL).collect().await;
    let message = body
        .ok()
        .and_then(|body| Envelope::parse(body.to_bytes()).ok());
    let said = message.as_ref().and_then(|message| {
        let error = message.error()?;
        Some(RpcError {
            code: message.error_code()?,
            message: error.text("message")?,
            data: error.get("data"),
        })
    });
    said.unwrap_or_else(|| {
        let why = format!("What listens on the socket does not answer as Janus does (HTTP {status}). Nothing was sent.");
        let data = json!({"code": "unavailable", "sent": false});
        RpcError::new(code::INTERNAL_ERROR, why).with_data(&data)
    })
}

fn away(error: impl std::fmt::Display) -> NotOpened {
    NotOpened::Away(error.to_string())
}
