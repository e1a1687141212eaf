//! Logins that are asked for in the client, by a question with a link.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::rig::{Rig, call, called, link, text, told};
use crate::support::authorization::{Behaviour, Consent, Protection};
use crate::support::{Client, Conversation, Era};

fn links() -> Value {
    json!({ "elicitation": { "url": {} } })
}

async fn rig() -> Rig {
    Rig::start(Behaviour::default(), Protection::default(), "").await
}

/// A client that the configuration names.
async fn keyed(rig: &Rig, name: &str, era: Era) -> Client {
    let key = format!("Bearer {}", rig.janus.key(name).await);
    let headers = [("authorization", key.as_str())];
    Client::open_with(rig.janus.http(), "/mcp", era, &headers).await
}

/// Calls `who`; a person opens the link of each question, and the client says what `action` is.
async fn asked(rig: &Rig, client: &mut Client, action: &'static str) -> Conversation {
    let (sender, mut links) = mpsc::channel::<String>(8);
    let answer = move |question: &Value| {
        let url = question["params"]["url"].as_str().unwrap().to_owned();
        sender.try_send(url).unwrap();
        json!({ "action": action })
    };
    let params = json!({ "name": "s__who", "arguments": {} });
    let person = async {
        if let Some(link) = links.recv().await
            && action == "accept"
        {
            rig.say(&link).await;
        }
    };
    let (conversation, ()) = tokio::join!(client.converse("tools/call", params, answer), person);
    conversation
}

#[tokio::test]
async fn a_client_that_shows_links_is_asked_and_the_call_goes_on_after_the_login() {
    for era in [Era::Legacy, Era::Modern] {
        let rig = rig().await;
        let mut client = Client::with(rig.janus.http(), "/mcp", era, links()).await;
        let conversation = asked(&rig, &mut client, "accept").await;
        assert_eq!(conversation.text(), "ana", "{era:?}");
        let question = conversation.question();
        let params = &question["params"];
        assert_eq!(
            (&question["method"], &params["mode"]),
            (&json!("elicitation/create"), &json!("url"))
        );
        let url = params["url"].as_str().unwrap();
        assert!(url.starts_with(&rig.janus.url("/login/")), "{url}");
        let message = params["message"].as_str().unwrap();
        assert!(
            message.contains(
                "s/default needs a login: nobody has logged in yet. The page leads to 127.0.0.1"
            ),
            "{message}"
        );
        let id = &params["elicitationId"];
        let done: Vec<&Value> = conversation
            .notified
            .iter()
            .filter(|note| note["method"] == "notifications/elicitation/complete")
            .map(|note| &note["params"]["elicitationId"])
            .collect();
        if era == Era::Legacy {
            assert!(id.is_string(), "{question}");
            assert_eq!(done, [id]);
        } else {
            assert!(id.is_null() && done.is_empty(), "{conversation:?}");
        }
        // Nobody is asked twice.
        assert_eq!(text(&called(&mut client, "s__who").await), "ana");
        assert_eq!(rig.server.calls(), 2);
        rig.assert_clean();
    }
}

#[tokio::test]
async fn a_no_counts_for_this_client_alone() {
    for (action, era) in [
        ("decline", Era::Legacy),
        ("cancel", Era::Modern),
        ("never heard of", Era::Legacy),
    ] {
        let sections =
            "clients:\n  one: { url_elicitation: true }\n  other: { url_elicitation: true }\n";
        let rig = Rig::with(Behaviour::default(), Protection::default(), "", sections).await;
        let mut client = keyed(&rig, "one", era).await;
        let conversation = asked(&rig, &mut client, action).await;
        let url = link(&conversation.response["result"]);
        assert_eq!(conversation.question()["params"]["url"], url.as_str());
        let again = call(&mut client, "s__who").await;
        assert_eq!(link(&again), url, "{action}");
        assert_eq!(rig.server.calls(), 0);
        // Another one is asked, with the same link, which is as good as ever.
        let mut other = keyed(&rig, "other", era).await;
        let conversation = asked(&rig, &mut other, "accept").await;
        assert_eq!(conversation.question()["params"]["url"], url.as_str());
        assert_eq!(conversation.text(), "ana");
        assert_eq!(text(&called(&mut client, "s__who").await), "ana");
    }
}

#[tokio::test]
async fn a_client_that_shows_forms_alone_is_told_and_not_asked() {
    for declared in [
        json!({}),
        json!({ "elicitation": {} }),
        json!({ "elicitation": { "form": {} } }),
    ] {
        let rig = rig().await;
        let mut client =
            Client::with(rig.janus.http(), "/mcp", Era::Modern, declared.clone()).await;
        let result = call(&mut client, "s__who").await;
        assert!(link(&result).contains("/login/"), "{declared}");
    }
}

#[tokio::test]
async fn a_login_that_was_refused_ends_the_call_with_the_reason() {
    let behaviour = Behaviour {
        consent: Consent::Refused("access_denied"),
        ..Behaviour::default()
    };
    let rig = Rig::start(behaviour, Protection::default(), "").await;
    let mut client = Client::with(rig.janus.http(), "/mcp", Era::Legacy, links()).await;
    let conversation = asked(&rig, &mut client, "accept").await;
    let result = &conversation.response["result"];
    let (error, login) = told(result);
    assert_eq!(
        (&error["code"], &login["state"]),
        (&json!("needs_login"), &json!("failed")),
        "{result}"
    );
    assert!(
        login["url"].is_null() && text(result).contains("access_denied"),
        "{result}"
    );
    assert_eq!(rig.server.calls(), 0);
    // The next call begins another one.
    rig.authority
        .behave(|behaviour| behaviour.consent = Consent::Given);
    assert_eq!(asked(&rig, &mut client, "accept").await.text(), "ana");
}

#[tokio::test]
async fn a_client_that_the_configuration_names_is_asked_though_it_says_nothing() {
    let sections = "clients:\n  shy: { url_elicitation: true }\n  other: {}\n";
    let rig = Rig::with(Behaviour::default(), Protection::default(), "", sections).await;
    for (name, is_asked) in [("other", false), ("shy", true)] {
        let mut client = keyed(&rig, name, Era::Legacy).await;
        if is_asked {
            assert_eq!(asked(&rig, &mut client, "accept").await.text(), "ana");
        } else {
            link(&call(&mut client, "s__who").await);
        }
    }
}
