//! `janus demo`: the program itself, its own servers, its own client.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Home, Output, Process};

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn the_check_calls_both_servers_and_leaves_nothing_behind() {
    let home = Home::new("");
    let ended = home.run(&["demo", "--check"]);
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""));
    let (first, rest) = ended.stdout.split_once('\n').unwrap();
    assert!(
        first.starts_with("Janus listens on http://127.0.0.1:"),
        "{first}"
    );
    insta::assert_snapshot!(rest, @r#"
      notes  a process that speaks on its standard input and output
      dice   a web server that speaks Streamable HTTP

    A client sees one list of 4 tools:
      notes__add_note    Write a note down.
      notes__list_notes  Read all notes.
      dice__choose       Choose one of several things.
      dice__roll         Roll dice and add them up.

    Calls through Janus:
      notes__add_note text="Janus was here"
        Noted. That is note 1.
      notes__list_notes
        1. Janus was here
      dice__roll count=2 sides=6 seed=7
        3 + 1 = 4

    ok: both servers answered through Janus
    "#);
    assert!(is_empty(&home.path().join("run")));
    assert!(is_empty(&home.path().join("state")));
}

#[test]
fn the_document_names_what_happened() {
    let ended = Home::new("").run(&["demo", "--check", "--json"]);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["schema"], "janus/demo/1");
    assert_eq!(document["tools"].as_array().unwrap().len(), 4);
    assert_eq!(document["calls"][0]["tool"], "notes__add_note");
    let url = document["url"].as_str().unwrap();
    let connect = format!("claude mcp add --scope user --transport http janus {url}");
    assert_eq!(document["connect"], connect);
}

#[test]
fn it_serves_until_a_signal_and_then_cleans_up() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let home = Home::new("");
        let mut demo = Process::start("janus demo", &mut home.command(&["demo"]));
        let address = demo.line(Output::Stdout, |line| {
            let head = "claude mcp add --scope user --transport http janus http://";
            let address = line.trim().strip_prefix(head)?.strip_suffix("/mcp")?;
            Some(address.to_owned())
        });
        std::net::TcpStream::connect(address).unwrap();
        assert!(!is_empty(&home.path().join("run")));
        let pid = Pid::from_raw(demo.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        assert_eq!(demo.finish().status.code(), Some(0), "{signal:?}");
        assert!(is_empty(&home.path().join("run")), "{signal:?}");
    }
}

#[test]
fn without_a_runtime_directory_it_finds_another_place() {
    let home = Home::new("");
    let mut command = home.command(&["demo", "--check"]);
    command
        .env("XDG_RUNTIME_DIR", home.path().join("missing"))
        .env("TMPDIR", home.path().join("run"));
    let ended = Process::run("janus demo", &mut command);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(is_empty(&home.path().join("run")));
}

#[test]
fn a_demo_that_fails_says_why_and_cleans_up() {
    let home = Home::new("");
    let ended = home.run(&["demo", "--check", "--timeout", "1ms"]);
    assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.starts_with("error["), "{}", ended.stderr);
    assert!(is_empty(&home.path().join("run")));
}
