//! The clients: each has a connection and a legacy session, asks, waits for the answer, verifies it, asks again.
//!
//! A clock stands still while an answer is verified, so that latencies are those of the answer. The tasks of all
//! clients share this thread; what is measured runs elsewhere.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HOST},
};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use crate::{
    answers::{self, MODERN, Shape, VERSION},
    ground::Way,
    http::{JSON, SESSION, Text, text},
    process::Process,
    verify::{Expected, check},
};

/// No answer takes this long, also under valgrind: what does is lost.
const LOST: Duration = Duration::from_secs(30);

/// What the clients ask, again and again.
#[derive(Debug)]
pub(crate) struct Job {
    /// The request after its id.
    tail: Bytes,
    expected: Expected,
    listed: &'static str,
    /// The method and the name, which a modern request repeats in its headers; `None` in the legacy era.
    modern: Option<(HeaderValue, HeaderValue)>,
}

impl Job {
    /// The same call as [`Self::echo`] in the modern era, through Janus.
    pub(crate) fn modern_echo(size: usize) -> anyhow::Result<Self> {
        let text = answers::echoed(size);
        let name = format!("{}echo", Way::Janus.prefix());
        let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
        let params = format!(r#"{{"name":"{name}","arguments":{{"text":{text}}},"_meta":{meta}}}"#);
        let content = Bytes::from(format!(r#"[{{"type":"text","text":{text}}}]"#));
        let expected = Expected::Content {
            content,
            structured: None,
        };
        let method = "tools/call";
        Ok(Self {
            modern: Some((HeaderValue::from_static(method), name.parse()?)),
            ..Self::request(Way::Janus, method, &params, expected)
        })
    }

    /// A call with `size` bytes in the request and in the answer.
    pub(crate) fn echo(way: Way, size: usize) -> Self {
        Self::text(way, "echo", size)
    }

    /// A call that the server takes 50 ms for.
    pub(crate) fn slow(way: Way) -> Self {
        Self::text(way, "slow", 1000)
    }

    fn text(way: Way, tool: &str, size: usize) -> Self {
        let text = answers::echoed(size);
        let content = Bytes::from(format!(r#"[{{"type":"text","text":{text}}}]"#));
        let expected = Expected::Content {
            content,
            structured: None,
        };
        Self::call(way, tool, &format!(r#"{{"text":{text}}}"#), expected)
    }

    /// A call that is answered with 1 MB.
    pub(crate) fn big(way: Way, shape: Shape) -> Self {
        let expected = Expected::Content {
            content: shape.content().into(),
            structured: shape.structured().map(Bytes::from),
        };
        Self::call(way, shape.tool(), "{}", expected)
    }

    fn call(way: Way, tool: &str, arguments: &str, expected: Expected) -> Self {
        let name = format!("{}{tool}", way.prefix());
        let params = format!(r#"{{"name":"{name}","arguments":{arguments}}}"#);
        Self::request(way, "tools/call", &params, expected)
    }

    /// The list of so many tools.
    pub(crate) fn list(way: Way, tools: usize) -> Self {
        let tools: BTreeMap<_, _> = answers::tools(tools)
            .into_iter()
            .map(|mut tool| {
                let name = tool["name"].as_str().unwrap_or_default().to_owned();
                (name, tool["inputSchema"].take())
            })
            .collect();
        Self::request(way, "tools/list", "{}", Expected::Tools(tools))
    }

    fn request(way: Way, method: &str, params: &str, expected: Expected) -> Self {
        let tail = format!(r#","method":"{method}","params":{params}}}"#);
        Self {
            tail: tail.into(),
            expected,
            listed: way.listed(),
            modern: None,
        }
    }
}

/// One connection with one session.
#[derive(Debug)]
pub(crate) struct Client {
    sender: SendRequest<Text>,
    /// Moves the bytes; ends with the client.
    _connection: JoinSet<()>,
    host: HeaderValue,
    session: Option<HeaderValue>,
    last_id: u64,
}

impl Client {
    /// Connects and opens a session.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let mut client = Self::connect(address).await?;
        client.initialize().await.context("no session")?;
        Ok(client)
    }

    /// Connects, and opens none: a client of the modern era.
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // What ends a connection too early is an error of the request on it.
            connection.await.ok();
        });
        let host = address.to_string().parse()?;
        Ok(Self {
            sender,
            _connection: driver,
            host,
            session: None,
            last_id: 0,
        })
    }

    async fn initialize(&mut self) -> anyhow::Result<()> {
        let params = json!({
            "protocolVersion": VERSION,
            "capabilities": {},
            "clientInfo": { "name": "bench", "version": "1" },
        });
        let initialize = Job::request(
            Way::Direct,
            "initialize",
            &params.to_string(),
            Expected::Anything,
        );
        self.ask(&initialize).await?;
        ensure!(
            self.session.is_some(),
            "`initialize` was answered without a session"
        );
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let (status, ..) = self.send(Method::POST, text(initialized, ""), None).await?;
        ensure!(
            status == StatusCode::ACCEPTED,
            "`initialized` was answered with {status}"
        );
        Ok(())
    }

    /// Asks, verifies the answer, and says how long it took to come.
    pub(crate) async fn ask(&mut self, job: &Job) -> anyhow::Result<Duration> {
        self.last_id += 1;
        let id = self.last_id;
        let start = Instant::now();
        let request = text(format!(r#"{{"jsonrpc":"2.0","id":{id}"#), job.tail.clone());
        let sent = self.send(Method::POST, request, job.modern.as_ref());
        let (status, is_stream, body) = sent.await?;
        let took = start.elapsed();
        ensure!(
            status == StatusCode::OK,
            "{status}: {}",
            String::from_utf8_lossy(&body)
        );
        check(&body, is_stream, id, &job.expected, job.listed)?;
        Ok(took)
    }

    /// Ends the session, and then the connection.
    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        if self.session.is_none() {
            return Ok(());
        }
        let (status, ..) = self.send(Method::DELETE, text("", ""), None).await?;
        ensure!(
            status.is_success(),
            "the end of a session was answered with {status}"
        );
        Ok(())
    }

    async fn send(
        &mut self,
        method: Method,
        body: Text,
        modern: Option<&(HeaderValue, HeaderValue)>,
    ) -> anyhow::Result<(StatusCode, bool, Bytes)> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = "/mcp".parse()?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
        if let Some(session) = &self.session {
            headers.insert(SESSION, session.clone());
            headers.insert("mcp-protocol-version", HeaderValue::from_static(VERSION));
        }
        if let Some((method, name)) = modern {
            headers.insert("mcp-protocol-version", HeaderValue::from_static(MODERN));
            headers.insert("mcp-method", method.clone());
            headers.insert("mcp-name", name.clone());
        }
        let answered = timeout(LOST, async {
            self.sender.ready().await?;
            let (parts, body) = self.sender.send_request(request).await?.into_parts();
            Ok::<_, hyper::Error>((parts, body.collect().await?.to_bytes()))
        });
        let (parts, body) = answered.await.context("no answer came")??;
        if let Some(session) = parts.headers.get(SESSION) {
            self.session = Some(session.clone());
        }
        let kind = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_stream = kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"));
        Ok((parts.status, is_stream, body))
    }
}

/// How long the clients go on: to the end of the time or of the calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) clients: usize,
    pub(crate) calls: u64,
    pub(crate) time: Duration,
}

/// What one slice showed.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) calls: u64,
    pub(crate) elapsed: Duration,
    pub(crate) processor: Duration,
    /// In ascending order.
    pub(crate) latencies: Vec<Duration>,
}

/// Opens the clients, lets them ask once, measures, and closes them.
pub(crate) async fn run(
    process: &Process,
    job: &Arc<Job>,
    slice: Slice,
) -> anyhow::Result<Measured> {
    let mut clients = open(process, Some(job), slice.clients).await?;
    let left = Arc::new(AtomicU64::new(slice.calls));
    let mut tasks = JoinSet::new();
    let before = process.processor_time()?;
    let start = Instant::now();
    for mut client in clients.drain(..) {
        let (job, left) = (Arc::clone(job), Arc::clone(&left));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while start.elapsed() < slice.time && take(&left) {
                latencies.push(client.ask(&job).await?);
            }
            anyhow::Ok((client, latencies))
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (client, of_client) = done??;
        latencies.extend(of_client);
        clients.push(client);
    }
    let elapsed = start.elapsed();
    let processor = process.processor_time()?.saturating_sub(before);
    close(clients).await?;
    latencies.sort_unstable();
    Ok(Measured {
        calls: latencies.len() as u64,
        elapsed,
        processor,
        latencies,
    })
}

fn take(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(1)
    })
    .is_ok()
}

/// Opens so many clients; each of them asks once where there is something to ask.
pub(crate) async fn open(
    process: &Process,
    job: Option<&Arc<Job>>,
    count: usize,
) -> anyhow::Result<Vec<Client>> {
    let address = process.address();
    let mut clients = Vec::with_capacity(count);
    let mut tasks = JoinSet::new();
    for opened in 0..count {
        // More at once would be refused by the listener's queue.
        if opened >= 64 {
            clients.push(tasks.join_next().await.context("64 are under way")???);
        }
        let job = job.cloned();
        tasks.spawn(async move {
            let mut client = Client::open(address).await?;
            if let Some(job) = job {
                client.ask(&job).await?;
            }
            anyhow::Ok(client)
        });
    }
    while let Some(client) = tasks.join_next().await {
        clients.push(client??);
    }
    Ok(clients)
}

/// Closes them all.
pub(crate) async fn close(clients: Vec<Client>) -> anyhow::Result<()> {
    let mut tasks: JoinSet<_> = clients.into_iter().map(Client::close).collect();
    while let Some(closed) = tasks.join_next().await {
        closed??;
    }
    Ok(())
}
