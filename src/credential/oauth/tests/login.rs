//! A whole login: what the person sees, what is sent, and what never gets into rmcp.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Said, Scripted};
use crate::credential::Ground;
use crate::credential::oauth::{
    Callback, Challenge, Flow, Grant, Granted, Identity, LoginFailed, Options, RegistrationKind,
};
use crate::model::{
    AccountId, AccountName, Ask, OAuth, PreRegistered, Reference, Secret, ServerName, Whoami,
};

const URI: &str = "http://127.0.0.1:7334/callback";
const CODE: &str = "canary-code-0123456789";
const ACCESS: &str = "canary-access-0123456789";
const REFRESH: &str = "canary-refresh-0123456789";
const SECRET: &str = "canary-secret-0123456789";
const AS: &str = "GET /.well-known/oauth-authorization-server";
const PRM: &str = "GET /.well-known/oauth-protected-resource";

fn server_metadata(more: &Value) -> Value {
    let mut metadata = json!({
        "issuer": "ORIGIN", "authorization_endpoint": "ORIGIN/authorize", "token_endpoint": "ORIGIN/token",
        "registration_endpoint": "ORIGIN/register", "userinfo_endpoint": "ORIGIN/me",
        "revocation_endpoint": "ORIGIN/revoke", "device_authorization_endpoint": "ORIGIN/device",
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": ["read", "write", "admin", "openid"],
    });
    for (name, value) in more.as_object().unwrap() {
        metadata[name] = value.clone();
    }
    metadata
}

async fn server(metadata: Value) -> Scripted {
    let server = Scripted::start().await;
    server
        .json(PRM, &json!({"resource": "ORIGIN/mcp/", "authorization_servers": ["ORIGIN"], "scopes_supported": ["read"]}))
        .json(AS, &server_metadata(&metadata))
        .json("POST /register", &json!({"client_id": "client-1"}))
        .json(
            "POST /token",
            // Odd, and a login all the same: no `token_type`, a life in quotes, a list of scopes.
            &json!({"access_token": ACCESS, "refresh_token": REFRESH, "expires_in": "3600", "scope": ["read"]}),
        );
    server
}

fn grant(server: &Scripted, settings: OAuth) -> (Ground, Arc<Grant>) {
    let ground = Ground::of_a_test();
    let account = AccountId::new(
        ServerName::new("notes").unwrap(),
        AccountName::new("me").unwrap(),
    );
    let policy = server.way().policy;
    let grant = ground
        .grants
        .of(&account, &Arc::new(settings), &policy, false);
    grant.challenged(Challenge {
        status: 401,
        header: Some("Bearer error=\"invalid_token\"".to_owned()),
    });
    (ground, grant)
}

/// With a client: the vault of this test keeps nothing.
fn settings() -> OAuth {
    OAuth {
        client: Some(PreRegistered {
            id: "client-0".to_owned(),
            secret: None,
            key: None,
        }),
        ..OAuth::default()
    }
}

async fn begun(server: &Scripted, settings: OAuth) -> Result<Flow, LoginFailed> {
    let (ground, grant) = grant(server, settings);
    let options = Options::default();
    Box::pin(Flow::begin(&grant, ground.grants.network(), URI, &options)).await
}

async fn finished(flow: Flow, query: &str) -> Result<Granted, LoginFailed> {
    let query = query
        .replace("STATE", &flow.expected().unwrap().state)
        .replace("ISSUER", flow.issuer());
    Box::pin(flow.finish(Callback::read(&query)?)).await
}

fn query(url: &str) -> BTreeMap<String, String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().into_owned().collect()
}

fn form(server: &Scripted) -> BTreeMap<String, String> {
    let asked = server
        .asked()
        .into_iter()
        .filter(|asked| asked.line == "POST /token");
    let body = asked.map(|asked| asked.body).next_back().unwrap();
    url::form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect()
}

const ANSWER: &str = "code=canary-code-0123456789&state=STATE&iss=ISSUER";

#[tokio::test]
async fn a_login_goes_from_a_page_to_tokens() {
    let server = server(json!({})).await;
    let flow = begun(&server, settings()).await.unwrap();
    let asked = query(flow.url());
    assert_eq!(flow.host(), "127.0.0.1");
    assert!(!flow.is_foreign());
    assert_eq!(asked["client_id"], "client-0");
    assert_eq!(asked["response_type"], "code");
    assert_eq!(asked["redirect_uri"], URI);
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["scope"], "read");
    // As it was published, byte for byte.
    assert_eq!(asked["resource"], format!("{}/mcp/", server.origin));
    let state = flow.expected().unwrap().state;
    assert_eq!(asked["state"], state);
    assert!(state.len() >= 22, "128 bits");
    assert_eq!(flow.new_scopes(), ["read"]);
    let granted = finished(flow, ANSWER).await.unwrap();
    let sent = form(&server);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&sent["code_verifier"]));
    assert_eq!(challenge, asked["code_challenge"]);
    assert_eq!(sent["grant_type"], "authorization_code");
    assert_eq!(sent["code"], CODE);
    assert_eq!(sent["redirect_uri"], URI);
    assert_eq!(sent["resource"], format!("{}/mcp/", server.origin));
    assert_eq!(sent["client_id"], "client-0");
    assert_eq!(sent.len(), 6, "{sent:?}");
    assert_eq!(granted.tokens.access.expose(), ACCESS);
    assert_eq!(granted.tokens.refresh.unwrap().expose(), REFRESH);
    assert_eq!(
        granted.tokens.life,
        Some(std::time::Duration::from_hours(1))
    );
    assert_eq!(granted.scopes, ["read"]);
    assert_eq!(granted.source.issuer, server.origin);
    assert_eq!(granted.registration.kind, RegistrationKind::PreRegistered);
    assert_eq!(granted.verified_as, None);
}

#[tokio::test]
async fn after_a_wrong_answer_no_code_is_sent() {
    for (answer, code) in [
        ("code=c&state=other&iss=ISSUER", "not_the_answer"),
        ("code=c&state=STATE", "not_the_answer"),
        (
            "code=c&state=STATE&iss=https://evil.example",
            "not_the_answer",
        ),
        ("code=c&state=STATE&iss=ISSUER/", "not_the_answer"),
        (
            "error=access_denied&state=STATE&iss=https://evil.example",
            "not_the_answer",
        ),
        ("error=access_denied&state=STATE&iss=ISSUER", "login_denied"),
        ("state=STATE&iss=ISSUER", "not_the_answer"),
    ] {
        let server = server(json!({})).await;
        let flow = begun(&server, settings()).await.unwrap();
        let failed = finished(flow, answer).await.unwrap_err();
        assert_eq!(failed.code(), code, "{answer}: {failed}");
        assert!(!failed.to_string().contains("evil"), "{failed}");
        let asked = server.lines();
        assert!(
            !asked.contains(&"POST /token".to_owned()),
            "{answer}: {asked:?}"
        );
    }
}

#[tokio::test]
async fn a_refusal_of_the_code_is_told_and_not_repeated() {
    let server = server(json!({})).await;
    let flow = begun(&server, settings()).await.unwrap();
    server.instead(
        "POST /token",
        Said::new(
            400,
            r#"{"error":"invalid_grant","error_description":"used before"}"#,
        ),
    );
    let failed = finished(flow, ANSWER).await.unwrap_err();
    assert!(
        failed.to_string().contains("invalid_grant: used before"),
        "{failed}"
    );
    let asked = server.lines();
    assert_eq!(
        asked.iter().filter(|line| *line == "POST /token").count(),
        1
    );
}

#[tokio::test]
async fn a_token_endpoint_that_leads_away_gets_no_code() {
    let (server, other) = (server(json!({})).await, Scripted::start().await);
    let flow = begun(&server, settings()).await.unwrap();
    let away = format!("{}/token", other.origin);
    server.instead("POST /token", Said::new(307, "").with("location", &away));
    assert!(finished(flow, ANSWER).await.is_err());
    assert_eq!(other.lines(), [""; 0]);
}

#[tokio::test]
async fn without_a_list_of_scopes_not_everything_is_asked_for() {
    let server = server(json!({})).await;
    server.instead(
        PRM,
        Said::new(
            200,
            &json!({"resource": format!("{}/mcp", server.origin), "authorization_servers": [server.origin]})
                .to_string(),
        ),
    );
    let flow = begun(&server, settings()).await.unwrap();
    assert_eq!(flow.scopes(), [""; 0]);
    assert!(!query(flow.url()).contains_key("scope"), "{}", flow.url());
}

#[tokio::test]
async fn a_provider_without_registration_says_where_to_register() {
    let server = server(json!({"registration_endpoint": null})).await;
    let failed = begun(&server, OAuth::default()).await.unwrap_err();
    assert_eq!(failed.code(), "not_registered");
    let account = AccountId::new(
        ServerName::new("notes").unwrap(),
        AccountName::new("me").unwrap(),
    );
    let help = failed.help(&account).join("\n");
    assert!(help.contains(URI) && help.contains("client_id"), "{help}");
}

#[tokio::test]
async fn who_logged_in_is_learnt_from_the_url_that_tells() {
    let server = server(json!({})).await;
    server.json("GET /whoami", &json!({"user": {"login": "ana"}, "team": 7}));
    let settings = OAuth {
        whoami: Some(Whoami {
            ask: Ask::Url(format!("{}/whoami", server.origin)),
            subject: "/user/login".to_owned(),
            workspace: Some("/team".to_owned()),
        }),
        ..settings()
    };
    let flow = begun(&server, settings).await.unwrap();
    let granted = finished(flow, ANSWER).await.unwrap();
    let who = Identity {
        subject: "ana".to_owned(),
        workspace: Some("7".to_owned()),
    };
    assert_eq!(granted.verified_as, Some(who));
}

fn id_token(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(claims))
}

#[tokio::test]
async fn who_logged_in_is_learnt_from_claims_for_this_client_only() {
    for (claims, who) in [
        (
            json!({"email": "ana@a.example", "sub": "1"}),
            Some("ana@a.example"),
        ),
        (
            json!({"email": "ana@a.example", "email_verified": false, "sub": "1"}),
            Some("1"),
        ),
        (
            json!({"preferred_username": "ana", "sub": "1"}),
            Some("ana"),
        ),
        (json!({"aud": "somebody-else", "sub": "1"}), None),
        (json!({"aud": ["x", "client-0"], "sub": "1"}), Some("1")),
        (json!({"iss": "https://evil.example", "sub": "1"}), None),
    ] {
        let server = server(json!({})).await;
        let mut all = json!({"iss": server.origin, "aud": "client-0"});
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let body = json!({"access_token": ACCESS, "id_token": id_token(&all)}).to_string();
        server.instead("POST /token", Said::new(200, &body));
        let flow = begun(&server, settings()).await.unwrap();
        let granted = finished(flow, ANSWER).await.unwrap();
        let told = granted.verified_as.map(|who| who.subject);
        assert_eq!(told.as_deref(), who, "{claims}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_is_waited_for() {
    let server = server(json!({})).await;
    server.json(
        "POST /device",
        &json!({
            "device_code": "canary-device-0123", "user_code": "ABCD-EFGH", "verification_uri": "ORIGIN/activate",
            "expires_in": 600, "interval": 1,
        }),
    );
    for said in [
        (400, r#"{"error":"authorization_pending"}"#),
        (400, r#"{"error":"slow_down"}"#),
        (503, ""),
    ] {
        server.before("POST /token", Said::new(said.0, said.1));
    }
    let (ground, grant) = grant(&server, settings());
    let options = Options {
        device: true,
        ..Options::default()
    };
    let flow = Box::pin(Flow::begin(&grant, ground.grants.network(), "", &options))
        .await
        .unwrap();
    let (code, place, _) = flow.device().unwrap();
    assert_eq!(
        (code, place),
        ("ABCD-EFGH", format!("{}/activate", server.origin).as_str())
    );
    let brought = Box::pin(flow.poll(std::future::pending())).await.unwrap();
    assert_eq!(brought.granted.tokens.access.expose(), ACCESS);
    assert_eq!(form(&server)["device_code"], "canary-device-0123");
}

/// What rmcp and everything else writes at the most talkative level.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_code_token_or_secret_gets_into_a_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // Without what takes secrets out of a log: rmcp must not have them in the first place.
    let _guard = tracing::subscriber::set_default(subscriber);
    let post = json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]});
    let server = server(post).await;
    let secret = Reference::Environment {
        name: "SECRET".to_owned(),
        value: Some(Arc::new(Secret::new(SECRET))),
    };
    let mut settings = settings();
    settings.client.as_mut().unwrap().secret = Some(secret);
    let flow = begun(&server, settings).await.unwrap();
    finished(flow, ANSWER).await.unwrap();
    assert_eq!(form(&server)["client_secret"], SECRET);
    let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        written.contains("exchange token result"),
        "rmcp wrote what it got"
    );
    for canary in [CODE, ACCESS, REFRESH, SECRET] {
        assert!(!written.contains(canary), "{canary}: {written}");
    }
}
