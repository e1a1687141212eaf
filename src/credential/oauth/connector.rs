//! A connection to an authorization server: its name is resolved, its addresses are looked at, and only what is allowed
//! is connected to.
//!
//! Through a proxy, that resolves the name: what Janus can check there is what the URL says.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tower_service::Service;

use super::address::{Allowed, not_allowed};
use crate::credential::Clock;
use crate::dial::{through, tls};
use crate::model::ProxySettings;

/// Name, connection, tunnel and TLS together: who does not answer by then is not there.
const CONNECT: Duration = Duration::from_secs(10);

/// Makes the connection for one request.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    way: Way,
    clock: Clock,
    connected: Arc<AtomicBool>,
}

#[derive(Debug, Clone)]
enum Way {
    Plain(HttpConnector<Resolver>),
    Tls(HttpsConnector<HttpConnector<Resolver>>),
    /// TLS through a tunnel, through a proxy that the person who runs Janus named.
    Tunnel(Box<HttpsConnector<Tunnel<HttpsConnector<HttpConnector>>>>),
}

type Stream = MaybeHttpsStream<MaybeHttpsStream<TokioIo<TcpStream>>>;
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// An address that is not connected to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotAllowed(pub(super) String);

impl Connector {
    pub(super) fn new(
        url: &Uri,
        resolver: Resolver,
        ca: Option<&Path>,
        proxy: &ProxySettings,
        clock: &Clock,
    ) -> Result<Self, String> {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        let way = if url.scheme_str() == Some("https") {
            let config = tls::config(ca)?;
            match through(url, proxy)? {
                None => Way::Tls(over_tls(config, tcp)),
                Some(intercept) => {
                    let mut tcp = HttpConnector::new();
                    tcp.enforce_http(false);
                    let to_proxy = HttpsConnectorBuilder::new()
                        .with_tls_config(config.clone())
                        .https_or_http()
                        .enable_http1()
                        .wrap_connector(tcp);
                    let mut tunnel = Tunnel::new(intercept.uri().clone(), to_proxy);
                    if let Some(auth) = intercept.basic_auth() {
                        tunnel = tunnel.with_auth(auth.clone());
                    }
                    Way::Tunnel(Box::new(over_tls(config, tunnel)))
                }
            }
        } else {
            Way::Plain(tcp)
        };
        Ok(Self {
            way,
            clock: clock.clone(),
            connected: Arc::default(),
        })
    }

    /// Turns true with the connection: from then on something may have been read.
    pub(super) fn connected(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.connected)
    }
}

/// HTTP/1.1 alone: one request to a server that is asked twice a day.
fn over_tls<C>(config: rustls::ClientConfig, connector: C) -> HttpsConnector<C> {
    HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .wrap_connector(connector)
}

impl Way {
    async fn dial(self, url: Uri) -> Result<Stream, Failed> {
        Ok(match self {
            Self::Plain(mut tcp) => {
                MaybeHttpsStream::Http(MaybeHttpsStream::Http(tcp.call(url).await?))
            }
            Self::Tls(mut tls) => MaybeHttpsStream::Http(tls.call(url).await?),
            Self::Tunnel(mut tunnel) => tunnel.call(url).await?,
        })
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Failed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let Self {
            way,
            clock,
            connected,
        } = self.clone();
        Box::pin(async move {
            let Some(stream) = clock.within(CONNECT, way.dial(url)).await else {
                let why = format!("no connection within {} s", CONNECT.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why).into());
            };
            let stream = stream?;
            connected.store(true, Ordering::Release);
            Ok(stream)
        })
    }
}

/// Resolves a name to those of its addresses that are allowed. A URL that holds an address does not come here, and was
/// looked at before.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    pub(super) allowed: Allowed,
    pub(super) names: Names,
}

/// Who knows the addresses of a name.
#[derive(Clone, Default)]
pub(super) enum Names {
    /// The system.
    #[default]
    System,
    /// A test, whose names change theirs.
    #[cfg(test)]
    Told(Arc<Told>),
}

#[cfg(test)]
type Told = dyn Fn(&str) -> Vec<std::net::IpAddr> + Send + Sync;

impl Names {
    async fn look_up(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(lookup_host((name, 0)).await?.collect()),
            #[cfg(test)]
            Self::Told(addresses) => {
                let addresses = addresses(name).into_iter();
                Ok(addresses.map(|address| (address, 0).into()).collect())
            }
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { allowed, names } = self.clone();
        Box::pin(async move {
            let found = names.look_up(name.as_str()).await?;
            let kept: Vec<SocketAddr> = found
                .iter()
                .filter(|address| allowed.address(address.ip()))
                .copied()
                .collect();
            if kept.is_empty() && !found.is_empty() {
                return Err(NotAllowed(not_allowed(name.as_str())).into());
            }
            Ok(kept.into_iter())
        })
    }
}
