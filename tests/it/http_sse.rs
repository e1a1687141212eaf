//! A server that speaks HTTP+SSE only, the transport of 2024-11-05, behind Janus: for clients of both eras, found by
//! itself and named in the configuration.

use serde_json::{Value, json};

use crate::support::{Client, Era, Fixture, Http, Janus, Tools, within};

const VIEW: &str = "/mcp/@old";

fn server(tools: &Tools, port: &str) -> Fixture {
    let mut command = tools.script("servers/sse_server.py");
    Fixture::run("sse", command.args(["--port", port]))
}

fn janus(server: &Fixture, settings: &str) -> Janus {
    Janus::start(&format!("old: {{ url: \"{}\"{settings} }}", server.url()))
}

#[tokio::test]
async fn it_is_found_by_itself_and_by_its_name() {
    let Some(tools) = Tools::python("http_sse") else {
        return;
    };
    let server = server(&tools, "0");
    for settings in ["", ", transport: sse", ", era: legacy"] {
        let janus = janus(&server, settings);
        for era in Era::CLIENTS {
            let mut client = Client::open(janus.http(), VIEW, era).await;
            let names = client.names("tools/list", "name").await;
            assert_eq!(names, ["echo", "progress", "ask"], "{settings}");
            let text = client.text("echo", json!({ "message": "Grüße" })).await;
            assert_eq!(text, "Grüße");
            let params = json!({ "name": "progress", "arguments": { "steps": 3 }, "_meta": { "progressToken": "p" } });
            let answer = client.request("tools/call", params).await;
            let steps: Vec<&Value> = answer
                .notified("notifications/progress")
                .iter()
                .map(|params| &params["progress"])
                .collect();
            assert_eq!(steps, [1.0, 2.0, 3.0]);
        }
    }
}

#[tokio::test]
async fn nobody_tries_it_where_another_transport_is_configured() {
    let Some(tools) = Tools::python("http_sse") else {
        return;
    };
    let server = server(&tools, "0");
    let janus = janus(&server, ", transport: streamable_http");
    let mut client = Client::open(janus.http(), "/mcp", Era::Legacy).await;
    let params = json!({ "name": "old__echo", "arguments": { "message": "x" } });
    let result = client.result("tools/call", params).await;
    assert_eq!(result["isError"], true, "{result}");
}

/// A session that can be asked, and its id.
async fn session(http: &Http) -> String {
    let open = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} },
        "clientInfo": { "name": "t", "version": "1" },
    }});
    let opened = http.post(VIEW, &[], &open).await;
    opened.header("mcp-session-id").to_owned()
}

/// A call that asks; the question must be its own.
async fn asked(http: Http, who: String) {
    let session = session(&http).await;
    let headers = [("mcp-session-id", session.as_str())];
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "ask", "arguments": { "who": who } } });
    let mut stream = http.post(VIEW, &headers, &call).await;
    let question = stream.message().await.unwrap();
    assert_eq!(
        question["params"]["message"],
        format!("Who is {who}?"),
        "{question}"
    );
    let answer =
        json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "decline" } });
    http.post(VIEW, &headers, &answer).await;
    let ended = stream.message().await.unwrap();
    let text = &ended["result"]["content"][0]["text"];
    assert_eq!(*text, format!("{who}: decline"), "{ended}");
}

#[tokio::test]
async fn sessions_part_at_its_first_question() {
    let Some(tools) = Tools::python("http_sse") else {
        return;
    };
    let server = server(&tools, "0");
    let janus = janus(&server, "");
    asked(janus.http(), "first".to_owned()).await;
    let several = (0..8).map(|n| asked(janus.http(), format!("s{n}")));
    futures_util::future::join_all(several).await;
}

#[tokio::test]
async fn a_server_that_was_started_again_is_connected_to_by_itself() {
    let Some(tools) = Tools::python("http_sse") else {
        return;
    };
    let first = server(&tools, "0");
    let janus = janus(&first, "");
    let mut client = Client::open(janus.http(), VIEW, Era::Legacy).await;
    client.text("echo", json!({ "message": "a" })).await;
    let port = first.url().split(['/', ':']).nth(4).unwrap().to_owned();
    first.process.kill();
    let _second = server(&tools, &port);
    within("the server", async {
        loop {
            let params = json!({ "name": "echo", "arguments": { "message": "b" } });
            let result = client.result("tools/call", params).await;
            if result["isError"] != true {
                assert_eq!(result["content"][0]["text"], "b");
                return;
            }
        }
    })
    .await;
}
