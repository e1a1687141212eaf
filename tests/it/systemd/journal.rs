//! What is found in the journal, and what explains it.

use std::path::Path;

use super::{answered, enabled, janus, notes};
use crate::support::{Output, Process, until};

#[test]
fn records_have_fields_and_ids_that_the_catalogue_explains() {
    let test = "records_have_fields_and_ids_that_the_catalogue_explains";
    let broken = "  broken: { command: [/bin/sh, -c, \"echo no-such-thing >&2; exit 1\"] }\n";
    let Some(machine) = enabled(test, &format!("{}{broken}", notes("notes"))) else {
        return;
    };
    let catalog = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/janus.catalog");
    machine.put(&catalog, "/usr/lib/systemd/catalog/janus.catalog");
    let updated = machine.root(&["journalctl", "--update-catalog"]);
    assert!(updated.status.success(), "{updated:?}");
    answered(&machine);

    // A server's own words are under its name.
    let of_server = || {
        let words = [
            "journalctl",
            "--user",
            "-o",
            "cat",
            "--no-pager",
            "JANUS_SERVER=broken",
        ];
        machine.run(&words).stdout
    };
    until("the server's words in the journal", || {
        of_server().contains("no-such-thing")
    });
    // The plain text says whose they are, once.
    let text = machine.done(&[
        "journalctl",
        "--user",
        "-u",
        "janus",
        "-o",
        "cat",
        "--no-pager",
    ]);
    let line = |line: &str| text.lines().any(|there| there == line);
    assert!(line("broken/default: no-such-thing"), "{text}");
    assert!(!text.contains("broken/default: broken/default"), "{text}");
    let fields = [
        "journalctl",
        "--user",
        "-o",
        "export",
        "-n",
        "1",
        "JANUS_ACCOUNT=broken/default",
    ];
    let fields = machine.done(&fields);
    for field in [
        "SYSLOG_IDENTIFIER=janus",
        "_SYSTEMD_USER_UNIT=janus.service",
    ] {
        assert!(fields.contains(field), "{field}: {fields}");
    }

    // What it means stands below it.
    let ready = "MESSAGE_ID=e26d9b20457e425d94626e58438f1905";
    let explained = machine.done(&["journalctl", "--user", "-x", "--no-pager", ready]);
    assert!(explained.contains("Subject: Janus is ready"), "{explained}");

    // ... with the account that it is about.
    let needed = "MESSAGE_ID=37dff62c57424717ab94f66148ab322b";
    let record = format!("{needed}\nJANUS_ACCOUNT=github/work\nMESSAGE=login needed\n");
    let script = format!("printf '{record}' | logger --journald");
    machine.done(&["sh", "-c", &script]);
    let explained = || {
        machine
            .run(&["journalctl", "--user", "-x", "--no-pager", needed])
            .stdout
    };
    until("the record", || {
        explained().contains("Subject: github/work waits for a login")
    });
    assert!(
        explained().contains("janus login github/work"),
        "{}",
        explained()
    );

    // The same by Janus's own command, of one server and without its fellows.
    let told = janus(&machine, &["logs", "--server", "broken"]);
    let said = |line: &str| line.ends_with(" info  broken/default: no-such-thing");
    assert!(told.stdout.lines().any(said), "{told:?}");
    let told = janus(&machine, &["logs", "--server", "notes"]);
    assert!(!told.stdout.contains("no-such-thing"), "{told:?}");

    // The last ones of that server, however many others came after them, and what comes later.
    let mut follows = machine.command(&["janus", "logs", "-f", "--server", "broken"]);
    let mut follows = Process::start("janus logs", &mut follows);
    let word = |line: &str| line.contains("no-such-thing").then_some(());
    follows.line(Output::Stdout, word);
    // Without a daemon the journal is there all the same.
    machine.systemctl(&["stop", "janus.socket", "janus.service"]);
    let told = janus(&machine, &["logs", "--server", "broken", "--level", "info"]);
    assert!(told.stdout.contains("no-such-thing"), "{told:?}");
    follows.kill();
}
