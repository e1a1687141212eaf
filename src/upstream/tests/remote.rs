//! Remote servers: every request arrives in the test, which answers it.

use super::scripted::{Arrival, Server as Scripted};
use serde_json::{Value, json};

use super::*;
use crate::credential::NoCredential;
use crate::credential::oauth::LoginReason;

async fn remote(adapt: impl FnOnce(&mut Server)) -> (Scripted, Rig) {
    let scripted = Scripted::start().await;
    let mut server = http(&scripted.url);
    adapt(&mut server);
    (scripted, Rig::new(server))
}

pub(super) fn http(url: &str) -> Server {
    server(Endpoint::Http(HttpEndpoint {
        url: url.parse().unwrap(),
        headers: Vec::new(),
        ca: None,
    }))
}

pub(super) fn ok(arrival: Arrival, result: &Value) {
    let body = json!({"jsonrpc": "2.0", "id": arrival.body["id"], "result": result});
    arrival.json(&body.to_string());
}

/// Plays the handshake of a legacy server, GET streams refused; gives the first arrival that is none of it.
async fn legacy(scripted: &mut Scripted, session: &str, seen: &mut Vec<String>) -> Arrival {
    loop {
        let arrival = scripted.next().await;
        let method = arrival.body["method"].as_str().unwrap_or("GET").to_owned();
        seen.push(method.clone());
        match method.as_str() {
            "server/discover" => arrival.reply(404, &[], ""),
            "GET" => arrival.reply(405, &[], ""),
            "ping" => ok(arrival, &json!({})),
            "notifications/initialized" => arrival.reply(202, &[], ""),
            "initialize" => {
                let result =
                    json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}});
                let body = json!({"jsonrpc": "2.0", "id": arrival.body["id"], "result": result});
                let headers = [
                    ("content-type", "application/json"),
                    ("mcp-session-id", session),
                ];
                arrival.reply(200, &headers, &body.to_string());
            }
            _ => return arrival,
        }
    }
}

#[tokio::test]
async fn a_forgotten_session_costs_one_handshake_and_no_probe() {
    let (mut scripted, rig) = remote(|_| {}).await;
    let mut seen = Vec::new();
    let script = async {
        let first = legacy(&mut scripted, "one", &mut seen).await;
        assert_eq!(first.header("mcp-session-id"), Some("one"));
        first.reply(404, &[], "");
        let second = legacy(&mut scripted, "two", &mut seen).await;
        assert_eq!(second.header("mcp-session-id"), Some("two"));
        ok(second, &json!({"content": []}));
    };
    let (called, ()) = tokio::join!(rig.call("a", "t"), script);
    assert_eq!(value(called)["id"], "x");
    let count = |method: &str| seen.iter().filter(|seen| *seen == method).count();
    assert_eq!(
        (
            count("server/discover"),
            count("initialize"),
            count("tools/call")
        ),
        (1, 2, 2),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_session_that_is_forgotten_twice_is_not_tried_a_third_time() {
    let (mut scripted, rig) = remote(|_| {}).await;
    let script = async {
        for session in ["one", "two"] {
            legacy(&mut scripted, session, &mut Vec::new())
                .await
                .reply(404, &[], "");
        }
    };
    let (called, ()) = tokio::join!(rig.call("a", "t"), script);
    assert!(
        matches!(called, Err(Failure::SessionUnknown { .. })),
        "{called:?}"
    );
}

#[tokio::test]
async fn a_server_that_wants_a_login_is_told_nothing_more_until_somebody_logged_in() {
    let (mut scripted, rig) = remote(|_| {}).await;
    let script = async {
        let probe = scripted.next().await;
        assert_eq!(probe.body["method"], "server/discover");
        probe.reply(401, &[("www-authenticate", "Bearer scope=\"a b\"")], "");
    };
    let (called, ()) = tokio::join!(rig.call("a", "t"), script);
    let needs = |called: &Result<_, Failure>| {
        let failure = called.as_ref().unwrap_err();
        assert_eq!(
            failure.needs_login(),
            Some((LoginReason::Never, "")),
            "{failure}"
        );
        assert!(!failure.sent());
    };
    needs(&called);
    rig.state(|state| {
        let reason = LoginReason::Never;
        *state == State::NoCredential(NoCredential::NeedsLogin { reason })
    })
    .await;
    needs(&rig.call("a", "t").await);
    assert!(scripted.is_quiet());
    // What it said is where the login begins.
    let credential = rig.upstream.credential(&rig.account).unwrap();
    let said = credential.grant().unwrap().challenge().unwrap();
    assert_eq!((said.status, said.scope().as_deref()), (401, Some("a b")));
}

#[tokio::test]
async fn a_modern_server_is_listed_listened_to_and_given_its_headers() {
    let (mut scripted, rig) = remote(|_| {}).await;
    let mut changes = rig.upstream.changes();
    rig.upstream.start();
    let tool = |name: &str, header: &str| json!({"name": name, "inputSchema": {"properties": {"region": {"type": "string", "x-mcp-header": header}}}});
    let mut stream = None;
    // The order of the stream and the list is nobody's promise.
    for _ in 0..3 {
        let arrival = scripted.next().await;
        match arrival.body["method"].as_str().unwrap() {
            "server/discover" => ok(
                arrival,
                &json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {"listChanged": true}}}),
            ),
            "tools/list" => ok(
                arrival,
                &json!({"resultType": "complete", "ttlMs": 0, "tools": [tool("t", "Region"), tool("bad", "")]}),
            ),
            "subscriptions/listen" => {
                assert_eq!(
                    arrival.body["params"]["notifications"],
                    json!({"toolsListChanged": true})
                );
                stream = Some((arrival.body["id"].clone(), arrival.events()));
            }
            other => panic!("{other}"),
        }
    }
    rig.upstream.settled(&rig.account, PATIENT).await;
    assert_eq!(rig.tools(), ["t"]);
    assert!(matches!(
        changes.recv().await,
        Ok(Change::Listed {
            identical: false,
            ..
        })
    ));
    let (id, stream) = stream.unwrap();
    let note = |method: &str| {
        let meta = json!({"io.modelcontextprotocol/subscriptionId": id});
        json!({"jsonrpc": "2.0", "method": method, "params": {"_meta": meta}}).to_string()
    };
    stream
        .event(&note("notifications/subscriptions/acknowledged"))
        .await;
    stream
        .event(&note("notifications/tools/list_changed"))
        .await;
    ok(
        scripted.next().await,
        &json!({"resultType": "complete", "tools": [tool("t", "Region"), tool("u", "Region")]}),
    );
    assert!(matches!(
        changes.recv().await,
        Ok(Change::Listed {
            identical: false,
            ..
        })
    ));
    assert_eq!(rig.tools(), ["t", "u"]);
    let script = async {
        let call = scripted.next().await;
        assert_eq!(call.header("mcp-param-region"), Some("north"));
        ok(call, &json!({"resultType": "complete", "content": []}));
    };
    let (called, ()) = tokio::join!(rig.call("a", "t"), script);
    assert_eq!(value(called)["id"], "x");
}

#[tokio::test]
async fn a_server_that_changed_its_era_is_asked_again() {
    let (mut scripted, rig) = remote(|_| {}).await;
    let script = async {
        ok(
            scripted.next().await,
            &json!({"supportedVersions": ["2026-07-28"], "capabilities": {}}),
        );
        let call = scripted.next().await;
        let error = json!({"jsonrpc": "2.0", "id": call.body["id"], "error": {"code": -32000, "message": "Bad Request: Server not initialized"}});
        call.reply(
            400,
            &[("content-type", "application/json")],
            &error.to_string(),
        );
    };
    let (called, ()) = tokio::join!(rig.call("a", "t"), script);
    assert_eq!(value(called)["error"]["code"], -32000);
    let script = async {
        let mut seen = Vec::new();
        let call = legacy(&mut scripted, "one", &mut seen).await;
        assert_eq!(seen.first().map(String::as_str), Some("server/discover"));
        ok(call, &json!({"content": []}));
    };
    let (called, ()) = tokio::join!(rig.call("a", "t"), script);
    assert_eq!(
        value(called)["result"],
        json!({"content": [], "_meta": {"dev.janus/identity": {"account": "a"}}})
    );
}
