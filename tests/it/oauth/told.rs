//! What is said of accounts that do not work, before a person tries: by `janus status`, `config validate`, `account verify`
//! and `secret check`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::rig::{NO_BROWSER, Rig, call, home, known, provider_link, status, text};
use crate::support::authorization::{
    AuthorizationServer, Behaviour, Person, ProtectedServer, Protection, land,
};
use crate::support::{Client, Era, Home, Janus, Process, until};

async fn log_in(rig: &Rig) {
    let mut login = rig.janus.home().command(&["login", "s"]);
    let mut login = Process::start("janus login", &mut login);
    land(&rig.authority.follow(&provider_link(&mut login)).await).await;
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn verify_asks_what_the_account_says_and_why_it_does_not_tell() {
    let whoami =
        "auth: { oauth: { whoami: { tool: whoami, subject: /login, workspace: /workspace } } }";
    let rig = Rig::start(Behaviour::default(), Protection::default(), whoami).await;
    rig.authority
        .behave(|behaviour| behaviour.person = Person::at("ana", "client-a"));
    log_in(&rig).await;
    let shown = rig.janus.home().run(&["account", "verify", "s"]).stdout;
    let told = "who         ana, workspace client-a   (by its tool `whoami`)\n";
    assert!(shown.contains(told), "{shown}");

    let file = rig.janus.home().config();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("subject: /login", "subject: /nobody")).unwrap();
    let reloaded = rig.janus.home().run(&["config", "reload"]);
    assert_eq!(reloaded.status.code(), Some(0), "{}", reloaded.stderr);
    let shown = rig.janus.home().run(&["account", "verify", "s"]).stdout;
    let why = "does not say: tool `whoami`: its answer has no name at `/nobody`";
    assert!(shown.contains(why), "{shown}");
    rig.assert_clean();
}

#[tokio::test]
async fn what_a_client_proves_itself_with_is_checked_too() {
    let auth = "accounts: { one: { auth: { oauth: { grant: client_credentials, client_id: m, client_secret: vault:m } } }, \
                two: { auth: { oauth: { grant: client_credentials, client_id: k, private_key: vault:k, key_id: '1', alg: ES256 } } } }";
    let rig = Rig::start(Behaviour::default(), Protection::default(), auth).await;
    let checked = rig.janus.home().run(&["secret", "check"]);
    assert_eq!(checked.status.code(), Some(4), "{}", checked.stderr);
    for (name, account) in [("m", "s/one"), ("k", "s/two")] {
        let missing = format!("✘ vault:{name}   {account}\n");
        assert!(checked.stdout.contains(&missing), "{}", checked.stdout);
        let help = format!("help:  janus secret set {name}\n");
        assert!(checked.stdout.contains(&help), "{}", checked.stdout);
        let mut set = rig.janus.home().command(&["secret", "set", name]);
        let mut set = Process::start("janus secret set", &mut set);
        set.say("a value");
        set.close_stdin();
        let set = set.finish();
        assert!(
            set.stdout.contains(&format!("used by {account}\n")),
            "{}",
            set.stdout
        );
    }
    let checked = rig.janus.home().run(&["secret", "check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", checked.stdout);
    let listed = rig.janus.home().run(&["secret", "list"]).stdout;
    assert!(!listed.contains("missing"), "{listed}");
}

#[test]
fn an_account_that_is_tried_again_says_when() {
    let servers = "  s: { url: \"http://127.0.0.1:9/mcp\", auth: none }\n";
    let janus = Janus::start_in(home(servers, ""), |_| {});
    until("a failure", || {
        status(&janus)["accounts"][0]["state"]["word"] == "backoff"
    });
    // Between two tries it may be on its way.
    until("the next try", || {
        let shown = janus.home().run(&["status"]).stdout;
        shown.contains("; next try in ") || shown.contains("; it is tried again now")
    });
}

#[tokio::test]
async fn that_the_vault_has_no_place_for_its_key_is_said_before_a_login_needs_it() {
    let authority = AuthorizationServer::start(known()).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let home = Home::new("");
    let wanted = format!(
        "listen: {{ http: \"127.0.0.1:0\" }}\nservers:\n  s: {{ url: \"{}\", auth: oauth }}\n",
        server.url()
    );
    fs::write(home.config(), wanted).unwrap();
    fs::set_permissions(home.config(), fs::Permissions::from_mode(0o600)).unwrap();
    let config = home.config();
    let checked = home.run(&["config", "validate", "--config", config.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", checked.stderr);
    let janus = Janus::start_in(home, |_| {});
    until("the need of a login", || {
        status(&janus)["accounts"][0]["needs_login"] == true
    });
    let shown = janus.home().run(&["status"]);
    for said in [checked.stdout, shown.stdout] {
        for part in [
            "the vault has no place for its key: there is no keyring: ",
            "janus help headless",
            "`vault: { key: file, key_file: ~/.config/janus/vault.key }`",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    // Nor is a client made at the provider that would be forgotten at once.
    for _ in 0..2 {
        let ended = janus.home().run(&["login", "s", "--no-wait"]);
        assert!(ended.stderr.contains("error[not_kept]"), "{ended:?}");
    }
    assert_eq!(authority.clients().len(), 0);
    // What mends it takes more than a line: a client is told the command that says all of it.
    let mut client = Client::open(janus.http(), "/mcp", Era::Legacy).await;
    let result = call(&mut client, "s__who").await;
    let said = text(&result);
    assert!(
        said.contains(". A person mends it on ") && said.contains(" with: janus login s/default. "),
        "{said}"
    );
    drop((janus, authority, server));
}

#[test]
fn a_mistake_in_the_file_stops_no_command_that_asks_the_daemon() {
    let janus = Janus::start_in(
        home("  s: { url: \"http://127.0.0.1:9/mcp\", auth: none }\n", ""),
        |_| {},
    );
    let file = janus.home().config();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}nonsense: true\n")).unwrap();
    let run = |arguments: &[&str]| {
        let named = ["--config", file.to_str().unwrap()];
        janus.home().run(&[arguments, &named].concat())
    };
    for arguments in [
        &["tool", "list"][..],
        &["tool", "list", "--server", "s"],
        &["status"],
        &["account", "list"],
        &["logs"],
    ] {
        let ended = run(arguments);
        assert_eq!(
            ended.status.code(),
            Some(0),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    let ended = run(&["tool", "list"]);
    assert!(
        ended.stderr.contains("janus config validate"),
        "{}",
        ended.stderr
    );
    let call = run(&["tool", "call", "nobody__nothing", "--json"]);
    assert!(call.stderr.contains("unknown_tool"), "{}", call.stderr);
}

#[tokio::test]
async fn the_link_of_the_provider_is_in_the_log_and_in_the_status() {
    let rig = Rig::start(Behaviour::default(), Protection::default(), NO_BROWSER).await;
    let begun = rig.janus.home().run(&["login", "s", "--no-wait", "--json"]);
    assert_eq!(begun.status.code(), Some(0), "{begun:?}");
    let begun: Value = serde_json::from_str(&begun.stdout).unwrap();
    let id = begun["login"].as_str().unwrap();
    let logs = rig.janus.home().run(&["logs", "--json"]).stdout;
    let records = logs.lines().map(|line| serde_json::from_str(line).unwrap());
    let records: Vec<Value> = records.collect();
    let needed = records
        .iter()
        .find(|record| record["event"] == "login_needed");
    let needed = needed.unwrap_or_else(|| panic!("{logs}"));
    assert_eq!(
        (&needed["login"], &needed["account"]),
        (&json!(id), &json!("s/default"))
    );
    let text = needed["message"].as_str().unwrap();
    let link = text
        .split(' ')
        .find(|word| word.starts_with("http"))
        .unwrap();
    assert!(link.starts_with(rig.authority.issuer()), "{text}");
    assert!(text.ends_with(" or: janus login s/default"), "{text}");
    let status = rig.janus.home().run(&["status"]).stdout;
    assert!(status.contains(link) && status.contains(id), "{status}");
    // It is good as it stands there, also where the client was kept before and nobody came back.
    let rig = rig.restarted();
    let client = |link: &str| {
        link.split(['?', '&'])
            .find(|part| part.starts_with("client_id="))
            .map(str::to_owned)
    };
    let first = client(link).unwrap();
    assert!(!first.contains('*'), "{text}");
    let begun = rig.janus.home().run(&["login", "s", "--no-wait"]);
    assert_eq!(begun.status.code(), Some(0), "{begun:?}");
    let logs = rig.janus.home().run(&["logs"]).stdout;
    let line = logs.lines().find(|line| line.contains("login needed: "));
    let line = line.unwrap_or_else(|| panic!("{logs}"));
    let link = line
        .split(' ')
        .find(|word| word.starts_with("http"))
        .unwrap();
    assert!(!client(link).unwrap().contains('*'), "{line}");
    rig.log_in(link).await;
    let mut client = rig.client(Era::Modern).await;
    assert!(
        rig.called(&mut client, "s__who")
            .await
            .to_string()
            .contains("ana")
    );
}
