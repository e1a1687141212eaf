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

use super::http::{Http, within};
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

    /// Changes how it behaves.
    pub(crate) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.state().behaviour);
    }

    /// Who says yes from now on.
    pub(crate) fn log_in_as(&self, name: &str) {
        self.behave(|behaviour| behaviour.person = Person::of(name));
    }

    /// A client that a person registered.
    pub(crate) fn preregister(&self, id: &str, proof: Proof, redirect_uris: &[&str]) {
        let client = ClientRecord {
            id: id.to_owned(),
            proof,
            redirect_uris: redirect_uris.iter().map(|&uri| uri.to_owned()).collect(),
            secret_ends: None,
            management: None,
            dynamic: false,
            grants: None,
        };
        self.state().clients.insert(id.to_owned(), client);
    }

    /// A client metadata document, as if it had been read at its URL.
    pub(crate) fn metadata_document(&self, url: &str, document: Value) {
        self.state().documents.insert(url.to_owned(), document);
    }

    /// The clients that it knows.
    pub(crate) fn clients(&self) -> Vec<ClientRecord> {
        self.state().clients.values().cloned().collect()
    }

    /// Knows no client any more.
    pub(crate) fn forget_clients(&self) {
        self.state().clients.clear();
    }

    // ---- what becomes of requests ----

    /// What becomes of the next token request that has no answer yet.
    pub(crate) fn next_token_response(&self, answer: Answer) {
        self.next_answer(Endpoint::Token, answer);
    }

    /// What becomes of the next request to an endpoint that has no answer yet.
    pub(crate) fn next_answer(&self, endpoint: Endpoint, answer: Answer) {
        let mut state = self.state();
        state.next.entry(endpoint).or_default().push_back(answer);
    }

    /// What becomes of every request to an endpoint; `None`: they are as usual again.
    pub(crate) fn always(&self, endpoint: Endpoint, answer: Option<Answer>) {
        let mut state = self.state();
        match answer {
            Some(answer) => drop(state.always.insert(endpoint, answer)),
            None => drop(state.always.remove(&endpoint)),
        }
    }

    /// Requests to an endpoint wait from now on, until [`Self::release`].
    pub(crate) fn hold(&self, endpoint: Endpoint, when: Hold) {
        self.shared.holds.send_modify(|holds| {
            holds.insert(endpoint, when);
        });
    }

    /// Those that wait go on, and no more wait.
    pub(crate) fn release(&self, endpoint: Endpoint) {
        self.shared.holds.send_modify(|holds| {
            holds.remove(&endpoint);
        });
    }

    /// How the whole server is away from now on.
    pub(crate) fn outage(&self, outage: Outage) {
        self.shared.outage.send_replace(outage);
    }

    // ---- time and tokens ----

    /// Moves the server's clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.state().ahead += by;
    }

    /// Every access token ends.
    pub(crate) fn expire_all(&self) {
        self.state()
            .families
            .all()
            .for_each(grants::Family::end_access);
    }

    /// Every grant ends: a refresh is `invalid_grant`, and no access token is good.
    pub(crate) fn revoke_all(&self) {
        for family in self.state().families.all() {
            family.alive = false;
        }
    }

    /// Whose access token this is, if it is good now.
    pub(crate) fn owner(&self, token: &str) -> Option<Person> {
        let state = self.state();
        let family = state.families.valid(token, state.now());
        family.map(|family| family.person.clone())
    }

    // ---- the device flow ----

    /// The user codes that wait for a person.
    pub(crate) fn user_codes(&self) -> Vec<String> {
        let state = self.state();
        let waiting = state.devices.values();
        let waiting = waiting.filter(|device| device.decision.is_none());
        waiting.map(|device| device.user_code.clone()).collect()
    }

    /// A person types the code, and says yes as whoever logs in now, or no with an error.
    pub(crate) fn decide(&self, user_code: &str, refused: Option<&'static str>) {
        let mut state = self.state();
        let person = state.behaviour.person.clone();
        let mut devices = state.devices.values_mut();
        let device = devices.find(|device| device.user_code == user_code);
        let device = device.unwrap_or_else(|| panic!("no device shows {user_code}"));
        device.decision = Some(refused.map_or(Ok(person), Err));
    }

    // ---- what it saw ----

    /// The last requests to it, at most five thousand.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.state().requests.iter().cloned().collect()
    }

    /// Those to one endpoint.
    pub(crate) fn requests_to(&self, endpoint: Endpoint) -> Vec<Asked> {
        let mut requests = self.requests();
        requests.retain(|asked| asked.endpoint == endpoint);
        requests
    }

    /// Forgets them.
    pub(crate) fn forget_requests(&self) {
        self.state().requests.clear();
    }

    /// How many requests came to an endpoint.
    pub(crate) fn count(&self, endpoint: Endpoint) -> usize {
        self.shared
            .came
            .borrow()
            .get(&endpoint)
            .map_or(0, |(all, _)| *all)
    }

    /// How many requests came to all of them.
    pub(crate) fn count_all(&self) -> usize {
        self.shared.came.borrow().values().map(|(all, _)| all).sum()
    }

    /// Waits until so many requests have come to an endpoint since the start.
    pub(crate) async fn came(&self, endpoint: Endpoint, count: usize) {
        let mut came = self.shared.came.subscribe();
        let enough =
            came.wait_for(|came| came.get(&endpoint).is_some_and(|(all, _)| *all >= count));
        drop(within("a request", enough).await);
    }

    /// Waits until so many requests to an endpoint are held.
    pub(crate) async fn held(&self, endpoint: Endpoint, count: usize) {
        let mut came = self.shared.came.subscribe();
        let enough =
            came.wait_for(|came| came.get(&endpoint).is_some_and(|(_, held)| *held >= count));
        drop(within("a request that waits", enough).await);
    }

    /// How many refreshes succeeded, as the server sees it.
    pub(crate) fn refreshes(&self) -> usize {
        self.state().refreshes
    }

    /// How often a refresh token came that had been used, and a grant ended of it.
    pub(crate) fn reuse(&self) -> usize {
        self.state().families.reuse
    }

    /// How often that was forgiven.
    pub(crate) fn forgiven(&self) -> usize {
        self.state().families.forgiven
    }

    /// The tokens that were revoked by their client.
    pub(crate) fn revoked(&self) -> Vec<String> {
        self.state().revoked.clone()
    }

    /// What a correct client never sends.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    // ---- the browser ----

    /// Acts as a browser with somebody in front of it: opens the URL and gives the address it is sent to.
    pub(crate) async fn follow(&self, url: &str) -> String {
        follow(url).await
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
        let outage = *self.outage.borrow();
        self.count(endpoint, |(all, _)| *all += 1);
        let away = match outage {
            Outage::None => None,
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
