//! Where rmcp's OAuth ends and Janus begins: every request of it comes here.
//!
//! rmcp knows which documents to look for, makes the URL with its state and its PKCE challenge, and keeps the verifier.
//! What it sends is read for what only it knows, and then made anew.
//!
//! Invariants:
//! - Nothing is sent but through [`Network`], and only what the step that is under way expects.
//! - No token, no code and no client secret gets into rmcp, its log or its memory: it sees placeholders.

use std::sync::Arc;

use http::{Request, Response, StatusCode};
use rmcp::transport::auth::{OAuthHttpClient, OAuthHttpClientFuture, OAuthHttpRequest};
use serde_json::Value;
use tokio::sync::Mutex;

use super::exchange::Exchanging;
use super::network::{Network, NetworkError, Policy};
use super::registration::Registering;
use super::walk::Walk;

/// Stands where rmcp expects a secret.
pub(super) const PLACEHOLDER: &str = "held-by-janus";

/// How this login's requests go out.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) network: Network,
    pub(super) policy: Policy,
}

/// What rmcp is about to do.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing: a request now is a defect.
    Closed,
    Finding(Box<Walk>),
    Registering(Box<Registering>),
    Exchanging(Box<Exchanging>),
}

/// rmcp's HTTP client for one login. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Seam {
    way: Way,
    step: Arc<Mutex<Step>>,
}

/// Why rmcp gets no response. It may show this, so nothing else is in it.
#[derive(Debug, thiserror::Error)]
#[error("no response")]
struct NoResponse;

impl Way {
    pub(super) async fn send(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, NetworkError> {
        self.network.send(request, &self.policy).await
    }
}

impl Seam {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            step: Arc::new(Mutex::new(Step::Closed)),
        }
    }

    /// From now on rmcp may do this.
    pub(super) async fn begin(&self, step: Step) {
        *self.step.lock().await = step;
    }

    /// What became of it; from now on rmcp may do nothing.
    pub(super) async fn end(&self) -> Step {
        std::mem::replace(&mut *self.step.lock().await, Step::Closed)
    }
}

impl OAuthHttpClient for Seam {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            let request = request.request;
            // rmcp does one thing after the other, so that nobody waits here.
            let response = match &mut *self.step.lock().await {
                Step::Closed => None,
                Step::Finding(walk) => walk.answer(&self.way, &request).await,
                Step::Registering(registering) => registering.answer(&self.way, &request).await,
                Step::Exchanging(exchanging) => exchanging.answer(&self.way, &request).await,
            };
            response.ok_or_else(|| NoResponse.into())
        })
    }
}

/// A response for rmcp.
pub(super) fn response(status: StatusCode, body: &Value) -> Response<Vec<u8>> {
    let mut response = Response::new(body.to_string().into_bytes());
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    response
}
