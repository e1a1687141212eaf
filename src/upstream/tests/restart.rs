//! What an earlier life learnt of a server: it is there before anybody answers, and only for the same server.

use serde_json::json;

use super::remote::{http, ok};
use super::scripted::{Arrival, Server as Scripted};
use super::*;
use crate::store::StateDirectory;

/// What `store` has kept, as the next life finds it.
async fn next_life(store: &Store, state: &StateDirectory) -> (Store, Kept) {
    store.close().await;
    Store::open(state).unwrap()
}

/// A legacy server with tools of these names. Gives the methods it was asked, until `last` was answered so many times.
async fn answers(scripted: &mut Scripted, tools: &[&str], last: (&str, usize)) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.iter().filter(|method| *method == last.0).count() < last.1 {
        let arrival = scripted.next().await;
        let method = arrival.body["method"].as_str().unwrap_or("GET").to_owned();
        seen.push(method.clone());
        answer(arrival, &method, tools);
    }
    seen
}

fn answer(arrival: Arrival, method: &str, tools: &[&str]) {
    match method {
        "server/discover" => arrival.reply(404, &[], ""),
        "GET" => arrival.reply(405, &[], ""),
        "notifications/initialized" => arrival.reply(202, &[], ""),
        "initialize" => ok(
            arrival,
            &json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {"listChanged": true}},
                "serverInfo": {"name": "scripted"},
            }),
        ),
        "tools/list" => {
            let tool = |name: &&str| json!({"name": name, "inputSchema": {"type": "object"}});
            let tools: Vec<_> = tools.iter().map(tool).collect();
            ok(arrival, &json!({ "tools": tools }));
        }
        _ => ok(arrival, &json!({})),
    }
}

/// Lists a server once, and gives what the next life finds.
async fn listed(
    scripted: &mut Scripted,
    tools: &[&str],
    state: &StateDirectory,
) -> ((Store, Kept), Vec<String>) {
    let opened = Store::open(state).unwrap();
    let store = opened.0.clone();
    let rig = Rig::over(http(&scripted.url), opened);
    let ((), seen) = tokio::join!(rig.start(), answers(scripted, tools, ("tools/list", 1)));
    end(rig, scripted).await;
    (next_life(&store, state).await, seen)
}

/// Ends a life while the server answers what is still asked of it.
async fn end(rig: Rig, scripted: &mut Scripted) {
    tokio::select! {
        () = rig.end() => {}
        _ = answers(scripted, &[], ("never", 1)) => {}
    }
}

fn discoveries(seen: &[String]) -> usize {
    seen.iter().filter(|m| *m == "server/discover").count()
}

#[tokio::test]
async fn lists_are_there_before_the_server_answers_and_its_era_is_not_asked_again() {
    let home = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(home.path()).unwrap();
    let mut scripted = Scripted::start().await;
    let (kept, seen) = listed(&mut scripted, &["b", "a"], &state).await;
    assert_eq!(discoveries(&seen), 1);

    let store = kept.0.clone();
    let rig = Rig::over(http(&scripted.url), kept);
    // Nothing was sent yet, and nobody waits.
    assert_eq!(rig.tools(), ["b", "a"]);
    rig.upstream.settled(&rig.account, PATIENT).await;
    let facts = rig.upstream.listing(&rig.account).server.clone().unwrap();
    assert_eq!(
        facts.info.as_ref().unwrap().as_str(),
        r#"{"name":"scripted"}"#
    );
    let mut changes = rig.upstream.changes();
    rig.upstream.start();
    let refreshed = async {
        loop {
            if let Change::Listed {
                kind, identical, ..
            } = changes.recv().await.unwrap()
            {
                return (kind, identical);
            }
        }
    };
    // Read anew in the background; only what differs is told.
    let (told, seen) = tokio::join!(
        refreshed,
        answers(&mut scripted, &["b", "c"], ("tools/list", 1))
    );
    assert_eq!(told, (ListKind::Tools, false));
    assert_eq!(discoveries(&seen), 0, "{seen:?}");
    assert_eq!(rig.tools(), ["b", "c"]);
    end(rig, &mut scripted).await;
    let (_, kept) = next_life(&store, &state).await;
    assert!(kept.listings[0].facts.contains(r#""name":"c""#));
}

#[tokio::test]
async fn another_url_inherits_nothing() {
    let home = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(home.path()).unwrap();
    let mut scripted = Scripted::start().await;
    let (kept, _) = listed(&mut scripted, &["a"], &state).await;
    let mut other = Scripted::start().await;
    let rig = Rig::over(http(&other.url), kept);
    assert!(rig.tools().is_empty());
    let ((), seen) = tokio::join!(rig.start(), answers(&mut other, &["z"], ("tools/list", 1)));
    assert_eq!(discoveries(&seen), 1);
    assert_eq!(rig.tools(), ["z"]);
    end(rig, &mut other).await;
}

#[tokio::test]
async fn an_account_that_left_the_configuration_is_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(home.path()).unwrap();
    let mut scripted = Scripted::start().await;
    let (kept, _) = listed(&mut scripted, &["a"], &state).await;
    assert_eq!((kept.1.listings.len(), kept.1.eras.len()), (1, 1));
    let store = kept.0.clone();
    let renamed = Server {
        name: ServerName::new("other").unwrap(),
        ..http(&scripted.url)
    };
    let rig = Rig::over(renamed, kept);
    assert!(rig.tools().is_empty());
    rig.end().await;
    let (_, kept) = next_life(&store, &state).await;
    assert_eq!((kept.listings, kept.eras), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn a_listing_with_a_hole_is_not_kept() {
    let home = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(home.path()).unwrap();
    let mut scripted = Scripted::start().await;
    let opened = Store::open(&state).unwrap();
    let store = opened.0.clone();
    let rig = Rig::over(http(&scripted.url), opened);
    let script = async {
        loop {
            let arrival = scripted.next().await;
            let method = arrival.body["method"].as_str().unwrap_or("GET").to_owned();
            if method == "tools/list" {
                arrival.reply(500, &[], "");
                return;
            }
            answer(arrival, &method, &[]);
        }
    };
    tokio::join!(rig.start(), script);
    assert!(rig.upstream.listing(&rig.account).server.is_some());
    end(rig, &mut scripted).await;
    let (_, kept) = next_life(&store, &state).await;
    assert_eq!(kept.listings, []);
    assert_eq!(kept.eras.len(), 1);
}
