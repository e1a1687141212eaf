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
fn the_check_shows_two_identities_of_one_server_and_leaves_nothing_behind() {
    let home = Home::new("");
    let ended = home.run(&["demo", "--check"]);
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""));
    let (first, rest) = ended.stdout.split_once('\n').unwrap();
    assert!(
        first.starts_with("Janus listens on http://127.0.0.1:"),
        "{first}"
    );
    insta::assert_snapshot!(rest, @r#"
      notes/alice  a process of her own, on its standard input and output
      notes/bob    another process of the same program
      dice         a web server that speaks Streamable HTTP

    A client sees one list of 8 tools, whatever the number of accounts:
      janus_whoami         As whom calls act now: the profile, and for each server the account and why it is this one.
      janus_list_accounts  The accounts in reach, which one is active at each server, and whether it is ready.
      janus_use_account    Choose the account that calls to its server use from now on. For one call alone, pass janus_account in that call instead.
      janus_with_account   Call a tool as a certain account; without `tool`, list that account's tools. For tools that take no janus_account.
      notes__add_note      Write a note down.
      notes__list_notes    Read all notes.
      dice__choose         Choose one of several things.
      dice__roll           Roll dice and add them up.

    What it does with them, in one session:
      as Alice: the call says whom it means
        $ notes__add_note text="call Carol" janus_account="alice"
        Noted. alice has 1 note.
      the same tool as Bob, who has a process and notes of his own
        $ notes__list_notes janus_account="bob"
        bob has no notes.
      without a word nothing is guessed
        $ notes__list_notes
        notes has several accounts here: alice, bob. Nothing was sent. Call again with "janus_account" set to one of them; if it is not clear which, ask the person.
      a switch: this session is Alice from now on
        $ janus_use_account account="notes/alice"
        {"active":{"notes":"alice"},"was":{"notes":null},"scope":"session"}
      so the call needs no word any more
        $ notes__list_notes
        alice has 1 note:
        1. call Carol
      a server with one account is simply used
        $ dice__roll count=2 sides=6 seed=7
        3 + 1 = 4
      a crossing: another client, at /mcp/bob, asks to be Alice
        $ notes__list_notes janus_account="alice"
        notes has no account "alice" here; there are: bob. Nothing was sent. No other account was used instead.

    ok: one endpoint, two identities of one server, and nobody was mistaken for the other
    "#);
    assert!(is_empty(&home.path().join("run")));
    assert!(is_empty(&home.path().join("state")));
}

#[test]
fn the_document_names_what_happened() {
    let ended = Home::new("").run(&["demo", "--check", "--json"]);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["schema"], "janus/demo/1");
    assert_eq!(document["tools"].as_array().unwrap().len(), 8);
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
