//! The session of a legacy server and its own stream.

use super::*;
use crate::protocol::{Answer, Envelope, Era, Event};
use crate::upstream::tests::scripted::{Arrival, Server};

async fn open(rig: &Rig, server: &mut Server) {
    let outgoing = call("initialize");
    let (answer, ()) = tokio::join!(
        rig.leg.exchange(&outgoing, None, Era::Legacy, &rig.events),
        async {
            let arrival = server.next().await;
            assert_eq!(arrival.header("mcp-session-id"), None);
            assert_eq!(arrival.header("mcp-protocol-version"), None);
            arrival.reply(
                200,
                &[
                    ("content-type", "application/json"),
                    ("mcp-session-id", "s-1"),
                ],
                r#"{"jsonrpc":"2.0","id":9,"result":{}}"#,
            );
        }
    );
    answer.unwrap();
    rig.leg.speak(Revision::V2025_06_18);
}

#[tokio::test]
async fn a_session_goes_with_every_request_and_is_given_back() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    open(&rig, &mut server).await;
    let in_session = |arrival: &Arrival| {
        assert_eq!(arrival.header("mcp-session-id"), Some("s-1"));
        assert_eq!(arrival.header("mcp-protocol-version"), Some("2025-06-18"));
        assert_eq!(arrival.header("authorization"), Some("Bearer canary"));
    };
    let notice = Envelope::notification("notifications/initialized", &serde_json::json!({}));
    let (sent, ()) = tokio::join!(rig.leg.send(notice.json().clone()), async {
        let arrival = server.next().await;
        in_session(&arrival);
        arrival.reply(202, &[], "");
    });
    sent.unwrap();
    let ((), ()) = tokio::join!(rig.leg.end(), async {
        let arrival = server.next().await;
        in_session(&arrival);
        assert_eq!(arrival.head.method, "DELETE");
        arrival.reply(405, &[], "");
    });
}

#[tokio::test]
async fn a_session_the_server_forgot_is_told_apart_from_a_call_that_failed() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    open(&rig, &mut server).await;
    let outgoing = call("tools/call");
    let error = |text: &str| {
        format!(r#"{{"jsonrpc":"2.0","error":{{"code":-32000,"message":"{text}"}},"id":null}}"#)
    };
    for (status, body, forgotten) in [
        (404, String::new(), true),
        (404, error("gone"), true),
        (
            400,
            error("Bad Request: No valid session ID provided"),
            true,
        ),
        (400, error("Server not initialized"), true),
        (400, error("bad params"), false),
        (500, error("no session"), false),
    ] {
        let (answer, ()) = tokio::join!(
            rig.leg.exchange(&outgoing, None, Era::Legacy, &rig.events),
            async { server.next().await.reply(status, &[], &body) }
        );
        match answer {
            Err(Failure::SessionUnknown { .. }) => assert!(forgotten, "{status} {body}"),
            Ok(_) => assert!(!forgotten, "{status} {body}"),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(server.is_quiet());
}

#[tokio::test]
async fn a_server_without_a_stream_of_its_own_is_left_alone() {
    for status in [404, 405] {
        let mut server = Server::start().await;
        let rig = rig(&server.url, LONG);
        tokio::join!(rig.leg.listen_legacy(Arc::default()), async {
            let arrival = server.next().await;
            assert_eq!(arrival.head.method, "GET");
            arrival.reply(status, &[], "");
        });
    }
}

#[tokio::test]
async fn the_sessions_stream_is_taken_up_again_until_the_conversation_ends() {
    let mut server = Server::start().await;
    let mut rig = rig(&server.url, LONG);
    open(&rig, &mut server).await;
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    tokio::join!(rig.leg.listen_legacy(Arc::default()), async {
        let arrival = server.next().await;
        assert_eq!(arrival.header("mcp-session-id"), Some("s-1"));
        assert_eq!(arrival.header("last-event-id"), None);
        let writer = arrival.events();
        writer
            .write(&format!("id: 1\nretry: 1\ndata: {changed}\n\n"))
            .await;
        let message = rig.inbox.recv().await.unwrap();
        assert_eq!(message.method(), "notifications/tools/list_changed");
        drop(writer);
        let arrival = server.next().await;
        assert_eq!(arrival.header("last-event-id"), Some("1"));
        let writer = arrival.events();
        writer
            .event(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)
            .await;
        let pong = server.next().await;
        assert_eq!(pong.body["result"], serde_json::json!({}));
        pong.reply(202, &[], "");
        tokio::join!(rig.leg.end(), async {
            server.next().await.reply(200, &[], "");
            writer.closed().await;
        });
    });
}

#[tokio::test]
async fn a_question_on_the_sessions_stream_reaches_the_only_caller_or_nobody() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let question = r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{}}"#;
    let roots = r#"{"jsonrpc":"2.0","id":"r","method":"roots/list"}"#;
    let (first, second) = (
        client(r#"{"elicitation":{}}"#),
        client(r#"{"elicitation":{}}"#),
    );
    let mut stranger = ClientFacts::clone(&first);
    stranger.session = Some("another".into());
    let stranger = Arc::new(stranger);
    let outgoing = call("tools/call");
    let mut other = call("tools/call");
    other.id = 10;
    let script = async {
        let get = server.next().await;
        assert_eq!(get.head.method, "GET");
        let stream = get.events();
        stream.event(question).await;
        let refused = server.next().await;
        assert_eq!(refused.body["error"]["code"], -32601);
        refused.reply(202, &[], "");
        stream.event(roots).await;
        let none = server.next().await;
        assert_eq!(none.body["result"], serde_json::json!({"roots": []}));
        none.reply(202, &[], "");
        for (with, asked) in [(&second, true), (&stranger, false)] {
            let (mine, theirs) = (
                rig.leg
                    .exchange(&outgoing, Some(&first), Era::Legacy, &rig.events),
                rig.leg
                    .exchange(&other, Some(with), Era::Legacy, &rig.events),
            );
            let (mine, theirs, ()) = tokio::join!(mine, theirs, async {
                let calls = [server.next().await, server.next().await];
                stream.event(question).await;
                if asked {
                    let event = std::future::poll_fn(|cx| rig.queue.poll_next(cx)).await;
                    let Event::Ask(_, sender) = event else {
                        panic!("{event:?}");
                    };
                    let error = r#"{"jsonrpc":"2.0","id":0,"error":{"code":7,"message":"no"}}"#;
                    let error = Envelope::parse(error.into()).unwrap();
                    sender.answer(Answer::Response(error));
                }
                let answer = server.next().await;
                let code = if asked { 7 } else { -32601 };
                assert_eq!(answer.body["error"]["code"], code);
                answer.reply(202, &[], "");
                for call in calls {
                    call.json(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
                }
            });
            mine.unwrap();
            theirs.unwrap();
        }
    };
    tokio::select! {
        () = rig.leg.listen_legacy(Arc::default()) => panic!("the stream ended"),
        () = script => {}
    }
}
