//! `switching: off`: nothing that is said changes the account of a call.

use http::Method;
use serde_json::{Value, json};

use super::actor::{Door, Way};
use super::model::{ACCOUNTS, Expected, LOCKED, PROFILES, SERVERS, full};
use super::world::{Keys, World};
use crate::support::{Era, Home, Janus};

use Era::{Legacy, Modern};

const WAYS: [Way; 2] = [
    Way::new(Some("fixed"), "/mcp", Legacy, LOCKED),
    Way::new(Some("fixed"), "/mcp", Modern, LOCKED),
];

/// A client that is tied to the locked profile, which is locked as this says.
fn config(world: &World, switching: &str) -> Value {
    let mut config = world.config(Keys::Required, &[]);
    config["clients"]["fixed"] = json!({"profile": "locked"});
    config["profiles"]["locked"]["switching"] = switching.into();
    config
}

async fn open(world: &World, switching: &str) -> (Door, Option<String>) {
    let home = Home::with(&config(world, switching).to_string());
    let door = Door::with(Janus::start_in(home, |_| {}), &["fixed"]).await;
    settle(&door).await;
    let session = door.initialize(&WAYS[0]).await;
    (door, Some(session))
}

/// Every server in reach of the profile is listed.
async fn settle(door: &Door) {
    let profile = PROFILES[LOCKED];
    // Without switching: two tools of Janus's own, and at each server those of the accounts that can be used.
    let of_server = |server: usize| {
        let (accounts, fixed) = profile.accounts(server)?;
        Some(2 + if fixed.is_some() { 1 } else { accounts.len() })
    };
    let tools: usize = (0..SERVERS).filter_map(of_server).sum();
    door.settle(&WAYS[0], 2 + tools).await;
}

/// The account that people set; nobody where they set none.
fn fixed(server: usize) -> Expected {
    PROFILES[LOCKED].expected(server, None, super::model::Before::default())
}

/// A call that says nothing is answered as people decided.
async fn assert_fixed(door: &Door, session: Option<&str>) {
    for way in &WAYS {
        let session = session.filter(|_| way.era == Legacy);
        for server in 0..SERVERS {
            let expected = fixed(server);
            let arguments = json!({"expect": expected.told()});
            let response = door
                .call(way, session, &format!("s{server}__who"), arguments)
                .await;
            expected
                .judge(&response)
                .unwrap_or_else(|wrong| panic!("{way:?}: {wrong}"));
        }
    }
}

#[tokio::test]
async fn without_switching_no_argument_and_no_tool_changes_the_account() {
    let world = World::start(SERVERS).await;
    let (door, session) = open(&world, "off").await;
    assert_fixed(&door, session.as_deref()).await;
    let before = world.calls();
    for way in &WAYS {
        let session = session.as_deref().filter(|_| way.era == Legacy);
        for server in 0..SERVERS {
            for account in ACCOUNTS {
                for named in [account.to_owned(), full(server, account)] {
                    let expected = match PROFILES[LOCKED].accounts(server) {
                        Some(_) => Expected::Refused("switching_off"),
                        None => Expected::Unknown,
                    };
                    let tool = format!("s{server}__who");
                    let argument = json!({"name": tool, "arguments": {"expect": "nobody", "janus_account": named}});
                    let meta = json!({"name": tool, "arguments": {"expect": "nobody"}, "_meta": {"dev.janus/account": named}});
                    let uri = format!("who://s{server}/me");
                    let resource = json!({"uri": uri, "_meta": {"dev.janus/account": named, "test/expect": "nobody"}});
                    for (method, params) in [
                        ("tools/call", argument),
                        ("tools/call", meta),
                        ("resources/read", resource),
                    ] {
                        let heard = door
                            .ask(way, session, method, params.clone())
                            .await
                            .expect("an answer");
                        let judged = expected.judge(&heard.message);
                        judged.unwrap_or_else(|wrong| panic!("{way:?} {params}: {wrong}"));
                    }
                }
                for scope in ["session", "client", "global"] {
                    let arguments = json!({"account": full(server, account), "scope": scope});
                    let response = door
                        .call(way, session, "janus_use_account", arguments)
                        .await;
                    Expected::Unknown.judge(&response).unwrap();
                }
                let inner = json!({"expect": "nobody"});
                let arguments =
                    json!({"account": full(server, account), "tool": "who", "arguments": inner});
                let response = door
                    .call(way, session, "janus_with_account", arguments)
                    .await;
                Expected::Unknown.judge(&response).unwrap();
            }
        }
    }
    assert_eq!(world.calls(), before, "nothing was called");
    assert_fixed(&door, session.as_deref()).await;
    door.end().await;
    world.assert_no_crossing();
}

#[tokio::test]
async fn without_switching_no_path_no_header_and_no_command_changes_the_account() {
    let world = World::start(SERVERS).await;
    let (door, session) = open(&world, "off").await;
    let before = world.calls();
    for way in WAYS {
        let elsewhere = |path: &'static str| Way { path, ..way };
        let mut outside: Vec<Way> = ["/mcp/all", "/mcp/mixed", "/mcp/vault", "/mcp/everybody"]
            .map(elsewhere)
            .to_vec();
        outside.extend(["all", "mixed", "vault", "everybody"].map(|profile| way.header(profile)));
        // Accounts that exist, in reach or not, and are not the one that people set.
        outside.extend(
            [
                "/mcp/@s0/ann",
                "/mcp/@s0/bob",
                "/mcp/@s1/ann",
                "/mcp/@s5/ann",
                "/mcp/@s3/ann",
            ]
            .map(elsewhere),
        );
        for way in outside {
            let method = if way.era == Legacy {
                "initialize"
            } else {
                "tools/call"
            };
            let params = json!({"name": "who", "arguments": {"expect": "nobody"}, "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
            let heard = door
                .ask(&way, None, method, params)
                .await
                .expect("an answer");
            assert_eq!(heard.status, 403, "{way:?}: {}", heard.message);
            // In the session that is there it is a session of nobody.
            if way.era == Legacy {
                let params = json!({"name": "s0__who", "arguments": {"expect": "nobody"}});
                let heard = door
                    .ask(&way, session.as_deref(), "tools/call", params)
                    .await;
                assert_eq!(heard.expect("an answer").status, 403, "{way:?}");
            }
        }
    }
    let session_id = session.as_deref().unwrap();
    for holder in [
        json!({"session": session_id}),
        json!({"client": "fixed"}),
        json!({"global": true, "profile": "locked"}),
    ] {
        let mut wanted = holder.clone();
        wanted["account"] = "s0/ann".into();
        let control = door.janus.control();
        let heard = control
            .attempt(Method::POST, "/use", &[], &wanted)
            .await
            .expect("an answer");
        assert_eq!(heard.status, 403, "{wanted}: {}", heard.message);
        assert_eq!(heard.message["error"]["code"], "switching_off");
    }
    assert_eq!(world.calls(), before, "nothing was called");
    assert_fixed(&door, session.as_deref()).await;
    // The path that names the account that people set leads to it, and to no other.
    let way = Way {
        path: "/mcp/@s0/cat",
        ..WAYS[1]
    };
    let response = door
        .call(&way, None, "who", json!({"expect": "s0/cat"}))
        .await;
    Expected::By("s0/cat".to_owned()).judge(&response).unwrap();
    door.end().await;
    world.assert_no_crossing();
}

#[tokio::test]
async fn what_was_chosen_before_counts_no_more_when_switching_is_off() {
    let world = World::start(SERVERS).await;
    let (door, session) = open(&world, "session").await;
    for scope in ["session", "client"] {
        for server in [0, 1, 2, 6] {
            let (accounts, _) = PROFILES[LOCKED].accounts(server).unwrap();
            let account = accounts.last().unwrap();
            let arguments = json!({"account": full(server, account), "scope": scope});
            let response = door
                .call(&WAYS[0], session.as_deref(), "janus_use_account", arguments)
                .await;
            let active = &response["result"]["structuredContent"]["active"];
            assert_eq!(active[format!("s{server}")], **account, "{response}");
        }
    }
    let door = door.killed_with(Some(&config(&world, "off")));
    settle(&door).await;
    assert_fixed(&door, session.as_deref()).await;
    door.end().await;
    world.assert_no_crossing();
}
