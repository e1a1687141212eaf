//! Commands that print tokens: run as often as needed and no more, and harmless when they misbehave.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use janus::config::{self, Environment};
use janus::credential::{Clock, Credential, Ground};
use janus::model::AccountId;
use janus::store::Store;
use janus::vault::Vault;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::{Gate, Janus, scale, until};

use super::{call, home, run, script, state, succeeded};

/// An account of a remote server with this `auth`, and the clock that its tokens end by.
struct Rig {
    home: TempDir,
    credential: Arc<Credential>,
    clock: Clock,
    tasks: TaskTracker,
}

fn rig(script_text: &str, options: &str) -> Rig {
    let home = TempDir::with_prefix("janus-helper-").unwrap();
    let path = script(home.path(), "helper", script_text);
    let text = format!(
        "servers: {{ s: {{ url: \"https://a.example/mcp\", auth: {{ command: [{}], {options} }} }} }}",
        path.display()
    );
    let variables = [
        ("HOME", home.path().to_str().unwrap()),
        ("PATH", "/usr/bin:/bin"),
        ("SECRET_OF_JANUS", "canary-env"),
    ];
    let environment = Environment::new(variables, 0);
    let loaded = config::parse(&text, Path::new("/nowhere"), &environment).unwrap();
    let (store, _) = Store::in_memory().unwrap();
    let vault = Vault::new(&store, &loaded.settings.vault, None, Vec::new());
    let (clock, tasks) = (Clock::movable(), TaskTracker::new());
    let ground = Ground::new(
        &loaded.settings,
        vault,
        clock.clone(),
        (tasks.clone(), CancellationToken::new()),
    );
    let account = AccountId::default_of(&loaded.settings.servers[0].name);
    let credential = Arc::new(Credential::new(
        &account,
        &loaded.settings.servers[0].accounts[0],
        &ground,
    ));
    Rig {
        home,
        credential,
        clock,
        tasks,
    }
}

impl Rig {
    fn runs(&self) -> usize {
        fs::read_to_string(self.home.path().join("runs"))
            .unwrap_or_default()
            .lines()
            .count()
    }

    async fn header(&self) -> Result<String, String> {
        let attached = self
            .credential
            .attach()
            .await
            .map_err(|why| why.to_string())?;
        Ok(attached.headers["authorization"]
            .to_str()
            .unwrap()
            .to_owned())
    }
}

/// Counts its runs beside itself, and prints a token with that number.
const COUNTING: &str = "#!/bin/sh\ncd \"$HOME\" || exit 9\necho run >> runs\nprintf 'token-%s-%s' $(wc -l < runs) abcdef\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_over_fifty_expiries_run_it_fifty_times() {
    let rig = rig(COUNTING, "ttl: 10m");
    for round in 1..=50 {
        let mut calls = JoinSet::new();
        for _ in 0..200 {
            let credential = Arc::clone(&rig.credential);
            calls.spawn(async move { credential.attach().await.unwrap().stamp });
        }
        let stamps = calls.join_all().await;
        assert_eq!(rig.runs(), round, "round {round}");
        assert!(stamps.iter().all(|stamp| *stamp == stamps[0]), "{stamps:?}");
        rig.clock.advance(Duration::from_mins(11));
    }
    assert_eq!(rig.runs(), 50);
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_nobody_waits_for_that() {
    let rig = rig(COUNTING, "ttl: 10m");
    assert_eq!(rig.header().await.unwrap(), "Bearer token-1-abcdef");
    rig.clock.advance(Duration::from_secs(539));
    rig.header().await.unwrap();
    assert_eq!(rig.runs(), 1);
    // A minute before its end, while the old one still serves.
    rig.clock.advance(Duration::from_secs(2));
    assert_eq!(rig.header().await.unwrap(), "Bearer token-1-abcdef");
    rig.tasks.close();
    rig.tasks.wait().await;
    assert_eq!(rig.header().await.unwrap(), "Bearer token-2-abcdef");
    assert_eq!(rig.runs(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_token_is_valid_a_command_that_fails_harms_nobody() {
    let text = "#!/bin/sh\ncd \"$HOME\"; echo run >> runs\n[ $(wc -l < runs) = 1 ] || { echo not logged in >&2; exit 3; }\nprintf token-abcdef\n";
    let rig = rig(text, "ttl: 10m");
    rig.header().await.unwrap();
    rig.clock.advance(Duration::from_secs(545));
    let mut runs = Vec::new();
    for pause in [0, 1, 2, 4] {
        rig.clock.advance(Duration::from_secs(pause));
        assert_eq!(rig.header().await.unwrap(), "Bearer token-abcdef");
        // The run that this began fails in its own time; within the pause there is no other.
        let expected = runs.len() + 2;
        until("a run", || rig.runs() == expected);
        until("its end", || {
            rig.credential.report().left.is_some() && rig.tasks.is_empty()
        });
        for _ in 0..10 {
            rig.header().await.unwrap();
        }
        assert_eq!(rig.runs(), expected);
        runs.push(expected);
    }
    // Past its end, and within the pause after the last failure: it is not sent.
    rig.clock.advance(Duration::from_secs(50));
    let expired = rig.header().await.unwrap_err();
    assert!(expired.contains("exit status: 3"), "{expired}");
    rig.clock.advance(Duration::from_mins(1));
    let why = rig.header().await.unwrap_err();
    assert!(
        why.contains("exit status: 3") && why.contains("not logged in"),
        "{why}"
    );
}

#[tokio::test]
async fn without_a_ttl_it_runs_every_time() {
    let rig = rig(COUNTING, "ttl: 0");
    for round in 1..=5 {
        assert_eq!(
            rig.header().await.unwrap(),
            format!("Bearer token-{round}-abcdef")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_gets_a_clean_environment_and_leaves_nothing_behind() {
    let text = "#!/bin/sh\ncd \"$HOME\"; env > seen\n(sleep 300; echo alive > zombie) & echo $! > child\nprintf token-abcdef\n";
    let rig = rig(text, "pass_env: [SECRET_OF_JANUS]");
    let began = Instant::now();
    rig.header().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
    let seen = fs::read_to_string(rig.home.path().join("seen")).unwrap();
    let names: Vec<&str> = seen
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    for wanted in [
        "PATH",
        "HOME",
        "DBUS_SESSION_BUS_ADDRESS",
        "KUBERNETES_EXEC_INFO",
        "SECRET_OF_JANUS",
    ] {
        assert!(names.contains(&wanted), "{wanted}: {names:?}");
    }
    assert!(
        !names
            .iter()
            .any(|name| name.starts_with("LISTEN_") || *name == "NOTIFY_SOCKET"),
        "{names:?}"
    );
    let child = fs::read_to_string(rig.home.path().join("child")).unwrap();
    let child = format!("/proc/{}", child.trim());
    until("the end of what it started", || {
        !Path::new(&child).exists() || is_zombie(&child)
    });
}

fn is_zombie(process: &str) -> bool {
    fs::read_to_string(format!("{process}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

/// What misbehaves costs bounded time and memory, one run, and shows no secret.
#[tokio::test]
async fn the_zoo() {
    let exp = |offset: i64| {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        now.checked_add_signed(offset).unwrap()
    };
    let expired = format!(
        "#!/bin/sh\nprintf '{{\"access_token\":\"canary-token\",\"expires_at\":{}}}'\n",
        exp(-10)
    );
    for (name, text, options, expected) in [
        (
            "hangs",
            "#!/bin/sh\ncd \"$HOME\"; echo run >> runs\ntrap '' TERM\nsleep 300\n",
            "timeout: 1s",
            "did not end within 1 s",
        ),
        (
            "floods",
            "#!/bin/sh\ncd \"$HOME\"; echo run >> runs\nhead -c 1073741824 /dev/zero\n",
            "timeout: 30s",
            "more than 64 KiB",
        ),
        (
            "floods errors",
            "#!/bin/sh\ncd \"$HOME\"; echo run >> runs\nhead -c 50000000 /dev/zero >&2\nexit 4\n",
            "timeout: 30s",
            "exit status: 4",
        ),
        (
            "tells on stderr",
            "#!/bin/sh\necho ghp_16C7e42F292c6912E7710c838347Ae178B4a canary >&2\nexit 1\n",
            "timeout: 30s",
            "**** canary",
        ),
        (
            "is silent",
            "#!/bin/sh\nexit 0\n",
            "timeout: 30s",
            "output is empty",
        ),
        (
            "is late",
            expired.as_str(),
            "timeout: 30s",
            "expired already",
        ),
        (
            "says much",
            "#!/bin/sh\necho canary-token; echo canary-token\n",
            "timeout: 30s",
            "2 lines",
        ),
        (
            "fails with a token",
            "#!/bin/sh\nprintf canary-token\nexit 1\n",
            "timeout: 30s",
            "exit status: 1",
        ),
        (
            "dies",
            "#!/bin/sh\nkill -9 $$\n",
            "timeout: 30s",
            "signal: 9",
        ),
        (
            "is no program",
            "not a script",
            "timeout: 30s",
            "neither a program",
        ),
    ] {
        let rig = rig(text, options);
        let began = Instant::now();
        let why = rig.header().await.unwrap_err();
        assert!(why.contains(expected), "{name}: {why}");
        assert!(
            !why.contains("canary-token") && !why.contains("ghp_"),
            "{name}: {why}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{name}: {:?}",
            began.elapsed()
        );
        // Within the pause the same answer, and no other run.
        assert_eq!(rig.header().await.unwrap_err(), why, "{name}");
        assert!(rig.runs() <= 1, "{name}");
        rig.tasks.close();
        rig.tasks.wait().await;
    }
}

/// The server lets in one token at a time, and another one only after the command was run again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_runs_it_once_for_all_and_repeats_each_call_once() {
    let gate = Gate::start().await;
    let home = home(&format!(
        "s: {{ url: \"{}\", auth: {{ command: [~/helper], ttl: 1h }} }}\n",
        gate.url()
    ));
    let path = home.path().join("home");
    script(
        &path,
        "helper",
        "#!/bin/sh\ncd \"$HOME\"\necho run >> runs\nprintf 'token-%s-%s' $(cat wanted) abcdef\n",
    );
    let text = fs::read_to_string(home.config()).unwrap();
    fs::write(
        home.config(),
        text.replace("~/helper", path.join("helper").to_str().unwrap()),
    )
    .unwrap();
    let runs = || {
        fs::read_to_string(path.join("runs"))
            .unwrap_or_default()
            .lines()
            .count()
    };
    fs::write(path.join("wanted"), "0").unwrap();
    gate.accept_authorization("Bearer token-0-abcdef");
    let janus = Janus::start_in(home, |_| {});
    assert_ne!(call(&janus, "s__whoami").await["isError"], true);
    assert_eq!(runs(), 1);
    let rounds = scale(50);
    for round in 1..=rounds {
        fs::write(path.join("wanted"), round.to_string()).unwrap();
        gate.accept_authorization(&format!("Bearer token-{round}-abcdef"));
        let before = gate.calls();
        let calls: Vec<_> = (0..40).map(|_| call(&janus, "s__whoami")).collect();
        for result in futures_util::future::join_all(calls).await {
            assert_ne!(result["isError"], true, "{result}");
        }
        assert_eq!(runs(), round + 1, "round {round}");
        assert_eq!(gate.calls(), before + 40, "each ran once");
    }
    // The same value again is no reason to repeat anything.
    gate.accept(|_, _| 401);
    let result = call(&janus, "s__whoami").await;
    assert_eq!(result["isError"], true, "{result}");
    assert_eq!(runs(), rounds + 2);
    assert_eq!(call(&janus, "s__whoami").await["isError"], true);
    assert_eq!(runs(), rounds + 2, "and it is not asked again at once");
    // A 403 is usually a missing permission: once for each value.
    gate.accept(|_, _| 200);
    succeeded(&run(janus.home(), &["account", "verify", "s"]));
    gate.accept(|_, _| 403);
    for _ in 0..3 {
        assert_eq!(call(&janus, "s__whoami").await["isError"], true);
    }
    assert_eq!(runs(), rounds + 3);
    gate.accept(|_, _| 200);
    assert_ne!(call(&janus, "s__whoami").await["isError"], true);
    assert_eq!(state(janus.home(), "s/default"), "ready");
}
