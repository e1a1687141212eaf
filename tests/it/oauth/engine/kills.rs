//! A process that is killed at a marked point of a renewal or a login, and the one that is started after it.

use std::sync::Arc;

use janus::credential::NoCredential;
use janus::credential::oauth::{GrantState, LoginReason};

use super::{HOUR, Rig};
use crate::support::authorization::{Behaviour, Grace};
use crate::support::scale;

/// The points of a renewal, and whether the provider has answered by then and the disk does not know yet.
const POINTS: &[(&str, bool)] = &[
    ("before the attempt", false),
    ("before the intent", false),
    ("after the intent", false),
    ("before the request", false),
    ("after the answer", true),
    ("before the commit", true),
    ("after the commit", false),
    ("after the attempt", false),
];

async fn killed_at(point: &'static str, grace: Grace, loses: bool) {
    let (rig, life) = Rig::logged_in(Behaviour {
        grace,
        ..Behaviour::default()
    })
    .await;
    life.grants.halt_at(point);
    rig.advance(HOUR);
    let waiting = Arc::clone(&life.grant);
    let waiting = life.runtime().spawn(async move { waiting.token().await });
    life.grants.halted().await;
    waiting.abort();
    life.kill();

    let life = rig.life();
    if loses {
        life.stands(|state| *state == GrantState::NeedsLogin(LoginReason::Lost))
            .await;
        let why = life.token().await.unwrap_err();
        let reason = LoginReason::Lost;
        assert_eq!(why, NoCredential::NeedsLogin { reason }, "{point}");
    } else {
        let token = life.token().await.unwrap();
        assert!(rig.takes(&token), "{point}");
        assert_eq!(rig.authority.reuse(), 0, "{point}");
        // And it goes on.
        rig.advance(HOUR);
        assert!(rig.takes(&life.token().await.unwrap()), "{point}");
    }
    // The vault is whole in any case.
    assert!(life.vault.status().sealed.is_none());
    life.begin(rig.granted().await).await.unwrap();
    assert!(rig.takes(&life.token().await.unwrap()), "{point}");
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_is_lost_only_where_the_provider_answered_into_a_dead_process() {
    for _ in 0..scale(30) {
        for &(point, loses) in POINTS {
            killed_at(point, Grace::None, loses).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_where_the_provider_forgives_once() {
    for _ in 0..scale(30) {
        for &(point, _) in POINTS {
            killed_at(point, Grace::Times(1), false).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_there_or_not_and_nothing_between() {
    for (point, there) in [
        ("login: before the commit", false),
        ("login: after the commit", true),
    ] {
        let rig = Rig::new(Behaviour::default()).await;
        let life = rig.life();
        life.grants.halt_at(point);
        let granted = rig.granted().await;
        let grant = Arc::clone(&life.grant);
        life.runtime()
            .spawn(async move { grant.begin(granted).await });
        life.grants.halted().await;
        life.kill();
        let life = rig.life();
        assert_eq!(life.token().await.is_ok(), there, "{point}");
        if !there {
            let reason = LoginReason::Never;
            assert_eq!(life.state(), GrantState::NeedsLogin(reason), "{point}");
        }
        life.stop().await;
    }
}
