//! The program was replaced by a newer one: a database that is brought to its version, and a program that hangs.

use std::path::Path;

use super::{answered, drop_in, enabled, janus, life, main_process, notes};
use crate::support::{Output, Process, until};

/// Takes the database back to version 2 and holds it, so that the next migration has to wait.
const OLD: &str = r#"
import os, sqlite3, sys
database = sqlite3.connect(os.environ["HOME"] + "/.local/state/janus/janus.db", isolation_level=None)
for table in ("oauth_registration", "oauth_grant", "refresh_intent", "chosen"):
    database.execute(f"DROP TABLE {table}")
database.execute("PRAGMA user_version = 2")
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"#;
/// What is granted for one step of a migration.
const GRANTED: &str = "EXTEND_TIMEOUT_USEC=120000000";

#[test]
fn a_migration_may_take_longer_than_a_start() {
    let name = "a_migration_may_take_longer_than_a_start";
    let Some(machine) = enabled(name, &notes("notes")) else {
        return;
    };
    answered(&machine);
    machine.systemctl(&["stop", "janus.service"]);
    drop_in(&machine, "[Service]\nTimeoutStartSec=1s\n");
    // It says what it is told.
    machine.systemctl(&["log-level", "debug"]);
    let mut holds = Process::start("python3", &mut machine.command(&["python3", "-c", OLD]));
    holds.line(Output::Stdout, |line| (line == "held").then_some(()));
    machine.systemctl(&["start", "--no-block", "janus.service"]);
    until("that it asks for more time", || {
        machine.journal().contains(GRANTED)
    });
    // From here on it takes as long as it is stopped.
    let process = main_process(&machine);
    life::kill(&machine, "STOP");
    holds.close_stdin();
    holds.finish();
    let started = machine.property("janus.service", "ExecMainStartTimestampMonotonic");
    let started: u64 = started.parse().unwrap();
    until("three times the limit", || now() > started + 3_000_000);
    assert_eq!(
        machine.property("janus.service", "ActiveState"),
        "activating"
    );
    life::kill(&machine, "CONT");
    answered(&machine);
    assert_eq!(main_process(&machine), process);
    assert_eq!(machine.property("janus.service", "Result"), "success");
    assert_eq!(machine.property("janus.service", "NRestarts"), "0");
}

/// Microseconds of the clock that systemd stamps with.
fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec * 1_000_000 + now.tv_nsec / 1000).unwrap()
}

/// It answers the question like the real one, and then neither serves nor hears that it should end: signals are held back
/// for it. The alarm that it was left is the only limit, which it shortens.
const HANGING: &str = r#"#!/usr/bin/python3
import os, signal, sys
if "--go-on" not in sys.argv:
    os.execv("/usr/lib/janus/janus", sys.argv)
left, _ = signal.getitimer(signal.ITIMER_REAL)
held = signal.pthread_sigmask(signal.SIG_BLOCK, [])
with open(os.environ["HOME"] + "/left", "w") as file:
    file.write(f"{0 < left <= 30} {signal.SIGTERM in held} {signal.SIGALRM in held}")
signal.setitimer(signal.ITIMER_REAL, left / 100)
while True:
    signal.pause()
"#;

#[test]
fn a_program_that_takes_over_and_hangs_is_ended_by_its_alarm_and_started_anew() {
    let name = "a_program_that_takes_over_and_hangs_is_ended_by_its_alarm_and_started_anew";
    let Some(machine) = enabled(name, &notes("notes")) else {
        return;
    };
    drop_in(&machine, "[Service]\nRestartSec=50ms\n");
    answered(&machine);
    let process = main_process(&machine);
    machine.put(
        Path::new(env!("CARGO_BIN_EXE_janus")),
        "/usr/lib/janus/janus",
    );
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("janus");
    std::fs::write(&script, HANGING).unwrap();
    machine.put(&script, "/usr/bin/janus");
    machine.root(&["chmod", "755", "/usr/bin/janus"]);
    let asked = machine.run(&["/usr/lib/janus/janus", "reexec"]);
    assert_eq!(asked.status.code(), Some(1), "{asked:?}");
    assert!(asked.stderr.contains("took over and ended"), "{asked:?}");
    let left = std::fs::read_to_string(machine.seen("~/left")).unwrap();
    assert_eq!(left, "True True False");
    until("the words of systemd", || {
        let said = machine.journal();
        said.contains("Main process exited, code=killed, status=14/ALRM")
    });
    // Whoever starts it anew has the program that is installed.
    answered(&machine);
    assert_ne!(main_process(&machine), process);
    assert_eq!(machine.property("janus.service", "NRestarts"), "1");
    assert!(janus(&machine, &["status"]).status.success());
}
