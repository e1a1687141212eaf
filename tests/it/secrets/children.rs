//! Processes get secrets by their environment alone, and another process when those change.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_util::task::TaskTracker;

use crate::support::{Client, Era, Janus, PATIENCE, until};

use super::{call, home, script, set, succeeded};

/// A server that answers with what its variable holds, slowly where it is asked to, until a file is there.
const SERVER: &str = r#"#!/usr/bin/env python3
import json, os, sys, time
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    method, result = message.get("method"), None
    if method == "initialize":
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "env", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [{"name": "value", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        wait = (message["params"].get("arguments") or {}).get("wait")
        while wait and not os.path.exists(wait):
            time.sleep(0.02)
        text = "%d %s" % (os.getpid(), os.environ.get("TOKEN"))
        result = {"content": [{"type": "text", "text": text}]}
    elif method == "ping":
        result = {}
    if result is None:
        answer = {"error": {"code": -32601, "message": "no such method"}}
    else:
        answer = {"result": result}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
"#;

fn text(result: &serde_json::Value) -> (u32, String) {
    assert_ne!(result["isError"], true, "{result}");
    let text = result["content"][0]["text"].as_str().unwrap();
    let (id, value) = text.split_once(' ').unwrap();
    (id.parse().unwrap(), value.to_owned())
}

/// The server with a variable that a command fills, whose tokens are numbered and good for this long.
fn with_a_helper(ttl: &str) -> Janus {
    let home = home(&format!(
        "s: {{ command: [SERVER], auth: {{ command: [HELPER], ttl: {ttl}, into: TOKEN }} }}\n"
    ));
    let server = script(home.path(), "server", SERVER);
    let helper = script(
        home.path(),
        "helper",
        "#!/bin/sh\ncd \"$HOME\"; echo run >> runs\nprintf 'token-%s-%s' $(wc -l < runs) abcdef\n",
    );
    let config = fs::read_to_string(home.config()).unwrap();
    let config = config
        .replace("SERVER", server.to_str().unwrap())
        .replace("HELPER", helper.to_str().unwrap());
    fs::write(home.config(), config).unwrap();
    Janus::start_in(home, |_| {})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_changes_gives_another_process_and_fails_no_call() {
    let home = home("s: { command: [SERVER], env: { TOKEN: vault:t } }\n");
    let server = script(home.path(), "server", SERVER);
    let config = fs::read_to_string(home.config()).unwrap();
    fs::write(
        home.config(),
        config.replace("SERVER", server.to_str().unwrap()),
    )
    .unwrap();
    succeeded(&set(&home, "t", "first-value"));
    let janus = Janus::start_in(home, |_| {});
    let (first, value) = text(&call(&janus, "s__value").await);
    assert_eq!(value, "first-value");
    // Not in its arguments, nor in ours.
    for id in [first, janus.id()] {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&line).contains("first-value"));
    }

    // One call runs while the secret changes; others come all the time.
    let go = janus.home().path().join("go");
    let mut running = Client::open(janus.http(), "/mcp", Era::Legacy).await;
    let params = json!({"name": "s__value", "arguments": {"wait": go}});
    let tasks = TaskTracker::new();
    let running = tasks.spawn(async move { running.result("tools/call", params).await });
    let mut client = Client::open(janus.http(), "/mcp", Era::Legacy).await;
    succeeded(&set(janus.home(), "t", "second-value"));
    // The first process has one call that waits, and is asked nothing else any more.
    for round in 0..200 {
        let params = json!({"name": "s__value", "arguments": {}});
        let (id, value) = text(&client.result("tools/call", params).await);
        assert_eq!(value, "second-value", "round {round}");
        assert_ne!(id, first);
    }
    fs::write(&go, "").unwrap();
    let (id, value) = text(&running.await.unwrap());
    assert_eq!(
        (id, value.as_str()),
        (first, "first-value"),
        "it ends on the process it began on"
    );
    until("the end of the first process", || {
        !fs::exists(format!("/proc/{first}")).unwrap()
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ends_gives_another_process_before_it_does() {
    let janus = with_a_helper("3s");
    let mut client = Client::open(janus.http(), "/mcp", Era::Legacy).await;
    let mut values = Vec::new();
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        let result = client
            .result("tools/call", json!({"name": "s__value", "arguments": {}}))
            .await;
        values.push(text(&result).1);
    }
    values.dedup();
    assert!(values.len() >= 3, "{values:?}");
    let expected: Vec<String> = (1..=values.len())
        .map(|number| format!("token-{number}-abcdef"))
        .collect();
    assert_eq!(values, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_changes_while_its_process_starts_is_not_missed() {
    let home = home("s: { command: [SERVER], env: { TOKEN: vault:t } }\n");
    let (go, began) = (home.path().join("go"), home.path().join("began"));
    // It shakes hands when it is allowed to.
    let wait = format!(
        "import os, time\nopen({began:?}, 'w').close()\nwhile not os.path.exists({go:?}):\n    time.sleep(0.02)\n"
    );
    let (head, rest) = SERVER.split_once('\n').unwrap();
    let server = script(home.path(), "server", &format!("{head}\n{wait}{rest}"));
    let config = fs::read_to_string(home.config()).unwrap();
    fs::write(
        home.config(),
        config.replace("SERVER", server.to_str().unwrap()),
    )
    .unwrap();
    succeeded(&set(&home, "t", "first-value"));
    let janus = Janus::start_in(home, |_| {});
    until("the process", || began.exists());
    succeeded(&set(janus.home(), "t", "second-value"));
    fs::write(&go, "").unwrap();
    let end = Instant::now() + PATIENCE;
    while text(&call(&janus, "s__value").await).1 != "second-value" {
        assert!(Instant::now() < end, "the old value is used on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_one_use_is_fetched_once_for_a_process() {
    let janus = with_a_helper("0");
    let (first, value) = text(&call(&janus, "s__value").await);
    assert_eq!(value, "token-1-abcdef");
    succeeded(&set(janus.home(), "other", "changes the vault"));
    for _ in 0..50 {
        assert_eq!(
            text(&call(&janus, "s__value").await),
            (first, value.clone())
        );
    }
    let runs = fs::read_to_string(janus.home().path().join("home/runs")).unwrap();
    assert_eq!(runs.lines().count(), 1);
}
