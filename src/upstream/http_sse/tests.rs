//! The leg against a server whose every answer the test writes.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderName, Method, Uri};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::Leg;
use crate::credential::{self, Credential};
use crate::model::{self, AccountId, HttpEndpoint, ProxySettings, SecretValue, ServerName};
use crate::protocol::{
    Answer, Body, ClientFacts, Envelope, Era, Event, Events, Json, Relayed, Revision,
};
use crate::upstream::Failure;
use crate::upstream::streamable_http;
use crate::upstream::tests::scripted::{Server, Writer};
use crate::upstream::wire::Outgoing;

/// No test waits for it.
const LONG: Duration = Duration::from_mins(1);

async fn open(url: &str) -> Result<(Leg, mpsc::Receiver<Envelope>), Failure> {
    let account = AccountId::default_of(&ServerName::new("old").unwrap());
    let endpoint = HttpEndpoint {
        url: url.parse::<Uri>().unwrap(),
        headers: vec![(
            HeaderName::from_static("authorization"),
            SecretValue::literal("Bearer canary"),
        )],
        ca: None,
    };
    let of = model::Account::only(model::Endpoint::Http(endpoint.clone()));
    let ground = credential::Ground::of_a_test();
    let credential = Arc::new(Credential::new(&account, &of, &ground));
    let proxy = ProxySettings::default();
    let client = streamable_http::Client::new(&account, &endpoint, &proxy, &credential).unwrap();
    let tasks = TaskTracker::new();
    let (sender, inbox) = mpsc::channel(8);
    let http = streamable_http::Leg::new(
        account.clone(),
        Arc::new(endpoint),
        client,
        LONG,
        sender.clone(),
        tasks.clone(),
    );
    let leg = Leg::open(account, http, LONG, sender, &tasks).await?;
    Ok((leg, inbox))
}

/// A leg whose server named `/messages?session=1`, and the stream.
async fn opened(server: &mut Server) -> (Leg, mpsc::Receiver<Envelope>, Writer) {
    let url = server.url.clone();
    let (opened, writer) = tokio::join!(open(&url), async {
        let arrival = server.next().await;
        assert_eq!(arrival.head.method, Method::GET);
        assert_eq!(arrival.header("accept"), Some("text/event-stream"));
        assert_eq!(arrival.header("authorization"), Some("Bearer canary"));
        let writer = arrival.events();
        writer
            .write(": hello\r\n\r\nevent: endpoint\r\ndata: /messages?session=1\r\n\r\n")
            .await;
        writer
    });
    let (leg, inbox) = opened.unwrap();
    (leg, inbox, writer)
}

fn client() -> Arc<ClientFacts> {
    let capabilities = Json::literal(r#"{"elicitation":{}}"#).object().unwrap();
    Arc::new(ClientFacts {
        revision: Revision::V2025_11_25,
        capabilities,
        info: None,
        session: Some("session".into()),
    })
}

async fn call(leg: &Leg, events: &Events) -> Result<Relayed, Failure> {
    let id = leg.duplex().next_id();
    let outgoing = Outgoing {
        id,
        text: Envelope::request_text(&Json::of(&id), "tools/call", None),
        client_id: Json::string("mine"),
        identity: None,
        token: None,
        method: "tools/call".to_owned(),
        name: None,
        param_headers: Vec::new(),
    };
    leg.duplex()
        .exchange(&outgoing, Some(&client()), Era::Legacy, events)
        .await
}

fn text(relayed: Result<Relayed, Failure>) -> String {
    match relayed.unwrap().body {
        Body::Whole(json) => json.as_str().to_owned(),
        Body::Stream(_) => panic!("an event is whole"),
    }
}

#[tokio::test]
async fn answers_come_on_the_stream_in_any_order_whatever_the_posts_are_answered() {
    let mut server = Server::start().await;
    let (leg, _inbox, writer) = opened(&mut server).await;
    let (events, _queue) = Events::channel();
    let (one, two, ()) = tokio::join!(call(&leg, &events), call(&leg, &events), async {
        let first = server.next().await;
        assert_eq!(first.head.method, Method::POST);
        assert_eq!(first.head.uri, "/messages?session=1");
        assert_eq!(first.header("authorization"), Some("Bearer canary"));
        assert_eq!(first.header("content-type"), Some("application/json"));
        assert_eq!(first.body["id"], 1);
        first.reply(202, &[], "Accepted");
        let second = server.next().await;
        assert_eq!(second.body["id"], 2);
        second.json(r#"{"ok":true}"#);
        writer
            .write("event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":2,\ndata: \"result\":{\"n\":2}}\n\n")
            .await;
        writer.write("event: ping\ndata: 1\n\n").await;
        writer
            .event(r#"{"jsonrpc":"2.0","id":1,"result":{"n":1}}"#)
            .await;
    });
    assert_eq!(
        text(one),
        r#"{"jsonrpc":"2.0","id":"mine","result":{"n":1}}"#
    );
    assert!(text(two).contains(r#""n":2"#));
}

#[tokio::test]
async fn a_question_is_answered_by_a_post_and_news_go_to_the_inbox() {
    let mut server = Server::start().await;
    let (leg, mut inbox, writer) = opened(&mut server).await;
    let (events, queue) = Events::channel();
    writer
        .event(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#)
        .await;
    let news = inbox.recv().await.unwrap();
    assert_eq!(news.method(), "notifications/tools/list_changed");
    let (answer, ()) = tokio::join!(call(&leg, &events), async {
        server.next().await.reply(202, &[], "");
        let question =
            r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?"}}"#;
        writer.event(question).await;
        let Event::Ask(_, asker) = std::future::poll_fn(|cx| queue.poll_next(cx)).await else {
            panic!("a question");
        };
        asker.answer(Answer::Result(Json::literal(r#"{"action":"decline"}"#)));
        let answered = server.next().await;
        assert_eq!(answered.body["id"], "q");
        assert_eq!(answered.body["result"]["action"], "decline");
        answered.reply(202, &[], "");
        writer
            .event(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)
            .await;
    });
    text(answer);
}

#[tokio::test]
async fn a_stream_that_ends_ends_every_call_and_nothing_is_sent_again() {
    let mut server = Server::start().await;
    let (leg, _inbox, writer) = opened(&mut server).await;
    let (events, _queue) = Events::channel();
    let (answer, ()) = tokio::join!(call(&leg, &events), async {
        server.next().await.reply(202, &[], "");
        drop(writer);
    });
    assert!(
        matches!(answer, Err(Failure::Interrupted { .. })),
        "{answer:?}"
    );
    assert_eq!(leg.duplex().closed().await, "its event stream ended");
    let again = call(&leg, &events).await;
    assert!(
        matches!(again, Err(Failure::Unreachable { .. })),
        "{again:?}"
    );
    assert!(server.is_quiet());
}

#[tokio::test]
async fn a_post_that_is_refused_fails_its_request_alone_unless_the_stream_is_forgotten() {
    let mut server = Server::start().await;
    let (leg, _inbox, writer) = opened(&mut server).await;
    let (events, _queue) = Events::channel();
    let (answer, ()) = tokio::join!(call(&leg, &events), async {
        server.next().await.reply(500, &[], "no");
    });
    assert!(
        matches!(answer, Err(Failure::BadAnswer { .. })),
        "{answer:?}"
    );
    let (answer, ()) = tokio::join!(call(&leg, &events), async {
        server.next().await.reply(202, &[], "");
        writer
            .event(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#)
            .await;
    });
    text(answer);
    let (answer, ()) = tokio::join!(call(&leg, &events), async {
        server.next().await.reply(404, &[], "no session");
    });
    assert!(
        matches!(answer, Err(Failure::SessionUnknown { .. })),
        "{answer:?}"
    );
    assert_eq!(leg.duplex().closed().await, "it has forgotten the stream");
}

#[tokio::test]
async fn an_address_elsewhere_is_not_posted_to() {
    for (stream, why) in [
        (
            "event: endpoint\ndata: http://127.0.0.1:1/messages\n\n",
            "another origin",
        ),
        (
            "event: endpoint\ndata: //evil.example/\n\n",
            "another origin",
        ),
        ("event: endpoint\ndata: http://\n\n", "not a URL"),
        (
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n",
            "names no address",
        ),
    ] {
        let mut server = Server::start().await;
        let url = server.url.clone();
        let (opened, writer) = tokio::join!(open(&url), async {
            let writer = server.next().await.events();
            writer.write(stream).await;
            writer
        });
        let failure = opened.map(|_| ()).unwrap_err().to_string();
        assert!(failure.contains(why), "{stream}: {failure}");
        assert!(server.is_quiet());
        drop(writer);
    }
}

#[tokio::test]
async fn what_has_no_such_stream_says_so() {
    let json = ("content-type", "application/json");
    for (status, kind, why) in [
        (200, json, "no event stream"),
        (405, json, "HTTP 405"),
        (401, json, "401"),
    ] {
        let mut server = Server::start().await;
        let url = server.url.clone();
        let (opened, ()) = tokio::join!(open(&url), async {
            server.next().await.reply(status, &[kind], "{}");
        });
        let failure = opened.map(|_| ()).unwrap_err().to_string();
        assert!(failure.contains(why), "{status}: {failure}");
    }
}

#[tokio::test]
async fn the_end_closes_the_stream() {
    let mut server = Server::start().await;
    let (leg, _inbox, writer) = opened(&mut server).await;
    tokio::join!(leg.duplex().stop(), writer.closed());
}
