//! The HTTP side of the demo's second server: rmcp's own service on a loopback port.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::StatusCode;
use http_body_util::{BodyExt, Empty};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dice::Dice;
use crate::cli::Failure;

type Service = StreamableHttpService<Dice, LocalSessionManager>;

/// Out of descriptors: what is open must close first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port that is bound.
#[derive(Debug)]
pub(super) struct Web {
    listener: TcpListener,
    pub(super) address: SocketAddr,
}

impl Web {
    pub(super) async fn bind() -> Result<Self, Failure> {
        let bound = async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = listener.local_addr()?;
            Ok::<_, std::io::Error>(Self { listener, address })
        };
        Ok(bound.await.context("the demo's server has no port")?)
    }

    /// Serves until `stop`; every connection is one of `tasks`.
    pub(super) async fn serve(self, tasks: TaskTracker, stop: CancellationToken) {
        let config = StreamableHttpServerConfig::default().with_cancellation_token(stop.clone());
        let service: Service = StreamableHttpService::new(|| Ok(Dice), Arc::default(), config);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let connection = connection(stream, service.clone());
                    tasks.spawn(stop.clone().run_until_cancelled_owned(connection));
                }
                Err(error) => {
                    tracing::warn!(%error, "the demo's server could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, service: Service) {
    let handler = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let service = service.clone();
        async move {
            if request.uri().path() == "/mcp" {
                return Ok::<_, Infallible>(service.handle(request).await);
            }
            let mut response = http::Response::new(Empty::new().boxed());
            *response.status_mut() = StatusCode::NOT_FOUND;
            Ok(response)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), handler);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection of the demo's server ended");
    }
}
