//! Notifications: whose they are, and in what order.

use super::*;

#[tokio::test]
async fn progress_comes_in_order_and_before_the_answer() {
    let rig = serve(
        r#"
m = read()
note("notifications/progress", progressToken=999, progress=0)
note("notifications/progress", progressToken="x", progress=0)
for n in range(200):
    note("notifications/progress", progressToken=m["id"], progress=n)
answer(m, {})
note("notifications/progress", progressToken=m["id"], progress=200)
answer(read(), {})
"#,
    );
    let (events, queue) = Events::channel();
    let one = client(Some("one"), "{}");
    rig.call_of(&one, "tools/call", &events).await.unwrap();
    rig.call("after").await.unwrap();
    let mut seen = Vec::new();
    while let Some(Event::Notify(message)) = queue.try_next() {
        seen.push(message.json().as_str().to_owned());
    }
    let expected: Vec<String> = (0..200)
        .map(|n| format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":"token","progress":{n}}}}}"#))
        .collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_slow_client_does_not_stop_the_reader() {
    let rig = serve(
        r#"
slow, other = read(), read()
for n in range(5000):
    note("notifications/progress", progressToken=slow["id"], progress=n)
answer(other, {})
answer(slow, {})
"#,
    );
    let one = client(Some("one"), "{}");
    let (events, queue) = Events::channel();
    let (slow, other) = tokio::join!(rig.call_of(&one, "slow", &events), rig.call("other"));
    slow.unwrap();
    other.unwrap();
    // What was left out are older steps of the progress.
    let mut last = String::new();
    while let Some(Event::Notify(message)) = queue.try_next() {
        last = message.json().as_str().to_owned();
    }
    assert!(last.contains("4999"), "{last}");
}

#[tokio::test]
async fn what_names_no_exchange_belongs_to_the_only_call_or_to_everybody() {
    let mut rig = serve(
        r#"
note("notifications/message", data=0)
a = read()
note("notifications/message", data=1)
note("notifications/tools/list_changed")
note("notifications/odd", odd=2)
note("notifications/resources/updated", uri="x:y")
b = read()
note("notifications/message", data=3)
answer(a, {})
answer(b, {})
"#,
    );
    let mut inbox = std::mem::replace(&mut rig.inbox, mpsc::channel(1).1);
    let one = client(Some("one"), "{}");
    let (events, queue) = Events::channel();
    // What Janus asks for itself is nobody's call.
    let own = request(&rig.leg, "own", "{}");
    let (own_events, own_queue) = Events::channel();
    assert_eq!(
        params(&inbox.recv().await.unwrap()),
        serde_json::json!({"data": 0})
    );
    let (a, (), b) = tokio::join!(
        rig.call_of(&one, "a", &events),
        async {
            assert!(next_note(&queue).await.contains(r#"{"data":1}"#));
            assert!(next_note(&queue).await.contains(r#"{"odd":2}"#));
        },
        async {
            for expected in [
                "notifications/tools/list_changed",
                "notifications/resources/updated",
            ] {
                assert_eq!(inbox.recv().await.unwrap().method(), expected);
            }
            rig.leg
                .duplex()
                .exchange(&own, None, Era::Legacy, &own_events)
                .await
        }
    );
    a.unwrap();
    b.unwrap();
    assert!(
        matches!(queue.try_next(), Some(Event::Notify(message)) if params(&message)["data"] == 3)
    );
    assert!(queue.try_next().is_none() && own_queue.try_next().is_none());
}

#[tokio::test]
async fn several_callers_share_no_log() {
    let mut rig = serve(
        r#"
a, b = read(), read()
note("notifications/message", data="whose?")
answer(a, {})
answer(b, {})
"#,
    );
    let (events, queue) = Events::channel();
    let one = client(Some("one"), "{}");
    let two = client(Some("two"), "{}");
    let (a, b) = tokio::join!(
        rig.call_of(&one, "a", &events),
        rig.call_of(&two, "b", &events)
    );
    a.unwrap();
    b.unwrap();
    assert!(queue.try_next().is_none());
    assert_eq!(
        params(&rig.inbox.recv().await.unwrap()),
        serde_json::json!({"data": "whose?"})
    );
}

#[tokio::test]
async fn a_change_goes_to_its_subscription_for_as_long_as_that_is_open() {
    let script = r#"
m = read()
mark = "io.modelcontextprotocol/subscriptionId"
send({"method": "notifications/tools/list_changed", "params": {"_meta": {"a": 1, mark: m["id"]}, "b": 2}})
send({"method": "notifications/resources/updated", "params": {"uri": "x:y", "_meta": {mark: str(m["id"])}}})
send({"method": "notifications/resources/updated", "params": {"uri": "x:y", "_meta": {mark: 77}}})
note("notifications/message", data=1)
ended = read()
note("notifications/cancelled", requestId=m["id"])
read()
"#;
    // A subscription outlives the timeout.
    let mut rig = start(&python(script), IMPATIENT).unwrap();
    let outgoing = request(&rig.leg, "subscriptions/listen", "{}");
    let (events, queue) = Events::channel();
    let one = client(Some("one"), "{}");
    let (ended, ()) = tokio::join!(
        rig.leg
            .duplex()
            .exchange(&outgoing, Some(&one), Era::Modern, &events),
        async {
            for expected in [
                r#"{"a":1,"io.modelcontextprotocol/subscriptionId":"mine"}"#,
                r#"{"io.modelcontextprotocol/subscriptionId":"mine"}"#,
            ] {
                let note = next_note(&queue).await;
                assert!(note.contains(expected), "{note}");
            }
            assert_eq!(
                params(&rig.inbox.recv().await.unwrap()),
                serde_json::json!({"data": 1})
            );
            rig.leg.duplex().send(json("{}")).await.unwrap();
        }
    );
    assert!(
        matches!(ended, Err(Failure::Interrupted { reason, .. }) if reason == "the server ended the subscription")
    );
}
