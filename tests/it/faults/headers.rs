//! The headers that repeat a modern request, and what `_meta` must say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method, Request};
use serde_json::{Value, json};

use super::{
    VERSION, VIEW, borrowed, doors, error_of, good, modern, name, others_are_served, refusal,
};
use crate::support::{Home, Janus};

const META: &str = "io.modelcontextprotocol/protocolVersion";
const SUPPORTED: [&str; 5] = [
    "2026-07-28",
    "2025-11-25",
    "2025-06-18",
    "2025-03-26",
    "2024-11-05",
];

fn call() -> (Vec<(&'static str, String)>, Value) {
    modern(
        &json!("c1"),
        "tools/call",
        json!({ "name": "echo", "arguments": { "text": "t" } }),
    )
}

#[tokio::test]
async fn a_header_that_is_missing_or_says_something_else_is_refused_by_its_name() {
    let janus = Janus::start(&good());
    let missing = "is missing";
    let other = "does not say what the body says";
    let broken = "is not the base64 it claims to be";
    let rows: &[(&'static str, Option<&str>, &str)] = &[
        ("mcp-protocol-version", None, missing),
        ("mcp-protocol-version", Some("2025-11-25"), other),
        ("mcp-protocol-version", Some("2027-01-01"), other),
        ("mcp-method", None, missing),
        ("mcp-method", Some("tools/list"), other),
        ("mcp-method", Some("TOOLS/CALL"), other),
        ("mcp-method", Some("=?base64?dG9vbHMvY2FsbA==?="), other),
        ("mcp-name", None, missing),
        ("mcp-name", Some("die"), other),
        ("mcp-name", Some("Echo"), other),
        ("mcp-name", Some(""), other),
        ("mcp-name", Some("=?base64?ZGll?="), other),
        ("mcp-name", Some("=?base64?%%%?="), broken),
        ("mcp-name", Some("=?base64?ZWNobw?="), broken),
        ("mcp-name", Some("=?base64?//4=?="), broken),
    ];
    for door in doors(&janus) {
        for (header, value, why) in rows {
            let (mut headers, body) = call();
            headers.retain(|(name, _)| name != header);
            headers.extend(value.map(|value| (*header, value.to_owned())));
            let answer = refusal(door.post(VIEW, &borrowed(&headers), &body).await).await;
            let message = format!("header mismatch: `{header}` {why}");
            assert_eq!(answer, (400, -32020, message, json!("c1")), "{value:?}");
        }
        for header in ["mcp-protocol-version", "mcp-method", "mcp-name"] {
            let (mut headers, body) = call();
            let again = headers
                .iter()
                .find(|(name, _)| *name == header)
                .unwrap()
                .clone();
            headers.push(again);
            let answer = refusal(door.post(VIEW, &borrowed(&headers), &body).await).await;
            let message = format!("header mismatch: `{header}` appears twice");
            assert_eq!(answer, (400, -32020, message, json!("c1")));
        }
        let (headers, body) = call();
        let mut request = Request::builder().method(Method::POST).uri(VIEW);
        for (header, value) in headers.iter().filter(|(header, _)| *header != "mcp-name") {
            request = request.header(name(header), value);
        }
        let request = request
            .header("content-type", "application/json")
            .header("mcp-name", HeaderValue::from_bytes(b"\xe9cho").unwrap());
        let answer = refusal(door.send(request.body(body.to_string()).unwrap()).await).await;
        let message = "header mismatch: `mcp-name` has characters that a header may not have";
        assert_eq!(answer, (400, -32020, message.to_owned(), json!("c1")));
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_name_may_come_as_base64() {
    let janus = Janus::start(&good());
    for door in doors(&janus) {
        for value in [
            format!("=?base64?{}?=", STANDARD.encode("echo")),
            " echo\t".to_owned(),
        ] {
            let (mut headers, body) = call();
            headers.retain(|(name, _)| *name != "mcp-name");
            headers.push(("mcp-name", value));
            let reply = door.post(VIEW, &borrowed(&headers), &body).await;
            assert_eq!(reply.status, 200);
            assert_eq!(reply.json().await["result"]["content"][0]["text"], "t");
        }
    }
}

#[tokio::test]
async fn a_revision_nobody_serves_is_refused_with_those_that_are() {
    let home = Home::new(&good());
    let mut stdio = home.standalone();
    let janus = Janus::start(&good());
    let (long, most) = ("x".repeat(200), "x".repeat(64));
    for (version, shown) in [
        (json!("2027-01-01"), "2027-01-01"),
        (json!("2025-11-25"), "2025-11-25"),
        (json!("2024-11-05"), "2024-11-05"),
        (json!("latest"), "latest"),
        (json!(7), "7"),
        (json!(long), &most),
    ] {
        let (mut headers, mut body) = call();
        body["params"]["_meta"][META] = version.clone();
        headers[0].1 = version
            .as_str()
            .map_or_else(|| version.to_string(), str::to_owned);
        let data = json!({ "supported": SUPPORTED, "requested": shown });
        for door in doors(&janus) {
            let reply = door.post(VIEW, &borrowed(&headers), &body).await;
            assert_eq!(reply.status, 400, "{version}");
            let answer = reply.json().await;
            assert_eq!(error_of(&answer).0, -32022, "{answer}");
            assert_eq!(
                (&answer["error"]["data"], &answer["id"]),
                (&data, &json!("c1"))
            );
        }
        stdio.say(&body.to_string());
        let answer = super::response(&mut stdio);
        assert_eq!(error_of(&answer).0, -32022, "{answer}");
        assert_eq!(
            (&answer["error"]["data"], &answer["id"]),
            (&data, &json!("c1"))
        );
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn what_a_modern_client_can_do_is_said_in_each_request() {
    let home = Home::new(&good());
    let mut stdio = home.standalone();
    let janus = Janus::start(&good());
    for capabilities in [None, Some(json!(null)), Some(json!([])), Some(json!("all"))] {
        let (headers, mut body) = call();
        let meta = body["params"]["_meta"].as_object_mut().unwrap();
        meta.remove("io.modelcontextprotocol/clientCapabilities");
        meta.extend(capabilities.map(|value| {
            (
                "io.modelcontextprotocol/clientCapabilities".to_owned(),
                value,
            )
        }));
        let message = "`_meta` must hold an object `io.modelcontextprotocol/clientCapabilities`";
        for door in doors(&janus) {
            let answer = refusal(door.post(VIEW, &borrowed(&headers), &body).await).await;
            assert_eq!(answer, (400, -32602, message.to_owned(), json!("c1")));
        }
        stdio.say(&body.to_string());
        assert_eq!(
            error_of(&super::response(&mut stdio)),
            (-32602, message.to_owned(), json!("c1"))
        );
    }
}

#[tokio::test]
async fn a_header_alone_makes_no_modern_request() {
    let janus = Janus::start(&good());
    let missing = format!("`params._meta` must hold `{META}`");
    for door in doors(&janus) {
        for (header, method) in [
            (Some(VERSION), "tools/list"),
            (Some("2027-03-01"), "tools/list"),
            (Some(VERSION), "server/discover"),
            (None, "server/discover"),
        ] {
            let headers: Vec<_> = header
                .map(|version| ("mcp-protocol-version", version))
                .into_iter()
                .collect();
            let body = json!({ "jsonrpc": "2.0", "id": 3, "method": method });
            let answer = refusal(door.post(VIEW, &headers, &body).await).await;
            assert_eq!(
                answer,
                (400, -32602, missing.clone(), json!(3)),
                "{header:?} {method}"
            );
        }
    }
    others_are_served(&janus).await;
}
