//! The login itself, from a server's refusal to a call with the new token: each provider in its own way.

use serde_json::json;

use super::rig::{NO_BROWSER, Rig, call, link, text, told};
use crate::support::Era;
use crate::support::authorization::{
    AuthorizationServer, Behaviour, Consent, Endpoint, Iss, MetadataAt, Proof, Protection,
    Registering, ResourceMetadataAt,
};

/// Calls, logs in as the result says, and calls again.
async fn logged_in(behaviour: Behaviour, protection: Protection, more: &str) -> Rig {
    let rig = Rig::start(behaviour, protection, more).await;
    rig.authority.log_in_as("ana");
    let mut client = rig.client(Era::Modern).await;
    let refused = call(&mut client, "s__who").await;
    rig.log_in(&link(&refused)).await;
    connected(&rig);
    let result = rig.called(&mut client, "s__who").await;
    assert_eq!(text(&result), "ana");
    rig.assert_clean();
    rig
}

/// Waits for the connection that a login is followed by.
fn connected(rig: &Rig) {
    let ended = rig.janus.home().run(&["account", "verify", "s"]);
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[tokio::test]
async fn whoever_keeps_to_the_book_in_their_own_way_is_logged_in_to() {
    let tenant = |metadata_at| Behaviour {
        path: "/tenant".to_owned(),
        metadata_at: vec![metadata_at],
        ..Behaviour::default()
    };
    let at = |place| Protection {
        names_metadata: false,
        metadata_at: vec![place],
        ..Protection::default()
    };
    for (what, behaviour, protection) in [
        ("plain", Behaviour::default(), Protection::default()),
        (
            "OpenID inserted",
            tenant(MetadataAt::OpenIdInserted),
            at(ResourceMetadataAt::Inserted),
        ),
        (
            "OpenID appended",
            tenant(MetadataAt::OpenIdAppended),
            at(ResourceMetadataAt::Root),
        ),
        (
            "post only, and a secret that nobody asked for",
            Behaviour {
                methods: Some(vec!["client_secret_post"]),
                ..Behaviour::default()
            },
            at(ResourceMetadataAt::Suffixed),
        ),
        (
            "a secret by the other way than its registration says",
            Behaviour {
                methods: Some(vec!["client_secret_basic", "client_secret_post"]),
                registered_method: Some("client_secret_basic"),
                insists_on: Some("client_secret_post"),
                ..Behaviour::default()
            },
            Protection::default(),
        ),
        (
            "no address as a redirect",
            Behaviour {
                refused_redirect_hosts: vec!["127.0.0.1"],
                ..Behaviour::default()
            },
            Protection::default(),
        ),
        (
            "no `iss`",
            Behaviour {
                iss: Iss::Absent,
                ..Behaviour::default()
            },
            Protection::default(),
        ),
        (
            "an `iss` that nobody announced",
            Behaviour {
                iss: Iss::Unannounced,
                ..Behaviour::default()
            },
            Protection::default(),
        ),
        (
            "metadata at the server itself",
            Behaviour {
                iss: Iss::Absent,
                ..Behaviour::default()
            },
            Protection {
                authority_here: true,
                names_metadata: false,
                metadata_at: Vec::new(),
                ..Protection::default()
            },
        ),
        (
            "scopes of the refusal",
            Behaviour {
                scopes: Some(vec!["a", "b", "offline_access"]),
                more_authorize_params: vec!["prompt"],
                ..Behaviour::default()
            },
            Protection {
                challenge_scope: Some("a".to_owned()),
                ..Protection::default()
            },
        ),
    ] {
        println!("{what}");
        logged_in(behaviour, protection, NO_BROWSER).await;
    }
}

#[tokio::test]
async fn after_a_wrong_iss_no_code_is_sent() {
    for (iss, canary) in [
        (Iss::Missing, "cAnArY"),
        (Iss::Wrong("https://evil.example".to_owned()), "evil"),
    ] {
        let behaviour = Behaviour {
            iss,
            ..Behaviour::default()
        };
        let rig = Rig::start(behaviour, Protection::default(), NO_BROWSER).await;
        let mut client = rig.client(Era::Modern).await;
        let refused = call(&mut client, "s__who").await;
        let (_, page) = rig.say(&link(&refused)).await;
        assert!(page.contains("Not logged in"), "{page}");
        assert!(!page.contains(canary), "{page}");
        assert_eq!(rig.authority.count(Endpoint::Token), 0);
    }
}

#[tokio::test]
async fn a_person_who_says_no_is_not_logged_in() {
    let behaviour = Behaviour {
        consent: Consent::Refused("access_denied"),
        ..Behaviour::default()
    };
    let rig = Rig::start(behaviour, Protection::default(), NO_BROWSER).await;
    let mut client = rig.client(Era::Modern).await;
    let refused = call(&mut client, "s__who").await;
    rig.say(&link(&refused)).await;
    assert_eq!(rig.authority.count(Endpoint::Token), 0);
    let again = call(&mut client, "s__who").await;
    assert_eq!(told(&again).0["code"], "needs_login");
}

#[tokio::test]
async fn a_login_without_pkce_needs_a_risk_that_somebody_took() {
    let behaviour = || Behaviour {
        pkce: None,
        ..Behaviour::default()
    };
    let rig = Rig::start(behaviour(), Protection::default(), NO_BROWSER).await;
    let ended = rig.janus.home().run(&["login", "s", "--json"]);
    assert!(
        ended.stderr.contains("allow_unadvertised_pkce"),
        "{}",
        ended.stderr
    );
    assert_eq!(rig.authority.count(Endpoint::Register), 0);
    let brave = "auth: { oauth: { open_browser: false, allow_unadvertised_pkce: true } }";
    logged_in(behaviour(), Protection::default(), brave).await;
}

#[tokio::test]
async fn a_provider_without_registration_gives_the_lines_to_fill_in() {
    let behaviour = Behaviour {
        registration: Registering::Absent,
        ..Behaviour::default()
    };
    let rig = Rig::start(behaviour, Protection::default(), NO_BROWSER).await;
    let ended = rig.janus.home().run(&["login", "s"]);
    assert!(!ended.status.success());
    for told in [
        "register an application",
        "client_id: THE-ID-YOU-GOT",
        "http://127.0.0.1:",
    ] {
        assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_client_that_a_person_registered_is_used_and_nothing_is_registered() {
    let behaviour = Behaviour {
        registration: Registering::Absent,
        ..Behaviour::default()
    };
    let more = "auth: { oauth: { open_browser: false, client_id: mine, callback_port: 7391 } }";
    let rig = Rig::start(behaviour, Protection::default(), more).await;
    let uri = "http://127.0.0.1:7391/callback";
    rig.authority.preregister("mine", Proof::None, &[uri]);
    rig.authority.log_in_as("ana");
    let mut client = rig.client(Era::Modern).await;
    let refused = call(&mut client, "s__who").await;
    rig.log_in(&link(&refused)).await;
    connected(&rig);
    assert_eq!(text(&rig.called(&mut client, "s__who").await), "ana");
    rig.assert_clean();
}

#[tokio::test]
async fn a_client_that_a_person_registered_goes_to_no_other_authorization_server() {
    let behaviour = || Behaviour {
        registration: Registering::Absent,
        ..Behaviour::default()
    };
    let more = "auth: { oauth: { open_browser: false, client_id: mine, callback_port: 7392 } }";
    let rig = Rig::start(behaviour(), Protection::default(), more).await;
    let other = AuthorizationServer::start(behaviour()).await;
    let uri = "http://127.0.0.1:7392/callback";
    rig.authority.preregister("mine", Proof::None, &[uri]);
    rig.authority.log_in_as("ana");
    let mut client = rig.client(Era::Modern).await;
    let refused = call(&mut client, "s__who").await;
    rig.log_in(&link(&refused)).await;
    connected(&rig);
    rig.server.protect(|protection| {
        protection.authorization_servers = Some(vec![other.issuer().to_owned()]);
    });
    let ended = rig.janus.home().run(&["login", "s", "--again"]);
    assert!(!ended.status.success());
    for told in [
        "names another authorization server now",
        other.issuer(),
        rig.authority.issuer(),
        "auth.oauth.client_id",
        "issuer: \"http",
    ] {
        assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
    }
    assert_eq!(other.count(Endpoint::Authorize), 0);
    assert_eq!(other.count(Endpoint::Token), 0);
}

#[tokio::test]
async fn hostile_metadata_leads_nowhere() {
    for (member, value) in [
        ("authorization_endpoint", "javascript:alert(1)"),
        ("token_endpoint", "http://169.254.169.254/token"),
        ("issuer", "https://evil.example"),
    ] {
        let behaviour = Behaviour {
            metadata: json!({ member: value }),
            ..Behaviour::default()
        };
        let rig = Rig::start(behaviour, Protection::default(), NO_BROWSER).await;
        let ended = rig.janus.home().run(&["login", "s"]);
        assert!(!ended.status.success(), "{member}: {value}");
        assert_eq!(
            rig.authority.count(Endpoint::Register),
            0,
            "{member}: {value}"
        );
        assert_eq!(
            rig.authority.count(Endpoint::Authorize),
            0,
            "{member}: {value}"
        );
    }
}
