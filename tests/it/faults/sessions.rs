//! Sessions of the legacy era: whose they are, when they end, and what every method of HTTP gets.

use http::{Method, Request};
use serde_json::{Value, json};

use super::{VIEW, doors, good, modern, others_are_served, refusal, server, session};
use crate::support::{Home, Janus};

const UNKNOWN: &str = "there is no such session: begin again with `initialize`";
const NO_SESSION: &str = "the request belongs to no session: begin with `initialize`, or send `_meta` of revision 2026-07-28";

#[tokio::test]
async fn a_session_is_known_on_its_own_path_until_it_is_deleted() {
    let janus = Janus::start(&(good() + &server("other", &[], "")));
    let ping = json!({ "jsonrpc": "2.0", "id": "p", "method": "ping" });
    let array = json!([ping]);
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let unknown = (404, -32600, UNKNOWN.to_owned(), Value::Null);
    for door in doors(&janus) {
        let id = session(&door, VIEW, "2025-11-25").await;
        let own = [("mcp-session-id", id.as_str())];
        let reply = door.post(VIEW, &own, &ping).await;
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.json().await,
            json!({ "jsonrpc": "2.0", "id": "p", "result": {} })
        );

        let invented = [("mcp-session-id", "00000000000000000000000000000000")];
        for (path, headers) in [
            (VIEW, &invented),
            ("/mcp", &own),
            ("/mcp/@other", &own),
            (VIEW, &[("mcp-session-id", "")]),
        ] {
            for body in [&ping, &note, &array] {
                assert_eq!(
                    refusal(door.post(path, headers, body).await).await,
                    unknown,
                    "{path} {body}"
                );
            }
            assert_eq!(
                refusal(door.get(path, headers).await).await,
                unknown,
                "{path}"
            );
            assert_eq!(
                refusal(door.delete(path, headers).await).await,
                unknown,
                "{path}"
            );
        }
        // None of this has ended it.
        assert_eq!(door.post(VIEW, &own, &note).await.status, 202);
        let mut stream = door.get(VIEW, &own).await;
        assert_eq!((stream.status.as_u16(), stream.is_stream()), (200, true));

        let deleted = door.delete(VIEW, &own).await;
        assert_eq!(
            (deleted.status.as_u16(), deleted.text().await),
            (200, String::new())
        );
        super::ends(&mut stream).await;
        assert_eq!(refusal(door.post(VIEW, &own, &ping).await).await, unknown);
        assert_eq!(refusal(door.get(VIEW, &own).await).await, unknown);
        assert_eq!(refusal(door.delete(VIEW, &own).await).await, unknown);
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn without_a_session_a_request_is_400_and_a_stream_405() {
    let janus = Janus::start(&good());
    for door in doors(&janus) {
        for id in [json!(1), json!("1")] {
            let list = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list" });
            let answer = refusal(door.post(VIEW, &[], &list).await).await;
            assert_eq!(answer, (400, -32600, NO_SESSION.to_owned(), id));
        }
        let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(refusal(door.post(VIEW, &[], &note).await).await.0, 400);

        for (method, allowed) in [
            (Method::GET, "POST"),
            (Method::DELETE, "POST"),
            (Method::PUT, "GET, POST, DELETE"),
            (Method::OPTIONS, "GET, POST, DELETE"),
            (Method::PATCH, "GET, POST, DELETE"),
        ] {
            let request = Request::builder()
                .method(&method)
                .uri(VIEW)
                .header("accept", "text/event-stream");
            let reply = door.send(request.body(String::new()).unwrap()).await;
            assert_eq!(
                (reply.status.as_u16(), reply.header("allow")),
                (405, allowed),
                "{method}"
            );
        }
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_stream_is_given_to_those_only_who_take_streams() {
    let janus = Janus::start(&good());
    let id = session(&janus.http(), VIEW, "2025-11-25").await;
    let request = Request::get(VIEW)
        .header("mcp-session-id", &id)
        .header("accept", "application/json");
    let answer = refusal(
        janus
            .http()
            .send(request.body(String::new()).unwrap())
            .await,
    )
    .await;
    assert_eq!((answer.0, answer.1), (406, -32600));
}

#[tokio::test]
async fn inside_a_session_the_revision_header_is_any_date_and_nothing_else() {
    let janus = Janus::start(&good());
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for door in doors(&janus) {
        let id = session(&door, VIEW, "2025-06-18").await;
        for (version, status) in [
            ("2025-06-18", 200),
            ("2024-11-05", 200),
            ("2026-07-28", 200),
            ("2099-12-31", 200),
            ("latest", 400),
            ("2025-6-18", 400),
            ("", 400),
        ] {
            let headers = [
                ("mcp-session-id", id.as_str()),
                ("mcp-protocol-version", version),
            ];
            assert_eq!(
                door.post(VIEW, &headers, &ping).await.status,
                status,
                "{version}"
            );
        }
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn messages_that_need_no_answer_are_accepted_and_a_modern_response_is_not() {
    let janus = Janus::start(&good());
    for door in doors(&janus) {
        let id = session(&door, VIEW, "2025-11-25").await;
        let own = [("mcp-session-id", id.as_str())];
        for body in [
            json!({ "jsonrpc": "2.0", "method": "notifications/unheard_of", "params": {} }),
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 99 } }),
            json!({ "jsonrpc": "2.0", "id": "janus-77", "result": {} }),
            json!({ "jsonrpc": "2.0", "id": 5, "error": { "code": 1, "message": "" } }),
        ] {
            let reply = door.post(VIEW, &own, &body).await;
            assert_eq!(
                (reply.status.as_u16(), reply.text().await),
                (202, String::new()),
                "{body}"
            );
        }
        let (_, note) = modern(
            &Value::Null,
            "notifications/cancelled",
            json!({ "requestId": 1 }),
        );
        let mut note = note;
        note.as_object_mut().unwrap().remove("id");
        let reply = door.post(VIEW, &[], &note).await;
        assert_eq!(
            (reply.status.as_u16(), reply.text().await),
            (202, String::new())
        );
        // A response has no `_meta` that would make it modern: what makes it so is that no session is there.
        for body in [
            json!({ "jsonrpc": "2.0", "id": 1, "result": {} }),
            json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": 1, "message": "" } }),
        ] {
            let reply = door
                .post(VIEW, &[("mcp-protocol-version", "2026-07-28")], &body)
                .await;
            assert_eq!(reply.status, 400, "{body}");
        }
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_legacy_date_in_meta_inside_a_live_session_is_a_slip() {
    let janus = Janus::start(&good());
    let request = |version: &str| {
        let meta = json!({ "io.modelcontextprotocol/protocolVersion": version });
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "echo", "arguments": { "text": "t" }, "_meta": meta } })
    };
    for door in doors(&janus) {
        let id = session(&door, VIEW, "2025-11-25").await;
        for version in ["2025-11-25", "2025-03-26"] {
            let reply = door
                .post(VIEW, &[("mcp-session-id", &id)], &request(version))
                .await;
            assert_eq!(reply.status, 200, "{version}");
            assert_eq!(reply.json().await["result"]["content"][0]["text"], "t");
        }
        // Without the session it is a revision that the modern era does not have.
        let headers = [
            ("mcp-protocol-version", "2025-11-25"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "echo"),
        ];
        let answer = refusal(door.post(VIEW, &headers, &request("2025-11-25")).await).await;
        assert_eq!((answer.0, answer.1, answer.3), (400, -32022, json!(1)));
    }
    others_are_served(&janus).await;
}

#[test]
fn a_legacy_date_in_meta_is_a_slip_on_standard_input_too() {
    let home = Home::new(&good());
    let mut janus = home.standalone();
    janus.say(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#);
    assert_eq!(
        super::response(&mut janus)["result"]["protocolVersion"],
        "2025-11-25"
    );
    janus.say(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"good__echo","arguments":{"text":"t"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2025-11-25"}}}"#);
    let answer = super::response(&mut janus);
    assert_eq!(
        (&answer["id"], &answer["result"]["content"][0]["text"]),
        (&json!(1), &json!("t")),
        "{answer}"
    );
}
