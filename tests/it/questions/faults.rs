//! What goes wrong while a call waits for its client.

use serde_json::{Value, json};

use rustix::process::{Pid, Signal, kill_process};

use super::{Legacy, Modern, Rig, VIEW, accepted, answers, asked, error, heard, one_form};
use crate::support::{Era, Fixture, Janus, scale};

const OVER: i64 = -32602;

#[tokio::test]
async fn a_forged_or_changed_state_opens_nothing_and_disturbs_nobody() {
    let rig = Rig::start("");
    let mut client = Modern::of(rig.http());
    let (key, state) = asked(&client.call("ask", &one_form()).await);
    let text = state.as_str().unwrap();
    let mut changed = text.to_owned().into_bytes();
    changed[30] = if changed[30] == b'A' { b'B' } else { b'A' };
    let changed = json!(String::from_utf8(changed).unwrap());
    for forged in [json!("janus"), json!(""), json!(7), changed] {
        let retry = answers(&key, &accepted("Eve"), &forged);
        let (code, _) = error(&client.retry("ask", &one_form(), retry).await);
        assert_eq!(code, OVER, "{forged}");
    }
    let retry = answers(&key, &accepted("Ada"), &state);
    let ended = client.retry("ask", &one_form(), retry).await;
    assert_eq!(heard(&ended), [accepted("Ada")]);
}

#[tokio::test]
async fn a_state_is_good_for_its_own_request_and_path_only() {
    let rig = Rig::start("");
    let mut client = Modern::of(rig.http());
    let (key, state) = asked(&client.call("ask", &one_form()).await);
    let retry = answers(&key, &accepted("Eve"), &state);
    let other = json!({ "who": "eve", "rounds": [["form"]] });
    assert_eq!(
        error(&client.retry("ask", &other, retry.clone()).await).0,
        OVER
    );
    assert_eq!(
        error(&client.retry("pid", &one_form(), retry.clone()).await).0,
        OVER
    );
    client.path = "/mcp".to_owned();
    let elsewhere = client
        .retry("asking__ask", &one_form(), retry.clone())
        .await;
    assert_eq!(error(&elsewhere).0, OVER);
    client.path = VIEW.to_owned();
    // The same arguments in another order and spelling are the same request.
    let same: Value = serde_json::from_str(r#"{"rounds": [["form"]], "who": "\u0061da"}"#).unwrap();
    let retry = answers(&key, &accepted("Ada"), &state);
    assert_eq!(
        heard(&client.retry("ask", &same, retry).await),
        [accepted("Ada")]
    );
}

#[tokio::test]
async fn a_state_is_good_for_the_client_that_got_it_only() {
    let rig = Rig::with("", "clients: { a: {}, b: {} }", "");
    let mut a = Modern::keyed(rig.http(), &rig.janus.key("a").await);
    let mut b = Modern::keyed(rig.http(), &rig.janus.key("b").await);
    let (key, state) = asked(&a.call("ask", &one_form()).await);
    let retry = answers(&key, &accepted("Eve"), &state);
    assert_eq!(error(&b.retry("ask", &one_form(), retry).await).0, OVER);
    let retry = answers(&key, &accepted("Ada"), &state);
    assert_eq!(
        heard(&a.retry("ask", &one_form(), retry).await),
        [accepted("Ada")]
    );
}

#[tokio::test]
async fn a_state_is_good_once() {
    let rig = Rig::start("");
    let mut client = Modern::of(rig.http());
    let (key, state) = asked(&client.call("ask", &one_form()).await);
    let retry = answers(&key, &accepted("Ada"), &state);
    let ended = client.retry("ask", &one_form(), retry.clone()).await;
    assert_eq!(heard(&ended), [accepted("Ada")]);
    let (code, message) = error(&client.retry("ask", &one_form(), retry).await);
    assert_eq!(code, OVER);
    assert!(
        message.contains("Call again without `requestState`"),
        "{message}"
    );
}

#[tokio::test]
async fn of_two_retries_at_once_one_goes_on() {
    let rig = Rig::start("");
    for _ in 0..scale(100) {
        let mut client = Modern::of(rig.http());
        let (key, state) = asked(&client.call("ask", &one_form()).await);
        let (mut one, mut two) = (Modern::of(rig.http()), Modern::of(rig.http()));
        let arguments = one_form();
        let (one, two) = tokio::join!(
            one.retry("ask", &arguments, answers(&key, &accepted("one"), &state)),
            two.retry("ask", &arguments, answers(&key, &accepted("two"), &state)),
        );
        let (won, lost, name) = if one.get("error").is_none() {
            (one, two, "one")
        } else {
            (two, one, "two")
        };
        assert_eq!(heard(&won), [accepted(name)]);
        assert_eq!(error(&lost).0, OVER);
    }
}

#[tokio::test]
async fn an_answer_of_the_wrong_shape_is_named_and_the_call_waits_on() {
    let rig = Rig::start("");
    let mut client = Modern::of(rig.http());
    let (key, state) = asked(&client.call("ask", &one_form()).await);
    for wrong in [
        json!({ "inputResponses": 7, "requestState": state }),
        json!({ "inputResponses": [], "requestState": state }),
        answers(&key, &json!(null), &state),
        answers(&key, &json!("accept"), &state),
        answers(&key, &json!({ "content": {} }), &state),
        answers(&key, &json!({ "action": 1 }), &state),
    ] {
        let (code, message) = error(&client.retry("ask", &one_form(), wrong.clone()).await);
        assert_eq!(code, -32602, "{wrong}");
        assert!(message.contains("inputResponses"), "{message}");
    }
    // Without any answer it is asked again, under a state of its own.
    let nothing = json!({ "requestState": state });
    let (again, next) = asked(&client.retry("ask", &one_form(), nothing).await);
    assert_eq!(again, key);
    assert_ne!(next, state);
    let retry = answers(&key, &accepted("Ada"), &next);
    assert_eq!(
        heard(&client.retry("ask", &one_form(), retry).await),
        [accepted("Ada")]
    );
}

#[tokio::test]
async fn a_question_that_nobody_answers_is_cancelled_and_so_is_an_abandoned_call() {
    let mut rig = Rig::with("", "", "question_timeout: 300ms");
    let mut client = Modern::of(rig.http());
    let arguments = json!({ "who": "ada" });
    let (key, state) = asked(&client.call("ask_for_ever", &arguments).await);
    assert_eq!(rig.note("heard").await, r#"heard {"action": "cancel"}"#);
    rig.note("cancelled").await;
    let retry = answers(&key, &accepted("Ada"), &state);
    let (code, _) = error(&client.retry("ask_for_ever", &arguments, retry).await);
    assert_eq!(code, OVER);
}

#[tokio::test]
async fn whoever_comes_after_the_question_ended_still_learns_what_became_of_the_call() {
    let mut rig = Rig::with("", "", "question_timeout: 2s");
    let mut client = Modern::of(rig.http());
    let (key, state) = asked(&client.call("ask", &one_form()).await);
    assert_eq!(rig.note("heard").await, r#"heard {"action": "cancel"}"#);
    let late = answers(&key, &accepted("Ada"), &state);
    let ended = client.retry("ask", &one_form(), late).await;
    assert_eq!(heard(&ended), [json!({ "action": "cancel" })]);
}

#[tokio::test]
async fn a_client_that_goes_away_in_its_retry_cancels_the_call() {
    let mut rig = Rig::start("");
    let mut client = Modern::of(rig.http());
    let arguments = json!({ "who": "ada", "rounds": [["form"]], "then": "wait" });
    let (key, state) = asked(&client.call("ask", &arguments).await);
    let retry = answers(&key, &accepted("Ada"), &state);
    tokio::select! {
        reply = client.retry("ask", &arguments, retry) => panic!("{reply}"),
        _ = rig.note("heard") => {}
    }
    rig.note("cancelled").await;
}

#[tokio::test]
async fn a_legacy_client_that_lost_its_stream_finds_the_question_again() {
    let rig = Rig::start("");
    let mut client = Legacy::open(rig.http(), VIEW).await;
    let mut stream = client.call("ask", &one_form()).await;
    let primed = stream.event().await.unwrap();
    let question = stream.message().await.unwrap();
    assert_eq!(question["params"]["message"], "Who is ada?");
    drop(stream);
    let place = [("last-event-id", primed.id.as_deref().unwrap())];
    let mut stream = client.get(&place).await;
    loop {
        let event = stream.event().await.unwrap();
        if event.data.contains("elicitation/create") {
            let again: Value = serde_json::from_str(&event.data).unwrap();
            assert_eq!(again, question, "word for word");
            break;
        }
    }
    client.answer(&question, &accepted("Ada")).await;
    let ended = stream.message().await.unwrap();
    assert_eq!(heard(&ended), [accepted("Ada")]);
}

#[tokio::test]
async fn a_question_that_is_open_no_more_is_taken_back_from_its_client() {
    let mut rig = Rig::with("", "", "question_timeout: 300ms");
    let mut client = Legacy::open(rig.http(), VIEW).await;
    let mut stream = client.call("ask", &one_form()).await;
    let question = stream.message().await.unwrap();
    let taken_back = stream.message().await.unwrap();
    assert_eq!(taken_back["method"], "notifications/cancelled");
    assert_eq!(taken_back["params"]["requestId"], question["id"]);
    assert_eq!(rig.note("heard").await, r#"heard {"action": "cancel"}"#);
    let ended = stream.message().await.unwrap();
    assert_eq!(heard(&ended), [json!({ "action": "cancel" })]);
    // What comes now answers nothing, and harms nothing.
    client.answer(&question, &accepted("late")).await;
}

#[tokio::test]
async fn a_server_that_ends_while_the_call_waits_is_told_to_the_client() {
    let mut rig = Rig::start("");
    let (pid, _) = rig.note_of("capabilities").await;
    let mut client = Modern::of(rig.http());
    let (key, state) = asked(&client.call("ask", &one_form()).await);
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    let retry = answers(&key, &accepted("Ada"), &state);
    let ended = client.retry("ask", &one_form(), retry).await;
    assert_eq!(ended["result"]["isError"], true, "{ended}");
    let told = &ended["result"]["_meta"]["dev.janus/error"];
    assert_eq!(told["code"], "outcome_unknown", "{ended}");
}

#[tokio::test]
async fn a_restart_ends_what_waits_and_says_so() {
    let rig = Rig::start("");
    let mut client = Modern::of(rig.http());
    let (key, state) = asked(&client.call("ask", &one_form()).await);
    let home = rig.janus.kill();
    let janus = Janus::start_in(home, |_| {});
    client.http = janus.http();
    let retry = answers(&key, &accepted("Ada"), &state);
    let (code, message) = error(&client.retry("ask", &one_form(), retry).await);
    assert_eq!(code, OVER);
    assert!(message.contains("restarted"), "{message}");
}

#[tokio::test]
async fn waiting_calls_are_bounded_and_the_oldest_goes_first() {
    const EACH: usize = 32;
    const TOOL: &str = "test_input_required_result_elicitation";
    let server = Fixture::start(Era::Legacy);
    let janus = Janus::start(&format!("asking: {{ url: \"{}\" }}", server.url()));
    let mut client = Modern::of(janus.http());
    let mut waiting = Vec::new();
    for _ in 0..=EACH {
        waiting.push(asked(&client.call(TOOL, &json!({})).await));
    }
    for (n, (key, state)) in waiting.iter().enumerate() {
        let retry = answers(key, &accepted("Ada"), state);
        let ended = client.retry(TOOL, &json!({}), retry).await;
        if n == 0 {
            assert_eq!(error(&ended).0, OVER);
        } else {
            assert_eq!(ended["result"]["content"][0]["text"], "Hello, Ada!");
        }
    }
}
