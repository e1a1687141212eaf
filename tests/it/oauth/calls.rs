//! Calls whose account needs a login, has one, or had one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cli_login::begin;
use super::rig::{NO_BROWSER, Rig, call, called, known, link, provider_link, status, text, told};
use crate::support::authorization::{Behaviour, Endpoint, Outage, Protection};
use crate::support::{Client, Era, within};

/// Whom the provider calls so.
const ANA: &str = "ana@example.org";

fn protection(era: Era) -> Protection {
    Protection {
        modern: era == Era::Modern,
        ..Protection::default()
    }
}

#[tokio::test]
async fn a_call_that_needs_a_login_says_how_and_sends_nothing() {
    for era in [Era::Legacy, Era::Modern] {
        let rig = Rig::start(known(), protection(era), NO_BROWSER).await;
        let mut client = rig.client(era).await;
        let first = call(&mut client, "s__who").await;
        let (error, login) = told(&first);
        assert_eq!(
            *error,
            json!({ "code": "needs_login", "account": "s/default", "sent": false, "command": "janus login s/default" })
        );
        assert_eq!(
            (&login["account"], &login["state"], &login["reason"]),
            (&json!("s/default"), &json!("waiting"), &json!("never"))
        );
        let left = login["expires_in"].as_u64().unwrap();
        assert!((500..=600).contains(&left), "{login}");
        let url = link(&first);
        assert!(url.starts_with(rig.authority.issuer()), "{url}");
        let said = text(&first);
        assert!(
            said.starts_with("s/default needs a login: nobody has logged in yet. Open ")
                && said.contains(&url)
                && said.contains("janus login s/default")
                && said.ends_with("Nothing was sent to the server. Repeat the call afterwards."),
            "{said}"
        );
        // It is the same login, and the server hears nothing of it.
        let registered = rig.authority.count(Endpoint::Register);
        rig.server.forget();
        let second = call(&mut client, "s__write").await;
        assert_eq!(link(&second), url);
        assert_eq!(rig.seen(), 0);
        assert_eq!(rig.authority.count(Endpoint::Register), registered);

        rig.log_in(&url).await;
        assert_eq!(text(&called(&mut client, "s__who").await), "ana");
        let who = call(&mut client, "janus_whoami").await;
        let account = &who["structuredContent"]["accounts"]["s"];
        assert_eq!(
            (&account["state"], &account["verified_as"]),
            (&json!("ready"), &json!(ANA))
        );
        let result = called(&mut client, "s__who").await;
        assert_eq!(result["_meta"]["dev.janus/identity"]["verified_as"], ANA);
        rig.assert_clean();
    }
}

#[tokio::test]
async fn an_account_without_auth_is_asked_for_a_login_after_one_refusal() {
    let rig = Rig::start(Behaviour::default(), Protection::default(), "").await;
    let mut client = rig.client(Era::Legacy).await;
    let first = call(&mut client, "s__who").await;
    let url = link(&first);
    // Of its own: the page looks who asks.
    assert!(url.starts_with(&rig.janus.url("/login/")), "{url}");
    let said = text(&first);
    assert!(said.contains(&format!("Open {url} on ")), "{said}");
    assert_eq!(rig.server.refused(), 1, "{:?}", rig.server.seen());
    rig.log_in(&url).await;
    assert_eq!(text(&called(&mut client, "s__who").await), "ana");
    assert_eq!(rig.server.refused(), 1);
}

#[tokio::test]
async fn a_server_that_shows_its_lists_to_everybody_is_logged_in_to_for_a_call_alone() {
    let protection = Protection {
        open: true,
        ..Protection::default()
    };
    let rig = Rig::start(Behaviour::default(), protection, "").await;
    let mut client = rig.client(Era::Legacy).await;
    // Only calls need somebody: its lists are there.
    let names = client.names("tools/list", "name").await;
    assert!(names.contains(&"s__who".to_owned()), "{names:?}");
    assert_eq!(rig.authority.count_all(), 0);
    let url = link(&call(&mut client, "s__who").await);
    rig.log_in(&url).await;
    assert_eq!(text(&called(&mut client, "s__who").await), "ana");
}

#[tokio::test]
async fn an_account_without_a_login_has_a_state_and_never_begins_one() {
    for auth in ["auth: none", "auth: { bearer: vault:nothing }"] {
        let rig = Rig::start(Behaviour::default(), Protection::default(), auth).await;
        let mut client = rig.client(Era::Legacy).await;
        let result = call(&mut client, "s__who").await;
        let (error, login) = told(&result);
        assert_ne!(error["code"], "needs_login", "{auth}: {result}");
        assert!(login.is_null(), "{auth}: {result}");
        let names = client.names("tools/list", "name").await;
        assert!(
            !names.contains(&"janus_login".to_owned()),
            "{auth}: {names:?}"
        );
        assert_eq!(rig.authority.count_all(), 0, "{auth}");
    }
}

/// Somebody logged in before Janus was started: a token that came a moment ago is not renewed for a refusal.
async fn logged_in_before(auth: &str) -> (Rig, Client) {
    let rig = Rig::start(Behaviour::default(), Protection::default(), auth).await;
    drop(logged_in(&rig).await);
    let rig = rig.restarted();
    let mut client = rig.client(Era::Legacy).await;
    called(&mut client, "s__who").await;
    (rig, client)
}

/// Somebody has logged in, and one call went through.
async fn logged_in(rig: &Rig) -> Client {
    let mut client = rig.client(Era::Legacy).await;
    let url = link(&call(&mut client, "s__who").await);
    rig.log_in(&url).await;
    called(&mut client, "s__who").await;
    client
}

#[tokio::test]
async fn a_token_that_the_server_refuses_is_renewed_once_and_the_call_goes_through() {
    let (rig, mut client) = logged_in_before(NO_BROWSER).await;
    rig.server.forget();
    rig.authority.expire_all();
    assert_eq!(text(&called(&mut client, "s__who").await), "ana");
    let calls = rig.server.seen();
    let calls: Vec<u16> = calls
        .iter()
        .filter(|one| one.tool == "who")
        .map(|one| one.status)
        .collect();
    assert_eq!(calls, [401, 200]);
    assert_eq!((rig.authority.refreshes(), rig.authority.reuse()), (1, 0));
}

#[tokio::test]
async fn a_server_that_refuses_good_tokens_is_not_asked_in_a_loop() {
    let rig = Rig::start(Behaviour::default(), Protection::default(), NO_BROWSER).await;
    let mut client = logged_in(&rig).await;
    rig.server.protect(|protection| protection.refusals = 1000);
    rig.server.forget();
    let before = rig.authority.count(Endpoint::Token);
    for _ in 0..5 {
        let result = call(&mut client, "s__who").await;
        let (error, _) = told(&result);
        assert_eq!(error["code"], "rejected", "{result}");
    }
    let asked = rig.authority.count(Endpoint::Token) - before;
    assert!(asked <= 1, "{asked} token requests");
    assert!(rig.seen() <= 20, "{} requests", rig.seen());
    // It was a mood, and nobody need log in again.
    rig.server.protect(|protection| protection.refusals = 0);
    assert_eq!(text(&called(&mut client, "s__who").await), "ana");
}

#[tokio::test]
async fn a_grant_that_the_provider_ended_is_told_with_its_time_and_lists_stay() {
    let (rig, mut client) = logged_in_before(NO_BROWSER).await;
    let before = client.names("tools/list", "name").await;
    rig.authority.revoke_all();
    let first = call(&mut client, "s__who").await;
    let said = text(&first);
    let reason = said.split(". Open ").next().unwrap();
    let when = reason.strip_prefix("s/default needs a login: the provider ended the earlier one (");
    let when = when.and_then(|rest| rest.strip_suffix(')'));
    let when = when.unwrap_or_else(|| panic!("{said}"));
    let words: Vec<&str> = when.split(' ').collect();
    assert!(words.len() == 3 && words[2].len() == 5, "{when}");
    assert_eq!(told(&first).1["reason"], "rejected");
    rig.server.forget();
    let tokens = rig.authority.count(Endpoint::Token);
    let url = link(&call(&mut client, "s__who").await);
    assert_eq!(
        (rig.seen(), rig.authority.count(Endpoint::Token)),
        (0, tokens)
    );
    assert_eq!(client.names("tools/list", "name").await, before);
    rig.log_in(&url).await;
    assert_eq!(text(&called(&mut client, "s__who").await), "ana");
}

#[tokio::test]
async fn an_authorization_server_that_is_away_is_named_and_nobody_is_sent_to_log_in() {
    let (rig, mut client) = logged_in_before(NO_BROWSER).await;
    rig.authority.outage(Outage::Unavailable);
    // A token that is good is good without anybody.
    assert_eq!(text(&called(&mut client, "s__who").await), "ana");
    rig.authority.expire_all();
    let result = call(&mut client, "s__who").await;
    let (error, login) = told(&result);
    assert_eq!(
        (&error["code"], &error["sent"]),
        (&json!("unavailable"), &json!(false)),
        "{result}"
    );
    assert!(error["retry_after"].as_u64().is_some(), "{result}");
    assert!(login.is_null(), "{result}");
    assert!(
        text(&result).contains("authorization server 127.0.0.1"),
        "{result}"
    );
    // Whoever looks sees the same: connected, and of no use now. While it is tried there is no next time.
    let row = within("the end of an attempt", async {
        loop {
            let row = status(&rig.janus)["accounts"][0].take();
            if row["state"]["next_try_in"].is_u64() {
                return row;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(
        (&row["state"]["word"], &row["grant"]["state"]),
        (&json!("backoff"), &json!("expired")),
        "{row}"
    );
    let shown = within("the end of an attempt", async {
        loop {
            let shown = rig.janus.home().run(&["status"]).stdout;
            if shown.contains("expired; tried again in ") {
                return shown;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!shown.contains("ready"), "{shown}");
    let issuer = rig.authority.issuer();
    let why = format!(
        "s/default: its token has ended, and the authorization server {issuer} gives no newer one: "
    );
    assert!(shown.contains(&why), "{shown}");
}

fn writes() -> Protection {
    Protection {
        challenge_scope: Some("read".to_owned()),
        needs: BTreeMap::from([("write".to_owned(), "write".to_owned())]),
        ..Protection::default()
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_is_asked_for_with_those_that_were_granted() {
    let rig = Rig::start(known(), writes(), NO_BROWSER).await;
    let mut client = logged_in(&rig).await;
    let result = call(&mut client, "s__write").await;
    let said = text(&result);
    assert!(
        said.starts_with(
            "s/default needs a login: the server wants a permission that was not granted: write. Open "
        ) && said.ends_with("Nothing ran at the server. Repeat the call afterwards."),
        "{said}"
    );
    assert_eq!(told(&result).1["reason"], "scope");
    // Everything else goes on meanwhile.
    assert_eq!(text(&called(&mut client, "s__who").await), "ana");
    rig.log_in(&link(&result)).await;
    let asked = rig.authority.requests_to(Endpoint::Authorize);
    let scope = asked.last().unwrap().query.text("scope").to_owned();
    let scopes: Vec<&str> = scope.split(' ').collect();
    assert!(
        scopes.contains(&"read") && scopes.contains(&"write"),
        "{scope}"
    );
    assert_eq!(text(&called(&mut client, "s__write").await), "ana");
}

#[tokio::test]
async fn a_permission_that_no_login_brings_is_asked_for_three_times() {
    let behaviour = Behaviour {
        granted_scopes: Some(vec!["read"]),
        ..known()
    };
    let rig = Rig::start(behaviour, writes(), NO_BROWSER).await;
    let mut client = logged_in(&rig).await;
    for _ in 0..3 {
        let url = link(&call(&mut client, "s__write").await);
        rig.log_in(&url).await;
    }
    let result = call(&mut client, "s__write").await;
    let (error, login) = told(&result);
    assert_eq!(error["code"], "rejected", "{result}");
    assert!(
        login.is_null() && text(&result).contains("3 logins did not bring it"),
        "{result}"
    );
    assert_eq!(text(&called(&mut client, "s__who").await), "ana");
}

#[tokio::test]
async fn any_other_403_is_passed_on_and_wants_no_login() {
    let rig = Rig::start(Behaviour::default(), Protection::default(), NO_BROWSER).await;
    let mut client = logged_in(&rig).await;
    let before = rig.authority.count_all();
    rig.server
        .protect(|protection| protection.status = Some(403));
    let result = call(&mut client, "s__who").await;
    let (error, login) = told(&result);
    assert_eq!(error["code"], "rejected", "{result}");
    assert!(
        text(&result).contains("HTTP 403") && login.is_null(),
        "{result}"
    );
    assert_eq!(rig.authority.count_all(), before);
    rig.server.protect(|protection| protection.status = None);
    assert_eq!(text(&called(&mut client, "s__who").await), "ana");
}

#[tokio::test]
async fn a_login_outlives_a_restart_and_needs_nobody_but_the_server() {
    let rig = Rig::start(known(), Protection::default(), NO_BROWSER).await;
    drop(logged_in(&rig).await);
    rig.authority.outage(Outage::Unavailable);
    let before = rig.authority.count_all();
    let rig = rig.restarted();
    let mut client = rig.client(Era::Legacy).await;
    let result = called(&mut client, "s__who").await;
    assert_eq!(text(&result), "ana");
    assert_eq!(result["_meta"]["dev.janus/identity"]["verified_as"], ANA);
    assert_eq!(rig.authority.count_all(), before);
}

#[tokio::test]
async fn what_a_client_proves_itself_with_goes_no_further() {
    const CANARY: &str = "canary-of-the-client-4711";
    let rig = Rig::start(known(), Protection::default(), NO_BROWSER).await;
    for era in [Era::Legacy, Era::Modern] {
        let bearer = format!("Bearer {CANARY}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("proxy-authorization", bearer.as_str()),
            ("cookie", CANARY),
        ];
        let mut client = Client::open_with(rig.janus.http(), "/mcp", era, &headers).await;
        let result = call(&mut client, "s__who").await;
        if result["isError"] == true {
            rig.log_in(&link(&result)).await;
            called(&mut client, "s__who").await;
        }
    }
    assert!(rig.server.calls() >= 2);
    for seen in rig.server.seen() {
        let seen = format!("{seen:?} {:?}", seen.headers);
        assert!(!seen.contains(CANARY), "{seen}");
    }
    for asked in rig.authority.requests() {
        let asked = format!("{asked:?}");
        assert!(!asked.contains(CANARY), "{asked}");
    }
    rig.assert_clean();
}

#[tokio::test]
async fn prompts_and_resources_tell_of_a_login_as_errors() {
    let rig = Rig::start(Behaviour::default(), Protection::default(), NO_BROWSER).await;
    // The transparent view knows no lists: what is asked for is asked of the server.
    let mut client = Client::open(rig.janus.http(), "/mcp/@s", Era::Legacy).await;
    let params = json!({ "uri": "x://y" });
    let response = client.request("resources/read", params).await.response;
    let error = &response["error"];
    assert_eq!(error["code"], -32603, "{response}");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("s/default needs a login: "),
        "{message}"
    );
    let data: &Value = &error["data"];
    assert_eq!(
        (&data["code"], &data["dev.janus/login"]["state"]),
        (&json!("needs_login"), &json!("waiting"))
    );
}

#[tokio::test]
async fn a_tool_that_the_account_meant_does_not_have_is_unknown_whatever_others_need() {
    let rig = Rig::two_accounts().await;
    let mut login = begin(&rig.janus, &["login", "s/two", "--no-browser"]);
    rig.log_in(&provider_link(&mut login)).await;
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);

    let call = |tool: &str, account: &str| {
        let call = ["tool", "call", tool, "-a", account];
        rig.janus.home().run(&call)
    };
    for account in ["two", "s/two"] {
        let ended = call("s__whom", account);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        let said = "error[unknown_tool]: there is no tool `s__whom` here";
        assert!(ended.stderr.starts_with(said), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("did you mean `s__who`?"),
            "{}",
            ended.stderr
        );
    }
    // Of the one that nobody has logged in to, nobody knows.
    let ended = call("s__whom", "one");
    assert_eq!(ended.status.code(), Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("s/one"), "{}", ended.stderr);
    let ended = call("s__who", "two");
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    rig.assert_clean();
}
