//! An authorization server and the servers it protects, in the test's process: by the book, asserting everything a client
//! sends, until a test tells them to misbehave.
//!
//! What a correct client never sends is in [`AuthorizationServer::violations`], whatever it was answered; every secret the
//! server makes has [`CANARY`] in it. Nobody waits for a clock: a test moves the server's ([`AuthorizationServer::advance`])
//! or ends the tokens ([`AuthorizationServer::expire_all`]).
//!
//! ```ignore
//! let f = AuthorizationServer::start(Behaviour::default()).await;
//! let s = ProtectedServer::start(&f, Protection::default()).await;
//! // … janus login …, which gives a URL
//! let back = f.follow(&url).await;      // as a browser does, up to the redirect
//! land(&back).await;                    // and there
//! assert_eq!(f.violations(), [""; 0]);
//! ```

mod authorize;
mod behaviour;
mod clients;
mod grants;
mod hands;
mod listen;
mod metadata;
mod protected;
mod token;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::watch;

use super::http::Http;
use authorize::{Code, Device};
use grants::Families;
use listen::{Body, Port, Running, Serve, cut};

pub(crate) use behaviour::{
    Answer, Behaviour, Consent, Endpoint, Grace, Hold, Iss, MetadataAt, Outage, Params, Person,
    Registering, ResourceRule, Rotation, Said,
};
pub(crate) use clients::{ClientRecord, KeyKind, Proof};
pub(crate) use grants::CANARY;
pub(crate) use protected::{Presented, ProtectedServer, Protection, ResourceMetadataAt};

/// So many requests are kept; all are counted.
const KEPT: usize = 5_000;
/// Enough to understand what went wrong.
const VIOLATIONS: usize = 20;

/// The server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct AuthorizationServer {
    shared: Arc<Shared>,
    _running: Running,
}

/// What came to one of its endpoints.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Params,
    pub(crate) form: Params,
    /// Null where the body is none.
    pub(crate) json: Value,
    /// What it was answered; 0: nothing.
    pub(crate) status: u16,
}

#[derive(Debug)]
struct Shared {
    path: String,
    issuer: String,
    state: Mutex<State>,
    outage: watch::Sender<Outage>,
    holds: watch::Sender<BTreeMap<Endpoint, Hold>>,
    /// Counts by endpoint: all that came, and those that wait now.
    came: watch::Sender<BTreeMap<Endpoint, (usize, usize)>>,
}

#[derive(Debug)]
struct State {
    behaviour: Behaviour,
    started: Instant,
    /// How far the clock was moved.
    ahead: Duration,
    clients: BTreeMap<String, ClientRecord>,
    /// Client metadata documents by their URL.
    documents: BTreeMap<String, Value>,
    /// What may be asked for as `resource`; empty: anything.
    resources: BTreeSet<String>,
    families: Families,
    codes: BTreeMap<String, Code>,
    devices: BTreeMap<String, Device>,
    assertions: BTreeSet<String>,
    registered: usize,
    given: usize,
    refreshes: usize,
    revoked: Vec<String>,
    requests: VecDeque<Asked>,
    violations: Vec<String>,
    next: BTreeMap<Endpoint, VecDeque<Answer>>,
    always: BTreeMap<Endpoint, Answer>,
}

impl AuthorizationServer {
    /// Starts it on a free port.
    #[expect(clippy::unused_async, reason = "whoever starts a server waits for it")]
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let port = Port::new();
        let origin = format!("http://{}", port.address);
        let path = behaviour.path.clone();
        let started = Instant::now();
        let shared = Arc::new(Shared {
            issuer: format!("{origin}{path}"),
            path,
            state: Mutex::new(State::new(behaviour, started)),
            outage: watch::Sender::new(Outage::None),
            holds: watch::Sender::default(),
            came: watch::Sender::default(),
        });
        let running = port.run(Arc::clone(&shared));
        Self {
            shared,
            _running: running,
        }
    }

    /// Its identifier, byte for byte.
    pub(crate) fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The URL of one of its endpoints, for configurations that give it by hand.
    pub(crate) fn endpoint(&self, name: &str) -> String {
        format!("{}/oauth/{name}", self.shared.issuer)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

/// Opens a URL, and gives the address that it redirects to.
pub(crate) async fn follow(url: &str) -> String {
    let reply = open(url).await;
    let (status, to) = (reply.status, reply.header("location").to_owned());
    assert!(
        status.is_redirection() && !to.is_empty(),
        "{url} is answered {status}: {}",
        reply.text().await
    );
    to
}

/// Opens a URL where the browser ends: its status and what is on the page.
pub(crate) async fn land(url: &str) -> (StatusCode, String) {
    let reply = open(url).await;
    (reply.status, reply.text().await)
}

async fn open(url: &str) -> super::http::Reply {
    let parsed = url::Url::parse(url).unwrap();
    let mut target = parsed.path().to_owned();
    if let Some(query) = parsed.query() {
        target.push('?');
        target.push_str(query);
    }
    let request = Request::get(target).header("accept", "text/html");
    Http::tcp(url)
        .send(request.body(String::new()).unwrap())
        .await
}

impl State {
    fn new(behaviour: Behaviour, started: Instant) -> Self {
        Self {
            behaviour,
            started,
            ahead: Duration::ZERO,
            clients: BTreeMap::new(),
            documents: BTreeMap::new(),
            resources: BTreeSet::new(),
            families: Families::new(),
            codes: BTreeMap::new(),
            devices: BTreeMap::new(),
            assertions: BTreeSet::new(),
            registered: 0,
            given: 0,
            refreshes: 0,
            revoked: Vec::new(),
            requests: VecDeque::new(),
            violations: Vec::new(),
            next: BTreeMap::new(),
            always: BTreeMap::new(),
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed() + self.ahead
    }

    fn violation(&mut self, what: String) {
        if self.violations.len() < VIOLATIONS {
            self.violations.push(what);
        }
    }

    fn keep(&mut self, asked: Asked) {
        if self.requests.len() == KEPT {
            self.requests.pop_front();
        }
        self.requests.push_back(asked);
    }

    fn answer_to(&mut self, endpoint: Endpoint) -> Option<Answer> {
        let next = self.next.get_mut(&endpoint).and_then(VecDeque::pop_front);
        next.or_else(|| self.always.get(&endpoint).cloned())
    }
}

impl Serve for Shared {
    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let mut asked = self.read(request).await?;
        let endpoint = asked.endpoint;
        // Before it is counted: whoever waits for the count may end the outage.
        let mut changes = self.outage.subscribe();
        let outage = changes.wait_for(|now| *now != Outage::Slow).await;
        let outage = outage.map_or(Outage::None, |now| *now);
        self.count(endpoint, |(all, _)| *all += 1);
        let away = match outage {
            Outage::None | Outage::Slow => None,
            Outage::Unavailable => Some(Said::empty(503)),
            Outage::TooMany(seconds) => {
                Some(Said::empty(429).header("retry-after", &seconds.to_string()))
            }
            Outage::BlackHole => std::future::pending().await,
            // This connection is from before.
            Outage::Refused | Outage::Dropped => return Err(cut()),
        };
        if let Some(said) = away {
            asked.status = said.status;
            self.state.lock().unwrap().keep(asked);
            return Ok(said.whole());
        }
        self.wait(endpoint, Hold::Before).await;
        let (said, how) = {
            let mut state = self.state.lock().unwrap();
            let how = state.answer_to(endpoint);
            let said = match &how {
                Some(Answer::Instead(said)) => said.clone(),
                Some(Answer::Cut) => Said::empty(0),
                _ => self.handle(&mut state, &asked),
            };
            let said = match &how {
                Some(Answer::Shaped(shape)) => shape(token::read(&said)),
                _ => said,
            };
            let lost = matches!(how, Some(Answer::Lost | Answer::Cut));
            asked.status = if lost { 0 } else { said.status };
            state.keep(asked);
            (said, how)
        };
        self.wait(endpoint, Hold::After).await;
        match how {
            Some(Answer::Lost | Answer::Cut) => Err(cut()),
            Some(Answer::Torn) => Ok(said.torn()),
            _ => Ok(said.whole()),
        }
    }

    fn outage(&self) -> watch::Receiver<Outage> {
        self.outage.subscribe()
    }
}

impl Shared {
    async fn read(&self, request: Request<Incoming>) -> io::Result<Asked> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        let path = head.uri.path().to_owned();
        let mut asked = Asked {
            endpoint: self.place(&path),
            method: head.method.to_string(),
            path,
            headers: head.headers,
            query: Params::read(head.uri.query().unwrap_or_default()),
            form: Params::default(),
            json: serde_json::from_str(&body).unwrap_or_default(),
            status: 0,
        };
        if asked.json.is_null() {
            asked.form = Params::read(&body);
        }
        Ok(asked)
    }

    fn place(&self, path: &str) -> Endpoint {
        if path.contains("/.well-known/") {
            return Endpoint::Metadata;
        }
        let own = path.strip_prefix(&self.path).unwrap_or_default();
        match own.strip_prefix("/oauth/").unwrap_or_default() {
            "register" => Endpoint::Register,
            "authorize" => Endpoint::Authorize,
            "token" => Endpoint::Token,
            "revoke" => Endpoint::Revoke,
            "userinfo" => Endpoint::UserInfo,
            "device" => Endpoint::Device,
            other if other.starts_with("register/") => Endpoint::Manage,
            _ => Endpoint::Unknown,
        }
    }

    fn handle(&self, state: &mut State, asked: &Asked) -> Said {
        for header in ["cookie", "proxy-authorization"] {
            if asked.headers.contains_key(header) && asked.endpoint != Endpoint::Authorize {
                state.violation(format!("{header} to {}", asked.path));
            }
        }
        match asked.endpoint {
            Endpoint::Metadata => self
                .metadata(state, &asked.path)
                .unwrap_or_else(|| Said::empty(404)),
            Endpoint::Register => self.register(state, asked),
            Endpoint::Manage => {
                let id = asked.path.rsplit('/').next().unwrap_or_default();
                Self::manage(state, asked, id)
            }
            Endpoint::Authorize => self.authorize(state, asked),
            Endpoint::Token => self.token(state, asked),
            Endpoint::Revoke => self.revoke(state, asked),
            Endpoint::UserInfo => Self::userinfo(state, asked),
            Endpoint::Device => self.device(state, asked),
            Endpoint::Unknown => Said::empty(404),
        }
    }

    async fn wait(&self, endpoint: Endpoint, when: Hold) {
        let mut holds = self.holds.subscribe();
        if holds.borrow().get(&endpoint) != Some(&when) {
            return;
        }
        self.count(endpoint, |(_, held)| *held += 1);
        // The sender is our own.
        drop(
            holds
                .wait_for(|holds| holds.get(&endpoint) != Some(&when))
                .await,
        );
        self.count(endpoint, |(_, held)| *held -= 1);
    }

    fn count(&self, endpoint: Endpoint, change: impl FnOnce(&mut (usize, usize))) {
        self.came
            .send_modify(|came| change(came.entry(endpoint).or_default()));
    }
}

impl Asked {
    fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization")?.to_str().ok()
    }

    fn bearer(&self) -> Option<&str> {
        self.authorization()?.strip_prefix("Bearer ")
    }

    fn content_type(&self) -> &str {
        let given = self.headers.get("content-type");
        let given = given.and_then(|given| given.to_str().ok());
        given.unwrap_or_default()
    }
}
