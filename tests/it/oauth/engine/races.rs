//! Many who want one token: one renewal, whoever goes away, and a login that comes in between.

use std::sync::Arc;
use std::time::Duration;

use janus::credential::oauth::{GrantState, Point};
use rusqlite::Connection;
use tokio::task::JoinSet;

use super::{HOUR, Rig};
use crate::support::authorization::{Behaviour, Endpoint, Hold};
use crate::support::{scale, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_over_fifty_expiries_are_fifty_renewals() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    let mut before = life.token().await.unwrap();
    for expiry in 1..=50 {
        rig.advance(HOUR);
        let mut calls = JoinSet::new();
        for _ in 0..200 {
            let grant = Arc::clone(&life.grant);
            calls.spawn(async move { grant.token().await.unwrap().unwrap() });
        }
        let tokens = calls.join_all().await;
        let now = &tokens[0];
        assert!(tokens.iter().all(|token| Arc::ptr_eq(token, now)));
        assert!(*now != before && rig.takes(now));
        assert_eq!(rig.authority.refreshes(), expiry);
        before = Arc::clone(now);
    }
    assert_eq!(rig.authority.count(Endpoint::Token), 51);
    assert_eq!(rig.authority.reuse(), 0);
    assert_eq!(rig.authority.violations(), [""; 0]);
}

/// How far a renewal has come when those who wait for it go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// It begins, or not even that.
    Begin,
    /// Nothing has left, and the disk does not know yet that something will.
    Intent,
    /// The provider has the request, and did nothing.
    Asked,
    /// The provider has renewed it, and its answer is on the way.
    Answered,
    /// The answer is here, and the disk does not have it.
    Commit,
}

impl Moment {
    const ALL: [Self; 5] = [
        Self::Begin,
        Self::Intent,
        Self::Asked,
        Self::Answered,
        Self::Commit,
    ];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_go_away_end_nothing() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    life.token().await.unwrap();
    life.grants.quiet().await;
    // Who writes to the database keeps everybody else waiting.
    let database = Connection::open(rig.state().join("janus.db")).unwrap();
    let lock = || database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let rounds = scale(10_000) / 10;
    for (round, moment) in (1..=rounds).zip(Moment::ALL.into_iter().cycle()) {
        let what = format!("round {round}: {moment:?}");
        match moment {
            Moment::Begin => {}
            Moment::Intent => lock(),
            Moment::Asked => rig.authority.hold(Endpoint::Token, Hold::Before),
            Moment::Answered | Moment::Commit => rig.authority.hold(Endpoint::Token, Hold::After),
        }
        rig.advance(HOUR);
        let mut calls = JoinSet::new();
        for _ in 0..10 {
            let grant = Arc::clone(&life.grant);
            calls.spawn(async move { grant.token().await });
        }
        match moment {
            Moment::Begin => {
                // Each is cut off somewhere else on its way.
                for _ in 0..round % 23 {
                    tokio::task::yield_now().await;
                }
            }
            Moment::Intent => within(&what, life.grants.comes_to(Point::IntentNotWritten)).await,
            Moment::Asked | Moment::Answered => rig.authority.held(Endpoint::Token, 1).await,
            Moment::Commit => {
                rig.authority.held(Endpoint::Token, 1).await;
                lock();
                rig.authority.release(Endpoint::Token);
                within(&what, life.grants.comes_to(Point::RenewalTaken)).await;
            }
        }
        calls.abort_all();
        while let Some(ended) = calls.join_next().await {
            let waited = ended.is_err_and(|why| why.is_cancelled());
            assert!(waited || moment == Moment::Begin, "{what}: one had it");
        }
        match moment {
            Moment::Begin => {}
            Moment::Intent | Moment::Commit => database.execute_batch("ROLLBACK").unwrap(),
            Moment::Asked | Moment::Answered => rig.authority.release(Endpoint::Token),
        }
        if moment != Moment::Begin {
            // Nobody asks, and yet it is done.
            within(&what, life.grants.quiet()).await;
            assert_eq!(life.grant.status().generation, 1 + round as u64, "{what}");
        }
        let token = life.token().await.unwrap();
        assert!(rig.takes(&token), "{what}");
        assert_eq!(rig.authority.refreshes(), round, "{what}");
        // Its end is told after its token.
        life.grants.quiet().await;
    }
    assert_eq!(rig.authority.count(Endpoint::Token), 1 + rounds);
    assert_eq!(rig.authority.reuse(), 0);
    assert!(!life.grant.status().unpersisted);
    let token = life.token().await.unwrap();
    life.stop().await;
    assert_eq!(rig.life().token().await.unwrap(), token);
    assert_eq!(rig.authority.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_ends_after_a_login_is_dropped_and_revoked() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    let second = rig.granted().await;
    rig.authority.hold(Endpoint::Token, Hold::After);
    rig.advance(HOUR);
    let waiting = Arc::clone(&life.grant);
    let waiting = tokio::spawn(async move { waiting.token().await });
    rig.authority.held(Endpoint::Token, 1).await;
    let mut second = second;
    // It came before the clock was moved, and says nothing of its end.
    second.tokens.life = None;
    let mine = Arc::clone(&second.tokens.access);
    life.begin(second).await.unwrap();
    rig.authority.release(Endpoint::Token);
    assert_eq!(waiting.await.unwrap().unwrap().unwrap(), mine);
    rig.authority.came(Endpoint::Revoke, 2).await;
    life.grants.quiet().await;
    assert_eq!(life.token().await.unwrap(), mine);
    assert_eq!(rig.authority.revoked().len(), 2);
    assert_eq!(life.grant.status().generation, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_token_is_renewed_once_for_all_and_a_young_one_never() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    let young = life.token().await.unwrap();
    assert!(!life.grant.refused(&young, 401).await);
    assert_eq!(rig.authority.refreshes(), 0);
    rig.advance(Duration::from_mins(2));
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let (grant, used) = (Arc::clone(&life.grant), Arc::clone(&young));
        calls.spawn(async move { grant.refused(&used, 401).await });
    }
    assert!(calls.join_all().await.into_iter().all(|newer| newer));
    assert_eq!(rig.authority.refreshes(), 1);
    // Who was refused with the old one finds the new one there.
    assert!(life.grant.refused(&young, 401).await);
    let now = life.token().await.unwrap();
    assert!(!life.grant.refused(&now, 401).await);
    // A missing permission is none of its business.
    rig.advance(Duration::from_mins(2));
    assert!(!life.grant.refused(&now, 403).await);
    assert_eq!(rig.authority.refreshes(), 1);
    assert_eq!(life.state(), GrantState::Fresh);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_valid_token_is_never_waited_for_and_renewed_in_time() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    life.token().await.unwrap();
    rig.authority.hold(Endpoint::Token, Hold::Before);
    rig.advance(Duration::from_secs(3600 - 200));
    life.stands(|state| *state == GrantState::Due).await;
    let held = rig.authority.held(Endpoint::Token, 1);
    held.await;
    // One is under way, and nobody waits for it.
    for _ in 0..100 {
        assert!(rig.takes(&life.token().await.unwrap()));
    }
    rig.authority.release(Endpoint::Token);
    life.stands(|state| *state == GrantState::Fresh).await;
    assert_eq!(rig.authority.refreshes(), 1);
}
