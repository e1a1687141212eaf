//! The clients of the authorization server: how they came (RFC 7591), and how they prove themselves (RFC 6749, section
//! 2.3; RFC 7523).

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use serde_json::{Value, json};

use super::behaviour::{Params, Registering, Said};
use super::grants::CANARY;
use super::{Asked, Shared, State};

/// One client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientRecord {
    pub(crate) id: String,
    pub(crate) proof: Proof,
    pub(crate) redirect_uris: Vec<String>,
    /// When the secret ends, by the server's clock.
    pub(super) secret_ends: Option<Duration>,
    /// The token for its own registration.
    pub(super) management: Option<String>,
    /// It came by dynamic registration.
    pub(crate) dynamic: bool,
    /// What it may ask with, as it was registered; `None`: with anything.
    pub(super) grants: Option<BTreeSet<String>>,
}

/// How a client proves itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Not at all.
    None,
    /// `client_secret_basic`
    Basic(String),
    /// `client_secret_post`
    Post(String),
    /// `private_key_jwt`, by the point that is the public key.
    Key(KeyKind, Vec<u8>),
}

/// What signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Es256,
    Es384,
}

/// What a client may say when it registers (RFC 7591, section 2; OpenID Connect Dynamic Registration, section 2).
const REGISTRATION: &[&str] = &[
    "redirect_uris",
    "token_endpoint_auth_method",
    "grant_types",
    "response_types",
    "client_name",
    "client_uri",
    "scope",
    "application_type",
    "software_id",
    "software_version",
];

/// RFC 8628, section 3.4.
pub(super) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

impl ClientRecord {
    /// Whether it was registered for this grant (RFC 7591, section 2).
    pub(super) fn may(&self, grant: &str) -> bool {
        let registered = self.grants.as_ref();
        registered.is_none_or(|registered| registered.contains(grant))
    }
}

impl Shared {
    /// `POST /register`
    pub(super) fn register(&self, state: &mut State, asked: &Asked) -> Said {
        match &state.behaviour.registration {
            Registering::Open => {}
            Registering::Absent => return Said::empty(404),
        }
        let wanted = &asked.json;
        Self::check_registration(state, asked);
        let redirects: Vec<String> = wanted["redirect_uris"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let refused = &state.behaviour.refused_redirect_hosts;
        let bad = redirects.iter().any(|redirect| {
            let host = url::Url::parse(redirect).ok();
            let host = host.as_ref().and_then(|url| url.host_str());
            host.is_none_or(|host| refused.contains(&host))
        });
        let grants = grants_of(wanted);
        if bad || redirects.is_empty() && grants.contains("authorization_code") {
            return Said::error(400, "invalid_redirect_uri");
        }
        let asked_for = wanted["token_endpoint_auth_method"].as_str();
        let method = state.behaviour.registered_method.or(asked_for);
        // RFC 7591, section 2: basic is what counts where nothing is said.
        let method = method.unwrap_or("client_secret_basic").to_owned();
        state.registered += 1;
        let number = state.registered;
        // Its characters are others in a form.
        let secret = format!("{CANARY}-secret.{number}:%+/&");
        let proof = match method.as_str() {
            "none" => Proof::None,
            "client_secret_basic" => Proof::Basic(secret.clone()),
            "client_secret_post" => Proof::Post(secret.clone()),
            _ => return Said::error(400, "invalid_client_metadata"),
        };
        let has_secret = proof != Proof::None;
        let life = state.behaviour.secret_life;
        let id = format!("client-{number}");
        let management = state.behaviour.management;
        let client = ClientRecord {
            id: id.clone(),
            proof,
            redirect_uris: redirects.clone(),
            secret_ends: life.map(|life| state.now() + life),
            management: management.then(|| format!("{CANARY}-registration.{number}")),
            dynamic: true,
            grants: Some(grants),
        };
        let mut said = json!({
            "client_id": id,
            "client_id_issued_at": epoch(Duration::ZERO),
            "redirect_uris": redirects,
            "token_endpoint_auth_method": method,
            "grant_types": wanted["grant_types"],
            "response_types": wanted["response_types"],
            "client_name": wanted["client_name"],
        });
        if has_secret {
            said["client_secret"] = secret.into();
            said["client_secret_expires_at"] = life.map_or(0, epoch).into();
        }
        if let Some(token) = &client.management {
            said["registration_access_token"] = token.as_str().into();
            said["registration_client_uri"] = format!("{}/oauth/register/{id}", self.issuer).into();
        }
        state.clients.insert(id, client);
        Said::json(201, &said)
    }

    fn check_registration(state: &mut State, asked: &Asked) {
        let wanted = &asked.json;
        let mut wrong = Vec::new();
        if !asked.content_type().starts_with("application/json") {
            wrong.push("a registration that is no JSON".to_owned());
        }
        let names = wanted.as_object().into_iter().flatten();
        for (name, _) in names.filter(|(name, _)| !REGISTRATION.contains(&name.as_str())) {
            wrong.push(format!("a registration with {name}"));
        }
        let grants = grants_of(wanted);
        let by_device = grants.contains(DEVICE_GRANT);
        // Who comes back by no browser has no address and no response type.
        let redirects = wanted["redirect_uris"].as_array().map(Vec::len);
        if redirects != (!by_device).then_some(1) {
            wrong.push(format!("redirect_uris {}", wanted["redirect_uris"]));
        }
        if wanted["application_type"] != "native" {
            wrong.push(format!("application_type {}", wanted["application_type"]));
        }
        let first = if by_device {
            DEVICE_GRANT
        } else {
            "authorization_code"
        };
        if grants != BTreeSet::from([first, "refresh_token"].map(str::to_owned)) {
            wrong.push(format!("grant_types {grants:?}"));
        }
        let responses = if by_device {
            json!([])
        } else {
            json!(["code"])
        };
        if wanted["response_types"] != responses {
            wrong.push(format!("response_types {}", wanted["response_types"]));
        }
        for what in wrong {
            state.violation(what);
        }
    }

    /// A registration that is changed or removed (RFC 7592).
    pub(super) fn manage(state: &mut State, asked: &Asked, id: &str) -> Said {
        let token = asked.bearer();
        let known = state.clients.get(id);
        let good = known.is_some_and(|client| {
            client.management.is_some() && client.management.as_deref() == token
        });
        if !good {
            return Said::error(401, "invalid_token");
        }
        if asked.method == "DELETE" {
            state.clients.remove(id);
            return Said::empty(204);
        }
        Said::json(200, &json!({ "client_id": id }))
    }

    /// Which client sent this to the token endpoint, or the error.
    pub(super) fn client_of(&self, state: &mut State, asked: &Asked) -> Result<ClientRecord, Said> {
        let form = &asked.form;
        let basic = match asked.basic() {
            None => None,
            Some(Ok(basic)) => Some(basic),
            Some(Err(why)) => {
                state.violation(why);
                return Err(invalid_client());
            }
        };
        let assertion = form.get("client_assertion");
        let named = basic.as_ref().map(|(id, _)| id.as_str());
        let named = named.or_else(|| form.get("client_id"));
        let by_assertion = assertion.and_then(claimed_subject);
        let id = named
            .map(str::to_owned)
            .or(by_assertion)
            .unwrap_or_default();
        let post = form.get("client_secret");
        let ways = usize::from(basic.is_some())
            + usize::from(post.is_some())
            + usize::from(assertion.is_some());
        if ways > 1 {
            // RFC 6749, section 2.3: not more than one in each request.
            state.violation("more than one client authentication".to_owned());
            return Err(invalid_client());
        }
        let document = state.behaviour.metadata_documents && state.documents.contains_key(&id);
        let client = match state.clients.get(&id) {
            Some(client) => client.clone(),
            None if document => ClientRecord {
                id: id.clone(),
                proof: Proof::None,
                redirect_uris: Vec::new(),
                secret_ends: None,
                management: None,
                dynamic: false,
                grants: None,
            },
            None => return Err(invalid_client()),
        };
        if client.secret_ends.is_some_and(|ends| ends <= state.now()) {
            return Err(invalid_client());
        }
        let insists = state.behaviour.insists_on;
        let good = match (&client.proof, basic, post, assertion) {
            (Proof::None, None, None, None) => true,
            (Proof::Basic(secret) | Proof::Post(secret), Some((_, given)), None, None) => {
                *secret == given
                    && insists.map_or(matches!(client.proof, Proof::Basic(_)), |way| {
                        way == "client_secret_basic"
                    })
            }
            (Proof::Basic(secret) | Proof::Post(secret), None, Some(given), None) => {
                secret == given
                    && insists.map_or(matches!(client.proof, Proof::Post(_)), |way| {
                        way == "client_secret_post"
                    })
            }
            (Proof::Key(kind, key), None, None, Some(assertion)) => {
                match self.check_assertion(state, &id, *kind, key, form, assertion) {
                    Ok(()) => true,
                    Err(why) => {
                        state.violation(format!("a client assertion: {why}"));
                        false
                    }
                }
            }
            _ => false,
        };
        if good {
            Ok(client)
        } else {
            Err(invalid_client())
        }
    }

    /// RFC 7523, sections 2.2 and 3.
    fn check_assertion(
        &self,
        state: &mut State,
        id: &str,
        kind: KeyKind,
        key: &[u8],
        form: &Params,
        assertion: &str,
    ) -> Result<(), String> {
        let expected = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        if form.get("client_assertion_type") != Some(expected) {
            return Err("no client_assertion_type".to_owned());
        }
        let (signed, mark) = assertion.rsplit_once('.').ok_or("it is no JWT")?;
        let (header, claims) = signed.split_once('.').ok_or("it is no JWT")?;
        let mark = URL_SAFE_NO_PAD
            .decode(mark)
            .map_err(|error| error.to_string())?;
        UnparsedPublicKey::new(kind.algorithm(), key)
            .verify(signed.as_bytes(), &mark)
            .map_err(|_| "its signature is wrong")?;
        let (header, claims) = (decoded(header)?, decoded(claims)?);
        if header["alg"] != kind.word() {
            return Err(format!("alg {}", header["alg"]));
        }
        if claims["iss"] != id || claims["sub"] != id {
            return Err(format!("iss {} and sub {}", claims["iss"], claims["sub"]));
        }
        let audience = claims["aud"].as_array().and_then(|all| all.first());
        let audience = audience.unwrap_or_else(|| &claims["aud"]);
        if audience != self.issuer.as_str() {
            return Err(format!("aud {audience}"));
        }
        let now = epoch(Duration::ZERO);
        let ends = claims["exp"].as_u64().ok_or("no exp")?;
        if ends < now || ends > now + 120 {
            return Err(format!("exp {ends} at {now}"));
        }
        let number = claims["jti"].as_str().ok_or("no jti")?;
        if !state.assertions.insert(number.to_owned()) {
            return Err("its jti was there before".to_owned());
        }
        Ok(())
    }
}

fn decoded(part: &str) -> Result<Value, String> {
    let part = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&part).map_err(|error| error.to_string())
}

fn claimed_subject(assertion: &str) -> Option<String> {
    let claims = decoded(assertion.split('.').nth(1)?).ok()?;
    claims["sub"].as_str().map(str::to_owned)
}

fn invalid_client() -> Said {
    Said::error(401, "invalid_client").header("www-authenticate", "Basic realm=\"clients\"")
}

/// Seconds since 1970, so long from now.
pub(super) fn epoch(ahead: Duration) -> u64 {
    let now = SystemTime::now() + ahead;
    now.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

impl Asked {
    /// `Authorization: Basic`, decoded as RFC 6749, section 2.3.1 has it.
    fn basic(&self) -> Option<Result<(String, String), String>> {
        let given = self.authorization()?.strip_prefix("Basic ")?;
        let decoded = STANDARD.decode(given).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        let form = |text: &str| Params::read(&format!("x={text}")).text("x").to_owned();
        Some(match pair {
            Some((id, secret)) => Ok((form(id), form(secret))),
            None => Err("an Authorization that is not Basic".to_owned()),
        })
    }
}

impl KeyKind {
    fn word(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }

    fn algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
        }
    }
}

/// What a registration asks for, or what counts where it says nothing (RFC 7591, section 2).
fn grants_of(wanted: &Value) -> BTreeSet<String> {
    let Some(grants) = wanted["grant_types"].as_array() else {
        return BTreeSet::from(["authorization_code".to_owned()]);
    };
    let grants = grants.iter().filter_map(Value::as_str);
    grants.map(str::to_owned).collect()
}
