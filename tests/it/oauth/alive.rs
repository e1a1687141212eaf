//! One owner of every grant, whatever happens to its process and whoever asks it.

use std::time::{Duration, Instant};

use serde_json::json;

use super::rig::{Rig, called, home, provider_link};
use crate::secrets::{document, state};
use crate::support::authorization::{
    AuthorizationServer, Behaviour, Endpoint, Grace, Hold, ProtectedServer, Protection, land,
};
use crate::support::{Client, Era, Home, Janus, Keyring, Process, scale, until};

/// Tokens that end while a test runs.
fn short() -> Behaviour {
    Behaviour {
        access_life: Duration::from_secs(1),
        ..Behaviour::default()
    }
}

/// Logs in a server's account by the redirect; with what the environment of the command needs.
pub(super) async fn log_in(
    (authority, server): (&AuthorizationServer, &str),
    home: &Home,
    bus: Option<&str>,
) {
    let mut command = home.command(&["login", server]);
    if let Some(bus) = bus {
        command.env("DBUS_SESSION_BUS_ADDRESS", bus);
    }
    let mut login = Process::start("janus login", &mut command);
    let url = provider_link(&mut login);
    let (status, page) = land(&authority.follow(&url).await).await;
    assert_eq!(status, 200, "{page}");
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

/// How often the grant of `s` changed.
fn generation(janus: &Janus) -> u64 {
    let status = document(janus.home(), &["status"]);
    status["accounts"][0]["grant"]["generation"]
        .as_u64()
        .unwrap()
}

/// Every refresh token that was shown was shown once.
fn assert_each_once(authority: &AuthorizationServer) {
    let mut shown: Vec<String> = authority
        .requests_to(Endpoint::Token)
        .iter()
        .filter_map(|asked| Some(asked.form.get("refresh_token")?.to_owned()))
        .collect();
    let count = shown.len();
    shown.sort();
    shown.dedup();
    assert_eq!(shown.len(), count, "a refresh token was shown twice");
    assert_eq!(authority.reuse(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_and_four_command_lines_show_each_refresh_token_once() {
    // A token lives a second at least, so that several accounts of one vault have theirs end at the same time.
    const ACCOUNTS: usize = 10;
    let authority = AuthorizationServer::start(short()).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let url = server.url();
    let lines: Vec<String> = (0..ACCOUNTS)
        .map(|number| format!("  s{number}: {{ url: \"{url}\", auth: oauth }}\n"))
        .collect();
    let janus = Janus::start_in(home(&lines.concat(), ""), |_| {});
    for number in 0..ACCOUNTS {
        let name = format!("s{number}");
        log_in((&authority, &name), janus.home(), None).await;
    }
    let expiries = scale(1000);
    let mut round = 0;
    while authority.refreshes() < expiries {
        // Two ask for one account, and two for another.
        let asking: Vec<Process> = (0..4)
            .map(|number| {
                let tool = format!("s{}__whoami", (round + number / 2) % ACCOUNTS);
                let mut command = janus.home().command(&["tool", "call", &tool]);
                Process::start("janus tool call", &mut command)
            })
            .collect();
        for process in asking {
            let ended = process.finish();
            assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        }
        round += 1;
    }
    assert_each_once(&authority);
    assert_eq!(authority.count(Endpoint::Authorize), ACCOUNTS);
    assert_eq!(authority.violations(), [""; 0]);
    assert_eq!(server.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_killed_again_and_again_needs_no_other_login() {
    // A provider that forgives one token that comes again: what a death between its answer and the disk needs.
    let behaviour = Behaviour {
        grace: Grace::UntilUsed,
        ..short()
    };
    let rig = Rig::start(behaviour, Protection::default(), "auth: oauth").await;
    log_in((&rig.authority, "s"), rig.janus.home(), None).await;
    let Rig {
        mut janus,
        authority,
        server,
    } = rig;
    let mut before = 0;
    for round in 0..scale(200) {
        {
            let mut client = Client::open(janus.http(), "/mcp", Era::Modern).await;
            called(&mut client, "s__whoami").await;
        }
        // What the last death cut off is mended: a provider forgives one death of a renewal, not two.
        until("a newer grant", || generation(&janus) > before);
        before = generation(&janus);
        let asked = authority.count(Endpoint::Token);
        // Some deaths meet the request on its way, some the answer, some the disk.
        let met = async {
            authority.came(Endpoint::Token, asked + 1).await;
            for _ in 0..(round % 7) * 40 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(3), met).await.ok();
        janus = Janus::start_in(janus.kill(), |_| {});
    }
    let mut client = Client::open(janus.http(), "/mcp", Era::Modern).await;
    called(&mut client, "s__whoami").await;
    assert_eq!(
        authority.count(Endpoint::Authorize),
        1,
        "somebody logged in again"
    );
    assert_eq!(server.violations(), [""; 0]);
}

/// A home whose vault's key is in the keyring.
pub(super) fn keyring_home(server: &ProtectedServer) -> Home {
    let home = home(
        &format!("  s: {{ url: \"{}\", auth: oauth }}\n", server.url()),
        "",
    );
    let text = std::fs::read_to_string(home.config()).unwrap();
    let text: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("vault:"))
        .collect();
    std::fs::write(home.config(), text.join("\n") + "\n").unwrap();
    home
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyring_that_is_locked_at_the_start_gives_the_login_back_when_it_is_unlocked() {
    let Some(keyring) = Keyring::unlocked() else {
        return;
    };
    let authority = AuthorizationServer::start(Behaviour::default()).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let home = keyring_home(&server);
    let start = |home| {
        Janus::start_in(home, |command| {
            command.env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
        })
    };
    // How long a start takes here and now, and one look at it: the rest is what the keyring would cost.
    let began = Instant::now();
    let janus = start(home);
    state(janus.home(), "s/default");
    let usual = began.elapsed();
    log_in((&authority, "s"), janus.home(), Some(&keyring.address())).await;
    until("the account", || {
        state(janus.home(), "s/default") == "ready"
    });
    let (_, home) = janus.stop();

    keyring.lock();
    let requests = authority.count_all();
    let began = Instant::now();
    let janus = start(home);
    assert!(
        began.elapsed() < Duration::from_secs(4) + 3 * usual,
        "{:?}, {usual:?}",
        began.elapsed()
    );
    until("sealed", || state(janus.home(), "s/default") == "sealed");
    keyring.unlock("pw-one").await;
    let began = Instant::now();
    until("the account", || {
        state(janus.home(), "s/default") == "ready"
    });
    assert!(
        began.elapsed() < Duration::from_secs(2) + 3 * usual,
        "{:?}, {usual:?}",
        began.elapsed()
    );
    assert_eq!(
        authority.count_all(),
        requests,
        "a token that is valid needs nobody"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_is_kept_though_the_keyring_is_locked_meanwhile() {
    let Some(keyring) = Keyring::unlocked() else {
        return;
    };
    let authority = AuthorizationServer::start(short()).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let start = |home| {
        Janus::start_in(home, |command| {
            command.env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
        })
    };
    let janus = start(keyring_home(&server));
    log_in((&authority, "s"), janus.home(), Some(&keyring.address())).await;
    // The token lives a second: whoever calls, or nobody, has it renewed.
    authority.hold(Endpoint::Token, Hold::After);
    authority.held(Endpoint::Token, 1).await;
    keyring.lock();
    // What is renewed after this one is good for long.
    authority.behave(|behaviour| behaviour.access_life = Duration::from_hours(1));
    authority.release(Endpoint::Token);
    let mut client = Client::open(janus.http(), "/mcp", Era::Modern).await;
    called(&mut client, "s__whoami").await;
    drop(client);
    until("the renewal on the disk", || {
        generation(&janus) == 1 + u64::try_from(authority.refreshes()).unwrap()
    });
    let grant = document(janus.home(), &["status"])["accounts"][0]["grant"].clone();
    assert_eq!(
        (&grant["state"], &grant["unpersisted"]),
        (&json!("fresh"), &json!(false)),
        "{grant}"
    );
    let refreshes = authority.refreshes();

    // The next life finds it, once it has the key.
    let janus = start(janus.kill());
    until("sealed", || state(janus.home(), "s/default") == "sealed");
    keyring.unlock("pw-one").await;
    until("the account", || {
        state(janus.home(), "s/default") == "ready"
    });
    let mut client = Client::open(janus.http(), "/mcp", Era::Modern).await;
    called(&mut client, "s__whoami").await;
    assert_eq!((authority.refreshes(), authority.reuse()), (refreshes, 0));
    assert_eq!(authority.count(Endpoint::Authorize), 1);
}
