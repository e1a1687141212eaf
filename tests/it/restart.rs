//! A restart of Janus: what it learnt of servers is there before they answer.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Client, Era, Home, Janus, within};

const SERVER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/servers/faulty_server.py"
);
/// Lists of everybody are made of what Janus knows; a view of one server alone would ask it.
const VIEW: &str = "/mcp";

/// A server that writes down its starts, and does not survive `server/discover`.
fn server(log: &Path) -> String {
    let command = json!(["python3", SERVER, "--start", "no-modern", "--log", log]);
    format!("server: {{ command: {command} }}")
}

/// The same server, but silent for as long as there is a file `muffle`.
fn muffled(muffle: &Path) -> String {
    let script = "if test -e \"$0\"; then exec cat >&2; fi; exec python3 \"$1\"";
    let command = json!(["sh", "-c", script, muffle, SERVER]);
    format!("server: {{ command: {command} }}")
}

fn starts(log: &Path) -> usize {
    let text = fs::read_to_string(log).unwrap();
    text.lines()
        .filter(|line| line.starts_with("start"))
        .count()
}

async fn tools(janus: &Janus, era: Era) -> Value {
    let mut client = Client::open(janus.http(), VIEW, era).await;
    client.result("tools/list", json!({})).await["tools"].take()
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_listed_as_it_was_before_the_restart() {
    let home = Home::new("");
    let muffle = home.path().join("muffle");
    fs::write(home.config(), config(&muffled(&muffle))).unwrap();
    let janus = Janus::start_in(home, |_| {});
    let mut before = Vec::new();
    for era in Era::CLIENTS {
        before.push(tools(&janus, era).await);
    }
    assert!(before[0].as_array().is_some_and(|tools| tools.len() > 10));
    let (ended, home) = janus.stop();
    assert!(ended.status.success(), "{}", ended.stderr);

    fs::write(&muffle, "").unwrap();
    let janus = Janus::start_in(home, |_| {});
    for (era, before) in Era::CLIENTS.into_iter().zip(before) {
        assert_eq!(tools(&janus, era).await, before, "{era:?}");
    }
}

#[tokio::test]
async fn the_era_of_a_server_is_found_once_and_not_once_for_each_start_of_janus() {
    let home = Home::new("");
    let log = home.path().join("log");
    fs::write(home.config(), config(&server(&log))).unwrap();
    let janus = Janus::start_in(home, |_| {});
    let listed = tools(&janus, Era::Legacy).await;
    // Once to be asked for its era, which it does not survive, and once to serve.
    assert_eq!(starts(&log), 2);
    let (_, home) = janus.stop();

    let janus = Janus::start_in(home, |_| {});
    assert_eq!(tools(&janus, Era::Legacy).await, listed);
    let mut client = Client::open(janus.http(), VIEW, Era::Legacy).await;
    assert_eq!(
        client.text("server__echo", json!({ "text": "hi" })).await,
        "hi"
    );
    assert_eq!(starts(&log), 3);
    let (_, home) = janus.stop();

    // Another log is another argument, and so another server.
    let other = home.path().join("other");
    fs::write(home.config(), config(&server(&other))).unwrap();
    let janus = Janus::start_in(home, |_| {});
    let mut client = Client::open(janus.http(), VIEW, Era::Legacy).await;
    assert_eq!(
        client.text("server__echo", json!({ "text": "hi" })).await,
        "hi"
    );
    assert_eq!(starts(&other), 2);
}

#[tokio::test]
async fn a_hangup_reads_the_configuration_again() {
    let home = Home::new("");
    let text = config(&server(&home.path().join("log")));
    let janus = Janus::start_in(home, |_| {});
    let there = async || {
        let listed = tools(&janus, Era::Modern).await;
        let mut listed = listed.as_array().into_iter().flatten();
        listed.any(|tool| tool["name"] == "server__echo")
    };
    assert!(!there().await);
    fs::write(janus.home().config(), text).unwrap();
    janus.hang_up();
    within("the reload", async { while !there().await {} }).await;
}

fn config(server: &str) -> String {
    format!("listen: {{ http: \"127.0.0.1:0\" }}\nservers:\n  {server}\n")
}
