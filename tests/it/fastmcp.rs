//! A server written with FastMCP, which speaks both eras over HTTP, behind Janus.

use serde_json::{Value, json};

use crate::support::{Client, Era, Fixture, Janus, Tools};

/// A view, and what the names of the server's tools begin with in it.
const VIEWS: [(&str, &str); 2] = [("/mcp", "fast__"), ("/mcp/@fast", "")];

/// The server and Janus before it; `None` where it is not installed.
fn start(options: &str) -> Option<(Fixture, Janus)> {
    let tools = Tools::python("fastmcp")?;
    let server = Fixture::run("fastmcp", &mut tools.script("servers/fastmcp_server.py"));
    let janus = Janus::start(&format!("fast: {{ url: \"{}\"{options} }}", server.url()));
    Some((server, janus))
}

/// Does the same for clients of both eras, in both views, with Janus speaking each era to the server.
async fn in_every_way(test: impl AsyncFn(Client, &str)) {
    for options in ["", ", era: modern", ", era: legacy"] {
        let Some((_server, janus)) = start(options) else {
            return;
        };
        for era in Era::CLIENTS {
            for (path, prefix) in VIEWS {
                test(Client::open(janus.http(), path, era).await, prefix).await;
            }
        }
    }
}

#[tokio::test]
async fn tools_give_their_values() {
    in_every_way(async |mut client, prefix| {
        let mut names = client.names("tools/list", "name").await;
        names.retain(|name| !name.starts_with("janus_"));
        assert_eq!(
            names,
            [
                "echo",
                "add",
                "fail",
                "progress",
                "ask_name",
                "open_link",
                "ask_model",
                "list_roots"
            ]
            .map(|name| format!("{prefix}{name}"))
        );
        let (echo, message) = (format!("{prefix}echo"), "a\u{1F600}b");
        let text = client.text(&echo, json!({ "message": message })).await;
        assert_eq!(text, message);
        let params = json!({ "name": format!("{prefix}add"), "arguments": { "a": -1, "b": 43 } });
        let result = client.result("tools/call", params).await;
        assert_eq!(result["content"][0]["text"], "42");
        assert_eq!(result["structuredContent"], json!({ "result": 42 }));
    })
    .await;
}

#[tokio::test]
async fn a_tool_that_fails_says_why() {
    in_every_way(async |mut client, prefix| {
        let arguments = json!({ "reason": "out of paper" });
        let params = json!({ "name": format!("{prefix}fail"), "arguments": arguments });
        let result = client.result("tools/call", params).await;
        assert_eq!(result["isError"], true);
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("out of paper"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn progress_comes_in_order() {
    in_every_way(async |mut client, prefix| {
        let params = json!({
            "name": format!("{prefix}progress"),
            "arguments": { "steps": 3 },
            "_meta": { "progressToken": "p" },
        });
        let answer = client.request("tools/call", params).await;
        let progress: Vec<(&Value, Option<f64>)> = answer
            .notified("notifications/progress")
            .into_iter()
            .map(|params| (&params["message"], params["progress"].as_f64()))
            .collect();
        let messages = ["step 1", "step 2", "step 3"].map(Value::from);
        assert_eq!(
            progress,
            [
                (&messages[0], Some(1.0)),
                (&messages[1], Some(2.0)),
                (&messages[2], Some(3.0))
            ]
        );
        assert_eq!(answer.response["result"]["content"][0]["text"], "3 steps");
    })
    .await;
}

#[tokio::test]
async fn resources_and_prompts_give_their_values() {
    in_every_way(async |mut client, prefix| {
        assert_eq!(
            client.names("resources/list", "uri").await,
            ["test://greeting"]
        );
        for (uri, text) in [
            ("test://greeting", "hello from FastMCP"),
            ("test://square/12", "144"),
        ] {
            let read = client.result("resources/read", json!({ "uri": uri })).await;
            assert_eq!(read["contents"][0]["text"], text);
        }
        let name = format!("{prefix}review");
        let params = json!({ "name": name, "arguments": { "code": "x = 1" } });
        let prompt = client.result("prompts/get", params).await;
        let message = &prompt["messages"][0];
        assert_eq!(
            (&message["role"], &message["content"]["text"]),
            (&json!("user"), &json!("Review this: x = 1"))
        );
    })
    .await;
}
