//! Links that a person shall open, and other questions of servers of the other era, where the answer to a call is the
//! question.

use serde_json::{Value, json};

use super::{Legacy, Modern, Rig, accepted, answers, asked};
use crate::support::{Janus, Reply};

const MODERN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/servers/modern_server.py"
);

/// Janus in front of `modern_server.py`.
fn modern() -> Janus {
    let command = json!(["python3", MODERN]);
    Janus::start(&format!("asking: {{ command: {command} }}"))
}

fn text(response: &Value) -> &str {
    let text = response["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no text: {response}"))
}

/// Every message of a stream up to the response.
async fn all(stream: &mut Reply) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let message = stream.message().await.expect("a response");
        let last = message.get("method").is_none();
        all.push(message);
        if last {
            return all;
        }
    }
}

#[tokio::test]
async fn a_legacy_server_that_wants_a_link_opened_first_is_called_again_when_it_was() {
    let rig = Rig::start("");
    let mut client = Modern::of(rig.http());
    let arguments = json!({ "who": "ada" });
    let response = client.call("open_first", &arguments).await;
    let (key, state) = asked(&response);
    assert_eq!(
        response["result"]["inputRequests"][&key],
        json!({ "method": "elicitation/create", "params": {
            "mode": "url", "message": "Log in as ada", "url": "https://example.com/ada",
        }})
    );
    let retry = answers(&key, &json!({ "action": "accept" }), &state);
    let ended = client.retry("open_first", &arguments, retry).await;
    assert_eq!(text(&ended), "ada is in");
}

#[tokio::test]
async fn a_link_that_is_not_opened_is_the_end_of_the_call() {
    let rig = Rig::start("");
    let mut client = Modern::of(rig.http());
    let arguments = json!({ "who": "ada" });
    let (key, state) = asked(&client.call("open_first", &arguments).await);
    let retry = answers(&key, &json!({ "action": "decline" }), &state);
    let ended = client.retry("open_first", &arguments, retry).await;
    assert_eq!(ended["result"]["isError"], true, "{ended}");
    assert_eq!(
        ended["result"]["_meta"]["dev.janus/error"]["code"],
        "unanswered"
    );
    // Who cannot be asked to open links is given the link in words.
    client.capabilities = json!({ "elicitation": {} });
    let ended = client.call("open_first", &json!({ "who": "eve" })).await;
    assert_eq!(ended["result"]["isError"], true, "{ended}");
    assert!(text(&ended).contains("https://example.com/eve"), "{ended}");
}

#[tokio::test]
async fn a_server_that_never_sees_the_link_opened_is_not_asked_for_ever() {
    let rig = Rig::start("");
    let mut client = Modern::of(rig.http());
    let arguments = json!({ "who": "ada", "never": true });
    let mut response = client.call("open_first", &arguments).await;
    let mut rounds = 0;
    while response["result"]["resultType"] == "input_required" {
        let (key, state) = asked(&response);
        let retry = answers(&key, &json!({ "action": "accept" }), &state);
        response = client.retry("open_first", &arguments, retry).await;
        rounds += 1;
    }
    assert_eq!(rounds, 8);
    assert_eq!(response["result"]["isError"], true, "{response}");
}

#[tokio::test]
async fn a_legacy_client_opens_a_link_once_and_is_told_when_it_is_done() {
    let janus = modern();
    let mut client = Legacy::open(janus.http(), super::VIEW).await;
    let mut stream = client.call("login", &json!({})).await;
    let question = stream.message().await.unwrap();
    let params = &question["params"];
    let name = params["elicitationId"].as_str().unwrap().to_owned();
    assert_eq!(
        (&params["mode"], &params["url"]),
        (&json!("url"), &json!("https://example.com/login"))
    );
    client
        .answer(&question, &json!({ "action": "accept" }))
        .await;
    let rest = all(&mut stream).await;
    let methods: Vec<&Value> = rest.iter().map(|message| &message["method"]).collect();
    assert_eq!(
        methods,
        [&json!("notifications/elicitation/complete"), &Value::Null]
    );
    assert_eq!(rest[0]["params"], json!({ "elicitationId": name }));
    assert_eq!(text(&rest[1]), r#"{"link": {"action": "accept"}}"#);
}

#[tokio::test]
async fn the_state_of_a_modern_server_comes_back_to_it_just_as_it_was() {
    let janus = modern();
    let mut client = Legacy::open(janus.http(), "/mcp").await;
    let mut stream = client.call("asking__form", &json!({})).await;
    let question = stream.message().await.unwrap();
    assert_eq!(question["params"]["message"], "[asking/default] Who?");
    client.answer(&question, &accepted("Ada")).await;
    let said: Value = serde_json::from_str(text(all(&mut stream).await.last().unwrap())).unwrap();
    assert_eq!(
        said,
        json!({ "given": { "who": accepted("Ada") }, "state": "s\u{0}tate \"1\"" })
    );
    let answer = client
        .call("asking__state_only", &json!({}))
        .await
        .json()
        .await;
    assert_eq!(text(&answer), "again");
}

#[tokio::test]
async fn what_a_legacy_client_refuses_or_cannot_read_ends_the_call_with_words() {
    let janus = modern();
    let mut client = Legacy::open(janus.http(), super::VIEW).await;
    let mut stream = client.call("form", &json!({})).await;
    let question = stream.message().await.unwrap();
    let error = json!({ "code": -1, "message": "not today" });
    client
        .respond(&json!({ "jsonrpc": "2.0", "id": question["id"], "error": error }))
        .await;
    let ended = all(&mut stream).await.pop().unwrap();
    assert_eq!(ended["result"]["isError"], true, "{ended}");
    assert!(text(&ended).contains("not today"), "{ended}");
    for requests in [
        json!({}),
        json!({ "inputRequests": {} }),
        json!({ "inputRequests": [] }),
        json!({ "inputRequests": { "a": 1 } }),
        json!({ "inputRequests": { "a": { "method": "tools/call" } } }),
        json!({ "inputRequests": { "a": { "method": "elicitation/create" } }, "requestState": 1 }),
    ] {
        let answer = client.call("odd", &json!({ "requests": requests })).await;
        let ended = answer.json().await;
        assert_eq!(ended["result"]["isError"], true, "{requests}: {ended}");
        let told = &ended["result"]["_meta"]["dev.janus/error"]["code"];
        assert_eq!(told, "unanswered", "{requests}");
    }
}

#[tokio::test]
async fn a_modern_server_that_asks_without_end_is_given_up() {
    let janus = modern();
    let mut client = Legacy::open(janus.http(), super::VIEW).await;
    let mut stream = client.call("without_end", &json!({})).await;
    let mut asked = 0;
    let ended = loop {
        let message = stream.message().await.unwrap();
        if message.get("method").is_none() {
            break message;
        }
        client.answer(&message, &accepted("Ada")).await;
        asked += 1;
    };
    assert_eq!(asked, 32);
    assert_eq!(ended["result"]["isError"], true, "{ended}");
}
