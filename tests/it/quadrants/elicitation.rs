//! Servers that ask the user: to fill in a form, to open a link.

use serde_json::{Value, json};

use super::{EVERY_MAKE, Make, call, with_each};
use crate::support::Era;

#[tokio::test]
async fn a_legacy_client_fills_in_a_form_of_a_legacy_server() {
    a_form(Era::Legacy, Era::Legacy).await;
}

#[tokio::test]
async fn a_legacy_client_fills_in_a_form_of_a_modern_server() {
    a_form(Era::Legacy, Era::Modern).await;
}

#[tokio::test]
async fn a_modern_client_fills_in_a_form_of_a_legacy_server() {
    a_form(Era::Modern, Era::Legacy).await;
}

#[tokio::test]
async fn a_modern_client_fills_in_a_form_of_a_modern_server() {
    a_form(Era::Modern, Era::Modern).await;
}

async fn a_form(client: Era, server: Era) {
    with_each(
        EVERY_MAKE,
        client,
        server,
        async |make, mut client, prefix| {
            let (tool, asks, ends) = match make {
                Make::Rmcp => (
                    "test_input_required_result_elicitation",
                    NAME,
                    "Hello, Ada!",
                ),
                Make::FastMcp => ("ask_name", NAME, r#"accept: {"name": "Ada"}"#),
                Make::TypeScript => ("ask_name", NAME, r#"accept: {"name":"Ada"}"#),
                Make::Everything => ("trigger-elicitation-request", FIELDS, "- Name: Ada\n"),
            };
            let accepted = json!({ "action": "accept", "content": { "name": "Ada" } });
            let params = call(prefix, tool, &json!({}));
            let heard = client
                .converse("tools/call", params, |_| accepted.clone())
                .await;
            let question = heard.question();
            assert_eq!(question["method"], "elicitation/create", "{make:?}");
            let params = &question["params"];
            assert_ne!(params["mode"], "url", "{make:?}: {params}");
            assert_eq!(
                params["requestedSchema"]["properties"]["name"]["type"],
                "string"
            );
            let message = params["message"].as_str().unwrap();
            assert!(message.ends_with(asks), "{make:?}: {message}");
            let text = heard.text();
            assert!(text.contains(ends), "{make:?}: {text}");
            // Who declines is heard, too.
            let params = call(prefix, tool, &json!({}));
            let declined = json!({ "action": "decline" });
            let heard = client
                .converse("tools/call", params, |_| declined.clone())
                .await;
            let text = heard.text();
            assert!(!text.contains("Ada"), "{make:?}: {text}");
        },
    )
    .await;
}

const NAME: &str = "What is your name?";
const FIELDS: &str = "Please provide inputs for the following fields:";

#[tokio::test]
async fn a_legacy_client_opens_a_link_of_a_legacy_server() {
    a_link(Era::Legacy, Era::Legacy).await;
}

#[tokio::test]
async fn a_legacy_client_opens_a_link_of_a_modern_server() {
    a_link(Era::Legacy, Era::Modern).await;
}

#[tokio::test]
async fn a_modern_client_opens_a_link_of_a_legacy_server() {
    a_link(Era::Modern, Era::Legacy).await;
}

#[tokio::test]
async fn a_modern_client_opens_a_link_of_a_modern_server() {
    a_link(Era::Modern, Era::Modern).await;
}

async fn a_link(client_era: Era, server: Era) {
    with_each(
        EVERY_MAKE,
        client_era,
        server,
        async |make, mut client, prefix| {
            let (tool, arguments, ends) = match make {
                Make::Rmcp => ("test_url_elicitation", json!({}), "link: accept"),
                Make::FastMcp | Make::TypeScript => ("open_link", json!({}), "link: accept"),
                Make::Everything => (
                    "trigger-url-elicitation",
                    json!({ "url": LINK, "message": "Please log in" }),
                    "User completed the URL elicitation flow.",
                ),
            };
            let params = call(prefix, tool, &arguments);
            let accepted = json!({ "action": "accept" });
            let heard = client
                .converse("tools/call", params, |_| accepted.clone())
                .await;
            let question = heard.question();
            assert_eq!(question["method"], "elicitation/create", "{make:?}");
            let params = &question["params"];
            assert_eq!(
                (&params["mode"], &params["url"]),
                (&json!("url"), &json!(LINK))
            );
            let message = params["message"].as_str().unwrap();
            assert!(message.ends_with("Please log in"), "{make:?}: {message}");
            // The legacy era names the link, so that the server can say when it is done. The modern one does not.
            match client_era {
                Era::Legacy => assert!(params["elicitationId"].is_string(), "{make:?}: {params}"),
                _ if server == Era::Legacy => assert_eq!(params["elicitationId"], Value::Null),
                // What a modern server says of its own accord is passed on.
                Era::Modern => {}
            }
            let text = heard.text();
            assert!(text.contains(ends), "{make:?}: {text}");
        },
    )
    .await;
}

const LINK: &str = "https://example.com/login";
