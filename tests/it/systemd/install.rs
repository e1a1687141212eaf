//! `janus service`: installed without a package, and removed without a trace.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{CONFIG, ask, call, janus, main_process, notes};
use crate::support::{Machine, Output, Process, until};

/// The program where `cargo install` puts it, which is on the login shell's PATH alone.
const PROGRAM: &str = "/home/tester/.cargo/bin/janus";

fn machine(test: &str) -> Option<Machine> {
    let machine = Machine::boot(test)?;
    machine.put(Path::new(env!("CARGO_BIN_EXE_janus")), PROGRAM);
    machine.root(&["chown", "-R", "tester:tester", "/home/tester"]);
    machine.write("~/.profile", "PATH=\"$HOME/.cargo/bin:$PATH\"\n");
    Some(machine)
}

/// What the home holds, without the state.
fn home(machine: &Machine) -> Vec<String> {
    let found = machine.done(&[
        "find",
        ".",
        "-path",
        "./.local/state",
        "-prune",
        "-o",
        "-type",
        "f",
        "-print",
        "-o",
        "-type",
        "l",
        "-print",
    ]);
    let mut found: Vec<String> = found.lines().map(str::to_owned).collect();
    found.sort();
    found
}

/// Another PATH is taken when it is asked for, and other variables stay. Where they are.
fn another_path(machine: &Machine) -> std::path::PathBuf {
    let service = |words: &[&str]| machine.run(&[&[PROGRAM, "service"], words].concat());
    let environment = machine.seen("~/.config/janus/service.env");
    let was = std::fs::read_to_string(&environment).unwrap();
    machine.write("~/.config/janus/service.env", &format!("{was}MINE=1\n"));
    machine.write(
        "~/.profile",
        "PATH=\"$HOME/.cargo/bin:/opt/node/bin:$PATH\"\n",
    );
    assert!(service(&["install"]).status.success());
    assert!(
        !std::fs::read_to_string(&environment)
            .unwrap()
            .contains("/opt/node/bin")
    );
    assert!(service(&["install", "--refresh-path"]).status.success());
    let now = std::fs::read_to_string(&environment).unwrap();
    assert!(
        now.contains("/opt/node/bin") && now.contains("MINE=1"),
        "{now}"
    );
    // A variable of one's own may be a secret.
    let mode = std::fs::metadata(&environment).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    environment
}

#[test]
fn from_a_fresh_account_to_an_answer_and_back_to_nothing() {
    let Some(machine) = machine("from_a_fresh_account_to_an_answer_and_back_to_nothing") else {
        return;
    };
    // The demo's server is found by the PATH of the login shell.
    machine.write(CONFIG, &notes("notes").replace("/usr/bin/janus", "janus"));
    let service = |words: &[&str]| machine.run(&[&[PROGRAM, "service"], words].concat());
    let before = home(&machine);
    let missing = service(&["status"]);
    assert_eq!(missing.status.code(), Some(3), "{missing:?}");
    assert!(
        missing.stderr.ends_with("help:  janus service install\n"),
        "{missing:?}"
    );

    let printed = service(&["install", "--print"]).stdout;
    assert!(
        printed.contains("==> /home/tester/.config/systemd/user/janus.socket\n"),
        "{printed}"
    );
    assert!(
        printed.contains(&format!("ExecStart={PROGRAM} serve")),
        "{printed}"
    );
    assert!(
        printed.contains("PATH=\"/home/tester/.cargo/bin:"),
        "{printed}"
    );
    assert_eq!(home(&machine), before);

    let installed = service(&["install"]);
    assert!(
        installed.status.success(),
        "{installed:?}\n{}",
        machine.journal()
    );
    assert!(
        installed.stdout.contains("enabled janus.socket"),
        "{installed:?}"
    );
    until("the server", || {
        let (status, body) = ask(&machine);
        status == 200 && body.to_string().contains("notes__add_note")
    });
    let noted = call(&machine, "notes__add_note", &json!({"text": "milk"}));
    assert!(noted.contains("1 note"), "{noted}");
    // What was written for local servers is shown; the user lingers already.
    let path =
        "local servers are looked for on the PATH of the login shell: /home/tester/.cargo/bin:";
    assert!(installed.stdout.starts_with(path), "{installed:?}");
    assert!(!installed.stdout.contains("--linger"), "{installed:?}");
    let runtime = machine.seen(&format!("/run/user/{}/janus", machine.user()));
    assert_eq!(std::fs::read_dir(&runtime).unwrap().count(), 2);
    let shown = service(&["--json", "status"]);
    assert!(shown.status.success(), "{shown:?}");
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["units"][0]["state"], "active");
    assert_eq!(shown["units"][0]["enabled"], "enabled");
    assert_eq!(
        shown["units"][2]["file"],
        "/home/tester/.config/systemd/user/janus.service"
    );

    let version = env!("CARGO_PKG_VERSION");
    let says = format!(
        "Janus {version} answers (process {}): clients reach it at http://127.0.0.1:7332/mcp and unix:",
        main_process(&machine)
    );
    assert!(installed.stdout.contains(&says), "{installed:?}");

    // Again: nothing is written, nothing restarted.
    let (files, process) = (home(&machine), main_process(&machine));
    let again: Value = serde_json::from_str(&service(&["--json", "install"]).stdout).unwrap();
    assert_eq!(again["written"], json!([]));
    assert_eq!(
        (&again["path"], &again["lingers"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!((home(&machine), main_process(&machine)), (files, process));

    let environment = another_path(&machine);

    // What somebody else wrote is not touched.
    let foreign = "~/.config/systemd/user/janus-control.socket";
    let ours = std::fs::read_to_string(machine.seen(foreign)).unwrap();
    let (_, theirs) = ours.split_once('\n').unwrap();
    machine.write(foreign, theirs);
    let noted = service(&["install"]);
    assert_eq!(noted.status.code(), Some(5), "{noted:?}");
    let place = "janus-control.socket in `/home/tester/.config/systemd/user/janus-control.socket`";
    assert!(noted.stderr.contains(place), "{noted:?}");

    let removed = service(&["remove"]);
    assert!(removed.status.success(), "{removed:?}");
    assert!(
        removed
            .stderr
            .contains(&format!("{place} does not run this Janus")),
        "{removed:?}"
    );
    assert!(machine.seen(foreign).exists());
    std::fs::remove_file(machine.seen(foreign)).unwrap();
    assert_eq!(std::fs::read_to_string(&environment).unwrap(), "MINE=1\n");
    std::fs::remove_file(&environment).unwrap();
    assert_eq!(home(&machine), before);
    machine.systemctl(&["daemon-reload"]);
    let known = machine.systemctl(&["list-units", "--all", "--plain", "--no-legend", "janus*"]);
    assert_eq!(known.trim(), "");
    assert!(!runtime.exists());
    assert_eq!(ask(&machine).0, 0);
}

#[test]
fn a_service_of_somebody_else_is_named_and_left() {
    let Some(machine) = machine("a_service_of_somebody_else_is_named_and_left") else {
        return;
    };
    machine.write(CONFIG, "servers: {}\n");
    let unit = "~/.config/systemd/user/janus.service";
    let theirs = "[Service]\nExecStart=/bin/sleep 600\n[Install]\nWantedBy=default.target\n";
    machine.write(unit, theirs);
    machine.systemctl(&["daemon-reload"]);
    machine.systemctl(&["enable", "--now", "janus.service"]);
    let process = main_process(&machine);
    let installed = machine.run(&[PROGRAM, "service", "install"]);
    assert_eq!(installed.status.code(), Some(5), "{installed:?}");
    assert!(
        installed.stderr.contains("janus.service in `/home/tester"),
        "{installed:?}"
    );
    assert_eq!(machine.property("janus.socket", "LoadState"), "not-found");
    let removed = machine.run(&[PROGRAM, "service", "remove"]);
    assert!(removed.status.success(), "{removed:?}");
    assert!(
        removed.stderr.contains("janus.service in `/home/tester"),
        "{removed:?}"
    );
    assert_eq!(std::fs::read_to_string(machine.seen(unit)).unwrap(), theirs);
    assert_eq!(
        machine.property("janus.service", "UnitFileState"),
        "enabled"
    );
    assert_eq!(main_process(&machine), process);
}

#[test]
fn packaged_units_are_only_enabled_and_lingering_is_asked_for() {
    let name = "packaged_units_are_only_enabled_and_lingering_is_asked_for";
    let Some(machine) = Machine::with_janus(name) else {
        return;
    };
    machine.write(CONFIG, &notes("notes"));
    // As packages have it.
    let two_names = "mv /usr/bin/janus /usr/bin/janus-mcp && ln -s janus-mcp /usr/bin/janus";
    assert!(machine.root(&["sh", "-c", two_names]).status.success());
    // The user lingers already.
    let printed = janus(&machine, &["service", "install", "--linger", "--print"]).stdout;
    assert!(printed.ends_with("$ loginctl enable-linger\n"), "{printed}");
    assert!(!printed.contains("janus.service\n"), "{printed}");
    let installed = janus(&machine, &["service", "install", "--linger"]);
    assert!(installed.status.success(), "{installed:?}");
    assert!(
        !machine
            .seen("~/.config/systemd/user/janus.service")
            .exists()
    );
    assert!(machine.seen("~/.config/janus/service.env").exists());
    assert_eq!(ask(&machine).0, 200);
    let printed = machine.done(&["janus-mcp", "service", "install", "--print"]);
    assert!(!printed.contains("janus.service\n"), "{printed}");

    // Somebody who does not is told of it.
    machine.root(&["rm", "/var/lib/systemd/linger/tester"]);
    let said = janus(&machine, &["service", "install"]).stdout;
    assert!(
        said.ends_with("after logout:  janus service install --linger\n"),
        "{said}"
    );

    // How it stands is the exit status too, with what helps.
    let stands = |code: i32, help: &str| {
        let told = janus(&machine, &["service", "status"]);
        assert_eq!(told.status.code(), Some(code), "{told:?}");
        assert!(told.stderr.contains(help), "{told:?}");
        assert!(told.stdout.contains("janus.socket"), "{told:?}");
    };
    stands(0, "");
    machine.systemctl(&["stop", "janus.service"]);
    stands(0, "");
    machine.systemctl(&["stop", "janus.socket"]);
    stands(3, "help:  systemctl --user enable --now janus.socket\n");
    machine.systemctl(&["start", "janus.socket"]);
    machine.write(CONFIG, "servers: 7\n");
    assert_eq!(ask(&machine).0, 503);
    // While it tells whoever comes, it serves nobody.
    stands(1, "help:  say why:  janus logs\n");
    until("the end", || {
        machine.property("janus.service", "ActiveState") == "failed"
    });
    stands(1, "the next connection starts it:  janus tool list\n");
    let removed = janus(&machine, &["service", "remove"]);
    assert!(removed.status.success(), "{removed:?}");
    assert!(machine.seen("/usr/lib/systemd/user/janus.service").exists());
    assert_eq!(
        machine.property("janus.socket", "UnitFileState"),
        "disabled"
    );
    assert_eq!(machine.property("janus.socket", "ActiveState"), "inactive");
}

#[test]
fn what_serves_already_is_named_and_nothing_is_written() {
    let Some(machine) = machine("what_serves_already_is_named_and_nothing_is_written") else {
        return;
    };
    machine.write(CONFIG, &notes("notes"));
    let before = home(&machine);
    let mut serving = Process::start("janus serve", &mut machine.command(&[PROGRAM, "serve"]));
    serving.line(Output::Stderr, |line| {
        line.contains("ready on").then_some(())
    });
    let ended = machine.run(&[PROGRAM, "service", "install"]);
    assert_eq!(
        ended.status.code(),
        Some(5),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    assert!(
        ended.stderr.contains("serves already, in process "),
        "{}",
        ended.stderr
    );
    assert_eq!(home(&machine), before);
    // It can still be asked.
    machine.done(&[PROGRAM, "status"]);
    let (_, process) = ended.stderr.split_once("in process ").unwrap();
    let process: String = process.chars().take_while(char::is_ascii_digit).collect();
    machine.done(&["kill", &process]);
    assert!(serving.finish().status.success());
}

#[test]
fn where_the_service_cannot_start_yet_it_is_said_that_it_is_installed() {
    let name = "where_the_service_cannot_start_yet_it_is_said_that_it_is_installed";
    let Some(machine) = machine(name) else {
        return;
    };
    machine.write(CONFIG, "servers: { notes: { comand: [x] } }\n");
    let ended = machine.run(&[PROGRAM, "service", "install"]);
    assert_ne!(ended.status.code(), Some(0), "{}", ended.stdout);
    for said in [
        "error[config_invalid]",
        "the service is installed, and once that is mended",
    ] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    machine.write(CONFIG, &notes("notes"));
    // The start that failed answers for a while yet.
    until("an answer", || ask(&machine).0 == 200);
    let status = machine.done(&[PROGRAM, "service", "status"]);
    assert!(status.contains("active"), "{status}");
}
