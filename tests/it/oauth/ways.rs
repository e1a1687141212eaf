//! Ways to a login other than the redirect and what comes of them: a code for another device, a server that says itself
//! who somebody is, and a desktop that is told.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use zbus::zvariant::OwnedValue;

use super::rig::{NO_BROWSER, Rig, call, home, link, provider_link, status, text, told};
use crate::support::authorization::{
    Answer, AuthorizationServer, Behaviour, ClientRecord, Endpoint, Hold, Outage, Person, Proof,
    ProtectedServer, Protection, Said, land,
};
use crate::support::{Ended, Era, Janus, Keyring, Output, Process, until, within};

/// The identity comes from the server's own tool alone.
const ASKS_THE_SERVER: &str =
    "auth: { oauth: { whoami: { tool: whoami, subject: /login, workspace: /workspace } } }";

fn by_device() -> Behaviour {
    Behaviour {
        device: true,
        openid: true,
        scopes: Some(vec!["openid"]),
        ..Behaviour::default()
    }
}

fn begin(rig: &Rig, arguments: &[&str]) -> Process {
    Process::start("janus login", &mut rig.janus.home().command(arguments))
}

fn succeeded(ended: &Ended) {
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

/// What is typed on the other device, and where.
fn code(login: &mut Process) -> (String, String) {
    let mut after = |what: &str| {
        login.line(Output::Stderr, |line| {
            let (_, rest) = line.split_once(what)?;
            Some(rest.trim().to_owned())
        })
    };
    let place = after("open on any device:");
    (after("type there:"), place)
}

fn account(rig: &Rig) -> Value {
    status(&rig.janus)["accounts"][0].clone()
}

/// The clients that registered themselves, by the redirects they have.
fn registered(rig: &Rig) -> Vec<Vec<String>> {
    let clients = rig.authority.clients().into_iter();
    let dynamic = clients.filter(|client: &ClientRecord| client.dynamic);
    dynamic.map(|client| client.redirect_uris).collect()
}

#[tokio::test]
async fn a_code_typed_on_another_device_logs_in_by_a_client_for_that_alone() {
    let ways: [(&str, &[&str]); 2] = [
        ("auth: oauth", &["login", "s", "--device"]),
        ("auth: { oauth: { grant: device_code } }", &["login", "s"]),
    ];
    for (auth, arguments) in ways {
        let rig = Rig::start(by_device(), Protection::default(), auth).await;
        let mut login = begin(&rig, arguments);
        let (typed, place) = code(&mut login);
        assert_eq!(place, rig.authority.endpoint("device"));
        assert_eq!(rig.authority.user_codes(), [typed.as_str()]);
        // It asks while nobody has typed it yet, and goes on.
        rig.authority.came(Endpoint::Token, 1).await;
        rig.authority.decide(&typed, None);
        let ended = login.finish();
        succeeded(&ended);
        let done = "✔ logged in as ana@example.org\n  saved for s/default; ";
        assert!(ended.stdout.starts_with(done), "{}", ended.stdout);
        assert_eq!(
            registered(&rig),
            [[""; 0]],
            "it has no address to come back to"
        );
        assert_eq!(rig.authority.count(Endpoint::Authorize), 0);
        assert_eq!(account(&rig)["verified_as"], "ana@example.org");
        // The same client renews what it got, also after a start.
        let rig = rig.restarted();
        rig.authority.expire_all();
        let mut client = rig.client(Era::Legacy).await;
        assert_eq!(text(&rig.called(&mut client, "s__who").await), "ana");
        assert_eq!(rig.authority.refreshes(), 1);
        rig.assert_clean();
    }
}

#[tokio::test]
async fn a_no_on_the_other_device_logs_nobody_in_and_a_browser_has_a_client_of_its_own() {
    let rig = Rig::start(by_device(), Protection::default(), "auth: oauth").await;
    let mut login = begin(&rig, &["login", "s", "--device"]);
    let (typed, _) = code(&mut login);
    rig.authority.decide(&typed, Some("access_denied"));
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("login_denied"), "{}", ended.stderr);
    assert_eq!(account(&rig)["needs_login"], true);
    let mut login = begin(&rig, &["login", "s"]);
    land(&rig.authority.follow(&provider_link(&mut login)).await).await;
    succeeded(&login.finish());
    let mut redirects = registered(&rig);
    redirects.retain(|redirects| !redirects.is_empty());
    assert_eq!(redirects.len(), 1, "{redirects:?}");
    // And the other way round: the client of the browser asks for no code.
    let mut login = begin(&rig, &["login", "s", "--device", "--again"]);
    let (typed, _) = code(&mut login);
    rig.authority.decide(&typed, None);
    succeeded(&login.finish());
    rig.assert_clean();
}

#[tokio::test]
async fn tokens_that_come_from_another_device_after_the_login_was_given_up_are_given_back() {
    let rig = Rig::start(by_device(), Protection::default(), "auth: oauth").await;
    let mut login = begin(&rig, &["login", "s", "--device"]);
    let (typed, _) = code(&mut login);
    // The next question is answered after the person has said yes, and its answer comes after the logout.
    rig.authority.hold(Endpoint::Token, Hold::Before);
    rig.authority.held(Endpoint::Token, 1).await;
    let answered = || rig.authority.requests_to(Endpoint::Token).len();
    let before = answered();
    rig.authority.decide(&typed, None);
    rig.authority.hold(Endpoint::Token, Hold::After);
    until("tokens", || answered() > before);
    let out = rig.janus.home().run(&["logout", "s"]);
    assert!(out.status.success(), "{}", out.stderr);
    assert!(!login.finish().status.success(), "it was given up");
    assert_eq!(rig.authority.revoked(), [""; 0]);
    rig.authority.release(Endpoint::Token);
    until("what was given back", || {
        !rig.authority.revoked().is_empty()
    });
    assert_eq!(account(&rig)["needs_login"], true);
    rig.assert_clean();
}

#[tokio::test]
async fn a_code_that_nobody_typed_in_time_ends_the_command_as_expired() {
    let rig = Rig::start(by_device(), Protection::default(), "auth: oauth").await;
    let expired = Said::text(400, "application/json", r#"{"error":"expired_token"}"#);
    rig.authority
        .next_answer(Endpoint::Token, Answer::Instead(expired));
    let ended = rig.janus.home().run(&["login", "s", "--device"]);
    assert_eq!(ended.status.code(), Some(4), "{}", ended.stderr);
    for said in ["error[login_expired]: ", "janus login s/default"] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    assert_eq!(account(&rig)["needs_login"], true);
}

#[tokio::test]
async fn a_client_is_told_the_code_and_where_it_is_typed() {
    let auth = "auth: { oauth: { grant: device_code } }";
    let rig = Rig::start(by_device(), Protection::default(), auth).await;
    let mut client = rig.client(Era::Modern).await;
    let result = call(&mut client, "s__who").await;
    let typed = rig.authority.user_codes().remove(0);
    let place = rig.authority.endpoint("device");
    let told = format!("Open {place} on any device and type {typed}, or run on ");
    assert!(text(&result).contains(&told), "{result}");
    rig.authority.decide(&typed, None);
    let id = rig.janus.home().run(&["login", "s"]);
    succeeded(&id);
    assert_eq!(text(&rig.called(&mut client, "s__who").await), "ana");
    rig.assert_clean();
}

/// Logs in as this person to the end.
async fn log_in(rig: &Rig, who: Person, arguments: &[&str]) -> Ended {
    rig.authority.behave(|behaviour| behaviour.person = who);
    let mut login = begin(rig, &[arguments, &["--again"]].concat());
    land(&rig.authority.follow(&provider_link(&mut login)).await).await;
    login.finish()
}

#[tokio::test]
async fn a_tool_of_the_server_says_who_logged_in_before_anybody_uses_it() {
    for modern in [false, true] {
        let protection = Protection {
            modern,
            ..Protection::default()
        };
        let rig = Rig::start(Behaviour::default(), protection, ASKS_THE_SERVER).await;
        let ended = log_in(&rig, Person::at("ana", "client-a"), &["login", "s"]).await;
        succeeded(&ended);
        let done = "✔ logged in as ana, workspace client-a\n  saved for s/default; ";
        assert!(ended.stdout.starts_with(done), "{}", ended.stdout);
        assert_eq!(account(&rig)["verified_as"], "ana, workspace client-a");
        let calls = |rig: &Rig| {
            let seen = rig.server.seen().into_iter();
            let called = seen.filter(|seen| seen.method == "tools/call" && seen.status == 200);
            let of = |seen: crate::support::authorization::Presented| {
                (seen.tool, seen.person.map(|person| person.name))
            };
            called.map(of).collect::<Vec<_>>()
        };
        let asked = |name: &str| ("whoami".to_owned(), Some(name.to_owned()));
        assert_eq!(calls(&rig), [asked("ana")]);
        // Somebody else, and the same person elsewhere, are not saved, and what they got is given back.
        for (who, shown) in [
            (Person::at("bob", "client-a"), "bob, workspace client-a"),
            (Person::at("ana", "client-b"), "ana, workspace client-b"),
        ] {
            rig.server.forget();
            let revoked = rig.authority.revoked().len();
            let name = who.name.clone();
            let ended = log_in(&rig, who, &["login", "s"]).await;
            assert_eq!(ended.status.code(), Some(5), "{}", ended.stderr);
            let told = format!("you logged in as {shown}, s/default is ana, workspace client-a");
            assert!(ended.stderr.contains(&told), "{}", ended.stderr);
            assert_eq!(calls(&rig), [asked(&name)]);
            assert!(rig.authority.revoked().len() > revoked);
            assert_eq!(account(&rig)["verified_as"], "ana, workspace client-a");
        }
        let mut client = rig.client(Era::Legacy).await;
        assert_eq!(text(&rig.called(&mut client, "s__who").await), "ana");
        rig.assert_clean();
    }
}

#[tokio::test]
async fn a_server_that_is_away_while_it_should_say_who_is_asked_again() {
    let rig = Rig::start(Behaviour::default(), Protection::default(), ASKS_THE_SERVER).await;
    let mut login = begin(&rig, &["login", "s"]);
    let back = rig.authority.follow(&provider_link(&mut login)).await;
    rig.server.outage(Outage::Refused);
    let ((status, page), ()) = tokio::join!(land(&back), async {
        // The code was used, and the tokens are there.
        rig.authority.came(Endpoint::Token, 1).await;
        let known = account(&rig);
        assert_eq!(known["needs_login"], true, "nobody knows who that is");
        rig.server.outage(Outage::None);
    });
    assert_eq!(status, 200, "{page}");
    let ended = login.finish();
    succeeded(&ended);
    assert!(
        ended.stdout.starts_with("✔ logged in as ana\n"),
        "{}",
        ended.stdout
    );
    rig.assert_clean();
}

#[tokio::test]
async fn a_server_that_is_configured_in_the_middle_of_a_login_sees_no_token_of_it() {
    let rig = Rig::start(Behaviour::default(), Protection::default(), ASKS_THE_SERVER).await;
    let other = ProtectedServer::start(&rig.authority, Protection::default()).await;
    let mut login = begin(&rig, &["login", "s"]);
    let back = rig.authority.follow(&provider_link(&mut login)).await;
    let file = rig.janus.home().config();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&rig.server.url(), &other.url())).unwrap();
    succeeded(&rig.janus.home().run(&["config", "reload"]));
    let (status, page) = land(&back).await;
    assert_eq!(status, 200, "{page}");
    succeeded(&login.finish());
    assert_eq!(account(&rig)["needs_login"], true);
    assert_eq!(other.violations(), [""; 0]);
    let tokens = other.seen().into_iter().filter_map(|seen| seen.token);
    assert_eq!(tokens.collect::<Vec<_>>(), [""; 0]);
    rig.assert_clean();
}

#[tokio::test]
async fn two_accounts_of_one_client_that_log_each_other_out_are_told_so() {
    let authority = AuthorizationServer::start(Behaviour {
        access_life: Duration::from_secs(1),
        login_ends_others: true,
        ..Behaviour::default()
    })
    .await;
    let uri = "http://127.0.0.1:7393/callback";
    authority.preregister("mine", Proof::None, &[uri]);
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let more = "auth: { oauth: { open_browser: false, client_id: mine, callback_port: 7393 } }, accounts: { one: {}, two: {} }";
    let home = home(
        &format!("  s: {{ url: \"{}\", {more} }}\n", server.url()),
        "",
    );
    let mut rig = Rig {
        janus: Janus::start_in(home, |_| {}),
        authority,
        server,
    };
    for name in ["s/one", "s/two"] {
        let mut login = begin(&rig, &["login", name]);
        land(&rig.authority.follow(&provider_link(&mut login)).await).await;
        succeeded(&login.finish());
    }
    let why = "the provider ended the earlier one just after another account logged in by the same client";
    // Its token lives a second.
    until("the end of the first login", || {
        account(&rig)["grant"]["reason"] == "displaced"
    });
    let shown = rig.janus.home().run(&["status"]).stdout;
    let line = format!("janus login s/one   # {why}");
    assert!(shown.contains(&line), "{shown}");
    let mut client = rig.client(Era::Modern).await;
    let params = json!({ "name": "s__who", "arguments": { "janus_account": "one" } });
    let result = client.result("tools/call", params).await;
    assert!(text(&result).contains(why), "{result}");
    assert_eq!(told(&result).1["reason"], "displaced");
    let journal = rig.janus.stderr();
    assert!(
        journal.contains(&format!("s/one needs a login: {why}")),
        "{journal}"
    );
    assert!(
        journal.contains("s/two logged in by the same client a moment ago"),
        "{journal}"
    );
    rig.assert_clean();
}

/// Shows what it is told on a bus.
struct Desktop(mpsc::Sender<[String; 3]>);

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Desktop {
    #[expect(
        clippy::too_many_arguments,
        reason = "the Desktop Notifications Specification has them"
    )]
    async fn notify(
        &self,
        application: String,
        replaces: u32,
        icon: String,
        summary: String,
        body: String,
        actions: Vec<String>,
        hints: HashMap<String, OwnedValue>,
        expires: i32,
    ) -> u32 {
        drop((replaces, icon, actions, hints, expires));
        self.0.send([application, summary, body]).await.unwrap();
        1
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desktop_is_told_once_that_a_login_is_needed() {
    let Some(bus) = Keyring::bus() else {
        return;
    };
    let (sender, mut shown) = mpsc::channel(64);
    let desktop = zbus::connection::Builder::address(bus.address().as_str())
        .and_then(|builder| builder.name("org.freedesktop.Notifications"))
        .and_then(|builder| builder.serve_at("/org/freedesktop/Notifications", Desktop(sender)));
    let desktop = desktop.unwrap().build().await.unwrap();
    let authority = AuthorizationServer::start(Behaviour {
        access_life: Duration::from_secs(1),
        ..Behaviour::default()
    })
    .await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let home = home(
        &format!("  s: {{ url: \"{}\", {NO_BROWSER} }}\n", server.url()),
        "",
    );
    let janus = Janus::start_in(home, |command| {
        command.env("DBUS_SESSION_BUS_ADDRESS", bus.address());
    });
    let rig = Rig {
        janus,
        authority,
        server,
    };
    let mut client = rig.client(Era::Modern).await;
    let summary = "s/default needs a login".to_owned();
    for why in [
        "",
        ": the provider ended the earlier one",
        ": the provider ended the earlier one",
    ] {
        // Many calls find it out, and one notification is shown.
        let mut there = String::new();
        for _ in 0..5 {
            there = link(&call(&mut client, "s__who").await);
        }
        let body = format!("{summary}{why}. Run: janus login s/default");
        let told = within("a notification", shown.recv()).await.unwrap();
        assert_eq!(told, ["Janus".to_owned(), summary.clone(), body]);
        rig.log_in(&there).await;
        rig.called(&mut client, "s__who").await;
        rig.authority.revoke_all();
    }
    drop(desktop);
    assert_eq!(shown.try_recv().ok(), None);
    rig.assert_clean();
}
