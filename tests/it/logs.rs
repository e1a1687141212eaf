//! `janus logs`: what happened, with what it is about.

use std::fs;

use serde_json::Value;

use crate::support::{Home, Janus, Output, Process, until};

fn records(janus: &Janus, arguments: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> = ["logs", "--json"]
        .iter()
        .chain(arguments)
        .copied()
        .collect();
    let ended = janus.home().run(&arguments);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn what_a_server_says_is_found_under_its_name() {
    let server = |name: &str, word: &str| {
        format!("  {name}:\n    command: [sh, -c, \"echo {word} >&2; exit 1\"]\n")
    };
    let janus = Janus::start(&[server("one", "first-word"), server("two", "other-word")].concat());
    let of = |name: &str| records(&janus, &["--server", name]);
    // The servers end at their own time.
    let mut said = Vec::new();
    until("the server's words", || {
        said = of("one");
        said.iter()
            .any(|record| record["message"] == "one/default: first-word")
    });
    assert!(
        said.iter().all(|record| record["server"] == "one"),
        "{said:?}"
    );
    assert!(said.iter().all(|record| record["schema"] == "janus/log/1"));
    assert_eq!(said[0]["account"], "one/default");
    let text = janus.home().run(&["logs", "--account", "one/default"]);
    assert!(
        text.stdout.contains("info  one/default: first-word"),
        "{}",
        text.stdout
    );
    assert!(!text.stdout.contains("other-word"), "{}", text.stdout);
}

#[test]
fn a_refused_configuration_is_there_each_time() {
    let janus = Janus::start("");
    let good = fs::read_to_string(janus.home().config()).unwrap();
    fs::write(janus.home().config(), "servers: 7\n").unwrap();
    for _ in 0..6 {
        let ended = janus.home().run(&["config", "reload"]);
        assert_eq!(ended.status.code(), Some(78), "{}", ended.stderr);
    }
    fs::write(janus.home().config(), good).unwrap();
    let refused = records(&janus, &["--level", "error"]);
    let of_event = |record: &&Value| record["event"] == "configuration_refused";
    assert_eq!(refused.iter().filter(of_event).count(), 6, "{refused:?}");
    let ended = janus.home().run(&["config", "reload"]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    // Nobody needs the vault here, so that nothing is said of it.
    assert_eq!(ended.stdout, "ok: the configuration was read again\n");
    assert_eq!(
        records(&janus, &["--since", "2100-01-01T00:00:00Z"]).len(),
        0
    );
}

#[test]
fn whoever_follows_sees_what_the_next_daemon_says_from_its_beginning() {
    let server = |name: &str| {
        format!("{name}: {{ command: [sh, -c, \"echo word-of-{name} >&2; exit 1\"] }}\n")
    };
    let janus = Janus::start(&[server("one"), server("two")].concat());
    let mut command = janus
        .home()
        .command(&["logs", "--json", "--follow", "--server", "one"]);
    let mut follows = Process::start("janus logs", &mut command);
    let word = |line: &str| {
        let record: Value = serde_json::from_str(line).ok()?;
        assert_eq!(record["server"], "one");
        (record["message"] == "one/default: word-of-one").then_some(())
    };
    follows.line(Output::Stdout, word);
    let (_, home) = janus.stop();
    let again = Janus::start_in(home, |_| {});
    follows.line(Output::Stdout, word);
    follows.kill();
    drop(again);
}

#[test]
fn whoever_follows_sees_the_last_ones_first_unless_asked_for_more() {
    let script = "seq -f line-%g 20 >&2; exec sleep 600";
    let janus = Janus::start(&format!("one: {{ command: [sh, -c, \"{script}\"] }}\n"));
    until("the server's words", || {
        let said = records(&janus, &["--server", "one"]);
        said.last()
            .is_some_and(|record| record["message"] == "one/default: line-20")
    });
    for (asked, first) in [
        (&[][..], "one/default: line-11"),
        (&["-n", "3"], "one/default: line-18"),
        (&["--since", "1h"], "one/default: line-1"),
    ] {
        let words = [&["logs", "-f", "--server", "one"], asked].concat();
        let mut follows = Process::start("janus logs", &mut janus.home().command(&words));
        follows.line(Output::Stdout, |line| {
            assert!(line.ends_with(first), "{asked:?}: {line}");
            Some(())
        });
        follows.kill();
    }
    let last = records(&janus, &["-n", "1"]);
    assert_eq!(last.len(), 1, "{last:?}");
}

#[test]
fn without_a_daemon_and_a_journal_there_is_nothing_to_read() {
    let home = Home::new("");
    let ended = home.run(&["logs"]);
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
}

#[test]
fn a_server_that_is_not_there_is_a_slip_and_no_empty_log() {
    let janus = Janus::start("notes: { command: [sh, -c, \"exit 1\"] }\n");
    for arguments in [
        &["logs", "--server", "note"] as &[&str],
        &["logs", "--server", "note", "--follow"],
    ] {
        let ended = janus.home().run(arguments);
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert_eq!(
            ended.stderr,
            "error[unknown_server]: there is no server `note`\n  help:  did you mean `notes`?\n"
        );
    }
    let ended = janus
        .home()
        .run(&["logs", "--account", "elsewhere/default"]);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(
        ended.stderr.starts_with("error[unknown_account]: "),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_call_without_an_answer_is_found_by_its_client() {
    let text = "listen: { http: \"127.0.0.1:0\" }
servers:
  gone: { command: [sh, -c, \"exit 1\"] }
  notes: { command: [JANUS, demo-server, ana], tools: { exclude: [add_note] } }
profiles:
  work: { servers: [gone, notes] }
clients:
  laptop: { profile: work }
  other: {}
";
    let home = Home::with(&text.replace("JANUS", env!("CARGO_BIN_EXE_janus")));
    let janus = Janus::start_in(home, |_| {});
    let key = janus.key("laptop").await;
    for (tool, code) in [
        ("gone__anything", "unavailable"),
        ("notes__add_note", "denied"),
    ] {
        let mut command = janus.home().command(&["tool", "call", tool, "text=milk"]);
        let ended = Process::run("janus tool", command.env("JANUS_KEY", &key));
        assert_ne!(ended.status.code(), Some(0), "{ended:?}");
        let said = records(&janus, &["--client", "laptop"]);
        let of = |record: &&Value| record["code"] == code;
        let record = said.iter().find(of);
        let record = record.unwrap_or_else(|| panic!("{tool}: {said:?}"));
        let (server, name) = tool.split_once("__").unwrap();
        assert_eq!(record["account"], format!("{server}/default"), "{record}");
        assert_eq!(record["profile"], "work", "{record}");
        assert!(
            [tool, name].map(Value::from).contains(&record["tool"]),
            "{record}"
        );
        // What was sent is nobody's business.
        assert!(!record.to_string().contains("milk"), "{record}");
    }
    assert_eq!(records(&janus, &["--client", "other"]), Vec::<Value>::new());
}
