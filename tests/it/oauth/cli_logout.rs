//! `janus logout`, as a person or a script runs it, against the fake authorization server.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cli_login::{failure, log_in, rig, run};
use super::rig::{Rig, begun, known, status};
use crate::support::Janus;
use crate::support::authorization::{Answer, Behaviour, Endpoint, Hold, Protection, Said};

#[tokio::test]
async fn a_logout_of_nobody_changes_nothing_but_a_login_that_waits() {
    let rig = rig().await;
    let before = status(&rig.janus)["accounts"][0]["grant"].clone();
    let out = run(&rig.janus, &["logout", "s"]);
    assert_eq!(out.status.code(), Some(0), "{}", out.stderr);
    assert_eq!(out.stdout, "s/default was not logged in; nothing changed\n");
    let now = status(&rig.janus)["accounts"][0]["grant"].clone();
    assert_eq!(now, before);
    run(&rig.janus, &["login", "s", "--no-wait"]);
    let out = run(&rig.janus, &["logout", "s"]);
    assert_eq!(
        out.stdout,
        "s/default was not logged in; the login that waited is cancelled\n"
    );
    assert_eq!(status(&rig.janus)["logins"], json!([]));
    assert_eq!(status(&rig.janus)["accounts"][0]["grant"], before);
}

#[tokio::test]
async fn a_logout_ends_the_grant_here_and_at_the_provider() {
    let rig = rig().await;
    log_in(&rig, &["login", "s"], "ana").await;
    // A login that waits goes with it.
    let left = begun(&rig.janus);
    let out = run(&rig.janus, &["logout", "s"]);
    assert_eq!(out.status.code(), Some(0), "{}", out.stderr);
    assert_eq!(
        out.stdout,
        "✔ logged out: s/default, here and at the provider\n"
    );
    assert!(!rig.authority.revoked().is_empty());
    let now = status(&rig.janus);
    assert_eq!(now["accounts"][0]["needs_login"], true, "{now}");
    assert_eq!(now["accounts"][0]["verified_as"], Value::Null);
    assert_eq!(now["logins"], json!([]));
    let gone = run(
        &rig.janus,
        &["login", "--wait", left["login"].as_str().unwrap(), "--json"],
    );
    assert_eq!(failure(&gone).0, "declined", "{}", gone.stderr);
    let again = run(&rig.janus, &["logout", "s"]);
    assert_eq!(
        again.stdout,
        "s/default was not logged in; nothing changed\n"
    );

    // Without the provider, only here.
    log_in(&rig, &["login", "s"], "ana").await;
    let revoked = rig.authority.count(Endpoint::Revoke);
    let local = run(&rig.janus, &["logout", "s", "--local"]);
    assert!(
        local.stdout.contains("the provider was not told"),
        "{}",
        local.stdout
    );
    assert_eq!(rig.authority.count(Endpoint::Revoke), revoked);

    // A provider that cannot be told is not said to have ended anything.
    rig.authority
        .behave(|behaviour| behaviour.revocation = false);
    log_in(&rig, &["login", "s"], "ana").await;
    let out = run(&rig.janus, &["logout", "s"]);
    assert!(
        out.stdout.contains("the provider did not confirm"),
        "{}",
        out.stdout
    );
    assert_eq!(rig.authority.count(Endpoint::Revoke), revoked);
    rig.assert_clean();
}

#[tokio::test]
async fn a_logout_that_the_disk_does_not_take_is_said_and_can_be_done_again() {
    let rig = rig().await;
    log_in(&rig, &["login", "s"], "ana").await;
    let state = rig.janus.home().path().join("state/janus/janus.db");
    let database = rusqlite::Connection::open(state).unwrap();
    database
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE DELETE ON oauth_grant BEGIN SELECT RAISE(ABORT, 'refused'); END;",
        )
        .unwrap();
    let refused = run(&rig.janus, &["logout", "s", "--local", "--json"]);
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    let said = failure(&refused).1;
    assert!(said.contains("logged in again after a restart"), "{said}");
    assert!(
        refused.stderr.contains("janus logout s/default"),
        "{}",
        refused.stderr
    );
    database.execute_batch("DROP TRIGGER refuse").unwrap();
    let done = run(&rig.janus, &["logout", "s"]);
    assert_eq!(done.status.code(), Some(0), "{}", done.stderr);
    assert!(
        done.stdout.starts_with("✔ forgotten here: s/default"),
        "{}",
        done.stdout
    );
    let Rig { janus, .. } = rig;
    let janus = Janus::start_in(janus.kill(), |_| {});
    let row = status(&janus)["accounts"][0].clone();
    assert_eq!(row["needs_login"], true, "{row}");
}

#[tokio::test]
async fn a_logout_ends_the_refresh_token_at_the_provider_first() {
    let rig = rig().await;
    log_in(&rig, &["login", "s"], "ana").await;
    let out = run(&rig.janus, &["logout", "s"]);
    assert_eq!(out.status.code(), Some(0), "{}", out.stderr);
    let asked = rig.authority.requests_to(Endpoint::Revoke);
    let told: Vec<_> = asked
        .iter()
        .map(|asked| (asked.form.text("token_type_hint"), asked.form.text("token")))
        .collect();
    let [(first, refresh), (second, access)] = told[..] else {
        panic!("{told:?}");
    };
    assert_eq!((first, second), ("refresh_token", "access_token"));
    // The fake writes into each token of what kind it is.
    assert!(refresh.contains("refresh"), "{refresh}");
    assert!(access.contains("access"), "{access}");
    assert_eq!(rig.authority.revoked(), [refresh, access]);
    rig.assert_clean();
}

#[tokio::test]
async fn a_provider_that_hears_and_says_nothing_does_not_hold_a_logout() {
    let rig = rig().await;
    log_in(&rig, &["login", "s"], "ana").await;
    rig.authority.hold(Endpoint::Revoke, Hold::Before);
    let began = Instant::now();
    let out = run(&rig.janus, &["logout", "s"]);
    let took = began.elapsed();
    assert_eq!(out.status.code(), Some(0), "{}", out.stderr);
    assert!(
        out.stdout.contains("the provider did not confirm"),
        "{}",
        out.stdout
    );
    // The limit is 5 s; a request to a provider may otherwise take 30.
    assert!(took < Duration::from_secs(25), "{took:?}");
    let asked = rig.authority.count(Endpoint::Revoke);
    assert_eq!(
        asked, 1,
        "who did not hear the first is not told the second"
    );
    assert_eq!(status(&rig.janus)["accounts"][0]["needs_login"], true);
    rig.authority.release(Endpoint::Revoke);
    rig.assert_clean();
}

/// A provider that lets clients be removed, and who is logged in there.
async fn managed() -> Rig {
    let rig = rig().await;
    rig.authority
        .behave(|behaviour| behaviour.management = true);
    log_in(&rig, &["login", "s"], "ana").await;
    rig
}

fn logged_out(rig: &Rig, more: &[&str]) -> Value {
    let words = [&["logout", "s", "--json"], more].concat();
    let out = run(&rig.janus, &words);
    assert_eq!(out.status.code(), Some(0), "{}", out.stderr);
    serde_json::from_str(&out.stdout).unwrap()
}

#[tokio::test]
async fn a_logout_removes_the_client_that_was_registered_for_the_account() {
    // The token for it comes from the disk.
    let rig = managed().await.restarted();
    let out = logged_out(&rig, &[]);
    assert_eq!(
        (&out["revoked"], &out["client_removed"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(rig.authority.clients(), []);
    let order: Vec<_> = rig
        .authority
        .requests()
        .into_iter()
        .map(|asked| asked.endpoint)
        .collect();
    let last = [Endpoint::Revoke, Endpoint::Revoke, Endpoint::Manage];
    assert!(order.ends_with(&last), "{order:?}");
    assert_eq!(
        rig.authority.requests_to(Endpoint::Manage)[0].method,
        "DELETE"
    );
    // The next login makes another one.
    log_in(&rig, &["login", "s"], "ana").await;
    assert_eq!(rig.authority.count(Endpoint::Register), 2);
    // Of a login that its provider ended there is a client, too.
    rig.authority.revoke_all();
    run(&rig.janus, &["account", "verify", "s"]);
    let out = logged_out(&rig, &[]);
    assert_eq!(out["client_removed"], true, "{out}");
    assert_eq!(rig.authority.clients(), []);
    rig.assert_clean();
}

#[tokio::test]
async fn a_client_that_is_not_removed_serves_the_next_login() {
    let rig = managed().await;
    for refusal in [405, 401, 500] {
        let answer = Answer::Instead(Said::error(refusal, "no"));
        rig.authority.next_answer(Endpoint::Manage, answer);
        let out = logged_out(&rig, &[]);
        assert_eq!(out["client_removed"], false, "{refusal}: {out}");
        log_in(&rig, &["login", "s"], "ana").await;
    }
    rig.authority.hold(Endpoint::Manage, Hold::Before);
    let began = Instant::now();
    assert_eq!(logged_out(&rig, &[])["client_removed"], false);
    assert!(began.elapsed() < Duration::from_secs(25));
    rig.authority.release(Endpoint::Manage);
    log_in(&rig, &["login", "s"], "ana").await;
    // Where the provider is not told, it is not told of this.
    let asked = rig.authority.count(Endpoint::Manage);
    assert_eq!(
        logged_out(&rig, &["--local"])["client_removed"],
        Value::Null
    );
    assert_eq!(rig.authority.count(Endpoint::Manage), asked);
    let rig = rig.restarted();
    log_in(&rig, &["login", "s"], "ana").await;
    assert_eq!(rig.authority.count(Endpoint::Register), 1);
    rig.assert_clean();
}

#[tokio::test]
async fn a_client_of_all_accounts_of_a_server_stays() {
    let behaviour = Behaviour {
        management: true,
        ..known()
    };
    let auth = "auth: { oauth: { registration_scope: server } }";
    let rig = Rig::start(behaviour, Protection::default(), auth).await;
    log_in(&rig, &["login", "s"], "ana").await;
    assert_eq!(logged_out(&rig, &[])["client_removed"], Value::Null);
    assert_eq!(rig.authority.count(Endpoint::Manage), 0);
    rig.assert_clean();
}
