//! A daemon that cannot start, under many connections: it does not take the endpoint away, and it is not started for
//! nobody.

use super::life::{became, load};
use super::{CONFIG, DROP_IN, answered, ask, drop_in, enabled, notes};
use crate::support::{Machine, until};

/// More than systemd allows a socket or a service by itself in the time that they take.
const MANY: usize = 60;

fn sockets_are_open(machine: &Machine) {
    for socket in ["janus.socket", "janus-control.socket"] {
        assert_eq!(
            machine.property(socket, "ActiveState"),
            "active",
            "{socket}"
        );
        assert_eq!(machine.property(socket, "Result"), "success", "{socket}");
    }
}

#[test]
fn clients_at_once_are_told_what_is_wrong_for_as_long_as_it_is() {
    let name = "clients_at_once_are_told_what_is_wrong_for_as_long_as_it_is";
    let wrong = "servers:\n  notes: { comand: [x], command: [y] }\n";
    let Some(machine) = enabled(name, wrong) else {
        return;
    };
    let clients = load(&machine);
    // It answers for some seconds, and the next connection starts it again.
    until("several starts", || {
        let ended = "Main process exited, code=exited, status=78";
        machine.journal().matches(ended).count() > 1
    });
    let counts = became(clients);
    let count = |of: &str| counts[of].as_u64().unwrap();
    assert_eq!(
        (count("refused"), count("other"), count("answered")),
        (0, 0, 0),
        "{counts}"
    );
    // Who came while one ended sees that its connection does.
    assert!(count("unready") > 20 * count("broken"), "{counts}");
    sockets_are_open(&machine);

    machine.write(CONFIG, &notes("notes"));
    // One that runs still tells what it found.
    until("its end", || {
        machine.property("janus.service", "MainPID") == "0"
    });
    answered(&machine);
    sockets_are_open(&machine);
}

#[test]
fn a_program_that_ends_at_once_is_started_once_for_a_connection_and_never_closes_the_sockets() {
    let name =
        "a_program_that_ends_at_once_is_started_once_for_a_connection_and_never_closes_the_sockets";
    let Some(machine) = enabled(name, &notes("notes")) else {
        return;
    };
    let broken = "[Service]\nExecStart=\nExecStart=/bin/sh -c 'echo >>%h/starts; exit 78'\n";
    drop_in(&machine, broken);
    // In the box, so that they come one right after the other. 28: it takes longer than any start.
    let script = format!(
        "for _ in $(seq {MANY}); do curl -q -s -m 10 http://127.0.0.1:7332/mcp; ended=$?; echo $ended; \
         [ $ended != 28 ] || break; done | sort | uniq -c"
    );
    let seen = machine.done(&["bash", "-c", &script]);
    // 7: nobody listens.
    for never in [" 7\n", " 28\n", " 0\n"] {
        assert!(!seen.contains(never), "{seen}");
    }
    until("the end of the last one", || {
        machine.property("janus.service", "ActiveState") == "failed"
    });
    let starts = std::fs::read_to_string(machine.seen("~/starts")).unwrap();
    let starts = starts.lines().count();
    // One that came while another was let go went with it.
    assert!((MANY / 2..=MANY).contains(&starts), "{starts}: {seen}");
    assert_eq!(machine.property("janus.service", "Result"), "exit-code");
    sockets_are_open(&machine);

    std::fs::remove_file(machine.seen(DROP_IN)).unwrap();
    machine.systemctl(&["daemon-reload"]);
    until("the next call", || ask(&machine).0 == 200);
}
