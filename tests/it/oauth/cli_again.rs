//! `janus login` of an account that is logged in, of all accounts at once, and the end of a login that waits.

use std::fs;

use serde_json::{Value, json};

use super::cli_login::{TERMINAL, begin, rig, run};
use super::rig::{Rig, begun, home, known, provider_link, status};
use crate::support::authorization::{
    AuthorizationServer, Endpoint, Outage, ProtectedServer, Protection, land,
};
use crate::support::{Ended, Janus, Output, Process};

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The error of a command with `--json`.
fn error(ended: &Ended) -> Value {
    json_of(ended.stderr.lines().last().unwrap_or_default())["error"].clone()
}

async fn log_in(rig: &Rig) {
    rig.authority.log_in_as("ana");
    let mut login = begin(&rig.janus, &["login", "s"]);
    land(&rig.authority.follow(&provider_link(&mut login)).await).await;
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

/// The command at a terminal of its own: what is said to it is typed there, and all that it shows is on stdout.
fn at_a_terminal(janus: &Janus, arguments: &[&str]) -> Process {
    let inner = janus.home().command(arguments);
    let mut command = std::process::Command::new("python3");
    command
        .args(["-c", TERMINAL])
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear()
        .envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    Process::start("a terminal", &mut command)
}

#[tokio::test]
async fn who_is_logged_in_is_said_before_another_login_begins() {
    let rig = rig().await;
    log_in(&rig).await;
    let asked = rig.authority.count(Endpoint::Metadata);
    let refused = run(&rig.janus, &["login", "s", "--json"]);
    assert_eq!(refused.status.code(), Some(5), "{}", refused.stderr);
    let said = error(&refused);
    assert_eq!(said["code"], "logged_in", "{said}");
    let message = said["message"].as_str().unwrap();
    let expected = "s/default is logged in as ana@example.org, renewed by itself, next in ";
    assert!(message.starts_with(expected), "{message}");
    assert_eq!(
        said["help"][0],
        "log in all the same:  janus login s/default --again"
    );
    assert_eq!(rig.authority.count(Endpoint::Metadata), asked);
    assert_eq!(status(&rig.janus)["logins"], json!([]));

    // A person is asked, and no is the answer unless it is yes.
    for (answer, code) in [("", 5), ("y", 0)] {
        let mut login = at_a_terminal(&rig.janus, &["login", "s"]);
        login.line(Output::Stdout, |line| {
            line.contains("Log in again? [y/N]").then_some(())
        });
        login.say(answer);
        if code == 0 {
            let link = login.line(Output::Stdout, |line| {
                let line = line.trim();
                line.starts_with("http").then(|| line.to_owned())
            });
            land(&rig.authority.follow(&link).await).await;
        }
        let ended = login.finish();
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stdout);
    }

    // A script says it, by either word.
    for word in ["--again", "--yes"] {
        let left = run(&rig.janus, &["login", "s", "--no-wait", word, "--json"]);
        assert_eq!(left.status.code(), Some(0), "{}", left.stderr);
        // Whoever joins the one that waits begins none.
        let joined = run(&rig.janus, &["login", "s", "--no-wait", "--json"]);
        assert_eq!(json_of(&joined.stdout)["joined"], true, "{}", joined.stderr);
        let ended = run(&rig.janus, &["login", "--cancel", "s"]);
        assert!(
            ended.stdout.ends_with("of s/default is cancelled\n"),
            "{}",
            ended.stdout
        );
    }
    rig.assert_clean();
}

#[tokio::test]
async fn a_login_that_waits_is_ended_by_its_account_its_id_or_as_the_only_one() {
    let rig = Rig::two_accounts().await;
    let left = || {
        let left = run(&rig.janus, &["login", "s/one", "--no-wait", "--json"]);
        json_of(&left.stdout)["login"].as_str().unwrap().to_owned()
    };
    for named in [Some("s/one"), None, Some("ID")] {
        let id = left();
        let named = named.map(|named| if named == "ID" { id.as_str() } else { named });
        let waiting = begin(&rig.janus, &["login", "--wait", &id, "--json"]);
        let arguments = ["login", "--cancel", "--json"].into_iter().chain(named);
        let ended = run(&rig.janus, &arguments.collect::<Vec<_>>());
        let said = json_of(&ended.stdout);
        assert_eq!(
            (&said["login"], &said["account"], &said["cancelled"]),
            (&json!(id), &json!("s/one"), &json!(true)),
            "{said}"
        );
        assert_eq!(error(&waiting.finish())["code"], "declined");
    }
    for (named, message) in [
        ("s/two", "no login of s/two waits"),
        ("nobody", "there is no login `nobody`"),
        ("", "no login waits"),
    ] {
        let named = Some(named).filter(|named| !named.is_empty());
        let arguments = ["login", "--cancel", "--json"].into_iter().chain(named);
        let ended = run(&rig.janus, &arguments.collect::<Vec<_>>());
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert_eq!(error(&ended)["message"], message);
    }
}

#[tokio::test]
async fn an_account_that_is_configured_no_more_gives_up_its_login() {
    let rig = rig().await;
    let left = begun(&rig.janus);
    let waiting = begin(
        &rig.janus,
        &["login", "--wait", left["login"].as_str().unwrap(), "--json"],
    );
    let file = rig.janus.home().config();
    let text = fs::read_to_string(&file).unwrap();
    let (before, _) = text.split_once("  s: {").unwrap();
    let other = "  other: { url: \"http://127.0.0.1:9/mcp\", auth: none }\n";
    fs::write(&file, format!("{before}{other}")).unwrap();
    let reloaded = run(&rig.janus, &["config", "reload"]);
    assert_eq!(reloaded.status.code(), Some(0), "{}", reloaded.stderr);
    let said = error(&waiting.finish());
    assert_eq!(said["code"], "unknown_account", "{said}");
    assert_eq!(status(&rig.janus)["logins"], json!([]));
}

#[tokio::test]
async fn the_links_of_all_are_had_at_once_and_pasted_one_after_the_other() {
    let rig = Rig::two_accounts().await;
    let left = run(&rig.janus, &["login", "--all", "--no-wait", "--json"]);
    assert_eq!(left.status.code(), Some(0), "{}", left.stderr);
    let document = json_of(&left.stdout);
    assert_eq!(document["schema"], "janus/login-all/1");
    let logins = document["logins"].as_array().unwrap();
    let accounts: Vec<&str> = logins
        .iter()
        .map(|it| it["account"].as_str().unwrap())
        .collect();
    assert_eq!(accounts, ["s/one", "s/two"]);
    let shown = run(&rig.janus, &["login", "--all", "--no-wait"]);
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", shown.stdout);
    for (line, login) in lines.iter().zip(logins) {
        let (id, url) = (
            login["login"].as_str().unwrap(),
            login["url"].as_str().unwrap(),
        );
        let account = login["account"].as_str().unwrap();
        assert_eq!(
            *line,
            format!("{account}   {url}   # janus login --wait {id}")
        );
    }

    let mut all = begin(&rig.janus, &["login", "--all", "--paste"]);
    for who in ["ana", "ben"] {
        rig.authority.log_in_as(who);
        let back = rig.authority.follow(&provider_link(&mut all)).await;
        all.say(&back);
    }
    let ended = all.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, "2 of 2 accounts are logged in\n");
    rig.assert_clean();
}

#[tokio::test]
async fn a_program_reads_documents_alone_while_the_command_waits() {
    let rig = rig().await;
    let mut login = begin(&rig.janus, &["login", "s", "--json"]);
    login.close_stdin();
    land(&rig.authority.follow(&provider_link(&mut login)).await).await;
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(json_of(&ended.stdout)["state"], "logged_in");
    let beside: Vec<Value> = ended.stderr.lines().map(json_of).collect();
    assert_eq!(beside.len(), 1, "{}", ended.stderr);
    assert_eq!(
        (
            &beside[0]["schema"],
            &beside[0]["state"],
            &beside[0]["account"]
        ),
        (
            &json!("janus/login/1"),
            &json!("waiting"),
            &json!("s/default")
        )
    );
}

#[tokio::test]
async fn a_server_that_is_still_starting_is_asked_before_it_is_said_that_nobody_need_log_in() {
    let authority = AuthorizationServer::start(known()).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    server.outage(Outage::Slow);
    let servers = format!("  s: {{ url: \"{}\" }}\n", server.url());
    let janus = Janus::start_in(home(&servers, ""), |_| {});
    let said = "warning: whether s/default needs a login is not known: it is still starting:  janus logs --server s";
    let ended = run(&janus, &["login", "--all", "--timeout", "2s"]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert!(
        !ended.stdout.contains("no account needs"),
        "{}",
        ended.stdout
    );
    let mut all = begin(&janus, &["login", "--all", "--no-wait"]);
    all.line_or_end(Output::Stderr, |line| {
        (line == "waiting for s/default to start").then_some(())
    })
    .unwrap();
    server.outage(Outage::None);
    let ended = all.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("s/default"), "{ended:?}");
    assert_eq!(status(&janus)["logins"][0]["account"], "s/default");
}
