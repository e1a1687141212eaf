//! Restarts, crashes, hangs and reloads, under load.

use std::process::Command;

use serde_json::Value;

use super::{CONFIG, answered, drop_in, enabled, janus, main_process, notes, status};
use crate::support::{Fixture, Machine, Output, Process, scale, skip, until};

const CLIENTS: &str = "16";

/// Clients in the box that ask without end.
pub(super) fn load(machine: &Machine) -> Process {
    machine.put(&Fixture::load(), "/usr/bin/load-client");
    let mut command: Command = machine.command(&["load-client", "127.0.0.1:7332", CLIENTS]);
    let mut load = Process::start("load-client", &mut command);
    load.line(Output::Stdout, |line| (line == "asking").then_some(()));
    load
}

/// What became of their requests.
pub(super) fn became(mut load: Process) -> Value {
    load.close_stdin();
    let ended = load.finish();
    serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap()
}

/// The same where they were served.
fn counted(load: Process) -> Value {
    let counts = became(load);
    assert!(counts["answered"].as_u64() > Some(16), "{counts}");
    assert_eq!(counts["unready"], 0, "{counts}");
    assert_eq!(counts["other"], 0, "{counts}");
    counts
}

/// Has a part of Janus stand still or fail from now on. A build that is shipped has no way to ask for that.
pub(super) fn hang(machine: &Machine, part: &str) {
    let socket = format!("/run/user/{}/janus/control.sock", machine.user());
    let url = format!("http://localhost/hang/{part}");
    let curl = ["curl", "-q", "-s", "-m", "1", "-X", "POST"];
    // Nobody answers it.
    machine.run(&[&curl[..], &["--unix-socket", &socket, &url]].concat());
}

/// Whether this build can hang; else it is said why the test does not run.
pub(super) fn can_hang(test: &str) -> bool {
    if !cfg!(debug_assertions) {
        skip(
            test,
            "a build without debug assertions cannot be made to hang",
        );
    }
    cfg!(debug_assertions)
}

pub(super) fn kill(machine: &Machine, signal: &str) {
    machine.systemctl(&[
        "kill",
        "--kill-whom=main",
        "--signal",
        signal,
        "janus.service",
    ]);
}

/// Waits for another process than this one, which serves.
pub(super) fn another(machine: &Machine, process: &str) {
    until("another process", || {
        let now = main_process(machine);
        now != process && now != "0" && machine.property("janus.service", "ActiveState") == "active"
    });
}

#[test]
fn restarts_under_load_refuse_nobody() {
    let Some(machine) = enabled("restarts_under_load_refuse_nobody", &notes("notes")) else {
        return;
    };
    answered(&machine);
    let clients = load(&machine);
    for _ in 0..scale(50) {
        machine.systemctl(&["restart", "janus.service"]);
    }
    let counts = counted(clients);
    assert_eq!(
        (&counts["refused"], &counts["broken"]),
        (&0.into(), &0.into()),
        "{counts}"
    );

    // `stop` lets those go that wait, and refuses nobody.
    let clients = load(&machine);
    machine.systemctl(&["stop", "janus.service"]);
    machine.systemctl(&["start", "janus.service"]);
    let counts = counted(clients);
    assert_eq!(counts["refused"], 0, "{counts}");
}

#[test]
fn twenty_rapid_crashes_leave_the_sockets_accepting() {
    let Some(machine) = enabled(
        "twenty_rapid_crashes_leave_the_sockets_accepting",
        &notes("notes"),
    ) else {
        return;
    };
    drop_in(&machine, "[Service]\nRestartSec=50ms\n");
    answered(&machine);
    let clients = load(&machine);
    for _ in 0..20 {
        let process = main_process(&machine);
        kill(&machine, "KILL");
        another(&machine, &process);
    }
    let counts = counted(clients);
    // What was being answered when the process died is lost; nobody found the door closed.
    assert_eq!(counts["refused"], 0, "{counts}");
    for socket in ["janus.socket", "janus-control.socket"] {
        assert_eq!(machine.property(socket, "ActiveState"), "active");
    }
    answered(&machine);
}

#[test]
fn a_hung_runtime_and_a_hung_store_are_both_ended_by_the_watchdog() {
    let name = "a_hung_runtime_and_a_hung_store_are_both_ended_by_the_watchdog";
    if !can_hang(name) {
        return;
    }
    let Some(machine) = enabled(name, &notes("notes")) else {
        return;
    };
    drop_in(&machine, "[Service]\nWatchdogSec=2s\nRestartSec=50ms\n");
    for (hangs, ended) in [("runtime", 1), ("store", 2)] {
        answered(&machine);
        let process = main_process(&machine);
        hang(&machine, hangs);
        another(&machine, &process);
        assert_eq!(
            machine.property("janus.service", "NRestarts"),
            ended.to_string()
        );
        until("the words of systemd", || {
            machine.journal().matches("Watchdog timeout").count() == ended
        });
        answered(&machine);
    }
}

#[test]
fn an_accept_loop_that_only_fails_is_ended_by_the_watchdog() {
    let name = "an_accept_loop_that_only_fails_is_ended_by_the_watchdog";
    if !can_hang(name) {
        return;
    }
    let Some(machine) = enabled(name, &notes("notes")) else {
        return;
    };
    drop_in(&machine, "[Service]\nWatchdogSec=2s\nRestartSec=50ms\n");
    answered(&machine);
    let process = main_process(&machine);
    hang(&machine, "accept");
    // A client waits now, sees its connection end with the process, and is served with the next one.
    another(&machine, &process);
    answered(&machine);
    let failed = "a connection could not be accepted";
    assert!(machine.journal().contains(failed), "{}", machine.journal());
    assert_eq!(machine.property("janus.service", "NRestarts"), "1");
    until("the words of systemd", || {
        machine.journal().matches("Watchdog timeout").count() == 1
    });
}

#[test]
fn a_healthy_daemon_outlives_its_watchdog() {
    let Some(machine) = enabled("a_healthy_daemon_outlives_its_watchdog", &notes("notes")) else {
        return;
    };
    drop_in(&machine, "[Service]\nWatchdogSec=1s\n");
    answered(&machine);
    let stamp = || {
        machine
            .property("janus.service", "WatchdogTimestampMonotonic")
            .parse::<u64>()
            .unwrap_or_default()
    };
    let (process, first) = (main_process(&machine), stamp());
    until("three times the limit", || stamp() > first + 3_000_000);
    assert_eq!(main_process(&machine), process);
}

#[test]
fn a_reload_takes_a_good_file_and_refuses_a_bad_one() {
    let name = "a_reload_takes_a_good_file_and_refuses_a_bad_one";
    let Some(machine) = enabled(name, &notes("notes")) else {
        return;
    };
    answered(&machine);
    let process = main_process(&machine);
    machine.write(
        CONFIG,
        &format!(
            "{}  more: {{ command: [/usr/bin/janus, demo-server, bob] }}\n",
            notes("notes")
        ),
    );
    machine.systemctl(&["reload", "janus.service"]);
    status(&machine, "both", |line| {
        line == "serving 127.0.0.1:7332; 2 accounts ready"
    });

    machine.write(CONFIG, "servers:\n  notes: { comand: [x], command: [y] }\n");
    let refused = machine.run(&["systemctl", "--user", "reload", "janus.service"]);
    assert!(!refused.status.success(), "{refused:?}");
    let line = status(&machine, "the refusal", |line| line.contains("refused"));
    assert!(
        line.starts_with("serving 127.0.0.1:7332; 2 accounts ready; the configuration was refused")
            && line.contains("config.yaml:2:12: unknown key `comand`"),
        "{line}"
    );
    assert_eq!(machine.property("janus.service", "ActiveState"), "active");
    assert_eq!(main_process(&machine), process);
    answered(&machine);

    machine.write(CONFIG, &notes("notes"));
    assert!(janus(&machine, &["config", "reload"]).status.success());
    status(&machine, "the repair", |line| {
        line == "serving 127.0.0.1:7332; 1 account ready"
    });
}
