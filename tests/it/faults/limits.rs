//! What is too large, of the wrong kind, from the wrong place.

use http::{Method, Request};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{VIEW, doors, good, modern, name, others_are_served, raw, raw_unix, refusal, session};
use crate::support::{Home, Janus, within};

const LONGEST: usize = 16 * 1024 * 1024;
const TOO_LARGE: &str = "a message has at most 16 MiB";

fn post(headers: &str) -> String {
    format!(
        "POST {VIEW} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\n{headers}\r\n"
    )
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_with_and_without_its_length() {
    let janus = Janus::start(&good());
    // Refused by what it announces: not one byte of it is sent.
    let announced = post(&format!("content-length: {}\r\n", LONGEST + 1));
    let mut chunked = post("transfer-encoding: chunked\r\n").into_bytes();
    chunked.extend_from_slice(format!("{:x}\r\n", LONGEST + 1).as_bytes());
    chunked.resize(chunked.len() + LONGEST + 1, b' ');
    for request in [announced.as_bytes(), &chunked] {
        for answer in [raw(&janus, request).await, raw_unix(&janus, request).await] {
            assert_eq!(
                answer.refusal(),
                (413, -32600, TOO_LARGE.to_owned(), Value::Null)
            );
        }
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn the_longest_body_is_taken() {
    let janus = Janus::start(&good());
    let (headers, body) = modern(
        &json!(1),
        "tools/call",
        json!({ "name": "echo", "arguments": { "text": "t" } }),
    );
    let mut text = body.to_string();
    text.push_str(&" ".repeat(LONGEST - text.len()));
    let reply = janus
        .http()
        .post_text(VIEW, &super::borrowed(&headers), &text)
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json().await["result"]["content"][0]["text"], "t");
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_one_is_read() {
    let home = Home::new(&good());
    let mut janus = home.standalone();
    janus.say(&format!("{{\"x\":\"{}\"}}", "x".repeat(LONGEST)));
    let (code, message, id) = super::error_of(&super::response(&mut janus));
    assert_eq!(
        (code, message.as_str(), id),
        (-32600, TOO_LARGE, Value::Null)
    );
    let (_, body) = modern(&json!(2), "server/discover", json!({}));
    janus.say(&body.to_string());
    assert_eq!(
        super::response(&mut janus)["result"]["resultType"],
        "complete"
    );
}

#[tokio::test]
async fn headers_that_are_too_many_or_too_large_are_431() {
    let janus = Janus::start(&good());
    let many = "x: 1\r\n".repeat(100);
    let large = format!("x: {}\r\n", "y".repeat(200 * 1024));
    for headers in [many, large] {
        let request = post(&headers);
        for answer in [
            raw(&janus, request.as_bytes()).await,
            raw_unix(&janus, request.as_bytes()).await,
        ] {
            assert_eq!(answer.status, 431, "{}", answer.head);
        }
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_head_that_never_ends_costs_its_own_connection_only() {
    let janus = Janus::start(&good());
    let address = janus.url("");
    let mut slow = TcpStream::connect(address.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    slow.write_all(b"POST /mcp HTTP/1.1\r\nhost: loc")
        .await
        .unwrap();
    others_are_served(&janus).await;
    let mut answer = Vec::new();
    within("the end of the connection", slow.read_to_end(&mut answer))
        .await
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    others_are_served(&janus).await;
}

#[tokio::test]
async fn only_json_is_taken_and_only_what_the_client_accepts_is_given() {
    let janus = Janus::start(&good());
    let (headers, body) = modern(
        &json!(1),
        "tools/call",
        json!({ "name": "echo", "arguments": { "text": "t" } }),
    );
    let body = body.to_string();
    let with = |kind: Option<&str>, accept: Option<&str>| {
        let mut request = Request::builder().method(Method::POST).uri(VIEW);
        for (header, value) in &headers {
            request = request.header(name(header), value);
        }
        for (header, value) in [("content-type", kind), ("accept", accept)] {
            if let Some(value) = value {
                request = request.header(header, value);
            }
        }
        request.body(body.clone()).unwrap()
    };
    let json = Some("application/json");
    for door in doors(&janus) {
        for kind in [
            None,
            Some("text/plain"),
            Some("application/jsonl"),
            Some("multipart/form-data"),
        ] {
            let answer = refusal(door.send(with(kind, None)).await).await;
            let message = "the body must be application/json".to_owned();
            assert_eq!(answer, (415, -32600, message, Value::Null), "{kind:?}");
        }
        for accept in [
            "text/html",
            "image/*",
            "application/json;q=0",
            "application/xml, text/plain",
        ] {
            let answer = refusal(door.send(with(json, Some(accept))).await).await;
            let message = "answers are application/json or text/event-stream".to_owned();
            assert_eq!(answer, (406, -32600, message, Value::Null), "{accept}");
        }
        for (kind, accept) in [
            (json, None),
            (Some("Application/JSON; charset=utf-8"), Some("*/*")),
            (json, Some("application/*")),
            (json, Some("application/json")),
        ] {
            let reply = door.send(with(kind, accept)).await;
            assert_eq!(
                (reply.status.as_u16(), reply.is_stream()),
                (200, false),
                "{accept:?}"
            );
            assert_eq!(reply.json().await["result"]["content"][0]["text"], "t");
        }
        for accept in ["text/event-stream", "application/json;q=0, text/*"] {
            let mut reply = door.send(with(json, Some(accept))).await;
            assert_eq!(
                (reply.status.as_u16(), reply.is_stream()),
                (200, true),
                "{accept}"
            );
            let message = reply.message().await.unwrap();
            assert_eq!(message["result"]["content"][0]["text"], "t");
            assert_eq!(reply.message().await, None);
        }
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn foreign_hosts_and_web_pages_are_refused_before_anything_else() {
    let janus = Janus::start(&good());
    let host = janus.url("").trim_start_matches("http://").to_owned();
    let id = session(&janus.http(), VIEW, "2025-11-25").await;
    let hosts = "the Host header does not name this machine's loopback address";
    let pages = "requests from web pages are not accepted";
    for (host, origin, message) in [
        ("evil.example", None, hosts),
        ("127.0.0.1.evil.example", None, hosts),
        ("192.168.1.1", None, hosts),
        ("evil.example", Some("http://evil.example"), hosts),
        (host.as_str(), Some("http://evil.example"), pages),
        (host.as_str(), Some("null"), pages),
        (host.as_str(), Some("http://localhost"), pages),
    ] {
        // Also where the path, the method, the session and the body would be refused.
        for (method, path) in [
            ("POST", VIEW),
            ("GET", "/nowhere"),
            ("DELETE", VIEW),
            ("OPTIONS", VIEW),
        ] {
            let mut request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", host);
            request = request.header("mcp-session-id", &id);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let reply = janus
                .http()
                .send(request.body(String::new()).unwrap())
                .await;
            assert!(reply.header("access-control-allow-origin").is_empty());
            assert_eq!(
                refusal(reply).await,
                (403, -32600, message.to_owned(), Value::Null),
                "{host} {origin:?}"
            );
        }
    }
    let request = Request::post(VIEW)
        .header("origin", "http://localhost")
        .body(String::new());
    let answer = refusal(janus.unix().send(request.unwrap()).await).await;
    assert_eq!(answer, (403, -32600, pages.to_owned(), Value::Null));
    let none = raw(&janus, b"GET /mcp HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert_eq!(none.refusal(), (403, -32600, hosts.to_owned(), Value::Null));
    // The session is untouched.
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    assert_eq!(
        janus
            .http()
            .post(VIEW, &[("mcp-session-id", &id)], &ping)
            .await
            .status,
        200
    );
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_path_that_is_no_view_is_404() {
    let janus = Janus::start(&good());
    let (headers, body) = modern(&json!(1), "tools/list", json!({}));
    for door in doors(&janus) {
        for path in [
            "/",
            "/mc",
            "/mcp/@",
            "/mcp/@nobody",
            "/mcp/@good/other",
            "/mcp/nobody",
            "/../mcp",
        ] {
            let reply = door.post(path, &super::borrowed(&headers), &body).await;
            let (status, code, message, id) = refusal(reply).await;
            assert_eq!(
                (status, code, id),
                (404, -32600, Value::Null),
                "{path}: {message}"
            );
        }
    }
    others_are_served(&janus).await;
}
