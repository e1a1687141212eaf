//! As whom a client acts that comes through the shim: key, name, profile, directory.

use serde_json::{Value, json};

use super::{Client, refused, server};
use crate::support::{Era, Home, Http, Janus, Process};

/// A home with these rules beside its server.
fn home(rules: &str) -> Home {
    let home = Home::new(&(server("good", &[]) + &server("other", &[])));
    let text = std::fs::read_to_string(home.config()).unwrap();
    std::fs::write(home.config(), format!("{text}\n{rules}\n")).unwrap();
    home
}

/// A command that succeeds.
fn run(janus: &Janus, arguments: &[&str]) {
    let config = janus.home().config();
    let named = ["--config", config.to_str().unwrap()];
    let ended = janus.home().run(&[arguments, &named].concat());
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

/// What the daemon knows of its sessions.
async fn sessions(janus: &Janus) -> Vec<Value> {
    let socket = janus.socket().with_file_name("control.sock");
    let request = http::Request::get("/sessions").body(String::new()).unwrap();
    let answer = Http::unix(&socket).send(request).await.json().await;
    answer["sessions"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .clone()
}

#[tokio::test]
async fn a_client_that_is_named_gets_a_key_for_its_connection() {
    let janus = Janus::start_in(home("clients: { ci-bot: {} }"), |_| {});
    let here = janus.home().path().to_str().unwrap();
    let mut client = Client::open(janus.home(), Era::Legacy, &["--client", "ci-bot"]);
    assert_eq!(client.text("good__echo", json!({ "text": "t" })), "t");
    let listed = sessions(&janus).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["client"], "ci-bot", "{listed:?}");
    let directory = listed[0]["directory"].as_str().unwrap();
    assert!(directory.ends_with(here), "{directory}");
    client.leave();
    assert_eq!(sessions(&janus).await, Vec::<Value>::new());
}

#[test]
fn a_name_or_a_key_that_is_not_known_reaches_nothing() {
    let janus = Janus::start_in(home("clients: { ci-bot: {} }"), |_| {});
    let mut client = Client::silent(janus.home(), Era::Legacy, &[]);
    let answer = client.request("initialize", super::initialize());
    let (said, data) = refused(&answer);
    assert_eq!(data["code"], "key_required", "{answer}");
    assert!(said.contains("janus connect --client NAME"), "{answer}");
    client.leave();
    let mut client = Client::silent(janus.home(), Era::Legacy, &["--client", "nobody"]);
    let answer = client.request("initialize", super::initialize());
    assert!(refused(&answer).0.contains("`nobody`"), "{answer}");
    assert_eq!(refused(&answer).1["code"], "unknown_client");
    client.leave();

    let mut command = janus
        .home()
        .command(&["connect", "--client", "ci-bot", "--config"]);
    command
        .arg(janus.home().config())
        .env("JANUS_KEY", "jk_CANARY");
    let mut client = Client {
        shim: Process::start("janus connect", &mut command),
        era: Era::Legacy,
        last_id: 0,
        told: Vec::new(),
    };
    let answer = client.request("initialize", super::initialize());
    assert_eq!(refused(&answer).1["code"], "key_required");
    let ended = client.leave();
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("CANARY"));
}

#[tokio::test]
async fn a_client_that_is_removed_is_nobody_else_from_then_on() {
    let rules = "clients: { ci-bot: { profile: ci }, other: {} }\nprofiles:\n  main: { servers: [good] }\n  ci: { servers: [good, other], guarded: true }\ndefault_profile: main";
    let janus = Janus::start_in(home(rules), |_| {});
    let mut clients =
        Era::CLIENTS.map(|era| Client::open(janus.home(), era, &["--client", "ci-bot"]));
    for client in &mut clients {
        assert_eq!(client.text("other__echo", json!({ "text": "t" })), "t");
    }
    run(&janus, &["client", "remove", "ci-bot", "--yes"]);
    for client in &mut clients {
        let answer = client.request(
            "tools/call",
            json!({"name": "good__echo", "arguments": {"text": "t"}}),
        );
        assert!(refused(&answer).0.contains("`ci-bot`"), "{answer}");
    }
    for client in clients {
        client.leave();
    }
}

#[tokio::test]
async fn a_connection_without_a_key_ends_when_keys_are_in_use() {
    let janus = Janus::start_in(home(""), |_| {});
    let mut client = Client::open(janus.home(), Era::Legacy, &[]);
    client.text("good__echo", json!({ "text": "t" }));
    let text = std::fs::read_to_string(janus.home().config()).unwrap();
    std::fs::write(
        janus.home().config(),
        format!("{text}\nclients: {{ ci-bot: {{}} }}\n"),
    )
    .unwrap();
    run(&janus, &["config", "reload"]);
    let answer = client.request(
        "tools/call",
        json!({"name": "good__echo", "arguments": {"text": "t"}}),
    );
    assert_eq!(refused(&answer).1["code"], "key_required", "{answer}");
    client.leave();
}

#[tokio::test]
async fn a_session_that_is_ended_is_not_gone_on_in() {
    let janus = Janus::start_in(home(""), |_| {});
    let mut client = Client::open(janus.home(), Era::Legacy, &[]);
    client.text("good__echo", json!({ "text": "t" }));
    let before = sessions(&janus).await;
    run(
        &janus,
        &["session", "end", before[0]["session"].as_str().unwrap()],
    );
    let answer = client.request(
        "tools/call",
        json!({"name": "good__echo", "arguments": {"text": "t"}}),
    );
    assert_eq!(refused(&answer).1["code"], "session_unknown", "{answer}");
    client.text("good__echo", json!({ "text": "t" }));
    let after = sessions(&janus).await;
    assert_eq!(after.len(), 1, "{after:?}");
    assert_ne!(after[0]["session"], before[0]["session"]);
    client.leave();
}

#[tokio::test]
async fn a_session_with_a_key_is_the_same_after_a_restart() {
    for (rules, arguments) in [
        ("", &[][..]),
        ("clients: { ci-bot: {} }", &["--client", "ci-bot"]),
    ] {
        let mut janus = Janus::start_in(home(rules), |_| {});
        let mut client = Client::open(janus.home(), Era::Legacy, arguments);
        let before = sessions(&janus).await;
        for killed in [true, false] {
            janus = Janus::start_in(if killed { janus.kill() } else { janus.stop().1 }, |_| {});
            client.text("good__echo", json!({ "text": "t" }));
            let after = sessions(&janus).await;
            assert_eq!(after.len(), 1, "{after:?}");
            assert_eq!(after[0]["session"], before[0]["session"], "{after:?}");
        }
        client.leave();
    }
}

#[test]
fn the_profile_of_the_flag_or_the_variable_is_asked_for() {
    let rules =
        "profiles:\n  one: { servers: [good] }\n  two: { servers: [other] }\ndefault_profile: one";
    let janus = Janus::start_in(home(rules), |_| {});
    let tools = |mut client: Client| {
        client.greet();
        let list = client.request("tools/list", json!({}));
        client.leave();
        let tools = list["result"]["tools"].as_array().unwrap().iter();
        tools.filter(|tool| tool["name"] == "good__echo").count()
    };
    assert_eq!(tools(Client::silent(janus.home(), Era::Modern, &[])), 1);
    assert_eq!(
        tools(Client::silent(janus.home(), Era::Modern, &["-p", "two"])),
        0
    );
    let mut command = janus.home().command(&["connect", "--config"]);
    command
        .arg(janus.home().config())
        .env("JANUS_PROFILE", "nobody");
    let mut client = Client {
        shim: Process::start("janus connect", &mut command),
        era: Era::Modern,
        last_id: 0,
        told: Vec::new(),
    };
    let answer = client.request("tools/list", json!({}));
    assert_eq!(refused(&answer).1["code"], "profile_unknown", "{answer}");
    client.leave();
}
