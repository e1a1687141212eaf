//! Somebody logs out at the server while nobody calls: the stream that tells of changes finds out.

use serde_json::json;

use super::remote::{http, ok};
use super::scripted::{Arrival, Server as Scripted};
use super::*;
use crate::model::Auth;

/// Plays a legacy server until its stream is asked for.
async fn stream_is_asked_for(scripted: &mut Scripted) -> Arrival {
    loop {
        let arrival = scripted.next().await;
        match arrival.body["method"].as_str().unwrap_or("GET") {
            "GET" => return arrival,
            "server/discover" => arrival.reply(404, &[], ""),
            "notifications/initialized" => arrival.reply(202, &[], ""),
            "initialize" => opened(arrival),
            _ => ok(arrival, &json!({})),
        }
    }
}

fn opened(arrival: Arrival) {
    let result = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}});
    let body = json!({"jsonrpc": "2.0", "id": arrival.body["id"], "result": result});
    let headers = [
        ("content-type", "application/json"),
        ("mcp-session-id", "a"),
    ];
    arrival.reply(200, &headers, &body.to_string());
}

async fn is_ready(rig: &Rig) {
    rig.state(|state| matches!(state, State::Ready { .. }))
        .await;
}

#[tokio::test]
async fn a_credential_that_is_revoked_while_nobody_calls_is_known_and_so_is_that_it_counts_again() {
    let mut scripted = Scripted::start().await;
    let mut server = http(&scripted.url);
    server.accounts[0].auth.how = Auth::None;
    let rig = Rig::new(server);
    rig.upstream.start();
    let stream = stream_is_asked_for(&mut scripted).await.events();
    is_ready(&rig).await;
    drop(stream);
    stream_is_asked_for(&mut scripted).await.reply(403, &[], "");
    stream_is_asked_for(&mut scripted).await.reply(503, &[], "");
    is_ready(&rig).await;
    stream_is_asked_for(&mut scripted).await.reply(401, &[], "");
    rig.state(|state| *state == State::Rejected { status: 401 })
        .await;
    let _stream = stream_is_asked_for(&mut scripted).await.events();
    is_ready(&rig).await;
    drop(scripted);
    rig.end().await;
}

#[tokio::test]
async fn a_session_that_the_server_ends_while_nobody_calls_is_another_one_before_anybody_does() {
    let mut scripted = Scripted::start().await;
    let rig = Rig::new(http(&scripted.url));
    rig.upstream.start();
    let stream = stream_is_asked_for(&mut scripted).await.events();
    is_ready(&rig).await;
    drop(stream);
    stream_is_asked_for(&mut scripted).await.reply(404, &[], "");
    // Whether it is the session that is gone, or only the stream, is asked.
    let asked = scripted.next().await;
    assert_eq!(asked.body["method"], "ping");
    asked.reply(404, &[], "");
    let again = scripted.next().await;
    assert_eq!(again.body["method"], "initialize");
    opened(again);
    let _stream = stream_is_asked_for(&mut scripted).await.events();
    is_ready(&rig).await;
    drop(scripted);
    rig.end().await;
}
