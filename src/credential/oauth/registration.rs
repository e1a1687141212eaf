//! How Janus becomes a client of an authorization server: one that a person registered, the one of an earlier login, a
//! metadata document, or dynamic registration (RFC 7591), in this order.
//!
//! Invariants:
//! - A registration is kept before it is used, and given to nobody but its issuer.
//! - A client that a person registered goes to no other issuer than at the last login, unless they name it.
//! - Each account has its own, unless its configuration says otherwise: at some providers a new login of a client ends
//!   what the same person granted it before.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use rmcp::transport::auth::AuthorizationManager;
use serde_json::{Map, Value, json};
use url::Url;

use super::discovery::{Found, is_described};
use super::failed::{LoginFailed, foreign, host_of, said};
use super::grant::Grant;
use super::granted::{Managed, Registration, RegistrationKind};
use super::metadata::ServerMetadata;
use super::seam::{Seam, Step, Way, response};
use crate::model::{
    AccountId, ClientAuthentication, GrantKind, OAuth, Origin, RegistrationScope, Secret,
};
use crate::telemetry::learn;

/// What Janus can prove itself by without a key of its own, the least first.
const METHODS: [ClientAuthentication; 3] = [
    ClientAuthentication::None,
    ClientAuthentication::SecretBasic,
    ClientAuthentication::SecretPost,
];
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What a login wants a client for.
#[derive(Debug, Clone, Copy)]
pub(super) struct For<'l> {
    pub(super) settings: &'l OAuth,
    /// Where Janus listens; empty where no browser comes back.
    pub(super) redirect_uri: &'l str,
    pub(super) scopes: &'l [String],
    /// The registration of an earlier login is not used.
    pub(super) fresh: bool,
}

/// A registration under way: what is sent instead of what rmcp wrote, and what came.
#[derive(Debug)]
pub(super) struct Registering {
    request: Value,
    redirect_uri: String,
    outcome: Option<Result<Map<String, Value>, Box<Refusal>>>,
}

/// Why there is no registration.
#[derive(Debug)]
struct Refusal {
    code: Option<String>,
    failed: LoginFailed,
}

/// The client of this login.
pub(super) async fn client_of(
    grant: &Grant,
    (manager, seam): (&mut AuthorizationManager, &Seam),
    found: &Found,
    wanted: For<'_>,
) -> Result<Registration, LoginFailed> {
    let settings = wanted.settings;
    let server = &found.server;
    let source = found.source();
    // A server may lead anywhere: what proves a client that a person registered goes to whom it went before.
    if settings.client.is_some()
        && !is_described(settings)
        && let Some(before) = found.changed_from(grant.earlier_issuer().as_deref())
    {
        return Err(LoginFailed::OtherIssuer {
            now: foreign(&server.issuer),
            before: foreign(&before),
        });
    }
    let known = grant.preregistered(&source, wanted.redirect_uri).await;
    if let Some(client) = known.map_err(LoginFailed::of_client)? {
        return Ok(client);
    }
    let account = grant.account();
    if wanted.fresh {
        grant
            .forget_registration(&server.issuer)
            .await
            .map_err(LoginFailed::NotKept)?;
    } else {
        let kept = grant.registration(&server.issuer).await;
        let kept = kept.map_err(LoginFailed::NotKept)?;
        if let Some(kept) = kept.filter(|kept| serves(&kept.redirect_uri, wanted.redirect_uri)) {
            return Ok(kept);
        }
    }
    if let Some(url) = &settings.client_metadata_url
        && server.takes_documents
    {
        let mut client = blank(account, found, wanted, wanted.redirect_uri)?;
        client.kind = RegistrationKind::MetadataDocument;
        client.client_id.clone_from(url);
        return Ok(client);
    }
    if server.registration.is_none() {
        return Err(not_registered(settings, found, wanted.redirect_uri));
    }
    let can_keep = grant.can_keep_a_registration().await;
    can_keep.map_err(LoginFailed::NotKept)?;
    let client = Box::pin(register(account, (manager, seam), found, wanted)).await?;
    let keeping = grant.keep_registration(&client).await;
    keeping.map_err(LoginFailed::NotKept)?;
    Ok(client)
}

/// Whether a registration with one redirect URI serves where Janus listens at another: the same place under its other
/// name does, where the provider wanted that name.
pub(super) fn serves(registered: &str, listens: &str) -> bool {
    registered == listens || at_localhost(listens).is_some_and(|listens| listens == registered)
}

fn at_localhost(uri: &str) -> Option<String> {
    let mut url = Url::parse(uri).ok()?;
    (url.host_str() == Some("127.0.0.1") && url.set_host(Some("localhost")).is_ok())
        .then(|| url.into())
}

fn not_registered(settings: &OAuth, found: &Found, redirect_uri: &str) -> LoginFailed {
    let provider = settings.provider.as_deref();
    LoginFailed::NotRegistered {
        host: host_of(&found.server.issuer),
        register_at: provider.and_then(|provider| provider.register_at.clone()),
        redirect_uri: redirect_uri.to_owned(),
        approval: provider.is_some_and(|provider| provider.approval),
        without_login: provider
            .map(|provider| provider.without_login.clone())
            .unwrap_or_default(),
    }
}

/// Registers, once more with `localhost` where the provider does not take an address.
pub(super) async fn register(
    account: &AccountId,
    (manager, seam): (&mut AuthorizationManager, &Seam),
    found: &Found,
    wanted: For<'_>,
) -> Result<Registration, LoginFailed> {
    let mut uris = vec![wanted.redirect_uri.to_owned()];
    uris.extend(at_localhost(wanted.redirect_uri));
    let mut last = None;
    for uri in uris {
        let registering = Registering {
            request: request(wanted, found, &uri),
            redirect_uri: uri.clone(),
            outcome: None,
        };
        seam.begin(Step::Registering(Box::new(registering))).await;
        // What rmcp would send is not sent, and its redirect URI must be one.
        let called = manager
            .register_client(&wanted.settings.client_name, "http://127.0.0.1/", &[])
            .await;
        let Step::Registering(done) = seam.end().await else {
            return Err(LoginFailed::Janus(
                "the registration lost its place".to_owned(),
            ));
        };
        match done.outcome {
            Some(Ok(object)) => return client(account, found, (wanted, &uri), &object),
            Some(Err(refusal)) => {
                let again = refusal.code.as_deref() == Some("invalid_redirect_uri");
                last = Some(refusal.failed);
                if !again {
                    break;
                }
            }
            None => {
                let why = called.err();
                return Err(why.map_or_else(
                    || LoginFailed::Janus("nothing was registered".to_owned()),
                    |error| super::discovery::defect(&error),
                ));
            }
        }
    }
    Err(last.unwrap_or_else(|| LoginFailed::Janus("nothing was registered".to_owned())))
}

/// Client metadata (RFC 7591, section 2; OpenID Connect Dynamic Client Registration, section 2).
fn request(wanted: For<'_>, found: &Found, redirect_uri: &str) -> Value {
    let offered = &found.server.methods;
    let method = METHODS
        .into_iter()
        .find(|method| offered.contains(method))
        .unwrap_or(ClientAuthentication::None);
    let by_device = wanted.settings.grant == GrantKind::DeviceCode;
    let (grant_type, responses) = if by_device {
        (DEVICE, json!([]))
    } else {
        ("authorization_code", json!(["code"]))
    };
    let redirects = (!by_device).then(|| json!([redirect_uri]));
    // Some let a client ask for nothing that it was not registered with.
    let scope = (!wanted.scopes.is_empty()).then(|| json!(wanted.scopes.join(" ")));
    let mut request = Map::new();
    for (member, value) in [
        ("client_name", Some(json!(&wanted.settings.client_name))),
        ("application_type", Some(json!("native"))),
        ("token_endpoint_auth_method", Some(json!(method.word()))),
        ("grant_types", Some(json!([grant_type, "refresh_token"]))),
        ("response_types", Some(responses)),
        ("redirect_uris", redirects),
        ("scope", scope),
    ] {
        if let Some(value) = value {
            request.insert(member.to_owned(), value);
        }
    }
    Value::Object(request)
}

impl Registering {
    pub(super) async fn answer(
        &mut self,
        way: &Way,
        asked: &Request<Vec<u8>>,
    ) -> Option<Response<Vec<u8>>> {
        let mut request = Request::new(self.request.to_string().into_bytes());
        *request.method_mut() = Method::POST;
        asked.uri().clone_into(request.uri_mut());
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let host = asked.uri().host().unwrap_or_default().to_owned();
        let outcome = match way.send(request).await {
            Ok(answer) => read(&host, &answer),
            Err(error) => Err(Box::new(Refusal {
                code: None,
                failed: LoginFailed::of_network(error),
            })),
        };
        let answer = match &outcome {
            Ok(object) => {
                let id = object.get("client_id").cloned();
                let seen = json!({"client_id": id, "redirect_uris": [&self.redirect_uri]});
                response(StatusCode::OK, &seen)
            }
            Err(_) => response(StatusCode::BAD_REQUEST, &Value::Null),
        };
        self.outcome = Some(outcome);
        Some(answer)
    }
}

/// A registration, whatever its status says; else why there is none (RFC 7591, section 3.2).
fn read(host: &str, answer: &Response<Vec<u8>>) -> Result<Map<String, Value>, Box<Refusal>> {
    let object = serde_json::from_slice::<Value>(answer.body()).ok();
    let status = answer.status();
    let id = |object: &Value| {
        let id = object.get("client_id").and_then(Value::as_str);
        id.is_some_and(|id| !id.is_empty())
    };
    match object {
        Some(Value::Object(object))
            if status.is_success() && id(&Value::Object(object.clone())) =>
        {
            Ok(object)
        }
        _ => {
            let (code, why) = said(status.as_u16(), answer.body());
            let why = format!("the registration was not accepted: {why}");
            let failed = if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                LoginFailed::Unreachable(format!("{host}: {why}"))
            } else {
                LoginFailed::Provider {
                    host: host.to_owned(),
                    why,
                }
            };
            Err(Box::new(Refusal { code, failed }))
        }
    }
}

/// Client information (RFC 7591, section 3.2.1), with what is missing filled in.
fn client(
    account: &AccountId,
    found: &Found,
    (wanted, redirect_uri): (For<'_>, &str),
    object: &Map<String, Value>,
) -> Result<Registration, LoginFailed> {
    let text = |member: &str| {
        let text = object.get(member)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let secret = |member: &str| {
        let secret = Arc::new(Secret::new(text(member)?));
        learn(&secret);
        Some(secret)
    };
    if let Some(uris) = object.get("redirect_uris").and_then(Value::as_array)
        && wanted.settings.grant != GrantKind::DeviceCode
        && !uris.is_empty()
        && !uris.iter().any(|uri| uri == redirect_uri)
    {
        return Err(LoginFailed::Provider {
            host: host_of(&found.server.issuer),
            why: "it registered another redirect URI than the one that was asked for".to_owned(),
        });
    }
    let mut client = blank(account, found, wanted, redirect_uri)?;
    client.client_id = text("client_id").unwrap_or_default();
    client.client_secret = secret("client_secret");
    client.managed = text("registration_client_uri")
        .filter(|uri| is_of(&found.server, uri))
        .zip(secret("registration_access_token"))
        .map(|(uri, token)| Managed { uri, token });
    let said = text("token_endpoint_auth_method");
    let said = said.and_then(|word| ClientAuthentication::of_word(&word));
    client.method = match (said, &client.client_secret) {
        (
            None | Some(ClientAuthentication::SecretBasic | ClientAuthentication::SecretPost),
            None,
        ) => ClientAuthentication::None,
        (Some(said), _) => said,
        // It gave a secret to a client that asked for none, and does not say how it wants to see it.
        (None, Some(_)) => {
            let offered = &found.server.methods;
            let only_post = offered.contains(&ClientAuthentication::SecretPost)
                && !offered.contains(&ClientAuthentication::SecretBasic);
            if only_post {
                ClientAuthentication::SecretPost
            } else {
                ClientAuthentication::SecretBasic
            }
        }
    };
    if client.method == ClientAuthentication::PrivateKeyJwt {
        return Err(LoginFailed::Provider {
            host: host_of(&found.server.issuer),
            why: "it wants a key of a client that it registered by itself".to_owned(),
        });
    }
    client.secret_expires = object
        .get("client_secret_expires_at")
        .and_then(|at| at.as_f64().or_else(|| at.as_str()?.trim().parse().ok()))
        .filter(|at| *at > 0.0)
        .and_then(|at| Duration::try_from_secs_f64(at).ok())
        .and_then(|at| SystemTime::UNIX_EPOCH.checked_add(at));
    Ok(client)
}

/// Whether an address is the authorization server's own: the token for a registration goes nowhere else.
fn is_of(server: &ServerMetadata, uri: &str) -> bool {
    let own = [Some(&server.issuer), server.registration.as_ref()];
    uri.parse().is_ok_and(|uri: Uri| {
        let mut own = own.into_iter().flatten().filter_map(|own| own.parse().ok());
        own.any(|own| Origin::is_shared(&own, &uri))
    })
}

fn blank(
    account: &AccountId,
    found: &Found,
    wanted: For<'_>,
    redirect_uri: &str,
) -> Result<Registration, LoginFailed> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|_| LoginFailed::Janus("the system has no random numbers".to_owned()))?;
    let of_account = wanted.settings.registration_scope == RegistrationScope::Account;
    Ok(Registration {
        id: crate::model::hex(&random).into(),
        issuer: found.server.issuer.clone(),
        server: account.server().clone(),
        account: of_account.then(|| account.account().clone()),
        kind: RegistrationKind::Dynamic,
        client_id: String::new(),
        client_secret: None,
        signing_key: None,
        method: ClientAuthentication::None,
        secret_expires: None,
        managed: None,
        redirect_uri: redirect_uri.to_owned(),
        created: SystemTime::now(),
    })
}

/// What a client is called in a text.
pub(super) fn named(client: &Registration) -> String {
    foreign(&client.client_id)
}
