//! What befalls connections, servers and Janus itself.

use futures_util::future::join_all;
use serde_json::json;

use super::super::history;
use super::super::model::{ACCOUNTS, Came, Expected, SERVERS, full};
use super::super::ways::TOOLS;
use super::{BURST, History};

impl History {
    /// A server over HTTP cuts its connections, sometimes while calls are under way.
    pub(super) async fn cut(&mut self) {
        let server = self.random.below(self.world.remote.len());
        self.disturb(server);
        if self.random.percent(50) {
            self.world.remote[server].break_connections();
            return;
        }
        let mut calls = Vec::new();
        for _ in 0..BURST {
            let at = self.random.below(self.actors.len());
            calls.push((
                at,
                history::call(&mut self.random, &self.actors[at], &self.chosen),
            ));
        }
        let asked = calls
            .iter()
            .map(|(at, call)| self.ask(*at, call.method, call.params.clone()));
        let remote = &self.world.remote[server];
        let (responses, ()) = tokio::join!(join_all(asked), async {
            tokio::task::yield_now().await;
            remote.break_connections();
        });
        for ((at, call), response) in calls.iter().zip(responses) {
            self.judge(*at, call, &response.expect("an answer"));
        }
    }

    fn disturb(&mut self, server: usize) {
        let accounts = ACCOUNTS.iter();
        self.disturbed
            .extend(accounts.map(|account| full(server, account)));
    }

    /// A server forgets its sessions: Janus begins new ones, and no caller notices, unless one was just beginning.
    pub(super) fn forget(&mut self) {
        let server = self.random.below(self.world.remote.len());
        self.world.remote[server].forget_sessions();
        self.disturb(server);
    }

    /// A process dies of a call.
    pub(super) async fn die(&mut self) {
        let (server, account) = (5 + self.random.below(5), self.random.pick(&ACCOUNTS));
        let who = full(server, account);
        let arguments = json!({"expect": who, "janus_account": account});
        let params = json!({"name": format!("s{server}__die"), "arguments": arguments});
        self.disturbed.insert(who.clone());
        // The first program is one of the profile with everything.
        let response = self.ask(0, "tools/call", params).await.expect("an answer");
        let came = Expected::By(who).judge(&response);
        assert_eq!(came, Ok(Came::Unavailable), "{response}");
    }

    /// Janus is killed, sometimes while calls are under way, and starts again.
    pub(super) async fn restart(&mut self, at: usize) {
        let door = self.door.take().expect("it runs");
        if self.random.percent(50) {
            let mut calls = Vec::new();
            for _ in 0..BURST {
                calls.push((
                    at,
                    history::call(&mut self.random, &self.actors[at], &self.chosen),
                ));
            }
            let asked = calls.iter().map(|(at, call)| {
                let actor = &self.actors[*at];
                door.ask(
                    &actor.way,
                    actor.session.as_deref(),
                    call.method,
                    call.params.clone(),
                )
            });
            let (responses, ()) = tokio::join!(join_all(asked), async {
                tokio::task::yield_now().await;
                door.janus.strike();
            });
            for ((at, call), heard) in calls.iter().zip(responses) {
                // Whatever came before the end was right.
                if let Some(heard) = heard.filter(|heard| heard.message.is_object()) {
                    self.judge(*at, call, &heard.message);
                }
            }
        }
        let door = door.killed();
        door.settle(&self.actors[0].way, TOOLS).await;
        self.door = Some(door);
        self.disturbed.clear();
    }

    /// Gives how many calls were answered.
    pub(super) async fn end(mut self) -> usize {
        // Every account answers for itself, however it was treated.
        let way = self.actors[0].way;
        self.restart(0).await;
        for server in 0..SERVERS {
            for account in ACCOUNTS {
                let expected = Expected::By(full(server, account));
                let arguments = json!({"expect": expected.told(), "janus_account": account});
                let params = json!({"name": format!("s{server}__who"), "arguments": arguments});
                let response = self.ask(0, "tools/call", params).await.expect("an answer");
                assert_eq!(
                    expected.judge(&response),
                    Ok(Came::Answer),
                    "{way:?}: {response}"
                );
            }
        }
        self.door.take().expect("it runs").end().await;
        self.world.assert_no_crossing();
        self.answers
    }
}
