//! Another configuration of an account that has a grant: another server, another kind of grant.

use std::sync::Arc;

use janus::credential::NoCredential;
use janus::credential::oauth::{GrantState, LoginReason, Policy};
use janus::model::OAuth;

use super::machines::{by_secret, settings};
use super::{HOUR, Rig, account};
use crate::support::authorization::{Behaviour, Endpoint, Hold, Proof};

/// Another server on this machine.
fn elsewhere(rig: &Rig) -> Policy {
    Policy {
        server: "http://127.0.0.1:1/mcp".parse().unwrap(),
        ..rig.policy()
    }
}

/// The settings of a machine that the authorization server knows.
fn machine(rig: &Rig) -> OAuth {
    let proof = Proof::Basic("a-secret-of-the-machine".to_owned());
    rig.authority.preregister("machine", proof, &[]);
    settings(rig, by_secret("a-secret-of-the-machine"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_for_one_server_whichever_is_configured() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    let token = life.token().await.unwrap();
    let reason = LoginReason::Never;
    let never = NoCredential::NeedsLogin { reason };
    life.configure(OAuth::default(), &elsewhere(&rig));
    assert_eq!(life.token().await.unwrap_err(), never);
    assert!(!life.grant.is_fresh(&token));
    assert!(!life.grant.refused(&token, 401).await);
    let status = life.grant.status();
    assert_eq!(status.state, GrantState::NeedsLogin(reason));
    assert_eq!((status.verified_as, status.issuer), (None, None));
    assert_eq!(life.grant.source(), None);
    // The same server at another path.
    let mut policy = rig.policy();
    policy.server = format!("{}/other", rig.authority.issuer()).parse().unwrap();
    life.configure(OAuth::default(), &policy);
    assert_eq!(life.token().await.unwrap(), token);
    life.stop().await;

    let one = account("one");
    let life = rig.life_at(&one, OAuth::default(), elsewhere(&rig));
    assert_eq!(life.token().await.unwrap_err(), never);
    rig.advance(HOUR * 24 * 14);
    life.grants.quiet().await;
    assert_eq!(rig.authority.refreshes(), 0);
    life.configure(OAuth::default(), &rig.policy());
    let newer = life.token().await.unwrap();
    assert!(newer != token && rig.takes(&newer));
    // A logout ends it wherever it is for.
    life.configure(OAuth::default(), &elsewhere(&rig));
    let (ended, stored) = life.grant.end().await;
    stored.unwrap();
    assert!(ended.unwrap().tokens.unwrap().access == newer);
    life.configure(OAuth::default(), &rig.policy());
    life.token().await.unwrap_err();
    assert_eq!(rig.authority.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_under_way_is_kept_for_the_server_that_it_is_for() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    life.token().await.unwrap();
    rig.authority.hold(Endpoint::Token, Hold::After);
    rig.advance(HOUR);
    let waiting = Arc::clone(&life.grant);
    let waiting = life.runtime().spawn(async move { waiting.token().await });
    rig.authority.held(Endpoint::Token, 1).await;
    life.configure(OAuth::default(), &elsewhere(&rig));
    let reason = LoginReason::Never;
    let why = waiting.await.unwrap().unwrap_err();
    assert_eq!(why, NoCredential::NeedsLogin { reason });
    rig.authority.release(Endpoint::Token);
    life.grants.quiet().await;
    life.token().await.unwrap_err();
    life.configure(OAuth::default(), &rig.policy());
    assert!(rig.takes(&life.token().await.unwrap()));
    assert_eq!((rig.authority.refreshes(), rig.authority.reuse()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_and_a_machine_have_nothing_of_each_other() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    let of_person = life.token().await.unwrap();
    life.configure(machine(&rig), &rig.policy());
    let of_machine = life.token().await.unwrap();
    assert!(of_machine != of_person && rig.takes(&of_machine));
    assert_eq!(life.grant.status().verified_as, None);
    life.configure(OAuth::default(), &rig.policy());
    assert_eq!(life.token().await.unwrap(), of_person);
    rig.advance(HOUR);
    assert!(rig.takes(&life.token().await.unwrap()));
    assert_eq!((rig.authority.refreshes(), rig.authority.reuse()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_machine_asked_for_another_server_is_dropped() {
    let rig = Rig::new(Behaviour::default()).await;
    let settings = machine(&rig);
    let life = rig.life_of(&account("machine"), settings.clone());
    rig.authority.hold(Endpoint::Token, Hold::After);
    let waiting = Arc::clone(&life.grant);
    let waiting = life.runtime().spawn(async move { waiting.token().await });
    rig.authority.held(Endpoint::Token, 1).await;
    life.configure(settings, &elsewhere(&rig));
    rig.authority.release(Endpoint::Token);
    let token = waiting.await.unwrap().unwrap().unwrap();
    assert!(rig.takes(&token));
    assert_eq!(rig.authority.count(Endpoint::Token), 2);
}
