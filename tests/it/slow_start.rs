//! A local server that needs its time to start, as one does that is downloaded first: whoever wants something of it waits,
//! and whoever does not wait so long learns what for.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Client, Ended, Era, Home, Janus, Output, Process};

/// A Janus in front of a server that starts when it is told to.
struct Slow {
    janus: Janus,
    gate: PathBuf,
}

impl Slow {
    fn start() -> Self {
        let janus = env!("CARGO_BIN_EXE_janus");
        Self::of(&format!("{janus} demo-server ana"))
    }

    fn of(server: &str) -> Self {
        let home = Home::new("");
        let gate = home.path().join("gate");
        let made = Command::new("mkfifo").arg(&gate).status().unwrap();
        assert!(made.success());
        let script = format!("read line < {}; exec {server}", gate.display());
        let server = format!(
            "listen: {{ http: \"127.0.0.1:0\" }}\nservers:\n  slow: {{ command: [sh, -c, \"{script}\"] }}\n"
        );
        fs::write(home.config(), server).unwrap();
        let janus = Janus::start_in(home, |_| {});
        Self { janus, gate }
    }

    /// Lets the server start.
    fn open(&self) {
        fs::write(&self.gate, "\n").unwrap();
    }

    fn begin(&self, arguments: &[&str]) -> Process {
        let mut process = Process::start("janus tool", &mut self.janus.home().command(arguments));
        process.close_stdin();
        process
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.janus.home().run(arguments)
    }
}

fn waits(line: &str) -> Option<()> {
    (line == "waiting for slow/default to start").then_some(())
}

#[test]
fn a_list_has_what_a_server_offers_that_was_still_starting() {
    let slow = Slow::start();
    let mut list = slow.begin(&["tool", "list"]);
    list.line_or_end(Output::Stderr, waits).unwrap();
    slow.open();
    let ended = list.finish();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("slow__add_note\n"), "{ended:?}");
    assert!(!ended.stderr.contains("warning"), "{ended:?}");
}

#[test]
fn a_call_waits_for_its_server() {
    let slow = Slow::start();
    let mut call = slow.begin(&["tool", "call", "slow__add_note", "text=milk"]);
    call.line_or_end(Output::Stderr, waits).unwrap();
    slow.open();
    let ended = call.finish();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("ana has 1 note"), "{ended:?}");
}

#[test]
fn a_server_that_does_not_come_in_time_is_named_with_what_helps() {
    let slow = Slow::start();
    let ended = slow.run(&["tool", "list", "--timeout", "1500ms"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    insta::assert_snapshot!(untimed(&ended.stderr), @"
    waiting for slow/default to start
    warning: slow/default is not listed yet: it is still starting after N s:  janus logs --server slow
    ");
    let ended = slow.run(&[
        "tool",
        "call",
        "slow__add_note",
        "text=milk",
        "--timeout",
        "2s",
    ]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    insta::assert_snapshot!(untimed(&ended.stderr), @"
    waiting for slow/default to start
    error[timed_out]: `slow__add_note` is not there yet: slow/default is still starting after N s
      sent:  nothing
      where: slow/default
      help:  give it longer:  --timeout 5m
      help:  janus logs --server slow
    ");
}

/// A busy machine takes its time.
fn untimed(text: &str) -> String {
    let mut parts = text.split("after ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.trim_start_matches(|digit: char| digit.is_ascii_digit());
        format!("{text}after N{rest}")
    })
}

// With two threads the call is under way while this one waits for the command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_client_that_waits_gets_its_answer() {
    let slow = Slow::start();
    let mut client = Client::open(slow.janus.http(), "/mcp", Era::Legacy).await;
    let mut call = JoinSet::new();
    call.spawn(async move { client.call("slow__add_note", json!({"text": "milk"})).await });
    // Longer than any list is held back.
    let mut list = slow.begin(&["tool", "list", "--timeout", "4s"]);
    list.line_or_end(Output::Stderr, |line| {
        line.starts_with("warning: ").then_some(())
    })
    .unwrap();
    assert!(call.try_join_next().is_none());
    slow.open();
    let result = call.join_next().await.unwrap().unwrap();
    assert_eq!(result[0]["text"], "Noted. ana has 1 note.", "{result}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_and_a_resource_are_waited_for_like_a_tool() {
    const SERVER: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/servers/offering_server.py"
    );
    let slow = Slow::of(&format!("python3 {SERVER}"));
    let mut asked = JoinSet::new();
    for (method, params) in [
        ("prompts/get", json!({"name": "slow__greet"})),
        ("resources/read", json!({"uri": "offer://one"})),
    ] {
        let mut client = Client::open(slow.janus.http(), "/mcp", Era::Legacy).await;
        asked.spawn(async move { client.result(method, params).await });
    }
    // Longer than any list is held back.
    let mut list = slow.begin(&["tool", "list", "--timeout", "4s"]);
    list.line_or_end(Output::Stderr, |line| {
        line.starts_with("warning: ").then_some(())
    })
    .unwrap();
    assert!(asked.try_join_next().is_none());
    slow.open();
    let said: Vec<String> = asked
        .join_all()
        .await
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        said.iter().any(|said| said.contains("say hello")),
        "{said:?}"
    );
    assert!(
        said.iter().any(|said| said.contains("the first")),
        "{said:?}"
    );
    // Where all are there, nobody waits for what none has.
    let mut client = Client::open(slow.janus.http(), "/mcp", Era::Legacy).await;
    let none = json!({"uri": "nowhere://two"});
    assert_eq!(client.error("resources/read", none).await, -32002);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_that_nobody_has_is_not_there_whatever_becomes_of_other_servers() {
    let slow = Slow::of("sh -c 'exit 3'");
    let mut client = Client::open(slow.janus.http(), "/mcp", Era::Legacy).await;
    let mut asked = JoinSet::new();
    let none = json!({"uri": "nowhere://two"});
    asked.spawn(async move { client.request("resources/read", none).await.response });
    // Longer than any list is held back.
    let mut list = slow.begin(&["tool", "list", "--timeout", "4s"]);
    list.line_or_end(Output::Stderr, |line| {
        line.starts_with("warning: ").then_some(())
    })
    .unwrap();
    // However often it is started, it ends; it may have ended before all is written.
    let gate = slow.gate.clone();
    std::thread::spawn(move || {
        while gate.exists() {
            fs::write(&gate, "\n").ok();
        }
    });
    let said = asked.join_next().await.unwrap().unwrap();
    let error = &said["error"];
    assert_eq!(error["code"], -32002, "{said}");
    assert_eq!(error["data"]["uri"], "nowhere://two", "{said}");
    assert_eq!(error["data"]["not_up"][0]["account"], "slow/default");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("no server here has this resource"));
    assert!(message.ends_with(": slow/default"), "{message}");
}

#[test]
fn a_server_that_fails_is_told_of_with_its_cause() {
    let janus = Janus::start("broken: { command: [sh, -c, \"exit 3\"] }\n");
    let list = janus.home().run(&["tool", "list"]);
    assert_eq!(list.status.code(), Some(0), "{list:?}");
    let cannot = "warning: broken/default cannot be reached: ";
    assert!(list.stderr.contains(cannot), "{list:?}");
    assert!(
        list.stderr.ends_with(":  janus logs --server broken\n"),
        "{list:?}"
    );
    let call = janus.home().run(&["tool", "call", "broken__roll"]);
    assert_eq!(call.status.code(), Some(1), "{call:?}");
    let lines: Vec<&str> = call.stderr.lines().collect();
    assert!(
        lines[0].starts_with("error[unavailable]: broken/default cannot be reached: "),
        "{call:?}"
    );
    assert!(lines[0].contains("tries again in "), "{call:?}");
    assert_eq!(lines[1], "  sent:  nothing", "{call:?}");
    assert_eq!(
        lines.last(),
        Some(&"  help:  janus logs --server broken"),
        "{call:?}"
    );
}
