//! Log messages of a call, as far as the client wants them: by `logging/setLevel`, or by `logLevel` in each request.

use serde_json::{Value, json};

use super::{Make, call, with_each};
use crate::support::{Client, Era, Stream};

/// The reference server logs at random, every five seconds.
const MAKES: &[Make] = &[Make::Rmcp, Make::FastMcp, Make::TypeScript];

#[tokio::test]
async fn a_legacy_client_hears_the_log_of_a_legacy_server() {
    log(Era::Legacy, Era::Legacy).await;
}

#[tokio::test]
async fn a_legacy_client_hears_the_log_of_a_modern_server() {
    log(Era::Legacy, Era::Modern).await;
}

#[tokio::test]
async fn a_modern_client_hears_the_log_of_a_legacy_server() {
    log(Era::Modern, Era::Legacy).await;
}

#[tokio::test]
async fn a_modern_client_hears_the_log_of_a_modern_server() {
    log(Era::Modern, Era::Modern).await;
}

async fn log(client_era: Era, server: Era) {
    with_each(
        MAKES,
        client_era,
        server,
        async |make, mut client, prefix| {
            // It logs on the stream of the session, where nothing says which call a message belongs to.
            if make == Make::Rmcp && (client_era, server) == (Era::Modern, Era::Legacy) {
                return;
            }
            let (tool, arguments) = match make {
                Make::Rmcp => ("test_tool_with_logging", json!({})),
                _ => ("progress", json!({ "steps": 3 })),
            };
            let params = call(prefix, tool, &arguments);
            let mut stream = match client_era {
                Era::Legacy => Some(client.listen(&[]).await),
                Era::Modern => None,
            };
            // What is less than the client wants is not sent; were it, it would be the first to come.
            let unheard = logging_call(&mut client, client_era, "error", params.clone()).await;
            assert_eq!(unheard, Vec::<Value>::new(), "{make:?}");
            let mut heard = logging_call(&mut client, client_era, "info", params.clone()).await;
            while let (true, Some(stream)) = (heard.len() < 3, &mut stream) {
                heard.push(message(stream).await);
            }
            let expected = match make {
                Make::Rmcp => [
                    "Tool execution started",
                    "Tool processing data",
                    "Tool execution completed",
                ],
                _ => ["did 1", "did 2", "did 3"],
            };
            let said: Vec<&str> = heard.iter().map(said).collect();
            assert_eq!(said, expected, "{make:?}");
            assert!(
                heard.iter().all(|message| message["level"] == "info"),
                "{make:?}"
            );
            if client_era == Era::Modern {
                // Who does not ask for it is not told.
                let answer = client.request("tools/call", params).await;
                assert!(
                    answer.notified("notifications/message").is_empty(),
                    "{make:?}"
                );
            }
        },
    )
    .await;
}

/// A call that wants messages of this level; those that came with its answer.
async fn logging_call(client: &mut Client, era: Era, level: &str, mut params: Value) -> Vec<Value> {
    if era == Era::Legacy {
        client
            .result("logging/setLevel", json!({ "level": level }))
            .await;
    } else {
        params["_meta"] = json!({ "io.modelcontextprotocol/logLevel": level });
    }
    let answer = client.request("tools/call", params).await;
    let heard = answer.notified("notifications/message");
    heard.into_iter().cloned().collect()
}

async fn message(stream: &mut Stream) -> Value {
    stream.wait_for("notifications/message").await["params"].take()
}

/// The text of a message: FastMCP wraps it.
fn said(message: &Value) -> &str {
    let data = &message["data"];
    data["msg"].as_str().or(data.as_str()).unwrap_or_default()
}
