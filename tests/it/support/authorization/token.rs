//! The token endpoint (RFC 6749, section 3.2) and that of revocation (RFC 7009).

use serde_json::{Value, json};

use super::authorize::{check_resource, id_token, verifies, words};
use super::behaviour::{Rotation, Said};
use super::clients::{DEVICE_GRANT, epoch};
use super::grants::Shown;
use super::{Asked, Shared, State};
use std::time::Duration;

/// What may be in a request to it.
const PARAMS: &[&str] = &[
    "grant_type",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "device_code",
    "scope",
    "resource",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
];

impl Shared {
    /// `POST /token`
    pub(super) fn token(&self, state: &mut State, asked: &Asked) -> Said {
        let form = &asked.form;
        let mut wrong = Vec::new();
        if asked.method != "POST" {
            state.violation(format!("{} to the token endpoint", asked.method));
            return Said::empty(405);
        }
        if asked.content_type() != "application/x-www-form-urlencoded" {
            wrong.push(format!("a token request in {:?}", asked.content_type()));
        }
        if !asked.query.0.is_empty() {
            // RFC 6749, section 2.3.1: nothing of a token request is in its URL.
            wrong.push(format!("a token request with a query: {:?}", asked.query));
        }
        if let Some(name) = form.repeated() {
            wrong.push(format!("{name} twice in a token request"));
        }
        if let Some(name) = form.other_than(PARAMS) {
            wrong.push(format!("{name} in a token request"));
        }
        for what in wrong {
            state.violation(what);
        }
        let client = match self.client_of(state, asked) {
            Ok(client) => client,
            Err(said) => return said,
        };
        if let Err(why) = check_resource(state, form.get("resource")) {
            state.violation(format!("{why} in a token request"));
            return Said::error(400, "invalid_target");
        }
        if !client.may(form.text("grant_type")) {
            state.violation(format!("a client that may not {}", form.text("grant_type")));
            return Said::error(400, "unauthorized_client");
        }
        match form.text("grant_type") {
            "authorization_code" => self.exchange(state, asked, &client.id),
            "refresh_token" => self.refresh(state, asked, &client.id),
            "client_credentials" => self.client_credentials(state, asked, &client.id),
            DEVICE_GRANT => self.device_token(state, asked, &client.id),
            _ => Said::error(400, "unsupported_grant_type"),
        }
    }

    /// RFC 6749, section 4.1.3; RFC 7636, section 4.5.
    fn exchange(&self, state: &mut State, asked: &Asked, client: &str) -> Said {
        let form = &asked.form;
        let now = state.now();
        let Some(code) = state.codes.get_mut(form.text("code")) else {
            state.violation("a code that was never given".to_owned());
            return Said::error(400, "invalid_grant");
        };
        if let Some(family) = code.used {
            // RFC 6749, section 4.1.2: what was given for it ends.
            if let Some(family) = state.families.get_mut(family) {
                family.alive = false;
            }
            state.violation("a code that was used".to_owned());
            return Said::error(400, "invalid_grant");
        }
        let wrong = if code.client != client {
            Some("a code of another client")
        } else if code.redirect_uri != form.text("redirect_uri") {
            Some("another redirect_uri")
        } else if !verifies(form.text("code_verifier"), &code.challenge) {
            Some("a wrong code_verifier")
        } else if code.resource.as_deref() != form.get("resource") {
            Some("another resource")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            state.violation(format!("{wrong} with a code"));
            return Said::error(400, "invalid_grant");
        }
        if code.ends <= now {
            return Said::error(400, "invalid_grant");
        }
        let (person, scopes) = (code.person.clone(), code.scopes.clone());
        let resource = code.resource.clone();
        if state.behaviour.login_ends_others {
            let mut all = state.families.all();
            for family in all.by_ref() {
                if family.person == person && family.client == client {
                    family.alive = false;
                }
            }
        }
        let family = state.families.begin(person, client, scopes, resource);
        if let Some(code) = state.codes.get_mut(form.text("code")) {
            code.used = Some(family);
        }
        self.tokens(state, family, true, form.get("scope"))
    }

    /// RFC 6749, section 6.
    fn refresh(&self, state: &mut State, asked: &Asked, client: &str) -> Said {
        let form = &asked.form;
        let now = state.now();
        let (rotation, grace) = (state.behaviour.rotation, state.behaviour.grace);
        let shown = form.text("refresh_token");
        match state.families.show(shown, client, now, rotation, grace) {
            Shown::Dead => Said::error(400, "invalid_grant"),
            Shown::Good(family) => {
                let scopes = state
                    .families
                    .get(family)
                    .map(|family| family.scopes.clone());
                let wanted = words(form.text("scope"));
                let more = scopes
                    .is_some_and(|granted| wanted.iter().any(|scope| !granted.contains(scope)));
                if more {
                    return Said::error(400, "invalid_scope");
                }
                state.refreshes += 1;
                self.tokens(state, family, true, form.get("scope"))
            }
        }
    }

    /// RFC 6749, section 4.4: there is no refresh token.
    fn client_credentials(&self, state: &mut State, asked: &Asked, client: &str) -> Said {
        let form = &asked.form;
        let person = super::Person::of(client);
        let scopes = words(form.text("scope"));
        let resource = form.get("resource").map(str::to_owned);
        let family = state.families.begin(person, client, scopes, resource);
        self.tokens(state, family, false, None)
    }

    /// RFC 8628, section 3.4.
    fn device_token(&self, state: &mut State, asked: &Asked, client: &str) -> Said {
        let now = state.now();
        let code = asked.form.text("device_code");
        let Some(device) = state.devices.get_mut(code) else {
            return Said::error(400, "invalid_grant");
        };
        if device.client != client {
            state.violation("a device code of another client".to_owned());
            return Said::error(400, "invalid_grant");
        }
        if device.ends <= now {
            return Said::error(400, "expired_token");
        }
        let person = match device.decision.clone() {
            None => return Said::error(400, "authorization_pending"),
            Some(Err(error)) => return Said::error(400, error),
            Some(Ok(person)) => person,
        };
        let device = state.devices.remove(code).unwrap();
        let family = state
            .families
            .begin(person, client, device.scopes, device.resource);
        self.tokens(state, family, true, None)
    }

    /// RFC 6749, section 5.1.
    fn tokens(&self, state: &mut State, family: u64, of_person: bool, scope: Option<&str>) -> Said {
        let now = state.now();
        let behaviour = state.behaviour.clone();
        let alone = behaviour.refresh_ends_access;
        let life = behaviour.access_life;
        let access = state.families.access(family, now, life, alone);
        let refresh = if of_person && behaviour.refresh_tokens {
            let current = state.families.current_refresh(family);
            match (behaviour.rotation, current) {
                (Rotation::Kept, Some(_)) => None,
                (Rotation::Repeated, Some(current)) => Some(current),
                _ => Some(state.families.refresh(family, now, behaviour.refresh_life)),
            }
        } else {
            None
        };
        let family = state.families.get(family).unwrap();
        let scopes = family.scopes.join(" ");
        let mut said = json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": life.as_secs(),
        });
        if let Some(refresh) = refresh {
            said["refresh_token"] = refresh.into();
        }
        let scopes = scope.map_or(scopes, str::to_owned);
        if !scopes.is_empty() {
            said["scope"] = scopes.into();
        }
        if behaviour.openid && of_person {
            let now = epoch(Duration::ZERO);
            said["id_token"] = id_token(&self.issuer, &family.client, &family.person, now).into();
        }
        Said::json(200, &said).header("cache-control", "no-store")
    }

    /// RFC 7009, section 2.
    pub(super) fn revoke(&self, state: &mut State, asked: &Asked) -> Said {
        if !state.behaviour.revocation {
            return Said::empty(404);
        }
        if let Err(said) = self.client_of(state, asked) {
            return said;
        }
        let token = asked.form.text("token");
        if token.is_empty() {
            state.violation("a revocation of nothing".to_owned());
            return Said::error(400, "invalid_request");
        }
        state.revoked.push(token.to_owned());
        state.families.revoke(token);
        Said::empty(200)
    }
}

/// The JSON of an answer; null where it is none.
pub(super) fn read(said: &Said) -> Value {
    serde_json::from_slice(&said.body).unwrap_or_default()
}
