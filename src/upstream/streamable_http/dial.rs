//! How a connection to a server is made: directly, or for `https` through the tunnel of a proxy.
//!
//! Invariants:
//! - The way is chosen once for each account, from the settings; the environment is not read here.
//! - A plain `http` URL never goes through the proxy: it would read the credential.
//! - No text of an error holds a URL's query or user information.

use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::Uri;
use ::http::uri::Scheme;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::dial::{said, through, tls};
use crate::model::{HttpEndpoint, ProxySettings};

/// Name, connection, tunnel and TLS together. A server that takes longer is not there; the kernel alone would try for
/// two minutes.
const CONNECT: Duration = Duration::from_secs(10);
/// A laptop that slept, or a router that forgot the connection, is noticed by this and not by the next call.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Makes connections to one server.
#[derive(Debug, Clone)]
pub(super) struct Connector(Way);

#[derive(Debug, Clone)]
enum Way {
    Plain(HttpConnector),
    Tls(HttpsConnector<HttpConnector>),
    /// TLS to the server, through a tunnel, through a proxy that may itself be reached by TLS.
    Tunnel(Box<HttpsConnector<Tunnel<HttpsConnector<HttpConnector>>>>),
}

type Stream = MaybeHttpsStream<MaybeHttpsStream<TokioIo<TcpStream>>>;

/// No connection could be made, and why, for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct CannotConnect(pub(super) String);

impl Connector {
    /// The way to the server of this endpoint.
    pub(super) fn new(endpoint: &HttpEndpoint, proxy: &ProxySettings) -> Result<Self, String> {
        if endpoint.url.scheme() != Some(&Scheme::HTTPS) {
            return Ok(Self(Way::Plain(tcp())));
        }
        let config = tls::config(endpoint.ca.as_deref())?;
        let way = match through(&endpoint.url, proxy)? {
            None => Way::Tls(with_alpn(config, tcp())),
            Some(intercept) => {
                // CONNECT is spoken in HTTP/1.1, so nothing else is offered to the proxy.
                let to_proxy = HttpsConnectorBuilder::new()
                    .with_tls_config(config.clone())
                    .https_or_http()
                    .enable_http1()
                    .wrap_connector(tcp());
                let mut tunnel = Tunnel::new(intercept.uri().clone(), to_proxy);
                if let Some(auth) = intercept.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                Way::Tunnel(Box::new(with_alpn(config, tunnel)))
            }
        };
        Ok(Self(way))
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    // Without it a relay was seen at 44 ms per call: Nagle against delayed acknowledgements.
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEP_ALIVE));
    tcp.enforce_http(false);
    tcp
}

fn with_alpn<C>(config: rustls::ClientConfig, connector: C) -> HttpsConnector<C> {
    HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .enable_http2()
        .wrap_connector(connector)
}

impl Way {
    async fn dial(self, url: Uri) -> Result<Stream, Box<dyn StdError + Send + Sync>> {
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
    type Error = CannotConnect;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, CannotConnect>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let way = self.0.clone();
        Box::pin(async move {
            let place = url.authority().map(ToString::to_string).unwrap_or_default();
            let what = match &way {
                Way::Tunnel(_) => format!("{place} through the proxy"),
                Way::Plain(_) | Way::Tls(_) => place,
            };
            match tokio::time::timeout(CONNECT, way.dial(url)).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(CannotConnect(format!("{what}: {}", said(&*error)))),
                Err(_) => Err(CannotConnect(format!(
                    "{what}: no connection within {} s",
                    CONNECT.as_secs()
                ))),
            }
        })
    }
}
