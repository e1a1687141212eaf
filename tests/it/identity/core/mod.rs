//! No crossing, on the core in this process: many programs at once, interleaved as the runtime pleases, a million steps.
//!
//! What stands between the sockets and the servers is put together as the daemon does it, over a store in memory.

mod program;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use janus::account::Choices;
use janus::account::login::{self, Logins};
use janus::authn::Authn;
use janus::binding::{Binding, Scope};
use janus::config::{self, Environment};
use janus::credential::{self, Clock};
use janus::gateway::Gateway;
use janus::model::Settings;
use janus::protocol::{
    Body, ClientFacts, Envelope, Events, Json, Object, Outcome, Request, Revision,
};
use janus::store::{InstallationKey, Store};
use janus::upstream::Upstream;
use janus::vault::Vault;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Random;
use super::actor::{Actor, modern};
use super::model::SERVERS;
use super::world::{Keys, World};
use crate::support::{Era, PATIENCE, scale};

use Era::{Legacy, Modern};

/// Programs at once, each with a key of its own, so that what one chooses is nobody else's.
const PROGRAMS: usize = 16;
/// The steps of one program in one history.
const STEPS: usize = 1250;
/// How many histories there are at full size: a million steps.
const HISTORIES: usize = 50;

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
        // How often somebody is out of reach depends on the machine; that enough of it was answered does not.
        assert!(
            answers > PROGRAMS * STEPS / 4,
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
        let ground = credential::Ground::new(
            &settings,
            Vault::new(&store, &settings.vault, kept.vault, kept.secrets),
            Clock::default(),
            (tasks.clone(), stopping.clone()),
        );
        let grants = ground.grants.clone();
        let upstream = Upstream::new(
            &settings,
            &store,
            kept.listings,
            kept.eras,
            ground,
            stopping.clone(),
        );
        let (logins, _) = Logins::new(login::Parts {
            grants,
            upstream: upstream.clone(),
            store: store.clone(),
            port: None,
            pages: None,
            tasks: tasks.clone(),
            stopping: stopping.clone(),
        });
        let gateway = Gateway::new(
            &settings,
            upstream.clone(),
            Arc::new(Choices::new(store.clone(), kept.choices)),
            logins,
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

    /// The response to a request of this program.
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
            holder: None,
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
