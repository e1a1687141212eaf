//! The daemon restarts in mid-session: what was not in flight is not lost, what was is not repeated.

use std::fs;

use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;

use super::{Client, refused, server};
use crate::support::{Era, Fixture, Home, Janus, within};

const ALONE: [&str; 2] = ["--path", "/mcp/@good"];

/// The ways a daemon ends.
const ENDS: [bool; 2] = [true, false];

fn end(janus: Janus, killed: bool) -> Home {
    if killed { janus.kill() } else { janus.stop().1 }
}

fn start(home: Home) -> Janus {
    Janus::start_in(home, |_| {})
}

/// A server that writes down what it is called for, across its restarts.
fn logging(directory: &TempDir) -> (String, std::path::PathBuf) {
    let log = directory.path().join("log");
    let text = server("good", &["--log", log.to_str().unwrap()]);
    (text, log)
}

fn count(log: &std::path::Path, what: &str) -> usize {
    let text = fs::read_to_string(log).unwrap();
    text.lines().filter(|line| *line == what).count()
}

#[test]
fn the_next_call_works_as_if_nothing_had_been() {
    let directory = TempDir::new().unwrap();
    let (good, log) = logging(&directory);
    let mut janus = Janus::start(&good);
    let mut clients = Era::CLIENTS.map(|era| Client::open(janus.home(), era, &ALONE));
    let mut calls = 0;
    for killed in ENDS {
        for client in &mut clients {
            client.echo("before");
        }
        let home = end(janus, killed);
        // One asks while nobody is there, the other when somebody is there again.
        let [first, second] = &mut clients;
        let id = first.ask(
            "tools/call",
            json!({ "name": "echo", "arguments": { "text": "meanwhile" } }),
        );
        janus = start(home);
        let answer = first.answer(id);
        assert_eq!(
            answer["result"]["content"][0]["text"], "meanwhile",
            "{answer}"
        );
        second.echo("after");
        calls += 4;
        assert_eq!(count(&log, "call echo"), calls, "killed: {killed}");
        clients.reverse();
    }
    for client in clients {
        client.leave();
    }
}

#[test]
fn a_call_in_flight_at_the_kill_is_answered_once_and_ran_once() {
    let directory = TempDir::new().unwrap();
    let (good, log) = logging(&directory);
    let mut janus = Janus::start(&good);
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.home(), era, &ALONE);
        let before = count(&log, "call hold");
        let params = json!({ "name": "hold", "arguments": {}, "_meta": { "progressToken": 1 } });
        let id = client.ask("tools/call", params);
        client.heard("notifications/progress");
        janus = start(janus.kill());
        let answer = client.answer(id);
        let (text, data) = refused(&answer);
        assert_eq!(answer["error"]["code"], -32603);
        assert_eq!(*data, json!({ "code": "outcome_unknown", "sent": true }));
        assert!(
            text.contains("It may or may not have happened. Check before you repeat it."),
            "{text}"
        );
        client.echo("after");
        assert_eq!(count(&log, "call hold"), before + 1, "{era:?}");
        client.leave();
    }
}

#[tokio::test]
async fn a_call_in_flight_when_janus_is_asked_to_stop_gets_its_result_and_a_later_one_waits() {
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("held");
    for era in Era::CLIENTS {
        let listener = UnixListener::bind(&socket).unwrap();
        let janus = Janus::start(&server("good", &["--held", socket.to_str().unwrap()]));
        let mut child = within("the server", listener.accept()).await.unwrap().0;
        let mut client = Client::open(janus.home(), era, &ALONE);
        let params = json!({ "name": "hold", "arguments": {}, "_meta": { "progressToken": 1 } });
        let held = client.ask("tools/call", params);
        client.heard("notifications/progress");
        let address = janus.url("");
        janus.terminate();
        within("the port to close", async {
            while tokio::net::TcpStream::connect(address.strip_prefix("http://").unwrap())
                .await
                .is_ok()
            {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let later = client.ask(
            "tools/call",
            json!({ "name": "echo", "arguments": { "text": "later" } }),
        );
        child.write_all(b"!").await.unwrap();
        let answer = client.answer(held);
        assert_eq!(
            answer["result"]["content"][0]["text"], "released",
            "{answer}"
        );
        let (ended, home) = janus.stop();
        assert!(!ended.stderr.contains("cut off"), "{}", ended.stderr);
        let janus = start(home);
        let answer = client.answer(later);
        assert_eq!(answer["result"]["content"][0]["text"], "later", "{answer}");
        client.leave();
        drop(janus);
        fs::remove_file(&socket).unwrap();
    }
}

#[test]
fn what_a_session_subscribed_to_and_the_log_level_hold() {
    let fixture = Fixture::start(Era::Legacy);
    let mut janus = Janus::start(&format!("good: {{ url: {} }}", fixture.url()));
    let uri = json!({ "uri": "test://watched-resource" });
    let mut client = Client::open(janus.home(), Era::Legacy, &ALONE);
    client.request("resources/subscribe", uri.clone());
    client.request("logging/setLevel", json!({ "level": "emergency" }));
    for killed in ENDS {
        janus = start(end(janus, killed));
        client.text("test_trigger_resource_update", uri.clone());
        let updated = client.heard("notifications/resources/updated");
        assert_eq!(updated["params"]["uri"], uri["uri"]);
        // Three log messages of level `info`.
        client.text("test_tool_with_logging", json!({}));
        let logs = client
            .told
            .iter()
            .filter(|told| told["method"] == "notifications/message");
        assert_eq!(logs.count(), 0, "{:?}", client.told);
    }
    client.leave();
}

#[test]
fn a_subscription_of_the_modern_era_goes_on() {
    let fixture = Fixture::start(Era::Modern);
    let mut janus = Janus::start(&format!("good: {{ url: {} }}", fixture.url()));
    let mut client = Client::open(janus.home(), Era::Modern, &ALONE);
    let filter = json!({ "notifications": { "toolsListChanged": true } });
    client.ask("subscriptions/listen", filter);
    client.heard("notifications/subscriptions/acknowledged");
    for killed in ENDS {
        janus = start(end(janus, killed));
        // The list of a server that was just reached again is news by itself.
        client.text("test_simple_text", json!({}));
        client.text("test_trigger_tool_change", json!({}));
        client.heard("notifications/tools/list_changed");
        let again = client
            .told
            .iter()
            .filter(|told| told["method"] == "notifications/subscriptions/acknowledged");
        assert_eq!(again.count(), 0);
        client.told.clear();
    }
    client.shim.close_stdin();
    let ended = client.shim.finish();
    // The subscription has no response: its client is gone.
    assert_eq!(super::answers(&ended).len(), 5, "{}", ended.stdout);
}

#[test]
fn a_question_whose_daemon_is_gone_is_withdrawn() {
    let fixture = Fixture::start(Era::Legacy);
    let janus = Janus::start(&format!("good: {{ url: {} }}", fixture.url()));
    let mut client = Client::silent(janus.home(), Era::Legacy, &ALONE);
    let mut params = super::initialize();
    params["capabilities"] = json!({ "sampling": {} });
    client.request("initialize", params);
    client.notify("notifications/initialized", json!({}));
    let asking = json!({ "name": "test_sampling", "arguments": { "prompt": "p" } });
    let sampled = |id: &serde_json::Value| {
        json!({ "jsonrpc": "2.0", "id": id, "result": {
            "role": "assistant", "model": "m", "content": { "type": "text", "text": "hello" },
        }})
    };

    let call = client.ask("tools/call", asking.clone());
    let question = client.heard("sampling/createMessage");
    let janus = start(janus.kill());
    let withdrawn = client.heard("notifications/cancelled");
    assert_eq!(withdrawn["params"]["requestId"], question["id"]);
    let answer = client.answer(call);
    assert_eq!(refused(&answer).1["code"], "outcome_unknown");

    let call = client.ask("tools/call", asking);
    let again = client.heard("sampling/createMessage");
    assert_ne!(again["id"], question["id"]);
    // The late answer is nobody's; the one to the new question counts.
    client.say(&sampled(&question["id"]));
    client.say(&sampled(&again["id"]));
    let answer = client.answer(call);
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("hello"), "{text}");
    client.leave();
    drop(janus);
}

#[tokio::test]
async fn a_call_that_does_not_end_is_answered_when_janus_is_asked_to_stop() {
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("held");
    let listener = UnixListener::bind(&socket).unwrap();
    let janus = Janus::start(&server("good", &["--held", socket.to_str().unwrap()]));
    let _child = within("the server", listener.accept()).await.unwrap().0;
    let mut clients = Era::CLIENTS.map(|era| {
        let mut client = Client::open(janus.home(), era, &ALONE);
        let params = json!({ "name": "hold", "arguments": {}, "_meta": { "progressToken": 1 } });
        let held = client.ask("tools/call", params);
        client.heard("notifications/progress");
        (client, held)
    });
    janus.terminate();
    for (client, held) in &mut clients {
        let told = client.answer(*held).to_string();
        assert!(told.contains("outcome_unknown"), "{told}");
    }
    let (ended, home) = janus.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let janus = start(home);
    for (client, _) in &mut clients {
        client.echo("after");
    }
    for (client, _) in clients {
        client.leave();
    }
    drop(janus);
}
