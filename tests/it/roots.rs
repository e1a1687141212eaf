//! A legacy client's roots: the weakest proof of a directory, asked for once and before the first list.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Home, Http, Janus, Reply};

const CONFIG: &str = r#"listen: { http: "127.0.0.1:0" }
servers:
  notes:
    command: ["JANUS", demo-server]
    accounts:
      alice: { args: [alice] }
      bob: { args: [bob] }
      carol: { args: [carol] }
profiles:
  everyday: { accounts: { notes: alice } }
  project: { accounts: { notes: bob } }
  secret: { accounts: { notes: carol }, guarded: true }
default_profile: everyday
bindings:
  - { directory: DIR/project, profile: project }
  - { directory: DIR/secret, profile: secret }
"#;

fn start() -> Janus {
    let home = Home::new("");
    for directory in ["project/deep", "secret", "else"] {
        fs::create_dir_all(home.path().join(directory)).unwrap();
    }
    let text = CONFIG
        .replace("JANUS", env!("CARGO_BIN_EXE_janus"))
        .replace("DIR", home.path().to_str().unwrap());
    fs::write(home.config(), text).unwrap();
    Janus::start_in(home, |_| {})
}

/// A session of a client that says it has roots.
async fn session(http: &Http, path: &str, capabilities: Value) -> String {
    let open = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": capabilities,
        "clientInfo": {"name": "t", "version": "1"},
    }});
    let opened = http.post(path, &[], &open).await;
    assert_eq!(opened.status, 200);
    opened.header("mcp-session-id").to_owned()
}

async fn call(http: &Http, path: &str, session: &str, id: u64) -> Reply {
    let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "notes__list_notes", "arguments": {}}});
    http.post(path, &[("mcp-session-id", session)], &message)
        .await
}

/// Answers the question that stands on this stream, and gives the response that follows.
async fn answered(
    http: &Http,
    path: &str,
    session: &str,
    mut stream: Reply,
    roots: &[String],
) -> Value {
    let question = stream.message().await.unwrap();
    assert_eq!(question["method"], "roots/list", "{question}");
    let roots: Vec<Value> = roots
        .iter()
        .map(|uri| json!({"uri": uri, "name": "r"}))
        .collect();
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": roots}});
    let taken = http
        .post(path, &[("mcp-session-id", session)], &answer)
        .await;
    assert_eq!(taken.status, 202);
    stream.message().await.unwrap()
}

fn said(response: &Value) -> &str {
    response["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_default()
}

#[tokio::test]
async fn roots_lead_to_the_profile_of_their_directory_and_are_asked_for_once() {
    let janus = start();
    let http = janus.http();
    let home = janus.home().path().to_str().unwrap().to_owned();
    let uri = |directory: &str| format!("file://{home}/{directory}");
    for (roots, expected) in [
        (vec![uri("project/deep")], "bob has no notes."),
        (vec![uri("else")], "alice has no notes."),
        (vec![uri("else"), uri("project")], "bob has no notes."),
        (vec![], "alice has no notes."),
        (
            vec!["https://example.com/project".to_owned()],
            "alice has no notes.",
        ),
    ] {
        let id = session(&http, "/mcp", json!({"roots": {}})).await;
        let stream = call(&http, "/mcp", &id, 2).await;
        let response = answered(&http, "/mcp", &id, stream, &roots).await;
        assert_eq!(said(&response), expected, "{roots:?}: {response}");
        let again = call(&http, "/mcp", &id, 3).await;
        assert!(!again.is_stream(), "nothing is asked again");
        assert_eq!(said(&again.json().await), expected);
    }
}

#[tokio::test]
async fn roots_alone_reach_no_guarded_profile_and_no_other_one_instead() {
    let janus = start();
    let http = janus.http();
    let home = janus.home().path().to_str().unwrap().to_owned();
    for (roots, said) in [
        (vec![format!("file://{home}/secret")], "guarded"),
        (
            vec![
                format!("file://{home}/project"),
                format!("file://{home}/secret"),
            ],
            "several profiles",
        ),
    ] {
        let id = session(&http, "/mcp", json!({"roots": {}})).await;
        let stream = call(&http, "/mcp", &id, 2).await;
        let response = answered(&http, "/mcp", &id, stream, &roots).await;
        assert_eq!(
            response["error"]["data"]["code"], "profile_refused",
            "{response}"
        );
        assert!(
            response["error"]["message"]
                .as_str()
                .unwrap()
                .contains(said),
            "{response}"
        );
        let again = call(&http, "/mcp", &id, 3).await.json().await;
        assert_eq!(again["error"]["data"]["code"], "profile_refused", "{again}");
    }
    // A path that names another profile than the roots give is refused too.
    let id = session(&http, "/mcp/everyday", json!({"roots": {}})).await;
    let stream = call(&http, "/mcp/everyday", &id, 2).await;
    let response = answered(
        &http,
        "/mcp/everyday",
        &id,
        stream,
        &[format!("file://{home}/project")],
    )
    .await;
    assert_eq!(
        response["error"]["data"]["code"], "profile_refused",
        "{response}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_answer_goes_on_without_roots_and_one_without_roots_is_not_asked() {
    let janus = start();
    let http = janus.http();
    let id = session(&http, "/mcp", json!({"roots": {}})).await;
    let mut stream = call(&http, "/mcp", &id, 2).await;
    let question = stream.message().await.unwrap();
    assert_eq!(question["method"], "roots/list");
    let taken_back = stream.message().await.unwrap();
    assert_eq!(taken_back["params"]["requestId"], question["id"]);
    assert_eq!(
        said(&stream.message().await.unwrap()),
        "alice has no notes."
    );
    let id = session(&http, "/mcp", json!({})).await;
    assert_eq!(
        said(&call(&http, "/mcp", &id, 2).await.json().await),
        "alice has no notes."
    );
    // Over the unix socket the kernel says where the client works: nobody needs to ask.
    let unix = janus.unix();
    let id = session(&unix, "/mcp", json!({"roots": {}})).await;
    assert_eq!(
        said(&call(&unix, "/mcp", &id, 2).await.json().await),
        "alice has no notes."
    );
}
