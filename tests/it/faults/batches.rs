//! Arrays of messages, which one revision had.

use std::fs;

use serde_json::{Value, json};

use super::{VIEW, doors, error_of, good, modern, others_are_served, refusal, server, session};
use crate::support::{Home, Janus};

fn call(id: &Value, text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "echo", "arguments": { "text": text } } })
}

fn both() -> Value {
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    json!([call(&json!(1), "a"), note, call(&json!("1"), "b")])
}

/// The texts of two responses by their ids, in whichever order they came.
fn texts(mut responses: Vec<Value>) -> Vec<(String, String)> {
    let read = |answer: &mut Value| {
        let text = answer["result"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned();
        (answer["id"].to_string(), text)
    };
    let mut texts: Vec<_> = responses.iter_mut().map(read).collect();
    texts.sort();
    texts
}

#[tokio::test]
async fn a_session_of_2025_03_26_may_send_arrays() {
    let janus = Janus::start(&good());
    let expected = [
        ("\"1\"".to_owned(), "b".to_owned()),
        ("1".to_owned(), "a".to_owned()),
    ];
    for door in doors(&janus) {
        let id = session(&door, VIEW, "2025-03-26").await;
        let own = [("mcp-session-id", id.as_str())];
        let mut reply = door.post(VIEW, &own, &both()).await;
        assert_eq!((reply.status.as_u16(), reply.is_stream()), (200, true));
        let mut responses = Vec::new();
        while let Some(message) = reply.message().await {
            responses.push(message);
        }
        assert_eq!(texts(responses), expected);

        let request = http::Request::post(VIEW)
            .header("mcp-session-id", &id)
            .header("content-type", "application/json")
            .header("accept", "application/json");
        let reply = door.send(request.body(both().to_string()).unwrap()).await;
        assert_eq!((reply.status.as_u16(), reply.is_stream()), (200, false));
        assert_eq!(
            texts(reply.json().await.as_array().unwrap().clone()),
            expected
        );

        let notes = json!([{ "jsonrpc": "2.0", "method": "notifications/initialized" }, { "jsonrpc": "2.0", "id": 9, "result": {} }]);
        assert_eq!(door.post(VIEW, &own, &notes).await.status, 202);
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn an_array_is_refused_everywhere_else() {
    let janus = Janus::start(&good());
    let only = "an array of messages belongs to revision 2025-03-26 only";
    let needs = "an array of messages needs a session of revision 2025-03-26";
    for door in doors(&janus) {
        for revision in ["2024-11-05", "2025-06-18", "2025-11-25"] {
            let id = session(&door, VIEW, revision).await;
            let answer = refusal(door.post(VIEW, &[("mcp-session-id", &id)], &both()).await).await;
            assert_eq!(
                answer,
                (400, -32600, only.to_owned(), Value::Null),
                "{revision}"
            );
        }
        let (headers, body) = modern(&json!(1), "tools/list", json!({}));
        let reply = door
            .post(VIEW, &super::borrowed(&headers), &json!([body]))
            .await;
        assert_eq!(
            refusal(reply).await,
            (400, -32600, needs.to_owned(), Value::Null)
        );
        let reply = door.post(VIEW, &[], &json!([])).await;
        assert_eq!(
            refusal(reply).await,
            (400, -32600, needs.to_owned(), Value::Null)
        );
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn an_array_with_one_bad_message_is_refused_before_any_of_it_runs() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    let noted = server("noted", &["--log", log.to_str().unwrap()], "");
    let janus = Janus::start(&(good() + &noted));
    let path = "/mcp/@noted";
    for door in doors(&janus) {
        let id = session(&door, path, "2025-03-26").await;
        let own = [("mcp-session-id", id.as_str())];
        for (bad, id) in [
            (json!(7), Value::Null),
            (json!({ "jsonrpc": "2.0", "id": 8 }), json!(8)),
            (json!([]), Value::Null),
        ] {
            let array = json!([call(&json!(1), "must not run"), bad]);
            let answer = refusal(door.post(path, &own, &array).await).await;
            assert_eq!((answer.0, answer.1, answer.3), (400, -32600, id), "{bad}");
        }
        let answer = refusal(door.post_text(path, &own, "[{},").await).await;
        assert_eq!((answer.0, answer.1, answer.3), (400, -32700, Value::Null));
        let answer = refusal(door.post_text(path, &own, "[]").await).await;
        assert_eq!(
            (answer.0, answer.1, answer.2.as_str()),
            (400, -32600, "the array is empty")
        );
        // What it was sent before this call has reached it by now.
        let reply = door.post(path, &own, &call(&json!(2), "t")).await;
        assert_eq!(reply.json().await["result"]["content"][0]["text"], "t");
        let calls = fs::read_to_string(&log)
            .unwrap()
            .lines()
            .filter(|line| *line == "call echo")
            .count();
        assert_eq!(calls, 1, "what was refused ran");
        fs::write(&log, "").unwrap();
    }
    others_are_served(&janus).await;
}

#[test]
fn standard_input_answers_bad_arrays_as_well() {
    let home = Home::new(&good());
    let mut janus = home.standalone();
    janus.say(&both().to_string());
    assert_eq!(
        error_of(&super::response(&mut janus)),
        (-32600, "a message is a JSON object".to_owned(), Value::Null)
    );
    janus.say(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{}}}"#);
    assert_eq!(
        super::response(&mut janus)["result"]["protocolVersion"],
        "2025-03-26"
    );
    janus.say("[{},");
    assert_eq!(error_of(&super::response(&mut janus)).0, -32700);
    janus.say("[]");
    assert_eq!(
        error_of(&super::response(&mut janus)),
        (-32600, "the array is empty".to_owned(), Value::Null)
    );
    janus.say(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},7]"#);
    let answers = [super::response(&mut janus), super::response(&mut janus)];
    assert!(
        answers.contains(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} })),
        "{answers:?}"
    );
    assert!(
        answers
            .iter()
            .any(|answer| answer["error"]["code"] == -32600),
        "{answers:?}"
    );
}
