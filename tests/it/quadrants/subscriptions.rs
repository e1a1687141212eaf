//! Resources and lists that a client watches: by `resources/subscribe`, or by `subscriptions/listen`.

use serde_json::json;

use super::{Make, call, with_each};
use crate::support::Era;

/// FastMCP has nothing to watch.
const MAKES: &[Make] = &[Make::Rmcp, Make::TypeScript, Make::Everything];

#[tokio::test]
async fn a_legacy_client_watches_a_resource_of_a_legacy_server() {
    a_resource(Era::Legacy, Era::Legacy).await;
}

#[tokio::test]
async fn a_legacy_client_watches_a_resource_of_a_modern_server() {
    a_resource(Era::Legacy, Era::Modern).await;
}

#[tokio::test]
async fn a_modern_client_watches_a_resource_of_a_legacy_server() {
    a_resource(Era::Modern, Era::Legacy).await;
}

#[tokio::test]
async fn a_modern_client_watches_a_resource_of_a_modern_server() {
    a_resource(Era::Modern, Era::Modern).await;
}

async fn a_resource(client: Era, server: Era) {
    with_each(MAKES, client, server, async |make, mut client, prefix| {
        // Called a second time, its tool stops what it began.
        if make == Make::Everything && prefix.is_empty() {
            return;
        }
        let (watched, tool, arguments) = match make {
            Make::Rmcp => (
                "test://static-text",
                "test_trigger_resource_update",
                json!({ "uri": "test://static-text" }),
            ),
            Make::TypeScript | Make::FastMcp => ("test://counter", "touch", json!({})),
            Make::Everything => (
                "demo://resource/dynamic/text/1",
                "toggle-subscriber-updates",
                json!({}),
            ),
        };
        let mut changes = client.listen(&[watched]).await;
        if make == Make::Rmcp {
            // Nobody watches this one; were it announced, it would be the first.
            let other = call(prefix, tool, &json!({ "uri": "test://static-binary" }));
            client.result("tools/call", other).await;
        }
        client
            .result("tools/call", call(prefix, tool, &arguments))
            .await;
        let changed = changes.wait_for("notifications/resources/updated").await;
        assert_eq!(changed["params"]["uri"], watched, "{make:?}");
        let read = client
            .result("resources/read", json!({ "uri": watched }))
            .await;
        assert_eq!(read["contents"][0]["uri"], watched, "{make:?}");
    })
    .await;
}

#[tokio::test]
async fn a_legacy_client_hears_of_new_lists_of_a_legacy_server() {
    a_list(Era::Legacy, Era::Legacy).await;
}

#[tokio::test]
async fn a_legacy_client_hears_of_new_lists_of_a_modern_server() {
    a_list(Era::Legacy, Era::Modern).await;
}

#[tokio::test]
async fn a_modern_client_hears_of_new_lists_of_a_legacy_server() {
    a_list(Era::Modern, Era::Legacy).await;
}

#[tokio::test]
async fn a_modern_client_hears_of_new_lists_of_a_modern_server() {
    a_list(Era::Modern, Era::Modern).await;
}

async fn a_list(client: Era, server: Era) {
    with_each(
        &[Make::Rmcp],
        client,
        server,
        async |_, mut client, prefix| {
            // A view of several servers announces only what did change, and here nothing does.
            if !prefix.is_empty() {
                return;
            }
            let mut changes = client.listen(&[]).await;
            for list in ["tool", "prompt", "resource"] {
                let params = call(prefix, &format!("test_trigger_{list}_change"), &json!({}));
                client.result("tools/call", params).await;
                changes
                    .wait_for(&format!("notifications/{list}s/list_changed"))
                    .await;
            }
        },
    )
    .await;
}
