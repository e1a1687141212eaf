//! The first connection starts it; what it is given, and what it says.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use super::{CONFIG, answered, ask, drop_in, enabled, janus, main_process, notes, status};
use crate::support::{Output, Process, until};

#[test]
fn the_first_connection_starts_it_and_systemd_holds_its_sockets() {
    let name = "the_first_connection_starts_it_and_systemd_holds_its_sockets";
    let Some(machine) = enabled(name, &notes("notes")) else {
        return;
    };
    assert_eq!(main_process(&machine), "0");
    for socket in ["mcp.sock", "control.sock"] {
        let path = machine.seen(&format!("/run/user/{}/janus/{socket}", machine.user()));
        let socket = std::fs::metadata(&path).unwrap();
        assert!(socket.file_type().is_socket());
        assert_eq!(
            (socket.mode() & 0o777, socket.uid()),
            (0o600, machine.user())
        );
        let directory = std::fs::metadata(path.parent().unwrap()).unwrap();
        assert_eq!(directory.mode() & 0o777, 0o700);
    }
    answered(&machine);
    assert_eq!(machine.property("janus.service", "ActiveState"), "active");
    let line = status(&machine, "a server that is ready", |line| {
        line.contains("1 account ready")
    });
    assert_eq!(line, "serving 127.0.0.1:7332; 1 account ready");
    let shown = janus(&machine, &["status"]).stdout;
    let runtime = format!("/run/user/{}/janus", machine.user());
    assert!(
        shown.contains(&format!(
            "listening  http://127.0.0.1:7332/mcp   unix:{runtime}/mcp.sock   (sockets held by systemd)"
        )),
        "{shown}"
    );

    // What systemd holds stays when the daemon goes.
    machine.systemctl(&["stop", "janus.service"]);
    assert!(machine.seen(&format!("{runtime}/mcp.sock")).exists());
    assert!(machine.seen(&format!("{runtime}/control.sock")).exists());
    assert_eq!(machine.property("janus.socket", "ActiveState"), "active");
    // A command starts it as well.
    assert!(janus(&machine, &["status"]).status.success());
    assert_ne!(main_process(&machine), "0");

    // A manager that reads its units again keeps them, and a restart of theirs makes them anew. Who restarts the control
    // socket alone is refused by systemd while the daemon runs, and commands still reach it.
    let process = main_process(&machine);
    machine.systemctl(&["daemon-reload"]);
    answered(&machine);
    assert_eq!(main_process(&machine), process);
    machine.run(&["systemctl", "--user", "restart", "janus-control.socket"]);
    assert!(janus(&machine, &["status"]).status.success());
    machine.systemctl(&["restart", "janus.socket"]);
    answered(&machine);
    assert!(janus(&machine, &["status"]).status.success());
    machine.systemctl(&["stop", "janus.socket"]);
    assert!(!machine.seen(&format!("{runtime}/mcp.sock")).exists());
}

#[test]
fn a_service_that_nobody_asked_yet_waits_for_nobody_when_it_is_stopped() {
    let name = "a_service_that_nobody_asked_yet_waits_for_nobody_when_it_is_stopped";
    let Some(machine) = enabled(name, &notes("notes")) else {
        return;
    };
    let moment = |what: &str| -> u64 {
        let property = format!("{what}TimestampMonotonic");
        let moment = machine.property("janus.service", &property);
        moment.parse().unwrap()
    };
    // It lets whoever started it ask first, for three seconds. On a loaded machine one stop may take that long by itself.
    let both = "systemctl --user start janus.service && systemctl --user stop janus.service";
    until("a stop within the time of the first answer", || {
        machine.done(&["sh", "-c", both]);
        moment("InactiveEnter") - moment("ActiveEnter") < 3_000_000
    });
}

#[test]
fn whoever_serves_by_hand_is_told_that_the_service_has_the_address() {
    let name = "whoever_serves_by_hand_is_told_that_the_service_has_the_address";
    let Some(machine) = enabled(name, &notes("notes")) else {
        return;
    };
    let ended = janus(&machine, &["serve"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for said in [
        "error[already_serving]: the service has 127.0.0.1:7332: systemd listens there for it\n",
        "help:  use it, the first connection starts it:  janus status\n",
        "help:  or end it before:  systemctl --user stop janus.socket\n",
    ] {
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
    // What it says is what helps.
    machine.systemctl(&["stop", "janus.socket"]);
    let mut serving = Process::start("janus serve", &mut machine.command(&["janus", "serve"]));
    serving.line(Output::Stderr, |line| {
        line.contains("ready on").then_some(())
    });
    serving.kill();
}

#[test]
fn a_foreign_socket_is_explained_and_a_child_sees_nothing_of_the_service() {
    let name = "a_foreign_socket_is_explained_and_a_child_sees_nothing_of_the_service";
    // A server that writes down what it was given, and is no server.
    let script = "env >$HOME/seen; ulimit -Sn >>$HOME/seen; ls /proc/self/fd | wc -l >>$HOME/seen; exec sleep 600";
    let config = format!("servers:\n  odd: {{ command: [/bin/sh, -c, '{script}'] }}\n");
    let Some(machine) = enabled(name, "servers: {}\n") else {
        return;
    };
    machine.write(
        "~/.config/systemd/user/extra.socket",
        "[Socket]\nListenStream=127.0.0.1:7399\nFileDescriptorName=extra\nService=janus.service\n",
    );
    machine.write(
        "~/.config/systemd/user/gram.socket",
        "[Socket]\nListenDatagram=127.0.0.1:7399\nFileDescriptorName=mcp\nService=janus.service\n",
    );
    machine.write(CONFIG, &config);
    drop_in(
        &machine,
        "[Service]\nSockets=extra.socket gram.socket\nLimitNOFILE=777:9999\n",
    );
    machine.systemctl(&["start", "extra.socket", "gram.socket"]);
    answered(&machine);
    until("the words about both", || {
        let said = machine.journal();
        said.contains("the socket `extra` is closed: Janus knows `mcp` and `control`")
            && said.contains("the descriptor `mcp` is closed: it is a datagram socket")
    });
    let seen = || std::fs::read_to_string(machine.seen("~/seen")).unwrap_or_default();
    until("what the child was given", || {
        seen().lines().count() > 3 && seen().contains("777")
    });
    let seen = seen();
    for hidden in [
        "NOTIFY_SOCKET",
        "LISTEN_",
        "WATCHDOG_",
        "CREDENTIALS_DIRECTORY",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "MANAGERPID",
        "SYSTEMD_EXEC_PID",
    ] {
        assert!(!seen.contains(hidden), "{seen}");
    }
    assert!(seen.contains("PATH="), "{seen}");
    // Its three pipes, and the one that `ls` reads the directory by.
    assert_eq!(seen.lines().last().map(str::trim), Some("4"), "{seen}");
    // While the daemon has what it may have.
    let limits = machine
        .root(&["cat", &format!("/proc/{}/limits", main_process(&machine))])
        .stdout;
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("9999"), "{files}");
}

#[test]
fn a_wrong_file_at_the_start_is_answered_and_serves_again_after_the_repair() {
    let name = "a_wrong_file_at_the_start_is_answered_and_serves_again_after_the_repair";
    let Some(machine) = enabled(
        name,
        "servers:\n  notes: { comand: [x], command: [y] }\n  other: { timeout: never }\n",
    ) else {
        return;
    };
    // Under any number of connections the sockets stay.
    for _ in 0..25 {
        let (status, body) = ask(&machine);
        assert_eq!(status, 503, "{body}\n{}", machine.journal());
        assert_eq!(body["id"], 7);
        let message = body["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("/home/tester/.config/janus/config.yaml:2:12"),
            "{message}"
        );
        assert!(message.contains("unknown key `comand`"), "{message}");
        assert!(message.ends_with("run: janus config validate"), "{message}");
        assert_eq!(body["error"]["data"]["code"], "config_invalid");
    }
    let told = janus(&machine, &["status"]);
    assert_eq!(told.status.code(), Some(78), "{told:?}");
    assert!(told.stderr.contains("unknown key `comand`"), "{told:?}");
    until("the end", || {
        machine.property("janus.service", "ActiveState") == "failed"
    });
    assert_eq!(machine.property("janus.service", "ExecMainStatus"), "78");
    assert_eq!(machine.property("janus.service", "NRestarts"), "0");
    let said = machine.journal();
    for every in ["config.yaml:2:12", "config.yaml:3:"] {
        assert!(said.contains(every), "{said}");
    }
    assert_eq!(machine.property("janus.socket", "ActiveState"), "active");
    machine.write(CONFIG, &notes("notes"));
    answered(&machine);
}

#[test]
fn a_damaged_database_is_answered_and_waits_for_a_person() {
    let name = "a_damaged_database_is_answered_and_waits_for_a_person";
    let Some(machine) = enabled(name, &notes("notes")) else {
        return;
    };
    answered(&machine);
    machine.systemctl(&["stop", "janus.service"]);
    let database = "~/.local/state/janus/janus.db";
    machine.write(database, &"no database".repeat(1000));
    for _ in 0..5 {
        let (status, body) = ask(&machine);
        assert_eq!(status, 503, "{body}\n{}", machine.journal());
        let message = body["error"]["message"].as_str().unwrap();
        let path = "/home/tester/.local/state/janus/janus.db";
        assert!(
            message.contains(&format!("`{path}` is damaged"))
                && message.ends_with(&format!("; run: mv '{path}' '{path}.damaged'")),
            "{message}"
        );
    }
    until("the end", || {
        machine.property("janus.service", "ActiveState") == "failed"
    });
    assert_eq!(machine.property("janus.service", "ExecMainStatus"), "78");
    assert_eq!(machine.property("janus.service", "NRestarts"), "0");
    machine.done(&[
        "mv",
        "/home/tester/.local/state/janus/janus.db",
        "/home/tester/old",
    ]);
    answered(&machine);
}

#[test]
fn a_state_that_somebody_uses_is_answered_and_tried_again() {
    let name = "a_state_that_somebody_uses_is_answered_and_tried_again";
    let Some(machine) = enabled(name, &notes("notes")) else {
        return;
    };
    drop_in(&machine, "[Service]\nRestartSec=50ms\n");
    answered(&machine);
    machine.systemctl(&["stop", "janus.service"]);
    let mut holds = machine.command(&[
        "flock",
        "/home/tester/.local/state/janus/lock",
        "sh",
        "-c",
        "echo held; cat",
    ]);
    let mut holds = Process::start("flock", &mut holds);
    holds.line(Output::Stdout, |line| (line == "held").then_some(()));
    let (status, body) = ask(&machine);
    assert_eq!(status, 503, "{body}\n{}", machine.journal());
    assert!(
        body.to_string().contains("uses the state directory"),
        "{body}"
    );
    until("another try", || {
        machine
            .property("janus.service", "NRestarts")
            .parse::<u32>()
            .is_ok_and(|tried| tried > 1)
    });
    holds.close_stdin();
    holds.finish();
    until("that it serves", || ask(&machine).0 == 200);
}

#[test]
fn a_credential_opens_the_vault_and_the_status_follows_what_accounts_need() {
    let name = "a_credential_opens_the_vault_and_the_status_follows_what_accounts_need";
    let tracker =
        "  tracker: { url: \"http://127.0.0.1:9/mcp\", auth: { bearer: vault:tracker } }\n";
    let config = format!("vault: {{ key: credential }}\n{}{tracker}", notes("notes"));
    let Some(machine) = enabled(name, &config) else {
        return;
    };
    // Without a credential everything else runs.
    answered(&machine);
    let without = janus(&machine, &["vault", "status"]).stdout;
    assert!(
        without.contains("the service has no credential `janus-vault-key`"),
        "{without}"
    );
    machine.write("~/key", &"ab".repeat(32));
    machine.write(
        "~/.config/systemd/user/janus.service.d/key.conf",
        "[Service]\nLoadCredential=janus-vault-key:%h/key\n",
    );
    machine.systemctl(&["daemon-reload"]);
    machine.systemctl(&["restart", "janus.service"]);
    status(&machine, "what is missing", |line| {
        line == "serving 127.0.0.1:7332; 1 account ready, 1 needs a secret: tracker/default"
    });
    let set = machine.run(&["sh", "-c", "echo value | janus secret set tracker"]);
    assert!(set.status.success(), "{set:?}");
    // Nothing listens there.
    status(&machine, "that it is not there", |line| {
        line == "serving 127.0.0.1:7332; 1 account ready, 1 unreachable: tracker/default"
    });
    let with = janus(&machine, &["vault", "status"]).stdout;
    assert!(with.contains("open"), "{with}");
}

#[test]
fn where_all_servers_are_remote_it_runs_under_the_strict_drop_in() {
    let name = "where_all_servers_are_remote_it_runs_under_the_strict_drop_in";
    let remote = "servers:\n  there: { url: \"http://127.0.0.1:9/mcp\" }\n";
    let Some(machine) = enabled(name, remote) else {
        return;
    };
    // Its directories are made by the first start.
    answered(&machine);
    machine.systemctl(&["stop", "janus.service"]);
    let shipped = include_str!("../../../systemd/remote-only.conf");
    machine.write(
        "~/.config/systemd/user/janus.service.d/remote-only.conf",
        shipped,
    );
    machine.systemctl(&["daemon-reload"]);
    answered(&machine);
    status(&machine, "that it is not there", |line| {
        line == "serving 127.0.0.1:7332; 1 account unreachable: there/default"
    });
    // The key is kept: the database can be written.
    let added = janus(&machine, &["client", "add", "one", "--yes"]);
    assert!(added.status.success(), "{added:?}\n{}", machine.journal());
    machine.systemctl(&["reload", "janus.service"]);
}
