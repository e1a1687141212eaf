//! How every authorization server is reached: by which addresses, for how long, and how much is read.
//!
//! Invariants:
//! - The address that is connected to is the one that was looked at: a name is resolved once, by the `connector`; through
//!   a proxy, by that.
//! - No redirect is followed, no cookie is kept, no request is sent twice.
//! - A connection serves one request: nothing of one account is on the way of another's.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, HeaderValue, USER_AGENT};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::address::Allowed;
use super::connector::{Connector, Names, NotAllowed, Resolver};
use crate::credential::Clock;
use crate::dial::{is_tls, said};
use crate::model::{Origin, ProxySettings};

/// For a request with all that belongs to it: who waits for it, a person or a call, waits no longer.
const WHOLE: Duration = Duration::from_secs(30);
/// Metadata, registrations and tokens are kilobytes.
const LONGEST: usize = 1024 * 1024;
/// Some providers refuse a request without one.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("janus/", env!("CARGO_PKG_VERSION")));

/// The connections to authorization servers. Clones share them.
#[derive(Debug, Clone)]
pub struct Network {
    proxy: Arc<ProxySettings>,
    /// The limits are its: what waited through a night's suspend is over.
    clock: Clock,
    names: Names,
}

/// What is allowed for the sake of one server.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The MCP server. Plain `http` and loopback addresses are for one that is on loopback itself.
    pub server: Uri,
    /// `allow_private_addresses`
    pub private: bool,
    /// `tls.ca` of the server, which counts for its authorization server too.
    pub ca: Option<PathBuf>,
}

impl Policy {
    /// Scheme, host and port of the server (RFC 6454, section 4): for whom tokens are.
    pub fn origin(&self) -> String {
        Origin::of(&self.server).map_or_else(String::new, |origin| origin.to_string())
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Janus does not go there. Nothing was sent.
    #[error("{0}")]
    Refused(String),
    /// It cannot be reached now. `sent`: it may have read the request.
    #[error("{why}")]
    Unreachable {
        /// What the connection said.
        why: String,
        /// Whether the request may have been read.
        sent: bool,
    },
    /// Its certificate is not accepted.
    #[error("{0}")]
    Tls(String),
    /// Its answer is too long, or was cut off.
    #[error("{0}")]
    BadAnswer(String),
}

impl Network {
    /// A network of this proxy, and of this clock.
    pub fn new(proxy: &ProxySettings, clock: Clock) -> Self {
        Self {
            proxy: Arc::new(proxy.clone()),
            clock,
            names: Names::System,
        }
    }

    /// The same, where a test knows the names.
    #[cfg(test)]
    pub(super) fn with_names(
        mut self,
        names: impl Fn(&str) -> Vec<std::net::IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.names = Names::Told(Arc::new(names));
        self
    }

    /// Whose time its patience is of.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sends one request to an absolute URL. A redirect is an answer and never followed here.
    ///
    /// # Errors
    /// Why there is no response.
    pub async fn send(
        &self,
        request: Request<Vec<u8>>,
        policy: &Policy,
    ) -> Result<Response<Vec<u8>>, NetworkError> {
        let sent = Sent::default();
        let place = place(request.uri());
        let exchange = async {
            let (head, body) = self.begin(request, policy, &sent).await?.into_parts();
            let read = Limited::new(body, LONGEST).collect().await;
            let body = read.map_err(|error| {
                NetworkError::BadAnswer(if error.is::<LengthLimitError>() {
                    format!("{place} answers with more than 1 MiB")
                } else {
                    format!("the answer of {place} was cut off")
                })
            })?;
            Ok(Response::from_parts(head, body.to_bytes().to_vec()))
        };
        self.within(exchange, &place, &sent).await
    }

    /// The same, but what follows the head of the answer is not waited for: it may be a stream without an end.
    ///
    /// # Errors
    /// Why there is no response.
    pub(super) async fn head(
        &self,
        request: Request<Vec<u8>>,
        policy: &Policy,
    ) -> Result<Response<Vec<u8>>, NetworkError> {
        let sent = Sent::default();
        let place = place(request.uri());
        let exchange = async {
            let answer = self.begin(request, policy, &sent).await?;
            Ok(answer.map(|_| Vec::new()))
        };
        self.within(exchange, &place, &sent).await
    }

    async fn within<T>(
        &self,
        exchange: impl Future<Output = Result<T, NetworkError>>,
        place: &str,
        sent: &Sent,
    ) -> Result<T, NetworkError> {
        let silent = || NetworkError::Unreachable {
            why: format!("{place} gave no answer within {} s", WHOLE.as_secs()),
            sent: sent.is_likely(),
        };
        let done = self.clock.within(WHOLE, exchange).await;
        done.unwrap_or_else(|| Err(silent()))
    }

    async fn begin(
        &self,
        request: Request<Vec<u8>>,
        policy: &Policy,
        sent: &Sent,
    ) -> Result<Response<Incoming>, NetworkError> {
        let url = request.uri().clone();
        let allowed = Allowed::of(&url, policy);
        allowed.url(&url).map_err(NetworkError::Refused)?;
        let resolver = Resolver {
            allowed,
            names: self.names.clone(),
        };
        let ca = policy.ca.as_deref();
        let connector = Connector::new(&url, resolver, ca, &self.proxy, &self.clock);
        let connector = connector.map_err(|why| NetworkError::Unreachable { why, sent: false })?;
        let connected = sent.0.get_or_init(|| connector.connected());
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build(connector);
        let mut request = request.map(|body| Full::new(Bytes::from(body)));
        let headers = request.headers_mut();
        headers.entry(USER_AGENT).or_insert(AGENT);
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("application/json"));
        // It follows from the URL, whatever a caller wrote there.
        headers.remove(HOST);
        let answer = client.request(request).await;
        answer.map_err(|error| {
            let place = place(&url);
            if let Some(NotAllowed(why)) = cause(&error) {
                return NetworkError::Refused(why.clone());
            }
            let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), said);
            let why = format!("{place}: {why}");
            if is_tls(&error) {
                NetworkError::Tls(why)
            } else {
                let sent = connected.load(Ordering::Acquire);
                NetworkError::Unreachable { why, sent }
            }
        })
    }
}

/// Whether a connection was there, from which moment on the request may have been read.
#[derive(Debug, Default)]
struct Sent(OnceLock<Arc<AtomicBool>>);

impl Sent {
    fn is_likely(&self) -> bool {
        let connected = self.0.get();
        connected.is_some_and(|connected| connected.load(Ordering::Acquire))
    }
}

/// Where a request goes, without what may be secret in its URL.
fn place(url: &Uri) -> String {
    let authority = url.authority().map(ToString::to_string).unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((_, host)) => host.to_owned(),
        None => authority,
    }
}

fn cause<'e, T: std::error::Error + 'static>(
    error: &'e (dyn std::error::Error + 'static),
) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An `io::Error` names the causes of what it wraps as its own, and so hides what it wraps.
        next = match error.downcast_ref::<std::io::Error>() {
            Some(wrapping) => wrapping.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    None
}
