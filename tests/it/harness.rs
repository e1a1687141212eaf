//! The harness itself, against the conformance server without Janus: what a test through Janus may rely on.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, Era, Event, Fixture, Http, Process};

#[tokio::test]
async fn the_raw_client_sees_results_and_what_came_before_them() {
    for era in Era::CLIENTS {
        let fixture = Fixture::start(era);
        let mut client = Client::open(Http::tcp(fixture.url()), "/mcp", era).await;
        assert_eq!(
            client.text("test_simple_text", json!({})).await,
            "This is a simple text response for testing."
        );
        let params = json!({ "name": "test_tool_with_progress", "_meta": { "progressToken": 7 } });
        let answer = client.request("tools/call", params).await;
        let steps: Vec<_> = answer
            .notified("notifications/progress")
            .into_iter()
            .map(|params| (params["progress"].as_f64(), &params["progressToken"]))
            .collect();
        let token = Value::from(7);
        assert_eq!(
            steps,
            [0.0, 50.0, 100.0].map(|step| (Some(step), &token)),
            "{era:?}"
        );
        assert_eq!(
            client.error("tools/call", json!({ "name": "nope" })).await,
            -32602
        );
    }
}

#[tokio::test]
async fn the_raw_client_hears_changes() {
    for era in Era::CLIENTS {
        let fixture = Fixture::start(era);
        let mut client = Client::open(Http::tcp(fixture.url()), "/mcp", era).await;
        let mut stream = client.listen(&["test://watched-resource"]).await;
        client.call("test_trigger_tool_change", json!({})).await;
        stream.wait_for("notifications/tools/list_changed").await;
        let uri = json!({ "uri": "test://watched-resource" });
        client.call("test_trigger_resource_update", uri).await;
        let updated = stream.wait_for("notifications/resources/updated").await;
        assert_eq!(updated["params"]["uri"], "test://watched-resource");
    }
}

#[tokio::test]
async fn a_server_of_one_era_says_so() {
    let fixture = Fixture::start(Era::Legacy);
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover" });
    let http = Http::tcp(fixture.url());
    let reply = http.post("/mcp", &[], &request).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json().await["error"]["code"], -32601);
}

#[tokio::test]
async fn the_raw_client_reads_a_stream_from_a_socket() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
        : a comment\n\nid: 1\nretry: 5\ndata:\n\nevent: message\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n";
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        stream.write_all(ANSWER.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    let mut reply = Http::unix(&socket).get("/mcp", &[("x-a", "b")]).await;
    let priming = Event {
        id: Some("1".to_owned()),
        retry: Some("5".to_owned()),
        ..Event::default()
    };
    assert_eq!(reply.event().await, Some(priming));
    assert_eq!(reply.message().await, Some(json!({ "a": 1 })));
    assert_eq!(reply.event().await, None);
    assert_eq!(
        server.join().unwrap(),
        "GET /mcp HTTP/1.1\r\naccept: text/event-stream\r\nx-a: b\r\nhost: localhost\r\n\r\n"
    );
}

#[tokio::test]
async fn a_server_over_stdio_answers_line_by_line() {
    let mut command = std::process::Command::new(Fixture::program());
    let mut server = Process::start("conf-server", command.args(["--stdio", "--era", "legacy"]));
    let request = json!({ "jsonrpc": "2.0", "id": "a", "method": "initialize", "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": { "name": "janus-tests", "version": "1" },
    }});
    server.say(&request.to_string());
    let answer: Value = server.message();
    assert_eq!(answer["id"], "a");
    assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
    let ended = server.stop();
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
}
