//! The page where a person says yes (RFC 6749, section 4.1), the device flow (RFC 8628), and who somebody is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

use super::behaviour::{Consent, Iss, Params, Person, ResourceRule, Said};
use super::clients::DEVICE_GRANT;
use super::grants::CANARY;
use super::{Asked, Shared, State};

/// A code that was given out.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) client: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) resource: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) person: Person,
    pub(super) ends: Duration,
    /// What it was exchanged for.
    pub(super) used: Option<u64>,
}

/// A device that waits.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) client: String,
    pub(super) user_code: String,
    pub(super) scopes: Vec<String>,
    pub(super) resource: Option<String>,
    pub(super) decision: Option<Result<Person, &'static str>>,
    pub(super) ends: Duration,
}

/// RFC 6749, section 4.1.1; RFC 7636, section 4.3; RFC 8707, section 2.
const PARAMS: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
];
/// Longer than the ten minutes of RFC 6749, section 4.1.2 is too long.
const CODE: Duration = Duration::from_mins(1);
/// How long a device may wait.
const DEVICE: Duration = Duration::from_mins(10);

impl Shared {
    /// `GET /authorize`
    pub(super) fn authorize(&self, state: &mut State, asked: &Asked) -> Said {
        let query = &asked.query;
        let redirect = query.text("redirect_uri").to_owned();
        let id = query.text("client_id").to_owned();
        let known = match state.clients.get(&id) {
            Some(client) => client.redirect_uris.contains(&redirect),
            None => state.documents.get(&id).is_some_and(|document| {
                let redirects = document["redirect_uris"].as_array();
                redirects.is_some_and(|all| all.iter().any(|uri| *uri == redirect))
            }),
        };
        if !known {
            // RFC 6749, section 4.1.2.1: nobody is sent to an address that is not the client's.
            state.violation(format!("{redirect:?} is no redirect of client {id:?}"));
            return Said::text(400, "text/plain", "this client or address is not known");
        }
        if let Err(error) = Self::check_authorize(state, query) {
            return self.back(state, &redirect, query, &[("error", error)]);
        }
        let consent = state.behaviour.consent.clone();
        match consent {
            Consent::Refused(error) => {
                let answer = [
                    ("error", error),
                    ("error_description", "the person said no"),
                ];
                return self.back(state, &redirect, query, &answer);
            }
            Consent::Given => {}
        }
        let asked_for = words(query.text("scope"));
        let granted = state.behaviour.granted_scopes.as_ref();
        let granted = granted.map(|all| all.iter().map(|&scope| scope.to_owned()).collect());
        state.given += 1;
        let code = format!("{CANARY}-code.{}.~+/=", state.given);
        let record = Code {
            client: id,
            redirect_uri: redirect.clone(),
            challenge: query.text("code_challenge").to_owned(),
            resource: query.get("resource").map(str::to_owned),
            scopes: granted.unwrap_or(asked_for),
            person: state.behaviour.person.clone(),
            ends: state.now() + CODE,
            used: None,
        };
        state.codes.insert(code.clone(), record);
        self.back(state, &redirect, query, &[("code", &code)])
    }

    fn check_authorize(state: &mut State, query: &Params) -> Result<(), &'static str> {
        let mut wrong = Vec::new();
        if let Some(name) = query.repeated() {
            wrong.push(format!("{name} twice in an authorization URL"));
        }
        let more = &state.behaviour.more_authorize_params;
        let known = [PARAMS, more].concat();
        if let Some(name) = query.other_than(&known) {
            wrong.push(format!("{name} in an authorization URL"));
        }
        // RFC 6749, section 10.10: nobody guesses it.
        if query.text("state").len() < 22 {
            wrong.push(format!(
                "a state of {} characters",
                query.text("state").len()
            ));
        }
        let repeated = words(query.text("scope"));
        let mut once = repeated.clone();
        once.sort();
        once.dedup();
        if once.len() != repeated.len() || (query.get("scope") == Some("")) {
            wrong.push(format!("scope {:?}", query.text("scope")));
        }
        let mut error = None;
        if query.get("response_type") != Some("code") {
            error = Some("unsupported_response_type");
        }
        // RFC 7636, section 4.2: 43 characters are 256 bits.
        if query.text("code_challenge").len() != 43
            || query.get("code_challenge_method") != Some("S256")
        {
            wrong.push("no PKCE by S256".to_owned());
            error = Some("invalid_request");
        }
        if let Err(why) = check_resource(state, query.get("resource")) {
            wrong.push(why);
            error = Some("invalid_target");
        }
        for what in wrong {
            state.violation(what);
        }
        error.map_or(Ok(()), Err)
    }

    fn back(&self, state: &State, redirect: &str, query: &Params, answer: &[(&str, &str)]) -> Said {
        let mut to = url::Url::parse(redirect).unwrap();
        {
            let mut pairs = to.query_pairs_mut();
            pairs.extend_pairs(answer);
            if let Some(state) = query.get("state") {
                pairs.append_pair("state", state);
            }
            match &state.behaviour.iss {
                Iss::Sent | Iss::Unannounced => drop(pairs.append_pair("iss", &self.issuer)),
                Iss::Wrong(other) => drop(pairs.append_pair("iss", other)),
                Iss::Missing | Iss::Absent => {}
            }
        }
        Said::empty(302).header("location", to.as_str())
    }

    /// `POST /device`: RFC 8628, section 3.1.
    pub(super) fn device(&self, state: &mut State, asked: &Asked) -> Said {
        if !state.behaviour.device {
            return Said::empty(404);
        }
        let client = match self.client_of(state, asked) {
            Ok(client) if client.may(DEVICE_GRANT) => client.id,
            Ok(_) => return Said::error(400, "unauthorized_client"),
            Err(said) => return said,
        };
        let form = &asked.form;
        if let Err(why) = check_resource(state, form.get("resource")) {
            state.violation(why);
            return Said::error(400, "invalid_target");
        }
        state.given += 1;
        let code = format!("{CANARY}-device.{}", state.given);
        let user_code = format!("CODE-{:04}", state.given);
        let record = Device {
            client,
            user_code: user_code.clone(),
            scopes: words(form.text("scope")),
            resource: form.get("resource").map(str::to_owned),
            decision: None,
            ends: state.now() + DEVICE,
        };
        state.devices.insert(code.clone(), record);
        let page = format!("{}/oauth/device", self.issuer);
        let said = json!({
            "device_code": code,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={user_code}"),
            "expires_in": DEVICE.as_secs(),
            "interval": 1,
        });
        Said::json(200, &said)
    }

    /// OpenID Connect Core, section 5.3.
    pub(super) fn userinfo(state: &State, asked: &Asked) -> Said {
        if !state.behaviour.openid {
            return Said::empty(404);
        }
        let token = asked.bearer().unwrap_or_default();
        match state.families.valid(token, state.now()) {
            Some(family) => Said::json(200, &claims(&family.person)),
            None => Said::error(401, "invalid_token"),
        }
    }
}

/// Who somebody is, in the words of OpenID Connect.
pub(super) fn claims(person: &Person) -> serde_json::Value {
    json!({
        "sub": format!("id-of-{}", person.name),
        "preferred_username": person.name,
        "email": format!("{}@example.org", person.name),
        "workspace": person.workspace,
    })
}

/// An `id_token` whose signature nobody can check.
pub(super) fn id_token(issuer: &str, client: &str, person: &Person, now: u64) -> String {
    let mut claims = claims(person);
    claims["iss"] = issuer.into();
    claims["aud"] = client.into();
    claims["iat"] = now.into();
    claims["exp"] = (now + 600).into();
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({ "alg": "RS256", "typ": "JWT" }));
    let mark = URL_SAFE_NO_PAD.encode(format!("{CANARY}-signature"));
    format!("{header}.{}.{mark}", part(&claims))
}

/// Whether `resource` is as the rule wants it: that of a server that is protected by this one.
pub(super) fn check_resource(state: &State, given: Option<&str>) -> Result<(), String> {
    match (state.behaviour.resource, given) {
        (ResourceRule::Required, None) => Err("no resource".to_owned()),
        (ResourceRule::Refused, Some(given)) => Err(format!("resource {given:?}")),
        (ResourceRule::Required, Some(given)) => {
            let known = state.resources.is_empty() || state.resources.contains(given);
            known.then_some(()).ok_or_else(|| {
                let known = &state.resources;
                format!("resource {given:?}, where {known:?} are known")
            })
        }
        (ResourceRule::Refused, None) => Ok(()),
    }
}

/// Whether this is what the challenge was made of (RFC 7636, section 4.6).
pub(super) fn verifies(verifier: &str, challenge: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == challenge
}

pub(super) fn words(text: &str) -> Vec<String> {
    text.split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
