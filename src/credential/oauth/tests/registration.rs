//! Dynamic registration: what is sent, and what is made of what comes.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Said, Scripted};
use crate::credential::oauth::discovery::find;
use crate::credential::oauth::failed::LoginFailed;
use crate::credential::oauth::granted::Registration;
use crate::credential::oauth::registration::{For, register, serves};
use crate::model::{AccountId, AccountName, ClientAuthentication, OAuth, ServerName};

const URI: &str = "http://127.0.0.1:7334/callback";
const AS: &str = "GET /.well-known/oauth-authorization-server";

async fn registered(server: &Scripted, methods: Value) -> Result<Registration, LoginFailed> {
    server.json(
        AS,
        &json!({
            "issuer": "ORIGIN", "authorization_endpoint": "ORIGIN/authorize", "token_endpoint": "ORIGIN/token",
            "registration_endpoint": "ORIGIN/register", "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": methods,
        }),
    );
    let settings = OAuth::default();
    let way = server.way();
    let ((mut manager, seam), found) = Box::pin(find(&way, &settings, None, None)).await.unwrap();
    let account = AccountId::new(
        ServerName::new("notes").unwrap(),
        AccountName::new("me").unwrap(),
    );
    let wanted = For {
        settings: &settings,
        redirect_uri: URI,
        scopes: &["a".to_owned(), "b".to_owned()],
        fresh: false,
    };
    Box::pin(register(&account, (&mut manager, &seam), &found, wanted)).await
}

fn sent(server: &Scripted) -> Vec<Value> {
    let asked = server.asked().into_iter();
    let posts = asked.filter(|asked| asked.line == "POST /register");
    posts
        .map(|asked| serde_json::from_str(&asked.body).unwrap())
        .collect()
}

#[tokio::test]
async fn the_request_is_that_of_a_native_client_with_one_redirect() {
    let server = Scripted::start().await;
    server.json(
        "POST /register",
        &json!({"client_id": "c", "redirect_uris": [URI]}),
    );
    let client = registered(&server, json!(["client_secret_post", "none"]))
        .await
        .unwrap();
    assert_eq!(
        sent(&server),
        [json!({
            "client_name": "Janus",
            "application_type": "native",
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "redirect_uris": [URI],
            "scope": "a b",
        })]
    );
    assert_eq!(client.client_id, "c");
    assert_eq!(client.issuer, server.origin);
    assert_eq!(client.method, ClientAuthentication::None);
    assert_eq!(client.redirect_uri, URI);
}

#[tokio::test]
async fn the_least_method_that_is_offered_is_asked_for() {
    for (offered, asked) in [
        (
            json!(["client_secret_post", "client_secret_basic", "none"]),
            "none",
        ),
        (
            json!(["client_secret_post", "client_secret_basic"]),
            "client_secret_basic",
        ),
        (
            json!(["private_key_jwt", "client_secret_post"]),
            "client_secret_post",
        ),
        (json!(["private_key_jwt"]), "none"),
        (json!(null), "none"),
    ] {
        let server = Scripted::start().await;
        server.json("POST /register", &json!({"client_id": "c"}));
        registered(&server, offered.clone()).await.unwrap();
        assert_eq!(
            sent(&server)[0]["token_endpoint_auth_method"],
            asked,
            "{offered}"
        );
    }
}

#[tokio::test]
async fn all_of_a_registration_is_kept() {
    let server = Scripted::start().await;
    server.says(
        "POST /register",
        Said::new(
            201,
            &json!({
                "client_id": "c", "client_secret": "secret-of-the-client", "client_secret_expires_at": 2_000_000_000,
                "token_endpoint_auth_method": "client_secret_post",
                "registration_client_uri": format!("{}/register/c", server.origin),
                "registration_access_token": "token-of-the-registration",
            })
            .to_string(),
        ),
    );
    let client = registered(&server, json!(["client_secret_post"]))
        .await
        .unwrap();
    assert_eq!(client.method, ClientAuthentication::SecretPost);
    assert_eq!(
        client.client_secret.unwrap().expose(),
        "secret-of-the-client"
    );
    let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    assert_eq!(client.secret_expires, Some(ends));
    let managed = client.managed.unwrap();
    assert_eq!(managed.uri, format!("{}/register/c", server.origin));
    assert_eq!(managed.token.expose(), "token-of-the-registration");
}

#[tokio::test]
async fn a_token_for_a_registration_that_goes_to_somebody_else_is_not_kept() {
    let server = Scripted::start().await;
    let foreign = "https://as.example/register/c".to_owned();
    let like = server.origin.replace("127.0.0.1", "127.0.0.1.example.org");
    for uri in [foreign, like, "/register/c".to_owned(), String::new()] {
        let answer = json!({
            "client_id": "c", "registration_client_uri": uri, "registration_access_token": "token",
        });
        server.says("POST /register", Said::new(201, &answer.to_string()));
        let client = registered(&server, json!(["none"])).await.unwrap();
        assert!(client.managed.is_none(), "{uri}");
    }
}

#[tokio::test]
async fn what_a_response_does_not_say_is_filled_in() {
    for (response, offered, method) in [
        (
            json!({"client_id": "c", "client_secret": ""}),
            json!(null),
            ClientAuthentication::None,
        ),
        (
            json!({"client_id": "c", "client_secret": "s"}),
            json!(null),
            ClientAuthentication::SecretBasic,
        ),
        (
            json!({"client_id": "c", "client_secret": "s"}),
            json!(["client_secret_post"]),
            ClientAuthentication::SecretPost,
        ),
        (
            json!({"client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "none"}),
            json!(null),
            ClientAuthentication::None,
        ),
        (
            json!({"client_id": "c", "token_endpoint_auth_method": "client_secret_basic"}),
            json!(null),
            ClientAuthentication::None,
        ),
        (
            json!({"client_id": "c", "client_secret_expires_at": "0"}),
            json!(null),
            ClientAuthentication::None,
        ),
    ] {
        let server = Scripted::start().await;
        server.json("POST /register", &response);
        let client = registered(&server, offered).await.unwrap();
        assert_eq!(client.method, method, "{response}");
        assert_eq!(client.secret_expires, None, "{response}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_taken_is_called_localhost_once() {
    let server = Scripted::start().await;
    server
        .says(
            "POST /register",
            Said::new(400, r#"{"error":"invalid_redirect_uri"}"#),
        )
        .json("POST /register", &json!({"client_id": "c"}));
    let client = registered(&server, json!(null)).await.unwrap();
    assert_eq!(client.redirect_uri, "http://localhost:7334/callback");
    let uris: Vec<Value> = sent(&server)
        .iter()
        .map(|sent| sent["redirect_uris"].clone())
        .collect();
    assert_eq!(
        uris,
        [json!([URI]), json!(["http://localhost:7334/callback"])]
    );

    let stubborn = Scripted::start().await;
    stubborn.says(
        "POST /register",
        Said::new(400, r#"{"error":"invalid_redirect_uri"}"#),
    );
    assert!(registered(&stubborn, json!(null)).await.is_err());
    assert_eq!(sent(&stubborn).len(), 2);
}

#[tokio::test]
async fn a_refusal_is_told_in_a_line() {
    let server = Scripted::start().await;
    let page = format!(
        r#"{{"error":"access_denied","error_description":"{}"}}"#,
        "long ".repeat(1000)
    );
    server.says("POST /register", Said::new(403, &page));
    let failed = registered(&server, json!(null)).await.unwrap_err();
    let text = failed.to_string();
    assert!(text.contains("access_denied: long long"), "{text}");
    assert!(text.len() < 400, "{text}");
    assert_eq!(sent(&server).len(), 1);
    assert_eq!(failed.code(), "provider_refused");

    let away = Scripted::start().await;
    away.says("POST /register", Said::new(503, ""));
    let failed = registered(&away, json!(null)).await.unwrap_err();
    assert!(failed.may_pass(), "{failed}");

    let other = Scripted::start().await;
    other.json(
        "POST /register",
        &json!({"client_id": "c", "redirect_uris": ["https://evil.example/"]}),
    );
    assert!(registered(&other, json!(null)).await.is_err());
}

#[tokio::test]
async fn a_registration_request_is_not_redirected() {
    let (server, other) = (Scripted::start().await, Scripted::start().await);
    let away = format!("{}/register", other.origin);
    server.says("POST /register", Said::new(307, "").with("location", &away));
    assert!(registered(&server, json!(null)).await.is_err());
    assert_eq!(other.lines(), [""; 0]);
}

#[test]
fn a_registration_serves_the_place_it_was_made_for() {
    assert!(serves(URI, URI));
    assert!(serves("http://localhost:7334/callback", URI));
    assert!(!serves("http://127.0.0.1:7335/callback", URI));
    assert!(!serves(URI, "http://localhost:7334/callback"));
    assert!(!serves("", URI));
}
