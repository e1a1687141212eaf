//! The programs of one client, in front of the core.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use janus::authn::{Caller, Header, Peer};
use janus::binding::Entry;
use janus::model::ClientId;
use janus::store::{Change, SessionRecord};
use serde_json::json;

use super::super::Random;
use super::super::actor::{Actor, Way};
use super::super::history;
use super::super::model::{ALL, Came, Chosen, EVERYBODY, LOCKED, MIXED, VAULT};
use super::super::world::World;
use super::{CLIENTS, Core, Program, STEPS, facts};
use crate::support::{Era, PATIENCE};

use Era::{Legacy, Modern};

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

impl Core {
    /// Acts, at random, as programs of one client do.
    pub(super) async fn program(&self, number: usize, world: &World, mut random: Random) {
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
}
