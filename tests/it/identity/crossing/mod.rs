//! No crossing, on the running daemon: fifty accounts, many programs, and everything that can happen to connections.

mod breaking;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Random;
use super::actor::{Actor, Door, Way};
use super::history::{self, Call};
use super::model::{Came, Chosen};
use super::ways::{TOOLS, WITH_KEYS, WITHOUT_KEYS};
use super::world::{Keys, World};
use crate::support::{Era, Home, Janus, scale};

/// The steps of one history.
const STEPS: usize = 200;
/// How many of them there are at full size: ten thousand steps.
const HISTORIES: usize = 50;
/// Calls at once, in a step that makes several.
const BURST: usize = 8;
/// What happens, and what is known of it.
struct History {
    random: Random,
    world: World,
    door: Option<Door>,
    actors: Vec<Actor>,
    chosen: Chosen,
    /// Accounts whose connection was broken, until they answer again.
    disturbed: BTreeSet<String>,
    answers: usize,
}

#[tokio::test]
async fn no_call_crosses_over_to_another_account_whatever_happens() {
    let mut random = Random::seeded("crossing");
    let histories = scale(HISTORIES);
    let mut answers = 0;
    for number in 0..histories {
        let keys = if number % 2 == 0 {
            Keys::Required
        } else {
            Keys::None
        };
        let mut history = History::begin(random.fork(), keys).await;
        let mut done = 0;
        while done < STEPS {
            done += history.step().await;
        }
        answers += history.end().await;
    }
    // How many calls a history makes is chance, and how often somebody is out of reach depends on the machine; that
    // enough was answered in all does not.
    assert!(
        answers > histories * STEPS / 4,
        "{answers} answers in {histories} histories"
    );
}

impl History {
    async fn begin(random: Random, keys: Keys) -> Self {
        let world = World::start(5).await;
        let home = Home::with(&world.config(keys, &[]).to_string());
        let door = Door::open(Janus::start_in(home, |_| {}), keys).await;
        let ways = if keys == Keys::Required {
            &WITH_KEYS[..]
        } else {
            &WITHOUT_KEYS[..]
        };
        let mut history = Self {
            random,
            world,
            door: None,
            actors: ways.iter().copied().map(Actor::new).collect(),
            chosen: Chosen::default(),
            disturbed: BTreeSet::new(),
            answers: 0,
        };
        door.settle(&history.actors[0].way, TOOLS).await;
        history.door = Some(door);
        for at in 0..history.actors.len() {
            history.open(at).await;
        }
        history
    }

    fn door(&self) -> &Door {
        self.door.as_ref().expect("it runs")
    }

    /// Opens a session, where the program has one.
    async fn open(&mut self, at: usize) {
        if self.actors[at].is_legacy() {
            let session = self.door().initialize(&self.actors[at].way).await;
            self.actors[at].begin(session);
        }
    }

    /// One step, or several at once; gives how many.
    async fn step(&mut self) -> usize {
        let at = self.random.below(self.actors.len());
        match self.random.below(100) {
            0..60 => self.calls(&[at]).await,
            60..66 => {
                let all: Vec<usize> = (0..BURST)
                    .map(|_| self.random.below(self.actors.len()))
                    .collect();
                return self.burst(&all).await;
            }
            66..80 => self.switch(at).await,
            80..84 => self.whoami(at).await,
            84..88 => self.replay(at).await,
            88..91 => self.renew(at).await,
            91..94 => self.cut().await,
            94..97 => self.forget(),
            97..98 => self.die().await,
            _ => self.restart(at).await,
        }
        1
    }

    async fn burst(&mut self, actors: &[usize]) -> usize {
        self.calls(actors).await;
        actors.len()
    }

    /// Calls at once: no choice changes meanwhile.
    async fn calls(&mut self, actors: &[usize]) {
        let mut calls = Vec::new();
        for at in actors {
            calls.push((
                *at,
                history::call(&mut self.random, &self.actors[*at], &self.chosen),
            ));
        }
        let asked = calls
            .iter()
            .map(|(at, call)| self.ask(*at, call.method, call.params.clone()));
        let responses = join_all(asked).await;
        let mut answered = Vec::new();
        for ((at, call), response) in calls.iter().zip(responses) {
            if self.judge(*at, call, &response.expect("an answer")) == Came::Answer {
                answered.push(call.expected.told().to_owned());
            }
        }
        // Not before all of them are judged: another may have taken a connection that was broken.
        for account in answered {
            self.disturbed.remove(&account);
        }
    }

    async fn ask(&self, at: usize, method: &str, params: Value) -> Option<Value> {
        let actor = &self.actors[at];
        let asked = self
            .door()
            .ask(&actor.way, actor.session.as_deref(), method, params);
        Some(asked.await?.message)
    }

    fn judge(&mut self, at: usize, call: &Call, response: &Value) -> Came {
        let actor = &self.actors[at];
        let came = call.expected.judge(response);
        let came = came.unwrap_or_else(|wrong| panic!("{actor:?}\n{call:?}\n{wrong}"));
        match came {
            Came::Refusal => {}
            Came::Answer => self.answers += 1,
            Came::Unavailable => {
                let disturbed = self.disturbed.contains(call.expected.told());
                assert!(
                    disturbed,
                    "{actor:?}\n{call:?}\nnothing was broken: {response}"
                );
            }
        }
        came
    }

    async fn switch(&mut self, at: usize) {
        if self.actors[at].way.shown.is_some() {
            return;
        }
        let switch = history::switch(&mut self.random, &self.actors[at]);
        let response = self
            .ask(at, "tools/call", switch.params.clone())
            .await
            .expect("an answer");
        let came = switch.came(&response, &mut self.actors[at], &mut self.chosen);
        came.unwrap_or_else(|wrong| panic!("{:?}\n{wrong}", self.actors[at]));
    }

    async fn whoami(&mut self, at: usize) {
        if self.actors[at].way.shown.is_some() {
            return;
        }
        let params = json!({"name": "janus_whoami", "arguments": {}});
        let response = self.ask(at, "tools/call", params).await.expect("an answer");
        let said = history::whoami(&response, &self.actors[at], &self.chosen);
        said.unwrap_or_else(|wrong| panic!("{:?}\n{wrong}", self.actors[at]));
    }

    /// Somebody else presents a session: there is none, whatever is asked of it.
    async fn replay(&mut self, at: usize) {
        let Some(session) = self.actors[at].session.clone() else {
            return;
        };
        let (opener, thief) = (
            self.actors[at].way,
            self.actors[self.random.below(self.actors.len())].way,
        );
        let same = |way: &Way| (way.client, way.path, way.header, way.tcp);
        if thief.era == Era::Modern || same(&opener) == same(&thief) {
            return;
        }
        let params = json!({"name": "s0__who", "arguments": {"expect": "nobody"}});
        let heard = self
            .door()
            .ask(&thief, Some(&session), "tools/call", params)
            .await;
        let heard = heard.expect("an answer");
        assert_eq!(heard.status, 404, "{opener:?} {thief:?}: {}", heard.message);
        assert_eq!(
            self.door().delete(&thief, &session).await,
            404,
            "{opener:?} {thief:?}"
        );
    }

    /// The session ends, and is nobody's any more; another one begins and has chosen nothing.
    async fn renew(&mut self, at: usize) {
        let (way, session) = (self.actors[at].way, self.actors[at].session.clone());
        if let Some(session) = session
            && self.random.percent(70)
        {
            assert_eq!(self.door().delete(&way, &session).await, 200);
            let params = json!({"name": "s0__who", "arguments": {"expect": "nobody"}});
            let heard = self
                .door()
                .ask(&way, Some(&session), "tools/call", params)
                .await;
            assert_eq!(heard.expect("an answer").status, 404);
        }
        self.open(at).await;
    }
}
