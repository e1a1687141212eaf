//! One list of accounts, many sessions: each acts as the account that it chose, at the same time.

use futures_util::future::join_all;
use serde_json::json;

use super::actor::{Door, Way};
use super::model::{ACCOUNTS, ALL, Came, Expected, full};
use super::ways::TOOLS;
use super::world::{Keys, World};
use crate::support::{Era, Home, Janus, scale};

const WAY: Way = Way::new(None, "/mcp", Era::Legacy, ALL);

/// How often all of them call at once, at full size.
const ROUNDS: usize = 200;

#[tokio::test]
async fn concurrent_sessions_act_as_what_they_chose_from_one_list() {
    let world = World::start(5).await;
    let home = Home::with(&world.config(Keys::None, &[]).to_string());
    let door = Door::open(Janus::start_in(home, |_| {}), Keys::None).await;
    door.settle(&WAY, TOOLS).await;
    // Servers over HTTP and processes, of both eras, and at each of them every account at once.
    let servers = [0, 3, 5, 8];
    let mut sessions = Vec::new();
    for account in ACCOUNTS {
        let session = door.initialize(&WAY).await;
        for server in servers {
            let arguments = json!({"account": full(server, account)});
            let response = door
                .call(&WAY, Some(&session), "janus_use_account", arguments)
                .await;
            let active = &response["result"]["structuredContent"]["active"];
            assert_eq!(active[format!("s{server}")], account, "{response}");
        }
        sessions.push((account, session));
    }
    let mut lists = Vec::new();
    for (_, session) in &sessions {
        let heard = door.ask(&WAY, Some(session), "tools/list", json!({})).await;
        lists.push(heard.expect("an answer").text);
    }
    assert!(
        lists.windows(2).all(|pair| pair[0] == pair[1]),
        "{lists:#?}"
    );
    for _ in 0..scale(ROUNDS) {
        let mut calls = Vec::new();
        for server in servers {
            for (account, session) in &sessions {
                let expected = full(server, account);
                let (door, tool) = (&door, format!("s{server}__who"));
                calls.push(async move {
                    let arguments = json!({"expect": expected});
                    let response = door.call(&WAY, Some(session), &tool, arguments).await;
                    assert_eq!(Expected::By(expected).judge(&response), Ok(Came::Answer));
                });
            }
        }
        join_all(calls).await;
    }
    door.end().await;
    world.assert_no_crossing();
}
