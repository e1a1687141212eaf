//! A server that does nothing by itself: every request arrives in the test, which answers it byte by byte.

use std::convert::Infallible;
use std::io;

use ::http::request::Parts;
use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

pub(in crate::upstream) struct Server {
    pub(in crate::upstream) url: String,
    arrivals: mpsc::Receiver<Arrival>,
    /// Owns the tasks of the server's connections.
    _tasks: TaskTracker,
}

/// A request that waits for the test to answer it. Dropped, it cuts the connection.
pub(in crate::upstream) struct Arrival {
    pub(in crate::upstream) head: Parts,
    pub(in crate::upstream) body: serde_json::Value,
    /// Which connection it came on.
    pub(in crate::upstream) connection: usize,
    reply: oneshot::Sender<Reply>,
}

/// The body of a response that the test writes as it likes.
pub(in crate::upstream) struct Writer(mpsc::Sender<Result<Frame<Bytes>, io::Error>>);

impl Server {
    pub(in crate::upstream) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// One that is reached there.
    pub(in crate::upstream) fn on(listener: TcpListener) -> Self {
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let (sender, arrivals) = mpsc::channel(64);
        let tasks = TaskTracker::new();
        let connections = tasks.clone();
        tasks.spawn(async move {
            let mut number = 0;
            while let Ok((socket, _)) = listener.accept().await {
                number += 1;
                let sender = sender.clone();
                connections.spawn(serve(TokioIo::new(socket), number, false, sender));
            }
        });
        Self {
            url,
            arrivals,
            _tasks: tasks,
        }
    }

    pub(in crate::upstream) fn of(
        url: String,
        arrivals: mpsc::Receiver<Arrival>,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            url,
            arrivals,
            _tasks: tasks,
        }
    }

    pub(in crate::upstream) async fn next(&mut self) -> Arrival {
        self.arrivals.recv().await.expect("the server runs")
    }

    pub(in crate::upstream) fn is_quiet(&mut self) -> bool {
        self.arrivals.try_recv().is_err()
    }
}

/// One connection.
pub(in crate::upstream) async fn serve(
    io: impl Read + Write + Unpin + Send + 'static,
    connection: usize,
    h2: bool,
    sender: mpsc::Sender<Arrival>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let sender = sender.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            let (reply, answer) = oneshot::channel();
            let arrival = Arrival {
                head,
                body: serde_json::from_slice(&body).unwrap_or_default(),
                connection,
                reply,
            };
            sender.send(arrival).await.map_err(io::Error::other)?;
            answer.await.map_err(io::Error::other)
        }
    });
    // A connection that the test cut ends with an error.
    if h2 {
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        drop(server.serve_connection(io, service).await);
    } else {
        let server = hyper::server::conn::http1::Builder::new();
        drop(server.serve_connection(io, service).await);
    }
}

impl Arrival {
    pub(in crate::upstream) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    pub(in crate::upstream) fn reply(self, status: u16, headers: &[(&str, &str)], body: &str) {
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        self.give(
            status,
            headers,
            body.map_err(|never: Infallible| match never {})
                .boxed_unsync(),
        );
    }

    pub(in crate::upstream) fn json(self, body: &str) {
        self.reply(200, &[("content-type", "application/json")], body);
    }

    pub(in crate::upstream) fn stream(self, headers: &[(&str, &str)]) -> Writer {
        let (sender, receiver) = mpsc::channel(1);
        let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
            Some((receiver.recv().await?, receiver))
        });
        self.give(200, headers, StreamBody::new(frames).boxed_unsync());
        Writer(sender)
    }

    pub(in crate::upstream) fn events(self) -> Writer {
        self.stream(&[("content-type", "text/event-stream; charset=utf-8")])
    }

    fn give(self, status: u16, headers: &[(&str, &str)], body: UnsyncBoxBody<Bytes, io::Error>) {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        // A client that has gone is no error of the script.
        drop(self.reply.send(response.body(body).unwrap()));
    }
}

impl Writer {
    pub(in crate::upstream) async fn write(&self, text: &str) {
        let frame = Frame::data(Bytes::copy_from_slice(text.as_bytes()));
        self.0.send(Ok(frame)).await.expect("the client reads");
    }

    /// Writes, and tells whether anybody was there to read it.
    pub(in crate::upstream) async fn try_write(&self, text: &str) -> bool {
        let frame = Frame::data(Bytes::copy_from_slice(text.as_bytes()));
        self.0.send(Ok(frame)).await.is_ok()
    }

    pub(in crate::upstream) async fn event(&self, message: &str) {
        self.write(&format!("data: {message}\n\n")).await;
    }

    pub(in crate::upstream) async fn cut(self) {
        let error = io::Error::other("cut by the test");
        self.0.send(Err(error)).await.expect("the client reads");
    }

    /// Waits until the client has closed its end.
    pub(in crate::upstream) async fn closed(&self) {
        self.0.closed().await;
    }
}
