//! What each kind of refusal does to a grant: how often is asked, what is kept, and which key is named.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use janus::credential::NoCredential;
use janus::credential::oauth::{GrantState, LoginReason, RegistrationKind};
use janus::model::{ClientAuthentication, OAuth, PreRegistered, Reference, Secret};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{HOUR, Life, Rig, account};
use crate::support::authorization::{Answer, Behaviour, Endpoint, Hold, Proof, Said};
use crate::support::until;

/// Where tokens came from at the login, and do not come from any more.
const FORMER: &str = "/oauth/former";
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// How many requests had this path.
fn asked(rig: &Rig, path: &str) -> usize {
    let requests = rig.authority.requests();
    requests.iter().filter(|asked| asked.path == path).count()
}

/// Why a call has no token, and in how many seconds that may be other.
async fn no_token(life: &Life) -> (String, u64) {
    match life.token().await.unwrap_err() {
        NoCredential::NoToken { why, retry_in, .. } => (why, retry_in),
        other => panic!("{other}"),
    }
}

/// The refresh token on the disk, sealed.
fn kept(life: &Life) -> Option<Vec<u8>> {
    let row = life.vault.grant(life.grant.account()).unwrap();
    row.refresh_token
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_endpoint_that_moved_is_found_by_one_look_at_the_metadata() {
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let away = format!("http://{}/token", elsewhere.local_addr().unwrap());
    for said in [
        Said::empty(404),
        Said::empty(410),
        Said::empty(301).header("location", &away),
        Said::empty(307).header("location", &away),
    ] {
        let status = said.status;
        let rig = Rig::new(Behaviour::default()).await;
        let life = rig.life();
        let mut granted = rig.granted().await;
        granted.source.token_endpoint = format!("{}{FORMER}", rig.authority.issuer());
        life.begin(granted).await.unwrap();
        rig.authority
            .next_answer(Endpoint::Unknown, Answer::Instead(said));
        for expiry in 1..=2 {
            rig.advance(HOUR);
            assert!(rig.takes(&life.token().await.unwrap()), "{status}");
            // Once found it is known, also after a start.
            assert_eq!(asked(&rig, FORMER), 1, "{status}");
            assert_eq!(asked(&rig, METADATA), 1, "{status}");
            assert_eq!(rig.authority.refreshes(), expiry, "{status}");
        }
        life.grants.quiet().await;
        life.stop().await;
        let life = rig.life();
        rig.advance(HOUR);
        assert!(rig.takes(&life.token().await.unwrap()), "{status}");
        assert_eq!((asked(&rig, FORMER), asked(&rig, METADATA)), (1, 1));
        assert_eq!(rig.authority.reuse(), 0);
        assert_eq!(rig.authority.violations(), [""; 0]);
    }
    elsewhere.accept().unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_endpoint_that_is_gone_is_looked_for_once_in_each_attempt() {
    let (rig, life) = Rig::logged_in(Behaviour::default()).await;
    rig.authority
        .always(Endpoint::Token, Some(Answer::Instead(Said::empty(404))));
    rig.advance(HOUR);
    let grant = Arc::clone(&life.grant);
    let call = tokio::spawn(async move { grant.token().await });
    for attempt in 1..=2 {
        // One request is the login's.
        rig.authority.came(Endpoint::Token, 1 + attempt).await;
        life.grants.quiet().await;
        assert_eq!(rig.authority.count(Endpoint::Token), 1 + attempt);
        assert_eq!(asked(&rig, METADATA), attempt);
        assert!(life.grant.status().backoff.unwrap().0.contains("404"));
        rig.authority.always(Endpoint::Token, None);
        if attempt == 1 {
            let gone = Answer::Instead(Said::empty(404));
            rig.authority.next_token_response(gone);
        }
        rig.clock.advance(Duration::from_secs(3));
    }
    // What comes back is as good as before.
    assert!(rig.takes(&call.await.unwrap().unwrap().unwrap()));
    assert_eq!(rig.authority.reuse(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_that_is_refused_names_its_key_and_is_not_asked_for_again_and_again() {
    for code in ["invalid_target", "invalid_resource"] {
        let (rig, life) = Rig::logged_in(Behaviour::default()).await;
        let before = kept(&life);
        rig.authority
            .always(Endpoint::Token, Some(Answer::error(400, code)));
        rig.advance(HOUR);
        for _ in 0..2 {
            let (why, _) = no_token(&life).await;
            assert!(
                why.contains(code) && why.contains("auth.oauth.resource"),
                "{why}"
            );
        }
        assert_eq!(rig.authority.count(Endpoint::Token), 2, "{code}");
        assert!(life.grant.status().stuck, "{code}");
        assert_eq!(kept(&life), before);
        // It is tried again after minutes, and nobody logs in.
        rig.authority.always(Endpoint::Token, None);
        rig.advance(Duration::from_mins(7));
        assert!(rig.takes(&life.token().await.unwrap()), "{code}");
        assert_eq!(rig.authority.reuse(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scopes_that_are_refused_need_a_person_and_the_refresh_token_stays() {
    for code in ["invalid_scope", "interaction_required", "consent_required"] {
        let (rig, life) = Rig::logged_in(Behaviour::default()).await;
        let before = kept(&life);
        let mut notices = life.grants.notices();
        rig.authority.next_token_response(Answer::error(400, code));
        rig.advance(HOUR);
        let reason = LoginReason::Interaction;
        for _ in 0..3 {
            let why = life.token().await.unwrap_err();
            assert_eq!(why, NoCredential::NeedsLogin { reason }, "{code}");
        }
        life.grants.quiet().await;
        assert_eq!(notices.recv().await.unwrap().reason, reason);
        assert_eq!(life.state(), GrantState::NeedsLogin(reason));
        assert_eq!(rig.authority.count(Endpoint::Token), 2, "{code}");
        assert!(before.is_some() && kept(&life).is_some(), "{code}");
        let asked = rig.authority.requests_to(Endpoint::Token);
        assert_eq!(asked[1].form.get("scope"), None, "what was granted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_without_a_token_is_asked_once_more_and_no_oftener() {
    for mends in [true, false] {
        let (rig, life) = Rig::logged_in(Behaviour::default()).await;
        let empty = Said::json(200, &json!({ "token_type": "Bearer", "expires_in": 3600 }));
        for _ in 0..if mends { 1 } else { 2 } {
            let empty = Answer::Instead(empty.clone());
            rig.authority.next_token_response(empty);
        }
        rig.authority.hold(Endpoint::Token, Hold::After);
        rig.advance(HOUR);
        let grant = Arc::clone(&life.grant);
        let call = tokio::spawn(async move { grant.token().await });
        rig.authority.held(Endpoint::Token, 1).await;
        rig.authority.hold(Endpoint::Token, Hold::Before);
        rig.authority.came(Endpoint::Token, 3).await;
        rig.authority.held(Endpoint::Token, 1).await;
        let status = life.grant.status();
        assert_eq!(status.backoff, None, "it is one attempt still");
        rig.authority.release(Endpoint::Token);
        life.grants.quiet().await;
        let asked = rig.authority.requests_to(Endpoint::Token);
        let shown: Vec<_> = asked
            .iter()
            .filter_map(|asked| asked.form.get("refresh_token"))
            .collect();
        assert_eq!(shown.len(), 2, "mends: {mends}");
        assert_eq!(shown[0], shown[1]);
        if !mends {
            let (why, _) = life.grant.status().backoff.unwrap();
            assert!(!why.is_empty() && !why.contains("3600"), "{why}");
            rig.clock.advance(Duration::from_secs(2));
        }
        assert!(rig.takes(&call.await.unwrap().unwrap().unwrap()));
        let expected = if mends { 3 } else { 4 };
        assert_eq!(rig.authority.count(Endpoint::Token), expected);
        assert_eq!((rig.authority.refreshes(), rig.authority.reuse()), (1, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_configuration_that_is_refused_names_its_keys_and_costs_nothing() {
    let rig = Rig::new(Behaviour::default()).await;
    let settings = OAuth {
        client: Some(PreRegistered {
            id: "janus".to_owned(),
            secret: Some(Reference::Environment {
                name: "SECRET".to_owned(),
                value: Some(Arc::new(Secret::new("the-secret"))),
            }),
            key: None,
        }),
        ..OAuth::default()
    };
    let life = rig.life_of(&account("one"), settings);
    let mut granted = rig.granted().await;
    granted.registration.kind = RegistrationKind::PreRegistered;
    granted.registration.method = ClientAuthentication::SecretBasic;
    life.begin(granted).await.unwrap();
    let proof = Proof::Basic("the-secret".to_owned());
    rig.authority.preregister("janus", proof, &[]);
    let before = kept(&life);
    for code in ["invalid_client", "unauthorized_client"] {
        let asked = rig.authority.count(Endpoint::Token);
        rig.authority
            .always(Endpoint::Token, Some(Answer::error(401, code)));
        rig.advance(HOUR);
        for _ in 0..2 {
            let (why, _) = no_token(&life).await;
            for named in [code, "auth.oauth.client_id", "client_secret"] {
                assert!(why.contains(named), "{why}");
            }
        }
        // By the header and by the form, and then it rests.
        assert_eq!(rig.authority.count(Endpoint::Token), asked + 2, "{code}");
        assert_eq!(kept(&life), before, "{code}");
        assert!(life.grant.status().stuck, "{code}");
    }
    // Once it is right at the provider, nobody logs in.
    rig.authority.always(Endpoint::Token, None);
    rig.advance(Duration::from_mins(7));
    assert!(rig.takes(&life.token().await.unwrap()));
    assert_eq!((rig.authority.refreshes(), rig.authority.reuse()), (1, 0));
    assert_eq!(rig.authority.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_not_accepted_is_told_and_tried_again_after_a_minute() {
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certified.cert.der().clone()],
            PrivateKeyDer::Pkcs8(key),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (refused, accepted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&refused), Arc::clone(&accepted));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let ended = acceptor.accept(stream).await;
            let count = if ended.is_ok() { &counts.1 } else { &counts.0 };
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let rig = Rig::new(Behaviour::default()).await;
    let life = rig.life();
    let mut granted = rig.granted().await;
    granted.source.token_endpoint = format!("https://127.0.0.1:{port}/token");
    life.begin(granted).await.unwrap();
    let before = kept(&life);
    rig.advance(HOUR);
    let (why, retry_in) = no_token(&life).await;
    assert!(why.contains("certificate"), "{why}");
    assert!((45..=50).contains(&retry_in), "{retry_in}");
    until("the handshake", || refused.load(Ordering::SeqCst) == 1);
    // Not after a second, as where nobody answers.
    rig.clock.advance(Duration::from_secs(10));
    no_token(&life).await;
    life.grants.quiet().await;
    assert_eq!(refused.load(Ordering::SeqCst), 1);
    rig.clock.advance(Duration::from_secs(45));
    no_token(&life).await;
    until("another handshake", || refused.load(Ordering::SeqCst) == 2);
    assert_eq!(accepted.load(Ordering::SeqCst), 0, "something was sent");
    assert_eq!(kept(&life), before);
    let status = life.grant.status();
    assert!(status.backoff.unwrap().0.contains("certificate"));
    assert_eq!(status.state, GrantState::Expired);
}
