//! Many clients, and a server that asks each of them: each is asked what its own call caused.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Legacy, Modern, Rig, VIEW, accepted, answers, asked, heard, one_form};
use crate::support::scale;

/// The first question on a shared pipe makes sessions part.
async fn part(rig: &Rig) {
    let mut first = Legacy::open(rig.http(), VIEW).await;
    answered(&mut first, "first").await;
}

/// A call of this session; the question must be its own. Gives what the server heard.
async fn answered(client: &mut Legacy, who: &str) -> Value {
    let arguments = json!({ "who": who, "rounds": [["form"], ["form"]] });
    let mut stream = client.call("ask", &arguments).await;
    loop {
        let message = stream.message().await.expect("a response");
        if message.get("method").is_none() {
            assert_eq!(heard(&message), [accepted(who), accepted(who)]);
            return message;
        }
        assert_eq!(message["method"], "elicitation/create", "{message}");
        assert_eq!(message["params"]["message"], format!("Who is {who}?"));
        client.answer(&message, &accepted(who)).await;
    }
}

#[tokio::test]
async fn each_of_many_sessions_is_asked_its_own_question() {
    let rig = Rig::start("");
    part(&rig).await;
    let sessions = (0..scale(200)).map(|n| {
        let http = rig.http();
        async move {
            let mut client = Legacy::open(http, VIEW).await;
            for round in 0..3 {
                answered(&mut client, &format!("s{n}r{round}")).await;
            }
        }
    });
    join_all(sessions).await;
}

#[tokio::test]
async fn each_of_many_modern_calls_is_asked_its_own_question() {
    let rig = Rig::start("");
    part(&rig).await;
    let calls = (0..12).map(|n| {
        let mut client = Modern::of(rig.http());
        async move {
            let who = format!("m{n}");
            let arguments = json!({ "who": who, "rounds": [["form"]] });
            let response = client.call("ask", &arguments).await;
            let (key, state) = asked(&response);
            let params = &response["result"]["inputRequests"][&key]["params"];
            assert_eq!(params["message"], format!("Who is {who}?"));
            let retry = answers(&key, &accepted(&who), &state);
            let ended = client.retry("ask", &arguments, retry).await;
            assert_eq!(heard(&ended), [accepted(&who)]);
        }
    });
    join_all(calls).await;
}

#[tokio::test]
async fn a_question_that_may_be_for_several_is_declined() {
    let mut rig = Rig::start("sharing: shared");
    let mut a = Legacy::open(rig.http(), VIEW).await;
    let mut b = Legacy::open(rig.http(), VIEW).await;
    let waiting = json!({ "who": "a", "rounds": [["form"]] });
    let mut stream = a.call("ask", &waiting).await;
    let question = stream.message().await.unwrap();
    // Now two clients wait, and the pipe does not say whose question this is.
    let answer = b
        .call("ask", &json!({ "who": "b", "rounds": [["form"]] }))
        .await;
    let ended = if answer.is_stream() {
        let mut answer = answer;
        answer.message().await.unwrap()
    } else {
        answer.json().await
    };
    assert_eq!(heard(&ended), [json!({ "error": -32601 })]);
    assert_eq!(rig.note("heard").await, r#"heard {"error": -32601}"#);
    a.answer(&question, &accepted("a")).await;
    assert_eq!(heard(&stream.message().await.unwrap()), [accepted("a")]);
}

#[tokio::test]
async fn a_connection_of_its_own_declares_what_its_client_did() {
    let mut rig = Rig::start("");
    rig.note("capabilities").await;
    part(&rig).await;
    let mut client = Modern::of(rig.http());
    client.capabilities = json!({ "elicitation": {} });
    let (key, state) = asked(&client.call("ask", &one_form()).await);
    assert_eq!(
        rig.note("capabilities").await,
        r#"capabilities {"elicitation": {"form": {}}}"#
    );
    let retry = answers(&key, &accepted("Ada"), &state);
    assert_eq!(
        heard(&client.retry("ask", &one_form(), retry).await),
        [accepted("Ada")]
    );
}
