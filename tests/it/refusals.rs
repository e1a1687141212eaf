//! What bad input gets: who calls, what they name, what they forge. Each has its exact answer, and nothing is called.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Client, Era, Home, Http, Janus};

const CONFIG: &str = r#"listen: { http: "127.0.0.1:0" }
servers:
  notes:
    command: ["JANUS", demo-server]
    accounts:
      alice: { args: [alice] }
      bob: { args: [bob] }
      carol: { args: [carol] }
    default: alice
profiles:
  everyday: { accounts: { notes: [alice, bob] } }
  secret: { accounts: { notes: carol }, guarded: true }
  locked: { accounts: { notes: [carol, bob] }, switching: off }
default_profile: everyday
bindings:
  - { directory: DIR/secret, profile: secret }
"#;

const CLIENTS: &str = r"clients:
  everyday: {}
  tied: { profile: locked }
  past: { expires: 2020-01-01 }
";

fn start(clients: bool) -> Janus {
    let home = Home::new("");
    fs::create_dir_all(home.path().join("secret")).unwrap();
    let text = [CONFIG, if clients { CLIENTS } else { "" }]
        .concat()
        .replace("JANUS", env!("CARGO_BIN_EXE_janus"))
        .replace("DIR", home.path().to_str().unwrap());
    fs::write(home.config(), text).unwrap();
    Janus::start_in(home, |_| {})
}

/// A request of the control API.
async fn control(janus: &Janus, path: &str, body: &Value) -> Value {
    let socket = janus.socket().with_file_name("control.sock");
    let reply = Http::unix(&socket).post(path, &[], body).await;
    assert_eq!(reply.status, 200, "{path}");
    reply.json().await
}

async fn key(janus: &Janus, client: &str) -> String {
    let made = control(janus, "/client/key", &json!({ "client": client })).await;
    made["key"].as_str().unwrap().to_owned()
}

/// A modern request with these headers, as its status and its body.
async fn asked(http: &Http, path: &str, headers: &[(&str, &str)], call: &Value) -> (u16, Value) {
    let mut params = call.clone();
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let name = call["name"].as_str().unwrap();
    let usual = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", name),
    ];
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let reply = http
        .post(path, &[&usual[..], headers].concat(), &message)
        .await;
    (reply.status.as_u16(), reply.json().await)
}

fn list(account: Option<&str>) -> Value {
    match account {
        Some(account) => {
            json!({"name": "notes__list_notes", "arguments": {"janus_account": account}})
        }
        None => json!({"name": "notes__list_notes", "arguments": {}}),
    }
}

/// The text of an `isError` result, and its code.
fn refusal(answer: &Value) -> (String, String) {
    let result = &answer["result"];
    assert_eq!(result["isError"], true, "{answer}");
    let error = &result["_meta"]["dev.janus/error"];
    assert_eq!(error["sent"], false, "{answer}");
    let text = result["content"][0]["text"].as_str().unwrap().to_owned();
    (error["code"].as_str().unwrap().to_owned(), text)
}

#[tokio::test]
async fn an_account_that_is_not_in_scope_is_named_with_those_that_are() {
    let janus = start(false);
    for (named, said) in [
        (
            "nobody",
            "notes has no account \"nobody\" here; there are: alice, bob. Nothing was sent. No other account was used instead.",
        ),
        (
            "carol",
            "notes has no account \"carol\" here; there are: alice, bob. Nothing was sent. No other account was used instead.",
        ),
        (
            "Alice",
            "notes has no account \"Alice\" here; there are: alice, bob. Nothing was sent. No other account was used instead.",
        ),
        (
            "",
            "notes has no account \"\" here; there are: alice, bob. Nothing was sent. No other account was used instead.",
        ),
    ] {
        let (status, answer) = asked(&janus.http(), "/mcp", &[], &list(Some(named))).await;
        assert_eq!(status, 200);
        assert_eq!(
            refusal(&answer),
            ("unknown_account".to_owned(), said.to_owned()),
            "{named}"
        );
    }
    // What is no name at all, named twice, or named differently in two places.
    for (call, said) in [
        (
            json!({"name": "notes__list_notes", "arguments": {"janus_account": 1}}),
            "`janus_account` is the name of an account, a string",
        ),
        (
            json!({"name": "notes__list_notes", "arguments": {"janus_account": "bob"}, "_meta": {"dev.janus/account": "alice"}}),
            "the arguments and `_meta[\"dev.janus/account\"]` name different accounts",
        ),
    ] {
        let (_, answer) = asked(&janus.http(), "/mcp", &[], &call).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert_eq!(answer["error"]["message"], said);
    }
    // The healthy way still works, by either word.
    for call in [
        list(Some("bob")),
        list(Some("notes/bob")),
        json!({"name": "notes__list_notes", "arguments": {}, "_meta": {"dev.janus/account": "bob"}}),
    ] {
        let (_, answer) = asked(&janus.http(), "/mcp", &[], &call).await;
        assert_eq!(
            answer["result"]["content"][0]["text"], "bob has no notes.",
            "{answer}"
        );
        assert_eq!(
            answer["result"]["_meta"]["dev.janus/identity"]["account"],
            "bob"
        );
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn paths_and_headers_that_name_what_is_out_of_reach_are_refused_before_anything_runs() {
    let janus = start(false);
    let place = |needle: &str| {
        let line = CONFIG
            .lines()
            .position(|line| line.contains(needle))
            .unwrap()
            + 1;
        format!("{}:{line}", janus.home().config().display())
    };
    let (http, unix) = (janus.http(), janus.unix());
    for (http, path, header, status, code, said) in [
        (
            &http,
            "/mcp/nobody",
            None,
            404,
            "profile_unknown",
            "there is no profile `nobody`".to_owned(),
        ),
        (
            &http,
            "/mcp/everyda",
            None,
            404,
            "profile_unknown",
            "there is no profile `everyda`; did you mean `everyday`?".to_owned(),
        ),
        (
            &http,
            "/mcp",
            Some("nobody"),
            404,
            "profile_unknown",
            "there is no profile `nobody`".to_owned(),
        ),
        (
            &http,
            "/mcp/@nobody",
            None,
            404,
            "unknown_account",
            "there is no server `nobody`".to_owned(),
        ),
        (
            &http,
            "/mcp/@notes/nobody",
            None,
            404,
            "unknown_account",
            "`notes` has no account `nobody`".to_owned(),
        ),
        (
            &http,
            "/mcp/secret",
            None,
            403,
            "profile_refused",
            format!(
                "profile `secret` is guarded: a key tied to it or a binding leads there, naming it does not ({})",
                place("secret: {")
            ),
        ),
        (
            &unix,
            "/mcp",
            Some("secret"),
            403,
            "profile_refused",
            format!(
                "profile `secret` is guarded: a key tied to it or a binding leads there, naming it does not ({})",
                place("secret: {")
            ),
        ),
        (
            &http,
            "/mcp/everyday",
            Some("locked"),
            403,
            "profile_refused",
            "the path names profile `everyday` and the header Janus-Profile `locked`".to_owned(),
        ),
        (
            &http,
            "/mcp/@notes/carol",
            None,
            403,
            "profile_refused",
            format!(
                "notes/carol is not in profile `everyday` ({})",
                place("everyday: {")
            ),
        ),
    ] {
        let header = header.map(|profile| ("janus-profile", profile));
        let headers: Vec<(&str, &str)> = header.into_iter().collect();
        let (got, answer) = asked(http, path, &headers, &list(None)).await;
        assert_eq!(
            (got, &answer["error"]["data"]["code"]),
            (status, &json!(code)),
            "{path}: {answer}"
        );
        assert_eq!(answer["error"]["message"], said, "{path}");
        assert_eq!(answer["error"]["data"]["sent"], false);
        // A legacy client learns the same, before it has a session.
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
        let reply = http.post(path, &headers, &message).await;
        assert_eq!(reply.status.as_u16(), status, "{path}");
        assert_eq!(reply.header("mcp-session-id"), "");
    }
}

#[tokio::test]
async fn with_switching_off_no_word_of_a_call_changes_the_account() {
    let janus = start(false);
    for call in [
        list(Some("bob")),
        list(Some("carol")),
        json!({"name": "notes__list_notes", "arguments": {}, "_meta": {"dev.janus/account": "bob"}}),
    ] {
        let (_, answer) = asked(&janus.http(), "/mcp/locked", &[], &call).await;
        let (code, text) = refusal(&answer);
        assert_eq!(code, "switching_off", "{text}");
        assert_eq!(
            text,
            "The account of notes cannot be chosen: switching is off in profile locked. Nothing was sent. A person set this; call again without naming an account."
        );
    }
    let mut client = Client::open(janus.http(), "/mcp/locked", Era::Legacy).await;
    let names = client.names("tools/list", "name").await;
    assert!(
        !names
            .iter()
            .any(|name| name == "janus_use_account" || name == "janus_with_account"),
        "{names:?}"
    );
    for tool in ["janus_use_account", "janus_with_account"] {
        let arguments = json!({"account": "notes/bob", "tool": "list_notes"});
        let code = client
            .error("tools/call", json!({"name": tool, "arguments": arguments}))
            .await;
        assert_eq!(code, -32602, "{tool}");
    }
    assert_eq!(
        client.text("notes__list_notes", json!({})).await,
        "carol has no notes."
    );
    let (status, answer) = asked(
        &janus.http(),
        "/mcp/@notes/bob",
        &[("janus-profile", "locked")],
        &list(None),
    )
    .await;
    assert_eq!(status, 403, "{answer}");
}

#[tokio::test]
async fn a_key_that_does_not_count_is_refused_in_one_and_the_same_way() {
    let janus = start(true);
    let good = key(&janus, "everyday").await;
    let ended = good.clone();
    let (expired, tied) = (key(&janus, "past").await, key(&janus, "tied").await);
    let rotated = control(
        &janus,
        "/client/key",
        &json!({"client": "everyday", "rotate": true}),
    )
    .await;
    let good = rotated["key"].as_str().unwrap().to_owned();
    let bearer = |key: &str| format!("Bearer {key}");
    let mut said = Vec::new();
    for wrong in [
        None,
        Some(bearer("nonsense")),
        Some(bearer(&ended)),
        Some(bearer(&expired)),
        Some(format!("Basic {good}")),
        Some(bearer("")),
    ] {
        let headers: Vec<(&str, &str)> = wrong
            .iter()
            .map(|value| ("authorization", value.as_str()))
            .collect();
        for http in [janus.http(), janus.unix()] {
            let message =
                json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": list(None)});
            let reply = http.post("/mcp", &headers, &message).await;
            assert_eq!(reply.status, 401, "{wrong:?}");
            assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"janus\"");
            said.push(reply.text().await);
        }
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        !said[0].contains(&ended) && !said[0].contains("expired"),
        "{said:?}"
    );
    // The key that counts, and what it is tied to.
    let http = janus.http();
    let right = bearer(&good);
    let (status, answer) = asked(&http, "/mcp", &[("authorization", &right)], &list(None)).await;
    assert_eq!(
        (status, &answer["result"]["content"][0]["text"]),
        (200, &json!("alice has no notes."))
    );
    let right = bearer(&tied);
    let (_, answer) = asked(&http, "/mcp", &[("authorization", &right)], &list(None)).await;
    assert_eq!(
        answer["result"]["content"][0]["text"],
        "carol has no notes."
    );
    let (status, answer) = asked(
        &http,
        "/mcp/everyday",
        &[("authorization", &right)],
        &list(None),
    )
    .await;
    assert_eq!(
        (status, &answer["error"]["data"]["code"]),
        (403, &json!("profile_refused"))
    );
}

#[tokio::test]
async fn a_session_of_somebody_else_does_not_exist() {
    let janus = start(true);
    let (mine, theirs) = (key(&janus, "everyday").await, key(&janus, "tied").await);
    let (mine, theirs) = (format!("Bearer {mine}"), format!("Bearer {theirs}"));
    let open = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let opened = janus
        .http()
        .post("/mcp", &[("authorization", &mine)], &open)
        .await;
    let session = opened.header("mcp-session-id").to_owned();
    assert_eq!(session.len(), 32);
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": list(None)});
    let unknown = "0".repeat(32);
    for (http, path, key, id) in [
        (janus.http(), "/mcp", &theirs, &session),
        (janus.http(), "/mcp/everyday", &mine, &session),
        (janus.http(), "/mcp/@notes", &mine, &session),
        (janus.unix(), "/mcp", &mine, &session),
        (janus.http(), "/mcp", &mine, &unknown),
    ] {
        let headers = [
            ("authorization", key.as_str()),
            ("mcp-session-id", id.as_str()),
        ];
        let reply = http.post(path, &headers, &call).await;
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(http.get(path, &headers).await.status, 404, "{path}");
        assert_eq!(http.delete(path, &headers).await.status, 404, "{path}");
    }
    let headers = [
        ("authorization", mine.as_str()),
        ("mcp-session-id", session.as_str()),
    ];
    let answer = janus
        .http()
        .post("/mcp", &headers, &call)
        .await
        .json()
        .await;
    assert_eq!(
        answer["result"]["content"][0]["text"], "alice has no notes.",
        "{answer}"
    );
}

#[tokio::test]
async fn a_directory_counts_only_as_this_installation_signed_it() {
    let janus = start(false);
    let secret = janus.home().path().join("secret");
    let headers = |from: &Path| {
        let mut command = janus.home().command(&["headers"]);
        let output = command.current_dir(from).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let headers: Value = serde_json::from_slice(&output.stdout).unwrap();
        headers["Janus-Directory"].as_str().unwrap().to_owned()
    };
    let (signed, elsewhere) = (headers(&secret), headers(janus.home().path()));
    let http = janus.http();
    let (_, answer) = asked(&http, "/mcp", &[("janus-directory", &signed)], &list(None)).await;
    assert_eq!(
        answer["result"]["content"][0]["text"], "carol has no notes.",
        "{answer}"
    );
    let (_, answer) = asked(
        &http,
        "/mcp",
        &[("janus-directory", &elsewhere)],
        &list(None),
    )
    .await;
    assert_eq!(
        answer["result"]["content"][0]["text"], "alice has no notes.",
        "{answer}"
    );
    // Another installation of the same person signs with another key.
    let other = start(false);
    let forged = {
        let mut command = other.home().command(&["headers"]);
        let output = command.current_dir(&secret).output().unwrap();
        let headers: Value = serde_json::from_slice(&output.stdout).unwrap();
        headers["Janus-Directory"].as_str().unwrap().to_owned()
    };
    let path = secret.to_str().unwrap();
    let swapped = signed.replace("/secret", "/secret2");
    for value in [
        "required",
        path,
        &format!("{path}; mac=00"),
        &forged,
        &swapped,
        "",
    ] {
        let (status, answer) =
            asked(&http, "/mcp", &[("janus-directory", value)], &list(None)).await;
        assert_eq!(status, 403, "{value}: {answer}");
        assert_eq!(
            answer["error"]["data"]["code"], "profile_refused",
            "{answer}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_chosen_changes_nothing() {
    let janus = start(true);
    let key = format!("Bearer {}", key(&janus, "everyday").await);
    let mut client = Client::open_with(
        janus.http(),
        "/mcp",
        Era::Legacy,
        &[("authorization", &key)],
    )
    .await;
    for (arguments, code) in [
        (json!({"account": "notes/carol"}), "unknown_account"),
        (json!({"account": "notes/Bob"}), "unknown_account"),
        (json!({"account": "nobody"}), "unknown_account"),
        (json!({}), "unknown_account"),
        (
            json!({"account": "notes/bob", "scope": "global"}),
            "switching_off",
        ),
    ] {
        let params = json!({"name": "janus_use_account", "arguments": arguments});
        let result = client.result("tools/call", params).await;
        assert_eq!(result["isError"], true, "{arguments}: {result}");
        assert_eq!(
            result["structuredContent"]["error"]["code"], code,
            "{arguments}: {result}"
        );
        assert_eq!(
            client.text("notes__list_notes", json!({})).await,
            "alice has no notes."
        );
    }
    let wrong = json!({"name": "janus_use_account", "arguments": {"account": "notes/bob", "scope": "everyone"}});
    assert_eq!(client.error("tools/call", wrong).await, -32602);
    // And one that can.
    let right = json!({"name": "janus_use_account", "arguments": {"account": "notes/bob"}});
    let switched = client.result("tools/call", right).await;
    assert_eq!(
        switched["structuredContent"],
        json!({"active": {"notes": "bob"}, "was": {"notes": "alice"}, "scope": "session"})
    );
    assert_eq!(
        client.text("notes__list_notes", json!({})).await,
        "bob has no notes."
    );
}

#[tokio::test]
async fn a_tool_of_a_server_that_was_never_reached_is_not_called_unknown() {
    let janus = Janus::start("gone: { command: [\"/nonexistent/server\"] }");
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.http(), "/mcp", era).await;
        let call = json!({"name": "gone__list", "arguments": {}});
        let result = client.result("tools/call", call).await;
        let error = &result["_meta"]["dev.janus/error"];
        assert_eq!(error["code"], "unavailable", "{result}");
        assert_eq!(error["account"], "gone/default", "{result}");
        let call = json!({"name": "other__list", "arguments": {}});
        let response = client.request("tools/call", call).await.response;
        assert_eq!(response["error"]["code"], -32602, "{response}");
    }
}
