//! The servers of these tests notice what they are there to notice: a crossing that Janus is made to commit.

use http::{Method, Request};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::actor::{Door, Way};
use super::model::{ALL, Expected, full};
use super::ways::TOOLS;
use super::world::{Keys, World};
use crate::support::{Era, Home, Janus, WhoServer};

const WAY: Way = Way::new(None, "/mcp", Era::Modern, ALL);

#[tokio::test]
async fn an_account_with_the_credential_of_another_is_noticed() {
    let world = World::start(5).await;
    let mut config = world.config(Keys::None, &[]);
    // Over HTTP, and as a process.
    config["servers"]["s0"]["accounts"]["ann"]["headers"]["Authorization"] =
        "Bearer cred-s0-bob".into();
    config["servers"]["s5"]["accounts"]["ann"]["env"]["WHO_CREDENTIAL"] = "cred-s5-bob".into();
    let janus = Janus::start_in(Home::with(&config.to_string()), |_| {});
    let door = Door::open(janus, Keys::None).await;
    // Two tools that only these accounts have are missing.
    door.settle(&WAY, TOOLS - 2).await;
    for server in [0, 5] {
        let expected = Expected::By(full(server, "ann"));
        let arguments = json!({"expect": expected.told(), "janus_account": "ann"});
        let response = door
            .call(&WAY, None, &format!("s{server}__who"), arguments)
            .await;
        assert!(expected.judge(&response).is_err(), "{response}");
    }
    door.end().await;
    assert_eq!(
        world.remote[0].violations(),
        ["a request for s0/ann as s0/bob"]
    );
    assert_eq!(world.written(), "s5/bob: a request for s5/ann\n");
}

#[tokio::test]
async fn a_connection_and_a_session_belong_to_one_credential() {
    let server = WhoServer::start("s0", false, &["ann", "bob"]).await;
    let host = server
        .url()
        .strip_prefix("http://")
        .unwrap()
        .trim_end_matches("/mcp");
    let stream = TcpStream::connect(host).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let opening = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}});
    let mut session = String::new();
    for (account, extra) in [("ann", ""), ("ann", ""), ("bob", "cred-s0-ann")] {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/mcp")
            .header("host", host)
            .header("authorization", format!("Bearer cred-s0-{account}"))
            .header("mcp-session-id", &session)
            .header("x-extra", extra)
            .body(opening.to_string())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        if let Some(id) = response.headers().get("mcp-session-id") {
            session = id.to_str().unwrap().to_owned();
        }
        if account == "ann" {
            assert_eq!(server.violations(), [""; 0]);
        }
    }
    let seen = server.violations();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(
        seen[0],
        "\"cred-s0-bob\" on a connection of \"cred-s0-ann\""
    );
    assert!(
        seen[1].starts_with("cred-s0-bob in a session of"),
        "{seen:?}"
    );
    assert_eq!(seen[2], "cred-s0-ann in a request of cred-s0-bob");
}
