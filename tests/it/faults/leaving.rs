//! Clients that go away in the middle of a call, and states that were tampered with.

use serde_json::{Value, json};

use super::{VIEW, borrowed, good, modern, others_are_served, refusal, session};
use crate::support::{Client, Era, Fixture, Http, Janus, Reply};

/// A call that reports its first step and waits.
pub(super) async fn held_call(door: &Http, session: &str) -> Reply {
    let body = json!({ "jsonrpc": "2.0", "id": "call", "method": "tools/call", "params": { "name": "hold", "_meta": { "progressToken": "t" } } });
    door.post(VIEW, &[("mcp-session-id", session)], &body).await
}

pub(super) fn step(number: u32) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": "t", "progress": number } })
}

pub(super) fn released() -> Value {
    let identity = json!({
        "profile": "default", "server": "good", "account": "default",
        "label": null, "verified_as": null, "resolved_from": "path",
    });
    json!({ "jsonrpc": "2.0", "id": "call", "result": {
        "content": [{ "type": "text", "text": "released" }],
        "_meta": { "dev.janus/identity": identity },
    } })
}

pub(super) async fn rest(door: &Http, session: &str, last: &str) -> Vec<Value> {
    let mut stream = door
        .get(
            VIEW,
            &[("mcp-session-id", session), ("last-event-id", last)],
        )
        .await;
    assert_eq!(stream.status, 200);
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await {
        messages.push(message);
    }
    messages
}

#[tokio::test]
async fn a_legacy_call_goes_on_without_its_client_and_is_resumed_with_nothing_lost() {
    let janus = Janus::start(&good());
    for door in [janus.http(), janus.unix()] {
        let id = session(&door, VIEW, "2025-11-25").await;
        let mut reply = held_call(&door, &id).await;
        let prime = reply.event().await.unwrap();
        assert_eq!(prime.data, "");
        let first = reply.event().await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&first.data).unwrap(), step(1));
        drop(reply);

        let mut other = Client::open(janus.http(), VIEW, Era::Legacy).await;
        assert_eq!(other.text("release", json!({})).await, "1");
        let whole = [step(1), step(2), step(3), released()];
        assert_eq!(
            rest(&door, &id, first.id.as_deref().unwrap()).await,
            whole[1..]
        );
        // Again, and from the beginning: nothing is used up.
        assert_eq!(rest(&door, &id, prime.id.as_deref().unwrap()).await, whole);
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_legacy_call_can_be_resumed_while_it_runs() {
    let janus = Janus::start(&good());
    let door = janus.http();
    let id = session(&door, VIEW, "2025-11-25").await;
    let mut reply = held_call(&door, &id).await;
    let prime = reply.event().await.unwrap().id.unwrap();
    assert_eq!(reply.message().await, Some(step(1)));
    drop(reply);
    let headers = [
        ("mcp-session-id", id.as_str()),
        ("last-event-id", prime.as_str()),
    ];
    let mut resumed = door.get(VIEW, &headers).await;
    assert_eq!(resumed.message().await, Some(step(1)));
    let mut other = Client::open(janus.http(), VIEW, Era::Legacy).await;
    other.text("release", json!({})).await;
    for expected in [step(2), step(3), released()] {
        assert_eq!(resumed.message().await, Some(expected));
    }
    assert_eq!(resumed.message().await, None);
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_legacy_client_that_goes_away_cancels_nothing_and_one_that_cancels_does() {
    let janus = Janus::start(&good());
    let door = janus.http();
    let id = session(&door, VIEW, "2025-11-25").await;
    let mut reply = held_call(&door, &id).await;
    reply.event().await.unwrap();
    assert_eq!(reply.message().await, Some(step(1)));
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "call" } });
    assert_eq!(
        door.post(VIEW, &[("mcp-session-id", &id)], &cancel)
            .await
            .status,
        202
    );
    assert_eq!(reply.message().await, None);
    let mut other = Client::open(janus.http(), VIEW, Era::Legacy).await;
    assert_eq!(other.text("wait_cancelled", json!({})).await, "cancelled");
    let seen: Vec<String> = serde_json::from_str(&other.text("seen", json!({})).await).unwrap();
    assert_eq!(
        seen[1..],
        [
            "call hold",
            "cancelled hold",
            "call wait_cancelled",
            "call seen"
        ]
    );
}

#[tokio::test]
async fn a_modern_client_that_goes_away_cancels_its_call() {
    let janus = Janus::start(&good());
    for (door, steps) in [
        (janus.http(), true),
        (janus.unix(), true),
        (janus.http(), false),
    ] {
        let meta = if steps {
            json!({ "progressToken": "t" })
        } else {
            json!({})
        };
        let (headers, body) = modern(
            &json!("call"),
            "tools/call",
            json!({ "name": "hold", "_meta": meta }),
        );
        let mut other = Client::open(janus.http(), VIEW, Era::Modern).await;
        if steps {
            let mut reply = door.post(VIEW, &borrowed(&headers), &body).await;
            assert_eq!(reply.message().await, Some(step(1)));
            drop(reply);
        } else {
            // Nothing of the answer has come yet, not even its head.
            let headers = borrowed(&headers);
            tokio::select! {
                _ = door.post(VIEW, &headers, &body) => panic!("it is held"),
                text = other.text("wait_held", json!({ "count": 1 })) => assert_eq!(text, "held"),
            }
        }
        assert_eq!(other.text("wait_cancelled", json!({})).await, "cancelled");
        let seen = other.text("seen", json!({})).await;
        assert_eq!(
            seen.matches("cancelled hold").count(),
            seen.matches("call hold").count(),
            "{seen}"
        );
        other.text("release", json!({})).await;
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_state_that_was_tampered_with_or_is_for_another_request_is_refused() {
    let fixture = Fixture::start(Era::Modern);
    let janus = Janus::start(&format!("{}asking: {{ url: {} }}\n", good(), fixture.url()));
    let tool = "test_input_required_result_request_state";
    let capabilities = json!({ "elicitation": { "form": {} } });
    let path = "/mcp/@asking";
    let mut client = Client::with(janus.http(), path, Era::Modern, capabilities).await;
    let asked = client
        .result("tools/call", json!({ "name": tool, "arguments": {} }))
        .await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let state = asked["requestState"].as_str().expect("a state").to_owned();
    let key = asked["inputRequests"]
        .as_object()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    let answers = json!({ key: { "action": "accept", "content": { "ok": true } } });
    let retry = |state: &Value, arguments: Value| json!({ "name": tool, "arguments": arguments, "inputResponses": answers, "requestState": state });
    let mut flipped = state.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let message =
        "`requestState` was not made for this request, or its time is over: call again without it";
    for (state, arguments) in [
        (json!(String::from_utf8(flipped).unwrap()), json!({})),
        (json!(state.strip_suffix(|_| true)), json!({})),
        (json!(""), json!({})),
        (json!(7), json!({})),
        (json!(state), json!({ "other": true })),
    ] {
        let answer = client
            .request("tools/call", retry(&state, arguments))
            .await
            .response;
        assert_eq!(
            (&answer["error"]["code"], &answer["error"]["message"]),
            (&json!(-32602), &json!(message)),
            "{state}"
        );
    }
    // Through another view it is another request.
    let (headers, body) = modern(&json!(1), "tools/call", {
        let mut params = retry(&json!(state), json!({}));
        params["name"] = json!(format!("asking__{tool}"));
        params
    });
    let answer = refusal(janus.http().post("/mcp", &borrowed(&headers), &body).await).await;
    assert_eq!((answer.1, answer.2.as_str()), (-32602, message));
    // As it was given out it opens.
    let done = client
        .result("tools/call", retry(&json!(state), json!({})))
        .await;
    assert_eq!(done["resultType"], "complete", "{done}");
    others_are_served(&janus).await;
}
