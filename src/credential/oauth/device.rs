//! A login on another device (RFC 8628): a code to type there, and a question that is asked until the person is done.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::client_authentication::Form;
use super::exchange::{Client, ask, object, proven, tokens};
use super::failed::{LoginFailed, foreign, host_of, said};
use super::granted::{Source, Tokens};
use super::page::Page;
use super::seam::Way;
use super::token_response::Answer;
use crate::model::Secret;
use crate::telemetry::learn;

/// Between two questions, where the server does not say.
//= https://www.rfc-editor.org/rfc/rfc8628#section-3.2
//# If no value is provided, clients MUST use 5 as the default.
const INTERVAL: Duration = Duration::from_secs(5);
//= https://www.rfc-editor.org/rfc/rfc8628#section-3.5
//# the interval MUST be increased by 5 seconds for this and all subsequent requests.
const SLOWER: Duration = Duration::from_secs(5);
/// A server that wants more does not want to be asked.
const LONGEST_INTERVAL: Duration = Duration::from_mins(1);
/// How long a code is good for: at least so that a person can type it, at most as long as anybody waits.
const LIFE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(30));
/// People type it.
const LONGEST_CODE: usize = 64;

/// A login that waits for a person elsewhere.
#[derive(Debug)]
pub(super) struct Device {
    code: Arc<Secret>,
    /// What the person types.
    pub(super) user_code: String,
    /// Where they type it.
    pub(super) address: Page,
    /// The same with the code in it, where there is one.
    pub(super) page: Page,
    /// How long the code is good for.
    pub(super) life: Duration,
    interval: Duration,
}

impl Device {
    /// Asks for a code.
    pub(super) async fn begin(
        way: &Way,
        endpoint: &str,
        client: &Client,
        (source, scopes): (&Source, &[String]),
    ) -> Result<Self, LoginFailed> {
        let mut form = Form::default();
        if !scopes.is_empty() {
            form = form.with("scope", &scopes.join(" "));
        }
        let form = form.with_resource(source);
        let request = proven(endpoint, (client, client.registration.method), form)?;
        let answer = way.send(request).await.map_err(LoginFailed::of_network)?;
        let host = host_of(endpoint);
        let Some(object) = object(&answer) else {
            let (_, why) = said(answer.status().as_u16(), answer.body());
            return Err(if answer.status().is_server_error() {
                LoginFailed::Unreachable(format!("{host}: {why}"))
            } else {
                LoginFailed::Provider { host, why }
            });
        };
        let text = |member: &str| object.get(member)?.as_str().filter(|text| !text.is_empty());
        let seconds = |member: &str| {
            let value = object.get(member)?;
            let seconds = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
            Duration::try_from_secs_f64(seconds).ok()
        };
        // The second is what an early draft, and a large provider still, call it.
        let address = text("verification_uri").or_else(|| text("verification_url"));
        let needed = (text("device_code"), text("user_code"), address);
        let (Some(code), Some(user_code), Some(address)) = needed else {
            return Err(LoginFailed::Provider {
                host,
                why: "its answer has no code for a device".to_owned(),
            });
        };
        let address = Page::new(address)?;
        let page = match text("verification_uri_complete") {
            Some(complete) => Page::new(complete)?,
            None => address.clone(),
        };
        let code = Arc::new(Secret::new(code));
        learn(&code);
        let life = seconds("expires_in")
            .unwrap_or(LIFE.1)
            .clamp(LIFE.0, LIFE.1);
        let interval = seconds("interval").unwrap_or(INTERVAL);
        Ok(Self {
            code,
            user_code: foreign(user_code).chars().take(LONGEST_CODE).collect(),
            address,
            page,
            life,
            interval: interval.clamp(Duration::from_secs(1), LONGEST_INTERVAL),
        })
    }

    /// Asks until the person is done, or the provider says that the code has ended: who waits for it looks at the clock.
    /// `gone`: nobody waits any more. It is not asked again then, and what was asked is heard to its end: tokens may come.
    pub(super) async fn poll(
        mut self,
        gone: impl Future<Output = ()>,
        way: &Way,
        client: &mut Client,
        source: &Source,
    ) -> Result<Tokens, LoginFailed> {
        let mut gone = pin!(gone);
        loop {
            tokio::select! {
                biased;
                () = &mut gone => return Err(LoginFailed::TooLate),
                () = sleep(self.interval) => {}
            }
            let form = || {
                Form::new("urn:ietf:params:oauth:grant-type:device_code")
                    .with_secret("device_code", &self.code)
                    .with_resource(source)
            };
            match ask(way, &source.token_endpoint, client, form).await {
                Ok(Answer::Pending(_)) => {}
                //= https://www.rfc-editor.org/rfc/rfc8628#section-3.5
                //# On encountering a connection timeout, clients MUST unilaterally reduce their polling frequency before retrying.
                Ok(Answer::SlowDown(_) | Answer::Passing(..))
                | Err(LoginFailed::Unreachable(_)) => {
                    self.slower();
                }
                Ok(Answer::Dead(said)) if said.code.as_deref() == Some("expired_token") => {
                    return Err(LoginFailed::TooLate);
                }
                Ok(answer) => {
                    return tokens(answer, &client.registration, &source.token_endpoint);
                }
                Err(failed) => return Err(failed),
            }
        }
    }

    fn slower(&mut self) {
        self.interval = (self.interval + SLOWER).min(LONGEST_INTERVAL);
    }
}
