//! The HTTP client of one account: its connections, and the credential that goes with every request.
//!
//! Invariant: whether a request may have reached the server is known of every failure.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::dial::{CannotConnect, Connector};
use super::line::Lines;
use crate::credential::Credential;
use crate::dial::said;
use crate::model::{AccountId, HttpEndpoint, ProxySettings};
use crate::upstream::Failure;

/// Node and uvicorn close a connection that was idle for 5 s. Whoever closes first avoids the request that meets a
/// connection just closed.
const IDLE: Duration = Duration::from_secs(4);
/// What a burst of parallel calls leaves behind; not a limit on requests in flight, of which there is none.
const IDLE_CONNECTIONS: usize = 32;
/// HTTP/2 carries every stream of an account on one connection: a dead one must show.
const PING: Duration = Duration::from_secs(30);

type Pool = legacy::Client<Connector, Full<Bytes>>;

/// The connections of one account. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Client(Arc<Connections>);

#[derive(Debug)]
struct Connections {
    connector: Connector,
    lines: Lines,
    /// Those that new requests may take.
    pool: RwLock<Pool>,
    credential: Arc<Credential>,
}

/// A request got no response.
#[derive(Debug)]
pub(super) enum Broke {
    /// Nothing of it was sent.
    Before(String),
    /// It may have been read.
    After(String),
}

impl Client {
    /// A client for one account. For the first `https` server the system's certificate authorities are read, so it is
    /// made when it is needed and not at the start.
    pub(crate) fn new(
        account: &AccountId,
        endpoint: &HttpEndpoint,
        proxy: &ProxySettings,
        credential: &Arc<Credential>,
    ) -> Result<Self, Failure> {
        let unusable = |reason| Failure::Unreachable {
            account: account.clone(),
            reason,
            retry_in: None,
        };
        let lines = Lines::default();
        let connector = Connector::new(endpoint, proxy, &lines).map_err(unusable)?;
        Ok(Self(Arc::new(Connections {
            pool: RwLock::new(pool(connector.clone())),
            connector,
            lines,
            credential: Arc::clone(credential),
        })))
    }

    /// What goes with every request of the account.
    pub(super) fn credential(&self) -> &Credential {
        &self.0.credential
    }

    /// No later request takes a connection that was made before this. What goes on on those goes on.
    pub(crate) fn dial_anew(&self) {
        let fresh = pool(self.0.connector.clone());
        *self.0.pool.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// Ends the connections that go out from one of these addresses, and what goes on on them.
    pub(crate) fn cut(&self, addresses: &[IpAddr]) {
        self.0.lines.cut(addresses);
    }

    /// Sends a request. hyper sends one again by itself only if an idle connection turned out to be closed before
    /// anything of it was written.
    pub(super) async fn request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Broke> {
        let requesting = {
            let pool = self.0.pool.read().unwrap_or_else(PoisonError::into_inner);
            pool.request(request)
        };
        requesting.await.map_err(|error| broke(&error))
    }
}

fn pool(connector: Connector) -> Pool {
    legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http2_keep_alive_interval(PING)
        .build(connector)
}

fn broke(error: &legacy::Error) -> Broke {
    let cause = std::error::Error::source(error);
    if let Some(CannotConnect(why)) = cause.and_then(|cause| cause.downcast_ref()) {
        return Broke::Before(why.clone());
    }
    let why = cause.map_or_else(|| error.to_string(), said);
    // hyper calls a request cancelled only where it hands it back unsent.
    let unsent = error.is_connect()
        || cause
            .and_then(|cause| cause.downcast_ref::<hyper::Error>())
            .is_some_and(hyper::Error::is_canceled);
    if unsent {
        Broke::Before(why)
    } else {
        Broke::After(why)
    }
}
