//! Requests and their answers, and the lines that are none.

use crate::protocol::Completion;

use super::*;

#[tokio::test]
async fn an_answer_gets_the_id_of_its_client_and_keeps_the_rest() {
    let rig = serve(
        r#"
while True:
    m = read()
    raw('  { "result" : {"n":1.0, "e":1e2 ,"method":"%s"} ,"x":null, "id" : %d,"jsonrpc":"2.0"} \r\n' % (m["method"], m["id"]))
"#,
    );
    for _ in 0..3 {
        assert_eq!(
            text(rig.call("tools/call").await),
            r#"{"result":{"n":1.0, "e":1e2 ,"method":"tools/call"},"x":null,"id":"mine","jsonrpc":"2.0"}"#
        );
    }
    assert_eq!(
        (rig.leg.duplex().in_flight(), rig.leg.duplex().asked()),
        (0, false)
    );
    rig.end().await;
}

#[tokio::test]
async fn what_an_answer_says_is_read_in_the_terms_of_its_era() {
    let rig = serve(
        r#"
for result in ["{}", '{"resultType":"complete"}', '{"resultType":"input_required"}', '{"resultType":"task"}', '{"resultType":7}']:
    for era in "ml":
        raw('{"jsonrpc":"2.0","id":%d,"result":%s}\n' % (read()["id"], result))
raw('{"jsonrpc":"2.0","id":%d,"error":{"code":-32602,"message":"no"}}\n' % read()["id"])
raw('{"jsonrpc":"2.0","id":%d,"error":"no"}\n' % read()["id"])
"#,
    );
    let say = async |era| {
        let outgoing = request(&rig.leg, "tools/call", "{}");
        let (events, _queue) = Events::channel();
        let relayed = rig
            .leg
            .duplex()
            .exchange(&outgoing, None, era, &events)
            .await;
        let relayed = relayed.unwrap();
        assert_eq!(relayed.era, era);
        relayed.completion
    };
    for expected in [
        Completion::Complete,
        Completion::Complete,
        Completion::InputRequired,
        Completion::Extension,
        Completion::Extension,
    ] {
        assert_eq!(say(Era::Modern).await, expected);
        assert_eq!(say(Era::Legacy).await, Completion::Complete);
    }
    assert_eq!(say(Era::Modern).await, Completion::Error(-32602));
    assert_eq!(say(Era::Legacy).await, Completion::Error(-32603));
}

#[tokio::test]
async fn lines_that_are_no_answers_are_ignored() {
    let rig = serve(
        r#"
while True:
    m = read()
    raw('Listening on stdio...\n\n   \n{"level":"info","id":%d}\n[1,2\n[]\n' % m["id"])
    sys.stdout.buffer.write(b'\xff\xfe\n'); sys.stdout.buffer.flush()
    send({"id": 999, "result": {}})
    send({"id": None, "error": {"code": -32700, "message": "?"}})
    answer(m, 1)
    answer(m, 2)
"#,
    );
    for _ in 0..3 {
        assert_eq!(
            text(rig.call("x").await),
            r#"{"jsonrpc":"2.0","id":"mine","result":1}"#
        );
    }
}

#[tokio::test]
async fn a_broken_answer_fails_its_own_request_at_once() {
    let rig = serve(
        r#"
m = read()
sys.stdout.buffer.write(b'{"jsonrpc":"2.0","result":"\xff","id":%d}\n' % m["id"]); sys.stdout.buffer.flush()
m = read()
raw('{"jsonrpc":"2.0","id":%d,"result":{},"error":{}}\n' % m["id"])
m = read()
raw('{"jsonrpc":"2.0","id":%d,"result":{"a":}}\n' % m["id"])
answer(read(), "good")
"#,
    );
    for expected in ["not JSON: invalid utf-8", "a response has", "not JSON: "] {
        let failure = rig.call("x").await.unwrap_err();
        assert!(
            matches!(&failure, Failure::BadAnswer { reason, .. } if reason.starts_with(expected)),
            "{failure}"
        );
    }
    rig.call("x").await.unwrap();
}

#[tokio::test]
async fn a_batch_answers_several_requests() {
    let rig = serve(
        r#"
a, b = read(), read()
raw('[{"jsonrpc":"2.0","id":%d,"result":"b"}, {"jsonrpc":"2.0","id":%d,"result":"a"}]\n' % (b["id"], a["id"]))
"#,
    );
    let (a, b) = tokio::join!(rig.call("a"), rig.call("b"));
    assert!(text(a).ends_with(r#""result":"a"}"#) && text(b).ends_with(r#""result":"b"}"#));
}

#[tokio::test]
async fn an_answer_that_is_too_long_fails_its_own_request_only() {
    let rig = serve(
        r#"
x = "x" * (20 * 1024 * 1024)
first, last, other = read(), read(), read()
raw('{"jsonrpc":"2.0","id":%d,"result":{"id":%d,"x":"%s"}}\n' % (first["id"], other["id"], x))
raw('{"jsonrpc":"2.0","result":{"x":"%s","id":%d},"id":%d}\n' % (x, other["id"], last["id"]))
# Its id is the server's own, and it gets its answer too.
raw('{"jsonrpc":"2.0","method":"sampling/createMessage","params":{"x":"%s"},"id":%d}\n' % (x, other["id"]))
answer(other, read()["error"]["message"])
"#,
    );
    let (first, last, other) = tokio::join!(rig.call("1"), rig.call("2"), rig.call("3"));
    for failed in [first, last] {
        assert!(
            matches!(failed, Err(Failure::BadAnswer { reason, .. }) if reason == "a message is longer than 16 MiB")
        );
    }
    assert!(text(other).contains("a message is longer than 16 MiB"));
}

#[tokio::test]
async fn silence_ends_by_the_timeout_and_the_server_is_told() {
    let script = r#"
while True:
    m = read()
    note("heard", method=m["method"], id=m.get("id"), params=m["params"])
"#;
    let mut rig = start(&python(script), IMPATIENT).unwrap();
    let (events, _queue) = Events::channel();
    for method in ["tools/call", "initialize"] {
        let own = request(&rig.leg, method, "{}");
        let ended = rig
            .leg
            .duplex()
            .exchange(&own, None, Era::Legacy, &events)
            .await;
        assert!(matches!(ended, Err(Failure::TimedOut { waited, .. }) if waited == IMPATIENT));
    }
    rig.leg
        .duplex()
        .send(json(
            "{\"jsonrpc\":\"2.0\",\n\"method\":\"last\",\"params\":{}}",
        ))
        .await
        .unwrap();
    let mut heard = Vec::new();
    while heard.last() != Some(&serde_json::json!({"method": "last", "id": null, "params": {}})) {
        heard.push(params(&rig.inbox.recv().await.unwrap()));
    }
    // `initialize` is not cancelled.
    assert_eq!(
        heard[..3],
        [
            serde_json::json!({"method": "tools/call", "id": 1, "params": {}}),
            serde_json::json!({"method": "notifications/cancelled", "id": null, "params": {"requestId": 1}}),
            serde_json::json!({"method": "initialize", "id": 2, "params": {}}),
        ]
    );
    assert_eq!(heard.len(), 4);
}

#[tokio::test]
async fn a_request_that_is_dropped_is_cancelled_and_one_that_is_answered_is_not() {
    let mut rig = serve(
        r#"
while True:
    m = read()
    if m["method"] == "answered": answer(m, {})
    else: note("heard", method=m["method"], params=m["params"])
"#,
    );
    rig.call("answered").await.unwrap();
    {
        let calling = rig.leg.duplex().next_id();
        let outgoing = Outgoing {
            id: calling,
            ..request(&rig.leg, "dropped", "{}")
        };
        let (events, _queue) = Events::channel();
        let call = rig
            .leg
            .duplex()
            .exchange(&outgoing, None, Era::Legacy, &events);
        tokio::pin!(call);
        tokio::select! {
            _ = &mut call => panic!("there is no answer"),
            heard = rig.inbox.recv() => assert_eq!(params(&heard.unwrap())["method"], "dropped"),
        }
        assert_eq!(rig.leg.duplex().in_flight(), 1);
    }
    assert_eq!(rig.leg.duplex().in_flight(), 0);
    assert_eq!(
        params(&rig.inbox.recv().await.unwrap()),
        serde_json::json!({"method": "notifications/cancelled", "params": {"requestId": 2}})
    );
    rig.end().await;
}

#[tokio::test]
async fn a_server_that_does_not_read_holds_up_its_own_requests_only() {
    let script = r#"
note("up")
signal.pause()
"#;
    let mut rig = start(&python(script), IMPATIENT).unwrap();
    rig.inbox.recv().await.unwrap();
    let big = Json::string(&"x".repeat(1024 * 1024));
    let mut sent = 0;
    let failure = loop {
        match rig.leg.duplex().send(big.clone()).await {
            Ok(()) => sent += 1,
            Err(failure) => break failure,
        }
    };
    assert!(sent < 64, "the queue has a bound: {sent}");
    assert!(
        matches!(&failure, Failure::Unreachable { reason, .. } if reason == "it does not read what it is sent"),
        "{failure}"
    );
    let failure = rig.call("x").await.unwrap_err();
    assert!(!failure.sent());
}
