//! What passes outside the table: the notifications of a legacy client, and the two rounds of a modern server's questions.

use super::case::{Case, Values};
use super::client::{Client, Road};
use super::expect::{self, Sides};
use super::server::{Kind, Server, received};
use super::text::{Members, same};
use super::{ROADS, VIEWS};
use crate::support::{Era, Janus};

/// What a client may tell; those of the first kind concern every server, the others only the one of a view.
const TOLD: [(bool, &str); 5] = [
    (
        true,
        r#"{"x":1.0,"method":"notifications/roots\/list_changed","params":{"n":1e2,"_meta":{"v":null}},"jsonrpc":"2.0"}"#,
    ),
    (
        true,
        r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed","params":null}"#,
    ),
    (
        false,
        r#"{"jsonrpc":"2.0","":[],"method":"notifications/vendor/odd","params":{"a":123456789012345678901234567890,"\u0061":-0,"":{}}}"#,
    ),
    (
        false,
        r#"{"method":"notifications/vendor/bare","jsonrpc":"2.0"}"#,
    ),
    (
        false,
        "{\n  \"jsonrpc\": \"2.0\",\r\n  \"method\": \"notifications/vendor/pretty\",\n  \"params\": { \"a\": [\n1.0 ] }\n}",
    ),
];

#[tokio::test]
async fn the_notifications_of_a_client_reach_a_legacy_server_as_they_are() {
    let call = Case::arguments("call", "{}");
    for kind in [Kind::Pipe, Kind::HttpJson] {
        for road in ROADS {
            for view in VIEWS {
                let server = Server::start(kind, Era::Legacy, std::slice::from_ref(&call));
                // Changed roots are told on a connection of the client's own only: elsewhere nobody could be asked for them.
                let own = server
                    .configuration()
                    .replace("era:", "sharing: per-session, era:");
                let janus = Janus::start(&own);
                let mut client = Client::open(&janus, road, view, Era::Legacy).await;
                // Whoever is not connected is told nothing.
                client.call(&call).await;
                server.wait();
                for (_, text) in TOLD.iter().filter(|(all, _)| *all || view != "/mcp") {
                    client.tell(text).await;
                    let way = format!("{road:?}, {view}, {kind:?}");
                    same(&way, text, &server.wait()).unwrap();
                }
            }
        }
    }
}

#[tokio::test]
async fn the_questions_of_a_modern_server_and_their_answers_are_not_respelt() {
    let first = Case::request("input", r#"{"jsonrpc":"2.0","id":$ID,"method":"tools/call","params":{"arguments":{"a":1.0},"name":$NAME,"_meta":{$META}}}"#)
        .answered(r#"{"result":{"x":1.0,"requestState":$STATE,"inputRequests":{"q\u0031":{"params":{"n":1e2,"message":"\u0061\/","requestedSchema":{"x":null}},"method":"elicitation/create","y":-0}},"resultType":"input_required","":{}},"id":$ID,"jsonrpc":"2.0"}"#);
    let again = Case::request("input-again", r#"{"jsonrpc":"2.0","id":$ID,"method":"tools/call","params":{"inputResponses":{"q\u0031":{"content":{"n":1.0,"big":123456789012345678901234567890},"x":null,"action":"accept"}},"arguments":{"a":1.0},"requestState":$STATE,"name":"$PREFIXinput","_meta":{$META,"v":1e0}}}"#)
        .answered(r#"{"jsonrpc":"2.0","id":$ID,"result":{"content":[],"n":1.0,"requestState":"not one"}}"#);
    let cases = [first, again];
    let sides = Sides {
        client: Era::Modern,
        server: Era::Modern,
    };
    for kind in [Kind::Pipe, Kind::HttpJson, Kind::HttpEvents] {
        let server = Server::start(kind, Era::Modern, &cases);
        let janus = Janus::start(&server.configuration());
        for road in ROADS {
            for view in VIEWS {
                let way = format!("{road:?}, {view}, {kind:?}");
                rounds(&way, &janus, &server, (road, view), &cases, sides).await;
            }
        }
    }
}

async fn rounds(
    way: &str,
    janus: &Janus,
    server: &Server,
    (road, view): (Road, &'static str),
    cases: &[Case; 2],
    sides: Sides,
) {
    let mut client = Client::open(janus, road, view, Era::Modern).await;
    for case in cases {
        let sealed = client.state.clone();
        let messages = client.call(case).await;
        assert_eq!(messages.len(), 1, "{way}: {messages:?}");
        let request = server.wait();
        let sent = Values {
            state: sealed,
            ..client.values(case)
        };
        let at_server = received(&Members::of(&request));
        let expected = expect::request(case, &sent, &at_server, sides);
        same(&format!("{way}: the request"), &expected, &request).unwrap();
        // The state is Janus's own towards the client, and only there.
        let state = Members::of(&messages[0]);
        let state = state.get("result").map(Members::of).unwrap_or_default();
        let shown = Values {
            state: state.get("requestState").unwrap_or_default().to_owned(),
            ..sent
        };
        assert_ne!(shown.state, at_server.state, "{way}");
        client.state.clone_from(&shown.state);
        let expected = expect::step(case, &case.script[0], &shown, sides);
        same(&format!("{way}: the response"), &expected, &messages[0]).unwrap();
    }
}
