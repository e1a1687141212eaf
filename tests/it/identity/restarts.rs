//! What was acknowledged holds, whenever Janus is killed.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::Random;
use super::actor::{Door, Way};
use super::model::{ACCOUNTS, ALL, Expected, SERVERS, full};
use super::ways::TOOLS;
use super::world::{Keys, World};
use crate::support::{Era, Home, Janus, scale};

const FREE: Way = Way::new(Some("free"), "/mcp", Era::Legacy, ALL);
const OTHER: Way = Way::new(Some("other"), "/mcp", Era::Legacy, ALL);

/// How many sessions go on after a restart.
const SESSIONS: usize = 100;
/// How often Janus is killed while choices are made, at full size.
const KILLS: usize = 30;
/// Janus is killed after so many acknowledgements at most.
const MOST: usize = 60;

async fn open(world: &World) -> Door {
    let home = Home::with(&world.config(Keys::Required, &[]).to_string());
    let door = Door::open(Janus::start_in(home, |_| {}), Keys::Required).await;
    door.settle(&FREE, TOOLS).await;
    door
}

fn choice(server: usize, account: &str, scope: &str) -> Value {
    json!({"account": full(server, account), "scope": scope})
}

#[tokio::test]
async fn a_hundred_sessions_go_on_with_their_own_accounts_after_a_restart() {
    let mut random = Random::seeded("restart");
    let world = World::start(SERVERS).await;
    let door = open(&world).await;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let session = door.initialize(&FREE).await;
        let chosen: [&str; SERVERS] = std::array::from_fn(|_| random.pick(&ACCOUNTS));
        let choices = chosen.iter().enumerate().map(|(server, account)| {
            door.call(
                &FREE,
                Some(&session),
                "janus_use_account",
                choice(server, account, "session"),
            )
        });
        for (response, account) in join_all(choices).await.iter().zip(chosen) {
            let active = response["result"]["structuredContent"]["active"].as_object();
            let active = active.unwrap_or_else(|| panic!("{response}"));
            assert!(
                active.values().all(|active| active == account),
                "{response}"
            );
        }
        sessions.push((session, chosen));
    }
    let door = door.killed();
    for server in 0..SERVERS {
        let tool = format!("s{server}__who");
        let calls = sessions.iter().map(|(session, chosen)| {
            let arguments = json!({"expect": full(server, chosen[server])});
            door.call(&FREE, Some(session), &tool, arguments)
        });
        for (response, (_, chosen)) in join_all(calls).await.iter().zip(&sessions) {
            let expected = Expected::By(full(server, chosen[server]));
            assert_eq!(expected.judge(response).err(), None);
        }
    }
    door.end().await;
    world.assert_no_crossing();
}

/// Somebody who chooses again and again, until nobody answers.
struct Chooser {
    way: Way,
    scope: &'static str,
    session: String,
    server: usize,
    /// What was acknowledged last.
    held: Option<&'static str>,
    /// What was asked for and not acknowledged: it may hold or not.
    asked: Option<&'static str>,
}

#[tokio::test]
async fn every_acknowledged_choice_holds_whenever_janus_is_killed() {
    let mut random = Random::seeded("kills");
    let world = World::start(SERVERS).await;
    let mut door = open(&world).await;
    let mut choosers = Vec::new();
    for number in 0..8 {
        let way = if number % 2 == 0 { FREE } else { OTHER };
        choosers.push(Chooser {
            way,
            // Two of one client would overwrite each other's.
            scope: if number < 2 { "client" } else { "session" },
            session: door.initialize(&way).await,
            server: number,
            held: None,
            asked: None,
        });
    }
    for _ in 0..scale(KILLS) {
        let most = u32::try_from(1 + random.below(MOST)).unwrap();
        let acknowledged = Semaphore::new(0);
        let running = choosers.iter_mut().map(|chooser| {
            let (door, acknowledged, mut random) = (&door, &acknowledged, random.fork());
            async move {
                while chooser.choose(door, &mut random).await {
                    acknowledged.add_permits(1);
                }
            }
        });
        let killer = async {
            drop(acknowledged.acquire_many(most).await.unwrap());
            door.janus.strike();
        };
        tokio::join!(join_all(running.collect::<Vec<_>>()), killer);
        door = door.killed();
        for chooser in &mut choosers {
            chooser.check(&door).await;
        }
    }
    door.end().await;
    world.assert_no_crossing();
}

impl Chooser {
    /// One choice; false if Janus is gone.
    async fn choose(&mut self, door: &Door, random: &mut Random) -> bool {
        let account = random.pick(&ACCOUNTS);
        self.asked = Some(account);
        let arguments = choice(self.server, account, self.scope);
        let params = json!({"name": "janus_use_account", "arguments": arguments});
        let heard = door
            .ask(&self.way, Some(&self.session), "tools/call", params)
            .await;
        let Some(heard) = heard.filter(|heard| heard.message.is_object()) else {
            return false;
        };
        let active = &heard.message["result"]["structuredContent"]["active"];
        assert_eq!(
            active[format!("s{}", self.server)],
            account,
            "{}",
            heard.message
        );
        (self.held, self.asked) = (Some(account), None);
        true
    }

    async fn check(&mut self, door: &Door) {
        let response = door
            .call(&self.way, Some(&self.session), "janus_whoami", json!({}))
            .await;
        let said =
            &response["result"]["structuredContent"]["accounts"][format!("s{}", self.server)];
        assert!(said.is_object(), "{response}");
        let holds = said["account"]
            .as_str()
            .filter(|_| said["resolved_from"] == self.scope);
        let allowed = [self.held, self.asked.or(self.held)];
        assert!(allowed.contains(&holds), "{allowed:?}, and not {said}");
        // From here on it is acknowledged, by the answer to this.
        (self.held, self.asked) = (
            allowed.into_iter().find(|one| *one == holds).flatten(),
            None,
        );
    }
}
