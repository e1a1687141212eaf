//! A session is no key, and an unknown name leads to nobody.

use http::Method;
use serde_json::{Value, json};

use super::actor::{Door, Way};
use super::model::{ALL, Expected, VAULT};
use super::ways::TOOLS;
use super::world::{Keys, World};
use crate::support::{Era, Home, Janus};

use Era::{Legacy, Modern};

const OPENER: Way = Way::new(Some("free"), "/mcp", Legacy, ALL);

async fn open(world: &World) -> Door {
    let home = Home::with(&world.config(Keys::Required, &[]).to_string());
    let door = Door::open(Janus::start_in(home, |_| {}), Keys::Required).await;
    door.settle(&OPENER, TOOLS).await;
    door
}

fn call() -> Value {
    let params = json!({"name": "s1__who", "arguments": {"expect": "nobody"}});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
}

/// Everything that can be asked in a session: the status and the text of each answer.
async fn asked(door: &Door, way: &Way, session: &str) -> Vec<(u16, String)> {
    let headers = door.headers(way, Some(session));
    let mut answers = Vec::new();
    for (method, body) in [
        (Method::POST, call()),
        (Method::POST, json!([call()])),
        (
            Method::POST,
            json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        ),
        (Method::GET, Value::Null),
        (Method::DELETE, Value::Null),
    ] {
        let heard = door
            .http(way)
            .attempt(method, way.path, &headers, &body)
            .await;
        let heard = heard.expect("an answer");
        answers.push((heard.status.as_u16(), heard.text));
    }
    answers
}

#[tokio::test]
async fn a_session_of_somebody_else_is_answered_like_one_that_never_was() {
    let world = World::start(10).await;
    let mut door = open(&world).await;
    let session = door.initialize(&OPENER).await;
    let never = "0123456789abcdef0123456789abcdef";
    // Also after a restart, when nobody has taken it up yet.
    for restarted in [false, true] {
        if restarted {
            door = door.killed();
            door.settle(
                &Way {
                    client: Some("other"),
                    ..OPENER
                },
                TOOLS,
            )
            .await;
        }
        let before = world.calls();
        for (thief, status) in [
            (
                Way {
                    client: Some("other"),
                    ..OPENER
                },
                404,
            ),
            (
                Way {
                    path: "/mcp/all",
                    ..OPENER
                },
                404,
            ),
            (OPENER.header("all"), 404),
            (OPENER.tcp(), 404),
            (
                Way {
                    path: "/mcp/@s1/dan",
                    ..OPENER
                },
                404,
            ),
            (
                Way {
                    client: Some("tied"),
                    ..OPENER
                },
                404,
            ),
            (
                Way {
                    client: None,
                    ..OPENER
                },
                401,
            ),
        ] {
            let answers = asked(&door, &thief, &session).await;
            assert!(
                answers.iter().all(|(answered, _)| *answered == status),
                "{thief:?}: {answers:?}"
            );
            assert_eq!(answers, asked(&door, &thief, never).await, "{thief:?}");
        }
        assert_eq!(world.calls(), before, "no server saw anything");
        let response = door
            .call(
                &OPENER,
                Some(&session),
                "s1__who",
                json!({"expect": "s1/dan"}),
            )
            .await;
        Expected::By("s1/dan".to_owned()).judge(&response).unwrap();
    }
    door.end().await;
    world.assert_no_crossing();
}

#[tokio::test]
async fn an_unknown_name_never_leads_to_somebody_else() {
    let world = World::start(10).await;
    let door = open(&world).await;
    let session = door.initialize(&OPENER).await;
    let before = world.calls();
    let free = |path| Way { path, ..OPENER };
    for (way, status) in [
        (free("/mcp/nobody"), 404),
        (free("/mcp/All"), 404),
        (free("/mcp/al%6c"), 404),
        (free("/mcp/all//"), 404),
        (free("/mcp/default"), 404),
        (OPENER.header("nobody"), 404),
        (OPENER.header("ALL"), 404),
        (free("/mcp/@nobody"), 404),
        (free("/mcp/@S0/ann"), 404),
        (free("/mcp/@s0/Ann"), 404),
        (free("/mcp/@s0/nobody"), 404),
        (free("/mcp/@s0/ann/bob"), 404),
        // Five accounts, and none is the default.
        (free("/mcp/@s0"), 403),
        (free("/mcp/@s0/"), 403),
        (free("/mcp/vault"), 403),
        (OPENER.header("vault"), 403),
        (free("/mcp/mixed").header("all"), 403),
        (Way::new(Some("tied"), "/mcp/all", Legacy, VAULT), 403),
        (Way::new(Some("tied"), "/mcp/@s1/ann", Legacy, VAULT), 403),
        (Way::new(Some("two"), "/mcp/all", Legacy, ALL), 403),
        // Two profiles, and nothing says which: the default is none of them.
        (Way::new(Some("two"), "/mcp", Legacy, ALL), 403),
    ] {
        for era in [Legacy, Modern] {
            let way = Way { era, ..way };
            let (method, params) = match era {
                Legacy => (
                    "initialize",
                    json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}),
                ),
                Modern => ("tools/call", call()["params"].clone()),
            };
            let heard = door
                .ask(&way, None, method, params)
                .await
                .expect("an answer");
            assert_eq!(heard.status, status, "{way:?}: {}", heard.message);
        }
    }
    for tool in [
        "s1__Who",
        "S1__who",
        "who",
        "s10__who",
        "s1__who ",
        "s1_who",
        "@s1/who",
        "s1/dan__who",
    ] {
        let response = door
            .call(&OPENER, Some(&session), tool, json!({"expect": "nobody"}))
            .await;
        assert_eq!(Expected::Unknown.judge(&response).err(), None, "{tool}");
    }
    for uri in [
        "who://s10/me",
        "janus://s1/Dan/who://s1/me",
        "janus://s1/nobody/who://s1/me",
        "janus://s10/dan/who://s1/me",
    ] {
        let params = json!({"uri": uri, "_meta": {"test/expect": "nobody"}});
        let heard = door
            .ask(&OPENER, Some(&session), "resources/read", params)
            .await
            .expect("an answer");
        assert_eq!(Expected::Unknown.judge(&heard.message).err(), None, "{uri}");
    }
    assert_eq!(world.calls(), before, "no server saw anything");
    door.end().await;
    world.assert_no_crossing();
}
