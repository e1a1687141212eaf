//! `initialize` with every revision there is, with others, and with none.

use serde_json::{Value, json};

use super::{VIEW, borrowed, doors, error_of, good, modern, others_are_served, refusal};
use crate::support::{Home, Janus};

/// What is asked for and what it is answered with.
fn rows() -> Vec<(Value, &'static str)> {
    vec![
        (json!("2024-11-05"), "2024-11-05"),
        (json!("2025-03-26"), "2025-03-26"),
        (json!("2025-06-18"), "2025-06-18"),
        (json!("2025-11-25"), "2025-11-25"),
        (json!("2026-07-28"), "2025-11-25"),
        (json!("2027-01-01"), "2025-11-25"),
        (json!("2023-01-01"), "2025-11-25"),
        (json!("DRAFT-2026"), "2025-11-25"),
        (json!(""), "2025-11-25"),
        (json!(1), "2025-11-25"),
        (json!(null), "2025-11-25"),
    ]
}

fn initialize(version: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": "i", "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" },
    }})
}

#[tokio::test]
async fn initialize_is_answered_with_the_revision_asked_for_or_the_latest_legacy_one() {
    let janus = Janus::start(&good());
    let mut sessions = std::collections::BTreeSet::new();
    for door in doors(&janus) {
        for path in ["/mcp", VIEW] {
            for (asked, answered) in rows() {
                // Whatever headers and `_meta` say.
                let (headers, other) = modern(&json!("i"), "tools/list", json!({}));
                let mut slip = initialize(&asked);
                slip["params"]["_meta"] = other["params"]["_meta"].clone();
                for (headers, body) in [(vec![], initialize(&asked)), (borrowed(&headers), slip)] {
                    let reply = door.post(path, &headers, &body).await;
                    assert_eq!(reply.status, 200, "{asked}");
                    let session = reply.header("mcp-session-id").to_owned();
                    assert!(
                        session.len() >= 16 && session.bytes().all(|byte| byte.is_ascii_graphic())
                    );
                    assert!(sessions.insert(session), "a session id came twice");
                    let answer = reply.json().await;
                    assert_eq!(answer["result"]["protocolVersion"], answered, "{asked}");
                    assert_eq!(answer["id"], "i");
                }
            }
        }
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn initialize_without_a_revision_is_404_in_modern_words_and_400_in_legacy_ones() {
    let janus = Janus::start(&good());
    for door in doors(&janus) {
        let (headers, body) = modern(&json!(1), "initialize", json!({}));
        let reply = door.post(VIEW, &borrowed(&headers), &body).await;
        assert_eq!(reply.header("mcp-session-id"), "");
        let message = "`initialize` does not exist in this revision".to_owned();
        assert_eq!(refusal(reply).await, (404, -32601, message, json!(1)));
        for body in [
            json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize" }),
            json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "capabilities": {} } }),
        ] {
            let reply = door.post(VIEW, &[], &body).await;
            assert_eq!(reply.header("mcp-session-id"), "");
            let message = "`protocolVersion` is missing".to_owned();
            assert_eq!(refusal(reply).await, (400, -32602, message, json!(1)));
        }
    }
    others_are_served(&janus).await;
}

#[test]
fn initialize_on_standard_input_follows_the_same_table() {
    let home = Home::new(&good());
    let mut janus = home.standalone();
    let (_, body) = modern(&json!(1), "initialize", json!({}));
    janus.say(&body.to_string());
    let message = "`initialize` does not exist in this revision".to_owned();
    assert_eq!(
        error_of(&super::response(&mut janus)),
        (-32601, message, json!(1))
    );
    janus.say(r#"{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"capabilities":{}}}"#);
    let message = "`protocolVersion` is missing".to_owned();
    assert_eq!(
        error_of(&super::response(&mut janus)),
        (-32602, message, json!(2))
    );
    for (asked, answered) in rows() {
        janus.say(&initialize(&asked).to_string());
        let answer = super::response(&mut janus);
        assert_eq!(answer["result"]["protocolVersion"], answered, "{answer}");
        // Both eras, message by message.
        let (_, discover) = modern(&json!("d"), "server/discover", json!({}));
        janus.say(&discover.to_string());
        assert_eq!(
            super::response(&mut janus)["result"]["resultType"],
            "complete"
        );
        janus.say(r#"{"jsonrpc":"2.0","id":3,"method":"ping"}"#);
        assert_eq!(
            super::response(&mut janus),
            json!({ "jsonrpc": "2.0", "id": 3, "result": {} })
        );
    }
}
