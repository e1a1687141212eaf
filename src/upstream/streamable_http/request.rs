//! What Janus sends: the headers of each kind of request, and the requests that carry no call.

use std::sync::Arc;

use ::http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;

use super::client::Broke;
use super::{Agreed, FAREWELL, Inner, redirect, refusal, source};
use crate::credential::Attached;
use crate::model::Secret;
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
        let headers = |attached: &Attached| {
            let mut headers = posted(attached);
            if outgoing.method != "initialize" {
                agreement(&mut headers, agreed, era);
            }
            if era == Era::Modern {
                describe(&mut headers, outgoing);
            }
            sealed(headers, attached)
        };
        let text = outgoing.text.bytes().clone();
        self.request(&Method::POST, headers, text).await
    }

    /// POSTs a notification or a response. Any success will do; the specification wants 202.
    pub(super) async fn deliver(self: &Arc<Self>, message: Json) -> Result<(), Failure> {
        let agreed = self.agreed();
        let era = agreed.revision.map_or(Era::Legacy, Revision::era);
        let headers = |attached: &Attached| {
            let mut headers = posted(attached);
            agreement(&mut headers, &agreed, era);
            sealed(headers, attached)
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
        let headers = |attached: &Attached| {
            let mut headers = HeaderMap::with_capacity(8);
            headers.insert(ACCEPT, EVENTS);
            agreement(&mut headers, &agreed, Era::Legacy);
            if let Some(id) = last_event.and_then(|id| HeaderValue::from_str(id).ok()) {
                headers.insert(header::LAST_EVENT_ID, id);
            }
            sealed(headers, attached)
        };
        self.request(&Method::GET, headers, Bytes::new()).await
    }

    /// DELETEs the session, if there is one.
    pub(super) async fn farewell(&self) {
        let agreed = self.agreed();
        if agreed.session.is_none() {
            return;
        }
        let headers = |attached: &Attached| {
            let mut headers = HeaderMap::with_capacity(8);
            agreement(&mut headers, &agreed, Era::Legacy);
            sealed(headers, attached)
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
        let headers = |attached: &Attached| sealed(posted(attached), attached);
        self.request_at(url.clone(), &Method::POST, headers, text)
            .await
    }

    async fn request(
        &self,
        method: &Method,
        headers: impl Fn(&Attached) -> HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        self.request_at(self.endpoint.url.clone(), method, headers, body)
            .await
    }

    /// Sends a request with the account's credential; once more if the server refused that and there is a newer one. It
    /// was refused before it ran, so nothing runs twice.
    async fn request_at(
        &self,
        url: Uri,
        method: &Method,
        headers: impl Fn(&Attached) -> HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        let credential = self.client.credential();
        let mut attached = self.attach().await?;
        let sending = self.send_with(url.clone(), method, &headers, body.clone(), &attached);
        let response = sending.await?;
        let status = response.status();
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            if status.is_success() {
                credential.forget_refusal();
            }
            return Ok(response);
        }
        // Boxed: hardly ever needed, and as large as a request.
        match Box::pin(self.another(&attached, &response)).await? {
            Some(another) => attached = another,
            None => return Ok(response),
        }
        source::drain(&self.tasks, response.into_body());
        tracing::debug!(account = %self.account, %status, "refused, and sent again with a newer credential");
        let response = Box::pin(self.send_with(url, method, &headers, body, &attached)).await?;
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if credential.grant().is_some() => {
                Box::pin(self.refused_again(&attached, &response)).await?;
            }
            StatusCode::UNAUTHORIZED => credential.refused(attached.stamp, 401),
            _ => {}
        }
        Ok(response)
    }

    /// What may do where the server refused this; `None` where nothing else is at hand.
    async fn another(
        &self,
        refused: &Attached,
        response: &Response<Incoming>,
    ) -> Result<Option<Arc<Attached>>, Failure> {
        let credential = self.client.credential();
        if credential.grant().is_none() {
            let renewed = credential.renewed(refused.stamp, response.status().as_u16());
            return if renewed.await {
                self.attach().await.map(Some)
            } else {
                Ok(None)
            };
        }
        if !self.challenged(response)? {
            return Ok(None);
        }
        let renewed = credential.regranted(refused, 401).await;
        // Where a person must act, that is what the caller is told; and somebody may have acted meanwhile.
        let now = self.attach().await?;
        Ok((renewed || now.stamp != refused.stamp).then_some(now))
    }

    /// The second token was refused, too: it is not sent a third time, but whoever asks next must know.
    async fn refused_again(
        &self,
        refused: &Attached,
        response: &Response<Incoming>,
    ) -> Result<(), Failure> {
        if self.challenged(response)? {
            self.client.credential().regranted(refused, 401).await;
            self.attach().await?;
        }
        Ok(())
    }

    /// Keeps what the server said for a login. Whether it refused the token, and not only what was asked for with it.
    //= https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#scope-challenge-handling
    fn challenged(&self, response: &Response<Incoming>) -> Result<bool, Failure> {
        let challenge = refusal::challenge(response.status(), response.headers());
        let (refuses, scope) = (challenge.refuses_token(), challenge.wants_scope());
        // Any other 403 is about this one request, and no login is wanted.
        if (refuses || scope.is_some())
            && let Some(grant) = self.client.credential().grant()
        {
            grant.challenged(challenge);
        }
        match scope {
            None => Ok(refuses),
            Some(scope) => Err(Failure::NeedsScope {
                account: self.account.clone(),
                scope,
            }),
        }
    }

    async fn attach(&self) -> Result<Arc<Attached>, Failure> {
        let attached = self.client.credential().attach().await;
        attached.map_err(|why| Failure::NoCredential {
            account: self.account.clone(),
            why: Box::new(why),
        })
    }

    /// Sends a request, again where the server redirects within its origin.
    async fn send_with(
        &self,
        mut url: Uri,
        method: &Method,
        headers: &impl Fn(&Attached) -> HeaderMap,
        body: Bytes,
        attached: &Attached,
    ) -> Result<Response<Incoming>, Failure> {
        for _ in 0..=redirect::MOST {
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = method.clone();
            *request.uri_mut() = match &attached.query {
                None => url.clone(),
                Some(query) => with_query(&url, query)
                    .ok_or_else(|| self.unreachable("its URL takes no parameter"))?,
            };
            *request.headers_mut() = headers(attached);
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
}

/// The URL with the parameter that proves the account, once: a redirect may have given it back.
fn with_query(url: &Uri, parameter: &Secret) -> Option<Uri> {
    let parameter = parameter.expose();
    let name = parameter.split('=').next().unwrap_or_default();
    let others = url.query().unwrap_or_default().split('&');
    let others = others.filter(|one| !one.is_empty() && one.split('=').next() != Some(name));
    let query: Vec<&str> = others.chain([parameter]).collect();
    let mut parts = url.clone().into_parts();
    parts.path_and_query = format!("{}?{}", url.path(), query.join("&")).parse().ok();
    Uri::from_parts(parts).ok()
}

fn posted(attached: &Attached) -> HeaderMap {
    // Room for all that follows, so that the map is allocated once.
    let mut headers = HeaderMap::with_capacity(12 + attached.headers.len());
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ACCEPT, BOTH);
    headers
}

/// Adds what goes with every request; the account's own headers last, so that they prevail.
fn sealed(mut headers: HeaderMap, attached: &Attached) -> HeaderMap {
    headers.insert(USER_AGENT, JANUS);
    for (name, value) in &attached.headers {
        headers.insert(name, value.clone());
    }
    headers
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
