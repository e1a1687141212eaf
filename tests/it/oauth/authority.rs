//! The fake authorization server itself: a client by the book is content with it, and it notices one that is not.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::book::{self, REDIRECT, page, post};
use crate::support::authorization::{
    Answer, AuthorizationServer, Behaviour, CANARY, Consent, Endpoint, Grace, Hold, Outage,
    ProtectedServer, Protection, follow,
};
use crate::support::{Http, Reply};

async fn register(server: &AuthorizationServer) -> String {
    let wanted = json!({ "client_name": "Janus", "application_type": "native", "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        "token_endpoint_auth_method": "none" });
    let http = Http::tcp(server.issuer());
    let said = http
        .post("/oauth/register", &[], &wanted)
        .await
        .json()
        .await;
    said["client_id"].as_str().unwrap().to_owned()
}

async fn log_in(server: &AuthorizationServer, protected: &ProtectedServer) -> (String, Value) {
    let client = register(server).await;
    let tokens = book::log_in(server, &client, &protected.url()).await;
    (client, tokens)
}

async fn refresh(
    server: &AuthorizationServer,
    protected: &ProtectedServer,
    client: &str,
    token: &Value,
) -> Value {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str().unwrap()),
        ("client_id", client),
        ("resource", &protected.url()),
    ];
    post(server, "/oauth/token", &form).await.json().await
}

async fn call(protected: &ProtectedServer, token: &Value) -> Reply {
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "who" } });
    let headers = [("authorization", bearer.as_str())];
    Http::tcp(&protected.url())
        .post("/mcp", &headers, &call)
        .await
}

async fn both(behaviour: Behaviour) -> (AuthorizationServer, ProtectedServer) {
    let server = AuthorizationServer::start(behaviour).await;
    let protected = ProtectedServer::start(&server, Protection::default()).await;
    (server, protected)
}

#[tokio::test]
async fn a_login_by_the_book_gives_tokens_that_say_who_called() {
    let (server, protected) = both(Behaviour::default()).await;
    server.log_in_as("ben");
    let (_, tokens) = log_in(&server, &protected).await;
    let said = call(&protected, &tokens["access_token"]).await.json().await;
    assert_eq!(said["result"]["content"][0]["text"], "ben");
    assert!(tokens["refresh_token"].as_str().unwrap().contains(CANARY));
    assert_eq!(server.violations(), [""; 0]);
    assert_eq!(protected.violations(), [""; 0]);
    server.advance(Duration::from_hours(1));
    let refused = call(&protected, &tokens["access_token"]).await;
    assert_eq!(refused.status, 401);
    assert!(
        refused
            .header("www-authenticate")
            .contains("resource_metadata=")
    );
}

#[tokio::test]
async fn a_refresh_token_that_comes_again_ends_the_grant() {
    let (server, protected) = both(Behaviour::default()).await;
    let (client, tokens) = log_in(&server, &protected).await;
    let first = &tokens["refresh_token"];
    let second = refresh(&server, &protected, &client, first).await;
    assert_eq!(server.refreshes(), 1);
    let again = refresh(&server, &protected, &client, first).await;
    assert_eq!(again["error"], "invalid_grant");
    assert_eq!(server.reuse(), 1);
    let third = refresh(&server, &protected, &client, &second["refresh_token"]).await;
    assert_eq!(third["error"], "invalid_grant");
    assert_eq!(call(&protected, &second["access_token"]).await.status, 401);
}

#[tokio::test]
async fn grace_forgives_the_one_before_and_no_other() {
    let behaviour = Behaviour {
        grace: Grace::Times(1),
        ..Behaviour::default()
    };
    let (server, protected) = both(behaviour).await;
    let (client, tokens) = log_in(&server, &protected).await;
    let first = &tokens["refresh_token"];
    server.next_token_response(Answer::Lost);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", first.as_str().unwrap()),
    ];
    let url = protected.url();
    let form = [
        &form[..],
        &[("client_id", client.as_str()), ("resource", url.as_str())],
    ]
    .concat();
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    let body = body.extend_pairs(form).finish();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let http = Http::tcp(server.issuer());
    // The connection is cut, but the token was used.
    let request = http
        .attempt_text(Method::POST, "/oauth/token", &headers, &body)
        .await;
    assert!(request.is_none());
    assert_eq!(server.refreshes(), 1);
    let second = refresh(&server, &protected, &client, first).await;
    assert_eq!(server.forgiven(), 1);
    let third = refresh(&server, &protected, &client, &second["refresh_token"]).await;
    assert!(third["access_token"].is_string(), "{third}");
    let old = refresh(&server, &protected, &client, first).await;
    assert_eq!(
        (old["error"].as_str(), server.reuse()),
        (Some("invalid_grant"), 1)
    );
}

#[tokio::test]
async fn it_notices_what_a_client_gets_wrong() {
    let (server, protected) = both(Behaviour::default()).await;
    let client = register(&server).await;
    let page = page(&server, &client, "https://other.example/mcp");
    let back = follow(&page.replace("S256", "plain")).await;
    assert!(back.contains("error=") && back.contains("iss="), "{back}");
    let violations = server.violations().join("\n");
    assert!(violations.contains("no PKCE by S256"), "{violations}");
    assert!(
        violations.contains("https://other.example/mcp"),
        "{violations}"
    );
    let unasked = call(&protected, &json!("somebody-elses")).await;
    assert_eq!(unasked.status, 401);
    assert_eq!(protected.violations(), ["a foreign token"]);
}

#[tokio::test]
async fn it_misbehaves_on_command() {
    let (server, protected) = both(Behaviour::default()).await;
    let (client, tokens) = log_in(&server, &protected).await;
    server.next_token_response(Answer::error(503, "temporarily_unavailable"));
    server.next_token_response(Answer::edited(|tokens| tokens["expires_in"] = "60".into()));
    let token = &tokens["refresh_token"];
    let said = refresh(&server, &protected, &client, token).await;
    assert_eq!(said["error"], "temporarily_unavailable");
    let said = refresh(&server, &protected, &client, token).await;
    assert_eq!(said["expires_in"], "60");
    // Held, and released by the test.
    server.hold(Endpoint::Token, Hold::Before);
    let next = refresh(&server, &protected, &client, &said["refresh_token"]);
    let (next, ()) = tokio::join!(next, async {
        server.held(Endpoint::Token, 1).await;
        server.release(Endpoint::Token);
    });
    assert!(next["access_token"].is_string(), "{next}");
    server.behave(|behaviour| behaviour.consent = Consent::Refused("access_denied"));
    let back = follow(&page(&server, &client, &protected.url())).await;
    assert!(back.contains("error=access_denied"), "{back}");
    // Nobody listens, and then somebody does again on the same port.
    server.outage(Outage::Refused);
    let address = server.issuer().trim_start_matches("http://").to_owned();
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.outage(Outage::TooMany(7));
    let reply = loop {
        let form = [("grant_type", "refresh_token")];
        if tokio::net::TcpStream::connect(&address).await.is_ok() {
            break post(&server, "/oauth/token", &form).await;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (reply.status.as_u16(), reply.header("retry-after")),
        (429, "7")
    );
}
