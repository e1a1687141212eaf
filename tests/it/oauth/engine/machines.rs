//! Machine accounts: the client asks in its own name.

use std::sync::Arc;

use janus::credential::NoCredential;
use janus::credential::oauth::{GrantState, Policy};
use janus::model::{
    Endpoints, GrantKind, OAuth, PreRegistered, Reference, Resource, Secret, SigningAlgorithm,
    SigningKey,
};

use super::{HOUR, Life, RESOURCE, Rig, account};
use crate::support::authorization::{
    AuthorizationServer, Behaviour, Endpoint, KeyKind, Proof, ProtectedServer, Protection,
};

pub(super) fn settings(rig: &Rig, client: PreRegistered) -> OAuth {
    OAuth {
        grant: GrantKind::ClientCredentials,
        client: Some(client),
        scopes: Some(vec!["read".to_owned()]),
        issuer: Some(rig.authority.issuer().to_owned()),
        resource: Resource::Is(RESOURCE.to_owned()),
        endpoints: Endpoints {
            token: Some(rig.authority.endpoint("token")),
            ..Endpoints::default()
        },
        ..OAuth::default()
    }
}

/// A machine with this secret.
pub(super) fn by_secret(secret: &str) -> PreRegistered {
    PreRegistered {
        id: "machine".to_owned(),
        secret: Some(Reference::Environment {
            name: "SECRET".to_owned(),
            value: Some(Arc::new(Secret::new(secret))),
        }),
        key: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_gets_its_tokens_with_a_secret_and_nobody_logs_in() {
    let rig = Rig::new(Behaviour::default()).await;
    let proof = Proof::Basic("a-secret-of-the-machine".to_owned());
    rig.authority.preregister("machine", proof, &[]);
    let client = by_secret("a-secret-of-the-machine");
    let life = rig.life_of(&account("machine"), settings(&rig, client));
    assert_eq!(life.state(), GrantState::Expired);
    life.grants.quiet().await;
    assert_eq!(rig.authority.count(Endpoint::Token), 0);
    let first = life.token().await.unwrap();
    assert!(rig.takes(&first));
    assert_eq!(life.token().await.unwrap(), first);
    rig.advance(HOUR);
    let second = life.token().await.unwrap();
    assert!(second != first && rig.takes(&second));
    assert_eq!(rig.authority.count(Endpoint::Token), 2);
    assert_eq!(rig.authority.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_signs_where_it_has_a_key() {
    for (curve, kind, algorithm) in [
        (
            &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyKind::Es256,
            SigningAlgorithm::Es256,
        ),
        (
            &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyKind::Es384,
            SigningAlgorithm::Es384,
        ),
    ] {
        let rig = Rig::new(Behaviour::default()).await;
        let key = rcgen::KeyPair::generate_for(curve).unwrap();
        let path = rig.home.path().join("key.pem");
        std::fs::write(&path, key.serialize_pem()).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, private).unwrap();
        let point = key.public_key_raw().to_vec();
        rig.authority
            .preregister("machine", Proof::Key(kind, point), &[]);
        let client = PreRegistered {
            id: "machine".to_owned(),
            secret: None,
            key: Some(SigningKey {
                key: Reference::File(path),
                id: None,
                algorithm,
            }),
        };
        let life = rig.life_of(&account("machine"), settings(&rig, client));
        assert!(rig.takes(&life.token().await.unwrap()), "{kind:?}");
        assert_eq!(rig.authority.violations(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_with_a_wrong_secret_says_which_key_to_correct() {
    let rig = Rig::new(Behaviour::default()).await;
    rig.authority
        .preregister("machine", Proof::Basic("another-secret".to_owned()), &[]);
    let client = by_secret("a-wrong-secret");
    let life = rig.life_of(&account("machine"), settings(&rig, client));
    let why = life.token().await.unwrap_err();
    let NoCredential::NoToken { why, .. } = why else {
        panic!("{why}");
    };
    let keys = "correct `auth.oauth.client_id` or `auth.oauth.client_secret` (env:SECRET)";
    assert!(why.contains(keys), "{why}");
    // Both ways to send it were tried, and then it rests.
    assert_eq!(rig.authority.count(Endpoint::Token), 2);
    life.token().await.unwrap_err();
    assert_eq!(rig.authority.count(Endpoint::Token), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_goes_to_no_authorization_server_that_only_the_server_names() {
    let rig = Rig::new(Behaviour::default()).await;
    let other = AuthorizationServer::start(Behaviour::default()).await;
    for authority in [&rig.authority, &other] {
        let proof = Proof::Basic("a-secret-of-the-machine".to_owned());
        authority.preregister("machine", proof, &[]);
    }
    let server = ProtectedServer::start(&rig.authority, Protection::default()).await;
    let client = by_secret("a-secret-of-the-machine");
    let found = OAuth {
        issuer: None,
        endpoints: Endpoints::default(),
        resource: Resource::Auto,
        ..settings(&rig, client)
    };
    let of = |life: &Life, settings: &OAuth| {
        let policy = Policy {
            server: server.url().parse().unwrap(),
            private: false,
            ca: None,
        };
        let settings = Arc::new(settings.clone());
        life.grants
            .of(&account("machine"), &settings, &policy, false);
    };
    let life = rig.life_of(&account("machine"), found.clone());
    of(&life, &found);
    assert!(rig.takes(&life.token().await.unwrap()));
    life.stop().await;

    server.protect(|protection| {
        protection.authorization_servers = Some(vec![other.issuer().to_owned()]);
    });
    let life = rig.life_of(&account("machine"), found.clone());
    of(&life, &found);
    let why = life.token().await.unwrap_err();
    let NoCredential::NoToken { why, .. } = why else {
        panic!("{why}");
    };
    assert!(
        why.contains("auth.oauth.issuer") && why.contains(other.issuer()),
        "{why}"
    );
    assert_eq!(other.count(Endpoint::Token), 0);
    // Until the person who configures says that it is right.
    let named = OAuth {
        issuer: Some(other.issuer().to_owned()),
        ..found
    };
    of(&life, &named);
    let token = life.token().await.unwrap();
    assert!(other.owner(token.expose()).is_some());
}
