//! The harness itself, against the conformance server without Janus: what a test through Janus may rely on.

use serde_json::{Value, json};

use crate::support::{Client, Era, Fixture, Http};

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
