//! One HTTP request: guard, path, method. What a POST carries is read in [`super::post`].

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, SERVER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::authn::{Header, NotAuthenticated, Peer, Transport};
use crate::binding::{Entry, Scope};
use crate::protocol::{RpcError, code, header};

use super::legacy::{EventId, Reading};
use super::reply::{EventStream, Reply};
use super::{Downstream, adapt, guard, login, refusal, upgrade};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

impl Downstream {
    /// Serves one request.
    pub(super) async fn serve(
        &self,
        peer: &Result<Peer, NotAuthenticated>,
        request: Request<Incoming>,
    ) -> Result<Response<Reply>, Infallible> {
        let guarded = match peer.as_ref().map(Peer::transport) {
            Ok(Transport::Unix) => guard::check_unix(request.headers()),
            Ok(Transport::Tcp | Transport::Stdio) | Err(_) => guard::check_tcp(request.headers()),
        };
        if let Err(foreign) = guarded {
            return Ok(refused(StatusCode::FORBIDDEN, &foreign.to_string()));
        }
        let peer = match peer {
            Ok(peer) => peer,
            Err(why) => return Ok(refusal::stranger(why)),
        };
        if request.uri().path().starts_with(login::PREFIX) {
            return Ok(Box::pin(self.login_page(request)).await);
        }
        let entry = match self.entry(peer, &request) {
            Ok(entry) => entry,
            Err(refusal) => return Ok(refusal),
        };
        let answer = match *request.method() {
            Method::POST => self.post(entry, request).await,
            Method::GET if upgrade::is_asked(request.headers()) => {
                self.upgrade(peer, entry, request).await
            }
            Method::GET => self.get(&entry, request.headers()).await,
            Method::DELETE => self.delete(&entry, request.headers()).await,
            _ => not_allowed("GET, POST, DELETE"),
        };
        if !self.answered.initialized() {
            // Somebody else may be as fast.
            self.answered.set(()).ok();
        }
        Ok(answer)
    }

    /// Who sent a request, and where it wants to go.
    #[expect(
        clippy::result_large_err,
        reason = "a refusal leaves at once; a box would be one more step for both sides"
    )]
    pub(super) fn entry(
        &self,
        peer: &Peer,
        request: &Request<Incoming>,
    ) -> Result<Entry, Response<Reply>> {
        let headers = request.headers();
        let authorization = header_of(headers, &AUTHORIZATION);
        let directory = header_of(headers, &header::JANUS_DIRECTORY);
        let caller = self.authn.caller(peer, authorization, directory);
        let caller = caller.map_err(|why| refusal::stranger(&why))?;
        let profile = match header_of(headers, &header::JANUS_PROFILE) {
            Header::Missing => None,
            Header::Once(name) => Some(String::from_utf8_lossy(name).trim().into()),
            Header::Repeated => {
                return Err(refused(
                    StatusCode::BAD_REQUEST,
                    "the header Janus-Profile is there twice",
                ));
            }
        };
        Ok(Entry {
            caller,
            path: request.uri().path().into(),
            profile,
        })
    }

    /// The scope of a request that belongs to no session.
    #[expect(
        clippy::result_large_err,
        reason = "a refusal leaves at once; a box would be one more step for both sides"
    )]
    pub(super) fn scope(&self, entry: &Entry) -> Result<Arc<Scope>, Response<Reply>> {
        let scope = self.reach.scope(entry);
        scope.map_err(|why| refusal::outside(&why, &self.reach))
    }

    /// Opens the stream of a session's unsolicited messages, or takes a broken stream up again.
    async fn get(&self, entry: &Entry, headers: &HeaderMap) -> Response<Reply> {
        let Some(id) = session_id(headers) else {
            return self.without_session(entry);
        };
        let Some(session) = self.session(id, entry).await else {
            return self.not_found(entry);
        };
        if !accepts(headers, "text/event-stream") {
            return refused(
                StatusCode::NOT_ACCEPTABLE,
                "a GET is answered with text/event-stream only",
            );
        }
        let last = headers
            .get(header::LAST_EVENT_ID)
            .and_then(|id| id.to_str().ok())
            .and_then(EventId::parse);
        let resumed = last.as_ref().and_then(|id| {
            let stream = session.stream(id.number)?;
            let position = stream.after(id)?;
            Some((id.number, stream, position))
        });
        if let Some(id) = last.filter(|id| id.number != 0 && resumed.is_none()) {
            // Whoever waits for a response shall not wait for ever.
            return event_stream(match &id.request {
                Some(request) => EventStream::lost(request),
                None => EventStream::over(),
            });
        }
        let prime = session.is_primed();
        let events = match resumed {
            Some((number, stream, position)) if number != 0 => {
                let until = self.stopping.clone().cancelled_owned();
                EventStream::of_kept(stream, position, None, until, prime)
            }
            resumed => {
                let position =
                    resumed.map_or_else(|| session.read_to(), |(_, _, position)| position);
                let until = session.take_reader(&self.stopping).cancelled_owned();
                let stream = Arc::clone(&session.standalone);
                EventStream::of_kept(stream, position, Some(Reading::of(session)), until, prime)
            }
        };
        lasting(event_stream(events))
    }

    async fn delete(&self, entry: &Entry, headers: &HeaderMap) -> Response<Reply> {
        let Some(id) = session_id(headers) else {
            return self.without_session(entry);
        };
        let Some(session) = self.session(id, entry).await else {
            return self.not_found(entry);
        };
        self.sessions.end(&self.gateway, &session.id).await;
        answer(StatusCode::OK, Reply::empty())
    }

    /// A path that leads nowhere says so, whatever else is missing.
    fn without_session(&self, entry: &Entry) -> Response<Reply> {
        match self.scope(entry) {
            Err(refusal) if refusal.status() == StatusCode::NOT_FOUND => refusal,
            _ => not_allowed("POST"),
        }
    }

    /// A session that this caller does not have: first of all, because it reaches nothing here.
    pub(super) fn not_found(&self, entry: &Entry) -> Response<Reply> {
        self.scope(entry).err().unwrap_or_else(session_unknown)
    }
}

/// A header that may be there once.
fn header_of<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Header<'h> {
    Header::of(headers.get_all(name).iter().map(HeaderValue::as_bytes))
}

/// The session a request names. Anything that is not visible ASCII is no id of ours, and so unknown.
pub(super) fn session_id(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::SESSION_ID)
        .map(|id| id.to_str().unwrap_or("?"))
}

/// Whether the client takes this type. Without a header it takes anything (RFC 9110, 12.5.1).
pub(super) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let family = wanted.split_once('/').map_or(wanted, |(family, _)| family);
    let mut listed = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .peekable();
    if listed.peek().is_none() {
        return true;
    }
    listed.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let refused =
            parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        let matches = kind.eq_ignore_ascii_case(wanted)
            || kind == "*/*"
            || kind
                .strip_suffix("/*")
                .is_some_and(|kind| kind.eq_ignore_ascii_case(family));
        matches && !refused
    })
}

pub(super) fn answer(status: StatusCode, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: Reply) -> Response<Reply> {
    let mut response = answer(status, body);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A stream of events, which no proxy shall hold back.
pub(super) fn event_stream(events: EventStream) -> Response<Reply> {
    let mut response = answer(StatusCode::OK, Reply::Events(Box::new(events)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, EVENTS);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

/// A stream of changes, which has no end of its own.
#[derive(Debug, Clone)]
struct Lasting;

/// Marks a response that nobody waits for the end of.
pub(super) fn lasting(mut response: Response<Reply>) -> Response<Reply> {
    response.extensions_mut().insert(Lasting);
    response
}

/// Whether a response is one.
pub(super) fn is_lasting(response: &Response<Reply>) -> bool {
    response.extensions().get::<Lasting>().is_some()
}

/// A refusal below MCP: the text is for whoever looks into it.
pub(super) fn refused(status: StatusCode, why: &str) -> Response<Reply> {
    rpc_error(status, None, &RpcError::new(code::INVALID_REQUEST, why))
}

pub(super) fn rpc_error(
    status: StatusCode,
    id: Option<&crate::protocol::Json>,
    error: &RpcError,
) -> Response<Reply> {
    json(status, Reply::text(adapt::error_text(id, error)))
}

/// The same for a session that ended, never was, or is somebody else's.
pub(super) fn session_unknown() -> Response<Reply> {
    refused(
        StatusCode::NOT_FOUND,
        "there is no such session: begin again with `initialize`",
    )
}

fn not_allowed(allowed: &'static str) -> Response<Reply> {
    let mut response = refused(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("use {allowed}; a stream needs a session"),
    );
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(allowed));
    // Lets a second Janus on the same port name the first.
    headers.insert(
        SERVER,
        HeaderValue::from_static(concat!("janus/", env!("CARGO_PKG_VERSION"))),
    );
    response
}
