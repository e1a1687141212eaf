//! Many calls in flight to one slow server: there is no hidden limit. Many connections: there is one, and it is told.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{VIEW, borrowed, good, modern, others_are_served, session};
use crate::support::{Client, Era, Janus, PATIENCE, scale, skip, until};

/// As many files as this process may have open.
fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    limit.maximum.unwrap_or(u64::MAX)
}

#[tokio::test]
async fn a_thousand_calls_wait_for_one_slow_server_and_all_are_answered() {
    raise_limit();
    let count = scale(1000);
    let janus = Janus::start(&good());
    let door = janus.http();
    let id = session(&door, VIEW, "2025-11-25").await;
    let mut calls = JoinSet::new();
    for number in 0..count {
        let (door, id) = (door.clone(), id.clone());
        calls.spawn(async move {
            let reply = if number % 2 == 0 {
                let (headers, body) = modern(&json!(number), "tools/call", json!({ "name": "hold" }));
                door.post(VIEW, &borrowed(&headers), &body).await
            } else {
                let body = json!({ "jsonrpc": "2.0", "id": number, "method": "tools/call", "params": { "name": "hold" } });
                door.post(VIEW, &[("mcp-session-id", &id)], &body).await
            };
            assert_eq!(reply.status, 200);
            let mut reply = reply;
            let answer: Value = if reply.is_stream() {
                reply.message().await.unwrap()
            } else {
                reply.json().await
            };
            assert_eq!(answer["result"]["content"][0]["text"], "released", "{answer}");
            answer["id"].as_u64().unwrap()
        });
    }
    let mut other = Client::open(janus.unix(), VIEW, Era::Legacy).await;
    assert_eq!(
        other.text("wait_held", json!({ "count": count })).await,
        "held"
    );
    others_are_served(&janus).await;
    assert_eq!(other.text("release", json!({})).await, count.to_string());
    let mut answered = calls.join_all().await;
    answered.sort_unstable();
    assert_eq!(answered, (0..count as u64).collect::<Vec<_>>());
}

/// Connections at once.
const CONNECTIONS: usize = 4096;

/// What a new connection hears, and whether it is closed then.
fn heard(janus: &Janus) -> String {
    let mut stream = UnixStream::connect(janus.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let (mut said, mut piece) = (String::new(), [0; 1024]);
    while !said.contains("\r\n\r\n") || said.starts_with("HTTP/1.1 503") {
        match stream.read(&mut piece).expect("more, or the end, in time") {
            0 => return said + "(closed)",
            read => said.push_str(&String::from_utf8_lossy(&piece[..read])),
        }
    }
    said
}

#[test]
fn one_connection_too_many_is_told_so_and_closed() {
    // Janus has as many, and files besides.
    if raise_limit() < 5000 {
        let name = "one_connection_too_many_is_told_so_and_closed";
        return skip(name, "too few files may be open");
    }
    let janus = Janus::start("");
    let connect = |_| UnixStream::connect(janus.socket()).unwrap();
    let mut resting: Vec<UnixStream> = (0..CONNECTIONS).map(connect).collect();
    for _ in 0..2 {
        let said = heard(&janus);
        assert!(said.starts_with("HTTP/1.1 503"), "{said}");
        for header in ["connection: close\r\n", "retry-after: 1\r\n"] {
            assert!(said.to_lowercase().contains(header), "{said}");
        }
        assert!(said.ends_with("(closed)"), "{said}");
    }
    resting.pop();
    until("a place", || !heard(&janus).starts_with("HTTP/1.1 503"));
}
