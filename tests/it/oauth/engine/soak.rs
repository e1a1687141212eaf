//! A month of use in minutes, or a day of it: the clock is the tests' own.

use std::sync::Arc;
use std::time::Duration;

use janus::credential::oauth::{Grant, GrantState};

use super::Rig;
use crate::support::authorization::Behaviour;
use crate::support::scale;

const ACCOUNTS: usize = 50;
const STEP: Duration = Duration::from_mins(1);
/// Each account is used in so many minutes of a day.
const USED: [u64; 2] = [9 * 60, 15 * 60];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_accounts_live_on_without_a_login() {
    let rig = Rig::new(Behaviour {
        access_life: Duration::from_mins(5),
        refresh_life: Some(Duration::from_hours(24 * 8)),
        ..Behaviour::default()
    })
    .await;
    let life = rig.life();
    let mut grants: Vec<Arc<Grant>> = Vec::new();
    for number in 0..ACCOUNTS {
        grants.push(rig.another(&life, &format!("a{number}")).await);
    }
    let mut notices = life.grants.notices();
    let days = if scale(30) == 30 { 30 } else { 1 };
    let minutes = days * 24 * 60;
    let mut calls = 0;
    for minute in 0..minutes {
        rig.advance(STEP);
        life.grants.quiet().await;
        for (number, grant) in grants.iter().enumerate() {
            // They do not all begin at the same time.
            let hers = (minute + u64::try_from(number).unwrap() * 7) % (24 * 60);
            if USED.iter().any(|used| (*used..used + 10).contains(&hers)) {
                let token = grant.token().await.unwrap().unwrap();
                assert!(rig.takes(&token), "a{number} at minute {minute}");
                calls += 1;
            }
        }
    }
    let expected = u64::try_from(ACCOUNTS).unwrap() * 20 * days;
    assert!(calls >= expected * 9 / 10, "{calls}");
    assert!(notices.try_recv().is_err());
    assert_eq!(rig.authority.reuse(), 0);
    for grant in &grants {
        let state = grant.status().state;
        assert!(!matches!(state, GrantState::NeedsLogin(_)), "{state:?}");
    }
    life.stop().await;
}
