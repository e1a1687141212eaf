//! Servers that are processes and misbehave: what their callers read, and that the next call is served.

use std::fs;

use serde_json::json;
use tempfile::TempDir;
use tokio::net::UnixListener;

use super::{failed_call, gone, good, held, others_are_served, server, text_again};
use crate::support::{Client, Era, Janus};

const BAD: &str = "/mcp/@bad";

fn janus(options: &[&str], settings: &str) -> Janus {
    Janus::start(&(good() + &server("bad", options, settings)))
}

#[tokio::test]
async fn a_child_that_dies_in_mid_call_leaves_the_outcome_unknown_and_is_started_again() {
    let janus = janus(&[], "");
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.http(), BAD, era).await;
        let pid = client.text("pid", json!({})).await;
        let (text, error) = failed_call(&mut client, "die").await;
        assert!(
            text.starts_with("bad/default closed the connection before it answered: "),
            "{text}"
        );
        assert!(
            text.contains("the disk is on fire") && text.contains('7'),
            "{text}"
        );
        assert!(
            text.ends_with("It may or may not have happened. Check before you repeat it."),
            "{text}"
        );
        assert_eq!(
            error,
            json!({ "code": "outcome_unknown", "account": "bad/default", "sent": true })
        );
        assert_ne!(text_again(&mut client, "pid").await, pid);
    }
    let mut client = Client::open(janus.http(), BAD, Era::Legacy).await;
    let mut other = Client::open(janus.unix(), BAD, Era::Modern).await;
    // Whoever else waited for it learns the same.
    let (dead, bystander) = tokio::join!(failed_call(&mut client, "never"), async {
        text_again(&mut other, "echo").await;
        failed_call(&mut other, "die").await
    });
    assert_eq!(
        (&dead.1["code"], &bystander.1["code"]),
        (&json!("outcome_unknown"), &json!("outcome_unknown"))
    );
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_child_that_ends_at_its_start_says_why() {
    let home = TempDir::new().unwrap();
    let log = home.path().join("log");
    let janus = janus(&["--start", "exit", "--log", log.to_str().unwrap()], "");
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.http(), BAD, era).await;
        let (text, error) = failed_call(&mut client, "echo").await;
        assert!(
            text.starts_with("bad/default cannot be reached: "),
            "{text}"
        );
        assert!(
            text.contains("config: no token in API_TOKEN_FILE"),
            "{text}"
        );
        assert!(text.contains("Nothing was sent."), "{text}");
        assert_eq!(
            (&error["code"], &error["sent"]),
            (&json!("unavailable"), &json!(false)),
            "{error}"
        );
    }
    // A method that is no call is told by an error.
    let mut client = Client::open(janus.http(), BAD, Era::Legacy).await;
    let response = client
        .request("prompts/get", json!({ "name": "p" }))
        .await
        .response;
    assert_eq!(response["error"]["code"], -32603, "{response}");
    assert_eq!(
        response["error"]["data"]["code"], "unavailable",
        "{response}"
    );
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_program_that_is_not_found_is_explained_by_path() {
    let janus = Janus::start(
        &(good()
            + "bad: { command: [npx, nothing], env: { PATH: /nowhere } }\nworse: { command: [/no/such/program] }\n"),
    );
    let mut client = Client::open(janus.http(), BAD, Era::Modern).await;
    let (text, error) = failed_call(&mut client, "echo").await;
    assert!(text.starts_with("bad/default cannot be reached: `npx` was not found on PATH (/nowhere); give `command` an absolute path"), "{text}");
    assert!(text.contains("Nothing was sent."), "{text}");
    assert_eq!(
        (&error["code"], &error["sent"]),
        (&json!("unavailable"), &json!(false))
    );
    let mut client = Client::open(janus.http(), "/mcp/@worse", Era::Legacy).await;
    let (text, _) = failed_call(&mut client, "echo").await;
    assert!(
        text.starts_with("worse/default cannot be reached: `/no/such/program` does not exist. "),
        "{text}"
    );
    others_are_served(&janus).await;
}

#[tokio::test]
async fn noise_hurts_nobody() {
    let mut janus = janus(&[], "");
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.http(), BAD, era).await;
        let pid = client.text("pid", json!({})).await;
        for (tool, text) in [
            ("garbage", "after garbage"),
            ("flood", "after the flood"),
            ("twice", "first"),
            ("echo", "echo"),
        ] {
            assert_eq!(client.text(tool, json!({})).await, text, "{era:?}");
        }
        assert_eq!(client.text("pid", json!({})).await, pid);
    }
    others_are_served(&janus).await;
    assert!(
        janus.stderr().contains("messages were ignored"),
        "{}",
        janus.stderr()
    );
}

#[tokio::test]
async fn a_call_that_is_never_answered_times_out_and_the_server_is_told() {
    let janus = janus(&[], "timeout: 1s");
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.http(), BAD, era).await;
        let (text, error) = failed_call(&mut client, "never").await;
        assert_eq!(
            text,
            "bad/default gave no sign for 1 s. It was cancelled, but it may have happened. Check before you repeat it."
        );
        assert_eq!(
            error,
            json!({ "code": "timed_out", "account": "bad/default", "sent": true })
        );
        let seen: Vec<String> =
            serde_json::from_str(&client.text("seen", json!({})).await).unwrap();
        assert_eq!(
            seen[seen.len() - 3..],
            ["call never", "cancelled never", "call seen"]
        );
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_line_that_is_too_long_fails_its_own_call_at_once() {
    let janus = janus(&[], "");
    for (era, tool) in [
        (Era::Legacy, "long_id_first"),
        (Era::Modern, "long_id_last"),
    ] {
        let mut holding = Client::open(janus.http(), BAD, era).await;
        let mut client = Client::open(janus.unix(), BAD, era).await;
        let (concurrent, ()) = tokio::join!(holding.text("hold", json!({})), async {
            client.text("wait_held", json!({ "count": 1 })).await;
            let (text, error) = failed_call(&mut client, tool).await;
            assert_eq!(
                text,
                "bad/default sent an answer that cannot be used: a message is longer than 16 MiB. The call reached the server. Check before you repeat it."
            );
            assert_eq!(
                error,
                json!({ "code": "unavailable", "account": "bad/default", "sent": true })
            );
            assert_eq!(client.text("release", json!({})).await, "1");
        });
        assert_eq!(concurrent, "released", "{tool}");
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_malformed_tool_costs_that_tool_and_pages_in_a_circle_end() {
    let mut janus = Janus::start(
        &(good()
            + &server("bad", &["--lists", "malformed"], "")
            + &server("circle", &["--lists", "circle"], "")),
    );
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.http(), "/mcp", era).await;
        let names = client.names("tools/list", "name").await;
        let of = |server: &str| names.iter().filter(|name| name.starts_with(server)).count();
        assert_eq!(
            (of("good__"), of("bad__"), of("circle__")),
            (15, 15, 1),
            "{names:?}"
        );
        for tool in ["good__echo", "bad__echo", "circle__echo"] {
            assert_eq!(client.text(tool, json!({})).await, "echo");
        }
    }
    let said = janus.stderr();
    assert!(said.contains("the pages go in circles"), "{said}");
    assert_eq!(said.matches("an item is left out").count(), 5, "{said}");
}

#[tokio::test]
async fn a_server_that_ends_at_the_modern_question_is_started_again_and_asked_the_old_one() {
    let home = TempDir::new().unwrap();
    let log = home.path().join("log");
    let janus = janus(
        &["--start", "no-modern", "--log", log.to_str().unwrap()],
        "",
    );
    let mut client = Client::open(janus.http(), BAD, Era::Legacy).await;
    assert_eq!(client.text("echo", json!({})).await, "echo");
    let starts = || {
        fs::read_to_string(&log)
            .unwrap()
            .lines()
            .filter(|line| line.starts_with("start"))
            .count()
    };
    assert_eq!(starts(), 2);
    // What was found out is remembered.
    failed_call(&mut client, "die").await;
    assert_eq!(text_again(&mut client, "echo").await, "echo");
    assert_eq!(starts(), 3);
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_server_that_is_silent_to_the_modern_question_is_asked_the_old_one_in_time() {
    let janus = janus(&["--start", "silent"], "timeout: 1s");
    let mut client = Client::open(janus.http(), BAD, Era::Modern).await;
    // Each call waits for its own timeout only; the server is there after the first at latest.
    let params = json!({ "name": "echo", "arguments": {} });
    let mut result = client.result("tools/call", params.clone()).await;
    for _ in 0..10 {
        if result["isError"] != true {
            break;
        }
        result = client.result("tools/call", params.clone()).await;
    }
    assert_eq!(result["content"][0]["text"], "echo", "{result}");
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_server_that_nobody_uses_is_stopped_and_started_for_the_next_call() {
    let home = TempDir::new().unwrap();
    let socket = home.path().join("held");
    let listener = UnixListener::bind(&socket).unwrap();
    let janus = janus(
        &["--held", socket.to_str().unwrap(), "--grandchild"],
        "idle: 300ms",
    );
    let mut client = Client::open(janus.http(), BAD, Era::Legacy).await;
    let mut pids = std::collections::BTreeSet::new();
    for round in 0..2 {
        if round > 0 {
            // Nobody's call has to know.
            assert!(pids.insert(client.text("pid", json!({})).await));
        }
        gone(held(&listener).await).await;
    }
    // Lists are answered without it.
    assert_eq!(client.names("tools/list", "name").await.len(), 15);
    others_are_served(&janus).await;
}

#[tokio::test]
async fn what_a_child_has_started_ends_with_it() {
    let home = TempDir::new().unwrap();
    let socket = home.path().join("held");
    let listener = UnixListener::bind(&socket).unwrap();
    let janus = janus(&["--held", socket.to_str().unwrap(), "--grandchild"], "");
    let first = held(&listener).await;
    let mut client = Client::open(janus.http(), BAD, Era::Legacy).await;
    let (_, error) = failed_call(&mut client, "die").await;
    assert_eq!(error["code"], "outcome_unknown");
    gone(first).await;
    assert_eq!(text_again(&mut client, "echo").await, "echo");
    let second = held(&listener).await;
    others_are_served(&janus).await;
    let (ended, _home) = janus.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    gone(second).await;
}
