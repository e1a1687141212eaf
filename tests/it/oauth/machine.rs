//! A machine account whose secret is missing or wrong, as the person sees it who set it up.

use std::process::Command;

use serde_json::Value;

use super::rig::{Rig, home, status};
use crate::support::authorization::{
    Asked, AuthorizationServer, Behaviour, Endpoint, Proof, ProtectedServer, Protection,
};
use crate::support::{Janus, Output, Process, until};

async fn rig() -> Rig {
    let authority = AuthorizationServer::start(Behaviour::default()).await;
    authority.preregister("machine", Proof::Basic("right".to_owned()), &[]);
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let servers = format!(
        "  s: {{ url: \"{}\", auth: {{ oauth: {{ grant: client_credentials, client_id: machine, client_secret: vault:m }} }} }}\n",
        server.url()
    );
    Rig {
        janus: Janus::start_in(home(&servers, ""), |_| {}),
        authority,
        server,
    }
}

fn set(janus: &Janus, value: &str) {
    let mut command: Command = janus.home().command(&["secret", "set", "m"]);
    let mut setting = Process::start("janus secret set", &mut command);
    setting.say(value);
    setting.close_stdin();
    let ended = setting.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

fn told(janus: &Janus) -> (Value, String) {
    let account = status(janus)["accounts"][0].clone();
    (account, janus.home().run(&["status"]).stdout)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_without_its_secret_says_which_and_goes_on_when_it_is_set() {
    let rig = rig().await;
    let mut verify = rig
        .janus
        .home()
        .command(&["account", "verify", "s", "--json"]);
    let mut verify = Process::start("janus account verify", &mut verify);
    let failed: Value = verify.line(Output::Stderr, |line| {
        serde_json::from_str(line.trim()).ok()
    });
    assert_eq!(failed["error"]["code"], "needs_secret", "{failed}");
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("vault:m"), "{failed}");
    assert_eq!(failed["error"]["help"][0], "janus secret set m", "{failed}");
    assert_eq!(verify.finish().status.code(), Some(4));
    let (row, shown) = told(&rig.janus);
    assert_eq!(row["state"]["word"], "needs_secret", "{row}");
    assert!(
        shown.contains(
            "waiting for you (1)\n  janus secret set m   # s/default: vault:m has no value"
        ),
        "{shown}"
    );

    // A wrong one is tried at once, and what must be corrected is named.
    set(&rig.janus, "wrong");
    until("the refusal", || {
        told(&rig.janus).0["grant"]["stuck"] == true
    });
    let (_, shown) = told(&rig.janus);
    let waiting = shown.split_once("waiting for you (1)\n").expect(&shown).1;
    assert!(
        waiting.starts_with("  janus account verify s/default   # after: ")
            && waiting.contains("invalid_client")
            && waiting
                .contains("correct `auth.oauth.client_id` or `auth.oauth.client_secret` (vault:m)"),
        "{shown}"
    );
    set(&rig.janus, "right");
    until("the connection", || {
        told(&rig.janus).0["state"]["word"] == "ready"
    });
    let (_, shown) = told(&rig.janus);
    assert!(!shown.contains("waiting for you"), "{shown}");
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_token_has_the_scopes_that_the_server_wants_and_another_configuration_is_asked_at_once()
 {
    let authority = AuthorizationServer::start(Behaviour {
        scopes: Some(vec!["read", "write"]),
        ..Behaviour::default()
    })
    .await;
    authority.preregister("machine", Proof::Basic("right".to_owned()), &[]);
    let server = ProtectedServer::start(
        &authority,
        Protection {
            challenge_scope: Some("read".to_owned()),
            ..Protection::default()
        },
    )
    .await;
    let servers = |scopes: &str| {
        format!(
            "  s: {{ url: \"{}\", auth: {{ oauth: {{ grant: client_credentials, client_id: machine, client_secret: vault:m{scopes} }} }} }}\n",
            server.url()
        )
    };
    let janus = Janus::start_in(home(&servers(""), ""), |_| {});
    set(&janus, "right");
    until("the connection", || {
        told(&janus).0["state"]["word"] == "ready"
    });
    let asked = || {
        let asked = authority.requests_to(Endpoint::Token);
        let scope = |one: &Asked| one.form.get("scope").unwrap_or_default().to_owned();
        asked.iter().map(scope).collect::<Vec<String>>()
    };
    assert_eq!(asked(), ["read"]);

    let file = janus.home().config();
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = text.replace("vault:m }", "vault:m, scopes: [write] }");
    assert_ne!(changed, text);
    std::fs::write(&file, changed).unwrap();
    let reloaded = janus.home().run(&["config", "reload"]);
    assert_eq!(reloaded.status.code(), Some(0), "{}", reloaded.stderr);
    let verified = janus.home().run(&["account", "verify", "s"]);
    assert_eq!(verified.status.code(), Some(0), "{}", verified.stderr);
    assert_eq!(asked(), ["read", "write"]);
}
