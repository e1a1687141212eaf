//! A scripted server: it does what the case says that a request is about, writes every byte itself, and keeps every byte
//! it was sent. Over a pipe it is a shell that hands its input and output to the test.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use futures_util::{Stream, StreamExt as _, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::case::{Case, Step, Values, subject};
use super::listing::own_answer;
use super::text::{Members, one_line};
use crate::support::{Era, PATIENCE};

/// How the server is reached, and how it puts a lone response over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pipe,
    /// Lone responses are plain JSON.
    HttpJson,
    /// Lone responses are events too.
    HttpEvents,
}

/// A server in a thread of its own.
#[derive(Debug)]
pub(super) struct Server {
    kind: Kind,
    era: Era,
    port: u16,
    heard: Receiver<String>,
    stop: CancellationToken,
}

impl Server {
    pub(super) fn start(kind: Kind, era: Era, cases: &[Case]) -> Self {
        let (sender, heard) = channel();
        let of_name = |case: &Case| (case.name.clone(), case.clone());
        let shared = Arc::new(Shared {
            kind,
            era,
            cases: cases.iter().map(of_name).collect(),
            heard: sender,
            questions: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(stopped.run_until_cancelled(serve(listener, shared)));
        });
        Self {
            kind,
            era,
            port,
            heard,
            stop,
        }
    }

    /// Its line in the configuration of Janus.
    pub(super) fn configuration(&self) -> String {
        let (port, era) = (self.port, self.era.as_str());
        match self.kind {
            // `$$` is a dollar sign in the configuration. What copies the answers ends with what copies the requests.
            Kind::Pipe => format!(
                "raw: {{ command: [bash, -c, 'exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3 & cat >&3; kill $$!'], era: {era} }}"
            ),
            Kind::HttpJson | Kind::HttpEvents => {
                format!("raw: {{ url: \"http://127.0.0.1:{port}/mcp\", era: {era} }}")
            }
        }
    }

    /// The next message of a client that reached it. What a call makes Janus send is there before the call ends.
    pub(super) fn next(&self) -> Option<String> {
        self.heard.try_recv().ok()
    }

    /// The next message of a client, which may be on its way.
    pub(super) fn wait(&self) -> String {
        let next = self.heard.recv_timeout(PATIENCE);
        next.expect("a message reaches the server")
    }

    /// What reached it beyond what was asked for.
    pub(super) fn rest(&self) -> Vec<String> {
        self.heard.try_iter().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[derive(Debug)]
struct Shared {
    kind: Kind,
    era: Era,
    cases: BTreeMap<String, Case>,
    heard: Sender<String>,
    /// Open questions, by their ids as they are written.
    questions: Mutex<BTreeMap<String, oneshot::Sender<()>>>,
}

type Messages = Pin<Box<dyn Stream<Item = String> + Send>>;

/// What a message is answered with.
enum Reaction {
    /// Nothing.
    Taken,
    /// One response.
    Response(String),
    /// Several messages, as time goes.
    Messages(Messages),
}

impl Shared {
    fn react(self: &Arc<Self>, text: &str) -> Reaction {
        let message = Members::of(text);
        let Some(id) = message.get("id") else {
            if !text.contains("notifications/initialized")
                && !text.contains("notifications/cancelled")
            {
                self.heard.send(text.to_owned()).ok();
            }
            return Reaction::Taken;
        };
        if message.get("method").is_none() {
            self.heard.send(text.to_owned()).ok();
            if let Some(waiting) = self.questions.lock().unwrap().remove(id) {
                waiting.send(()).ok();
            }
            return Reaction::Taken;
        }
        if let Some(case) = self.cases.get(&subject(&message)) {
            self.heard.send(text.to_owned()).ok();
            return self.run(case, &message);
        }
        Reaction::Response(own_answer(self.era, &message, id, self.cases.values()))
    }

    fn run(self: &Arc<Self>, case: &Case, request: &Members) -> Reaction {
        let values = received(request);
        if let [Step::Say(response)] = &case.script[..] {
            return Reaction::Response(case.render(response, &values));
        }
        let playing = Playing {
            shared: Arc::clone(self),
            case: case.clone(),
            values,
            next: 0,
            asked: None,
        };
        Reaction::Messages(Box::pin(stream::unfold(playing, Playing::step)))
    }
}

/// The values of a request as the server got it.
pub(super) fn received(request: &Members) -> Values {
    let meta = request
        .get("params")
        .and_then(Members::try_of)
        .and_then(|params| Members::try_of(params.get("_meta")?));
    let token = meta.and_then(|meta| meta.get("progressToken").map(str::to_owned));
    Values {
        id: request.get("id").unwrap_or_default().to_owned(),
        token: token.unwrap_or_default(),
        state: "\"server's own\"".to_owned(),
        ..Values::default()
    }
}

/// A script under way.
struct Playing {
    shared: Arc<Shared>,
    case: Case,
    values: Values,
    next: usize,
    asked: Option<oneshot::Receiver<()>>,
}

impl Playing {
    async fn step(mut self) -> Option<(String, Self)> {
        if let Some(asked) = self.asked.take() {
            asked.await.ok()?;
        }
        let step = self.case.script.get(self.next)?;
        let text = match step {
            Step::Say(text) => self.case.render(text, &self.values),
            Step::Ask { id, question, .. } => {
                let (answered, asked) = oneshot::channel();
                let mut questions = self.shared.questions.lock().unwrap();
                questions.insert((*id).to_owned(), answered);
                self.asked = Some(asked);
                (*id).clone_into(&mut self.values.question);
                self.case.render(question, &self.values)
            }
        };
        self.next += 1;
        Some((text, self))
    }
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).unwrap();
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let shared = Arc::clone(&shared);
        if shared.kind == Kind::Pipe {
            connections.spawn(pipe(stream, shared));
        } else {
            connections.spawn(async move {
                let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
                let io = TokioIo::new(stream);
                // How a connection ends is seen where its answer is read.
                http1::Builder::new()
                    .serve_connection(io, service)
                    .await
                    .ok();
            });
        }
    }
}

async fn pipe(stream: TcpStream, shared: Arc<Shared>) {
    let (reader, mut writer) = stream.into_split();
    let (lines, mut queue) = mpsc::channel::<String>(64);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Some(line) = queue.recv().await {
            let line = format!("{}\n", one_line(&line));
            if writer.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let mut reader = BufReader::new(reader).lines();
    while let Ok(Some(line)) = reader.next_line().await {
        let lines = lines.clone();
        match shared.react(&line) {
            Reaction::Taken => {}
            Reaction::Response(text) => lines.send(text).await.unwrap(),
            Reaction::Messages(mut messages) => {
                tasks.spawn(async move {
                    while let Some(text) = messages.next().await {
                        lines.send(text).await.unwrap();
                    }
                });
            }
        }
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        return Ok(empty(StatusCode::METHOD_NOT_ALLOWED));
    }
    let body = body.collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    Ok(match shared.react(text) {
        Reaction::Taken => empty(StatusCode::ACCEPTED),
        Reaction::Response(text) if shared.kind == Kind::HttpJson => {
            let body = Full::new(Bytes::from(text)).boxed_unsync();
            typed("application/json", body)
        }
        Reaction::Response(text) => events(Box::pin(stream::iter([text]))),
        Reaction::Messages(messages) => events(messages),
    })
}

fn events(messages: Messages) -> Response<Body> {
    let frames = messages.map(|text| Ok(Frame::data(Bytes::from(event(&text)))));
    typed("text/event-stream", StreamBody::new(frames).boxed_unsync())
}

/// A message as an event: a line of data for each of its own.
fn event(text: &str) -> String {
    let lines = text.replace('\n', "\ndata: ");
    format!("event: message\ndata: {lines}\n\n")
}

fn typed(kind: &str, body: Body) -> Response<Body> {
    let response = Response::builder().header("content-type", kind);
    response.body(body).unwrap()
}

fn empty(status: StatusCode) -> Response<Body> {
    let body = Full::default().boxed_unsync();
    Response::builder().status(status).body(body).unwrap()
}
