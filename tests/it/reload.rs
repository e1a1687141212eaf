//! A reload: what is the same in both configurations goes on, what waits is tried, and a refused file is told of.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, Ended, Era, Home, Janus, until};

/// Notes are in the memory of a process, so that their number says whether it is the same.
fn notes(name: &str, who: &str) -> String {
    let command = json!([env!("CARGO_BIN_EXE_janus"), "demo-server", who]);
    format!("  {name}: {{ command: {command} }}\n")
}

fn configuration(servers: &[String]) -> String {
    format!(
        "listen: {{ http: \"127.0.0.1:0\" }}\nservers:\n{}",
        servers.concat()
    )
}

fn reload(janus: &Janus) -> Ended {
    janus.home().run(&["config", "reload"])
}

async fn add(client: &mut Client, server: &str) -> String {
    let tool = format!("{server}__add_note");
    client.text(&tool, json!({ "text": "milk" })).await
}

#[tokio::test]
async fn what_is_the_same_in_both_configurations_is_not_touched() {
    let home = Home::new("");
    let before = [notes("one", "ana"), notes("two", "bob")];
    fs::write(home.config(), configuration(&before)).unwrap();
    let janus = Janus::start_in(home, |_| {});
    let mut clients = Vec::new();
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.http(), "/mcp", era).await;
        let stream = client.listen(&[]).await;
        clients.push((client, stream));
    }
    for (count, (client, _)) in clients.iter_mut().enumerate() {
        for (server, who) in [("one", "ana"), ("two", "bob")] {
            let said = add(client, server).await;
            assert!(said.contains(&format!("{who} has {}", count + 1)), "{said}");
        }
    }
    let after = [
        notes("one", "ana"),
        notes("two", "eve"),
        notes("three", "kim"),
    ];
    fs::write(janus.home().config(), configuration(&after)).unwrap();
    let ended = reload(&janus);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    for (count, (client, stream)) in clients.iter_mut().enumerate() {
        // The session and its stream are those of before, and so is the process that nobody changed.
        if count == 0 {
            stream.wait_for("notifications/tools/list_changed").await;
        } else {
            // Without a session what is listened to may be another thing now: the request is answered, and asked anew.
            let last = stream.next().await;
            assert_eq!(last["result"]["resultType"], "complete", "{last}");
            client.listen(&[]).await;
        }
        for (server, who, notes) in [
            ("one", "ana", count + 3),
            ("two", "eve", count + 1),
            ("three", "kim", count + 1),
        ] {
            let said = add(client, server).await;
            assert!(said.contains(&format!("{who} has {notes}")), "{said}");
        }
    }
}

#[test]
fn what_waits_is_tried_at_once() {
    let home = Home::new("");
    let there = home.path().join("there");
    let script = format!(
        "test -e {} && exec {} demo-server ana",
        there.display(),
        env!("CARGO_BIN_EXE_janus")
    );
    let server = format!("  late: {{ command: [sh, -c, \"{script}\"] }}\n");
    fs::write(home.config(), configuration(&[server])).unwrap();
    let janus = Janus::start_in(home, |_| {});
    let state = || {
        let status = janus.home().run(&["status", "--json"]);
        let status: Value = serde_json::from_str(&status.stdout).unwrap();
        status["accounts"][0]["state"].clone()
    };
    let mut pause = Duration::ZERO;
    until("a long pause", || {
        pause = Duration::from_secs(state()["next_try_in"].as_u64().unwrap_or_default());
        pause > Duration::from_secs(6)
    });
    let seen = Instant::now();
    fs::write(&there, "").unwrap();
    let ended = reload(&janus);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    until("the server", || state()["word"] == "ready");
    assert!(
        seen.elapsed() < pause,
        "it was tried when it was due anyway"
    );
}

#[test]
fn a_refused_file_is_told_of_until_it_is_mended() {
    let janus = Janus::start("");
    let good = fs::read_to_string(janus.home().config()).unwrap();
    let status = || janus.home().run(&["status"]).stdout;
    assert!(status().contains(" (read "), "{}", status());
    fs::write(janus.home().config(), "servers: 7\n").unwrap();
    assert_eq!(reload(&janus).status.code(), Some(78));
    let told = status();
    assert!(told.contains("; what it says now is refused)"), "{told}");
    let advice = "  janus config validate   # the earlier configuration stays in force: ";
    assert!(told.contains(advice), "{told}");
    fs::write(janus.home().config(), good).unwrap();
    assert_eq!(reload(&janus).status.code(), Some(0));
    assert!(!status().contains("refused"), "{}", status());
}
