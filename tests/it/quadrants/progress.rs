//! Progress of a call, in order, before its result.

use serde_json::{Value, json};

use super::{EVERY_MAKE, Make, call, with_each};
use crate::support::Era;

#[tokio::test]
async fn a_legacy_client_sees_the_progress_of_a_legacy_server() {
    steps(Era::Legacy, Era::Legacy).await;
}

#[tokio::test]
async fn a_legacy_client_sees_the_progress_of_a_modern_server() {
    steps(Era::Legacy, Era::Modern).await;
}

#[tokio::test]
async fn a_modern_client_sees_the_progress_of_a_legacy_server() {
    steps(Era::Modern, Era::Legacy).await;
}

#[tokio::test]
async fn a_modern_client_sees_the_progress_of_a_modern_server() {
    steps(Era::Modern, Era::Modern).await;
}

async fn steps(client: Era, server: Era) {
    with_each(
        EVERY_MAKE,
        client,
        server,
        async |make, mut client, prefix| {
            let (tool, arguments, expected) = match make {
                Make::Rmcp => ("test_tool_with_progress", json!({}), [0.0, 50.0, 100.0]),
                Make::FastMcp | Make::TypeScript => {
                    ("progress", json!({ "steps": 3 }), [1.0, 2.0, 3.0])
                }
                Make::Everything => (
                    "trigger-long-running-operation",
                    json!({ "duration": 0.03, "steps": 3 }),
                    [1.0, 2.0, 3.0],
                ),
            };
            for token in [json!("of the client"), json!(7)] {
                let mut params = call(prefix, tool, &arguments);
                params["_meta"] = json!({ "progressToken": token });
                let answer = client.request("tools/call", params).await;
                let progress = answer.notified("notifications/progress");
                let seen: Vec<(&Value, Option<f64>)> = progress
                    .iter()
                    .map(|step| (&step["progressToken"], step["progress"].as_f64()))
                    .collect();
                assert_eq!(seen, expected.map(|step| (&token, Some(step))), "{make:?}");
                assert!(answer.response["result"]["content"][0]["text"].is_string());
            }
            // Who does not ask for it is not told.
            let answer = client
                .request("tools/call", call(prefix, tool, &arguments))
                .await;
            assert!(
                answer.notified("notifications/progress").is_empty(),
                "{make:?}: {answer:?}"
            );
        },
    )
    .await;
}
