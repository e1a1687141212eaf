//! What a token endpoint answers, read as tolerantly as providers are inventive, and sorted by what must be done.
//!
//! Invariants:
//! - A token that came is never thrown away over how it came: the provider has ended the one before.
//! - What is told of an answer has no value of it in it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use jiff::fmt::rfc2822;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::failed::{foreign, worded};
use super::granted::Tokens;
use super::scopes::{LONGEST, MOST};
use crate::model::Secret;
use crate::telemetry::learn;

/// A header cannot be longer at most servers.
const LONGEST_TOKEN: usize = 16 * 1024;
/// What people call a long time. A provider that says more made a mistake, or means "for ever".
pub(super) const LONGEST_LIFE: Duration = Duration::from_hours(90 * 24);
/// Of the shape of a strange answer, so many names of at most so many letters.
const SHAPE: (usize, usize) = (12, 40);

/// What an answer means, by what must be done.
#[derive(Debug)]
pub(super) enum Answer {
    /// Here they are.
    Tokens(Tokens),
    /// The grant is over for good.
    Dead(Said),
    /// The provider does not know the client, or does not believe that it is it.
    ClientGone(Said),
    /// It gives tokens again after a person answered something.
    PersonNeeded(Said),
    /// It does not give these scopes.
    Scope(Said),
    /// It does not know this `resource`.
    Target(Said),
    /// It wants to wait for a person on another device (RFC 8628, section 3.5).
    Pending(Said),
    /// It is asked too often, and wants longer pauses from now on (RFC 8628, section 3.5).
    SlowDown(Said),
    /// The person said no.
    Denied(Said),
    /// It will say the same again, until somebody changes something.
    Configuration(Said),
    /// There is no token endpoint at this address.
    Stale(Said),
    /// It may work in a moment.
    Passing(Said, Option<Duration>),
    /// Nobody knows what became of the request.
    Unclear(Said),
}

/// What the provider said, cleaned for people and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// `error`, where there was one.
    pub(super) code: Option<String>,
    /// In words.
    pub(super) text: String,
}

/// Reads an answer. `wall` is what time it is.
pub(super) fn read(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    wall: SystemTime,
) -> Answer {
    let object = object(body);
    if let Some(object) = &object
        && let Some(code) = error(object)
    {
        return refused(status, headers, object, &code, wall);
    }
    if status.is_success() {
        let Some(object) = object else {
            return Answer::Unclear(Said::shape(status, headers, body, None));
        };
        return match tokens(&object, wall) {
            Ok(tokens) => Answer::Tokens(tokens),
            Err(Some(why)) => Answer::Unclear(Said::plain(why)),
            Err(None) => Answer::Unclear(Said::shape(status, headers, body, Some(&object))),
        };
    }
    let said = Said {
        code: None,
        text: format!("it answered HTTP {}", status.as_u16()),
    };
    let text = String::from_utf8_lossy(body.get(..512).unwrap_or(body)).to_ascii_lowercase();
    match status.as_u16() {
        404 | 410 | 300..=399 => Answer::Stale(said),
        408 | 425 | 429 | 500..=599 => Answer::Passing(said, wish(status, headers, wall)),
        422 if text.contains("client_id") => Answer::ClientGone(said),
        _ => Answer::Configuration(said),
    }
}

/// The body as an object: JSON under any content type, or form encoding.
fn object(body: &[u8]) -> Option<Map<String, Value>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        return match value {
            Value::Object(object) => Some(object),
            _ => None,
        };
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    // Pages have signs of equality too.
    if text.starts_with(['<', '{', '[']) || !text.contains('=') {
        return None;
    }
    let pairs = url::form_urlencoded::parse(text.as_bytes());
    let object: Map<String, Value> = pairs
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    let known = ["access_token", "error"];
    known
        .iter()
        .any(|name| object.contains_key(*name))
        .then_some(object)
}

/// The code of an error, where there is one: it outweighs the status.
fn error(object: &Map<String, Value>) -> Option<String> {
    let refuses = object.get("ok") == Some(&Value::Bool(false));
    let code = match object.get("error") {
        Some(Value::String(code)) if !code.trim().is_empty() => Some(code.trim().to_owned()),
        // Some gateways wrap it into an object of their own.
        Some(Value::Object(inner)) => {
            let words = ["code", "type", "status", "error"];
            let word = words.iter().find_map(|name| inner.get(*name)?.as_str());
            Some(word.unwrap_or_default().to_owned())
        }
        Some(Value::Bool(true)) => Some(String::new()),
        _ => None,
    };
    code.or_else(|| refuses.then(String::new))
}

fn refused(
    status: StatusCode,
    headers: &HeaderMap,
    object: &Map<String, Value>,
    code: &str,
    wall: SystemTime,
) -> Answer {
    let words = object.get("error_description").and_then(Value::as_str);
    let said = Said::of(code, words.unwrap_or_default());
    let text = words.unwrap_or_default().to_ascii_lowercase();
    match code.to_ascii_lowercase().as_str() {
        //= https://www.rfc-editor.org/rfc/rfc6749#section-5.2
        //# The provided authorization grant (e.g., authorization
        //# code, resource owner credentials) or refresh token is
        //# invalid, expired, revoked
        "invalid_grant"
        | "bad_refresh_token"
        | "invalid_refresh_token"
        | "token_revoked"
        | "token_expired"
        | "expired_token" => Answer::Dead(said),
        "invalid_client"
        | "unauthorized_client"
        | "invalid_client_id"
        | "bad_client_secret"
        | "incorrect_client_credentials" => Answer::ClientGone(said),
        "interaction_required"
        | "login_required"
        | "consent_required"
        | "account_selection_required" => Answer::PersonNeeded(said),
        "invalid_scope" => Answer::Scope(said),
        "invalid_target" | "invalid_resource" => Answer::Target(said),
        "authorization_pending" => Answer::Pending(said),
        "slow_down" => Answer::SlowDown(said),
        "access_denied" => Answer::Denied(said),
        "server_error" | "temporarily_unavailable" => {
            Answer::Passing(said, wish(status, headers, wall))
        }
        _ if text.contains("unrecognized client_id") => Answer::ClientGone(said),
        _ => match status.as_u16() {
            408 | 425 | 429 | 500..=599 => Answer::Passing(said, wish(status, headers, wall)),
            404 | 410 => Answer::Stale(said),
            _ => Answer::Configuration(said),
        },
    }
}

/// The tokens of a success; what is wrong where they cannot be used, `None` where there are none.
fn tokens(object: &Map<String, Value>, wall: SystemTime) -> Result<Tokens, Option<&'static str>> {
    let access = match object.get("access_token") {
        Some(Value::String(token)) if !token.trim().is_empty() => token.trim(),
        _ => return Err(None),
    };
    if access.len() > LONGEST_TOKEN {
        return Err(Some("its access token is longer than 16 KiB"));
    }
    if access.chars().any(|c| !c.is_ascii_graphic()) {
        return Err(Some(
            "its access token has characters that no header can have",
        ));
    }
    if let Some(Value::String(kind)) = object.get("token_type")
        && ["dpop", "mac"]
            .iter()
            .any(|bad| kind.eq_ignore_ascii_case(bad))
    {
        return Err(Some("its token is of a type that Janus cannot use"));
    }
    let secret = |name: &str| match object.get(name) {
        // An empty one is none: the one there is stays.
        Some(Value::String(token)) if !token.trim().is_empty() => {
            let secret = Arc::new(Secret::new(token.trim()));
            learn(&secret);
            Some(secret)
        }
        _ => None,
    };
    let life = life(object.get("expires_in")).or_else(|| hinted(access, wall));
    let access = Arc::new(Secret::new(access));
    learn(&access);
    Ok(Tokens {
        refresh: secret("refresh_token"),
        life: life.map(|life| life.min(LONGEST_LIFE)),
        scopes: object.get("scope").and_then(scopes),
        id_token: secret("id_token"),
        access,
    })
}

/// `expires_in`: a number, or one in quotes. What is no time to come says nothing.
fn life(value: Option<&Value>) -> Option<Duration> {
    let seconds = match value? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (seconds > 0.0 && seconds.is_finite())
        .then(|| Duration::from_secs_f64(seconds.min(LONGEST_LIFE.as_secs_f64())))
}

/// What a token says of its own end, if it is a JWT. The signature is the server's business: this is a hint, no more.
fn hinted(token: &str, wall: SystemTime) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Claims {
        exp: Option<f64>,
        iat: Option<f64>,
    }
    if token.bytes().filter(|byte| *byte == b'.').count() != 2 {
        return None;
    }
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(token).ok()?;
    let now = wall.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    // By its own clock, if it says when it began: ours may be wrong.
    let began = claims.iat.unwrap_or(now.as_secs_f64());
    let left = claims.exp? - began;
    (left > 0.0 && left.is_finite())
        .then(|| Duration::from_secs_f64(left.min(LONGEST_LIFE.as_secs_f64())))
}

/// `scope`: words between spaces, or commas, or a list. It is kept with the grant, as far as anybody has scopes.
fn scopes(value: &Value) -> Option<Vec<String>> {
    fn words(text: &str) -> impl Iterator<Item = &str> {
        text.split([' ', ',', '\n', '\t'])
            .filter(|word| (1..=LONGEST).contains(&word.len()))
    }
    let owned = |words: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        words.take(MOST).map(str::to_owned).collect()
    };
    match value {
        Value::String(text) => Some(owned(&mut words(text))),
        Value::Array(list) => Some(owned(
            &mut list.iter().filter_map(Value::as_str).flat_map(words),
        )),
        _ => None,
    }
}

/// When the provider wants to be asked again (RFC 9110, section 10.2.3): seconds, or a date.
fn wish(status: StatusCode, headers: &HeaderMap, wall: SystemTime) -> Option<Duration> {
    if !matches!(status.as_u16(), 429 | 503) {
        return None;
    }
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let wish = text(RETRY_AFTER)?;
    if let Ok(seconds) = wish.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| {
        let zoned = rfc2822::parse(text).ok()?;
        u64::try_from(zoned.timestamp().as_second()).ok()
    };
    // Its own clock counts, if it says what time it has.
    let ours = || {
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(since.as_secs())
    };
    let now = text(DATE).and_then(date).or_else(ours)?;
    Some(Duration::from_secs(date(wish)?.saturating_sub(now)))
}

impl Said {
    fn plain(text: &str) -> Self {
        Self {
            code: None,
            text: text.to_owned(),
        }
    }

    fn of(code: &str, words: &str) -> Self {
        let (code, text) = worded(code, words);
        let text = if text.is_empty() {
            "it refused without a reason".to_owned()
        } else {
            text
        };
        Self { code, text }
    }

    /// What an answer looks like, without a value of it.
    fn shape(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        object: Option<&Map<String, Value>>,
    ) -> Self {
        let status = status.as_u16();
        let shape = if let Some(object) = object {
            let (most, longest) = SHAPE;
            let member = |(name, value): (&String, &Value)| {
                let kind = match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(_) => "number",
                    Value::String(text) if text.is_empty() => "empty string",
                    Value::String(_) => "string",
                    Value::Array(_) => "list",
                    Value::Object(_) => "object",
                };
                let name: String = name
                    .chars()
                    .filter(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c))
                    .take(longest)
                    .collect();
                format!("{name}: {kind}")
            };
            let members: Vec<String> = object.iter().take(most).map(member).collect();
            format!("an object of {{{}}}", members.join(", "))
        } else {
            let kind = headers
                .get(CONTENT_TYPE)
                .and_then(|kind| kind.to_str().ok());
            let kind = foreign(kind.unwrap_or("no content type"));
            format!("{} bytes of {kind}", body.len())
        };
        Self {
            code: None,
            text: format!(
                "it answered HTTP {status} without a token and without an error: {shape}"
            ),
        }
    }
}
