//! Janus is asked to end: calls in flight are answered, streams are closed, nothing is left behind.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixListener};

use super::{VIEW, borrowed, ends, gone, good, held, modern, server, session};
use crate::support::{Client, Era, Home, Janus, within};

fn terminate(janus: &Janus) {
    let id = i32::try_from(janus.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
}

/// Waits until nobody listens on the port any more.
async fn deaf(janus: &Janus) {
    let address = janus.url("");
    let address = address.strip_prefix("http://").unwrap();
    within("the port to close", async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_in_flight_is_answered_before_janus_ends() {
    let home = TempDir::new().unwrap();
    let socket = home.path().join("held");
    for era in Era::CLIENTS {
        let listener = UnixListener::bind(&socket).unwrap();
        let janus = Janus::start(&server("bad", &["--held", socket.to_str().unwrap()], ""));
        let mut child = held(&listener).await;
        let mut client = Client::open(janus.http(), "/mcp/@bad", era).await;
        let params = json!({ "name": "hold", "_meta": { "progressToken": 1 } });
        let mut reply = client.send("tools/call", params).await;
        assert_eq!(reply.message().await.unwrap()["params"]["progress"], 1);
        terminate(&janus);
        deaf(&janus).await;
        child.write_all(b"!").await.unwrap();
        let mut messages: Vec<Value> = Vec::new();
        while let Some(message) = reply.message().await {
            messages.push(message);
        }
        let last = messages
            .last()
            .unwrap_or_else(|| panic!("{era:?}: nothing"));
        assert_eq!(
            last["result"]["content"][0]["text"], "released",
            "{era:?}: {messages:?}"
        );
        assert_eq!(messages.len(), 3, "{messages:?}");
        let (ended, _home) = janus.stop();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        std::fs::remove_file(&socket).unwrap();
    }
}

#[tokio::test]
async fn a_call_that_does_not_end_is_answered_all_the_same() {
    let home = TempDir::new().unwrap();
    let socket = home.path().join("held");
    let listener = UnixListener::bind(&socket).unwrap();
    let janus = Janus::start(&server("bad", &["--held", socket.to_str().unwrap()], ""));
    let _child = held(&listener).await;
    let mut calls = Vec::new();
    for (era, http) in [
        (Era::Legacy, janus.http()),
        (Era::Modern, janus.http()),
        (Era::Legacy, janus.unix()),
    ] {
        let mut client = Client::open(http, "/mcp/@bad", era).await;
        let params = json!({ "name": "hold", "_meta": { "progressToken": 1 } });
        let mut reply = client.send("tools/call", params).await;
        assert_eq!(reply.message().await.unwrap()["params"]["progress"], 1);
        calls.push((era, reply));
    }
    terminate(&janus);
    // Nobody lets the server go on: what becomes of the calls is not known, and that is said.
    for (era, mut reply) in calls {
        let mut last = Value::Null;
        while let Some(message) = within("an answer", reply.message()).await {
            last = message;
        }
        let told = last.to_string();
        assert!(told.contains("outcome_unknown"), "{era:?}: {told}");
    }
    let (ended, _home) = janus.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("cut off"), "{}", ended.stderr);
}

#[tokio::test]
async fn streams_that_stay_open_hold_up_nobody() {
    let janus = Janus::start(&good());
    let id = session(&janus.http(), VIEW, "2025-11-25").await;
    let mut legacy = janus.http().get(VIEW, &[("mcp-session-id", &id)]).await;
    let mut resumed = janus
        .http()
        .get(
            "/mcp/@good",
            &[("mcp-session-id", &id), ("last-event-id", "0-0")],
        )
        .await;
    let (headers, body) = modern(
        &json!(1),
        "subscriptions/listen",
        json!({ "notifications": { "toolsListChanged": true } }),
    );
    let mut listen = janus.http().post(VIEW, &borrowed(&headers), &body).await;
    assert_eq!(
        listen.message().await.unwrap()["method"],
        "notifications/subscriptions/acknowledged"
    );
    // The second reader has taken the stream over.
    ends(&mut legacy).await;
    terminate(&janus);
    ends(&mut resumed).await;
    assert_eq!(listen.message().await.unwrap()["id"], 1);
    let (ended, _home) = janus.stop();
    assert_eq!(ended.status.code(), Some(0));
    assert!(!ended.stderr.contains("cut off"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_janus_of_one_client_leaves_nothing_behind_however_it_is_ended() {
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("held");
    let listener = UnixListener::bind(&socket).unwrap();
    let options = ["--held", socket.to_str().unwrap(), "--grandchild"];
    for by_signal in [true, false] {
        let home = Home::new(&server("bad", &options, ""));
        let mut janus = home.standalone();
        let child = held(&listener).await;
        if by_signal {
            let id = i32::try_from(janus.id()).unwrap();
            kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
        } else {
            janus.close_stdin();
        }
        gone(child).await;
        // `stop` would close its input.
        let ended = janus.finish();
        assert_eq!(
            ended.status.code(),
            Some(0),
            "{by_signal}: {}",
            ended.stderr
        );
    }
}
