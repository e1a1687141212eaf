//! A keyring that is locked when Janus starts: nobody waits for it, nobody is asked for a password, and whoever logs in
//! once it is unlocked is served by the same process.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::alive::{keyring_home, log_in};
use super::rig::{call, text};
use crate::secrets::state;
use crate::support::authorization::{
    AuthorizationServer, Behaviour, Endpoint, ProtectedServer, Protection, land,
};
use crate::support::{Client, Ended, Era, Home, Janus, Keyring, Output, Process, until};

/// A locked keyring costs a start no more than this.
const MOST: Duration = Duration::from_secs(1);
/// Whoever was unlocked is noticed by then.
const SOON: Duration = Duration::from_secs(2);

/// Whatever is called on a bus.
struct Watch(Process);

impl Watch {
    fn start(keyring: &Keyring) -> Self {
        let mut command = Command::new("dbus-monitor");
        command.args(["--address", &keyring.address(), "type='method_call'"]);
        let mut process = Process::start("dbus-monitor", &mut command);
        // Whoever becomes a monitor loses its name.
        process.line(Output::Stdout, |line| {
            line.contains("NameLost").then_some(())
        });
        Self(process)
    }

    /// The methods of secrets that were called, until now.
    fn called(self) -> Vec<String> {
        let said = self.0.stop().stdout;
        let calls = said.lines().filter(|line| line.starts_with("method call "));
        let secret = calls.filter(|line| line.contains("interface=org.freedesktop.Secret."));
        let members = secret.filter_map(|line| line.split_once("member="));
        members.map(|(_, member)| member.to_owned()).collect()
    }
}

fn start(home: Home, keyring: &Keyring) -> (Janus, Duration) {
    let began = Instant::now();
    let janus = Janus::start_in(home, |command| {
        command.env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
    });
    (janus, began.elapsed())
}

/// The fastest of a few starts, which says what a start costs on a machine that does other things too.
fn starts(mut home: Home, keyring: &Keyring) -> (Home, Duration) {
    let mut fastest = Duration::MAX;
    for _ in 0..3 {
        let (janus, took) = start(home, keyring);
        fastest = fastest.min(took);
        home = janus.stop().1;
    }
    (home, fastest)
}

/// A login that another process begins.
fn begun(janus: &Janus, account: &str) -> Ended {
    let arguments = ["login", account, "--no-wait", "--json"];
    janus.home().run(&arguments)
}

/// `s` and `t`: one is logged in to, one never was.
fn two_servers(server: &ProtectedServer) -> Home {
    let home = keyring_home(server);
    let text = std::fs::read_to_string(home.config()).unwrap();
    let more = format!("  t: {{ url: \"{}\", auth: oauth }}\n", server.url());
    std::fs::write(home.config(), text + &more).unwrap();
    home
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_keyring_delays_no_start_asks_nobody_and_lets_log_in_once_it_is_unlocked() {
    let Some(keyring) = Keyring::unlocked() else {
        return;
    };
    let authority = AuthorizationServer::start(Behaviour::default()).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let (janus, _) = start(two_servers(&server), &keyring);
    log_in((&authority, "s"), janus.home(), Some(&keyring.address())).await;
    // What a login takes to begin, here and now.
    let began = Instant::now();
    let waiting = begun(&janus, "t");
    let usual_login = began.elapsed();
    assert!(waiting.status.success(), "{}", waiting.stderr);
    let (home, usual) = starts(janus.stop().1, &keyring);

    keyring.lock();
    let watch = Watch::start(&keyring);
    let (home, locked) = starts(home, &keyring);
    assert!(locked < usual + MOST, "{locked:?}, {usual:?} unlocked");
    let (janus, _) = start(home, &keyring);
    until("sealed", || state(janus.home(), "s/default") == "sealed");
    // Not even for those who want something.
    let registered = authority.count(Endpoint::Register);
    let refused = begun(&janus, "t");
    assert!(!refused.status.success(), "{}", refused.stdout);
    assert!(refused.stderr.contains("vault"), "{}", refused.stderr);
    let mut client = Client::open(janus.http(), "/mcp", Era::Modern).await;
    let result = call(&mut client, "s__whoami").await;
    assert!(text(&result).contains("janus vault unlock"), "{result}");
    let called = watch.called();
    assert!(!called.is_empty(), "nobody looked");
    let asks = |called: &[String]| {
        let asks = ["Unlock", "Prompt", "CreateCollection"];
        called.iter().any(|name| asks.contains(&name.as_str()))
    };
    assert!(!asks(&called), "somebody is asked: {called:?}");
    // A person's own command asks, so that this would have been seen.
    let watch = Watch::start(&keyring);
    let mut unlock = janus.home().command(&["vault", "unlock"]);
    unlock.arg("--config").arg(janus.home().config());
    unlock.env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
    Process::run("janus vault unlock", &mut unlock);
    let called = watch.called();
    assert!(asks(&called), "{called:?}");

    keyring.unlock("pw-one").await;
    let began = Instant::now();
    let mut waiting = None;
    until("a login", || {
        let said = begun(&janus, "t");
        let begins = said.status.success();
        waiting = begins.then_some(said);
        begins
    });
    let took = began.elapsed();
    assert!(took < SOON + 3 * usual_login, "{took:?}, {usual_login:?}");
    let waiting: Value = serde_json::from_str(&waiting.unwrap().stdout).unwrap();
    let page = waiting["url"].as_str().unwrap();
    let (status, said) = land(&authority.follow(page).await).await;
    assert_eq!(status, 200, "{said}");
    for account in ["s/default", "t/default"] {
        until(account, || state(janus.home(), account) == "ready");
    }
    let result = call(&mut client, "t__who").await;
    assert_eq!(text(&result), "ana");
    // The client of the login that was begun before the lock serves this one too.
    assert_eq!(authority.count(Endpoint::Register), registered);
    assert_eq!(authority.violations(), [""; 0]);
}
