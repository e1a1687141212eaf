//! Streams of the legacy era that are taken up again after Janus was restarted or killed.

use serde_json::{Value, json};

use super::leaving::{held_call, released, rest, step};
use super::{VIEW, good, session};
use crate::support::{Client, Era, Fixture, Janus};

fn again(janus: Janus) -> Janus {
    let (ended, home) = janus.stop();
    assert!(ended.status.success(), "{}", ended.stderr);
    Janus::start_in(home, |_| {})
}

#[tokio::test]
async fn an_answer_that_came_without_its_client_is_there_after_restarts() {
    let mut janus = Janus::start(&good());
    let id = session(&janus.http(), VIEW, "2025-11-25").await;
    let mut reply = held_call(&janus.http(), &id).await;
    let prime = reply.event().await.unwrap().id.unwrap();
    let first = reply.event().await.unwrap().id.unwrap();
    drop(reply);
    let mut other = Client::open(janus.http(), VIEW, Era::Legacy).await;
    assert_eq!(other.text("release", json!({})).await, "1");
    let whole = [step(1), step(2), step(3), released()];
    // Once without anybody asking in between.
    janus = again(again(janus));
    for _ in 0..2 {
        let door = janus.http();
        assert_eq!(rest(&door, &id, &prime).await, whole);
        assert_eq!(rest(&door, &id, &first).await, whole[1..]);
        janus = again(janus);
    }
}

#[tokio::test]
async fn a_call_that_died_with_janus_says_so_to_whoever_takes_it_up() {
    let janus = Janus::start(&good());
    let id = session(&janus.http(), VIEW, "2025-11-25").await;
    let mut reply = held_call(&janus.http(), &id).await;
    let first = [reply.event().await, reply.event().await].map(|event| event.unwrap().id.unwrap());
    let mut other = Client::open(janus.http(), VIEW, Era::Legacy).await;
    let mut answered = other.send("tools/call", json!({ "name": "steps", "arguments": { "count": 1 }, "_meta": { "progressToken": 1 } })).await;
    let mut last = None;
    while let Some(event) = answered.event().await {
        last = event.id;
    }
    let janus = Janus::start_in(janus.kill(), |_| {});
    for first in first {
        let told = rest(&janus.http(), &id, &first).await;
        let [told] = &told[..] else {
            panic!("{told:?}");
        };
        let error = &told["error"];
        assert_eq!(
            (&told["id"], &error["code"]),
            (&json!("call"), &json!(-32603))
        );
        assert_eq!(
            error["data"],
            json!({ "code": "outcome_unknown", "sent": true })
        );
    }
    // Who has the response waits for nothing.
    let told = rest(&janus.http(), &id, &last.unwrap()).await;
    assert_eq!(told, Vec::<Value>::new());
}

#[tokio::test]
async fn what_nobody_heard_is_told_after_a_restart_and_nothing_twice() {
    let fixture = Fixture::start(Era::Legacy);
    let mut janus = Janus::start(&format!("good: {{ url: {} }}", fixture.url()));
    let id = session(&janus.http(), VIEW, "2025-11-25").await;
    let own = [("mcp-session-id", id.as_str())];
    let uri = json!({ "uri": "test://watched-resource" });
    let subscribe =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": uri });
    let mut reply = janus.http().post(VIEW, &own, &subscribe).await;
    let reply = reply.next_or_whole().await.unwrap();
    assert!(reply.get("result").is_some(), "{reply}");
    let mut other = Client::open(janus.http(), VIEW, Era::Legacy).await;
    let mut stream = janus.http().get(VIEW, &own).await;
    let mut last = stream.event().await.unwrap().id.unwrap();
    for _ in 0..2 {
        other
            .call("test_trigger_resource_update", uri.clone())
            .await;
        last = stream.event().await.unwrap().id.unwrap();
    }
    drop(stream);
    for _ in 0..2 {
        other
            .call("test_trigger_resource_update", uri.clone())
            .await;
    }
    janus = again(janus);
    let headers = [own[0], ("last-event-id", last.as_str())];
    let mut stream = janus.http().get(VIEW, &headers).await;
    let life = |id: &str| id.split('-').next().map(str::to_owned);
    assert_eq!(stream.event().await.unwrap().id.as_deref(), Some(&*last));
    // A server that was listed late in the life before is another thing that may be told.
    let is_of_list = |message: &Value| message["method"] == "notifications/resources/list_changed";
    for early in [true, true, false] {
        let (event, message) = loop {
            let event = stream.event().await.unwrap();
            let message: Value = serde_json::from_str(&event.data).unwrap();
            if !is_of_list(&message) {
                break (event, message);
            }
        };
        assert_eq!(message["params"], uri, "{message}");
        assert_eq!(life(&event.id.unwrap()) == life(&last), early);
    }
    // Its server was told again, and tells what happens now.
    let mut other = Client::open(janus.http(), VIEW, Era::Legacy).await;
    other
        .call("test_trigger_resource_update", uri.clone())
        .await;
    let mut message = stream.message().await.unwrap();
    while is_of_list(&message) {
        message = stream.message().await.unwrap();
    }
    assert_eq!(message["params"], uri, "{message}");
}
