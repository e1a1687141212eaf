//! Who logged in: by a URL or a tool of the server that tells, by the claims of an `id_token`, or by `userinfo` (OpenID
//! Connect Core, sections 2 and 5.3). A tool is asked by whoever has a connection to the server; its answer is read here.
//!
//! Invariant: the new token goes to the one URL that is configured, or to the authorization server that gave it.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use serde_json::Value;

use super::client_authentication::bearer;
use super::exchange::object;
use super::failed::host_of;
use super::granted::{Granted, Identity};
use super::network::NetworkError;
use super::scopes::OPENID;
use super::seam::Way;
use crate::credential::Clock;
use crate::model::{Ask, OAuth, Secret, Whoami};
use crate::telemetry::redact;

/// A question that fails is asked again for so long; then nobody knows who that is.
const PATIENCE: Duration = Duration::from_mins(10);
/// Between two questions: doubled each time, up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// What people know themselves by, before what only the provider knows them by.
const SUBJECTS: [&str; 3] = ["email", "preferred_username", "sub"];
/// How providers call the workspace of a person.
const WORKSPACES: [&str; 3] = ["org_id", "tid", "hd"];

/// Why a question who somebody is had no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTold {
    /// The same question may have one in a moment.
    Passing(String),
    /// It never has.
    Never(String),
}

/// Asks who that is, and again for a while where nobody answers.
///
/// # Errors
/// Why nobody knows.
pub async fn told<F>(clock: &Clock, mut ask: impl FnMut() -> F) -> Result<Identity, String>
where
    F: Future<Output = Result<Identity, NotTold>>,
{
    let (end, mut pause) = (clock.now().after(PATIENCE), PAUSES.0);
    loop {
        let why = match ask().await {
            Ok(identity) => return Ok(identity),
            Err(NotTold::Never(why)) => return Err(why),
            Err(NotTold::Passing(why)) => why,
        };
        let next = clock.now().after(pause);
        if next >= end {
            return Err(why);
        }
        tracing::debug!("who that is cannot be asked now: {}", redact(&why));
        clock.sleep_until(next).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Who that is; `None`: it cannot be learnt here.
pub(super) async fn of(way: &Way, settings: &OAuth, granted: &Granted) -> Option<Identity> {
    let (clock, token) = (way.network.clock(), &granted.tokens.access);
    if let Some(whoami) = &settings.whoami {
        let Ask::Url(url) = &whoami.ask else {
            return None;
        };
        let told = told(clock, || at(way, url, token, whoami)).await;
        return told.inspect_err(|why| {
            let server = &granted.registration.server;
            tracing::warn!(%server, "`auth.oauth.whoami` does not say who logged in: {}", redact(why));
        }).ok();
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
    let userinfo = userinfo.filter(|_| has_openid)?;
    let claims = claims.as_ref();
    let told = told(clock, || async {
        let told = asked(way, userinfo, token).await?;
        of_userinfo(claims, &told)
            .ok_or_else(|| NotTold::Never("what `userinfo` says is not of use".to_owned()))
    });
    told.await.ok()
}

/// Who that is by `userinfo`, held against the claims that came with the token.
fn of_userinfo(claims: Option<&Value>, told: &Value) -> Option<Identity> {
    //= https://openid.net/specs/openid-connect-core-1_0.html#UserInfoResponse
    //# if they do not match, the UserInfo Response values MUST NOT be used.
    let subject = |claims: &Value| claims.get("sub").cloned();
    if claims.is_some_and(|claims| subject(claims) != subject(told)) {
        return None;
    }
    of_claims(told)
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

/// Whom the URL of `auth.oauth.whoami` takes whoever has this token for.
pub(super) async fn at(
    way: &Way,
    url: &str,
    token: &Secret,
    whoami: &Whoami,
) -> Result<Identity, NotTold> {
    let told = asked(way, url, token).await?;
    usable(&[told], whoami).map_err(NotTold::Never)
}

/// What a URL answers to whoever has this token.
async fn asked(way: &Way, url: &str, token: &Secret) -> Result<Value, NotTold> {
    let host = host_of(url);
    let unusable = |what: &str| NotTold::Never(format!("{what} cannot be used"));
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = url.parse().map_err(|_| unusable("its URL"))?;
    let value = bearer(token).ok_or_else(|| unusable("the token"))?;
    request.headers_mut().insert(AUTHORIZATION, value);
    let answer = way.send(request).await.map_err(|error| match error {
        NetworkError::Refused(why) => NotTold::Never(why),
        other => NotTold::Passing(other.to_string()),
    })?;
    let status = answer.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let why = format!("{host} answers HTTP {}", status.as_u16());
        return Err(NotTold::Passing(why));
    }
    object(&answer).map(Value::Object).ok_or_else(|| {
        NotTold::Never(format!(
            "{host} answers HTTP {} and no JSON object",
            status.as_u16()
        ))
    })
}

/// Who somebody is by the first of these documents that says so.
fn usable(documents: &[Value], whoami: &Whoami) -> Result<Identity, String> {
    let workspace = whoami.workspace.as_deref();
    let mut read = documents.iter();
    read.find_map(|document| Identity::read(document, &whoami.subject, workspace))
        .ok_or_else(|| {
            format!(
                "its answer has no name at `{}`, which is `auth.oauth.whoami.subject`",
                whoami.subject
            )
        })
}

impl Identity {
    /// Who that is, by what a tool answered: its structured content, or its text as JSON.
    ///
    /// # Errors
    /// Why it does not say.
    pub fn of_result(result: &Value, whoami: &Whoami) -> Result<Self, String> {
        if result.get("isError").is_some_and(|is| is == true) {
            return Err("it answers with an error".to_owned());
        }
        let structured = result.get("structuredContent").cloned();
        let texts = result.get("content").and_then(Value::as_array);
        let texts = texts.into_iter().flatten();
        let texts = texts.filter_map(|one| serde_json::from_str(one.get("text")?.as_str()?).ok());
        let documents: Vec<Value> = structured.into_iter().chain(texts).collect();
        if documents.is_empty() {
            return Err("its answer is no JSON".to_owned());
        }
        usable(&documents, whoami)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::*;

    fn who(subject: &str, workspace: Option<&str>) -> Identity {
        Identity {
            subject: subject.to_owned(),
            workspace: workspace.map(str::to_owned),
        }
    }

    #[test]
    fn a_tool_says_who_in_its_structure_or_in_its_text() {
        let whoami = Whoami {
            ask: Ask::Tool("get_me".to_owned()),
            subject: "/user/login".to_owned(),
            workspace: Some("/team".to_owned()),
        };
        let document = json!({"user": {"login": "ana\u{7}"}, "team": 7});
        let expected = Ok(who("ana", Some("7")));
        let structured = json!({"structuredContent": document, "content": []});
        assert_eq!(Identity::of_result(&structured, &whoami), expected);
        let text = json!({"content": [{"type": "text", "text": document.to_string()}]});
        assert_eq!(Identity::of_result(&text, &whoami), expected);
        for (nothing, why) in [
            (
                json!({"content": [{"type": "text", "text": "I am ana"}]}),
                "no JSON",
            ),
            (
                json!({"structuredContent": {"user": {"login": ""}}}),
                "`/user/login`",
            ),
            (
                json!({"structuredContent": {"user": {"login": ["ana"]}}}),
                "`/user/login`",
            ),
            (
                json!({"isError": true, "structuredContent": document}),
                "an error",
            ),
            (json!({}), "no JSON"),
        ] {
            let said = Identity::of_result(&nothing, &whoami).unwrap_err();
            assert!(said.contains(why), "{nothing}: {said}");
        }
    }

    #[tokio::test]
    async fn who_does_not_answer_is_asked_again_for_ten_minutes_of_this_clock() {
        let (clock, asked) = (Clock::movable(), Cell::new(0_u32));
        let never = async {
            told(&clock, || async {
                asked.set(asked.get() + 1);
                Err(NotTold::Passing("HTTP 503".to_owned()))
            })
            .await
        };
        let moved = async {
            loop {
                tokio::task::yield_now().await;
                clock.advance(Duration::from_secs(30));
            }
        };
        let outcome = tokio::select! {
            outcome = never => outcome,
            () = moved => unreachable!("the clock is moved on and on"),
        };
        assert_eq!(outcome, Err("HTTP 503".to_owned()));
        assert!((5..30).contains(&asked.get()), "{}", asked.get());
        let at_once = told(&clock, || async {
            Err(NotTold::Never("HTTP 404".to_owned()))
        });
        assert_eq!(at_once.await, Err("HTTP 404".to_owned()));
    }
}
