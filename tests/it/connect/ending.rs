//! How the shim ends: with its client, in order.

use serde_json::json;

use super::{Client, server};
use crate::support::{Era, Janus};

const ALONE: [&str; 2] = ["--path", "/mcp/@good"];

#[test]
fn calls_in_flight_are_answered_when_the_input_ends() {
    let janus = Janus::start(&server("good", &[]));
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.home(), era, &ALONE);
        for _ in 0..50 {
            client.ask(
                "tools/call",
                json!({ "name": "echo", "arguments": { "text": "t" } }),
            );
        }
        // Every one of them has its answer.
        client.leave();
    }
}

#[test]
fn everything_is_answered_although_the_client_closes_at_once() {
    let janus = Janus::start(&server("good", &[]));
    let mut client = Client::silent(janus.home(), Era::Modern, &ALONE);
    client.ask(
        "tools/call",
        json!({ "name": "echo", "arguments": { "text": "t" } }),
    );
    let ended = client.leave();
    assert!(ended.stdout.contains("\"t\""), "{}", ended.stdout);
}

#[test]
fn a_signal_ends_it_in_order_and_what_is_in_flight_is_answered() {
    let janus = Janus::start(&server("good", &[]));
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.home(), era, &ALONE);
        let params = json!({ "name": "hold", "arguments": {}, "_meta": { "progressToken": 1 } });
        let held = client.ask("tools/call", params);
        client.heard("notifications/progress");
        client.shim.terminate();
        let ended = client.shim.finish();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        let last: serde_json::Value =
            serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
        assert_eq!(
            (&last["id"], &last["error"]["data"]["code"]),
            (&json!(held), &json!("outcome_unknown"))
        );
    }
}
