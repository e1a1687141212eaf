//! Many calls in flight to one slow server: there is no hidden limit.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{VIEW, borrowed, good, modern, others_are_served, session};
use crate::support::{Client, Era, Janus, scale};

#[tokio::test]
async fn a_thousand_calls_wait_for_one_slow_server_and_all_are_answered() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )
    .unwrap();
    let count = scale(1000);
    let janus = Janus::start(&good());
    let door = janus.http();
    let id = session(&door, VIEW, "2025-11-25").await;
    let mut calls = JoinSet::new();
    for number in 0..count {
        let (door, id) = (door.clone(), id.clone());
        calls.spawn(async move {
            let reply = if number % 2 == 0 {
                let (headers, body) = modern(&json!(number), "tools/call", json!({ "name": "hold" }));
                door.post(VIEW, &borrowed(&headers), &body).await
            } else {
                let body = json!({ "jsonrpc": "2.0", "id": number, "method": "tools/call", "params": { "name": "hold" } });
                door.post(VIEW, &[("mcp-session-id", &id)], &body).await
            };
            assert_eq!(reply.status, 200);
            let mut reply = reply;
            let answer: Value = if reply.is_stream() {
                reply.message().await.unwrap()
            } else {
                reply.json().await
            };
            assert_eq!(answer["result"]["content"][0]["text"], "released", "{answer}");
            answer["id"].as_u64().unwrap()
        });
    }
    let mut other = Client::open(janus.unix(), VIEW, Era::Legacy).await;
    assert_eq!(
        other.text("wait_held", json!({ "count": count })).await,
        "held"
    );
    others_are_served(&janus).await;
    assert_eq!(other.text("release", json!({})).await, count.to_string());
    let mut answered = calls.join_all().await;
    answered.sort_unstable();
    assert_eq!(answered, (0..count as u64).collect::<Vec<_>>());
}
