//! A modern client at a legacy server: the call waits under a sealed state, and the retry goes on with it.

use serde_json::json;

use super::{Modern, Rig, accepted, answers, asked, heard, one_form};
use crate::support::{Era, Fixture};

#[tokio::test]
async fn a_question_ends_the_response_and_the_retry_goes_on_with_the_call() {
    let rig = Rig::start("");
    let mut client = Modern::of(rig.http());
    let response = client.call("ask", &one_form()).await;
    let (key, state) = asked(&response);
    assert_eq!(response["id"], 1);
    let question = &response["result"]["inputRequests"][&key];
    assert_eq!(
        question,
        &json!({ "method": "elicitation/create", "params": {
            "mode": "form", "message": "Who is ada?",
            "requestedSchema": { "type": "object", "properties": { "name": { "type": "string" } } },
        }})
    );
    let retry = answers(&key, &accepted("Ada"), &state);
    let ended = client.retry("ask", &one_form(), retry).await;
    assert_eq!(ended["id"], 2, "under the id of the retry");
    assert_eq!(ended["result"]["resultType"], "complete");
    assert_eq!(heard(&ended), [accepted("Ada")]);
}

#[tokio::test]
async fn what_is_asked_together_is_asked_in_one_response_and_what_is_missing_is_asked_again() {
    let rig = Rig::start("");
    let mut client = Modern::of(rig.http());
    let arguments = json!({ "who": "ada", "rounds": [["form", "sampling", "roots"], ["url"]] });
    let response = client.call("ask", &arguments).await;
    let requests = response["result"]["inputRequests"].as_object().unwrap();
    assert_eq!(requests.len(), 3, "{response}");
    let key = |method: &str| {
        let mut of = requests
            .iter()
            .filter(|(_, request)| request["method"] == method);
        of.next().unwrap().0.clone()
    };
    let (form, sampling, roots) = (
        key("elicitation/create"),
        key("sampling/createMessage"),
        key("roots/list"),
    );
    let said =
        json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "a" } });
    let state = &response["result"]["requestState"];
    let retry = json!({
        "inputResponses": { &form: accepted("Ada"), &sampling: said, "unasked": 1 },
        "requestState": state,
    });
    let second = client.retry("ask", &arguments, retry).await;
    let (missing, state) = asked(&second);
    assert_eq!(missing, roots, "{second}");
    let listed = json!({ "roots": [{ "uri": "file:///a" }] });
    let third = client
        .retry("ask", &arguments, answers(&roots, &listed, &state))
        .await;
    let (link, state) = asked(&third);
    assert_eq!(
        third["result"]["inputRequests"][&link]["params"],
        json!({ "mode": "url", "message": "Log in as ada", "url": "https://example.com/ada" }),
        "links have no names in this era"
    );
    let agreed = json!({ "action": "accept" });
    let ended = client
        .retry("ask", &arguments, answers(&link, &agreed, &state))
        .await;
    assert_eq!(heard(&ended).len(), 4);
    assert!(heard(&ended).contains(&listed) && heard(&ended).contains(&said));
}

#[tokio::test]
async fn progress_of_a_resumed_call_carries_the_token_of_the_retry() {
    let server = Fixture::start(Era::Legacy);
    let janus = crate::support::Janus::start(&format!("asking: {{ url: \"{}\" }}", server.url()));
    let mut client = Modern::of(janus.http());
    let tool = "test_streaming_elicitation";
    let response = client.call(tool, &json!({})).await;
    let (key, state) = asked(&response);
    let answer = json!({ "action": "decline" });
    let ended = client
        .retry(tool, &json!({}), answers(&key, &answer, &state))
        .await;
    assert_eq!(ended["result"]["resultType"], "complete", "{ended}");
}

#[tokio::test]
async fn in_a_merged_view_the_text_names_the_account_that_asks() {
    let rig = Rig::start("accounts: { own: { label: \"Own (production!)\" } }");
    let mut client = Modern::of(rig.http());
    client.path = "/mcp".to_owned();
    let response = client.call("asking__ask", &one_form()).await;
    let (key, state) = asked(&response);
    assert_eq!(
        response["result"]["inputRequests"][&key]["params"]["message"],
        "[asking/own: Own (production!)] Who is ada?"
    );
    let retry = answers(&key, &accepted("Ada"), &state);
    let ended = client.retry("asking__ask", &one_form(), retry).await;
    assert_eq!(heard(&ended), [accepted("Ada")]);
    assert_eq!(
        ended["result"]["_meta"]["dev.janus/identity"]["account"],
        "own"
    );
}

#[tokio::test]
async fn only_what_the_client_declared_is_asked() {
    let rig = Rig::start("");
    let mut client = Modern::of(rig.http());
    client.capabilities = json!({ "elicitation": {} });
    let arguments = json!({ "who": "ada", "rounds": [["url"], ["sampling"], ["roots"]] });
    let ended = client.call("ask", &arguments).await;
    let refused = json!({ "error": -32601 });
    assert_eq!(heard(&ended), [refused.clone(), refused.clone(), refused]);
}

#[tokio::test]
async fn tasks_are_not_listed_where_the_server_has_none_of_this_era() {
    let rig = Rig::start("");
    let mut client = crate::support::Client::open(rig.http(), super::VIEW, Era::Modern).await;
    let names = client.names("tools/list", "name").await;
    assert!(names.contains(&"ask".to_owned()), "{names:?}");
    assert!(!names.contains(&"task_only".to_owned()), "{names:?}");
}
