//! Who logged in, as far as it can be learnt without the MCP server: by a URL that tells, by the claims of an
//! `id_token`, or by `userinfo` (OpenID Connect Core, sections 2 and 5.3), in this order.
//!
//! Invariant: the new token goes to the one URL that is configured, or to the authorization server that gave it.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::exchange::object;
use super::granted::{Granted, Identity};
use super::scopes::OPENID;
use super::seam::Way;
use crate::model::{Ask, OAuth, Secret};

/// A question that fails is asked again for so long; then nobody knows who that is.
const PATIENCE: Duration = Duration::from_mins(10);
/// Between two questions: doubled each time, up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// What people know themselves by, before what only the provider knows them by.
const SUBJECTS: [&str; 3] = ["email", "preferred_username", "sub"];
/// How providers call the workspace of a person.
const WORKSPACES: [&str; 3] = ["org_id", "tid", "hd"];

/// Who that is; `None`: it cannot be learnt here.
pub(super) async fn of(way: &Way, settings: &OAuth, granted: &Granted) -> Option<Identity> {
    if let Some(whoami) = &settings.whoami {
        // A tool is asked by whoever has a connection to the server.
        let Ask::Url(url) = &whoami.ask else {
            return None;
        };
        let told = asked(way, url, &granted.tokens.access).await?;
        return Identity::read(&told, &whoami.subject, whoami.workspace.as_deref());
    }
    let claims = granted
        .tokens
        .id_token
        .as_ref()
        .and_then(|token| claims(token, granted));
    if let Some(identity) = claims.as_ref().and_then(of_claims) {
        return Some(identity);
    }
    let has_openid = granted.scopes.iter().any(|scope| scope == OPENID);
    let userinfo = granted.source.userinfo_endpoint.as_ref();
    let told = asked(
        way,
        userinfo.filter(|_| has_openid)?,
        &granted.tokens.access,
    )
    .await?;
    //= https://openid.net/specs/openid-connect-core-1_0.html#UserInfoResponse
    //# if they do not match, the UserInfo Response values MUST NOT be used.
    let subject = |claims: &Value| claims.get("sub").cloned();
    if claims.is_some_and(|claims| subject(&claims) != subject(&told)) {
        return None;
    }
    of_claims(&told)
}

/// The claims of an `id_token` that came from the token endpoint itself, for this client: a hint about who that is, and
/// no proof to anybody else.
fn claims(token: &Secret, granted: &Granted) -> Option<Value> {
    let token = token.expose();
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Value>(token).ok()?;
    let client = granted.registration.client_id.as_str();
    let is_for_us = match claims.get("aud")? {
        Value::String(audience) => audience == client,
        Value::Array(audiences) => audiences.iter().any(|audience| audience == client),
        _ => false,
    };
    let is_theirs = claims.get("iss")?.as_str()? == granted.source.issuer;
    (is_for_us && is_theirs).then_some(claims)
}

fn of_claims(claims: &Value) -> Option<Identity> {
    let is_usable = |claim: &&str| {
        *claim != "email" || claims.get("email_verified") != Some(&Value::Bool(false))
    };
    let mut subjects = SUBJECTS.iter().filter(|claim| is_usable(claim));
    Some(Identity {
        subject: subjects.find_map(|claim| Identity::name(claims.get(*claim)?))?,
        workspace: WORKSPACES
            .iter()
            .find_map(|claim| Identity::name(claims.get(*claim)?)),
    })
}

/// What a URL answers to whoever has this token. One that does not answer is asked again for a while.
async fn asked(way: &Way, url: &str, token: &Secret) -> Option<Value> {
    let (end, mut pause) = (Instant::now() + PATIENCE, PAUSES.0);
    loop {
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = url.parse().ok()?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        match way.send(request).await {
            Ok(answer) => {
                let status = answer.status();
                let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                if !may_pass {
                    return object(&answer).map(Value::Object);
                }
            }
            Err(super::network::NetworkError::Refused(why)) => {
                tracing::warn!("who logged in is not asked: {why}");
                return None;
            }
            Err(_) => {}
        }
        if Instant::now() + pause >= end {
            return None;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}
