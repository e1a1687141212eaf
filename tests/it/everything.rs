//! The reference server `server-everything`, a legacy server over stdio, behind Janus: in the merged view and in its own,
//! for clients of both eras.

use serde_json::{Value, json};

use crate::support::{Client, Era, Janus, Tools};

/// A view, and what the names of the server's tools and prompts begin with in it.
const VIEWS: [(&str, &str); 2] = [("/mcp", "everything__"), ("/mcp/@everything", "")];

/// Janus with the server; `None` where it is not installed.
fn start() -> Option<Janus> {
    let tools = Tools::npm("server-everything")?;
    let [node, script] = tools.package("@modelcontextprotocol/server-everything/dist/index.js");
    let command = json!([node, script, "stdio"]);
    Some(Janus::start(&format!(
        "everything: {{ command: {command} }}"
    )))
}

/// Does the same in both views and both eras.
async fn in_every_view(janus: &Janus, test: impl AsyncFn(Client, &str)) {
    for era in Era::CLIENTS {
        for (path, prefix) in VIEWS {
            test(Client::open(janus.http(), path, era).await, prefix).await;
        }
    }
}

#[tokio::test]
async fn tools_are_listed_and_called() {
    let Some(janus) = start() else { return };
    in_every_view(&janus, async |mut client, prefix| {
        let names = client.names("tools/list", "name").await;
        for name in ["echo", "get-sum", "trigger-long-running-operation"] {
            let name = format!("{prefix}{name}");
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        let message = json!({ "message": "Grüße, \"Janus\"\n" });
        let content = client.call(&format!("{prefix}echo"), message).await;
        assert_eq!(
            content,
            json!([{ "type": "text", "text": "Echo: Grüße, \"Janus\"\n" }])
        );
        let sum = format!("{prefix}get-sum");
        let text = client.text(&sum, json!({ "a": 2, "b": 40 })).await;
        assert_eq!(text, "The sum of 2 and 40 is 42.");
    })
    .await;
}

#[tokio::test]
async fn a_tool_keeps_what_the_server_says_of_it() {
    let Some(janus) = start() else { return };
    in_every_view(&janus, async |mut client, prefix| {
        let listed = client.result("tools/list", json!({})).await;
        let name = format!("{prefix}echo");
        let tools = listed["tools"].as_array().unwrap();
        let echo = tools.iter().find(|tool| tool["name"] == name).unwrap();
        assert_eq!(echo["title"], "Echo Tool");
        assert_eq!(echo["description"], "Echoes back the input string");
        assert_eq!(
            echo["inputSchema"]["properties"]["message"],
            json!({ "type": "string", "description": "Message to echo" })
        );
        assert_eq!(echo["annotations"]["readOnlyHint"], true);
    })
    .await;
}

#[tokio::test]
async fn a_tool_that_nobody_has_is_an_error() {
    let Some(janus) = start() else { return };
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.http(), "/mcp", era).await;
        for name in ["echo", "nobody__echo", "everything__nope"] {
            let params = json!({ "name": name, "arguments": {} });
            assert_eq!(client.error("tools/call", params).await, -32602, "{name}");
        }
    }
}

#[tokio::test]
async fn prompts_are_listed_and_filled_in() {
    let Some(janus) = start() else { return };
    in_every_view(&janus, async |mut client, prefix| {
        let name = format!("{prefix}args-prompt");
        let names = client.names("prompts/list", "name").await;
        assert!(names.contains(&name), "{name} in {names:?}");
        let arguments = json!({ "city": "Köln", "state": "NRW" });
        let params = json!({ "name": name, "arguments": arguments });
        let prompt = client.result("prompts/get", params).await;
        assert_eq!(
            prompt["messages"],
            json!([{ "role": "user", "content":
                { "type": "text", "text": "What's weather in Köln, NRW?" } }])
        );
    })
    .await;
}

#[tokio::test]
async fn resources_are_read_and_templates_listed() {
    let Some(janus) = start() else { return };
    in_every_view(&janus, async |mut client, _| {
        assert_eq!(
            client
                .names("resources/templates/list", "uriTemplate")
                .await,
            [
                "demo://resource/dynamic/text/{resourceId}",
                "demo://resource/dynamic/blob/{resourceId}"
            ]
        );
        let uri = "demo://resource/dynamic/text/7";
        let read = client.result("resources/read", json!({ "uri": uri })).await;
        let content = &read["contents"][0];
        assert_eq!(
            (&content["uri"], &content["mimeType"]),
            (&json!(uri), &json!("text/plain"))
        );
        let text = content["text"].as_str().unwrap();
        assert!(
            text.starts_with("Resource 7: This is a plaintext"),
            "{text}"
        );
    })
    .await;
}

#[tokio::test]
async fn progress_comes_in_order_before_the_result() {
    const STEPS: usize = 20;
    let Some(janus) = start() else { return };
    in_every_view(&janus, async |mut client, prefix| {
        for token in [json!("t"), json!(0)] {
            let answer = client
                .request(
                    "tools/call",
                    json!({
                        "name": format!("{prefix}trigger-long-running-operation"),
                        "arguments": { "duration": 0.02, "steps": STEPS },
                        "_meta": { "progressToken": token },
                    }),
                )
                .await;
            let expected: Vec<Value> = (1..=STEPS)
                .map(|step| json!({ "progress": step, "total": STEPS, "progressToken": token }))
                .collect();
            let progress = answer.notified("notifications/progress");
            assert_eq!(progress, expected.iter().collect::<Vec<_>>());
            assert_eq!(
                answer.response["result"]["content"][0]["text"],
                "Long running operation completed. Duration: 0.02 seconds, Steps: 20."
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_new_resource_is_announced_and_can_be_read() {
    for era in Era::CLIENTS {
        for (path, prefix) in VIEWS {
            let Some(janus) = start() else { return };
            let mut client = Client::open(janus.http(), path, era).await;
            let mut changes = client.listen(&[]).await;
            let arguments = json!({ "name": "note.gz", "data": "data:text/plain,note" });
            let tool = format!("{prefix}gzip-file-as-resource");
            let link = client.call(&tool, arguments).await;
            let uri = "demo://resource/session/note.gz";
            assert_eq!(
                (&link[0]["type"], &link[0]["uri"]),
                (&json!("resource_link"), &json!(uri))
            );
            changes
                .wait_for("notifications/resources/list_changed")
                .await;
            let uris = client.names("resources/list", "uri").await;
            assert!(uris.iter().any(|listed| listed == uri), "{uris:?}");
            let read = client.result("resources/read", json!({ "uri": uri })).await;
            let blob = read["contents"][0]["blob"].as_str().unwrap();
            // The head of a gzip file.
            assert!(blob.starts_with("H4sI"), "{blob}");
        }
    }
}

#[tokio::test]
async fn a_watched_resource_that_changes_is_announced() {
    for era in Era::CLIENTS {
        for (path, prefix) in VIEWS {
            let Some(janus) = start() else { return };
            let uri = "demo://resource/dynamic/text/1";
            let mut client = Client::open(janus.http(), path, era).await;
            let mut changes = client.listen(&[uri]).await;
            let tool = format!("{prefix}toggle-subscriber-updates");
            client.call(&tool, json!({})).await;
            let updated = changes.wait_for("notifications/resources/updated").await;
            assert_eq!(updated["params"]["uri"], uri);
        }
    }
}
