//! What a person configures for OAuth, and what machine accounts get by it, looked for wherever Janus could have left it.
//! With [`super::canary`] and the canary of `secrets` this is every kind of secret there is.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::canary::{Found, files, hits, logged_in, say};
use super::rig::{call, home};
use crate::secrets::{self, canary, succeeded};
use crate::support::authorization::{
    Answer, AuthorizationServer, Behaviour, CANARY, Endpoint, Grace, KeyKind, Proof,
    ProtectedServer, Protection, Said,
};
use crate::support::{Client, Era, Janus, until};

/// Which test puts a kind of secret into Janus and looks for it afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// That of `secrets`, by its name there.
    Static(&'static str),
    /// That of `canary`, in the word that the authorization server puts into each.
    Login,
    /// This one.
    Here,
}

/// The twelve kinds.
const KINDS: [(&str, By); 12] = [
    ("a bearer token", By::Static("bearer")),
    ("a password", By::Static("basic")),
    ("the value of a header", By::Static("header")),
    ("the value of a query", By::Static("query")),
    ("what a file has", By::Static("file")),
    ("what a command prints", By::Static("cmd")),
    ("what a helper gives", By::Static("helper")),
    ("a variable of a child", By::Static("child")),
    ("a variable of Janus's own", By::Static("env")),
    ("codes and tokens of a login", By::Login),
    ("a client's secret, and tokens of machines", By::Here),
    ("a private key", By::Here),
];

/// With characters that every encoding changes.
fn secret(of: &str) -> String {
    format!("{CANARY}-configured-{of}:%+/&\"\\u=4")
}

/// A key, and every part of it that is secret.
fn key() -> (rcgen::KeyPair, Vec<Vec<u8>>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let pem = key.serialize_pem();
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    let mut parts: Vec<Vec<u8>> = lines.map(|line| line.as_bytes().to_vec()).collect();
    // The number itself, where RFC 5915 has it within PKCS #8.
    let number = key.serialize_der()[36..68].to_vec();
    parts.push(number);
    (key, parts)
}

/// Answers of a provider that quotes whatever it was sent, and of one that shows what it gives.
fn answers(key: &str) -> Vec<Answer> {
    let quoted = format!("{} {} {key}", secret("mine"), secret("machine"));
    let refusal = |status, code: &str| {
        let said = json!({ "error": code, "error_description": quoted, "secret": quoted });
        Answer::Instead(Said::json(status, &said))
    };
    vec![
        Answer::shaped(|body| {
            let text = format!("{{\"error\": \"server_error\", \"error_description\": {body}}}");
            Said::text(500, "application/json", &text)
        }),
        Answer::shaped(|body| Said::text(200, "text/plain", &format!("not JSON: {body}"))),
        refusal(400, "invalid_request"),
        refusal(401, "invalid_client"),
    ]
}

/// Servers of each kind of client, and who they are.
async fn every_client(
    key: &rcgen::KeyPair,
) -> (Janus, AuthorizationServer, ProtectedServer, Found) {
    let authority = AuthorizationServer::start(Behaviour {
        access_life: Duration::from_secs(1),
        // What an answer that is of no use brought is asked for again.
        grace: Grace::UntilUsed,
        ..Behaviour::default()
    })
    .await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let proof = |of: &str| Proof::Basic(secret(of));
    let back = format!("http://127.0.0.1:{port}/callback");
    authority.preregister("mine", proof("mine"), &[&back]);
    authority.preregister("machine", proof("machine"), &[]);
    let public = Proof::Key(KeyKind::Es256, key.public_key_raw().to_vec());
    authority.preregister("signer", public, &[]);
    let machine = "grant: client_credentials, client_id";
    let servers = format!(
        concat!(
            "  c: {{ url: \"{0}\", auth: {{ oauth: {{ client_id: mine, client_secret: vault:mine, callback_port: {1} }} }} }}\n",
            "  m: {{ url: \"{0}\", auth: {{ oauth: {{ {2}: machine, client_secret: vault:machine }} }} }}\n",
            "  k: {{ url: \"{0}\", auth: {{ oauth: {{ {2}: signer, private_key: \"file:~/key.pem\", alg: ES256 }} }} }}\n",
        ),
        server.url(),
        port,
        machine
    );
    let home = home(&servers, "");
    let path = home.path().join("home/key.pem");
    fs::write(&path, key.serialize_pem()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut found: Found = Vec::new();
    for name in ["mine", "machine"] {
        let ended = secrets::set(&home, name, &secret(name));
        succeeded(&ended);
        let text = format!("{}{}", ended.stdout, ended.stderr);
        found.push((format!("secret set {name}"), text.into_bytes()));
    }
    let janus = Janus::start_in(home, |command| {
        command.env("JANUS_LOG", "trace");
    });
    (janus, authority, server, found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_configured_for_oauth_is_left_anywhere() {
    let there = KINDS.into_iter().filter_map(|(_, by)| match by {
        By::Static(name) => Some(name),
        By::Login | By::Here => None,
    });
    // What a child says on its standard error is no kind, but a place.
    let there: BTreeSet<_> = there.chain(["stderr"]).collect();
    assert_eq!(there, BTreeSet::from(canary::KINDS));
    let (key, parts) = key();
    let (mut janus, authority, server, mut found) = every_client(&key).await;
    logged_in(&janus, &authority, "c", &mut found).await;
    let mut client = Client::open(janus.http(), "/mcp", Era::Legacy).await;
    let tools = ["c__whoami", "m__whoami", "k__whoami"];
    for tool in tools {
        let result = call(&mut client, tool).await;
        assert_ne!(result["isError"], true, "{result}");
        found.push((tool.to_owned(), result.to_string().into_bytes()));
    }
    // Each of them was used: otherwise nothing would be shown.
    let used = server.seen().into_iter().filter_map(|seen| seen.person);
    let used: BTreeSet<String> = used.map(|person| person.name).collect();
    assert_eq!(Vec::from_iter(used), ["ana", "machine", "signer"]);
    assert_eq!(authority.violations(), [""; 0]);

    let pem = key.serialize_pem();
    for answer in answers(&pem) {
        // Whoever renews next; a token lives a second.
        let asked = authority.count(Endpoint::Token);
        for _ in tools {
            authority.next_token_response(answer.clone());
        }
        authority.came(Endpoint::Token, asked + 1).await;
        for tool in tools {
            let result = call(&mut client, tool).await;
            found.push((tool.to_owned(), result.to_string().into_bytes()));
        }
    }
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["account", "list"],
        &["account", "list", "--json"],
        &["account", "verify", "c"],
        &["account", "verify", "m", "--json"],
        &["account", "verify", "k"],
        &["secret", "list", "--json"],
        &["secret", "check"],
        &["secret", "check", "--json"],
        &["vault", "status"],
        &["config", "show"],
        &["config", "show", "--resolved"],
        &["config", "validate"],
        &["logs"],
        &["logs", "--json"],
        &["login", "c", "--no-wait", "--again", "--json"],
        &["logout", "c"],
        &["status", "--json"],
    ] {
        say(&janus, arguments, &mut found);
    }
    for tool in ["janus_whoami", "janus_list_accounts"] {
        let params: Value = json!({ "name": tool, "arguments": {} });
        let result = client.result("tools/call", params).await;
        found.push((tool.to_owned(), result.to_string().into_bytes()));
    }
    let id = janus.id();
    for file in ["cmdline", "environ"] {
        // Only root reads the second.
        let text = fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
        found.push((format!("its {file}"), text));
    }
    for directory in ["state", "run", "config"] {
        files(&janus.home().path().join(directory), &mut found);
    }
    assert!(found.iter().any(|(name, _)| name.ends_with("janus.db")));
    // A crash writes no file.
    let process = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    kill_process(process, Signal::ABORT).unwrap();
    until("its end", || {
        fs::read_link(format!("/proc/{id}/exe")).is_err()
    });
    assert!(!has_core(janus.home().path()));
    let log = janus.stderr().to_owned();
    assert!(log.contains("logged in") && log.contains("****"), "{log}");
    found.push(("the log".to_owned(), log.into_bytes()));
    let mut hits = hits(&found);
    for (place, bytes) in &found {
        let part = |part: &&Vec<u8>| memchr::memmem::find(bytes, part).is_some();
        hits.extend(parts.iter().find(part).map(|_| format!("{place}: the key")));
    }
    assert!(hits.is_empty(), "{hits:#?}");
}

fn has_core(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).unwrap().flatten();
    let mut names = entries.map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with("core"))
}
