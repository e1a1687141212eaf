//! Answers that are JSON, statuses, redirects, probes.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::*;
use crate::protocol::{Completion, Era};
use crate::upstream::tests::scripted::Server;

#[tokio::test]
async fn a_short_answer_comes_back_with_the_clients_id_on_the_same_connection() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let (outgoing, facts) = (call("tools/call"), client("{}"));
    for _ in 0..2 {
        let (answer, arrival) = tokio::join!(
            rig.leg
                .exchange(&outgoing, Some(&facts), Era::Legacy, &rig.events),
            async {
                let arrival = server.next().await;
                let seen = (arrival.body.clone(), arrival.connection);
                arrival.json("{\"jsonrpc\":\"2.0\",\n\"result\":{\"n\":1e2},\"id\":9}");
                seen
            }
        );
        assert_eq!(arrival.0["id"], 9);
        assert_eq!(arrival.1, 1);
        assert_eq!(
            whole(answer),
            r#"{"jsonrpc":"2.0","result":{"n":1e2},"id":"mine"}"#
        );
    }
    assert_eq!((rig.leg.in_flight(), rig.leg.asked()), (0, false));
    assert_ne!(rig.leg.next_id(), rig.leg.next_id());
}

#[tokio::test]
async fn every_request_says_what_its_era_wants_and_nothing_else() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let mut outgoing = call("tools/call");
    outgoing.param_headers = vec![("mcp-param-x".parse().unwrap(), "1".parse().unwrap())];
    for (era, names) in [
        (
            Era::Legacy,
            "accept authorization content-length content-type host user-agent",
        ),
        (
            Era::Modern,
            "accept authorization content-length content-type host mcp-method mcp-name mcp-param-x mcp-protocol-version user-agent",
        ),
    ] {
        let (answer, arrival) =
            tokio::join!(rig.leg.exchange(&outgoing, None, era, &rig.events), async {
                let arrival = server.next().await;
                let mut names: Vec<_> = arrival
                    .head
                    .headers
                    .keys()
                    .map(HeaderName::as_str)
                    .collect();
                names.sort_unstable();
                let names = names.join(" ");
                assert_eq!(arrival.header("authorization"), Some("Bearer canary"));
                if era == Era::Modern {
                    assert_eq!(arrival.header("mcp-method"), Some("tools/call"));
                    assert_eq!(arrival.header("mcp-name"), Some("=?base64?Z3LDvMOfZQ==?="));
                    assert_eq!(arrival.header("mcp-protocol-version"), Some("2026-07-28"));
                }
                arrival
                    .json(r#"{"jsonrpc":"2.0","id":9,"result":{"resultType":"input_required"}}"#);
                names
            });
        assert_eq!(arrival, names);
        assert_eq!(
            answer.unwrap().completion,
            if era == Era::Modern {
                Completion::InputRequired
            } else {
                Completion::Complete
            }
        );
    }
}

#[tokio::test]
async fn a_long_result_is_handed_on_before_it_is_whole() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let text = "x".repeat(1 << 20);
    let (held, rest) = text.split_at(super::super::HOLD);
    for id_first in [true, false] {
        let outgoing = call("tools/call");
        let facts = client("{}");
        let (head, tail) = if id_first {
            (
                r#"{"jsonrpc":"2.0","id":9,"result":{"a":""#,
                "\"}\n}".to_owned(),
            )
        } else {
            (
                r#"{"jsonrpc":"2.0","result":{"a":""#,
                "\"},\r\n\"id\":9}".to_owned(),
            )
        };
        let (answer, writer) = tokio::join!(
            rig.leg
                .exchange(&outgoing, Some(&facts), Era::Modern, &rig.events),
            async {
                let writer = server
                    .next()
                    .await
                    .stream(&[("content-type", "application/json")]);
                writer.write(head).await;
                writer.write(held).await;
                writer
            }
        );
        let answer = answer.unwrap();
        assert_eq!(answer.completion, Completion::Complete);
        let Body::Stream(mut body) = answer.body else {
            panic!("collected");
        };
        // The server has not sent the rest yet, and does so only now.
        let mut whole = body.next().await.unwrap().unwrap().to_vec();
        assert!(whole.len() > 60_000);
        assert_eq!(rig.leg.in_flight(), 1);
        let (chunks, ()) = tokio::join!(body.collect::<Vec<_>>(), async move {
            writer.write(rest).await;
            writer.write(&tail).await;
        });
        for chunk in chunks {
            whole.extend_from_slice(&chunk.unwrap());
        }
        assert!(!whole.contains(&b'\n') && !whole.contains(&b'\r'));
        let message: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(message["id"], "mine");
        assert_eq!(message["result"]["a"].as_str().unwrap().len(), 1 << 20);
        assert_eq!(rig.leg.in_flight(), 0);
    }
}

#[tokio::test]
async fn a_long_result_that_breaks_off_says_so() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let outgoing = call("tools/call");
    let facts = client("{}");
    let exchange = rig
        .leg
        .exchange(&outgoing, Some(&facts), Era::Modern, &rig.events);
    let (answer, writer) = tokio::join!(exchange, async {
        let writer = server
            .next()
            .await
            .stream(&[("content-type", "application/json")]);
        writer
            .write(r#"{"jsonrpc":"2.0","id":9,"result":{"a":""#)
            .await;
        writer.write(&"x".repeat(70_000)).await;
        writer
    });
    let Body::Stream(body) = answer.unwrap().body else {
        panic!("collected");
    };
    let (chunks, ()) = tokio::join!(body.collect::<Vec<_>>(), writer.cut());
    assert!(chunks.last().unwrap().is_err());
}

#[tokio::test]
async fn what_janus_asks_for_itself_is_given_whole() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let outgoing = call("tools/list");
    let (answer, ()) = tokio::join!(
        rig.leg.exchange(&outgoing, None, Era::Modern, &rig.events),
        async {
            let long = "x".repeat(200_000);
            server.next().await.json(&format!(
                r#"{{"jsonrpc":"2.0","id":9,"result":{{"a":"{long}"}}}}"#
            ));
        }
    );
    assert!(whole(answer).len() > 200_000);
}

#[tokio::test]
async fn each_status_says_who_must_act() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let outgoing = call("tools/call");
    let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"no"}}"#;
    for (status, body, expected) in [
        (
            401,
            error,
            "Rejected { account: `remote/default`, status: 401 }",
        ),
        (
            403,
            "",
            "Rejected { account: `remote/default`, status: 403 }",
        ),
        (404, error, "Error(-32601)"),
        (400, error, "Error(-32601)"),
        (500, error, "Error(-32601)"),
        (
            404,
            "<html>",
            "BadAnswer { account: `remote/default`, reason: \"HTTP 404 Not Found\" }",
        ),
        (
            500,
            "",
            "BadAnswer { account: `remote/default`, reason: \"HTTP 500 Internal Server Error\" }",
        ),
        (
            503,
            "",
            "Unreachable { account: `remote/default`, reason: \"it answered HTTP 503 Service Unavailable\", retry_in: Some(7s) }",
        ),
        (
            202,
            "",
            "BadAnswer { account: `remote/default`, reason: \"HTTP 202 Accepted without an answer to the request\" }",
        ),
        (
            200,
            "<html>",
            "BadAnswer { account: `remote/default`, reason: \"its content type is `text/html`\" }",
        ),
        (
            302,
            "",
            "Unreachable { account: `remote/default`, reason: \"it redirects (HTTP 302 Found) without saying where\", retry_in: None }",
        ),
    ] {
        let (answer, ()) = tokio::join!(
            rig.leg.exchange(&outgoing, None, Era::Modern, &rig.events),
            async {
                let headers = [("retry-after", "7"), ("content-type", "text/html")];
                server.next().await.reply(status, &headers, body);
            }
        );
        let said = match answer {
            Ok(relayed) => {
                let completion = format!("{:?}", relayed.completion);
                assert!(whole(Ok(relayed)).contains(r#""id":"mine""#));
                completion
            }
            Err(failure) => format!("{failure:?}"),
        };
        assert_eq!(said, expected, "HTTP {status} {body}");
    }
}

#[tokio::test]
async fn a_redirect_is_followed_within_its_origin_only() {
    let mut server = Server::start().await;
    let mut other = Server::start().await;
    let rig = rig(&server.url, LONG);
    let outgoing = call("tools/call");
    let elsewhere = format!("{}?token=1", other.url);
    let (answer, second) = tokio::join!(
        rig.leg.exchange(&outgoing, None, Era::Legacy, &rig.events),
        async {
            let to = [("location", "/mcp/")];
            server.next().await.reply(308, &to, "");
            let arrival = server.next().await;
            let second = (arrival.head.uri.to_string(), arrival.body["id"].clone());
            let to = [("location", elsewhere.as_str())];
            arrival.reply(307, &to, "");
            second
        }
    );
    assert_eq!(second, ("/mcp/".to_owned(), 9.into()));
    let failure = failure(answer);
    assert!(matches!(failure, Failure::Unreachable { .. }));
    let said = failure.to_string();
    assert!(said.contains(other.url.trim_end_matches("/mcp")), "{said}");
    assert!(!said.contains("token"), "{said}");
    assert!(other.is_quiet());
}

#[tokio::test]
async fn a_server_that_is_not_there_was_sent_nothing_and_one_that_hangs_up_may_have_run_it() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp?key=secret", nobody.local_addr().unwrap());
    drop(nobody);
    let gone = rig(&url, LONG);
    let outgoing = call("tools/call");
    let failed = failure(
        gone.leg
            .exchange(&outgoing, None, Era::Modern, &gone.events)
            .await,
    );
    let said = failed.to_string();
    assert!(matches!(failed, Failure::Unreachable { .. }), "{said}");
    assert!(
        said.contains("refused") && !said.contains("secret"),
        "{said}"
    );

    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let (answer, ()) = tokio::join!(
        rig.leg.exchange(&outgoing, None, Era::Modern, &rig.events),
        async { drop(server.next().await) }
    );
    assert!(matches!(failure(answer), Failure::Interrupted { .. }));
}

#[tokio::test]
async fn silence_ends_a_call_and_a_legacy_server_is_told() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, Duration::from_millis(50));
    let outgoing = call("tools/call");
    let (answer, first) = tokio::join!(
        rig.leg.exchange(&outgoing, None, Era::Legacy, &rig.events),
        server.next()
    );
    assert!(matches!(failure(answer), Failure::TimedOut { .. }));
    let notice = server.next().await;
    assert_eq!(notice.body["method"], "notifications/cancelled");
    assert_eq!(notice.body["params"]["requestId"], 9);
    notice.reply(202, &[], "");
    drop(first);
}

#[tokio::test]
async fn a_probe_gives_whatever_came_back() {
    let mut server = Server::start().await;
    let rig = rig(&server.url, LONG);
    let outgoing = call("server/discover");
    for (status, kind, body, expected) in [
        (
            200,
            "application/json",
            r#"{"jsonrpc":"2.0","id":9,"result":{"a":1}}"#,
            true,
        ),
        (
            200,
            "text/event-stream",
            "data: {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{\"a\":1}}\n\n",
            true,
        ),
        (
            400,
            "application/json",
            r#"{"jsonrpc":"2.0","error":{"code":-32022,"message":""}}"#,
            true,
        ),
        (404, "text/html", "<html>", false),
        (405, "text/plain", "", false),
        (503, "text/plain", "", false),
    ] {
        let (probe, ()) = tokio::join!(rig.leg.probe(&outgoing), async {
            let arrival = server.next().await;
            assert_eq!(arrival.header("mcp-method"), Some("server/discover"));
            let headers = [("content-type", kind), ("retry-after", "7")];
            arrival.reply(status, &headers, body);
        });
        let probe = probe.unwrap();
        assert_eq!(
            (probe.status.as_u16(), probe.message.is_some()),
            (status, expected)
        );
        assert_eq!(probe.retry_in, Some(Duration::from_secs(7)));
    }
}
