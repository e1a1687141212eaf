//! Programs of another user of this machine, for real: they reach the port and are nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Client, Era, Home, Janus, Process, skip};

/// `nobody`, who owns nothing here.
const OTHER: u32 = 65534;
const TOOL: &str = "notes__add_note";

/// Janus in front of the demo's notes, which tell what was called.
fn notes() -> Janus {
    let server = json!([env!("CARGO_BIN_EXE_janus"), "demo-server", "ana"]);
    Janus::start_in(
        Home::new(&format!("notes: {{ command: {server} }}")),
        |_| {},
    )
}

/// Whether this test may become another user, and has the programs to.
pub(crate) fn possible(name: &str) -> bool {
    let there = |program: &str| {
        Command::new(program)
            .arg("--version")
            .output()
            .is_ok_and(|said| said.status.success())
    };
    let why = if !rustix::process::geteuid().is_root() {
        "only root can become another user"
    } else if !there("setpriv") || !there("curl") {
        "setpriv or curl is missing"
    } else {
        return true;
    };
    skip(name, why);
    false
}

/// A program of another user.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={OTHER}"), "--clear-groups", program]);
    command.current_dir("/");
    command
}

/// Sends these requests with curl, over one connection, as another user or as this one. The statuses and bodies.
fn curl(as_other: bool, arguments: &[&str], url: &str) -> Vec<(u16, Value)> {
    let mut command = if as_other {
        command("curl")
    } else {
        Command::new("curl")
    };
    // The same twice: a refusal holds for every request of a connection.
    command
        .args(["-q", "-s", "-w", "\n%{http_code}\n"])
        .args(arguments)
        .args([url, url])
        .current_dir("/");
    let ended = Process::run("curl", &mut command);
    assert!(ended.status.success(), "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let answers = lines.chunks(2).map(|lines| {
        let body = serde_json::from_str(lines[0]).unwrap_or(Value::Null);
        (lines[1].parse().unwrap(), body)
    });
    answers.collect()
}

/// The arguments of a call that writes a note down.
fn call() -> Vec<String> {
    let version = "2026-07-28";
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": TOOL, "arguments": { "text": "I was here" },
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "janus-tests", "version": "1" },
        },
    }});
    let headers = [
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        "mcp-method: tools/call",
        &format!("mcp-name: {TOOL}"),
        &format!("mcp-protocol-version: {version}"),
    ];
    let headers = headers.map(|header| ["-H".to_owned(), header.to_owned()]);
    [headers.concat(), vec!["-d".to_owned(), body.to_string()]].concat()
}

fn assert_refused(answers: &[(u16, Value)]) {
    assert_eq!(answers.len(), 2);
    for (status, body) in answers {
        assert_eq!(*status, 403, "{body}");
        let text = body["error"]["message"].as_str().unwrap();
        assert_eq!(
            text,
            format!(
                "the program on the other end belongs to user {OTHER}; this Janus serves user 0 only"
            )
        );
    }
}

async fn written(janus: &Janus) -> String {
    let mut client = Client::open(janus.http(), "/mcp", Era::Modern).await;
    client.text("notes__list_notes", json!({})).await
}

#[tokio::test]
async fn over_tcp_another_user_is_refused_and_calls_nothing() {
    if !possible("over_tcp_another_user_is_refused_and_calls_nothing") {
        return;
    }
    let mut janus = notes();
    let url = janus.url("/mcp");
    let call = call();
    let call: Vec<&str> = call.iter().map(String::as_str).collect();
    let before = written(&janus).await;
    assert_refused(&curl(true, &call, &url));
    assert_refused(&curl(true, &["-H", "accept: text/event-stream"], &url));
    assert_refused(&curl(true, &["-X", "DELETE"], &url));
    // Nor does its path or a key make a difference.
    let key = ["-H", "authorization: Bearer x"];
    assert_refused(&curl(true, &key, &janus.url("/nowhere")));
    assert_eq!(written(&janus).await, before);
    assert!(
        janus.stderr().contains(&format!("belongs to user {OTHER}")),
        "{}",
        janus.stderr()
    );

    // The very same command is served when it is ours.
    for (status, body) in curl(false, &call, &url) {
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!(written(&janus).await.matches("I was here").count(), 2);
}

#[tokio::test]
async fn a_socket_that_is_open_to_all_still_serves_one_user() {
    if !possible("a_socket_that_is_open_to_all_still_serves_one_user") {
        return;
    }
    let janus = notes();
    let socket = janus.socket().to_owned();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    socket
        .ancestors()
        .take_while(|path| path.starts_with(janus.home().path()))
        .for_each(open);
    let call = call();
    let mut arguments = vec!["--unix-socket", socket.to_str().unwrap()];
    arguments.extend(call.iter().map(String::as_str));
    let before = written(&janus).await;
    assert_refused(&curl(true, &arguments, "http://localhost/mcp"));
    assert_eq!(written(&janus).await, before);
    for (status, body) in curl(false, &arguments, "http://localhost/mcp") {
        assert_eq!(status, 200, "{body}");
    }
}
