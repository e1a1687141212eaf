//! `janus whoami --explain`: for every rule the file and line that decided, from the daemon's own resolver.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Home, Janus};

/// A world in which every rule decides somewhere. `DIR` is a directory of the test's own.
const CONFIG: &str = r#"listen: { http: "127.0.0.1:0" }
servers:
  notes:
    command: ["JANUS", demo-server]
    accounts:
      alice: { args: [alice], label: "Alice at work" }
      bob: { args: [bob] }
      carol: { args: [carol] }
    default: alice
  one:
    command: ["JANUS", demo-server, zed]
profiles:
  everyday:
    servers: [notes, one]
  secret:
    accounts: { notes: [bob, alice] }
    guarded: true
  locked:
    accounts: { notes: [carol, bob] }
    switching: off
  open:
    accounts: { notes: "*" }
    switching: global
default_profile: everyday
bindings:
  - { directory: DIR/secret, profile: secret }
  - { directory: DIR/secret/open, profile: open }
  - { client: desk, profile: locked }
clients:
  tied: { profile: secret }
  several: { profiles: [everyday, locked] }
  desk: {}
"#;

fn world() -> Janus {
    let home = Home::new("");
    for directory in ["secret/open", "else"] {
        fs::create_dir_all(home.path().join(directory)).unwrap();
    }
    let text = CONFIG
        .replace("JANUS", env!("CARGO_BIN_EXE_janus"))
        .replace("DIR", home.path().to_str().unwrap());
    fs::write(home.config(), text).unwrap();
    Janus::start_in(home, |_| {})
}

/// The line of the configuration that holds this.
fn line(holding: &str) -> usize {
    let lines = CONFIG.lines();
    1 + lines
        .into_iter()
        .position(|line| line.contains(holding))
        .unwrap()
}

fn whoami(janus: &Janus, from: &Path, arguments: &[&str]) -> Value {
    let arguments = [&["whoami", "--explain", "--json"], arguments].concat();
    let mut command = janus.home().command(&arguments);
    command.current_dir(from);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    })
}

#[test]
fn every_rule_is_named_with_its_file_and_line() {
    let janus = world();
    let home = janus.home().path().to_owned();
    let config = janus.home().config();
    let (secret, open, other) = (
        home.join("secret"),
        home.join("secret/open"),
        home.join("else"),
    );
    // where, arguments, profile, rule, what is written in the line that decided
    let cases: [(&Path, &[&str], &str, u64, &str); 11] = [
        (
            &other,
            &["--client", "tied"],
            "secret",
            1,
            "tied: { profile",
        ),
        (
            &other,
            &["--client", "several", "--path", "/mcp/locked"],
            "locked",
            1,
            "several: {",
        ),
        (&secret, &[], "secret", 2, "directory: DIR/secret,"),
        (&open, &[], "open", 2, "directory: DIR/secret/open"),
        (
            &other,
            &["--directory", secret.to_str().unwrap()],
            "secret",
            2,
            "directory: DIR/secret,",
        ),
        (&other, &["--client", "desk"], "locked", 2, "client: desk"),
        (&other, &["--path", "/mcp/open"], "open", 3, "  open:"),
        (&other, &["-p", "locked"], "locked", 3, "  locked:"),
        (&other, &[], "everyday", 4, "default_profile:"),
        (
            &other,
            &["--client", "several"],
            "everyday",
            4,
            "default_profile:",
        ),
        (
            &other,
            &["--path", "/mcp/@notes/bob"],
            "everyday",
            4,
            "default_profile:",
        ),
    ];
    for (from, arguments, profile, rule, written) in cases {
        let said = whoami(&janus, from, arguments);
        assert_eq!(said["profile"], profile, "{from:?} {arguments:?}: {said}");
        let steps = said["scope"].as_array().unwrap();
        let decided: Vec<&Value> = steps
            .iter()
            .filter(|step| step["decides"] == true)
            .collect();
        assert_eq!(decided.len(), 1, "{said}");
        assert_eq!(decided[0]["rule"], rule, "{from:?} {arguments:?}: {said}");
        let place = format!("{}:{} ", config.display(), line(written));
        let found = decided[0]["where"].as_str().unwrap();
        assert!(
            found.starts_with(&place),
            "{found} is not {place}: {arguments:?}"
        );
        // The rules before it were looked at, and said nothing.
        let numbers: Vec<u64> = steps
            .iter()
            .map(|step| step["rule"].as_u64().unwrap())
            .collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
}

#[test]
fn a_refusal_names_the_rule_that_gave_another_profile() {
    let janus = world();
    let home = janus.home().path().to_owned();
    let config = janus.home().config();
    let (secret, other) = (home.join("secret"), home.join("else"));
    let cases: [(&Path, &[&str], &str, &str); 6] = [
        (
            &secret,
            &["--path", "/mcp/everyday"],
            "profile_refused",
            "directory: DIR/secret,",
        ),
        (
            &other,
            &["--path", "/mcp/secret"],
            "profile_refused",
            "  secret:",
        ),
        (
            &other,
            &["--client", "tied", "--path", "/mcp/open"],
            "profile_refused",
            "tied: { profile",
        ),
        (
            &secret,
            &["--client", "several"],
            "profile_refused",
            "several: {",
        ),
        (
            &other,
            &["--client", "desk", "--path", "/mcp/@notes/bob"],
            "switching_off",
            "  locked:",
        ),
        (&other, &["--path", "/mcp/nobody"], "profile_unknown", ""),
    ];
    for (from, arguments, code, written) in cases {
        let said = whoami(&janus, from, arguments);
        assert_eq!(said["refused"]["code"], code, "{arguments:?}: {said}");
        if !written.is_empty() {
            let place = format!("{}:{}", config.display(), line(written));
            assert_eq!(said["refused"]["where"], place, "{arguments:?}: {said}");
        }
        let plain = janus
            .home()
            .command(&[&["whoami"], arguments].concat())
            .current_dir(from)
            .output();
        assert_eq!(plain.unwrap().status.code(), Some(5), "{arguments:?}");
    }
}

#[test]
fn every_choice_says_where_it_comes_from() {
    let janus = world();
    let home = janus.home().path().to_owned();
    let config = janus.home().config();
    let other = home.join("else");
    let place = |written| format!("{}:{} ", config.display(), line(written));
    let cases: [(&[&str], &str, &str, &str, String); 5] = [
        (
            &[],
            "one",
            "default",
            "only_account",
            place("servers: [notes, one]"),
        ),
        (&[], "notes", "alice", "default", place("default: alice")),
        (
            &["--client", "tied"],
            "notes",
            "bob",
            "profile",
            place("notes: [bob, alice]"),
        ),
        (
            &["-p", "locked"],
            "notes",
            "carol",
            "profile",
            place("notes: [carol, bob]"),
        ),
        (
            &["-p", "open"],
            "notes",
            "alice",
            "default",
            place("default: alice"),
        ),
    ];
    for (arguments, server, account, from, place) in cases {
        let said = whoami(&janus, &other, arguments);
        let choice = &said["accounts"][server];
        assert_eq!(choice["account"], account, "{arguments:?}: {said}");
        assert_eq!(choice["resolved_from"], from, "{arguments:?}: {said}");
        let found = said["places"][server].as_str().unwrap();
        assert!(found.starts_with(&place), "{found} is not {place}");
    }
    // A choice for everybody, where people allow it, and one for a client.
    for (arguments, account, from) in [
        (
            &["use", "notes/carol", "--global", "-p", "open"][..],
            &["-p", "open"][..],
            "global",
        ),
        (
            &["use", "notes/alice", "--client", "tied"],
            &["--client", "tied"],
            "client",
        ),
    ] {
        let used = janus
            .home()
            .command(arguments)
            .current_dir(&other)
            .output()
            .unwrap();
        assert!(used.status.success(), "{used:?}");
        let said = whoami(&janus, &other, account);
        assert_eq!(said["accounts"]["notes"]["resolved_from"], from, "{said}");
    }
    for (arguments, code) in [
        (&["use", "notes/alice", "--global", "-p", "locked"][..], 5),
        (&["use", "notes/alice", "--global", "-p", "everyday"], 5),
        (&["use", "notes/nobody", "--global", "-p", "open"], 2),
        (&["use", "notes/carol", "--client", "tied"], 2),
        (&["use", "notes/alice", "--client", "nobody"], 2),
        (&["use", "notes/alice", "--session", "nobody"], 2),
        (&["use", "notes/alice"], 2),
    ] {
        let used = janus
            .home()
            .command(arguments)
            .current_dir(&other)
            .output()
            .unwrap();
        assert_eq!(used.status.code(), Some(code), "{arguments:?}: {used:?}");
    }
}

#[test]
fn a_key_of_the_surroundings_is_the_clients() {
    let janus = world();
    let ask = |key: Option<&str>, arguments: &[&str]| {
        let arguments = [&["whoami", "--json"], arguments].concat();
        let mut command = janus.home().command(&arguments);
        command.current_dir(janus.home().path().join("else"));
        command.envs(key.map(|key| ("JANUS_KEY", key)));
        let output = command.output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), said)
    };
    let config = janus.home().config();
    let config = config.to_str().unwrap();
    let made = ["client", "add", "tied", "--json", "--config", config];
    let made: Value = serde_json::from_str(&janus.home().run(&made).stdout).unwrap();
    let key = made["key"].as_str().unwrap();
    let (code, said) = ask(Some(key), &[]);
    assert_eq!(
        (code, &said["client"], &said["profile"], &said["needs_key"]),
        (Some(0), &"tied".into(), &"secret".into(), &false.into()),
        "{said}"
    );
    // Who names a client asks for that one.
    let (_, said) = ask(Some(key), &["--client", "desk"]);
    assert_eq!(said["client"], "desk", "{said}");
    // Without a key only the command line itself acts.
    let (code, said) = ask(None, &[]);
    assert_eq!(
        (code, &said["needs_key"]),
        (Some(0), &true.into()),
        "{said}"
    );
    let (code, said) = ask(Some("janus_of-nobody"), &["--explain"]);
    assert_eq!(code, Some(5), "{said}");
    assert_eq!(said["refused"]["code"], "key_required", "{said}");
    assert_eq!(said["scope"][0]["decides"], true, "{said}");
}

#[test]
fn people_read_the_chain_line_by_line() {
    let janus = world();
    let secret = janus.home().path().join("secret");
    let mut command = janus.home().command(&["whoami", "--explain"]);
    let output = command.current_dir(&secret).output().unwrap();
    let home = janus.home().path().to_str().unwrap().to_owned();
    let text = String::from_utf8(output.stdout)
        .unwrap()
        .replace(&home, "HOME");
    let process = without_number(&text);
    insta::assert_snapshot!(process, @r"
    no key   a client without an access key is refused here; this is how the command line itself acts. Ask for one:  --client NAME, or JANUS_KEY
    profile secret   switching session
      notes  bob  first in the profile  may become alice  unverified  HOME/config/janus.yaml:16 (profiles.secret.accounts.notes)

    rules, in their order; the first that says something decides
      1 client key           no key sent
      2 binding              HOME/secret holds HOME/secret  ← decides  HOME/config/janus.yaml:26 (bindings[0])
      3 path, Janus-Profile  not reached
      4 default_profile      not reached
      directory HOME/secret, unix socket peer, process N
    ");
}

/// The process number is another one each time.
fn without_number(text: &str) -> String {
    match text.split_once(", process ") {
        Some((head, rest)) => format!(
            "{head}, process N{}",
            rest.trim_start_matches(|c: char| c.is_ascii_digit())
        ),
        None => text.to_owned(),
    }
}
