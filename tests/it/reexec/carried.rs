//! What goes along: connections, sessions, processes; and what does not.

use std::fs;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use super::{Installed, SERVER, server};
use crate::support::{Client, Era, within};

#[tokio::test]
async fn sessions_connections_and_processes_go_along() {
    let installed = Installed::start();
    let janus = &installed.janus;
    let mut clients = Vec::new();
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.http(), "/mcp", era).await;
        assert_eq!(
            client.text("server__echo", json!({"text": "before"})).await,
            "before"
        );
        clients.push(client);
    }
    let mut shim = janus.home().connect(&[]);
    let (starts, id) = (installed.starts(), janus.id());
    for round in 0..3 {
        installed.install_again();
        assert!(installed.running().to_string_lossy().ends_with("(deleted)"));
        let ended = installed.reexec(&[]);
        assert!(ended.status.success(), "{}", ended.stderr);
        let told: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(told["pid"], id, "{told}");
        assert_eq!(installed.running(), installed.program());
        // On the connections and in the sessions of before.
        for client in &mut clients {
            let text = format!("after {round}");
            assert_eq!(
                client.text("server__echo", json!({"text": text})).await,
                text
            );
        }
    }
    assert_eq!(installed.starts(), starts);
    shim.close_stdin();
    assert_eq!(installed.status().await["lives"], 3);
}

/// One request of a client that keeps its connection, in two pieces of its text.
pub(super) fn pieces(host: &str, text: &str) -> (String, String) {
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "server__echo", "arguments": {"text": text}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }},
    })
    .to_string();
    let head = format!("POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n");
    let rest = format!(
        "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: server__echo\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    (head, rest)
}

pub(super) fn answered(stream: &mut impl Read) -> String {
    let mut text = String::new();
    let mut piece = [0; 4096];
    while !text.contains("\"kept\"") {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "the connection ended after {text:?}");
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    text
}

#[tokio::test]
async fn a_connection_is_kept_with_half_a_request_in_it() {
    let installed = Installed::start();
    let address = installed
        .janus
        .url("")
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    let (head, rest) = pieces(&address, "kept");
    let connect = || {
        let stream = TcpStream::connect(&address).unwrap();
        stream
            .set_read_timeout(Some(std::time::Duration::from_secs(30)))
            .unwrap();
        stream
    };
    let (mut idle, mut half, mut silent) = (connect(), connect(), connect());
    for stream in [&mut idle, &mut half] {
        write!(stream, "{head}{rest}").unwrap();
        answered(stream);
    }
    write!(half, "{head}").unwrap();
    for _ in 0..2 {
        let ended = installed.reexec(&[]);
        assert!(ended.status.success(), "{}", ended.stderr);
    }
    write!(half, "{rest}").unwrap();
    for stream in [&mut idle, &mut silent] {
        write!(stream, "{head}{rest}").unwrap();
    }
    for stream in [&mut idle, &mut half, &mut silent] {
        assert!(answered(stream).starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn while_a_call_is_under_way_nothing_changes_unless_that_is_asked_for() {
    let installed = Installed::start();
    let mut holding = Client::open(installed.janus.http(), "/mcp", Era::Legacy).await;
    let mut other = Client::open(installed.janus.http(), "/mcp", Era::Modern).await;
    let held = json!({"name": "server__hold", "arguments": {}, "_meta": {"progressToken": "t"}});
    let (held, ()) = tokio::join!(holding.request("tools/call", held.clone()), async {
        assert_eq!(
            other.text("server__wait_held", json!({"count": 1})).await,
            "held"
        );
        let ended = installed.reexec(&["--wait", "100ms"]);
        let said = ended.stdout + &ended.stderr;
        assert!(
            said.contains("deferred") && said.contains("1 at server/default"),
            "{said}"
        );
        assert_eq!(other.text("server__release", json!({})).await, "1");
    });
    assert_eq!(held.response["result"]["content"][0]["text"], "released");
    let starts = installed.starts();
    assert!(installed.reexec(&["--wait", "100ms"]).status.success());

    let held = json!({"name": "server__hold", "arguments": {}});
    let (held, ()) = tokio::join!(holding.request("tools/call", held.clone()), async {
        assert_eq!(
            other.text("server__wait_held", json!({"count": 1})).await,
            "held"
        );
        let ended = installed.reexec(&["--wait", "100ms", "--force"]);
        assert!(ended.status.success(), "{}", ended.stderr);
    });
    // It has an answer that says so, and nobody was asked twice.
    assert!(held.response["error"].is_object() || held.response["result"]["isError"] == true);
    assert_eq!(
        other.text("server__echo", json!({"text": "on"})).await,
        "on"
    );
    assert_eq!(installed.starts(), starts + 1);
}

#[tokio::test]
async fn a_reload_goes_on_as_another_program_where_that_is_configured() {
    let installed = Installed::start_with(", upgrade_on_reload: true");
    let ended = installed.janus.home().run(&["config", "reload"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    // The same program is no reason.
    assert_eq!(installed.status().await["lives"], 0);
    installed.install_again();
    installed.janus.hang_up();
    within("the other program", async {
        while installed.status().await["lives"] == 0 {}
    })
    .await;
    assert_eq!(installed.running(), installed.program());
}

#[tokio::test]
async fn a_process_whose_account_is_gone_by_then_ends() {
    let installed = Installed::start();
    let mut client = Client::open(installed.janus.http(), "/mcp", Era::Modern).await;
    let id = client.text("server__pid", json!({})).await;
    let text = fs::read_to_string(installed.janus.home().config()).unwrap();
    let text = text.replace("  server:", "  another:");
    fs::write(installed.janus.home().config(), text).unwrap();
    let ended = installed.reexec(&[]);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(!Path::new("/proc").join(&id).exists(), "{id} is left over");
    let another = client.text("another__pid", json!({})).await;
    assert_ne!(another, id);
}

#[tokio::test]
async fn an_address_that_changed_is_said_to_stay() {
    let installed = Installed::start();
    let text = fs::read_to_string(installed.janus.home().config()).unwrap();
    let text = text.replace("127.0.0.1:0", "127.0.0.1:1");
    fs::write(installed.janus.home().config(), text).unwrap();
    let ended = installed.reexec(&[]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    let note = "`listen` changed: the addresses change with the next start";
    assert_eq!(told["notes"], json!([note]));
    // The program that runs has read it.
    let ended = installed.reexec(&[]);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told["notes"], json!([]));
}

#[tokio::test]
async fn a_session_is_shown_as_before_until_its_client_comes_again() {
    let installed = Installed::start();
    let mut client = Client::open(installed.janus.http(), "/mcp", Era::Legacy).await;
    client.text("server__echo", json!({"text": "x"})).await;
    let shown = async || {
        let control = installed.janus.control();
        let listed: Value = control.get("/sessions", &[]).await.json().await;
        let session = &listed["sessions"][0];
        ["session", "client", "program", "profile", "directory"].map(|name| session[name].clone())
    };
    let before = shown().await;
    assert!(before[2].is_string() && before[3].is_string(), "{before:?}");
    assert!(installed.reexec(&[]).status.success());
    assert_eq!(shown().await, before);
    // Also where it came again, and did nothing before the next one.
    client.notify("notifications/initialized").await;
    assert!(installed.reexec(&[]).status.success());
    assert_eq!(shown().await, before);
}

#[tokio::test]
async fn what_is_being_started_is_not_started_twice() {
    let slow =
        r#"echo start >> "$1"; until test -e "$1.go"; do sleep 0.02; done; exec python3 "$0""#;
    let installed = Installed::start_as(
        "",
        |log| json!({"command": ["sh", "-c", slow, SERVER, log]}),
    );
    // Janus starts it by itself, and nobody waits for it.
    within("the start", async {
        while !installed.log.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (asked, ()) = tokio::join!(installed.go_on(), async {
        // It has the time to become the other program now.
        for _ in 0..50 {
            installed.status().await;
        }
        fs::write(installed.log.with_extension("go"), "").unwrap();
    });
    assert_eq!(asked["goes_on"], true);
    let mut client = Client::open(installed.janus.http(), "/mcp", Era::Modern).await;
    assert_eq!(
        client.text("server__echo", json!({"text": "on"})).await,
        "on"
    );
    assert_eq!(installed.starts(), 1);
}

#[tokio::test]
async fn the_log_goes_on_and_so_does_the_time_since_the_start() {
    let installed = Installed::start();
    installed.janus.hang_up();
    let reloaded = || {
        let ended = installed.janus.home().run(&["logs"]);
        ended.stdout.matches("was read again").count()
    };
    within("the reload", async {
        while reloaded() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let started = installed.status().await["started"].clone();
    assert!(installed.reexec(&[]).status.success());
    assert_eq!(reloaded(), 1);
    let status = installed.status().await;
    assert_eq!(
        (&status["started"], &status["lives"]),
        (&started, &json!(1))
    );
    let logs = installed.janus.home().run(&["logs"]).stdout;
    assert!(logs.contains("went on as another program"), "{logs}");
}

#[tokio::test]
async fn another_version_goes_on_and_so_does_this_one_after_it() {
    let installed = Installed::start();
    let mut client = Client::open(installed.janus.http(), "/mcp", Era::Legacy).await;
    let child = client.text("server__pid", json!({})).await;
    let own = env!("CARGO_PKG_VERSION");
    let other = own.replace(own.chars().last().unwrap(), "7");
    for (from, version) in [(own, other.as_str()), (&other, own)] {
        installed.install_version(version);
        let ended = installed.reexec(&[]);
        assert!(ended.status.success(), "{}", ended.stderr);
        let told: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(
            (&told["from"], &told["version"]),
            (&json!(from), &json!(version))
        );
        assert_eq!(installed.status().await["version"], version);
        assert_eq!(client.text("server__pid", json!({})).await, child);
    }
}

#[tokio::test]
async fn a_token_that_a_command_printed_goes_along_with_whoever_was_given_it() {
    let installed = Installed::start_as("", |log| {
        let runs = log.with_extension("runs");
        let prints = format!("echo x >> {0}; wc -l < {0}", runs.display());
        let mut server = server(log);
        let auth =
            json!({"command": ["sh", "-c", prints], "format": "raw", "ttl": "1h", "into": "TOKEN"});
        server["auth"] = auth;
        server
    });
    let runs = || fs::read_to_string(installed.log.with_extension("runs")).unwrap();
    let mut client = Client::open(installed.janus.http(), "/mcp", Era::Modern).await;
    let child = client.text("server__pid", json!({})).await;
    for _ in 0..2 {
        let ended = installed.reexec(&[]);
        assert!(ended.status.success(), "{}", ended.stderr);
        assert_eq!(client.text("server__pid", json!({})).await, child);
    }
    assert_eq!((runs().as_str(), installed.starts()), ("x\n", 1));
}
