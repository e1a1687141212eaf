//! Servers that ask the model of the client.

use serde_json::json;

use super::{EVERY_MAKE, Make, call, with_each};
use crate::support::Era;

#[tokio::test]
async fn the_model_of_a_legacy_client_answers_a_legacy_server() {
    a_prompt(Era::Legacy, Era::Legacy).await;
}

#[tokio::test]
async fn the_model_of_a_legacy_client_answers_a_modern_server() {
    a_prompt(Era::Legacy, Era::Modern).await;
}

#[tokio::test]
async fn the_model_of_a_modern_client_answers_a_legacy_server() {
    a_prompt(Era::Modern, Era::Legacy).await;
}

#[tokio::test]
async fn the_model_of_a_modern_client_answers_a_modern_server() {
    a_prompt(Era::Modern, Era::Modern).await;
}

async fn a_prompt(client: Era, server: Era) {
    with_each(
        EVERY_MAKE,
        client,
        server,
        async |make, mut client, prefix| {
            let (tool, prompt) = match make {
                Make::Rmcp => ("test_sampling", "What is the answer?"),
                Make::FastMcp | Make::TypeScript => ("ask_model", "What is the answer?"),
                Make::Everything => (
                    "trigger-sampling-request",
                    "Resource trigger-sampling-request context: What is the answer?",
                ),
            };
            let arguments = match make {
                Make::Rmcp | Make::Everything => json!({ "prompt": "What is the answer?" }),
                Make::FastMcp | Make::TypeScript => json!({}),
            };
            let said = json!({
                "role": "assistant", "content": { "type": "text", "text": "It is forty-two." },
                "model": "thought-1", "stopReason": "endTurn",
            });
            let params = call(prefix, tool, &arguments);
            let heard = client
                .converse("tools/call", params, |_| said.clone())
                .await;
            let question = heard.question();
            assert_eq!(question["method"], "sampling/createMessage", "{make:?}");
            let message = &question["params"]["messages"][0];
            assert_eq!(
                (&message["role"], &message["content"]["text"]),
                (&json!("user"), &json!(prompt)),
                "{make:?}"
            );
            assert!(question["params"]["maxTokens"].is_number(), "{make:?}");
            let text = heard.text();
            assert!(text.contains("It is forty-two."), "{make:?}: {text}");
        },
    )
    .await;
}
