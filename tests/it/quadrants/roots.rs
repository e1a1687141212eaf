//! Servers that ask the client for its roots.

use serde_json::json;

use super::{Make, call, with_each};
use crate::support::Era;

/// Those that ask in a call. The reference server asks once a session, when it opens.
const MAKES: &[Make] = &[Make::Rmcp, Make::FastMcp, Make::TypeScript];

#[tokio::test]
async fn the_roots_of_a_legacy_client_reach_a_legacy_server() {
    the_roots(Era::Legacy, Era::Legacy).await;
}

#[tokio::test]
async fn the_roots_of_a_legacy_client_reach_a_modern_server() {
    the_roots(Era::Legacy, Era::Modern).await;
}

#[tokio::test]
async fn the_roots_of_a_modern_client_reach_a_legacy_server() {
    the_roots(Era::Modern, Era::Legacy).await;
}

#[tokio::test]
async fn the_roots_of_a_modern_client_reach_a_modern_server() {
    the_roots(Era::Modern, Era::Modern).await;
}

async fn the_roots(client: Era, server: Era) {
    with_each(MAKES, client, server, async |make, mut client, prefix| {
        let (tool, ends) = match make {
            Make::Rmcp => (
                "test_input_required_result_list_roots",
                "Roots: file:///home/ada, file:///srv",
            ),
            _ => ("list_roots", "file:///home/ada file:///srv"),
        };
        let roots = json!({ "roots": [
            { "uri": "file:///home/ada", "name": "home" }, { "uri": "file:///srv" },
        ]});
        let params = call(prefix, tool, &json!({}));
        let heard = client
            .converse("tools/call", params, |_| roots.clone())
            .await;
        assert_eq!(heard.question()["method"], "roots/list", "{make:?}");
        assert_eq!(heard.text(), ends, "{make:?}");
    })
    .await;
}
