//! A client by the book, which is not Janus: what it sends is right, whatever Janus sends.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::authorization::{AuthorizationServer, follow};
use crate::support::{Http, Reply};

pub(super) const REDIRECT: &str = "http://127.0.0.1:7334/callback";
const VERIFIER: &str = "0123456789-0123456789-0123456789-0123456789";

/// Sends a form.
pub(super) async fn post(server: &AuthorizationServer, path: &str, form: &[(&str, &str)]) -> Reply {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    let request = http::Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.finish())
        .unwrap();
    Http::tcp(server.issuer()).send(request).await
}

/// The page where a person says yes.
pub(super) fn page(server: &AuthorizationServer, client: &str, resource: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let mut url = url::Url::parse(&server.endpoint("authorize")).unwrap();
    url.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("state", "a-state-that-nobody-guesses"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("resource", resource),
    ]);
    url.to_string()
}

/// The tokens of a login.
pub(super) async fn log_in(server: &AuthorizationServer, client: &str, resource: &str) -> Value {
    let back = follow(&page(server, client, resource)).await;
    let back = url::Url::parse(&back).unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code.1),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
        ("client_id", client),
        ("resource", resource),
    ];
    post(server, "/oauth/token", &form).await.json().await
}
