//! Nobody listens on the socket, or somebody who refuses.

use serde_json::{Value, json};

use super::{Client, refused, server};
use crate::support::{Era, Home, Janus};

#[test]
fn a_client_that_comes_before_the_daemon_is_served_by_it() {
    for era in Era::CLIENTS {
        let home = Home::new(&server("good", &[]));
        let mut client = Client::silent(&home, era, &["--path", "/mcp/@good"]);
        let (method, params) = match era {
            Era::Legacy => ("initialize", super::initialize()),
            Era::Modern => ("server/discover", json!({})),
        };
        let first = client.ask(method, params);
        let janus = Janus::start_in(home, |_| {});
        let answer = client.answer(first);
        assert!(answer["result"]["capabilities"].is_object(), "{answer}");
        client.echo("served");
        client.leave();
        drop(janus);
    }
}

#[test]
fn a_daemon_that_stays_away_is_told_with_the_command_that_starts_it() {
    let home = Home::new(&server("good", &[]));
    let mut client = Client::silent(&home, Era::Modern, &["--path", "/mcp/@good"]);
    for _ in 0..2 {
        let answer = client.call("echo", json!({ "text": "t" }));
        let (text, data) = refused(&answer);
        assert_eq!(answer["error"]["code"], -32603);
        assert_eq!(
            (&data["code"], &data["sent"]),
            (&json!("unavailable"), &json!(false))
        );
        assert!(
            text.contains("Nothing was sent. Start it with: janus serve"),
            "{text}"
        );
        assert!(text.contains("mcp.sock"), "{text}");
    }
    // A notification waits for nobody, and the shim is still there.
    client.notify("notifications/cancelled", json!({ "requestId": 7 }));
    let janus = Janus::start_in(home, |_| {});
    client.echo("at last");
    client.leave();
    drop(janus);
}

#[test]
fn a_client_that_leaves_while_nobody_is_there_holds_nobody_up() {
    let home = Home::new("");
    let client = Client::silent(&home, Era::Modern, &[]);
    assert_eq!(client.leave().stdout, "");
}

#[test]
fn a_refusal_answers_every_request() {
    let janus = Janus::start(&server("good", &[]));
    let mut client = Client::silent(janus.home(), Era::Legacy, &["--path", "/mcp/@nobody"]);
    for _ in 0..2 {
        let answer = client.request("initialize", super::initialize());
        assert_eq!(answer["error"]["code"], -32600, "{answer}");
        assert!(refused(&answer).0.contains("`nobody`"), "{answer}");
    }
    client.leave();
}

#[test]
fn a_flag_that_cannot_be_sent_is_refused_at_once() {
    let home = Home::new("");
    for arguments in [["--path", "mcp"], ["--path", ""], ["--profile", "a\nb"]] {
        let ended = home.run(&[&["connect"], &arguments[..]].concat());
        assert_eq!(
            ended.status.code(),
            Some(2),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_request_that_was_cancelled_before_it_was_sent_is_not_sent() {
    let home = Home::new(&server("good", &[]));
    let mut client = Client::silent(&home, Era::Modern, &["--path", "/mcp/@good"]);
    let cancelled = client.ask("tools/call", json!({ "name": "pid", "arguments": {} }));
    client.notify("notifications/cancelled", json!({ "requestId": cancelled }));
    let janus = Janus::start_in(home, |_| {});
    let seen: Vec<Value> = serde_json::from_str(&client.text("seen", json!({}))).unwrap();
    assert_eq!(seen[1..], ["call seen"]);
    client.shim.close_stdin();
    assert_eq!(super::answers(&client.shim.finish()), [2]);
    drop(janus);
}
