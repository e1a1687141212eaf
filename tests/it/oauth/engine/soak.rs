//! A month of use in minutes, or a tenth of it: the clock is the tests' own.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use janus::credential::oauth::{Grant, GrantState};

use super::Rig;
use crate::support::authorization::Behaviour;
use crate::support::{env, scale, until};

const ACCOUNTS: usize = 50;
const STEP: Duration = Duration::from_mins(1);
/// In steps.
const DAY: u64 = 24 * 60;
/// Each account is used in so many minutes of a day.
const USED: [u64; 2] = [9 * 60, 15 * 60];

/// Set where this test runs alone: what other tests need is none of what is measured.
const ALONE: &str = "JANUS_SOAK_ALONE";
/// What the memory may have grown by since the first day, in KiB.
const DRIFT: u64 = 5 * 1024;

/// What the process has in memory now, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

/// How many files and connections are open.
fn open() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn fifty_accounts_live_on_without_a_login() {
    if env(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        return runtime.unwrap().block_on(live_on());
    }
    let name = "oauth::engine::soak::fifty_accounts_live_on_without_a_login";
    let alone = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(ALONE, "1")
        // So that what was given back is given back, whichever thread had it.
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&alone.stdout) + String::from_utf8_lossy(&alone.stderr);
    assert!(alone.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

async fn live_on() {
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
    life.grants.quiet().await;
    let opened = open();
    let days = u64::try_from(scale(30)).unwrap();
    let minutes = days * DAY;
    let (mut calls, mut warm) = (0, 0);
    for minute in 0..minutes {
        if minute == DAY {
            warm = resident();
        }
        if minute % 60 == 0 {
            // The server's own record is none of what is measured.
            rig.authority.forget_requests();
        }
        rig.advance(STEP);
        life.grants.quiet().await;
        for (number, grant) in grants.iter().enumerate() {
            // They do not all begin at the same time.
            let hers = (minute + u64::try_from(number).unwrap() * 7) % DAY;
            if USED.iter().any(|used| (*used..used + 10).contains(&hers)) {
                let token = grant.token().await.unwrap().unwrap();
                assert!(rig.takes(&token), "a{number} at minute {minute}");
                calls += 1;
            }
        }
    }
    let drift = resident().saturating_sub(warm);
    assert!(warm > 0 && drift < DRIFT, "from {warm} KiB by {drift}");
    // What was open before is open: the last connection may be on its way out.
    until("the end of its connections", || open() <= opened);
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
