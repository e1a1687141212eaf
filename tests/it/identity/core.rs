//! No crossing, on the core in this process: many programs at once, interleaved as the runtime pleases, a million steps.
//!
//! What stands between the sockets and the servers is put together as the daemon does it, over a store in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use janus::account::Choices;
use janus::authn::{Authn, Caller, Header, Peer};
use janus::binding::{Binding, Entry, Scope};
use janus::config::{self, Environment};
use janus::gateway::Gateway;
use janus::model::{ClientId, Settings};
use janus::protocol::{
    Body, ClientFacts, Envelope, Events, Json, Object, Outcome, Request, Revision,
};
use janus::store::{Change, InstallationKey, SessionRecord, Store};
use janus::upstream::Upstream;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Random;
use super::actor::{Actor, Way, modern};
use super::history;
use super::model::{ALL, Came, Chosen, EVERYBODY, LOCKED, MIXED, SERVERS, VAULT};
use super::world::{Keys, World};
use crate::support::{Era, PATIENCE, scale};

use Era::{Legacy, Modern};

/// Programs at once, each with a key of its own, so that what one chooses is nobody else's.
const PROGRAMS: usize = 16;
/// The steps of one program in one history.
const STEPS: usize = 1250;
/// How many histories there are at full size: a million steps.
const HISTORIES: usize = 50;

/// How each program comes in; its client is its own.
const WAYS: [Way; 9] = [
    Way::new(None, "/mcp", Legacy, ALL),
    Way::new(None, "/mcp", Legacy, ALL),
    Way::new(None, "/mcp", Modern, ALL),
    Way::new(None, "/mcp/mixed", Legacy, MIXED),
    Way::new(None, "/mcp", Modern, MIXED).header("mixed"),
    Way::new(None, "/mcp/locked", Modern, LOCKED),
    Way::new(None, "/mcp/locked", Legacy, LOCKED),
    Way::new(None, "/mcp/@s0/cat", Legacy, ALL).shows(0, "cat"),
    Way::new(None, "/mcp/@s8/eve", Modern, ALL).shows(8, "eve"),
];

/// Two profiles that one program alone has: a choice for everybody there is its own, too.
const ALONE: [(usize, &str, Way); 2] = [
    (
        0,
        "two",
        Way::new(Some("two"), "/mcp/everybody", Legacy, EVERYBODY),
    ),
    (1, "tied", Way::new(Some("tied"), "/mcp", Modern, VAULT)),
];

/// Names that last as long as the test: a way in names its client for ever.
const CLIENTS: [&str; PROGRAMS] = [
    "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11", "c12", "c13", "c14",
    "c15",
];

/// Everything between the sockets and the servers.
struct Core {
    gateway: Gateway,
    upstream: Upstream,
    authn: Authn,
    binding: Binding,
    store: Store,
    tasks: TaskTracker,
    stopping: CancellationToken,
    sessions: AtomicUsize,
    answers: AtomicUsize,
    unavailable: AtomicUsize,
}

/// One program in front of it.
struct Program {
    actor: Actor,
    scope: Scope,
    facts: Arc<ClientFacts>,
}

#[tokio::test]
async fn no_call_crosses_over_however_many_programs_act_at_once() {
    let mut random = Random::seeded("core");
    for _ in 0..scale(HISTORIES) {
        let world = Arc::new(World::start(SERVERS).await);
        let core = Arc::new(Core::start(&world));
        let mut programs = JoinSet::new();
        for number in 0..PROGRAMS {
            let (core, world, random) = (Arc::clone(&core), Arc::clone(&world), random.fork());
            programs.spawn(async move { core.program(number, &world, random).await });
        }
        while let Some(ended) = programs.join_next().await {
            ended.unwrap();
        }
        core.stop().await;
        world.assert_no_crossing();
        let (answers, unavailable) = (&core.answers, &core.unavailable);
        let (answers, unavailable) = (
            answers.load(Ordering::Relaxed),
            unavailable.load(Ordering::Relaxed),
        );
        assert!(
            answers > 8 * unavailable,
            "{answers} answers, {unavailable} times unavailable"
        );
    }
}

impl Core {
    fn start(world: &World) -> Self {
        let settings = settings(world);
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        let (store, kept) = Store::in_memory().unwrap();
        let key = InstallationKey::ephemeral();
        let upstream = Upstream::new(&settings, tasks.clone(), stopping.clone());
        let gateway = Gateway::new(
            &settings.servers,
            upstream.clone(),
            Arc::new(Choices::new(store.clone(), kept.choices)),
            key.expose(),
            stopping.clone(),
        );
        let idle = settings.listen.session_idle;
        let authn = Authn::new(
            key.expose(),
            store.clone(),
            kept.keys,
            &settings.identity,
            idle,
        );
        upstream.start();
        Self {
            gateway,
            upstream,
            authn,
            binding: Binding::new(&settings.identity, &settings.servers),
            store,
            tasks,
            stopping,
            sessions: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
            unavailable: AtomicUsize::new(0),
        }
    }

    async fn stop(&self) {
        self.stopping.cancel();
        self.upstream.shutdown().await;
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
    }

    async fn program(&self, number: usize, world: &World, mut random: Random) {
        let mut programs = Vec::new();
        let own = WAYS.iter().map(|way| Way {
            client: Some(CLIENTS[number]),
            ..*way
        });
        let alone = ALONE
            .iter()
            .filter(|(of, ..)| *of == number)
            .map(|(_, _, way)| *way);
        for way in own.chain(alone) {
            programs.push(self.enter(way).await);
        }
        let mut chosen = Chosen::default();
        for _ in 0..STEPS {
            let at = random.below(programs.len());
            self.step(&mut random, world, &mut programs[at], &mut chosen)
                .await;
        }
    }

    /// A program with its key, its way and, in the legacy era, a session.
    async fn enter(&self, way: Way) -> Program {
        let client = ClientId::new(way.client.unwrap()).unwrap();
        let key = self.authn.add_key(&client).await.unwrap().into_text();
        let presented = format!("Bearer {key}");
        let header = Header::Once(presented.as_bytes());
        let caller: Caller = self
            .authn
            .caller(&Peer::from_stdio(None), header, Header::Missing)
            .unwrap();
        let entry = Entry {
            caller,
            path: way.path.into(),
            profile: way.header.map(Into::into),
        };
        let scope = self.binding.scope(&entry).unwrap();
        for account in scope.accounts() {
            self.upstream.settled(account, PATIENCE).await;
        }
        let mut program = Program {
            actor: Actor::new(way),
            scope,
            facts: facts(way.era, None),
        };
        self.begin(&mut program).await;
        program
    }

    async fn begin(&self, program: &mut Program) {
        if program.actor.is_legacy() {
            let number = self.sessions.fetch_add(1, Ordering::Relaxed);
            let session = format!("session-{number}");
            let now = SystemTime::now();
            let opened = Change::SessionOpened(SessionRecord {
                id: session.as_str().into(),
                client: program.scope.client().cloned(),
                facts: "{}".to_owned(),
                opened: now,
                used: now,
            });
            self.store.write(opened).await.unwrap();
            program.facts = facts(Legacy, Some(session.as_str().into()));
            program.actor.begin(session);
        }
    }

    async fn step(
        &self,
        random: &mut Random,
        world: &World,
        program: &mut Program,
        chosen: &mut Chosen,
    ) {
        let shown = program.actor.way.shown.is_some();
        match random.below(1000) {
            0..130 if !shown => {
                let switch = history::switch(random, &program.actor);
                let response = self.ask(program, "tools/call", switch.params.clone()).await;
                let came = switch.came(&response, &mut program.actor, chosen);
                came.unwrap_or_else(|wrong| panic!("{:?}\n{wrong}", program.actor));
            }
            130..150 if !shown => {
                let params = json!({"name": "janus_whoami"});
                let response = self.ask(program, "tools/call", params).await;
                let said = history::whoami(&response, &program.actor, chosen);
                said.unwrap_or_else(|wrong| panic!("{:?}\n{wrong}", program.actor));
            }
            150..160 => {
                if let Some(session) = &program.facts.session {
                    self.gateway.release(session);
                    self.store.note(Change::SessionEnded(Arc::clone(session)));
                }
                self.begin(program).await;
            }
            160..162 => random
                .pick(&world.remote.iter().collect::<Vec<_>>())
                .break_connections(),
            162..164 => random
                .pick(&world.remote.iter().collect::<Vec<_>>())
                .forget_sessions(),
            _ => {
                let call = history::call(random, &program.actor, chosen);
                let response = self.ask(program, call.method, call.params.clone()).await;
                let count = match call.expected.judge(&response) {
                    Err(wrong) => panic!("{:?}\n{call:?}\n{wrong}", program.actor),
                    Ok(Came::Refusal) => return,
                    Ok(Came::Answer) => &self.answers,
                    Ok(Came::Unavailable) => &self.unavailable,
                };
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn ask(&self, program: &Program, method: &str, mut params: Value) -> Value {
        if program.actor.way.era == Modern {
            modern(&mut params);
        }
        let text =
            json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let request = Request {
            message: Envelope::parse(text.into()).unwrap(),
            client: Arc::clone(&program.facts),
            param_headers: Vec::new(),
            over_http: false,
            log_level: None,
        };
        let (events, _nobody_listens) = Events::channel();
        let handled = self.gateway.handle(&program.scope, request, &events);
        let outcome = tokio::time::timeout(PATIENCE, handled)
            .await
            .expect("an outcome");
        response(outcome).await
    }
}

fn settings(world: &World) -> Settings {
    let clients: Vec<String> = CLIENTS.iter().map(|&client| client.to_owned()).collect();
    let text = world.config(Keys::Required, &clients).to_string();
    let environment = Environment::new([("HOME", "/nowhere")], 1000);
    let loaded = config::parse(
        &text,
        std::path::Path::new("/nowhere/janus.yaml"),
        &environment,
    );
    let settings = loaded.unwrap().settings;
    assert_eq!(settings.listen.session_idle, Duration::from_hours(24));
    settings
}

fn facts(era: Era, session: Option<Arc<str>>) -> Arc<ClientFacts> {
    Arc::new(ClientFacts {
        revision: if era == Legacy {
            Revision::V2025_11_25
        } else {
            Revision::LATEST_MODERN
        },
        capabilities: Object::empty(),
        info: None,
        session,
    })
}

/// The response that an edge would make of it.
async fn response(outcome: Outcome) -> Value {
    let id = Json::of(&1);
    let text = match outcome {
        Outcome::Result { result, .. } => Envelope::result_text(&id, &result),
        Outcome::Error(error) => error.text(Some(&id)),
        Outcome::Relayed(relayed) => match relayed.body {
            Body::Whole(text) => text,
            Body::Stream(mut stream) => {
                let mut text = Vec::new();
                while let Some(chunk) = stream.next().await {
                    text.extend_from_slice(&chunk.unwrap());
                }
                Json::parse(text.into()).unwrap()
            }
        },
    };
    text.read().unwrap()
}
