//! The values of one account, by where they go: what proves it, fixed headers, variables.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::attach::{Attached, Ground};
use super::error::NoCredential;
use super::helper::Source;
use super::resolve::Resolver;
use crate::model::{
    Account, Auth, Endpoint, Reference, Secret, SecretValue, is_secret_name, text_looks_secret,
};
use crate::telemetry::{Known, learn};

/// Where one value comes from.
#[derive(Debug)]
pub(super) enum Origin {
    Literal(
        Arc<Secret>,
        #[expect(dead_code, reason = "kept out of the log")] Option<Known>,
    ),
    Resolved(Resolver),
    Printed(Source),
}

/// Where one value goes.
#[derive(Debug)]
pub(super) enum Goal {
    Header { name: HeaderName, prefix: String },
    Basic { user: String },
    Query { name: String },
    Variable(String),
}

/// One value.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) origin: Origin,
    goal: Goal,
}

impl Origin {
    fn of(name: &str, value: &SecretValue, ground: &Ground) -> Self {
        match value {
            SecretValue::Literal(secret) => {
                let is_secret = is_secret_name(name) || text_looks_secret(secret.expose());
                Self::Literal(Arc::clone(secret), is_secret.then(|| learn(secret)))
            }
            SecretValue::Reference(reference) => Self::Resolved(Resolver::new(reference, ground)),
        }
    }

    pub(super) async fn value(&self) -> Result<Arc<Secret>, NoCredential> {
        match self {
            Self::Literal(secret, _) => Ok(Arc::clone(secret)),
            Self::Resolved(resolver) => resolver.value().await,
            Self::Printed(source) => Ok(source.token().await?.secret),
        }
    }

    /// Whether `used`, its value from before, may still be used without looking.
    pub(super) fn is_fresh(&self, used: &Arc<Secret>) -> bool {
        match self {
            Self::Literal(..) => true,
            Self::Resolved(resolver) => resolver.is_fresh(used),
            Self::Printed(source) => source.is_fresh(used),
        }
    }

    pub(super) fn is_in_the_vault(&self) -> bool {
        matches!(self, Self::Resolved(resolver) if matches!(resolver.reference(), Reference::Vault(_)))
    }

    pub(super) fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(..))
    }

    /// Looks for another value than the one that the server refused.
    pub(super) async fn look_again(&self, used: Option<&Arc<Secret>>, status: u16) {
        match self {
            Self::Literal(..) => {}
            Self::Resolved(resolver) => resolver.look_again(status).await,
            Self::Printed(source) => {
                // The one at hand may be newer than the one that was used.
                let refused = source
                    .held()
                    .filter(|held| used.is_some_and(|used| used.expose() == held.secret.expose()));
                if let Some(token) = refused {
                    source.renewed(token.generation, status).await;
                }
            }
        }
    }

    /// What was read is read again.
    pub(super) fn look_anew(&self) {
        if let Self::Resolved(resolver) = self {
            resolver.look_anew();
        }
    }

    pub(super) async fn renew(&self) {
        match self {
            Self::Literal(..) => {}
            Self::Resolved(resolver) => resolver.renew().await,
            Self::Printed(source) => {
                source.renew().await.ok();
            }
        }
    }

    /// Whether it is a token that ends by itself.
    pub(super) fn ends(&self) -> bool {
        match self {
            Self::Literal(..) => false,
            Self::Resolved(resolver) => matches!(resolver.reference(), Reference::Command(_)),
            Self::Printed(_) => true,
        }
    }

    /// Whether it is printed anew for each use.
    pub(super) fn is_once(&self) -> bool {
        matches!(self, Self::Printed(source) if source.is_once())
    }

    /// How long until a newer value is worth looking for.
    pub(super) fn due(&self) -> Option<Duration> {
        match self {
            Self::Literal(..) => None,
            Self::Resolved(resolver) => resolver.due(),
            Self::Printed(source) => source.due(),
        }
    }

    pub(super) fn left(&self) -> Option<Duration> {
        match self {
            Self::Literal(..) => None,
            Self::Resolved(resolver) => resolver.left(),
            Self::Printed(source) => source.left(),
        }
    }

    /// As people know it; nothing for what is written out.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Literal(..) => None,
            Self::Resolved(resolver) => Some(resolver.reference().to_string()),
            Self::Printed(source) => Some(format!("`{}`", source.program())),
        }
    }
}

/// The parts of an account, in the order in which they are attached: what proves it comes last and prevails.
pub(super) fn parts(account: &Account, ground: &Ground) -> Vec<Part> {
    let mut parts = Vec::new();
    match &account.endpoint {
        Endpoint::Process(command) => {
            for (name, value) in &command.env {
                let origin = Origin::of(name, value, ground);
                parts.push(Part {
                    origin,
                    goal: Goal::Variable(name.clone()),
                });
            }
        }
        Endpoint::Http(http) => {
            for (name, value) in &http.headers {
                let origin = Origin::of(name.as_str(), value, ground);
                let goal = Goal::Header {
                    name: name.clone(),
                    prefix: String::new(),
                };
                parts.push(Part { origin, goal });
            }
        }
    }
    parts.extend(proof(account, ground));
    parts
}

fn proof(account: &Account, ground: &Ground) -> Option<Part> {
    let resolved = |reference| Origin::Resolved(Resolver::new(reference, ground));
    let authorization = || http::header::AUTHORIZATION;
    let (origin, goal) = match &account.auth.how {
        Auth::Left | Auth::None => return None,
        Auth::Bearer(value) => (
            resolved(value),
            Goal::Header {
                name: authorization(),
                prefix: "Bearer ".to_owned(),
            },
        ),
        Auth::Basic { user, password } => (resolved(password), Goal::Basic { user: user.clone() }),
        Auth::Header {
            name,
            value,
            prefix,
        } => (
            resolved(value),
            Goal::Header {
                name: name.clone(),
                prefix: prefix.clone(),
            },
        ),
        Auth::Query { name, value } => (resolved(value), Goal::Query { name: name.clone() }),
        Auth::Helper {
            helper,
            header,
            prefix,
        } => {
            let origin = Origin::Printed(ground.source(Arc::clone(helper)));
            (
                origin,
                Goal::Header {
                    name: header.clone(),
                    prefix: prefix.clone(),
                },
            )
        }
    };
    let goal = account.auth.into.clone().map_or(goal, Goal::Variable);
    Some(Part { origin, goal })
}

/// The values as a request carries them.
pub(super) fn attached(
    parts: &[Part],
    values: &[Arc<Secret>],
    stamp: u64,
) -> Result<Attached, NoCredential> {
    let mut headers = HeaderMap::with_capacity(parts.len());
    let mut query = None;
    for (part, value) in parts.iter().zip(values) {
        let text = value.expose();
        let (name, text) = match &part.goal {
            Goal::Header { name, prefix } => (name, Zeroizing::new(format!("{prefix}{text}"))),
            Goal::Basic { user } => {
                let pair = Zeroizing::new(format!("{user}:{text}"));
                let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
                (
                    &http::header::AUTHORIZATION,
                    Zeroizing::new(format!("Basic {}", *encoded)),
                )
            }
            Goal::Query { name } => {
                query = Some(Arc::new(Secret::new(format!(
                    "{}={}",
                    percent(name),
                    percent(text)
                ))));
                continue;
            }
            Goal::Variable(_) => continue,
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| NoCredential::Bad {
            reference: part
                .origin
                .name()
                .unwrap_or_else(|| format!("the header `{name}`")),
            why: "a header cannot have it".to_owned(),
        })?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(Attached {
        stamp,
        headers,
        query,
    })
}

/// The values as a process gets them.
pub(super) fn variables(parts: &[Part], values: &[Arc<Secret>]) -> Vec<(String, Arc<Secret>)> {
    let pairs = parts
        .iter()
        .zip(values)
        .filter_map(|(part, value)| match &part.goal {
            Goal::Variable(name) => Some((name.clone(), Arc::clone(value))),
            _ => None,
        });
    pairs.collect()
}

/// All but the unreserved characters (RFC 3986, section 2.3).
fn percent(text: &str) -> String {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or('0');
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}
