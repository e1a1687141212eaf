//! What passes: everything that is a message, in order, and nothing else.

use serde_json::{Value, json};

use super::{Client, LEGACY, server};
use crate::support::{Era, Fixture, Janus};

const ALONE: [&str; 2] = ["--path", "/mcp/@good"];

#[test]
fn two_hundred_notifications_come_in_order_and_before_the_result() {
    let janus = Janus::start(&server("good", &[]));
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.home(), era, &ALONE);
        let params = json!({ "name": "steps", "arguments": { "count": 200 }, "_meta": { "progressToken": 5 } });
        let answer = client.request("tools/call", params);
        assert_eq!(answer["result"]["content"][0]["text"], "stepped");
        let steps = client
            .told
            .iter()
            .filter(|told| told["method"] == "notifications/progress");
        let steps: Vec<u64> = steps
            .map(|step| step["params"]["progress"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, (1..=200).collect::<Vec<_>>(), "{era:?}");
        client.leave();
    }
}

#[test]
fn a_line_of_20_mib_is_refused_and_the_next_one_is_read() {
    let janus = Janus::start(&server("good", &[]));
    let mut client = Client::open(janus.home(), Era::Legacy, &ALONE);
    client
        .shim
        .say(&format!("{{\"x\":\"{}\"}}", "x".repeat(20 * 1024 * 1024)));
    let refused = client.response();
    assert_eq!(refused["error"]["message"], "a message has at most 16 MiB");
    assert_eq!(refused["id"], Value::Null);
    client.echo("next");
    // As long as a message may be.
    let text = "y".repeat(15 * 1024 * 1024);
    client.echo(&text);
    client.leave();
}

#[test]
fn whatever_a_client_says_is_answered_with_messages() {
    let janus = Janus::start(&server("good", &[]));
    let mut client = Client::open(janus.home(), Era::Legacy, &ALONE);
    for (line, code, id) in [
        ("no JSON", -32700, Value::Null),
        (
            "{\"jsonrpc\":\"1.0\",\"id\":77,\"method\":\"ping\"}",
            -32600,
            json!(77),
        ),
        ("[]", -32600, Value::Null),
        ("{}", -32600, Value::Null),
    ] {
        client.shim.say(line);
        let answer = client.response();
        assert_eq!(
            (&answer["error"]["code"], &answer["id"]),
            (&json!(code), &id),
            "{line}"
        );
    }
    client.shim.say("   ");
    assert_eq!(client.text("flood", json!({})), "after the flood");
    assert_eq!(client.text("garbage", json!({})), "after garbage");
    client.shim.close_stdin();
    let ended = client.shim.finish();
    assert_eq!(super::answers(&ended), [1, 2, 3, 77], "{}", ended.stdout);
}

#[test]
fn an_array_of_a_session_that_has_them_is_answered_message_by_message() {
    let janus = Janus::start(&server("good", &[]));
    let mut client = Client::silent(janus.home(), Era::Legacy, &ALONE);
    let mut params = super::initialize();
    params["protocolVersion"] = json!("2025-03-26");
    assert_ne!(LEGACY, "2025-03-26");
    client.request("initialize", params);
    let ping = |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
    client.say(&json!([ping(2), ping(3)]));
    client.last_id = 3;
    client.leave();
}

#[test]
fn a_question_reaches_the_client_and_its_answer_the_server() {
    let fixture = Fixture::start(Era::Legacy);
    let janus = Janus::start(&format!("good: {{ url: {} }}", fixture.url()));
    let mut client = Client::silent(janus.home(), Era::Legacy, &ALONE);
    let mut params = super::initialize();
    params["capabilities"] = json!({ "sampling": {} });
    client.request("initialize", params);
    let call = client.ask(
        "tools/call",
        json!({ "name": "test_sampling", "arguments": { "prompt": "p" } }),
    );
    let question = client.heard("sampling/createMessage");
    client.say(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": {
        "role": "assistant", "model": "m", "content": { "type": "text", "text": "hello" },
    }}));
    let answer = client.answer(call);
    assert!(
        answer["result"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("hello"),
        "{answer}"
    );
    client.leave();
}
