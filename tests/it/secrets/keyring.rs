//! A real keyring: unlocked, locked, absent, killed and back.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Gate, Home, Janus, Keyring, Process, until};

use super::{document, state, succeeded};

/// Commands of this home know the keyring's bus.
fn run(
    home: &Home,
    keyring: &Keyring,
    arguments: &[&str],
    input: Option<&str>,
) -> crate::support::Ended {
    let mut command = home.command(arguments);
    command
        .arg("--config")
        .arg(home.config())
        .env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
    let mut process = Process::start("janus", &mut command);
    if let Some(input) = input {
        process.say(input);
    }
    process.close_stdin();
    process.finish()
}

fn start(home: Home, keyring: &Keyring) -> Janus {
    Janus::start_in(home, |command| {
        command.env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
    })
}

fn vault(janus: &Janus) -> Value {
    document(janus.home(), &["vault", "status"])
}

/// A server that lets in who has the secret, and a home whose vault has it and its key in the keyring.
async fn kept_in(keyring: &Keyring) -> (Gate, Home) {
    let gate = Gate::start().await;
    gate.accept_authorization("Bearer value-of-the-keyring");
    let home = Home::new(&format!(
        "s: {{ url: \"{}\", auth: {{ bearer: vault:k }} }}\n",
        gate.url()
    ));
    let value = Some("value-of-the-keyring");
    succeeded(&run(&home, keyring, &["secret", "set", "k"], value));
    (gate, home)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locked_absent_and_killed_it_is_told_and_unlocking_mends_it_at_once() {
    let Some(mut keyring) = Keyring::unlocked() else {
        return;
    };
    let (_gate, home) = kept_in(&keyring).await;
    let janus = start(home, &keyring);
    until("the account", || {
        state(janus.home(), "s/default") == "ready"
    });
    assert_eq!(vault(&janus)["key"], "secret-service");

    // What is open stays open when the keyring is locked, and when it dies.
    keyring.lock();
    assert_eq!(vault(&janus)["state"], "open");
    keyring.kill();
    succeeded(&run(
        janus.home(),
        &keyring,
        &["account", "verify", "s"],
        None,
    ));
    let (_, home) = janus.stop();

    // Absent at the start: ready at once, sealed, and usable when it comes.
    let began = Instant::now();
    let janus = start(home, &keyring);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    until("sealed", || state(janus.home(), "s/default") == "sealed");
    let status = vault(&janus);
    assert!(
        status["because"]
            .as_str()
            .unwrap()
            .contains("no Secret Service"),
        "{status}"
    );
    let refused = run(janus.home(), &keyring, &["account", "verify", "s"], None);
    assert_eq!(refused.status.code(), Some(4), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("error[sealed]") && refused.stderr.contains("janus vault unlock"),
        "{}",
        refused.stderr
    );

    // There, with the wrong password, which leaves it locked.
    keyring.start(Some("wrong"));
    until("locked", || {
        vault(&janus)["because"]
            .as_str()
            .is_some_and(|why| why.contains("locked"))
    });
    assert_eq!(state(janus.home(), "s/default"), "sealed");
    let unlock = run(janus.home(), &keyring, &["vault", "unlock"], None);
    assert_eq!(
        unlock.status.code(),
        Some(4),
        "nobody can type a password here: {}{}",
        unlock.stdout,
        unlock.stderr
    );
    let set = run(
        janus.home(),
        &keyring,
        &["secret", "set", "other"],
        Some("x"),
    );
    assert_eq!(set.status.code(), Some(4), "{}", set.stderr);

    keyring.kill();
    keyring.start(Some("pw-one"));
    let began = Instant::now();
    until("the account", || {
        state(janus.home(), "s/default") == "ready"
    });
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locked_at_the_start_it_is_noticed_when_it_is_unlocked() {
    let Some(keyring) = Keyring::unlocked() else {
        return;
    };
    let (_gate, home) = kept_in(&keyring).await;
    keyring.lock();
    let mut janus = start(home, &keyring);
    until("sealed", || state(janus.home(), "s/default") == "sealed");
    keyring.unlock("pw-one").await;
    let began = Instant::now();
    until("the account", || {
        state(janus.home(), "s/default") == "ready"
    });
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?} {}",
        began.elapsed(),
        janus.stderr()
    );
    succeeded(&run(janus.home(), &keyring, &["vault", "rekey"], None));
    let (_, home) = janus.stop();
    let janus = start(home, &keyring);
    until("the account", || {
        state(janus.home(), "s/default") == "ready"
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_bus_that_ends_and_comes_back_is_heard_again() {
    let Some(mut keyring) = Keyring::unlocked() else {
        return;
    };
    let (_gate, home) = kept_in(&keyring).await;
    keyring.kill();
    let janus = start(home, &keyring);
    until("sealed", || state(janus.home(), "s/default") == "sealed");
    keyring.end_bus();
    until("no bus", || {
        vault(&janus)["because"]
            .as_str()
            .is_some_and(|why| why.contains("the session bus does not answer"))
    });
    keyring.begin_bus();
    keyring.start(Some("wrong"));
    until("locked", || {
        vault(&janus)["because"]
            .as_str()
            .is_some_and(|why| why.contains("locked"))
    });
    // What is said on the new bus is heard.
    keyring.unlock("pw-one").await;
    let began = Instant::now();
    until("the account", || {
        state(janus.home(), "s/default") == "ready"
    });
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    // What is open needs no bus.
    keyring.end_bus();
    assert_eq!(vault(&janus)["state"], "open");
    let verified = ["account", "verify", "s"];
    succeeded(&run(janus.home(), &keyring, &verified, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_keyring_nothing_is_made_and_with_a_locked_one_neither() {
    let Some(mut keyring) = Keyring::bus() else {
        return;
    };
    let home = Home::new("s: { command: [cat] }\n");
    let refused = run(&home, &keyring, &["secret", "set", "k"], Some("value"));
    assert_eq!(refused.status.code(), Some(4), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("no Secret Service"),
        "{}",
        refused.stderr
    );
    keyring.start(None);
    let refused = run(&home, &keyring, &["secret", "set", "k"], Some("value"));
    assert_eq!(refused.status.code(), Some(4), "{}", refused.stderr);
}
