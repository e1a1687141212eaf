//! A program that does not take over.

use std::fs;
use std::time::Instant;

use serde_json::json;

use super::Installed;
use crate::support::{Client, Era, within};

#[tokio::test]
async fn a_program_that_does_not_take_over_changes_nothing() {
    let installed = Installed::start();
    let mut client = Client::open(installed.janus.http(), "/mcp", Era::Legacy).await;
    client.text("server__echo", json!({"text": "x"})).await;
    let starts = installed.starts();
    let path = installed.program();
    let path = path.display();
    let (look, run) = (format!("ls -l '{path}'"), format!("'{path}' --version"));
    let anew = "systemctl --user restart janus";
    let programs: [(&str, &str, &str); 4] = [
        ("no program at all", "cannot be started", &look),
        ("#!/bin/sh\nexit 3\n", "would not start", &run),
        ("#!/bin/sh\necho hello\n", "does not know how", anew),
        (
            "#!/bin/sh\necho '{\"version\":\"9.9.9\",\"formats\":[99]}'\n",
            "cannot take over what this one has",
            anew,
        ),
    ];
    for (program, why, helps) in programs {
        installed.install(|new| fs::write(new, program).unwrap());
        let ended = installed.reexec(&[]);
        assert_eq!(ended.status.code(), Some(1), "{program}");
        for said in [why, helps] {
            assert!(ended.stderr.contains(said), "{}", ended.stderr);
        }
        assert_eq!(client.text("server__echo", json!({"text": "y"})).await, "y");
    }
    assert_eq!(
        (installed.starts(), &installed.status().await["lives"]),
        (starts, &json!(0))
    );
}

#[tokio::test]
async fn a_wrong_configuration_is_found_before_anything_changes() {
    let installed = Installed::start();
    fs::write(installed.janus.home().config(), "servers: 7\n").unwrap();
    let ended = installed.reexec(&[]);
    assert_eq!(ended.status.code(), Some(1));
    let said = ended.stdout + &ended.stderr;
    assert!(
        said.contains("janus.yaml") && said.contains("nothing changed"),
        "{said}"
    );
    assert!(said.contains("janus config validate"), "{said}");
    let mut client = Client::open(installed.janus.http(), "/mcp", Era::Modern).await;
    assert_eq!(client.text("server__echo", json!({"text": "z"})).await, "z");
}

/// It answers the question like the real one, and then does not take over.
const TURNCOAT: &str = r#"#!/bin/sh
for word; do [ "$word" = --rehearse ] && exec "JANUS" "$@"; done
exec "JANUS" serve --config /nowhere --go-on
"#;

#[tokio::test]
async fn a_program_that_fails_after_all_gives_everything_back() {
    let installed = Installed::start();
    let mut client = Client::open(installed.janus.http(), "/mcp", Era::Legacy).await;
    client.text("server__echo", json!({"text": "x"})).await;
    let (starts, id) = (installed.starts(), installed.janus.id());
    installed.install(|new| {
        fs::write(new, TURNCOAT.replace("JANUS", env!("CARGO_BIN_EXE_janus"))).unwrap();
    });
    let ended = installed.reexec(&[]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stdout);
    let said = ended.stdout + &ended.stderr;
    assert!(
        said.contains("did not take over") && said.contains("/nowhere"),
        "{said}"
    );
    assert_eq!(client.text("server__echo", json!({"text": "y"})).await, "y");
    let status = installed.status().await;
    assert_eq!((installed.starts(), &status["pid"]), (starts, &json!(id)));
    assert!(
        status["not_replaced"]
            .as_str()
            .unwrap()
            .contains("/nowhere"),
        "{status}"
    );
}

/// It answers the question like the real one, and then there is none any more.
const VANISHING: &str = r#"#!/bin/sh
printf 'no program at all' > "$0.new"
chmod 755 "$0.new"
mv "$0.new" "$0"
exec "JANUS" "$@"
"#;

#[tokio::test]
async fn a_program_that_cannot_be_started_after_all_gives_everything_back() {
    let installed = Installed::start();
    let mut client = Client::open(installed.janus.http(), "/mcp", Era::Legacy).await;
    client.text("server__echo", json!({"text": "x"})).await;
    let (starts, id) = (installed.starts(), installed.janus.id());
    installed.install(|new| {
        fs::write(new, VANISHING.replace("JANUS", env!("CARGO_BIN_EXE_janus"))).unwrap();
    });
    let ended = installed.reexec(&[]);
    let said = ended.stdout + &ended.stderr;
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("did not take over") && said.contains("cannot be started"),
        "{said}"
    );
    assert_eq!(client.text("server__echo", json!({"text": "y"})).await, "y");
    let status = installed.status().await;
    assert_eq!((installed.starts(), &status["pid"]), (starts, &json!(id)));
}

/// It answers the question like the real one, and ends when it has taken over.
const SHORT_LIVED: &str = r#"#!/bin/sh
for word; do [ "$word" = --rehearse ] && exec "JANUS" "$@"; done
exit 0
"#;

#[tokio::test]
async fn a_program_that_ends_after_all_is_told_of_at_once() {
    let installed = Installed::start();
    installed.install(|new| {
        fs::write(
            new,
            SHORT_LIVED.replace("JANUS", env!("CARGO_BIN_EXE_janus")),
        )
        .unwrap();
    });
    let begun = Instant::now();
    let asked = installed.begin(&["reexec"]);
    // Whoever started it takes notice, or its id would stay.
    let (_, _home) = installed.janus.finish();
    let ended = asked.finish();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("took over and ended"),
        "{}",
        ended.stderr
    );
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

/// It says more than anybody wants to know, and starts somebody who stays.
const TALKATIVE: &str = "#!/bin/sh
sleep 300 &
echo $! > PLACE
exec yes
";

#[tokio::test]
async fn a_program_that_never_ends_its_answer_is_not_heard_to_its_end() {
    let installed = Installed::start();
    let place = installed.janus.home().path().join("left");
    installed.install(|new| {
        let text = TALKATIVE.replace("PLACE", place.to_str().unwrap());
        fs::write(new, text).unwrap();
    });
    let ended = installed.reexec(&[]);
    let said = ended.stdout + &ended.stderr;
    assert!(said.contains("nothing changed"), "{said}");
    let left = fs::read_to_string(place).unwrap();
    within("the end of what it started", async {
        while is_running(left.trim()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Whether it is there and no zombie.
fn is_running(id: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}
