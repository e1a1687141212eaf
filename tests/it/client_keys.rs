//! `janus client`: what it writes into the configuration, and what it does not.

use std::fs;

use crate::support::{Ended, Home, Janus};

const RULES: &str = "listen: { http: \"127.0.0.1:0\" }\nservers: { s: { command: [cat] } }\nprofiles: { main: { servers: [s] } }\n";

fn client(janus: &Janus, arguments: &[&str]) -> Ended {
    let config = janus.home().config();
    let named = ["--config", config.to_str().unwrap()];
    janus.home().run(&[&["client"], arguments, &named].concat())
}

#[test]
fn a_change_that_would_make_the_configuration_wrong_is_not_written() {
    let janus = Janus::start_in(Home::with(RULES), |_| {});
    let ended = client(&janus, &["add", "bot", "--yes", "--profile", "nope"]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    let said = "error[profile_unknown]: there is no profile `nope`\n";
    assert!(ended.stderr.starts_with(said), "{}", ended.stderr);
    let ended = client(&janus, &["add", "bot", "--yes", "--profile", "mian"]);
    assert!(
        ended.stderr.contains("did you mean `main`?"),
        "{}",
        ended.stderr
    );
    assert_eq!(fs::read_to_string(janus.home().config()).unwrap(), RULES);
    let ended = client(&janus, &["add", "bot", "--yes", "--profile", "main"]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn another_file_than_the_daemons_is_not_changed() {
    let janus = Janus::start_in(Home::with(RULES), |_| {});
    let other = janus.home().path().join("other.yaml");
    fs::write(&other, RULES).unwrap();
    let ended = janus.home().run(&[
        "client",
        "add",
        "bot",
        "--yes",
        "--config",
        other.to_str().unwrap(),
    ]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&other).unwrap(), RULES);
}

#[test]
fn whoever_removes_the_last_client_is_told_that_nobody_comes_in() {
    let janus = Janus::start_in(Home::with(RULES), |_| {});
    client(&janus, &["add", "bot", "--yes"]);
    let ended = client(&janus, &["remove", "bot", "--yes"]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no client is left"),
        "{}",
        ended.stderr
    );
}
