//! Answers that are event streams: order, pressure, resumption, questions, cancellation.

use std::time::Duration;

use super::*;
use crate::protocol::{Answer, Completion, Envelope, Era, Event, Kind};
use crate::upstream::tests::scripted::Server;

const RESULT: &str = r#"{"jsonrpc":"2.0","id":9,"result":{}}"#;

/// The next event of the call.
async fn heard(rig: &Rig) -> Event {
    loop {
        match std::future::poll_fn(|cx| rig.queue.poll_next(cx)).await {
            Event::Opened(_) => {}
            event => return event,
        }
    }
}

fn notified(event: Event) -> Envelope {
    match event {
        Event::Notify(message) => message,
        other => panic!("no notification: {other:?}"),
    }
}

#[tokio::test]
async fn two_hundred_progress_events_come_in_order_before_the_result_however_they_are_cut() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let outgoing = call("tools/call");
    let facts = client("{}");
    let progress = |n| {
        format!(
            "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\ndata: \"params\":{{\"progressToken\":9,\"progress\":{n}}}}}\n\n"
        )
    };
    let text = [": hello\n\nevent: message\ndata:\n\n".to_owned()]
        .into_iter()
        .chain((0..200).map(progress))
        .chain([format!(
            "event: ping\ndata: x\n\ndata: {RESULT}\n\ndata: late\n\n"
        )])
        .collect::<String>();
    let (answer, ()) = tokio::join!(
        rig.leg
            .exchange(&outgoing, Some(&facts), Era::Modern, &rig.events),
        async {
            let writer = server.next().await.events();
            for chunk in text.as_bytes().chunks(997) {
                writer.write(std::str::from_utf8(chunk).unwrap()).await;
            }
        }
    );
    assert_eq!(
        whole(answer),
        r#"{"jsonrpc":"2.0","id":"mine","result":{}}"#
    );
    assert!(matches!(
        rig.queue.try_next(),
        Some(Event::Opened(Era::Modern))
    ));
    for n in 0..200 {
        let message = notified(rig.queue.try_next().unwrap());
        let params = message.params().unwrap();
        assert_eq!(params.text("progressToken").as_deref(), Some("token"));
        assert_eq!(params.get("progress").unwrap().read::<u32>(), Some(n));
    }
    assert!(rig.queue.try_next().is_none());
}

#[tokio::test]
async fn an_event_stream_gives_its_connection_back() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let outgoing = call("tools/call");
    for _ in 0..3 {
        let (answer, connection) = tokio::join!(
            rig.leg.exchange(&outgoing, None, Era::Modern, &rig.events),
            async {
                let arrival = server.next().await;
                let connection = arrival.connection;
                let kind = [("content-type", "text/event-stream")];
                arrival.reply(200, &kind, &format!("data: {RESULT}\n\n"));
                connection
            }
        );
        answer.unwrap();
        assert_eq!(connection, 1);
    }
}

#[tokio::test]
async fn a_long_result_in_an_event_is_handed_on_before_it_is_whole() {
    use futures_util::StreamExt as _;
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let outgoing = call("tools/call");
    let facts = client("{}");
    let (answer, writer) = tokio::join!(
        rig.leg
            .exchange(&outgoing, Some(&facts), Era::Modern, &rig.events),
        async {
            let writer = server.next().await.events();
            writer
                .write(r#"data: {"jsonrpc":"2.0","result":{"resultType":"complete","a":""#)
                .await;
            writer.write(&"x".repeat(70_000)).await;
            writer
        }
    );
    let answer = answer.unwrap();
    assert_eq!(answer.completion, Completion::Complete);
    let Body::Stream(mut body) = answer.body else {
        panic!("collected");
    };
    let mut whole = body.next().await.unwrap().unwrap().to_vec();
    let (rest, ()) = tokio::join!(body.collect::<Vec<_>>(), async move {
        writer.write("\"},\ndata: \"id\":9}\n").await;
        writer.write("\ndata: {}\n\n").await;
    });
    for chunk in rest {
        whole.extend_from_slice(&chunk.unwrap());
    }
    let message: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(message["id"], "mine");
    assert!(!whole.contains(&b'\n'));
}

#[tokio::test]
async fn a_stream_that_was_cut_is_taken_up_after_its_last_event() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let outgoing = call("tools/call");
    let facts = client("{}");
    let (answer, ()) = tokio::join!(
        rig.leg
            .exchange(&outgoing, Some(&facts), Era::Legacy, &rig.events),
        async {
            let writer = server.next().await.events();
            writer.write("id: a\nretry: 1\ndata:\n\n").await;
            writer.write("id: b\ndata: {\"half\":").await;
            writer.cut().await;
            // The server is away for a moment.
            let away = server.next().await;
            assert_eq!(away.header("last-event-id"), Some("a"));
            away.reply(503, &[], "");
            let again = server.next().await;
            assert_eq!(again.head.method, "GET");
            assert_eq!(again.header("last-event-id"), Some("a"));
            assert_eq!(again.header("accept"), Some("text/event-stream"));
            let writer = again.events();
            writer.write("id: c\ndata:\n\n").await;
            drop(writer);
            let third = server.next().await;
            assert_eq!(third.header("last-event-id"), Some("c"));
            third.events().event(RESULT).await;
        }
    );
    assert_eq!(
        whole(answer),
        r#"{"jsonrpc":"2.0","id":"mine","result":{}}"#
    );
}

#[tokio::test]
async fn a_stream_that_ends_without_an_answer_may_have_run() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let outgoing = call("tools/call");
    for (era, events) in [
        (Era::Modern, "id: a\nretry: 1\ndata:\n\n"),
        (Era::Legacy, "data:\n\n"),
    ] {
        let (answer, ()) =
            tokio::join!(rig.leg.exchange(&outgoing, None, era, &rig.events), async {
                server.next().await.events().write(events).await;
            });
        assert!(matches!(failure(answer), Failure::Interrupted { .. }));
    }
}

/// Ends when a call of this limit, which begins now, has had no answer in time.
async fn longer_than(limit: Duration) {
    let mut silent = Server::start().await;
    let rig = rig(&silent.url, limit);
    let outgoing = call("tools/call");
    let (answer, _unanswered) = tokio::join!(
        rig.leg.exchange(&outgoing, None, Era::Modern, &rig.events),
        silent.next()
    );
    assert!(matches!(failure(answer), Failure::TimedOut { .. }));
}

#[tokio::test]
async fn keep_alive_comments_are_no_sign_of_life_and_events_are() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, Duration::from_millis(200));
    let outgoing = call("tools/call");
    let facts = client("{}");
    let (answer, ()) = tokio::join!(
        rig.leg
            .exchange(&outgoing, Some(&facts), Era::Modern, &rig.events),
        async {
            let writer = server.next().await.events();
            writer
                .event(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#)
                .await;
            while writer.try_write(": keep-alive\n\n").await {
                tokio::task::yield_now().await;
            }
        }
    );
    // The message came, and the comments did not count.
    assert!(matches!(failure(answer), Failure::TimedOut { .. }));
    assert_eq!(
        notified(heard(&rig).await).method(),
        "notifications/message"
    );
}

#[tokio::test]
async fn a_question_is_answered_while_the_stream_goes_on() {
    let mut server = Server::start().await;
    // Shorter than the answer takes: while the server waits for us, it is not silent.
    let rig = rig(&server.url, Duration::from_millis(300));
    let outgoing = call("tools/call");
    let facts = client(r#"{"elicitation":{}}"#);
    let script = async {
        let writer = server.next().await.events();
        for message in [
            r#"{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"?"}}"#,
            r#"{"jsonrpc":"2.0","id":"q2","method":"roots/list"}"#,
            r#"{"jsonrpc":"2.0","id":"q3","method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":"q4","method":"odd/thing"}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"9"}}"#,
        ] {
            writer.event(message).await;
        }
        let mut replies = Vec::new();
        for _ in 0..4 {
            let reply = server.next().await;
            replies.push(reply.body.to_string());
            reply.reply(202, &[], "");
        }
        writer.event(RESULT).await;
        replies
    };
    let person = async {
        let Event::Ask(question, sender) = heard(&rig).await else {
            panic!("the question comes first");
        };
        let params = question.message.params().unwrap();
        assert_eq!(params.json().as_str(), r#"{"message":"?"}"#);
        let progress = notified(heard(&rig).await);
        longer_than(Duration::from_millis(300)).await;
        let answer = r#"{"jsonrpc":"2.0","id":0,"result":{"action":"accept"}}"#;
        let answer = Envelope::parse(answer.into()).unwrap();
        sender.answer(Answer::Response(answer));
        progress
    };
    let (answer, replies, progress) = tokio::join!(
        rig.leg
            .exchange(&outgoing, Some(&facts), Era::Legacy, &rig.events),
        script,
        person
    );
    answer.unwrap();
    assert_eq!(progress.method(), "notifications/progress");
    assert_eq!(
        replies[3],
        r#"{"jsonrpc":"2.0","id":"q1","result":{"action":"accept"}}"#
    );
    let others = replies[..3].join("\n");
    assert!(others.contains(r#""id":"q3","result":{}"#), "{others}");
    assert_eq!(others.matches("-32601").count(), 2, "{others}");
    assert!(rig.leg.asked());
}

#[tokio::test]
async fn what_a_legacy_server_says_to_the_connection_goes_to_the_inbox() {
    let mut server = Server::start().await;
    let mut rig = rig(&server.url, LONG);
    let outgoing = call("tools/call");
    let facts = client("{}");
    let (answer, ()) = tokio::join!(
        rig.leg
            .exchange(&outgoing, Some(&facts), Era::Legacy, &rig.events),
        async {
            let writer = server.next().await.events();
            writer
                .event(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#)
                .await;
            writer
                .event(r#"{"jsonrpc":"2.0","method":"notifications/other"}"#)
                .await;
            writer.event(RESULT).await;
        }
    );
    answer.unwrap();
    let message = rig.inbox.recv().await.unwrap();
    assert_eq!(message.method(), "notifications/tools/list_changed");
    assert_eq!(notified(heard(&rig).await).method(), "notifications/other");
}

#[tokio::test]
async fn a_listen_stays_open_and_carries_the_clients_id() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, Duration::from_millis(20));
    let outgoing = call("subscriptions/listen");
    let facts = client("{}");
    let (answer, message) = tokio::join!(
        rig.leg
            .exchange(&outgoing, Some(&facts), Era::Modern, &rig.events),
        async {
            let writer = server.next().await.events();
            longer_than(Duration::from_millis(20)).await;
            writer.event(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":9,"x":1}}}"#).await;
            let message = notified(heard(&rig).await);
            writer.event(r#"{"jsonrpc":"2.0","id":9,"result":{"_meta":{"io.modelcontextprotocol/subscriptionId":9}}}"#).await;
            message
        }
    );
    assert_eq!(message.kind(), Kind::Notification);
    assert!(
        message
            .json()
            .as_str()
            .contains(r#""io.modelcontextprotocol/subscriptionId":"mine","x":1"#)
    );
    assert!(whole(answer).contains(r#""io.modelcontextprotocol/subscriptionId":"mine""#));
}

#[tokio::test]
async fn whoever_no_longer_waits_cancels() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let outgoing = call("tools/call");
    for era in [Era::Legacy, Era::Modern] {
        let writer = tokio::select! {
            answer = rig.leg.exchange(&outgoing, None, era, &rig.events) => panic!("{answer:?}"),
            writer = async {
                let writer = server.next().await.events();
                writer.event(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#).await;
                heard(&rig).await;
                writer
            } => writer,
        };
        writer.closed().await;
        if era == Era::Legacy {
            let notice = server.next().await;
            assert_eq!(notice.body["method"], "notifications/cancelled");
            assert_eq!(notice.body["params"]["requestId"], 9);
            notice.reply(202, &[], "");
        }
        rig.tasks.close();
        rig.tasks.wait().await;
        rig.tasks.reopen();
        assert_eq!(rig.leg.in_flight(), 0);
    }
    assert!(server.is_quiet());
}

#[tokio::test]
async fn what_comes_in_one_array_is_taken_one_by_one() {
    const BATCH: &str = r#" [{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":9,"progress":1}},7,{"jsonrpc":"2.0","id":9,"result":{}}]"#;
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let facts = client("{}");
    for as_stream in [true, false] {
        let outgoing = call("tools/call");
        let (answer, ()) = tokio::join!(
            rig.leg
                .exchange(&outgoing, Some(&facts), Era::Legacy, &rig.events),
            async {
                let arrival = server.next().await;
                if as_stream {
                    arrival.events().event(BATCH).await;
                } else {
                    arrival.reply(200, &[("content-type", "application/json")], BATCH);
                }
            }
        );
        assert_eq!(
            whole(answer),
            r#"{"jsonrpc":"2.0","id":"mine","result":{}}"#
        );
    }
    assert_eq!(
        notified(heard(&rig).await).method(),
        "notifications/progress"
    );
}
