//! Clocks that are set, machines that sleep or are started anew, and a start without a network.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use janus::credential::NoCredential;
use janus::credential::oauth::{GrantState, RegistrationKind};
use janus::model::{OAuth, PreRegistered};

use super::{HOUR, Rig};
use crate::support::authorization::{Behaviour, Endpoint, Outage};

const MONTH: Duration = Duration::from_hours(720);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_costs_no_valid_token_and_keeps_no_dead_one() {
    for (by, forward) in [(HOUR, true), (HOUR, false), (MONTH, true), (MONTH, false)] {
        let (rig, life) = Rig::logged_in(Behaviour::default()).await;
        life.token().await.unwrap();
        if forward {
            rig.clock.set_forward(by);
        } else {
            rig.clock.set_back(by);
        }
        life.grants.quiet().await;
        // What time it is says nothing of how long ago something was.
        assert!(rig.takes(&life.token().await.unwrap()));
        let renewed = rig.authority.refreshes();
        assert!(renewed <= 1, "{renewed}");
        rig.advance(HOUR + Duration::from_secs(1));
        assert!(rig.takes(&life.token().await.unwrap()));
        assert!(rig.authority.refreshes() <= renewed + 1);
        life.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_has_ended_after_a_night_of_sleep() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    life.token().await.unwrap();
    rig.authority.advance(HOUR * 8);
    // No timer rings: the look at the clock decides.
    rig.clock.suspend(HOUR * 8);
    assert!(rig.takes(&life.token().await.unwrap()));
    assert_eq!(rig.authority.refreshes(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_sleep_what_is_due_is_renewed_though_nobody_calls_and_no_timer_rings() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    life.token().await.unwrap();
    // Used within the hour, and over its time.
    rig.authority.advance(Duration::from_mins(58));
    rig.clock.suspend(Duration::from_mins(58));
    assert_eq!(rig.authority.refreshes(), 0);
    life.grants.look_again();
    rig.authority.came(Endpoint::Token, 2).await;
    life.grants.quiet().await;
    assert_eq!(rig.authority.refreshes(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_another_network_a_renewal_that_failed_is_tried_at_once_unless_a_wish_was_heard() {
    for (outage, at_once) in [(Outage::Refused, true), (Outage::TooMany(600), false)] {
        let (rig, life) = Rig::logged_in(Behaviour::default()).await;
        life.token().await.unwrap();
        rig.authority.outage(outage);
        rig.advance(Duration::from_mins(58));
        life.grants.quiet().await;
        // By its end the pauses are of minutes, or what was wished for.
        for _ in 0..9 {
            rig.advance(Duration::from_mins(1));
            life.grants.quiet().await;
        }
        rig.authority.outage(Outage::None);
        life.grants.quiet().await;
        assert_eq!(rig.authority.refreshes(), 0);
        life.grants.look_again();
        life.grants.quiet().await;
        assert_eq!(rig.authority.refreshes(), usize::from(at_once));
        life.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_start_of_the_machine_a_wrong_clock_is_not_believed() {
    for (set_back, refreshes) in [(Duration::ZERO, 0), (MONTH, 1)] {
        let (rig, life) = Rig::logged_in(Behaviour::default()).await;
        life.token().await.unwrap();
        life.stop().await;
        rig.clock.restart_machine("the next start");
        rig.clock.set_back(set_back);
        rig.advance(Duration::from_mins(10));
        let life = rig.life();
        // It is used as long as the server takes it, and renewed as soon as that is possible.
        assert!(rig.takes(&life.token().await.unwrap()));
        life.grants.quiet().await;
        assert_eq!(rig.authority.refreshes(), refreshes);
        assert!(rig.takes(&life.token().await.unwrap()));
        life.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ended_while_the_machine_was_off_is_refused_once_at_most() {
    for (by, forward) in [
        (Duration::ZERO, true),
        (HOUR, true),
        (HOUR, false),
        (MONTH, true),
        (MONTH, false),
    ] {
        let (rig, life) = Rig::logged_in(Behaviour::default()).await;
        life.token().await.unwrap();
        life.stop().await;
        rig.clock.restart_machine("the next start");
        if forward {
            rig.clock.set_forward(by);
        } else {
            rig.clock.set_back(by);
        }
        rig.advance(HOUR + Duration::from_secs(1));
        let life = rig.life();
        let mut refused = 0;
        loop {
            let token = life.token().await.unwrap();
            if rig.takes(&token) {
                break;
            }
            refused += 1;
            assert!(life.grant.refused(&token, 401).await, "{by:?} {forward}");
        }
        // Only a clock that was set back can make it look alive.
        let most = usize::from(!forward);
        assert!(refused <= most, "{by:?} {forward}: {refused}");
        assert_eq!(rig.authority.refreshes(), 1, "{by:?} {forward}");
        life.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_with_valid_tokens_needs_no_network() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    let token = life.token().await.unwrap();
    life.stop().await;
    rig.authority.outage(Outage::Refused);
    let before = rig.authority.count_all();
    rig.advance(Duration::from_mins(30));
    let life = rig.life();
    assert_eq!(life.token().await.unwrap(), token);
    life.grants.quiet().await;
    assert_eq!(rig.authority.count_all(), before);
    let status = life.grant.status();
    assert_eq!(status.state, GrantState::Fresh);
    assert_eq!(status.left.unwrap().as_secs() / 60, 29);
    assert_eq!(status.verified_as.unwrap().to_string(), "ana");
    assert_eq!(status.scopes, ["read"]);
    assert_eq!(status.issuer.as_deref(), Some(rig.authority.issuer()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_nobody_uses_is_kept_alive() {
    let (rig, life) = Rig::logged_in(Behaviour {
        refresh_life: Some(Duration::from_hours(24 * 10)),
        ..Behaviour::default()
    })
    .await;
    for _ in 0..60 {
        rig.advance(Duration::from_hours(12));
        life.grants.quiet().await;
    }
    let renewed = rig.authority.refreshes();
    assert!((4..=5).contains(&renewed), "{renewed}");
    assert!(rig.takes(&life.token().await.unwrap()));
    // What the age says outlives a restart.
    life.stop().await;
    rig.advance(Duration::from_hours(24 * 6));
    let life = rig.life();
    life.grants.quiet().await;
    let before = rig.authority.count(Endpoint::Token);
    rig.advance(Duration::from_hours(25));
    life.grants.quiet().await;
    assert_eq!(rig.authority.count(Endpoint::Token), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_ahead_ends_no_secret_of_a_client() {
    let rig = Rig::new(Behaviour::default()).await;
    let life = rig.life();
    let mut granted = rig.granted().await;
    granted.registration.secret_expires = SystemTime::now().checked_add(HOUR * 24);
    life.begin(granted).await.unwrap();
    rig.clock.set_forward(MONTH);
    rig.advance(HOUR + Duration::from_secs(1));
    // Whoever gave the secret says when it has ended.
    assert!(rig.takes(&life.token().await.unwrap()));
    assert_eq!(life.vault.registrations().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_client_in_the_configuration_costs_nothing_once_it_is_undone() {
    let rig = Rig::new(Behaviour::default()).await;
    let settings = |id: &str| {
        Arc::new(OAuth {
            client: Some(PreRegistered {
                id: id.to_owned(),
                secret: None,
                key: None,
            }),
            ..OAuth::default()
        })
    };
    let account = super::account("one");
    let life = rig.life_of(&account, OAuth::clone(&settings("janus")));
    let mut granted = rig.granted().await;
    granted.registration.kind = RegistrationKind::PreRegistered;
    life.begin(granted).await.unwrap();
    let of = |id| life.grants.of(&account, &settings(id), &life.policy, false);
    of("janos");
    rig.advance(HOUR + Duration::from_secs(1));
    let why = life.token().await.unwrap_err();
    let NoCredential::NoToken { why, .. } = why else {
        panic!("{why}");
    };
    assert!(why.contains("auth.oauth.client_id"), "{why}");
    of("janus");
    assert!(rig.takes(&life.token().await.unwrap()));
}
