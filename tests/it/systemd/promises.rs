//! What the units promise and no other behaviour shows: as the manager has it in force.

use std::path::Path;

use super::{CONFIG, answered, ask, enabled, janus, main_process, notes};
use crate::support::{Machine, until};

/// What a directive of the service is in force as.
const SERVICE: [(&str, &str); 12] = [
    ("Type", "notify"),
    ("NotifyAccess", "main"),
    ("StartLimitIntervalUSec", "0"),
    ("Restart", "on-failure"),
    ("RestartUSec", "3s"),
    ("RestartPreventExitStatus", "78"),
    ("TimeoutStartUSec", "30s"),
    ("TimeoutStopUSec", "20s"),
    ("KillMode", "mixed"),
    ("OOMPolicy", "continue"),
    ("LimitCORE", "0"),
    // Of a process that runs.
    ("WatchdogUSec", "1min"),
];
/// And of both sockets.
const SOCKET: [(&str, &str); 4] = [
    ("SocketMode", "0600"),
    ("DirectoryMode", "0700"),
    ("FlushPending", "yes"),
    ("TriggerLimitIntervalUSec", "0"),
];

fn holds(machine: &Machine, unit: &str, promises: &[(&str, &str)]) {
    for (name, value) in promises {
        assert_eq!(machine.property(unit, name), *value, "{name} of {unit}");
    }
}

/// Whether systemd starts it by itself.
fn is_enabled(machine: &Machine, unit: &str) -> bool {
    let words = ["systemctl", "--user", "is-enabled", "--quiet", unit];
    machine.run(&words).status.success()
}

#[test]
fn the_manager_holds_what_the_units_say_and_stops_and_starts_as_they_say() {
    let name = "the_manager_holds_what_the_units_say_and_stops_and_starts_as_they_say";
    let Some(machine) = enabled(name, &notes("notes")) else {
        return;
    };
    answered(&machine);
    holds(&machine, "janus.service", &SERVICE);
    for socket in ["janus.socket", "janus-control.socket"] {
        holds(&machine, socket, &SOCKET);
    }

    // Who stops the socket stops everything behind it, and nobody is left to answer.
    machine.systemctl(&["stop", "janus.socket"]);
    for unit in ["janus.socket", "janus-control.socket", "janus.service"] {
        until(unit, || machine.property(unit, "ActiveState") == "inactive");
    }
    assert_eq!(machine.property("janus.service", "Result"), "success");
    assert_eq!((ask(&machine).0, main_process(&machine).as_str()), (0, "0"));

    // Always on: whatever starts what the user's login starts also starts the service, and it brings its sockets.
    machine.systemctl(&["enable", "janus.service"]);
    assert!(is_enabled(&machine, "janus.service"));
    machine.systemctl(&["start", "default.target"]);
    until("the service without a connection", || {
        machine.property("janus.service", "ActiveState") == "active"
    });
    for socket in ["janus.socket", "janus-control.socket"] {
        assert_eq!(machine.property(socket, "ActiveState"), "active");
    }
    answered(&machine);
    // And on demand again.
    machine.systemctl(&["disable", "janus.service"]);
    assert!(!is_enabled(&machine, "janus.service"));
    assert!(is_enabled(&machine, "janus.socket"));
    assert_eq!(machine.property("janus.socket", "ActiveState"), "active");
}

#[test]
fn presets_of_packages_enable_nothing_and_their_credential_opens_the_vault() {
    let name = "presets_of_packages_enable_nothing_and_their_credential_opens_the_vault";
    let Some(machine) = Machine::with_janus(name) else {
        return;
    };
    machine.write(
        CONFIG,
        &format!("vault: {{ key: credential }}\n{}", notes("notes")),
    );
    let preset = |unit| machine.systemctl(&["preset", unit]);
    // What the distribution does where nobody says anything else.
    preset("janus.socket");
    assert!(is_enabled(&machine, "janus.socket"));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/50-janus.preset");
    machine.put(&shipped, "/usr/lib/systemd/user-preset/50-janus.preset");
    for unit in ["janus.socket", "janus.service"] {
        machine.systemctl(&["enable", unit]);
        preset(unit);
        assert!(!is_enabled(&machine, unit), "{unit}");
    }
    machine.systemctl(&["enable", "--now", "janus.socket"]);
    assert!(is_enabled(&machine, "janus.socket"));

    // `LoadCredential=` without a path: nothing to begin with, and then what the administrator put there.
    let vault = || janus(&machine, &["vault", "status"]).stdout;
    let without = vault();
    assert!(
        without.contains("has no credential `janus-vault-key`"),
        "{without}"
    );
    let key = format!(
        "install -D -m 644 /dev/stdin /etc/credstore/janus-vault-key <<<{}",
        "ab".repeat(32)
    );
    assert!(machine.root(&["bash", "-c", &key]).status.success());
    machine.systemctl(&["restart", "janus.service"]);
    let set = machine.run(&["sh", "-c", "echo value | janus secret set tracker"]);
    assert!(set.status.success(), "{set:?}");
    let with = vault();
    assert!(
        with.contains("open") && with.contains("the systemd credential `janus-vault-key`"),
        "{with}"
    );
}
