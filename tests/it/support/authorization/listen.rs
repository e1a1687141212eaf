//! A thread of its own for each fake server: a test that waits for a process blocks its runtime, and the server must
//! answer that process all the same.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::behaviour::{Outage, Said};

/// What is sent.
pub(super) type Body = BoxBody<Bytes, io::Error>;

/// What a fake server does with one request. An error cuts the connection.
pub(super) trait Serve: Send + Sync + 'static {
    /// Answers it.
    fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = io::Result<Response<Body>>> + Send;

    /// How the server is away now.
    fn outage(&self) -> watch::Receiver<Outage>;
}

/// A port that nobody else has, not served yet.
#[derive(Debug)]
pub(super) struct Port {
    listener: StdListener,
    pub(super) address: SocketAddr,
}

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Port {
    pub(super) fn new() -> Self {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// Serves it from now on.
    pub(super) fn run(self, server: Arc<impl Serve>) -> Running {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    never = listen(self, server) => match never {},
                }
            });
        });
        Running {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // It failed in its own words.
            thread.join().ok();
        }
    }
}

async fn listen(port: Port, server: Arc<impl Serve>) -> Infallible {
    let mut outage = server.outage();
    let mut listener = Some(TcpListener::from_std(port.listener).unwrap());
    let mut connections = JoinSet::new();
    loop {
        if *outage.borrow_and_update() == Outage::Refused {
            listener = None;
            connections.abort_all();
            // The sender is the server's own, which we hold.
            outage.changed().await.unwrap();
            continue;
        }
        if *outage.borrow() == Outage::Dropped {
            drop(listener.take());
            connections.abort_all();
            let full = full(port.address).await;
            outage.changed().await.unwrap();
            drop(full);
            continue;
        }
        let accepting = match &listener {
            Some(listener) => listener,
            None => listener.insert(TcpListener::bind(port.address).await.unwrap()),
        };
        tokio::select! {
            changed = outage.changed() => changed.unwrap(),
            accepted = accepting.accept() => {
                let (stream, _) = accepted.unwrap();
                stream.set_nodelay(true).unwrap();
                connections.spawn(connection(stream, Arc::clone(&server)));
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// A listener whose queue is full: the system drops whoever knocks.
async fn full(address: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(0).unwrap();
    let mut queue = Vec::new();
    // One that is let in on this machine is let in at once.
    let moment = Duration::from_millis(200);
    while let Ok(connected) = timeout(moment, TcpStream::connect(address)).await {
        queue.push(connected.unwrap());
    }
    (listener, queue)
}

async fn connection(stream: TcpStream, server: Arc<impl Serve>) {
    let service = service_fn(move |request| Arc::clone(&server).serve(request));
    // One that is cut is what the test wants.
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

impl Said {
    /// All of it.
    pub(super) fn whole(self) -> Response<Body> {
        let body = Full::new(Bytes::from(self.body.clone()));
        self.with(body.map_err(|never| match never {}).boxed())
    }

    /// Half of the body, and then the connection is cut.
    pub(super) fn torn(self) -> Response<Body> {
        let half = self.body.get(..self.body.len() / 2).unwrap_or_default();
        let half = Frame::data(Bytes::copy_from_slice(half));
        let frames = [Ok(half), Err(cut())];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        self.with(BodyExt::boxed(body))
    }

    fn with(self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in self.headers {
            let name: http::HeaderName = name.parse().unwrap();
            response.headers_mut().append(name, value.parse().unwrap());
        }
        response
    }
}

/// Ends a connection.
pub(super) fn cut() -> io::Error {
    io::Error::other("cut off")
}
