//! What a login brings, looked for wherever Janus could have left it: every secret of the authorization server begins
//! with one word, so that a part of one is found as well.

use std::fs;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::rig::{call, forms, home, provider_link};
use crate::support::authorization::{
    Answer, AuthorizationServer, Behaviour, CANARY, Endpoint, Grace, ProtectedServer, Protection,
    Said, land,
};
use crate::support::{Client, Era, Janus, Process, until};

pub(super) type Found = Vec<(String, Vec<u8>)>;

pub(super) fn hits(places: &Found) -> Vec<String> {
    let mut found = Vec::new();
    for (place, bytes) in places {
        for form in forms(CANARY) {
            if let Some(at) = memchr::memmem::find(bytes, &form) {
                let around = at.saturating_sub(60)..(at + 80).min(bytes.len());
                let around = String::from_utf8_lossy(&bytes[around]).into_owned();
                found.push(format!("{place}: {around}"));
            }
        }
    }
    found
}

pub(super) fn files(directory: &Path, found: &mut Found) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            files(&path, found);
        } else if kind.is_file() {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

pub(super) fn say(janus: &Janus, arguments: &[&str], found: &mut Found) {
    let ended = janus.home().run(arguments);
    let text = format!("{}{}", ended.stdout, ended.stderr);
    found.push((format!("janus {}", arguments.join(" ")), text.into_bytes()));
}

pub(super) async fn logged_in(
    janus: &Janus,
    authority: &AuthorizationServer,
    server: &str,
    found: &mut Found,
) -> String {
    let mut login = Process::start("janus login", &mut janus.home().command(&["login", server]));
    let url = provider_link(&mut login);
    let back = authority.follow(&url).await;
    let (status, page) = land(&back).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    found.push(("the page after it".to_owned(), page.into_bytes()));
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let text = format!("{}{}", ended.stdout, ended.stderr);
    found.push(("janus login".to_owned(), text.into_bytes()));
    back
}

fn behaviour() -> Behaviour {
    Behaviour {
        access_life: Duration::from_secs(1),
        // What an answer that is of no use brought is asked for again.
        grace: Grace::UntilUsed,
        openid: true,
        device: true,
        management: true,
        scopes: Some(vec!["openid", "read", "write"]),
        methods: Some(vec!["client_secret_basic"]),
        ..Behaviour::default()
    }
}

async fn janus_that_logs_everything() -> (Janus, AuthorizationServer, ProtectedServer) {
    let authority = AuthorizationServer::start(behaviour()).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let home = home(
        &format!("  s: {{ url: \"{}\", auth: oauth }}\n", server.url()),
        "",
    );
    let janus = Janus::start_in(home, |command| {
        command.env("JANUS_LOG", "trace");
    });
    (janus, authority, server)
}

#[tokio::test]
async fn nothing_that_a_login_brought_is_left_anywhere() {
    let (mut janus, authority, server) = janus_that_logs_everything().await;
    let mut found: Found = Vec::new();
    let back = logged_in(&janus, &authority, "s", &mut found).await;
    // The same answer again, and one that was tampered with, while another login waits there.
    say(&janus, &["login", "s", "--no-wait", "--again"], &mut found);
    for there in [back.clone(), back.replace("state=", "state=x")] {
        let (_, page) = land(&there).await;
        found.push(("a page of no login".to_owned(), page.into_bytes()));
    }
    let mut client = Client::open(janus.http(), "/mcp", Era::Legacy).await;
    // Renewed by an answer by the book, then by answers that show what they hold and are of no use.
    for odd in [
        None,
        Some(Answer::shaped(|body| {
            let text = format!("{{\"error\": \"server_error\", \"error_description\": {body}}}");
            Said::text(500, "application/json", &text)
        })),
        Some(Answer::shaped(|body| {
            Said::text(200, "text/plain", &format!("not JSON: {body}"))
        })),
    ] {
        if let Some(odd) = odd {
            authority.next_token_response(odd);
        }
        let asked = authority.count(Endpoint::Token);
        let result = call(&mut client, "s__whoami").await;
        found.push(("a result".to_owned(), result.to_string().into_bytes()));
        // Its token lives a second.
        authority.came(Endpoint::Token, asked + 1).await;
        let result = call(&mut client, "s__whoami").await;
        found.push(("a result".to_owned(), result.to_string().into_bytes()));
    }
    assert!(authority.refreshes() >= 1 && server.calls() >= 1);
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["account", "list", "--json"],
        &["account", "verify", "s"],
        &["secret", "list", "--json"],
        &["secret", "check", "--json"],
        &["vault", "status"],
        &["config", "show", "--resolved"],
        &["config", "validate"],
        &["logs"],
        &["logs", "--json"],
        &["login", "s", "--no-wait", "--again", "--json"],
        // Its client is removed, by an answer that shows the token for that.
        &["logout", "s"],
        &["status", "--json"],
    ] {
        say(&janus, arguments, &mut found);
    }
    assert!(authority.count(Endpoint::Revoke) >= 1);
    assert_eq!(authority.count(Endpoint::Manage), 1);
    // The code of another device, which is asked for until somebody types the other one.
    let asked = authority.count(Endpoint::Token);
    let by_device = ["login", "s", "--device", "--no-wait", "--json"];
    say(&janus, &by_device, &mut found);
    authority.came(Endpoint::Token, asked + 1).await;
    assert_eq!(authority.user_codes().len(), 1);
    for tool in ["janus_whoami", "janus_list_accounts"] {
        let params = json!({"name": tool, "arguments": {}});
        let result = client.result("tools/call", params).await;
        found.push((tool.to_owned(), result.to_string().into_bytes()));
    }
    for directory in ["state", "run", "config"] {
        files(&janus.home().path().join(directory), &mut found);
    }
    let id = janus.id();
    for file in ["cmdline", "environ"] {
        // Only root reads the second.
        let text = fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
        found.push((format!("its {file}"), text));
    }
    janus.terminate();
    until("its end", || {
        fs::read_link(format!("/proc/{id}/exe")).is_err()
    });
    let log = janus.stderr().to_owned();
    assert!(log.contains("logged in"), "{log}");
    found.push(("the log".to_owned(), log.into_bytes()));
    let hits = hits(&found);
    assert!(hits.is_empty(), "{hits:#?}");
}
