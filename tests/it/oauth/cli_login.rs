//! `janus login`, as a person or a script runs it, against the fake authorization server.

use serde_json::{Value, json};

use super::rig::{Rig, begun, home, known, provider_link, status};
use crate::support::authorization::{
    AuthorizationServer, Endpoint, ProtectedServer, Protection, land,
};
use crate::support::{Ended, Janus, Output, Process};

pub(super) async fn rig() -> Rig {
    Rig::start(known(), Protection::default(), "auth: oauth").await
}

pub(super) fn run(janus: &Janus, arguments: &[&str]) -> Ended {
    janus.home().run(arguments)
}

pub(super) fn begin(janus: &Janus, arguments: &[&str]) -> Process {
    Process::start("janus login", &mut janus.home().command(arguments))
}

pub(super) fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", ended.stdout, ended.stderr))
}

/// The code and the text of a failed command with `--json`.
pub(super) fn failure(ended: &Ended) -> (String, String) {
    let line = ended
        .stderr
        .lines()
        .find(|line| line.starts_with("{\"error\""));
    let line = line.unwrap_or_else(|| panic!("no failure: {}\n{}", ended.stdout, ended.stderr));
    let error: Value = serde_json::from_str(line).unwrap();
    let text = |member: &str| error["error"][member].as_str().unwrap().to_owned();
    (text("code"), text("message"))
}

/// What copying leaves of a text that loses its end.
fn cut(text: &str, end: usize) -> &str {
    text.get(..end).unwrap()
}

/// Janus's own page of the login that waits.
fn known_page(janus: &Janus) -> String {
    let page = status(janus)["logins"][0]["page"].clone();
    page.as_str().unwrap().to_owned()
}

/// Logs in to the end, as `who`.
pub(super) async fn log_in(rig: &Rig, arguments: &[&str], who: &str) -> Ended {
    rig.authority.log_in_as(who);
    // Whether somebody is logged in is what `again` is about.
    let arguments = [arguments, &["--again"]].concat();
    let mut login = begin(&rig.janus, &arguments);
    let url = provider_link(&mut login);
    land(&rig.authority.follow(&url).await).await;
    login.finish()
}

#[tokio::test]
async fn a_login_by_the_redirect_ends_with_who_it_is() {
    let rig = rig().await;
    assert_eq!(status(&rig.janus)["accounts"][0]["needs_login"], true);
    let shown = run(&rig.janus, &["status"]).stdout;
    // Once as its state, and once as what to run.
    assert_eq!(
        shown.matches("login s/default").count() + shown.matches("needs_login").count(),
        2,
        "{shown}"
    );
    let mut login = begin(&rig.janus, &["login", "s"]);
    let head = login.line(Output::Stderr, |line| {
        line.starts_with("log in s/default at 127.0.0.1")
            .then(|| line.to_owned())
    });
    assert!(head.contains("valid 10 min)"), "{head}");
    let url = provider_link(&mut login);
    assert!(url.starts_with(rig.authority.issuer()), "{url}");
    // The line for a browser elsewhere has the port on which this very login comes back.
    let back = rig.authority.follow(&url).await;
    let port = url::Url::parse(&back).unwrap().port().unwrap();
    let forward = login.line(Output::Stderr, |line| {
        line.split_once("ssh -N -L ")
            .map(|(_, rest)| rest.to_owned())
    });
    assert!(
        forward.starts_with(&format!("{port}:127.0.0.1:{port} ")),
        "{forward}"
    );
    let (code, page) = land(&back).await;
    assert_eq!(code, 200, "{page}");
    assert!(page.contains("Logged in"), "{page}");
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.starts_with(
            "✔ logged in as ana@example.org\n  saved for s/default; used by profile default; "
        ),
        "{}",
        ended.stdout
    );
    let row = &status(&rig.janus)["accounts"][0];
    assert_eq!(
        (
            &row["verified_as"],
            &row["grant"]["state"],
            &row["needs_login"]
        ),
        (&json!("ana@example.org"), &json!("fresh"), &json!(false)),
        "{row}"
    );
    let shown = run(&rig.janus, &["status"]).stdout;
    assert!(shown.contains("renews in "), "{shown}");
    assert!(!shown.contains("waiting for you"), "{shown}");
    rig.assert_clean();
}

#[tokio::test]
async fn a_pasted_address_is_as_good_as_the_browser_and_only_that_of_this_login() {
    let rig = rig().await;
    let mut login = begin(&rig.janus, &["login", "s", "--paste"]);
    let back = rig.authority.follow(&provider_link(&mut login)).await;
    login.say(&back);
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("logged in as ana"),
        "{}",
        ended.stdout
    );

    // What belongs elsewhere is said and the next line is read; the query alone is enough.
    let other = begun(&rig.janus);
    let of_other = rig.authority.follow(other["url"].as_str().unwrap()).await;
    run(&rig.janus, &["logout", "s"]);
    let mut login = begin(&rig.janus, &["login", "s", "--paste", "--json"]);
    let url = provider_link(&mut login);
    let back = rig.authority.follow(&url).await;
    let code = back.split_once("code=").unwrap().1;
    let code = code.split('&').next().unwrap().to_owned();
    let without_code = back.replace("code=", "no=");
    let (uri, _) = back.split_once('?').unwrap();
    let (until_issuer, _) = back.split_once("&iss=").expect("the provider names itself");
    let (until_state, _) = back.split_once("&state=").unwrap();
    let lost = "its end was lost";
    let page = known_page(&rig.janus);
    for (line, refused, why) in [
        (code.as_str(), "not_the_answer", "a code alone"),
        ("hello", "not_the_answer", "the whole address"),
        ("http://x.example/?a=b", "not_the_answer", "at x.example"),
        (&without_code, "not_the_answer", "no code"),
        (&url, "not_the_answer", "the link to log in with"),
        (
            cut(&url, url.len() / 2),
            "not_the_answer",
            "the link to log",
        ),
        (&page, "not_the_answer", "the link to log in with"),
        (&of_other, "foreign_state", "another login of s/default"),
        // Copying lost the end.
        (uri, "not_the_answer", "end lost"),
        (until_state, "not_the_answer", lost),
        (cut(&back, until_state.len() + 12), "not_the_answer", lost),
        (until_issuer, "not_the_answer", lost),
        (cut(&back, back.len() - 4), "not_the_answer", lost),
    ] {
        login.say("");
        login.say(line);
        let failed: Value = login.line(Output::Stderr, |line| {
            serde_json::from_str(line.trim())
                .ok()
                .filter(|said: &Value| said["error"].is_object())
        });
        assert_eq!(failed["error"]["code"], refused, "{line}: {failed}");
        let message = failed["error"]["message"].as_str().unwrap();
        assert!(message.contains(why), "{line}: {message}");
        let wanted = failed["error"]["help"].to_string();
        assert!(wanted.contains("paste the"), "{line}: {wanted}");
    }
    assert_eq!(rig.authority.count(Endpoint::Token), 1, "no code was sent");
    let id = status(&rig.janus)["logins"][0]["login"].clone();
    login.say(back.split_once('?').unwrap().1);
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    // Once more, it is still the address of this very login.
    let again = json!({"login": id, "address": back});
    let control = rig.janus.control();
    let again = control.post("/login/paste", &[], &again).await.json().await;
    let why = "this login was answered already";
    assert_eq!(again["error"]["message"], why, "{again}");
    // And one that ended without an answer is not another one.
    let other = begun(&rig.janus);
    let back = rig.authority.follow(other["url"].as_str().unwrap()).await;
    run(&rig.janus, &["login", "--cancel", "s"]);
    let late = json!({"login": other["login"], "address": back});
    let late = control.post("/login/paste", &[], &late).await.json().await;
    assert_eq!(late["error"]["message"], "this login is over", "{late}");
    assert!(!ended.stderr.contains(&code), "{}", ended.stderr);
    rig.assert_clean();
}

#[tokio::test]
async fn a_pasted_address_of_another_issuer_ends_the_login_and_that_of_another_account_says_whose()
{
    let servers = |server: &str| {
        format!(
            "  s:\n    url: \"{server}\"\n    auth: oauth\n    accounts: {{ a: {{}}, b: {{}} }}\n"
        )
    };
    let authority = AuthorizationServer::start(known()).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let janus = Janus::start_in(home(&servers(&server.url()), ""), |_| {});
    let mut other = begin(&janus, &["login", "s/b", "--paste"]);
    let of_other = authority.follow(&provider_link(&mut other)).await;
    let mut login = begin(&janus, &["login", "s/a", "--paste"]);
    let back = authority.follow(&provider_link(&mut login)).await;
    login.say(&of_other);
    let said = "error[foreign_state]: this address belongs to another login, that of s/b";
    login.line(Output::Stderr, |line| line.starts_with(said).then_some(()));
    let there = login.line(Output::Stderr, |line| {
        line.split_once("janus login --paste --wait ")
            .map(|(_, id)| id.to_owned())
    });
    let logins = status(&janus)["logins"].clone();
    let of_b = logins.as_array().unwrap().iter();
    let of_b: Vec<_> = of_b.filter(|it| it["account"] == "s/b").collect();
    assert_eq!(of_b[0]["login"], json!(there));

    // The mix-up defence: no code goes anywhere.
    let (until_issuer, _) = back.split_once("&iss=").unwrap();
    login.say(&format!("{until_issuer}&iss=https%3A%2F%2Fevil.example"));
    let ended = login.finish();
    assert_ne!(ended.status.code(), Some(0), "{}", ended.stderr);
    let why = "it comes from another authorization server";
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
    assert_eq!(authority.count(Endpoint::Token), 0);
    other.say(&of_other);
    let ended = other.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn the_end_of_the_input_ends_the_command_and_not_the_login() {
    let rig = rig().await;
    let mut login = begin(&rig.janus, &["login", "s", "--paste", "--json"]);
    let url = provider_link(&mut login);
    login.say("what?");
    login.close_stdin();
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    let id = status(&rig.janus)["logins"][0]["login"].clone();
    let id = id.as_str().expect("the login waits on");
    let last: Value = serde_json::from_str(ended.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "no_address", "{last}");
    let help = last["error"]["help"].to_string();
    for next in [
        &format!("janus login --paste --wait {id}"),
        &format!("janus login --wait {id}"),
        "--no-wait",
    ] {
        assert!(help.contains(next), "{help}");
    }

    // Taken up again with a wrong address, it waits on for whoever else attends it.
    let mut wrong = begin(&rig.janus, &["login", "--paste", "--wait", id]);
    wrong.say("what?");
    wrong.close_stdin();
    assert_eq!(wrong.finish().status.code(), Some(2));
    // The browser's answer is one: nothing need be pasted then.
    let mut login = begin(&rig.janus, &["login", "--paste", "--wait", id]);
    assert_eq!(provider_link(&mut login), url);
    land(&rig.authority.follow(&url).await).await;
    login.close_stdin();
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    rig.assert_clean();
}

#[tokio::test]
async fn a_login_is_left_with_its_id_joined_and_taken_up_again() {
    let rig = rig().await;
    let left = run(&rig.janus, &["login", "s", "--no-wait", "--json"]);
    assert_eq!(left.status.code(), Some(0), "{}", left.stderr);
    let left = json_of(&left);
    let id = left["login"].as_str().unwrap().to_owned();
    assert_eq!(
        (
            left["schema"].as_str(),
            left["state"].as_str(),
            left["joined"].as_bool()
        ),
        (Some("janus/login/1"), Some("waiting"), Some(false))
    );
    assert_eq!(id.len(), 6, "{id}");
    let url = left["url"].as_str().unwrap().to_owned();

    // The status has it, and whoever asks again gets the same.
    let waiting = &status(&rig.janus)["logins"][0];
    assert_eq!(waiting["login"], json!(id));
    let shown = run(&rig.janus, &["status"]).stdout;
    assert!(shown.contains("waiting for you (1)"), "{shown}");
    assert!(
        shown.contains(&format!("janus login --wait {id}")),
        "{shown}"
    );
    let again = begun(&rig.janus);
    assert_eq!(
        (&again["login"], &again["url"], &again["joined"]),
        (&json!(id), &json!(url), &json!(true))
    );
    assert_eq!(rig.authority.count(Endpoint::Register), 1);

    let waiting = begin(&rig.janus, &["login", "--wait", &id, "--json"]);
    let mut second = begin(&rig.janus, &["login", "s"]);
    assert_eq!(provider_link(&mut second), url);
    land(&rig.authority.follow(&url).await).await;
    let ended = waiting.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(json_of(&ended)["verified_as"], "ana@example.org");
    assert_eq!(second.finish().status.code(), Some(0));
    // It is told for a while after it ended; another id never was.
    let late = run(&rig.janus, &["login", "--wait", &id, "--json"]);
    assert_eq!(json_of(&late)["state"], "logged_in", "{}", late.stderr);
    let unknown = run(&rig.janus, &["login", "--wait", "aaaaaa", "--json"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", unknown.stderr);
    assert_eq!(failure(&unknown).0, "login_unknown");
    rig.assert_clean();
}

/// A terminal of its own for a command: what is said to this is typed there, and all that it shows is on stdout.
pub(super) const TERMINAL: &str = r"
import os, pty, sys, threading
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
def typed():
    while data := os.read(0, 4096):
        os.write(terminal, data)
threading.Thread(target=typed, daemon=True).start()
while True:
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    os.write(1, data)
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[tokio::test]
async fn at_a_terminal_an_address_is_taken_by_the_login_that_waits_and_not_by_the_one_before() {
    let rig = Rig::two_accounts().await;
    let inner = rig.janus.home().command(&["login", "--all"]);
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
    let mut all = Process::start("a terminal", &mut command);
    let shown = |all: &mut Process| {
        all.line(Output::Stdout, |line| {
            let line = line.trim();
            line.starts_with("http").then(|| line.to_owned())
        })
    };
    rig.authority.log_in_as("ana");
    land(&rig.authority.follow(&shown(&mut all)).await).await;
    rig.authority.log_in_as("ben");
    let back = rig.authority.follow(&shown(&mut all)).await;
    all.say(&back);
    let ended = all.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("2 of 2 accounts are logged in"),
        "{}",
        ended.stdout
    );
    rig.assert_clean();
}

#[tokio::test]
async fn a_person_who_says_no_ends_the_command_as_denied() {
    let rig = rig().await;
    rig.authority.behave(|behaviour| {
        behaviour.consent = crate::support::authorization::Consent::Refused("access_denied");
    });
    let mut login = begin(&rig.janus, &["login", "s", "--json"]);
    let back = rig.authority.follow(&provider_link(&mut login)).await;
    let (_, page) = land(&back).await;
    assert!(page.contains("Not logged in"), "{page}");
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(5), "{}", ended.stderr);
    assert_eq!(failure(&ended).0, "login_denied");
}

#[tokio::test]
async fn a_scope_that_is_new_needs_a_yes() {
    let rig = Rig::start(
        known(),
        Protection {
            challenge_scope: Some("read".to_owned()),
            ..Protection::default()
        },
        "auth: oauth",
    )
    .await;
    // The first time the provider's own page asks, and here it is said.
    rig.authority.log_in_as("ana");
    let mut login = begin(&rig.janus, &["login", "s"]);
    login.line(Output::Stderr, |line| {
        (line == "it will be asked for: read").then_some(())
    });
    land(&rig.authority.follow(&provider_link(&mut login)).await).await;
    assert_eq!(login.finish().status.code(), Some(0));

    rig.server
        .protect(|protection| protection.challenge_scope = Some("read write".to_owned()));
    rig.authority.revoke_all();
    let refused = run(&rig.janus, &["account", "verify", "s"]);
    assert_ne!(refused.status.code(), Some(0));
    let ended = run(&rig.janus, &["login", "s", "--again", "--json"]);
    assert_eq!(ended.status.code(), Some(5), "{}", ended.stderr);
    let (code, message) = failure(&ended);
    assert_eq!(code, "needs_approval");
    assert_eq!(
        message,
        "s/default will be asked for more than before: write."
    );
    assert!(ended.stderr.contains("--yes"), "{}", ended.stderr);
    let waiting = &status(&rig.janus)["logins"][0];
    assert_eq!(
        (
            &waiting["new_scopes"],
            &waiting["needs_yes"],
            &waiting["link"]
        ),
        (&json!(["write"]), &json!(true), &waiting["page"])
    );
    // A yes is remembered for whoever takes the login up.
    let left = json_of(&run(
        &rig.janus,
        &["login", "s", "--no-wait", "--yes", "--json"],
    ));
    let id = left["login"].as_str().unwrap();
    let ended = log_in(&rig, &["login", "--wait", id], "ana").await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let scopes = status(&rig.janus)["accounts"][0]["grant"]["scopes"].clone();
    assert_eq!(scopes, json!(["read", "write"]));
    rig.assert_clean();
}

#[test]
fn without_a_daemon_the_command_says_how_to_start_one() {
    let home = home(
        "  s: { url: \"http://127.0.0.1:9/mcp\", auth: oauth }\n",
        "",
    );
    for arguments in [&["login", "s"][..], &["logout", "s"], &["login", "--all"]] {
        let ended = home.run(arguments);
        assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains("janus serve"), "{}", ended.stderr);
    }
}

#[test]
fn who_cannot_log_in_is_told_whose_fault_that_is() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let janus = Janus::start(&format!(
        "away: {{ url: \"http://{address}/mcp\", auth: oauth }}\nhere: {{ command: [sh, -c, \"exit 1\"] }}\n"
    ));
    let ended = janus.home().run(&["login", "away"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let cannot = "error[unavailable]: the server cannot be reached, so who logs people in to it is not known: ";
    assert!(ended.stderr.starts_with(cannot), "{ended:?}");
    assert!(
        ended.stderr.contains("  help:  janus logs --server away\n"),
        "{ended:?}"
    );
    let ended = janus.home().run(&["login", "here"]);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    insta::assert_snapshot!(ended.stderr, @"
    error[no_login]: here/default needs no login: it is a local process, and proves itself with what is in its environment
      help:  try whether it works:  janus account verify here/default
      help:  if it wants a token, write at here: env: { NAME: vault:here }    # then: janus secret set here
    ");
}
