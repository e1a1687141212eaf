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
use tower_service::Service;

use super::line::{Line, Lines, Tcp};
use crate::dial::{said, through, tls};
use crate::model::{HttpEndpoint, ProxySettings};

/// Name, connection, tunnel and TLS together. A server that takes longer is not there; the kernel alone would try for
/// two minutes.
const CONNECT: Duration = Duration::from_secs(10);
/// A router that forgot the connection is noticed by this and not by the next call: what answers nothing for so long is
/// asked, and then so often again.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const ASK_AGAIN: (Duration, u32) = (Duration::from_secs(5), 3);
/// What was sent and not acknowledged for so long will not be: the kernel alone would try for a quarter of an hour.
const UNACKNOWLEDGED: Duration = Duration::from_secs(45);

/// Makes connections to one server.
#[derive(Debug, Clone)]
pub(super) struct Connector(Way);

#[derive(Debug, Clone)]
enum Way {
    Plain(Tcp),
    Tls(HttpsConnector<Tcp>),
    /// TLS to the server, through a tunnel, through a proxy that may itself be reached by TLS.
    Tunnel(Box<HttpsConnector<Tunnel<HttpsConnector<Tcp>>>>),
}

type Stream = MaybeHttpsStream<MaybeHttpsStream<Line>>;

/// No connection could be made, and why, for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct CannotConnect(pub(super) String);

impl Connector {
    /// The way to the server of this endpoint.
    pub(super) fn new(
        endpoint: &HttpEndpoint,
        proxy: &ProxySettings,
        lines: &Lines,
    ) -> Result<Self, String> {
        let tcp = || tcp(lines.clone());
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

fn tcp(lines: Lines) -> Tcp {
    let mut connector = HttpConnector::new();
    // Without it a relay was seen at 44 ms per call: Nagle against delayed acknowledgements.
    connector.set_nodelay(true);
    connector.set_keepalive(Some(KEEP_ALIVE));
    let (pause, times) = ASK_AGAIN;
    connector.set_keepalive_interval(Some(pause));
    connector.set_keepalive_retries(Some(times));
    connector.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    connector.enforce_http(false);
    Tcp { connector, lines }
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
