//! What passes through Janus is what was sent: the same members in the same order with the same spelling of every value,
//! in both directions, on every road, in both views and between both eras; and what is said in a call keeps its order.

mod apart;
mod case;
mod client;
mod expect;
mod faces;
mod listing;
mod mid_call;
mod requests;
mod responses;
mod server;
mod text;

use self::case::{Case, Step, Values};
use self::client::{Client, Road};
use self::expect::Sides;
use self::server::{Kind, Server, received};
use self::text::{Members, head, same};
use crate::support::{Era, Janus};

/// The least that this test is worth something with.
const MESSAGES: usize = 60;
const ROADS: [Road; 3] = [Road::Tcp, Road::Unix, Road::Stdio];
const VIEWS: [&str; 2] = ["/mcp", "/mcp/@raw"];

#[tokio::test]
async fn nothing_is_respelt_before_a_legacy_process() {
    through(Kind::Pipe, Era::Legacy).await;
}

#[tokio::test]
async fn nothing_is_respelt_before_a_modern_process() {
    through(Kind::Pipe, Era::Modern).await;
}

#[tokio::test]
async fn nothing_is_respelt_before_a_legacy_server_that_answers_with_json() {
    through(Kind::HttpJson, Era::Legacy).await;
}

#[tokio::test]
async fn nothing_is_respelt_before_a_modern_server_that_answers_with_json() {
    through(Kind::HttpJson, Era::Modern).await;
}

#[tokio::test]
async fn nothing_is_respelt_before_a_legacy_server_that_answers_with_events() {
    through(Kind::HttpEvents, Era::Legacy).await;
}

#[tokio::test]
async fn nothing_is_respelt_before_a_modern_server_that_answers_with_events() {
    through(Kind::HttpEvents, Era::Modern).await;
}

/// All messages through one Janus, from clients of both eras on every road in both views.
async fn through(kind: Kind, era: Era) {
    let cases = table();
    let server = Server::start(kind, era, &cases);
    let janus = Janus::start(&server.configuration());
    let (mut passed, mut failed) = (0, Vec::new());
    for road in ROADS {
        for view in VIEWS {
            for client in Era::CLIENTS {
                let sides = Sides {
                    client,
                    server: era,
                };
                let way = format!("{client:?} client, {road:?}, {view}, {kind:?} {era:?} server");
                let mut client = Client::open(&janus, road, view, client).await;
                if let Err(why) = faces::shown(&mut client, &cases, sides, view).await {
                    failed.push(format!("({way}), {why}"));
                }
                for case in cases.iter().filter(|case| case.fits(sides, view)) {
                    match one(&mut client, &server, sides, case).await {
                        Ok(()) => passed += 1,
                        Err(why) => failed.push(format!("{} ({way}), {why}", case.name)),
                    }
                    // What a failure left there is not the next one's.
                    server.rest();
                }
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{passed} messages arrived as they were sent, {} did not:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// The whole table.
fn table() -> Vec<Case> {
    let cases = [requests::all(), responses::all(), mid_call::all()].concat();
    assert!(cases.len() >= MESSAGES, "{} messages", cases.len());
    let names: std::collections::BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "a name appears twice");
    cases
}

/// One call: what the server got, what the client got, and in which order.
async fn one(
    client: &mut Client,
    server: &Server,
    sides: Sides,
    case: &Case,
) -> Result<(), String> {
    let messages = client.call(case).await;
    let said: Vec<String> = messages.iter().map(|text| head(text)).collect();
    let mut sent = client.values(case);
    let request = server
        .next()
        .ok_or_else(|| format!("nothing reached the server: {said:#?}"))?;
    let at_server = received(&Members::of(&request));
    let expected = expect::request(case, &sent, &at_server, sides);
    same("the request at the server", &expected, &request)?;

    if messages.len() != case.script.len() {
        return Err(format!(
            "{} messages are missing: {said:#?}",
            case.script.len()
        ));
    }
    for (at, (step, message)) in case.script.iter().zip(&messages).enumerate() {
        if let Step::Ask { id, answer, .. } = step {
            let at_server = Values {
                question: (*id).to_owned(),
                ..Values::default()
            };
            let expected = case.render(answer, &at_server);
            let answer = server.next().ok_or("no answer reached the server")?;
            same("the answer at the server", &expected, &answer)?;
            let asked = Members::of(message);
            asked
                .get("id")
                .unwrap_or_default()
                .clone_into(&mut sent.question);
        }
        let expected = expect::step(case, step, &sent, sides);
        same(&format!("message {at} at the client"), &expected, message)?;
    }
    match server.rest().first() {
        None => Ok(()),
        Some(more) => Err(format!("more reached the server: {}", head(more))),
    }
}
