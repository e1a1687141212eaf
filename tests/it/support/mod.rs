//! What the tests share: real processes, what they say, and a client that hides nothing.
//!
//! Nothing here sleeps: a test waits for a line, a message or an end, and a wait that takes longer than [`PATIENCE`]
//! fails with everything the process has said.
pub(crate) mod authorization;
mod disk;
mod fixture;
mod gate;
mod http;
mod janus;
mod keyring;
mod machine;
mod mcp;
mod network;
mod process;
mod tools;
mod who;

use std::io::Write as _;
use std::time::Duration;

pub(crate) use disk::Disk;
pub(crate) use fixture::{Era, Fixture};
pub(crate) use gate::Gate;
pub(crate) use http::{Event, Heard, Http, Reply, within};
pub(crate) use janus::{Home, Janus};
pub(crate) use keyring::{Keyring, until};
pub(crate) use machine::Machine;
pub(crate) use mcp::{Client, Conversation, Stream};
pub(crate) use network::Network;
pub(crate) use process::{Ended, Output, Process};
pub(crate) use tools::Tools;
pub(crate) use who::WhoServer;

/// Longer than any healthy wait on a loaded machine, shorter than the runner's own limit.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A count of the full size, or a tenth of it unless `JANUS_SCALE=full`.
pub(crate) fn scale(full: usize) -> usize {
    if env("JANUS_SCALE").as_deref() == Some("full") {
        full
    } else {
        (full / 10).max(1)
    }
}

/// An address, as soon as nobody else has it.
pub(crate) async fn until_bound(address: &str) -> std::net::TcpListener {
    within("the address", async {
        loop {
            match std::net::TcpListener::bind(address) {
                Ok(listener) => return listener,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

/// Says that a test cannot run here. With `CI=true` nothing may be skipped.
#[expect(clippy::print_stderr, reason = "the words of a test are for people")]
pub(crate) fn skip(name: &str, reason: &str) {
    assert!(
        env("CI").as_deref() != Some("true"),
        "{name} cannot run: {reason}"
    );
    eprintln!("SKIPPED {name}: {reason}");
    // The runner hides what passing tests print; tests/run shows this file at its end.
    if let Some(list) = env("JANUS_SKIPPED") {
        let mut list = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(list)
            .unwrap();
        writeln!(list, "SKIPPED {name}: {reason}").unwrap();
    }
}

/// A variable of the tests' own environment.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests read their own environment here"
)]
pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
