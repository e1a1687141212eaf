//! Clients that take their time, and many of them.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Installed, server};
use crate::support::{Client, Era};

/// More than the buffers of a socket.
const LONG: usize = 4 * 1024 * 1024;
/// Far more than what is cut needs, and less than the patience of the daemon when it stops.
const SOON: Duration = Duration::from_secs(8);

/// A client that has asked for a long answer and has read the first bytes of it.
fn reads_slowly(installed: &Installed) -> UnixStream {
    let mut stream = UnixStream::connect(installed.janus.socket()).unwrap();
    let (head, rest) = super::carried::pieces("localhost", &"x".repeat(LONG));
    write!(stream, "{head}{rest}").unwrap();
    stream.read_exact(&mut [0; 64]).unwrap();
    stream
}

#[tokio::test]
async fn an_answer_that_is_not_written_yet_is_waited_for() {
    let installed = Installed::start();
    let mut slow = reads_slowly(&installed);
    let ended = installed.reexec(&["--wait", "100ms"]);
    let said = ended.stdout + &ended.stderr;
    assert!(said.contains("deferred"), "{said}");
    let (mut read, mut piece) = (0, vec![0; 64 * 1024]);
    while read < LONG {
        let some = slow.read(&mut piece).unwrap();
        assert!(some > 0, "it was cut after {read} bytes");
        read += some;
    }
    let ended = installed.reexec(&["--wait", "5s"]);
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[tokio::test]
async fn one_that_is_cut_keeps_nobody_waiting() {
    let installed = Installed::start();
    let mut slow = reads_slowly(&installed);
    let begun = Instant::now();
    let ended = installed.reexec(&["--wait", "100ms", "--force"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let mut other = Client::open(installed.janus.http(), "/mcp", Era::Modern).await;
    assert_eq!(other.text("server__echo", json!({"text": "x"})).await, "x");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let mut rest = Vec::new();
    // The end, or a reset.
    slow.read_to_end(&mut rest).ok();
    assert!(rest.len() < LONG);
}

#[tokio::test]
async fn as_many_connections_go_along_as_can_be_open() {
    let installed = Installed::start_by("", server, |command| {
        let mut limited = Command::new("prlimit");
        limited.arg("--nofile=256:256").arg(command.get_program());
        limited
    });
    let mut resting: Vec<UnixStream> = (0..180).map(|_| reads_at_once(&installed)).collect();
    let starts = installed.starts();
    for _ in 0..2 {
        let ended = installed.reexec(&[]);
        assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    }
    for stream in &mut resting {
        asks(stream);
    }
    assert_eq!(installed.starts(), starts);
}

fn reads_at_once(installed: &Installed) -> UnixStream {
    let mut stream = UnixStream::connect(installed.janus.socket()).unwrap();
    asks(&mut stream);
    stream
}

fn asks(stream: &mut UnixStream) {
    let (head, rest) = super::carried::pieces("localhost", "kept");
    write!(stream, "{head}{rest}").unwrap();
    assert!(super::carried::answered(stream).starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_server_that_never_starts_is_no_reason_to_stay() {
    let installed = Installed::start_as("", |_| json!({"command": ["sleep", "300"]}));
    let ended = installed.reexec(&["--wait", "1s"]);
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
}
