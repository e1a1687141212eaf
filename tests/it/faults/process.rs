//! The process and its surroundings: what another one has taken, what is in the way, what the configuration gets wrong.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use super::{good, modern, others_are_served, server};
use crate::support::{Ended, Home, Janus, Process};

fn serve(home: &Home) -> Ended {
    let config = home.config();
    home.run(&["serve", "--config", config.to_str().unwrap()])
}

fn configured(listen: &Value) -> Home {
    let home = Home::new("{}");
    fs::write(home.config(), format!("listen: {listen}\nservers: {{}}\n")).unwrap();
    home
}

/// Ends with 1, says this on standard error and nothing on standard output.
fn fails(ended: &Ended, reason: &str) {
    ends(ended, 1, reason);
}

fn ends(ended: &Ended, exit: i32, reason: &str) {
    assert_eq!(
        (ended.status.code(), ended.stdout.as_str()),
        (Some(exit), ""),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
}

#[tokio::test]
async fn a_second_janus_names_the_first_and_ends() {
    let janus = Janus::start(&good());
    let address = janus.url("").trim_start_matches("http://").to_owned();
    let socket = janus.socket().to_str().unwrap();

    let same_port = configured(&json!({ "http": address }));
    fails(
        &serve(&same_port),
        &format!("another Janus already listens on http://{address}/mcp"),
    );
    let same_socket = configured(&json!({ "http": "127.0.0.1:0", "socket": socket }));
    fails(
        &serve(&same_socket),
        &format!("another Janus already listens on unix:{socket}"),
    );
    let same_state = serve(janus.home());
    fails(
        &same_state,
        &format!(
            "another Janus (process {}) uses the state directory `",
            janus.id()
        ),
    );

    // The first one has kept all of it.
    others_are_served(&janus).await;
    assert_eq!(janus.unix().get("/mcp", &[]).await.status, 405);
}

#[test]
fn what_is_in_the_way_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let home = configured(&json!({ "http": address.to_string() }));
    fails(
        &serve(&home),
        &format!("{address} is taken by another program"),
    );

    let home = Home::new("{}");
    let path = home.path().join("run/note.sock");
    fs::write(&path, "mine").unwrap();
    fs::write(
        home.config(),
        json!({ "listen": { "http": "127.0.0.1:0", "socket": path } }).to_string(),
    )
    .unwrap();
    // That only a person can change.
    ends(
        &serve(&home),
        78,
        &format!("`{}` exists and is not a socket", path.display()),
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_replaced() {
    let home = Home::new(&good());
    let path = home.path().join("run/janus/mcp.sock");
    fs::create_dir(path.parent().unwrap()).unwrap();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let janus = Janus::start_in(home, |_| {});
    assert_eq!(janus.socket(), path);
    assert_eq!(janus.unix().get("/mcp", &[]).await.status, 405);
    others_are_served(&janus).await;
    let (ended, _home) = janus.stop();
    assert_eq!(ended.status.code(), Some(0));
    assert!(!path.exists(), "the socket is left behind");
}

#[test]
fn only_loopback_is_listened_on() {
    for address in ["0.0.0.0:0", "[::]:0", "192.168.1.1:7332"] {
        let ended = serve(&configured(&json!({ "http": address })));
        assert_eq!(ended.status.code(), Some(78), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("not a loopback address"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn ten_mistakes_are_told_at_once() {
    let home = Home::new("{}");
    let text = "listn: {}\nlisten: { http: 0.0.0.0:1, scket: x, session_idle: never }\nservers:\n  \
        a: { comand: [x] }\n  b: { command: [x], url: http://x/ }\n  c: { url: nowhere }\n  \
        d: { command: [] }\n  e: { command: [x], timeout: soon }\n  f: { command: [x], sharing: maybe }\n";
    fs::write(home.config(), text).unwrap();
    let ended = serve(&home);
    assert_eq!(
        (ended.status.code(), ended.stdout.as_str()),
        (Some(78), ""),
        "{}",
        ended.stderr
    );
    let mistakes = ended.stderr.matches("error[").count();
    assert!(mistakes >= 10, "{mistakes}: {}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("{mistakes} mistakes in ")),
        "{}",
        ended.stderr
    );
    // Nothing was bound and nothing is left.
    assert!(!home.path().join("run/janus/mcp.sock").exists());
}

#[test]
fn standard_output_is_protocol_however_much_is_logged() {
    let home = Home::new(&(good() + &server("bad", &[], "") + "broken: { command: [/no/such] }\n"));
    let flags: [&[&str]; 2] = [&["-vv"], &[]];
    for flags in flags {
        quiet_output(
            &home,
            &[flags, &["connect", "--standalone", "--config"]].concat(),
        );
    }
}

fn quiet_output(home: &Home, arguments: &[&str]) {
    let mut command = home.command(arguments);
    command.arg(home.config()).env("JANUS_LOG", "trace");
    let mut janus = Process::start("janus connect", &mut command);
    let ids = ["d", "garbage", "flood", "die", "again", "none"];
    let call = |id: &str, tool: &str| {
        modern(&json!(id), "tools/call", json!({ "name": tool }))
            .1
            .to_string()
    };
    let requests = [
        modern(&json!("d"), "server/discover", json!({}))
            .1
            .to_string(),
        call("garbage", "bad__garbage"),
        call("flood", "bad__flood"),
        call("die", "bad__die"),
        call("again", "bad__echo"),
        call("none", "nothing"),
    ];
    for (id, request) in ids.iter().zip(requests) {
        janus.say(&request);
        assert_eq!(super::response(&mut janus)["id"], *id);
    }
    janus.say("not a message");
    assert_eq!(super::response(&mut janus)["error"]["code"], -32700);
    janus.close_stdin();
    let ended = janus.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("connected"), "{}", ended.stderr);
    for line in ended.stdout.lines() {
        let message: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
    }
}
