//! Every revision of MCP, on both sides at once: each client at each server.

use serde_json::{Value, json};

use crate::support::{Home, Http, Janus};

const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
const MODERN: &str = "2026-07-28";

fn script(name: &str) -> String {
    format!("{}/tests/servers/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A server of each revision, named after it, with a tool that asks for a form.
fn start() -> Janus {
    let mut servers = Vec::new();
    for revision in LEGACY {
        let command = json!([
            "python3",
            script("asking_server.py"),
            "--revision",
            revision
        ]);
        servers.push(format!("v{revision}: {{ command: {command} }}"));
    }
    let command = json!(["python3", script("modern_server.py")]);
    servers.push(format!("v{MODERN}: {{ command: {command} }}"));
    Janus::start_in(Home::new(&servers.join("\n")), |_| {})
}

/// The tool that asks, and what it is called with.
fn tool(server: &str) -> (&'static str, Value) {
    if server == MODERN {
        ("form", json!({}))
    } else {
        ("ask", json!({ "who": "ada", "rounds": [["form"]] }))
    }
}

fn text(response: &Value) -> &str {
    let text = response["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no text: {response}"))
}

async fn open(http: &Http, path: &str, revision: &str) -> (String, String) {
    let open = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": revision, "capabilities": { "elicitation": {} },
        "clientInfo": { "name": "t", "version": "1" },
    }});
    let reply = http.post(path, &[], &open).await;
    let session = reply.header("mcp-session-id").to_owned();
    let opened = reply.json().await;
    let agreed = opened["result"]["protocolVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    (session, agreed)
}

#[tokio::test]
async fn a_client_of_each_legacy_revision_is_asked_by_a_server_of_each() {
    let janus = start();
    let http = janus.http();
    for client in LEGACY {
        for server in LEGACY.into_iter().chain([MODERN]) {
            let path = format!("/mcp/@v{server}");
            let (session, agreed) = open(&http, &path, client).await;
            assert_eq!(agreed, client);
            let headers = [
                ("mcp-session-id", session.as_str()),
                ("mcp-protocol-version", client),
            ];
            let (name, arguments) = tool(server);
            let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": name, "arguments": arguments } });
            let mut stream = http.post(&path, &headers, &call).await;
            let question = loop {
                // Streams begin with a message that says how to resume from 2025-11-25 on only.
                let event = stream.event().await.unwrap();
                if !event.data.is_empty() {
                    break serde_json::from_str::<Value>(&event.data).unwrap();
                }
                assert_eq!(client, "2025-11-25", "primed");
            };
            assert_eq!(
                question["method"], "elicitation/create",
                "{client} at {server}"
            );
            let says_form = question["params"].get("mode").is_some();
            assert_eq!(says_form, client == "2025-11-25", "{client} at {server}");
            let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "decline" } });
            assert_eq!(http.post(&path, &headers, &answer).await.status, 202);
            let ended = stream.message().await.unwrap();
            assert!(
                text(&ended).contains("decline"),
                "{client} at {server}: {ended}"
            );
            assert!(ended["result"].get("resultType").is_none(), "{ended}");
        }
    }
}

#[tokio::test]
async fn a_client_of_the_modern_revision_is_asked_by_a_server_of_each() {
    let janus = start();
    let http = janus.http();
    for server in LEGACY.into_iter().chain([MODERN]) {
        let path = format!("/mcp/@v{server}");
        let (name, arguments) = tool(server);
        let mut params = json!({ "name": name, "arguments": arguments, "_meta": {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} },
        }});
        let headers = [
            ("mcp-protocol-version", MODERN),
            ("mcp-method", "tools/call"),
            ("mcp-name", name),
        ];
        let call = |id: u64, params: &Value| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        let asked = http
            .post(&path, &headers, &call(1, &params))
            .await
            .json()
            .await;
        let result = &asked["result"];
        assert_eq!(result["resultType"], "input_required", "{server}: {asked}");
        let key = result["inputRequests"]
            .as_object()
            .unwrap()
            .keys()
            .next()
            .unwrap();
        params["inputResponses"] = json!({ key: { "action": "decline" } });
        params["requestState"] = result["requestState"].clone();
        let ended = http
            .post(&path, &headers, &call(2, &params))
            .await
            .json()
            .await;
        assert!(text(&ended).contains("decline"), "{server}: {ended}");
        assert_eq!(
            ended["result"]["resultType"], "complete",
            "{server}: {ended}"
        );
    }
}

#[tokio::test]
async fn what_nobody_published_is_answered_with_the_latest_that_has_sessions() {
    let janus = start();
    let http = janus.http();
    for odd in ["2099-01-01", "1.0", "", MODERN] {
        let (session, agreed) = open(&http, "/mcp", odd).await;
        assert_eq!(agreed, "2025-11-25", "{odd}");
        assert!(!session.is_empty());
    }
}
