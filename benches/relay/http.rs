//! What the upstream and the relay share: a listener on a free port, one line that says where it is, and an end when
//! the program that started them ends.

use std::{convert::Infallible, error::Error, os::fd::AsFd as _};

use bytes::{Buf as _, Bytes, buf::Chain};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream, unix::pipe},
};
use tokio_util::task::TaskTracker;

/// A message in two parts, of which the long one is shared and not copied.
pub(crate) type Text = Full<Chain<Bytes, Bytes>>;

pub(crate) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(crate) fn text(head: impl Into<Bytes>, tail: impl Into<Bytes>) -> Text {
    Full::new(head.into().chain(tail.into()))
}

pub(crate) fn json(head: impl Into<Bytes>, tail: impl Into<Bytes>) -> Response<Text> {
    let mut response = Response::new(text(head, tail));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

pub(crate) fn status(status: StatusCode) -> Response<Text> {
    let mut response = Response::new(text("", ""));
    *response.status_mut() = status;
    response
}

/// Serves every connection with `handle` until stdin closes.
pub(crate) async fn serve<H, R, B>(name: &str, handle: H) -> anyhow::Result<()>
where
    H: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    eprintln!("{name}: ready on http://{}/mcp", listener.local_addr()?);
    let connections = TaskTracker::new();
    let ended = stdin_closes();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                connections.spawn(serve_connection(accepted?.0, handle.clone()));
            }
            ended = &mut ended => return Ok(ended?),
        }
    }
}

async fn serve_connection<H, R, B>(stream: TcpStream, handle: H)
where
    H: Fn(Request<Incoming>) -> R,
    R: Future<Output = Response<B>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    stream
        .set_nodelay(true)
        .expect("a TCP stream has the option");
    let service = service_fn(|request| {
        let response = handle(request);
        async { Ok::<_, Infallible>(response.await) }
    });
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // A client that goes away in the middle is the client's to report.
    drop(served);
}

/// Reads without a thread, since a thread of its own would be measured too.
async fn stdin_closes() -> std::io::Result<()> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
    let mut pipe = pipe::Receiver::from_owned_fd(stdin)?;
    while pipe.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}
