//! A program that does not take over.

use std::fs;

use serde_json::json;

use super::Installed;
use crate::support::{Client, Era};

#[tokio::test]
async fn a_program_that_does_not_take_over_changes_nothing() {
    let installed = Installed::start();
    let mut client = Client::open(installed.janus.http(), "/mcp", Era::Legacy).await;
    client.text("server__echo", json!({"text": "x"})).await;
    let starts = installed.starts();
    let programs: [(&str, &str); 4] = [
        ("no program at all", "cannot be started"),
        ("#!/bin/sh\nexit 3\n", "would not start"),
        ("#!/bin/sh\necho hello\n", "does not know how"),
        (
            "#!/bin/sh\necho '{\"version\":\"9.9.9\",\"formats\":[99]}'\n",
            "cannot take over what this one has",
        ),
    ];
    for (program, why) in programs {
        installed.install(|new| fs::write(new, program).unwrap());
        let ended = installed.reexec(&[]);
        assert_eq!(ended.status.code(), Some(1), "{program}");
        assert!(
            ended.stdout.contains(why) || ended.stderr.contains(why),
            "{}{}",
            ended.stdout,
            ended.stderr
        );
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
