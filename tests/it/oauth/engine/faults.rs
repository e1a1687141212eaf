//! A database that refuses, a vault that is sealed, a logout. What a real disk does is in `disks`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use janus::credential::NoCredential;
use janus::credential::oauth::{GrantState, LoginReason};
use janus::model::OAuth;
use rusqlite::Connection;

use super::{AWAY, BACK, HOUR, Rig, account, database};
use crate::support::authorization::{Behaviour, Endpoint, Grace};
use crate::support::until;

/// Has the database refuse every change of a grant, as one does that contradicts it.
fn contradict(rig: &Rig) -> Connection {
    let database = Connection::open(rig.state().join("janus.db")).unwrap();
    database
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE UPDATE ON oauth_grant BEGIN SELECT RAISE(ABORT, 'refused'); END;",
        )
        .unwrap();
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_refuses_is_used_and_kept_beside_it() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    life.token().await.unwrap();
    life.grants.quiet().await;
    let tasks = life.tasks.len();
    // It refuses from here on: its table is gone.
    database(rig.home.path(), AWAY);
    rig.advance(HOUR);
    let token = life.token().await.unwrap();
    assert!(rig.takes(&token));
    assert!(life.grant.status().unpersisted);
    let rescue = rig.home.path().join("run/janus/rescue");
    let kept: Vec<_> = fs::read_dir(&rescue).unwrap().flatten().collect();
    assert_eq!(kept.len(), 1);
    let path = kept[0].path();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains(token.expose()));
    // And again: what is kept is the latest, and one task tries to save it.
    let mut token = token;
    for _ in 0..3 {
        rig.advance(HOUR);
        token = life.token().await.unwrap();
        assert!(rig.takes(&token));
    }
    life.grants.quiet().await;
    until("the end of the renewals", || life.tasks.len() == tasks + 1);
    // The table is there again.
    database(rig.home.path(), BACK);
    rig.clock.advance(Duration::from_mins(2));
    let mut changes = life.grant.watch();
    while life.grant.status().unpersisted {
        changes.changed().await.unwrap();
    }
    assert!(!path.exists());
    life.stop().await;
    let life = rig.life();
    assert_eq!(life.token().await.unwrap(), token);
    assert_eq!(rig.authority.reuse(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_finds_what_was_kept_beside_the_database() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    life.token().await.unwrap();
    database(rig.home.path(), AWAY);
    rig.advance(HOUR);
    let token = life.token().await.unwrap();
    life.kill();
    database(rig.home.path(), BACK);
    let life = rig.life();
    assert_eq!(life.token().await.unwrap(), token);
    rig.advance(HOUR);
    assert!(rig.takes(&life.token().await.unwrap()));
    assert_eq!(rig.authority.reuse(), 0);
    let rescue = rig.home.path().join("run/janus/rescue");
    assert_eq!(fs::read_dir(&rescue).unwrap().count(), 0);
}

/// A provider has renewed a token, and what came is beside the disk alone.
async fn rescued(grace: Grace) -> (Rig, PathBuf) {
    let (rig, life) = Rig::logged_in(Behaviour {
        grace,
        ..Behaviour::default()
    })
    .await;
    life.token().await.unwrap();
    database(rig.home.path(), AWAY);
    rig.advance(HOUR);
    life.token().await.unwrap();
    life.kill();
    database(rig.home.path(), BACK);
    let rescue = rig.home.path().join("run/janus/rescue");
    let mut kept = fs::read_dir(&rescue).unwrap().flatten();
    let file = kept.next().unwrap().path();
    (rig, file)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_beside_the_disk_leaves_what_is_on_the_disk() {
    for damage in ["refresh_token", "access_token", "facts", ""] {
        let (rig, file) = rescued(Grace::Times(1)).await;
        if damage.is_empty() {
            fs::write(&file, "{").unwrap();
        } else {
            let text = fs::read_to_string(&file).unwrap();
            let mut kept: serde_json::Value = serde_json::from_str(&text).unwrap();
            kept[damage] = "AAAA".into();
            fs::write(&file, kept.to_string()).unwrap();
        }
        let life = rig.life();
        // It was used before, which this provider forgives once.
        let token = life.token().await;
        let counts = (rig.authority.forgiven(), rig.authority.reuse());
        assert_eq!(counts, (1, 0), "{damage}: {token:?}");
        assert!(rig.takes(&token.unwrap()), "{damage}");
        life.grants.quiet().await;
        assert!(!file.exists(), "{damage}");
        life.stop().await;
    }
    // Where nothing is forgiven it is told as what it is.
    let (rig, file) = rescued(Grace::None).await;
    fs::write(&file, "{").unwrap();
    let life = rig.life();
    let reason = LoginReason::Lost;
    let why = life.token().await.unwrap_err();
    assert_eq!(why, NoCredential::NeedsLogin { reason });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_forgotten_leaves_nothing_beside_the_disk() {
    let (rig, file) = rescued(Grace::None).await;
    let life = rig.life_of(&account("another"), OAuth::default());
    assert!(file.exists());
    life.grants.forget(&account("one")).await.unwrap();
    assert!(!file.exists());
    life.stop().await;
    assert_eq!(
        rig.life().state(),
        GrantState::NeedsLogin(LoginReason::Never)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_beside_the_disk_of_an_earlier_login_is_not_taken_for_a_later_one() {
    let (rig, file) = rescued(Grace::None).await;
    // It was out of reach when that login ended.
    let aside = file.with_extension("aside");
    fs::rename(&file, &aside).unwrap();
    let life = rig.life();
    life.grant.end().await.1.unwrap();
    life.begin(rig.granted().await).await.unwrap();
    let token = life.token().await.unwrap();
    life.stop().await;
    fs::rename(&aside, &file).unwrap();
    let life = rig.life();
    assert_eq!(life.token().await.unwrap(), token);
    assert!(!life.grant.status().unpersisted && !file.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_contradicts_the_database_is_dropped() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    life.token().await.unwrap();
    let _database = contradict(&rig);
    rig.advance(HOUR);
    // A contradiction is what a login by another hand would be; the token that came is given back.
    let grant = Arc::clone(&life.grant);
    let call = tokio::spawn(async move { grant.token().await });
    rig.authority.came(Endpoint::Revoke, 2).await;
    call.abort();
    assert_eq!(life.grant.status().generation, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_vault_is_said_and_over_when_the_key_is_there() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    let token = life.token().await.unwrap();
    life.stop().await;
    let (key, away) = (
        rig.home.path().join("vault.key"),
        rig.home.path().join("away"),
    );
    fs::rename(&key, &away).unwrap();
    let life = rig.life();
    let why = life.token().await.unwrap_err();
    assert!(matches!(why, NoCredential::Sealed(_)), "{why}");
    assert_eq!(life.state(), GrantState::Sealed);
    fs::rename(&away, &key).unwrap();
    let opened = life.vault.open().await;
    opened.unwrap();
    life.stands(|state| *state == GrantState::Fresh).await;
    assert_eq!(life.token().await.unwrap(), token);
    assert_eq!(rig.authority.refreshes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_seals_grants_and_registrations_anew() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    let token = life.token().await.unwrap();
    let before = life.vault.grant(life.grant.account()).unwrap();
    let vault = life.vault.clone();
    vault.rekey().await.unwrap();
    let after = life.vault.grant(life.grant.account()).unwrap();
    assert_eq!(before.generation, after.generation);
    assert_ne!(before.refresh_token, after.refresh_token);
    rig.advance(HOUR);
    let newer = life.token().await.unwrap();
    assert!(newer != token && rig.takes(&newer));
    life.stop().await;
    let life = rig.life();
    assert_eq!(life.token().await.unwrap(), newer);
    let issuer = rig.authority.issuer();
    let registered = life.grant.registration(issuer).await.unwrap().unwrap();
    assert_eq!(registered.client_id, "janus");
    rig.advance(HOUR);
    assert!(rig.takes(&life.token().await.unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_leaves_nothing_and_says_so() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    let token = life.token().await.unwrap();
    let (ended, stored) = life.grant.end().await;
    stored.unwrap();
    let ended = ended.unwrap();
    assert_eq!(ended.registration.client_id, "janus");
    assert_eq!(ended.source, rig.source());
    let tokens = ended.tokens.unwrap();
    assert!(tokens.access == token && tokens.refresh.is_some());
    let reason = LoginReason::LoggedOut;
    let why = life.token().await.unwrap_err();
    assert_eq!(why, NoCredential::NeedsLogin { reason });
    assert!(life.grant.end().await.0.is_none());
    rig.advance(HOUR * 24);
    life.grants.quiet().await;
    assert_eq!(rig.authority.refreshes(), 0);
    life.stop().await;
    let life = rig.life();
    assert_eq!(life.state(), GrantState::NeedsLogin(LoginReason::Never));
    let database = Connection::open(rig.state().join("janus.db")).unwrap();
    let rows: i64 = database
        .query_row("SELECT count(*) FROM oauth_grant", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_that_the_database_refuses_can_be_told_to_the_provider() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    let token = life.token().await.unwrap();
    database(rig.home.path(), AWAY);
    let (ended, stored) = life.grant.end().await;
    stored.unwrap_err();
    let ended = ended.unwrap();
    assert_eq!(ended.source, rig.source());
    let tokens = ended.tokens.unwrap();
    assert!(tokens.access == token && tokens.refresh.is_some());
    assert_eq!(life.state(), GrantState::NeedsLogin(LoginReason::LoggedOut));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nothing_renews_needs_a_person_and_that_is_kept() {
    for refused in [false, true] {
        let rig = Rig::new(Behaviour {
            refresh_tokens: false,
            ..Behaviour::default()
        })
        .await;
        let life = rig.life();
        let mut granted = rig.granted().await;
        if refused {
            granted.tokens.life = None;
        }
        life.begin(granted).await.unwrap();
        let token = life.token().await.unwrap();
        let mut notices = life.grants.notices();
        let reason = LoginReason::Expired;
        rig.advance(HOUR);
        if refused {
            assert!(!life.grant.refused(&token, 401).await);
            assert!(!life.grant.refused(&token, 401).await);
        }
        let why = life.token().await.unwrap_err();
        assert_eq!(why, NoCredential::NeedsLogin { reason });
        assert_eq!(notices.recv().await.unwrap().reason, reason);
        let since = life.grant.status().since;
        life.grants.quiet().await;
        life.stop().await;

        rig.advance(HOUR);
        let life = rig.life();
        let mut notices = life.grants.notices();
        let why = life.token().await.unwrap_err();
        assert_eq!(why, NoCredential::NeedsLogin { reason });
        life.grants.quiet().await;
        assert!(notices.try_recv().is_err());
        assert_eq!(life.grant.status().since, since, "it is not new");
        assert_eq!(rig.authority.refreshes(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_costs_its_own_account_a_login() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    life.token().await.unwrap();
    life.stop().await;
    let database = Connection::open(rig.state().join("janus.db")).unwrap();
    database
        .execute("UPDATE oauth_grant SET generation = generation + 1", [])
        .unwrap();
    drop(database);
    let life = rig.life();
    let reason = LoginReason::Lost;
    let why = life.token().await.unwrap_err();
    assert_eq!(why, NoCredential::NeedsLogin { reason });
    assert_eq!(rig.authority.refreshes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_of_another_authorization_server_is_not_used() {
    let rig = Rig::new(Behaviour::default()).await;
    let life = rig.life();
    let other = super::registration("https://other.example");
    life.grant.keep_registration(&other).await.unwrap();
    // It has the same id, so that the grant finds it.
    life.begin(rig.granted().await).await.unwrap();
    rig.advance(HOUR + Duration::from_secs(1));
    let why = life.token().await.unwrap_err();
    assert!(matches!(why, NoCredential::NeedsLogin { .. }), "{why}");
    assert_eq!(rig.authority.refreshes(), 0);
    assert_eq!(life.vault.registrations().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_registrations_the_oldest_go_but_for_the_one_in_use() {
    let (_rig, life) = Rig::logged_in(Behaviour::default()).await;
    for number in 0..10 {
        let mut more = super::registration(&format!("https://as{number}.example"));
        more.id = format!("more-{number}").into();
        more.created += Duration::from_secs(number + 1);
        life.grant.keep_registration(&more).await.unwrap();
    }
    let kept = life.vault.registrations();
    let kept: Vec<&str> = kept.iter().map(|record| &*record.id).collect();
    assert_eq!(
        kept,
        [
            "more-3",
            "more-4",
            "more-5",
            "more-6",
            "more-7",
            "more-8",
            "more-9",
            "registration"
        ]
    );
}
