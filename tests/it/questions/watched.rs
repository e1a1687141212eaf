//! What a client without a session watches at a legacy server: asked for in its name, and let go when it leaves.

use serde_json::{Value, json};

use super::{Legacy, Rig, VERSION, VIEW};
use crate::support::{Http, Reply};

const WATCHED: &str = "test://watched";

/// A stream of a modern client that watches these, and what was granted.
async fn listen(http: &Http, uris: &[&str]) -> (Reply, Value) {
    let body = json!({ "jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen", "params": {
        "notifications": { "resourceSubscriptions": uris },
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }});
    let headers = [
        ("mcp-protocol-version", VERSION),
        ("mcp-method", "subscriptions/listen"),
    ];
    let mut stream = http.post(VIEW, &headers, &body).await;
    let acknowledged = stream.message().await.unwrap();
    assert_eq!(
        acknowledged["method"],
        "notifications/subscriptions/acknowledged"
    );
    (stream, acknowledged["params"]["notifications"].clone())
}

#[tokio::test]
async fn a_listener_that_leaves_lets_go_what_nobody_else_watches() {
    let mut rig = Rig::start("");
    let http = rig.http();
    let (first, granted) = listen(&http, &[WATCHED]).await;
    assert_eq!(granted, json!({ "resourceSubscriptions": [WATCHED] }));
    rig.note("resources/subscribe").await;
    let (mut second, _) = listen(&http, &[WATCHED]).await;
    drop(first);
    // The other one is told as before.
    let mut session = Legacy::open(rig.http(), VIEW).await;
    let touched = session.call("touch", &json!({})).await.json().await;
    assert_eq!(touched["result"]["content"][0]["text"], WATCHED);
    let updated = second.message().await.unwrap();
    assert_eq!(updated["method"], "notifications/resources/updated");
    let params = &updated["params"];
    assert_eq!(params["uri"], WATCHED);
    assert_eq!(
        params["_meta"]["io.modelcontextprotocol/subscriptionId"],
        "l"
    );
    drop(second);
    assert_eq!(
        rig.note("resources/unsubscribe").await,
        format!("resources/unsubscribe {WATCHED}")
    );
}
