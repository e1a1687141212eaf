//! What Janus sends: the headers of each kind of request, and the requests that carry no call.

use std::sync::Arc;

use ::http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;

use super::client::Broke;
use super::{Agreed, FAREWELL, Inner, redirect, source};
use crate::protocol::{Era, Json, Revision, header};
use crate::upstream::Failure;
use crate::upstream::wire::Outgoing;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
//= https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#sending-messages
//# The client **MUST** include an `Accept` header listing both
//# `application/json` and `text/event-stream` as supported content types.
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const JANUS: HeaderValue = HeaderValue::from_static(concat!("janus/", env!("CARGO_PKG_VERSION")));

impl Inner {
    /// POSTs a request message.
    pub(super) async fn post(
        &self,
        outgoing: &Outgoing,
        era: Era,
        agreed: &Agreed,
    ) -> Result<Response<Incoming>, Failure> {
        let headers = || {
            let mut headers = self.posted();
            if outgoing.method != "initialize" {
                agreement(&mut headers, agreed, era);
            }
            if era == Era::Modern {
                describe(&mut headers, outgoing);
            }
            self.sealed(headers)
        };
        let text = outgoing.text.bytes().clone();
        self.request(&Method::POST, headers, text).await
    }

    /// POSTs a notification or a response. Any success will do; the specification wants 202.
    pub(super) async fn deliver(self: &Arc<Self>, message: Json) -> Result<(), Failure> {
        let agreed = self.agreed();
        let era = agreed.revision.map_or(Era::Legacy, Revision::era);
        let headers = || {
            let mut headers = self.posted();
            agreement(&mut headers, &agreed, era);
            self.sealed(headers)
        };
        let sending = self.request(&Method::POST, headers, message.on_one_line().into_bytes());
        let response = tokio::time::timeout(self.timeout, sending)
            .await
            .map_err(|_| self.timed_out())??;
        let status = response.status();
        if status.is_success() {
            source::drain(&self.tasks, response.into_body());
            return Ok(());
        }
        if status == StatusCode::NOT_FOUND && agreed.session.is_some() {
            return Err(self.session_unknown());
        }
        Err(self.refused(status, response.headers()))
    }

    /// GETs an event stream: that of the session, or the rest of one that broke.
    pub(super) async fn get(
        &self,
        last_event: Option<&str>,
    ) -> Result<Response<Incoming>, Failure> {
        let agreed = self.agreed();
        let headers = || {
            let mut headers = HeaderMap::with_capacity(8);
            headers.insert(ACCEPT, EVENTS);
            agreement(&mut headers, &agreed, Era::Legacy);
            if let Some(id) = last_event.and_then(|id| HeaderValue::from_str(id).ok()) {
                headers.insert(header::LAST_EVENT_ID, id);
            }
            self.sealed(headers)
        };
        self.request(&Method::GET, headers, Bytes::new()).await
    }

    /// DELETEs the session, if there is one.
    pub(super) async fn farewell(&self) {
        let agreed = self.agreed();
        if agreed.session.is_none() {
            return;
        }
        let headers = || {
            let mut headers = HeaderMap::with_capacity(8);
            agreement(&mut headers, &agreed, Era::Legacy);
            self.sealed(headers)
        };
        let ending = self.request(&Method::DELETE, headers, Bytes::new());
        // 405 is a server's right, and one that is gone has forgotten the session anyway.
        match tokio::time::timeout(FAREWELL, ending).await {
            Ok(Ok(response)) => {
                tracing::debug!(account = %self.account, status = %response.status(), "the session ended");
            }
            Ok(Err(error)) => tracing::debug!(%error, "the session could not be ended"),
            Err(_) => tracing::debug!(account = %self.account, "the session was not ended in time"),
        }
    }

    /// POSTs a message to another address of the same origin.
    pub(super) async fn post_at(
        &self,
        url: &Uri,
        text: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        let headers = || self.sealed(self.posted());
        self.request_at(url.clone(), &Method::POST, headers, text)
            .await
    }

    async fn request(
        &self,
        method: &Method,
        headers: impl Fn() -> HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        self.request_at(self.endpoint.url.clone(), method, headers, body)
            .await
    }

    /// Sends a request, again where the server redirects within its origin.
    async fn request_at(
        &self,
        mut url: Uri,
        method: &Method,
        headers: impl Fn() -> HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        for _ in 0..=redirect::MOST {
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = method.clone();
            *request.uri_mut() = url.clone();
            *request.headers_mut() = headers();
            let response = self
                .client
                .request(request)
                .await
                .map_err(|broke| match broke {
                    Broke::Before(reason) => self.unreachable(reason),
                    Broke::After(reason) => self.interrupted(reason),
                })?;
            if !redirect::is(response.status()) {
                return Ok(response);
            }
            url = redirect::next(&url, response.status(), response.headers())
                .map_err(|reason| self.unreachable(reason))?;
        }
        Err(self.unreachable(format!("it redirects more than {} times", redirect::MOST)))
    }

    fn posted(&self) -> HeaderMap {
        // Room for all that follows, so that the map is allocated once.
        let mut headers = HeaderMap::with_capacity(12 + self.client.fixed().len());
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, BOTH);
        headers
    }

    /// Adds what goes with every request; the configuration's own headers last, so that they prevail.
    fn sealed(&self, mut headers: HeaderMap) -> HeaderMap {
        headers.insert(USER_AGENT, JANUS);
        let mut last: Option<&HeaderName> = None;
        for (name, value) in self.client.fixed() {
            if last == Some(name) {
                headers.append(name, value.clone());
            } else {
                headers.insert(name, value.clone());
            }
            last = Some(name);
        }
        headers
    }
}

/// The session and the revision. A modern server is always told the revision.
fn agreement(headers: &mut HeaderMap, agreed: &Agreed, era: Era) {
    let revision = match era {
        Era::Modern => Some(agreed.revision.unwrap_or(Revision::LATEST_MODERN)),
        Era::Legacy => agreed.revision,
    };
    if let Some(revision) = revision {
        let revision = HeaderValue::from_static(revision.as_str());
        headers.insert(header::PROTOCOL_VERSION, revision);
    }
    if era == Era::Legacy
        && let Some(session) = &agreed.session
    {
        headers.insert(header::SESSION_ID, session.clone());
    }
}

/// The headers of a modern request that repeat its body.
fn describe(headers: &mut HeaderMap, outgoing: &Outgoing) {
    // A method that no header can carry is one that the server will refuse by itself.
    if let Ok(method) = HeaderValue::from_str(&outgoing.method) {
        headers.insert(header::METHOD, method);
    }
    let name = outgoing.name.as_deref().map(header::encode);
    if let Some(Ok(name)) = name.map(HeaderValue::try_from) {
        headers.insert(header::NAME, name);
    }
    for (name, value) in &outgoing.param_headers {
        headers.append(name, value.clone());
    }
}
