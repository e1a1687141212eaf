//! A request to a token endpoint in a login, and what its answer means to a person (RFC 6749, section 4.1.3).

use std::sync::Arc;
use std::time::SystemTime;

use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

use super::client_authentication::{Form, NoProof, other};
use super::failed::{LoginFailed, host_of};
use super::granted::{Registration, RegistrationKind, Source, Tokens};
use super::registration::named;
use super::seam::{PLACEHOLDER, Way, response};
use super::token_response::{self, Answer, Said};
use crate::model::{ClientAuthentication, Secret};

/// The client of a login, and the text of its key where it signs.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) registration: Registration,
    pub(super) key: Option<Arc<Secret>>,
}

/// An exchange under way: the code that rmcp does not know, and what came for it.
#[derive(Debug)]
pub(super) struct Exchanging {
    pub(super) client: Client,
    pub(super) source: Source,
    pub(super) code: Arc<Secret>,
    pub(super) outcome: Option<Result<Tokens, LoginFailed>>,
}

impl Exchanging {
    /// Sends the code with the verifier that rmcp kept. All else is what Janus knows.
    pub(super) async fn answer(
        &mut self,
        way: &Way,
        asked: &Request<Vec<u8>>,
    ) -> Option<Response<Vec<u8>>> {
        // The code is good once.
        if self.outcome.is_some() {
            return None;
        }
        let mut fields = url::form_urlencoded::parse(asked.body());
        let verifier = fields.find(|(name, _)| name == "code_verifier");
        let verifier = Secret::new(verifier?.1);
        let (code, source) = (&self.code, &self.source);
        let redirect_uri = self.client.registration.redirect_uri.clone();
        let form = || {
            Form::new("authorization_code")
                .with_secret("code", code)
                .with("redirect_uri", &redirect_uri)
                .with_secret("code_verifier", &verifier)
                .with_resource(source)
        };
        let answer = ask(way, &source.token_endpoint, &mut self.client, form).await;
        let outcome = answer
            .and_then(|answer| tokens(answer, &self.client.registration, &source.token_endpoint));
        // rmcp only learns that it went well.
        let seen = if outcome.is_ok() {
            let held = json!({"access_token": PLACEHOLDER, "token_type": "Bearer"});
            response(StatusCode::OK, &held)
        } else {
            let refused = json!({"error": "invalid_grant"});
            response(StatusCode::BAD_REQUEST, &refused)
        };
        self.outcome = Some(outcome);
        Some(seen)
    }
}

/// Asks an endpoint where the client proves itself. Where the proof is refused, the other way of the same secret is
/// tried once and remembered: metadata does not always say which one it is.
pub(super) async fn ask(
    way: &Way,
    endpoint: &str,
    client: &mut Client,
    form: impl Fn() -> Form,
) -> Result<Answer, LoginFailed> {
    let method = client.registration.method;
    let answer = send(way, endpoint, (client, method), form()).await?;
    if matches!(answer, Answer::ClientGone(_))
        && let Some(method) = other(method)
    {
        let second = send(way, endpoint, (client, method), form()).await?;
        if !matches!(second, Answer::ClientGone(_)) {
            client.registration.method = method;
            return Ok(second);
        }
    }
    Ok(answer)
}

async fn send(
    way: &Way,
    endpoint: &str,
    (client, method): (&Client, ClientAuthentication),
    form: Form,
) -> Result<Answer, LoginFailed> {
    let request = proven(endpoint, (client, method), form)?;
    let answer = way.send(request).await.map_err(LoginFailed::of_network)?;
    let read = token_response::read(
        answer.status(),
        answer.headers(),
        answer.body(),
        SystemTime::now(),
    );
    Ok(read)
}

/// The request with the proof of this client.
pub(super) fn proven(
    endpoint: &str,
    (client, method): (&Client, ClientAuthentication),
    form: Form,
) -> Result<Request<Vec<u8>>, LoginFailed> {
    let (registration, key) = (&client.registration, client.key.as_deref());
    form.proven(endpoint, (registration, method), key, SystemTime::now())
        .map_err(|why| unproven(&why))
}

fn unproven(why: &NoProof) -> LoginFailed {
    LoginFailed::Configuration {
        why: why.to_string(),
        key: match why {
            NoProof::NoSecret(_) => "auth.oauth.client_secret",
            NoProof::NoKey | NoProof::BadKey(_) => "auth.oauth.private_key",
            NoProof::NoRandomness | NoProof::NoUrl => "auth.oauth",
        },
    }
}

/// The tokens, or what the answer means to a person who logs in.
pub(super) fn tokens(
    answer: Answer,
    client: &Registration,
    endpoint: &str,
) -> Result<Tokens, LoginFailed> {
    let host = host_of(endpoint);
    let configuration = |said: Said, key| LoginFailed::Configuration {
        why: format!("{} refused: {}", host_of(endpoint), said.text),
        key,
    };
    Err(match answer {
        Answer::Tokens(tokens) => return Ok(tokens),
        Answer::ClientGone(said) if client.kind == RegistrationKind::PreRegistered => {
            let key = match client.method {
                ClientAuthentication::PrivateKeyJwt => "auth.oauth.private_key",
                _ => "auth.oauth.client_secret",
            };
            LoginFailed::Configuration {
                why: format!(
                    "{host} does not know the client {}: {}",
                    named(client),
                    said.text
                ),
                key,
            }
        }
        Answer::Scope(said) => configuration(said, "auth.oauth.scopes"),
        Answer::Target(said) => configuration(said, "auth.oauth.resource"),
        Answer::Denied(said) | Answer::PersonNeeded(said) => LoginFailed::Denied {
            host,
            why: said.text,
        },
        Answer::Passing(said, _) => LoginFailed::Unreachable(format!("{host}: {}", said.text)),
        Answer::Dead(said)
        | Answer::ClientGone(said)
        | Answer::Pending(said)
        | Answer::SlowDown(said)
        | Answer::Configuration(said)
        | Answer::Stale(said)
        | Answer::Unclear(said) => LoginFailed::Provider {
            host,
            why: said.text,
        },
    })
}

/// A response of another endpoint as an object, where it went well.
pub(super) fn object(answer: &Response<Vec<u8>>) -> Option<serde_json::Map<String, Value>> {
    if !answer.status().is_success() {
        return None;
    }
    match serde_json::from_slice(answer.body()).ok()? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}
