//! A reload that goes on as the program that was installed meanwhile: the same process for systemd, watched as before.

use std::path::Path;

use super::life::{another, can_hang, hang};
use super::{answered, drop_in, enabled, main_process, notes};
use crate::support::{Machine, until};

/// The file that runs, as the kernel names it.
fn running(machine: &Machine) -> String {
    let exe = format!("/proc/{}/exe", main_process(machine));
    machine.root(&["readlink", &exe]).stdout.trim().to_owned()
}

#[test]
fn a_reload_goes_on_as_the_installed_program_and_is_watched_after_it() {
    let name = "a_reload_goes_on_as_the_installed_program_and_is_watched_after_it";
    if !can_hang(name) {
        return;
    }
    let config = format!("listen: {{ upgrade_on_reload: true }}\n{}", notes("notes"));
    let Some(machine) = enabled(name, &config) else {
        return;
    };
    drop_in(&machine, "[Service]\nWatchdogSec=3s\nRestartSec=50ms\n");
    answered(&machine);
    let process = main_process(&machine);
    machine.put(Path::new(env!("CARGO_BIN_EXE_janus")), "/usr/bin/janus");
    assert_eq!(running(&machine), "/usr/bin/janus (deleted)");
    machine.systemctl(&["reload", "janus.service"]);
    until("the other program", || {
        running(&machine) == "/usr/bin/janus"
    });
    until("the end of the reload", || {
        machine.property("janus.service", "ActiveState") == "active"
            && machine.property("janus.service", "SubState") == "running"
    });
    assert_eq!(main_process(&machine), process);
    answered(&machine);

    // It shows that it is alive, for longer than it is given.
    let stamp = || {
        let stamp = machine.property("janus.service", "WatchdogTimestampMonotonic");
        stamp.parse::<u64>().unwrap_or_default()
    };
    let first = stamp();
    until("twice the limit", || stamp() > first + 6_000_000);
    assert_eq!(main_process(&machine), process);
    assert_eq!(machine.property("janus.service", "NRestarts"), "0");
    // And only if it is.
    hang(&machine, "runtime");
    another(&machine, &process);
    until("the words of systemd", || {
        machine.journal().contains("Watchdog timeout")
    });
    answered(&machine);
}
