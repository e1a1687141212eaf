//! From a server to its authorization server, and where that must stop.

use serde_json::{Value, json};

use super::{Said, Scripted};
use crate::credential::oauth::discovery::{Found, find};
use crate::credential::oauth::failed::LoginFailed;
use crate::credential::oauth::login::Challenge;
use crate::model::{Endpoints, OAuth, Resource, Risks};

const PRM: &str = "GET /.well-known/oauth-protected-resource";
const PRM_HERE: &str = "GET /.well-known/oauth-protected-resource/mcp";
const AS: &str = "GET /.well-known/oauth-authorization-server";

fn server_metadata(more: &Value) -> Value {
    let mut metadata = json!({
        "issuer": "ORIGIN",
        "authorization_endpoint": "ORIGIN/authorize",
        "token_endpoint": "ORIGIN/token",
        "registration_endpoint": "ORIGIN/register",
        "code_challenge_methods_supported": ["S256"],
    });
    for (name, value) in more.as_object().unwrap() {
        metadata[name] = value.clone();
    }
    metadata
}

fn resource(more: &Value) -> Value {
    let mut metadata = json!({"resource": "ORIGIN/mcp", "authorization_servers": ["ORIGIN"]});
    for (name, value) in more.as_object().unwrap() {
        metadata[name] = value.clone();
    }
    metadata
}

fn challenge(header: &str) -> Challenge {
    Challenge {
        status: 401,
        header: Some(header.to_owned()),
    }
}

async fn found(server: &Scripted, settings: &OAuth) -> Result<Found, LoginFailed> {
    let challenge = challenge("Bearer error=\"invalid_token\"");
    let found = Box::pin(find(&server.way(), settings, Some(challenge), None)).await;
    found.map(|(_, found)| found)
}

#[tokio::test]
async fn the_document_that_the_refusal_names_is_read_first() {
    let server = Scripted::start().await;
    server
        .json(
            "GET /meta/prm",
            &resource(&json!({"scopes_supported": ["a"]})),
        )
        .json(AS, &server_metadata(&json!({})));
    let header = format!(
        "Bearer realm=\"x\", resource_metadata=\"{}/meta/prm\", scope=\"b c\"",
        server.origin
    );
    let challenge = Some(challenge(&header));
    let settings = OAuth::default();
    let way = server.way();
    let (_, found) = Box::pin(find(&way, &settings, challenge, None))
        .await
        .unwrap();
    assert_eq!(found.server.issuer, server.origin);
    assert_eq!(found.resource, Some(format!("{}/mcp", server.origin)));
    assert_eq!(
        (found.challenged, found.listed),
        (vec!["b".into(), "c".into()], vec!["a".into()])
    );
    assert_eq!(server.lines(), ["GET /meta/prm", AS]);
}

#[tokio::test]
async fn without_a_refusal_the_server_is_asked_for_one_and_no_body_is_waited_for() {
    let server = Scripted::start().await;
    // A stream that does not end.
    server
        .says(
            "GET /mcp",
            Said::new(200, "").with("content-length", "1000"),
        )
        .says(
            "POST /mcp",
            Said::new(401, "").with("www-authenticate", "Bearer scope=\"x\""),
        )
        .json(PRM_HERE, &resource(&json!({})))
        .json(AS, &server_metadata(&json!({})));
    let settings = OAuth::default();
    let way = server.way();
    let (_, found) = Box::pin(find(&way, &settings, None, None)).await.unwrap();
    assert_eq!(found.challenged, ["x"]);
    assert_eq!(server.lines(), ["GET /mcp", "POST /mcp", PRM_HERE, AS]);
}

#[tokio::test]
async fn metadata_is_found_in_each_of_its_places() {
    for (issuer, place) in [
        ("ORIGIN", AS),
        ("ORIGIN", "GET /.well-known/openid-configuration"),
        ("ORIGIN/t", "GET /.well-known/oauth-authorization-server/t"),
        ("ORIGIN/t", "GET /.well-known/openid-configuration/t"),
        ("ORIGIN/t", "GET /t/.well-known/openid-configuration"),
    ] {
        let server = Scripted::start().await;
        server
            .json(PRM, &resource(&json!({"authorization_servers": [issuer]})))
            .json(place, &server_metadata(&json!({"issuer": issuer})));
        let found = found(&server, &OAuth::default()).await;
        assert!(found.is_ok(), "{place}: {found:?}");
    }
}

#[tokio::test]
async fn a_server_of_the_first_revision_is_its_own_authorization_server() {
    let server = Scripted::start().await;
    server.json(AS, &server_metadata(&json!({})));
    let found = found(&server, &OAuth::default()).await.unwrap();
    assert_eq!(found.server.issuer, server.origin);
    assert_eq!(found.resource, Some(format!("{}/mcp", server.origin)));
}

#[tokio::test]
async fn what_nobody_published_is_not_invented() {
    let server = Scripted::start().await;
    let failed = found(&server, &OAuth::default()).await.unwrap_err();
    assert_eq!(failed.code(), "no_authorization_server", "{failed}");
    let settings = OAuth {
        risks: Risks {
            legacy_endpoints: true,
            ..Risks::default()
        },
        ..OAuth::default()
    };
    let found = found(&server, &settings).await.unwrap();
    assert_eq!(found.server.token, format!("{}/token", server.origin));
    assert!(!found.published);
}

#[tokio::test]
async fn a_document_about_another_resource_ends_the_search() {
    let server = Scripted::start().await;
    let other = json!({"resource": "https://other.example/mcp"});
    server
        .json(PRM, &resource(&other))
        // This would be found, and is not what the document leads to.
        .json(AS, &server_metadata(&json!({})));
    let failed = found(&server, &OAuth::default()).await.unwrap_err();
    assert!(failed.to_string().contains("another resource"), "{failed}");
    // Who knows better has written it down.
    let settings = OAuth {
        resource: Resource::Is("https://other.example/mcp".to_owned()),
        ..OAuth::default()
    };
    let found = found(&server, &settings).await.unwrap();
    assert_eq!(found.resource.as_deref(), Some("https://other.example/mcp"));
}

#[tokio::test]
async fn the_metadata_of_another_issuer_is_refused_unless_it_is_pinned() {
    let server = Scripted::start().await;
    server.json(PRM, &resource(&json!({}))).json(
        AS,
        &server_metadata(&json!({"issuer": "https://login.example"})),
    );
    let failed = found(&server, &OAuth::default()).await.unwrap_err();
    assert!(failed.to_string().contains("calls itself"), "{failed}");
    let pinned = |issuer: &str| OAuth {
        issuer: Some(issuer.to_owned()),
        ..OAuth::default()
    };
    let found_pinned = found(&server, &pinned("https://login.example"))
        .await
        .unwrap();
    assert_eq!(found_pinned.server.issuer, "https://login.example");
    let failed = found(&server, &pinned("https://login.example/"))
        .await
        .unwrap_err();
    assert!(failed.to_string().contains("calls itself"), "{failed}");
}

#[tokio::test]
async fn a_pinned_issuer_is_asked_where_the_server_names_nobody() {
    let server = Scripted::start().await;
    let tenant = format!("{}/tenant", server.origin);
    server.json(
        "GET /.well-known/oauth-authorization-server/tenant",
        &server_metadata(&json!({"issuer": "ORIGIN/tenant"})),
    );
    let settings = OAuth {
        issuer: Some(tenant.clone()),
        ..OAuth::default()
    };
    assert_eq!(
        found(&server, &settings).await.unwrap().server.issuer,
        tenant
    );
}

#[tokio::test]
async fn the_next_of_a_list_is_asked_where_the_first_says_nothing() {
    let server = Scripted::start().await;
    let list = json!({"authorization_servers": ["ORIGIN/gone", "ORIGIN/t"]});
    server.json(PRM, &resource(&list)).json(
        "GET /.well-known/oauth-authorization-server/t",
        &server_metadata(&json!({"issuer": "ORIGIN/t"})),
    );
    let found = found(&server, &OAuth::default()).await.unwrap();
    assert_eq!(found.server.issuer, format!("{}/t", server.origin));
    let asked = server.lines();
    assert_eq!(
        asked.iter().filter(|line| *line == PRM).count(),
        1,
        "{asked:?}"
    );
}

#[tokio::test]
async fn who_gave_the_last_grant_is_waited_for() {
    let server = Scripted::start().await;
    let list = json!({"authorization_servers": ["ORIGIN/other", "ORIGIN/mine"]});
    server
        .json(PRM, &resource(&list))
        .json(
            "GET /.well-known/oauth-authorization-server/other",
            &server_metadata(&json!({"issuer": "ORIGIN/other"})),
        )
        .says(
            "GET /.well-known/oauth-authorization-server/mine",
            Said::new(503, ""),
        );
    let earlier = Some(format!("{}/mine", server.origin));
    let settings = OAuth::default();
    let refused = Some(challenge("Bearer"));
    let way = server.way();
    let found = Box::pin(find(&way, &settings, refused, earlier.clone())).await;
    let failed = found.map(|(_, found)| found).unwrap_err();
    assert!(failed.may_pass(), "{failed}");
    let asked = server.lines();
    assert!(
        !asked.iter().any(|line| line.ends_with("/other")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn an_authorization_server_that_changed_is_told_of() {
    let server = Scripted::start().await;
    server
        .json(PRM, &resource(&json!({})))
        .json(AS, &server_metadata(&json!({})));
    let found = found(&server, &OAuth::default()).await.unwrap();
    let before = "https://before.example";
    assert_eq!(found.changed_from(Some(before)).as_deref(), Some(before));
    assert_eq!(found.changed_from(Some(&server.origin)), None);
    assert_eq!(found.changed_from(None), None);
}

#[tokio::test]
async fn a_redirect_of_metadata_is_followed_at_home_only() {
    let (server, other) = (Scripted::start().await, Scripted::start().await);
    server
        .says(PRM, Said::new(302, "").with("location", "/moved"))
        .json("GET /moved", &resource(&json!({})))
        .json(AS, &server_metadata(&json!({})));
    assert!(found(&server, &OAuth::default()).await.is_ok());
    let server = Scripted::start().await;
    let away = format!("{}/prm", other.origin);
    server.says(PRM, Said::new(302, "").with("location", &away));
    let failed = found(&server, &OAuth::default()).await.unwrap_err();
    assert!(failed.to_string().contains("not followed"), "{failed}");
    assert_eq!(other.lines(), [""; 0]);
}

#[tokio::test]
async fn without_pkce_nobody_logs_in_unless_somebody_took_that_risk() {
    let risk = OAuth {
        risks: Risks {
            unadvertised_pkce: true,
            ..Risks::default()
        },
        ..OAuth::default()
    };
    for (said, by_default, with_the_risk) in [
        (json!(["S256"]), true, true),
        (json!(["plain", "S256"]), true, true),
        (json!(null), false, true),
        (json!(["plain"]), false, false),
        (json!([]), false, false),
    ] {
        let server = Scripted::start().await;
        let metadata = server_metadata(&json!({"code_challenge_methods_supported": said}));
        server.json(PRM, &resource(&json!({}))).json(AS, &metadata);
        let found = found(&server, &OAuth::default()).await.unwrap();
        assert_eq!(
            found.check_challenges(&OAuth::default()).is_ok(),
            by_default,
            "{said}"
        );
        assert_eq!(
            found.check_challenges(&risk).is_ok(),
            with_the_risk,
            "{said}"
        );
    }
}

#[tokio::test]
async fn hostile_endpoints_are_not_used() {
    for (member, endpoint) in [
        ("authorization_endpoint", "javascript:alert(1)"),
        ("authorization_endpoint", "file:///etc/passwd"),
        ("authorization_endpoint", "http://as.example/authorize"),
        ("token_endpoint", "http://as.example/token"),
        ("token_endpoint", "http://169.254.169.254/token"),
        ("token_endpoint", "https://169.254.169.254/token"),
        ("token_endpoint", "https://10.0.0.1/token"),
        ("token_endpoint", "https://user@as.example/token"),
        ("token_endpoint", "gopher://as.example/token"),
        ("token_endpoint", "/token"),
    ] {
        let server = Scripted::start().await;
        let metadata = server_metadata(&json!({member: endpoint}));
        server.json(PRM, &resource(&json!({}))).json(AS, &metadata);
        let failed = found(&server, &OAuth::default()).await;
        assert!(failed.is_err(), "{member}: {endpoint}");
    }
}

#[tokio::test]
async fn endpoints_given_by_hand_ask_nobody() {
    let server = Scripted::start().await;
    let settings = OAuth {
        endpoints: Endpoints {
            authorization: Some(format!("{}/a", server.origin)),
            token: Some(format!("{}/t", server.origin)),
            ..Endpoints::default()
        },
        resource: Resource::Omit,
        ..OAuth::default()
    };
    let found = found(&server, &settings).await.unwrap();
    assert_eq!(found.server.token, format!("{}/t", server.origin));
    assert_eq!(found.resource, None);
    assert_eq!(server.lines(), [""; 0]);
}

#[tokio::test]
async fn an_answer_that_is_no_metadata_is_not_taken_for_it() {
    let server = Scripted::start().await;
    for place in [PRM, PRM_HERE, AS] {
        server.json(place, &json!({"error": "not found"}));
    }
    let failed = found(&server, &OAuth::default()).await.unwrap_err();
    assert_eq!(failed.code(), "no_authorization_server", "{failed}");
}

#[tokio::test]
async fn where_endpoints_are_given_what_is_published_says_whether_pkce_is_checked() {
    let described = |server: &Scripted| OAuth {
        issuer: Some(server.origin.clone()),
        endpoints: Endpoints {
            authorization: Some(format!("{}/authorize", server.origin)),
            token: Some(format!("{}/by-hand", server.origin)),
            ..Endpoints::default()
        },
        ..OAuth::default()
    };
    // It says so: what is given by hand counts all the same.
    let server = Scripted::start().await;
    server.json(AS, &server_metadata(&json!({})));
    let settings = described(&server);
    let published = found(&server, &settings).await.unwrap();
    published.check_challenges(&settings).unwrap();
    assert_eq!(published.server.token, format!("{}/by-hand", server.origin));
    // It says nothing: that is a risk, as where nothing is published.
    let silent = Scripted::start().await;
    let settings = described(&silent);
    let described_only = found(&silent, &settings).await.unwrap();
    let risk = described_only.check_challenges(&settings).unwrap_err();
    assert!(matches!(risk, LoginFailed::Risk { .. }), "{risk}");
    // It cannot be reached: no risk that somebody takes would help.
    let away = Scripted::start().await;
    away.says(AS, Said::new(503, ""));
    let settings = described(&away);
    let failed = found(&away, &settings).await.unwrap_err();
    assert!(matches!(failed, LoginFailed::Unreachable(_)), "{failed}");
    // Who took the risk asks nobody.
    let unasked = Scripted::start().await;
    let mut settings = described(&unasked);
    settings.risks.unadvertised_pkce = true;
    let found = found(&unasked, &settings).await.unwrap();
    found.check_challenges(&settings).unwrap();
    assert_eq!(unasked.lines(), [""; 0]);
}
