//! What a POST carries: one message of either era, or, in a session of 2025-03-26, several.
//!
//! The era is decided for each message by itself: `initialize` is legacy whatever else says otherwise, a version in
//! `_meta` is modern, everything else belongs to a session.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use crate::binding::{Entry, Scope};
use crate::protocol::{
    Envelope, Json, Kind, LONGEST_MESSAGE, LogLevel, Request, Revision, RpcError, code, header,
};

use super::call::Call;
use super::conversation::{Acting, Conversation, Edge, Posed};
use super::legacy::{Opened, Session};
use super::modern::Asking;
use super::reply::Reply;
use super::respond::{Accepted, modern_or_bad, respond};
use super::service::{accepts, answer, json, lasting, refused, rpc_error, session_id};
use super::{Downstream, modern};

/// How long a body may take to arrive.
const READ_BODY: Duration = Duration::from_mins(1);

impl Downstream {
    pub(super) async fn post(
        &self,
        entry: Entry,
        request: http::Request<Incoming>,
    ) -> Response<Reply> {
        let (parts, body) = request.into_parts();
        let session = match session_id(&parts.headers) {
            Some(id) => self.session(id, &entry).await,
            None => None,
        };
        // A session may act as its client's roots say; whatever belongs to none is decided before it is read, unless
        // it may open such a session.
        if session.is_none()
            && !self.may_settle_later(&entry)
            && let Err(refusal) = self.scope(&entry)
        {
            return refusal;
        }
        let accepted = Accepted {
            json: accepts(&parts.headers, "application/json"),
            events: accepts(&parts.headers, "text/event-stream"),
        };
        if !accepted.json && !accepted.events {
            return refused(
                StatusCode::NOT_ACCEPTABLE,
                "answers are application/json or text/event-stream",
            );
        }
        if !is_json(&parts.headers) {
            return refused(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body must be application/json",
            );
        }
        let text = match read(&parts.headers, body).await {
            Ok(text) => text,
            Err(refusal) => return refusal,
        };
        if text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
            return self
                .batch(&entry, &parts.headers, session, text, accepted)
                .await;
        }
        match Envelope::parse(text) {
            Ok(message) => {
                self.message(entry, &parts.headers, session, message, accepted)
                    .await
            }
            Err(refused) => rpc_error(StatusCode::BAD_REQUEST, refused.id.as_ref(), &refused.error),
        }
    }

    /// Whether a session opened this way could be told its profile by its client's roots.
    pub(super) fn may_settle_later(&self, entry: &Entry) -> bool {
        entry.caller.directory().is_none() && self.reach.binding().has_directory_rules()
    }

    async fn message(
        &self,
        entry: Entry,
        headers: &HeaderMap,
        session: Option<Arc<Session>>,
        message: Envelope,
        accepted: Accepted,
    ) -> Response<Reply> {
        let version = modern::declared_version(&message);
        if message.kind() == Kind::Request && message.method() == "initialize" {
            return self.initialize(entry, &message).await;
        }
        if let Some(version) = version
            && !modern::is_slip(&version, session.is_some())
        {
            return self
                .modern(&entry, headers, message, &version, accepted)
                .await;
        }
        match session {
            Some(session) => self.in_session(headers, &session, message, accepted).await,
            None if session_id(headers).is_some() => self.not_found(&entry),
            None => match self.scope(&entry) {
                Ok(_) => without_session(headers, &message),
                Err(refusal) => refusal,
            },
        }
    }

    /// `initialize` opens a session, whatever else the request says.
    async fn initialize(&self, entry: Entry, message: &Envelope) -> Response<Reply> {
        let opened = match Opened::of_message(message) {
            Ok(opened) => opened,
            Err(error) => return rpc_error(modern_or_bad(error.code), message.id(), &error),
        };
        let later = opened.capabilities.has("roots") && self.may_settle_later(&entry);
        let scope = match self.scope(&entry) {
            // What it will be is not known yet, so nothing is said of it.
            _ if later => None,
            Ok(scope) => Some(scope),
            Err(refusal) => return refusal,
        };
        let result = self
            .gateway
            .initialize(scope.as_deref(), opened.revision)
            .await;
        let opening = self
            .sessions
            .open(&self.gateway, entry, opened, scope.as_deref());
        let session = opening.await;
        let id = message.id().cloned().unwrap_or_else(|| Json::of(&()));
        let mut response = json(
            StatusCode::OK,
            Reply::text(Envelope::result_text(&id, &result).into_bytes()),
        );
        if let Ok(id) = HeaderValue::from_str(&session.id) {
            response.headers_mut().insert(header::SESSION_ID, id);
        }
        response
    }

    async fn modern(
        &self,
        entry: &Entry,
        headers: &HeaderMap,
        message: Envelope,
        version: &str,
        accepted: Accepted,
    ) -> Response<Reply> {
        match message.kind() {
            Kind::Notification => return answer(StatusCode::ACCEPTED, Reply::empty()),
            Kind::Result | Kind::Error => {
                return refused(
                    StatusCode::BAD_REQUEST,
                    "servers of this revision ask nothing, so there is nothing to answer",
                );
            }
            Kind::Request => {}
        }
        let scope = match self.scope(entry) {
            Ok(scope) => scope,
            Err(refusal) => return refusal,
        };
        let id = message.id().cloned();
        let request = match modern::request(message, version, Some(headers)) {
            Ok(request) => request,
            Err(error) => return rpc_error(StatusCode::BAD_REQUEST, id.as_ref(), &error),
        };
        let listens = request.method() == "subscriptions/listen";
        let cancel = CancellationToken::new();
        let conversation = match self.modern_conversation(scope, request, cancel).await {
            Ok(conversation) => conversation,
            Err(error) => return rpc_error(StatusCode::OK, id.as_ref(), &error),
        };
        let response = respond(Call::modern(conversation, &self.parking), accepted, None).await;
        if listens { lasting(response) } else { response }
    }

    /// The conversation of a modern request: one that waits for its answers, or a new one.
    pub(super) async fn modern_conversation(
        &self,
        scope: Arc<Scope>,
        request: Request,
        cancel: CancellationToken,
    ) -> Result<Conversation, RpcError> {
        if let Some(number) = self.gateway.opened_parked(&scope, &request) {
            // Boxed, so that all other requests do not carry what only a few need.
            return Box::pin(self.parking.resume(number, &scope, &request, cancel)).await;
        }
        let edge = Edge::Modern(Box::new(Asking::of(&request, Arc::clone(&scope))));
        let acting = Acting::As(scope);
        Ok(Conversation::begin(
            &self.gateway,
            acting,
            request,
            edge,
            cancel,
        ))
    }

    async fn in_session(
        &self,
        headers: &HeaderMap,
        session: &Arc<Session>,
        message: Envelope,
        accepted: Accepted,
    ) -> Response<Reply> {
        // Inside a session the header is informational: real clients send none, or another one than was negotiated.
        let version = headers
            .get(header::PROTOCOL_VERSION)
            .map(|value| value.to_str().unwrap_or_default());
        if version.is_some_and(|version| !Revision::date_shaped(version)) {
            return refused(
                StatusCode::BAD_REQUEST,
                "`MCP-Protocol-Version` is the date of a revision",
            );
        }
        if message.kind() == Kind::Request {
            let prime = session.is_primed();
            respond(
                self.begin(session, message, accepted),
                accepted,
                Some(prime),
            )
            .await
        } else {
            self.received(session, &message).await;
            answer(StatusCode::ACCEPTED, Reply::empty())
        }
    }

    /// Begins a request of a session.
    pub(super) fn begin(
        &self,
        session: &Arc<Session>,
        message: Envelope,
        accepted: Accepted,
    ) -> Call {
        session.note(&message);
        let id = message.id().cloned().unwrap_or_else(|| Json::of(&()));
        let cancel = session.begin(&id);
        let request = Request {
            message,
            client: Arc::clone(&session.client),
            param_headers: Vec::new(),
            over_http: true,
            log_level: Some(session.questions.level()),
            holder: None,
        };
        let edge = if accepted.events {
            Edge::Legacy(Posed::to(session))
        } else {
            Edge::Mute
        };
        let conversation =
            Conversation::begin(&self.gateway, self.acting(session), request, edge, cancel);
        Call::legacy(conversation, Arc::clone(session), id, self.tasks.clone())
    }

    /// As whom a request of a session acts.
    pub(super) fn acting(&self, session: &Arc<Session>) -> Acting {
        let (reach, sessions) = (Arc::clone(&self.reach), Arc::clone(&self.sessions));
        Acting::In(Arc::clone(session), reach, sessions)
    }

    /// Takes a notification or a response of a session.
    pub(super) async fn received(&self, session: &Session, message: &Envelope) {
        match (message.kind(), message.method()) {
            (Kind::Notification, "notifications/cancelled") => session.cancel(message),
            (Kind::Notification, "notifications/initialized") => {}
            (Kind::Notification, _) => {
                if let Some(Ok(scope)) = session.settled(&self.gateway, &self.reach) {
                    self.gateway
                        .notified(&scope, &session.client, message)
                        .await;
                }
            }
            _ => session.questions.answered(message),
        }
    }
}

impl Session {
    /// What the edge itself must know of a request: the log level and the subscriptions of this session.
    pub(super) fn note(&self, message: &Envelope) {
        let Some(params) = message.params() else {
            return;
        };
        match message.method() {
            "logging/setLevel" => {
                if let Some(level) = params
                    .text("level")
                    .and_then(|level| LogLevel::named(&level))
                {
                    self.questions.set_level(level);
                }
            }
            method @ ("resources/subscribe" | "resources/unsubscribe") => {
                if let Some(uri) = params.text("uri") {
                    self.subscription(method, &uri);
                }
            }
            _ => {}
        }
    }
}

/// A message that is of no session and does not say that it is modern.
fn without_session(headers: &HeaderMap, message: &Envelope) -> Response<Reply> {
    let version = headers
        .get(header::PROTOCOL_VERSION)
        .and_then(|version| version.to_str().ok());
    let claims_modern = version.is_some_and(|version| {
        Revision::date_shaped(version) && version >= Revision::LATEST_MODERN.as_str()
    });
    if claims_modern || message.method() == "server/discover" {
        let error = RpcError::new(
            code::INVALID_PARAMS,
            format!(
                "`params._meta` must hold `{}`",
                crate::protocol::meta::PROTOCOL_VERSION
            ),
        );
        return rpc_error(StatusCode::BAD_REQUEST, message.id(), &error);
    }
    let error = RpcError::new(
        code::INVALID_REQUEST,
        "the request belongs to no session: begin with `initialize`, or send `_meta` of revision 2026-07-28",
    );
    rpc_error(StatusCode::BAD_REQUEST, message.id(), &error)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    kind.split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

async fn read(headers: &HeaderMap, body: Incoming) -> Result<Bytes, Response<Reply>> {
    let too_large = || {
        refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "a message has at most 16 MiB",
        )
    };
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > LONGEST_MESSAGE) {
        return Err(too_large());
    }
    match tokio::time::timeout(READ_BODY, Limited::new(body, LONGEST_MESSAGE).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(refused(
            StatusCode::BAD_REQUEST,
            "the body did not arrive whole",
        )),
        Err(_) => Err(refused(
            StatusCode::REQUEST_TIMEOUT,
            "the body took too long to arrive",
        )),
    }
}
