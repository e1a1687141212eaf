//! Janus is asked for several things at once: nobody is forgotten.

use std::path::Path;

use serde_json::json;

use super::Installed;
use crate::support::{Client, Era, scale, within};

#[tokio::test]
async fn wishes_at_once_are_all_answered() {
    let installed = Installed::start();
    let mut client = Client::open(installed.janus.http(), "/mcp", Era::Legacy).await;
    client.text("server__echo", json!({"text": "x"})).await;
    let starts = installed.starts();
    let asked: Vec<_> = (0..12)
        .map(|number| match number % 3 {
            0 => installed.begin(&["config", "reload"]),
            1 => installed.begin(&["reexec"]),
            _ => installed.begin(&["status"]),
        })
        .collect();
    for one in asked {
        let ended = one.finish();
        assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    }
    assert_eq!(client.text("server__echo", json!({"text": "y"})).await, "y");
    assert_eq!(installed.starts(), starts);
}

/// When the end is asked for.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// Janus has said that it goes on.
    Decided,
    /// It has just become the other program.
    After,
}

#[tokio::test]
async fn whoever_asks_for_the_end_meanwhile_gets_it_from_the_next_program() {
    for round in 0..scale(60) {
        let moment = if round % 2 == 0 {
            Moment::Decided
        } else {
            Moment::After
        };
        let installed = Installed::start();
        let mut client = Client::open(installed.janus.http(), "/mcp", Era::Modern).await;
        let child = client.text("server__pid", json!({})).await;
        installed.install_again();
        assert_eq!(installed.go_on().await["goes_on"], true);
        if matches!(moment, Moment::After) {
            within("the other program", async {
                while installed.running() != installed.program() {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
        installed.janus.terminate();
        let socket = installed.janus.socket().to_owned();
        let (ended, _home) = installed.janus.finish();
        assert!(ended.status.success(), "{moment:?}: {}", ended.stderr);
        assert!(!socket.exists(), "{moment:?}: {}", ended.stderr);
        let child = Path::new("/proc").join(child);
        assert!(!child.exists(), "{moment:?}: {}", ended.stderr);
    }
}
