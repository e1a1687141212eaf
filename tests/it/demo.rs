//! `janus demo`: the program itself, its own servers, its own client.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

fn demo(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_janus"));
    command
        .env_clear()
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home)
        .current_dir(home)
        .arg("demo")
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn the_check_calls_both_servers_and_leaves_nothing_behind() {
    let home = TempDir::new().unwrap();
    let output = demo(home.path(), &["--check"]).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), stderr.as_str()),
        (Some(0), ""),
        "{stdout}"
    );
    let (first, rest) = stdout.split_once('\n').unwrap();
    assert!(
        first.starts_with("Janus listens on http://127.0.0.1:"),
        "{first}"
    );
    insta::assert_snapshot!(rest, @"");
    assert!(is_empty(home.path()));
}

#[test]
fn the_document_names_what_happened() {
    let home = TempDir::new().unwrap();
    let output = demo(home.path(), &["--check", "--json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["schema"], "janus/demo/1");
    assert_eq!(document["tools"].as_array().unwrap().len(), 4);
    assert_eq!(document["calls"][0]["tool"], "notes__add_note");
    let url = document["url"].as_str().unwrap();
    let connect = format!("claude mcp add --scope user --transport http janus {url}");
    assert_eq!(document["connect"], connect);
}

/// Ended with the test, also when it fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn it_serves_until_it_is_interrupted_and_then_cleans_up() {
    let home = TempDir::new().unwrap();
    let child = demo(home.path(), &[])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let connect = lines
        .find_map(|line| {
            line.unwrap()
                .trim()
                .strip_prefix("claude mcp add ")
                .map(str::to_owned)
        })
        .unwrap();
    assert!(!is_empty(home.path()));
    let address = connect
        .strip_prefix("--scope user --transport http janus http://")
        .and_then(|rest| rest.strip_suffix("/mcp"))
        .unwrap();
    std::net::TcpStream::connect(address).unwrap();
    let pid = Pid::from_child(&running.0);
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    assert!(is_empty(home.path()));
}

#[test]
fn without_a_place_for_its_files_it_says_so_or_finds_another() {
    let home = TempDir::new().unwrap();
    let nowhere = home.path().join("missing");
    let output = demo(home.path(), &["--check"])
        .env("XDG_RUNTIME_DIR", &nowhere)
        .env("TMPDIR", home.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(is_empty(home.path()));
}
