//! Authorization servers that are away, and grants that are over.

use std::sync::Arc;
use std::time::Duration;

use janus::credential::NoCredential;
use janus::credential::oauth::LoginReason;

use super::{HOUR, Life, Rig};
use crate::support::authorization::{Answer, Behaviour, Endpoint, Hold, Outage};
use crate::support::within;

/// Lets an hour go by in small steps; with `called`, somebody wants a token all the time.
async fn an_hour(rig: &Rig, life: &Life, called: bool) {
    for _ in 0..720 {
        let grant = Arc::clone(&life.grant);
        let call = called.then(|| tokio::spawn(async move { grant.token().await }));
        rig.advance(Duration::from_secs(5));
        life.grants.quiet().await;
        if let Some(call) = call {
            call.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_told_when_it_is_asked_again() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    rig.authority.outage(Outage::TooMany(600));
    rig.advance(HOUR);
    let why = life.token().await.unwrap_err();
    let NoCredential::NoToken {
        host,
        retry_in,
        why,
    } = why
    else {
        panic!("{why}");
    };
    assert_eq!(host, "127.0.0.1");
    assert_eq!(why, "it answered HTTP 429");
    assert!((590..=600).contains(&retry_in), "{retry_in}");
    // Not before that, however often somebody asks.
    let before = rig.authority.count(Endpoint::Token);
    for _ in 0..10 {
        life.token().await.unwrap_err();
        rig.advance(Duration::from_secs(30));
    }
    assert_eq!(rig.authority.count(Endpoint::Token), before);
    rig.authority.outage(Outage::None);
    rig.advance(Duration::from_mins(6));
    assert!(rig.takes(&life.token().await.unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_is_over_is_asked_for_once_and_told_once() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    let mut notices = life.grants.notices();
    life.token().await.unwrap();
    rig.authority.revoke_all();
    let before = rig.authority.count(Endpoint::Token);
    rig.advance(HOUR);
    let reason = LoginReason::Rejected;
    let needs = |why| assert_eq!(why, NoCredential::NeedsLogin { reason });
    needs(life.token().await.unwrap_err());
    for _ in 0..24 {
        rig.advance(HOUR);
        life.grants.quiet().await;
        needs(life.token().await.unwrap_err());
    }
    assert_eq!(rig.authority.count(Endpoint::Token), before + 1);
    let notice = notices.try_recv().unwrap();
    assert_eq!(
        (notice.account, notice.reason),
        (life.grant.account().clone(), reason)
    );
    assert!(notices.try_recv().is_err());
    // A restart knows, and asks nobody either.
    life.grants.quiet().await;
    life.stop().await;
    let life = rig.life();
    needs(life.token().await.unwrap_err());
    life.grants.quiet().await;
    assert_eq!(rig.authority.count(Endpoint::Token), before + 1);
    // And a login begins anew.
    life.begin(rig.granted().await).await.unwrap();
    assert!(rig.takes(&life.token().await.unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_ends_with_a_login_of_another_account_says_so() {
    for (minutes, reason) in [(4, LoginReason::Displaced), (6, LoginReason::Rejected)] {
        let life_of_tokens = Duration::from_mins(minutes);
        let (rig, life) = Rig::logged_in(Behaviour {
            access_life: life_of_tokens,
            login_ends_others: true,
            ..Behaviour::default()
        })
        .await;
        let other = rig.another(&life, "two").await;
        rig.advance(life_of_tokens);
        let why = life.token().await.unwrap_err();
        assert_eq!(why, NoCredential::NeedsLogin { reason }, "{minutes}");
        // The one that logged in last is as before, and a restart knows what it was.
        assert!(rig.takes(&other.token().await.unwrap().unwrap()));
        life.grants.quiet().await;
        life.stop().await;
        let why = rig.life().token().await.unwrap_err();
        assert_eq!(why, NoCredential::NeedsLogin { reason }, "{minutes}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_class_of_refusal_has_its_effect() {
    for (error, needs, keeps) in [
        ("interaction_required", LoginReason::Interaction, true),
        ("invalid_client", LoginReason::Registration, false),
        ("bad_refresh_token", LoginReason::Rejected, false),
    ] {
        let (rig, life) = Rig::logged_in(Behaviour::default()).await;
        rig.authority
            .always(Endpoint::Token, Some(Answer::error(400, error)));
        rig.advance(HOUR);
        let why = life.token().await.unwrap_err();
        assert_eq!(why, NoCredential::NeedsLogin { reason: needs }, "{error}");
        life.grants.quiet().await;
        let record = life.vault.grant(life.grant.account()).unwrap();
        assert_eq!(record.refresh_token.is_some(), keeps, "{error}");
        let registered = life.grant.registration(rig.authority.issuer()).await;
        let is_gone = registered.unwrap().is_none();
        assert_eq!(is_gone, needs == LoginReason::Registration, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_is_refused_is_asked_less_and_less() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    life.token().await.unwrap();
    let refusal = Answer::error(400, "invalid_request");
    rig.authority.always(Endpoint::Token, Some(refusal));
    rig.advance(HOUR.checked_sub(Duration::from_mins(1)).unwrap());
    life.grants.quiet().await;
    let before = rig.authority.count(Endpoint::Token);
    // While somebody wants it: every five minutes, whoever waits.
    an_hour(&rig, &life, true).await;
    let asked = rig.authority.count(Endpoint::Token) - before;
    assert!((10..=18).contains(&asked), "{asked}");
    let (why, _) = life.grant.status().backoff.unwrap();
    assert_eq!(why, "invalid_request: this is invalid_request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_way_to_send_a_secret_is_tried_once_and_remembered() {
    use janus::model::{ClientAuthentication, Secret};
    let rig = Rig::new(Behaviour::default()).await;
    rig.authority.preregister(
        "janus",
        crate::support::authorization::Proof::None,
        &[super::REDIRECT],
    );
    let life = rig.life();
    let mut granted = rig.granted().await;
    granted.registration.client_secret = Some(Arc::new(Secret::new("a-secret-of-the-client")));
    granted.registration.method = ClientAuthentication::SecretBasic;
    life.begin(granted).await.unwrap();
    let proof = crate::support::authorization::Proof::Post("a-secret-of-the-client".to_owned());
    rig.authority
        .preregister("janus", proof, &[super::REDIRECT]);
    let before = rig.authority.count(Endpoint::Token);
    rig.advance(HOUR);
    assert!(rig.takes(&life.token().await.unwrap()));
    assert_eq!(rig.authority.count(Endpoint::Token), before + 2);
    life.stop().await;
    let life = rig.life();
    rig.advance(HOUR);
    assert!(rig.takes(&life.token().await.unwrap()));
    assert_eq!(rig.authority.count(Endpoint::Token), before + 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_longer_than_the_engine_is_patient() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    rig.authority
        .next_token_response(Answer::error(503, "temporarily_unavailable"));
    rig.advance(HOUR);
    let before = rig.authority.count(Endpoint::Token);
    let grant = Arc::clone(&life.grant);
    let call = tokio::spawn(async move { grant.token().await });
    rig.authority.came(Endpoint::Token, before + 1).await;
    life.grants.quiet().await;
    // The second attempt begins while the call waits, and may take longer than that.
    rig.authority.hold(Endpoint::Token, Hold::Before);
    rig.advance(Duration::from_secs(2));
    rig.authority.held(Endpoint::Token, 1).await;
    rig.advance(Duration::from_secs(29));
    let why = call.await.unwrap().unwrap_err();
    assert!(matches!(why, NoCredential::NoToken { .. }), "{why}");
    rig.authority.release(Endpoint::Token);
    life.grants.quiet().await;
    assert!(rig.takes(&life.token().await.unwrap()));
    assert_eq!(rig.authority.refreshes(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_logs_out_while_it_finds_out_holds_up_nobody_else() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    rig.authority
        .behave(|behaviour| behaviour.access_life = HOUR * 24);
    let other = rig.another(&life, "two").await;
    rig.authority.outage(Outage::Unavailable);
    rig.advance(HOUR);
    let called = || {
        let grant = Arc::clone(&life.grant);
        tokio::spawn(async move { grant.token().await })
    };
    // Nobody is let through any more but one at a time.
    for _ in 0..7 {
        let call = called();
        life.grants.quiet().await;
        rig.advance(Duration::from_mins(2));
        call.await.unwrap().unwrap_err();
    }
    rig.authority.outage(Outage::None);
    rig.authority.hold(Endpoint::Token, Hold::Before);
    let call = called();
    rig.authority.held(Endpoint::Token, 1).await;
    life.grant.end().await.1.unwrap();
    call.await.unwrap().unwrap_err();
    rig.authority.release(Endpoint::Token);
    life.grants.quiet().await;
    rig.advance(HOUR * 24);
    let token = within("a token", other.token()).await.unwrap().unwrap();
    assert!(rig.takes(&token));
}
