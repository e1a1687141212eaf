//! Questions of the server: whom they reach, and what it is answered.

use serde_json::{Value, json as value};

use crate::protocol::{Answer, Asker, Question, QuestionKind};

use super::*;

/// Asks once for each call, and answers the call with what it was answered.
const ASKS: &str = r#"
while True:
    m = read()
    send({"id": "q%d" % m["id"], "method": m["method"], "params": {"for": m["id"]}})
    while True:
        reply = read()
        if "method" not in reply: break
    answer(m, {k: v for k, v in reply.items() if k != "jsonrpc"})
"#;

async fn next_question(queue: &EventQueue) -> (Question, Asker) {
    match next(queue).await {
        Event::Ask(question, answer) => (question, answer),
        _ => panic!("no question"),
    }
}

/// A client's response with this member.
fn response(member: &str) -> Answer {
    let text = json(&format!(r#"{{"jsonrpc":"2.0","id":0,{member}}}"#));
    Answer::Response(Envelope::of(&text).unwrap())
}

fn result(relayed: Result<Relayed, Failure>) -> Value {
    let message: Value = serde_json::from_str(&text(relayed)).unwrap();
    message["result"].clone()
}

#[tokio::test]
async fn the_only_caller_is_asked_and_its_answer_arrives_as_it_is() {
    let rig = serve(ASKS);
    let one = client(None, r#"{"elicitation":{}}"#);
    let (events, queue) = Events::channel();
    for (answer, expected) in [
        (
            response("\"result\":{\"action\":\"accept\",\n\"n\":1.0}"),
            value!({"id": "q1", "result": {"action": "accept", "n": 1.0}}),
        ),
        (
            response(r#""error":{"code":-1,"message":"no","odd":[]}"#),
            value!({"id": "q2", "error": {"code": -1, "message": "no", "odd": []}}),
        ),
        (
            Answer::Refused,
            value!({"id": "q3", "error": {"code": -32601, "message": "the client cannot be asked"}}),
        ),
    ] {
        let (relayed, ()) = tokio::join!(rig.call_of(&one, "elicitation/create", &events), async {
            let (question, sender) = next_question(&queue).await;
            assert_eq!(question.kind, QuestionKind::Elicit);
            assert!(question.message.params().unwrap().has("for"));
            sender.answer(answer);
        });
        assert_eq!(result(relayed), expected);
    }
    assert!(rig.leg.duplex().asked());
    rig.end().await;
}

#[tokio::test]
async fn a_question_that_the_client_cannot_answer_is_declined() {
    let rig = serve(ASKS);
    let one = client(Some("one"), r#"{"sampling":{}}"#);
    let (events, queue) = Events::channel();
    for (method, expected) in [
        (
            "elicitation/create",
            "the client did not declare that it can answer this `elicitation/create`",
        ),
        (
            "roots/list",
            "the client did not declare that it can answer this `roots/list`",
        ),
        ("tools/list", "`tools/list` is not served to servers"),
    ] {
        let relayed = result(rig.call_of(&one, method, &events).await);
        assert_eq!(
            relayed["error"],
            value!({"code": -32601, "message": expected})
        );
    }
    assert!(queue.try_next().is_none());
    assert_eq!(
        result(rig.call_of(&one, "ping", &events).await),
        value!({"id": "q4", "result": {}})
    );
}

#[tokio::test]
async fn a_question_that_may_be_for_several_is_declined() {
    let all = r#"{"elicitation":{}}"#;
    for (one, two) in [
        (Some("one"), Some("two")),
        (None, None),
        (Some("one"), None),
    ] {
        let rig = serve(
            r#"
a, b = read(), read()
send({"id": 1, "method": "elicitation/create", "params": {}})
reply = read()
answer(a, {})
answer(b, reply["error"])
"#,
        );
        let (events, queue) = Events::channel();
        let (one, two) = (client(one, all), client(two, all));
        let (a, b) = tokio::join!(
            rig.call_of(&one, "a", &events),
            rig.call_of(&two, "b", &events)
        );
        a.unwrap();
        let declined = result(b);
        assert!(
            declined["message"]
                .as_str()
                .unwrap()
                .starts_with("several clients wait"),
            "{declined}"
        );
        assert!(queue.try_next().is_none() && rig.leg.duplex().asked());
    }
}

#[tokio::test]
async fn of_several_calls_of_one_session_the_last_one_is_asked() {
    let rig = serve(
        r#"
a, b = read(), read()
send({"id": 1, "method": "sampling/createMessage"})
reply = read()
answer(a, {})
answer(b, reply["result"])
"#,
    );
    let one = client(Some("one"), r#"{"sampling":{}}"#);
    let (first, first_queue) = Events::channel();
    let (last, queue) = Events::channel();
    let (a, b, ()) = tokio::join!(
        rig.call_of(&one, "a", &first),
        rig.call_of(&one, "b", &last),
        async {
            let (question, sender) = next_question(&queue).await;
            assert!(question.message.params().is_none());
            sender.answer(response(r#""result":7"#));
        }
    );
    a.unwrap();
    assert_eq!(result(b), value!(7));
    assert!(first_queue.try_next().is_none());
}

#[tokio::test]
async fn outside_of_calls_there_are_no_roots_and_nobody_to_ask() {
    let mut rig = serve(
        r#"
for method in ["ping", "roots/list", "elicitation/create"]:
    send({"id": "a", "method": method})
    reply = read()
    note("heard", reply=reply)
read()
"#,
    );
    for expected in [
        value!({"jsonrpc": "2.0", "id": "a", "result": {}}),
        value!({"jsonrpc": "2.0", "id": "a", "result": {"roots": []}}),
        value!({"jsonrpc": "2.0", "id": "a", "error": {"code": -32601, "message": "no client waits for anything, so there is nobody to ask"}}),
    ] {
        assert_eq!(params(&rig.inbox.recv().await.unwrap())["reply"], expected);
    }
}

#[tokio::test]
async fn a_question_keeps_its_place_and_does_not_stop_the_reader() {
    let rig = serve(
        r#"
m = read()
note("notifications/progress", progressToken=m["id"], progress=1)
send({"id": 1, "method": "elicitation/create", "params": {}})
note("notifications/progress", progressToken=m["id"], progress=2)
answer(m, {"reply": read()["result"]})
"#,
    );
    let one = client(Some("one"), r#"{"elicitation":{}}"#);
    let (events, queue) = Events::channel();
    let (relayed, ()) = tokio::join!(rig.call_of(&one, "x", &events), async {
        assert!(next_note(&queue).await.contains(r#""progress":1"#));
        let (_, sender) = next_question(&queue).await;
        // The question is still open.
        assert!(next_note(&queue).await.contains(r#""progress":2"#));
        sender.answer(response(r#""result":1"#));
    });
    assert_eq!(result(relayed), value!({"reply": 1}));
}

#[tokio::test]
async fn the_end_of_a_call_ends_its_questions() {
    let mut rig = serve(
        r#"
m = read()
send({"id": "q", "method": "elicitation/create", "params": {}})
read()
answer(m, {})
note("heard", reply=read())
read()
"#,
    );
    let one = client(Some("one"), r#"{"elicitation":{}}"#);
    let (events, queue) = Events::channel();
    let (relayed, sender) = tokio::join!(rig.call_of(&one, "x", &events), async {
        let (_, sender) = next_question(&queue).await;
        rig.leg.duplex().send(json("{}")).await.unwrap();
        sender
    });
    relayed.unwrap();
    assert_eq!(
        params(&rig.inbox.recv().await.unwrap())["reply"],
        value!({"jsonrpc": "2.0", "id": "q", "error": {"code": -32603, "message": "the call this belongs to has ended"}})
    );
    // The client's answer would come too late.
    assert!(sender.is_gone());
}

#[tokio::test]
async fn a_question_that_is_taken_back_is_not_answered() {
    let rig = serve(
        r#"
m = read()
send({"id": 7, "method": "elicitation/create", "params": {}})
read()
note("notifications/cancelled", requestId=7)
answer(read(), {})
answer(m, {})
"#,
    );
    let one = client(Some("one"), r#"{"elicitation":{}}"#);
    let (events, queue) = Events::channel();
    let (relayed, ()) = tokio::join!(rig.call_of(&one, "x", &events), async {
        let (_, sender) = next_question(&queue).await;
        rig.leg.duplex().send(json("{}")).await.unwrap();
        let Event::Withdrawn(number) = next(&queue).await else {
            panic!("taken back");
        };
        assert!(number == sender.number() && sender.is_gone());
        // The next line the server reads is the next request.
        rig.call("y").await.unwrap();
    });
    relayed.unwrap();
}

#[tokio::test]
async fn a_call_has_a_limited_number_of_open_questions() {
    let rig = serve(
        r#"
m = read()
for n in range(9):
    send({"id": n, "method": "elicitation/create", "params": {}})
answer(m, read())
"#,
    );
    let one = client(Some("one"), r#"{"elicitation":{}}"#);
    let (events, queue) = Events::channel();
    let (relayed, askers) = tokio::join!(rig.call_of(&one, "x", &events), async {
        let mut askers = Vec::new();
        for _ in 0..8 {
            askers.push(next_question(&queue).await.1);
        }
        askers
    });
    assert_eq!(result(relayed)["id"], 8);
    assert_eq!(askers.len(), 8);
    while let Some(event) = queue.try_next() {
        assert!(matches!(event, Event::Withdrawn(_)), "{event:?}");
    }
}
