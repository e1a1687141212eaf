//! The units as texts, and as the manager reads them.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::support::Machine;

const UNITS: [&str; 3] = ["janus.socket", "janus-control.socket", "janus.service"];

#[test]
fn the_units_are_clean_and_the_first_one_brings_the_second() {
    let Some(machine) =
        Machine::with_janus("the_units_are_clean_and_the_first_one_brings_the_second")
    else {
        return;
    };
    let paths = UNITS.map(|unit| format!("/usr/lib/systemd/user/{unit}"));
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let verified = machine.run(&[&["systemd-analyze", "--user", "verify"], &paths[..]].concat());
    assert!(verified.status.success(), "{verified:?}");
    assert_eq!(verified.stderr, "");

    every_directive_that_is_not_taken_has_its_reason(&machine);
    let plain = score(&machine);
    let drop_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/remote-only.conf");
    let place = "/etc/systemd/user/janus.service.d/remote-only.conf";
    machine.put(&drop_in, place);
    machine.systemctl(&["daemon-reload"]);
    let remote_only = score(&machine);
    let readme = include_str!("../../../systemd/README.md");
    assert!(
        readme.contains(&format!("| `janus.service` | {plain} |")),
        "{plain}"
    );
    assert!(
        readme.contains(&format!("| with `remote-only.conf` | {remote_only} |")),
        "{remote_only}"
    );

    machine.systemctl(&["enable", "--now", "janus.socket"]);
    for socket in ["janus.socket", "janus-control.socket"] {
        assert_eq!(
            machine.property(socket, "ActiveState"),
            "active",
            "{socket}"
        );
    }
    assert_eq!(machine.property("janus.service", "ActiveState"), "inactive");
    machine.systemctl(&["stop", "janus.socket"]);
    assert_eq!(
        machine.property("janus-control.socket", "ActiveState"),
        "inactive"
    );
}

/// Whatever systemd would count and the unit does not say stands in the table, and nothing that it says.
fn every_directive_that_is_not_taken_has_its_reason(machine: &Machine) {
    let (_, table) = include_str!("../../../systemd/README.md")
        .split_once("## Directives that are not in `janus.service`")
        .unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let names = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names: BTreeSet<&str> = names
        .flat_map(|cell| cell.split('`').step_by(2))
        .filter(|name| name.contains('='))
        .collect();
    let unit = include_str!("../../../systemd/janus.service");
    for name in &names {
        let taken = unit.lines().any(|line| line.starts_with(name));
        assert!(!taken, "{name} is in the unit");
    }
    let explained: BTreeSet<&str> = names.iter().map(|name| directive(name)).collect();

    let words = ["systemd-analyze", "--user", "--json=short", "security"];
    let counted = machine.done(&[&words[..], &["janus.service"]].concat());
    let counted: Vec<Value> = serde_json::from_str(&counted).unwrap();
    // Where neither answer means anything it is null.
    let not_taken = counted.iter().filter(|row| row["set"] == false);
    let not_taken: BTreeSet<&str> = not_taken
        .flat_map(|row| row["name"].as_str().unwrap().split('/'))
        .map(directive)
        .collect();
    assert!(not_taken.contains("PrivateNetwork"), "{counted:?}");
    let missing: Vec<_> = not_taken.difference(&explained).collect();
    assert!(
        missing.is_empty(),
        "systemd/README.md does not say why not: {missing:?}"
    );
}

/// `RestrictNamespaces=~user` and `RestrictNamespaces=` are of the same one.
fn directive(word: &str) -> &str {
    word.split('=').next().unwrap_or(word)
}

/// What `systemd-analyze security` says of the service.
fn score(machine: &Machine) -> String {
    let words = [
        "systemd-analyze",
        "--user",
        "--no-pager",
        "security",
        "janus.service",
    ];
    let said = machine.run(&words).stdout;
    let last = said
        .split("Overall exposure level for janus.service: ")
        .nth(1);
    last.and_then(|last| last.split_whitespace().next())
        .unwrap_or(&said)
        .to_owned()
}

/// In a namespace of its own for its mounts, for the case that it does not refuse.
#[test]
fn the_box_refuses_to_take_apart_what_is_no_box() {
    if !rustix::process::geteuid().is_root() {
        let name = "the_box_refuses_to_take_apart_what_is_no_box";
        return crate::support::skip(name, "only root has a box");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/box/boot");
    let directory = tempfile::tempdir().unwrap();
    for namespaces in [
        &["--mount"][..],
        &["--mount", "--pid", "--fork", "--kill-child"],
    ] {
        let mut command = std::process::Command::new("unshare");
        command
            .args(namespaces)
            .arg(&script)
            .arg(directory.path())
            .arg("tester")
            .env("BOX_STAGE", "inside");
        let ended = crate::support::Process::run("tests/box/boot", &mut command);
        assert_eq!(ended.status.code(), Some(77), "{ended:?}");
        assert!(ended.stderr.ends_with("nothing was done\n"), "{ended:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

/// Who adds a directive writes down why.
#[test]
fn every_directive_has_its_reason() {
    let systemd = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    for unit in UNITS.iter().chain(&["remote-only.conf"]) {
        let text = std::fs::read_to_string(systemd.join(unit)).unwrap();
        // A comment stands for the lines below it, up to the next empty one.
        let mut explained = false;
        for line in text.lines() {
            match line {
                "" => explained = false,
                line if line.starts_with('#') => explained = true,
                line if line.starts_with('[') => {}
                line if ["Description=", "Documentation=", "ExecStart="]
                    .iter()
                    .any(|plain| line.starts_with(plain)) => {}
                line => assert!(explained, "{unit}: {line}"),
            }
        }
    }
}
