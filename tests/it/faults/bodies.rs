//! Bodies that are no message, over every transport.

use serde_json::{Value, json};

use super::{
    VIEW, doors, error_of, good, modern, others_are_served, raw, raw_unix, refusal, session,
};
use crate::support::{Home, Janus};

/// The text, the code, the message (of the parser: its beginning) and the id of the answer.
#[expect(clippy::too_many_lines, reason = "one table, one row for each case")]
fn rows() -> Vec<(&'static str, i64, &'static str, Value)> {
    const TWICE: &str = "appears twice";
    vec![
        (
            r#"{"jsonrpc":"2.0","#,
            -32700,
            "the message is ",
            Value::Null,
        ),
        ("hello", -32700, "the message is ", Value::Null),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"} {}"#,
            -32700,
            "the message is ",
            Value::Null,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"pi\ud800ng"}"#,
            -32600,
            "the member `method` must be a string",
            json!(1),
        ),
        ("7", -32600, "a message is a JSON object", Value::Null),
        (
            "\"ping\"",
            -32600,
            "a message is a JSON object",
            Value::Null,
        ),
        ("null", -32600, "a message is a JSON object", Value::Null),
        (
            r#"{"id":9,"method":"ping"}"#,
            -32600,
            "the member `jsonrpc` must be \"2.0\"",
            json!(9),
        ),
        (
            r#"{"jsonrpc":"1.0","id":"9","method":"ping"}"#,
            -32600,
            "the member `jsonrpc` must be \"2.0\"",
            json!("9"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
            -32600,
            "the member `id` appears twice",
            Value::Null,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"a","m\u0065thod":"b"}"#,
            -32600,
            "the member `method` appears twice",
            Value::Null,
        ),
        (
            r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"a","name":"b"}}"#,
            -32600,
            TWICE,
            json!("x"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"arguments":{},"arguments":{}}}"#,
            -32600,
            TWICE,
            json!(1.5),
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"_meta":{},"_meta":{}}}"#,
            -32600,
            TWICE,
            json!(3),
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            -32600,
            "an id is a string or a number",
            Value::Null,
        ),
        (
            r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
            -32600,
            "an id is a string or a number",
            Value::Null,
        ),
        (
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
            -32600,
            "an id is a string or a number",
            Value::Null,
        ),
        (
            r#"{"jsonrpc":"2.0","id":4,"method":7}"#,
            -32600,
            "the member `method` must be a string",
            json!(4),
        ),
        (
            r#"{"jsonrpc":"2.0","id":"4","method":"ping","params":[1]}"#,
            -32600,
            "",
            json!("4"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":5,"result":{},"error":{"code":1,"message":""}}"#,
            -32600,
            "a response has a result or an error, not both",
            json!(5),
        ),
        (
            r#"{"jsonrpc":"2.0","id":5,"method":"ping","result":{}}"#,
            -32600,
            "a message has a method or a response, not both",
            json!(5),
        ),
        (
            r#"{"jsonrpc":"2.0","id":6}"#,
            -32600,
            "the message has no method, no result and no error",
            json!(6),
        ),
        (
            r#"{"jsonrpc":"2.0","result":{}}"#,
            -32600,
            "a result needs an id",
            Value::Null,
        ),
    ]
}

#[tokio::test]
async fn what_is_no_message_gets_400_with_the_code_and_the_id_it_had() {
    let janus = Janus::start(&good());
    for door in doors(&janus) {
        let id = session(&door, VIEW, "2025-11-25").await;
        let in_session = [("mcp-session-id", id.as_str())];
        for (text, code, message, id) in rows() {
            for headers in [&[][..], &in_session] {
                let answer = refusal(door.post_text(VIEW, headers, text).await).await;
                assert_eq!(
                    (answer.0, answer.1, &answer.3),
                    (400, code, &id),
                    "{text}: {answer:?}"
                );
                assert!(answer.2.contains(message), "{text}: {answer:?}");
            }
        }
        let empty = refusal(door.post_text(VIEW, &[], "").await).await;
        assert_eq!((empty.0, empty.1, empty.3), (400, -32700, Value::Null));
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn text_that_is_no_utf_8_is_no_json() {
    let janus = Janus::start(&good());
    let body = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}";
    let head = format!(
        "POST {VIEW} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), body].concat();
    for answer in [
        raw(&janus, &request).await,
        raw_unix(&janus, &request).await,
    ] {
        let (status, code, message, id) = answer.refusal();
        assert_eq!((status, code, id), (400, -32700, Value::Null), "{message}");
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn standard_input_gets_the_same_answers_and_goes_on() {
    let home = Home::new(&good());
    let mut janus = home.standalone();
    for (text, code, message, id) in rows() {
        janus.say(text);
        let answer = error_of(&super::response(&mut janus));
        assert_eq!((answer.0, &answer.2), (code, &id), "{text}: {answer:?}");
        assert!(answer.1.contains(message), "{text}: {answer:?}");
    }
    // Nothing of it has begun a session, and blank lines are none.
    janus.say("");
    janus.say(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#);
    let answer = error_of(&super::response(&mut janus));
    assert_eq!((answer.0, answer.2), (-32602, json!("a")));
    let (_, call) = modern(
        &json!("b"),
        "tools/call",
        json!({ "name": "good__echo", "arguments": { "text": "t" } }),
    );
    janus.say(&call.to_string());
    let answer = super::response(&mut janus);
    assert_eq!(
        (&answer["id"], &answer["result"]["content"][0]["text"]),
        (&json!("b"), &json!("t")),
        "{answer}"
    );
}

#[tokio::test]
async fn a_method_nobody_serves_is_404_in_the_modern_era_and_an_answer_in_the_legacy_one() {
    let janus = Janus::start(&good());
    for door in doors(&janus) {
        for path in ["/mcp", VIEW] {
            for id in [json!(7), json!("7")] {
                let (headers, body) = modern(&id, "no/such", json!({}));
                let answer =
                    refusal(door.post(path, &super::borrowed(&headers), &body).await).await;
                assert_eq!(
                    (answer.0, answer.1, &answer.3),
                    (404, -32601, &id),
                    "{path}"
                );

                let session = session(&door, path, "2025-11-25").await;
                let body = json!({ "jsonrpc": "2.0", "id": id, "method": "no/such" });
                let headers = [("mcp-session-id", session.as_str())];
                let answer = refusal(door.post(path, &headers, &body).await).await;
                assert_eq!(
                    (answer.0, answer.1, &answer.3),
                    (200, -32601, &id),
                    "{path}"
                );
            }
        }
    }
    others_are_served(&janus).await;
}
