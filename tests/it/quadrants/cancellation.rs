//! A call that the client gives up: the server learns it in the way of its own era and transport.

use serde_json::json;

use super::{Make, call, with_each};
use crate::support::Era;

/// One over HTTP, where a modern server sees its stream closed, and one on pipes, where it is told.
const MAKES: &[Make] = &[Make::Rmcp, Make::TypeScript];

#[tokio::test]
async fn a_legacy_server_learns_that_a_legacy_client_cancelled() {
    cancelled(Era::Legacy, Era::Legacy).await;
}

#[tokio::test]
async fn a_modern_server_learns_that_a_legacy_client_cancelled() {
    cancelled(Era::Legacy, Era::Modern).await;
}

#[tokio::test]
async fn a_legacy_server_learns_that_a_modern_client_cancelled() {
    cancelled(Era::Modern, Era::Legacy).await;
}

#[tokio::test]
async fn a_modern_server_learns_that_a_modern_client_cancelled() {
    cancelled(Era::Modern, Era::Modern).await;
}

async fn cancelled(client: Era, server: Era) {
    with_each(MAKES, client, server, async |make, mut client, prefix| {
        let (wait, learn) = match make {
            Make::Rmcp => ("test_wait", "test_wait_for_cancel"),
            _ => ("wait", "wait_for_cancel"),
        };
        let mut params = call(prefix, wait, &json!({}));
        params["_meta"] = json!({ "progressToken": "w" });
        let mut reply = client.send("tools/call", params).await;
        // The server has it.
        let begun = reply.message().await.unwrap();
        assert_eq!(
            begun["method"], "notifications/progress",
            "{make:?}: {begun}"
        );
        client.cancel(reply).await;
        let text = client.text(&format!("{prefix}{learn}"), json!({})).await;
        assert!(text.ends_with("cancelled"), "{make:?}: {text}");
    })
    .await;
}
