//! Answers to a renewal that do not arrive whole, and what a renewal leaves of the tokens before it.

use std::sync::Arc;
use std::time::Duration;

use janus::credential::NoCredential;
use janus::credential::oauth::{GrantState, LoginReason};
use janus::model::Secret;
use tokio::task::JoinSet;

use super::{HOUR, Life, Rig};
use crate::support::authorization::{Answer, Behaviour, Endpoint, Grace, Hold, Rotation};

/// What a call has whose renewal is answered like this; afterwards everything is by the book again.
async fn renewed(rig: &Rig, life: &Life, answer: Answer) -> Result<Arc<Secret>, NoCredential> {
    rig.authority.next_token_response(answer);
    let before = rig.authority.count(Endpoint::Token);
    rig.advance(HOUR);
    let grant = Arc::clone(&life.grant);
    let call = tokio::spawn(async move { grant.token().await });
    rig.authority.came(Endpoint::Token, before + 1).await;
    life.grants.quiet().await;
    // The pause before the second attempt.
    rig.advance(Duration::from_secs(2));
    let answer = call.await.unwrap().map(|token| token.unwrap());
    life.grants.quiet().await;
    let asked = rig.authority.count(Endpoint::Token) - before;
    assert_eq!(asked, 2, "the old token is shown once more, and once");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_cut_off_costs_nothing_where_the_provider_forgives() {
    for answer in [Answer::Lost, Answer::Torn] {
        let (rig, life) = Rig::logged_in(Behaviour {
            grace: Grace::Times(1),
            ..Behaviour::default()
        })
        .await;
        let token = renewed(&rig, &life, answer.clone()).await.unwrap();
        assert!(rig.takes(&token), "{answer:?}");
        assert_eq!(rig.authority.forgiven(), 1, "{answer:?}");
        // What came in the end is what is kept.
        life.stop().await;
        let life = rig.life();
        assert_eq!(life.token().await.unwrap(), token, "{answer:?}");
        rig.advance(HOUR);
        assert!(rig.takes(&life.token().await.unwrap()), "{answer:?}");
        assert_eq!(
            (rig.authority.forgiven(), rig.authority.reuse()),
            (1, 0),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_cut_off_is_told_as_lost_where_nothing_is_forgiven() {
    for answer in [Answer::Lost, Answer::Torn] {
        let (rig, life) = Rig::logged_in(Behaviour::default()).await;
        let why = renewed(&rig, &life, answer.clone()).await.unwrap_err();
        let reason = LoginReason::Lost;
        assert_eq!(why, NoCredential::NeedsLogin { reason }, "{answer:?}");
        // Nobody is asked again, also not after a restart.
        let asked = rig.authority.count(Endpoint::Token);
        life.stop().await;
        let life = rig.life();
        rig.advance(HOUR);
        let why = life.token().await.unwrap_err();
        assert_eq!(why, NoCredential::NeedsLogin { reason }, "{answer:?}");
        life.grants.quiet().await;
        assert_eq!(rig.authority.count(Endpoint::Token), asked, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_never_had_an_effect_needs_no_forgiveness() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    let token = renewed(&rig, &life, Answer::Cut).await.unwrap();
    assert!(rig.takes(&token));
    assert_eq!((rig.authority.refreshes(), rig.authority.reuse()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_stays_is_kept_whether_it_is_repeated_or_not() {
    for rotation in [Rotation::Kept, Rotation::Repeated] {
        let (rig, mut life) = Rig::logged_in(Behaviour {
            rotation,
            ..Behaviour::default()
        })
        .await;
        for round in 1..4 {
            rig.advance(HOUR);
            assert!(rig.takes(&life.token().await.unwrap()), "{rotation:?}");
            assert_eq!(rig.authority.refreshes(), round, "{rotation:?}");
            life.grants.quiet().await;
            life.stop().await;
            life = rig.life();
        }
        let asked = rig.authority.requests_to(Endpoint::Token);
        let mut shown: Vec<&str> = asked
            .iter()
            .filter_map(|asked| asked.form.get("refresh_token"))
            .collect();
        assert_eq!(shown.len(), 3, "{rotation:?}");
        shown.dedup();
        assert_eq!(shown.len(), 1, "{rotation:?}");
        assert_eq!(rig.authority.violations(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_ends_the_token_before_it_fails_no_call_under_way() {
    let (rig, life) = Rig::logged_in(Behaviour {
        refresh_ends_access: true,
        ..Behaviour::default()
    })
    .await;
    life.token().await.unwrap();
    rig.authority.hold(Endpoint::Token, Hold::After);
    rig.advance(Duration::from_secs(3600 - 200));
    rig.authority.held(Endpoint::Token, 1).await;
    // By the clock it is valid, so that a call takes it; by the provider it is over.
    let old = life.token().await.unwrap();
    assert!(!rig.takes(&old));
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let (grant, used) = (Arc::clone(&life.grant), Arc::clone(&old));
        calls.spawn(async move { grant.refused(&used, 401).await });
    }
    rig.authority.release(Endpoint::Token);
    let repeats = calls.join_all().await;
    assert!(repeats.into_iter().all(|repeat| repeat), "a call is lost");
    let new = life.token().await.unwrap();
    assert!(new != old && rig.takes(&new));
    assert_eq!(life.state(), GrantState::Fresh);
    assert_eq!((rig.authority.refreshes(), rig.authority.reuse()), (1, 0));
}
