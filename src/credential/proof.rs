//! The values of one account, by where they go: what proves it, fixed headers, variables.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::attach::Attached;
use super::error::NoCredential;
use super::ground::{Ground, Means};
use super::helper::Source;
use super::oauth::{Grant, Policy};
use super::resolve::Resolver;
use crate::model::{
    Account, AccountId, Auth, Endpoint, Helper, OAuth, Reference, Secret, SecretValue,
    is_secret_name, percent, text_looks_secret,
};
use crate::telemetry::learn;

/// What a command of `cmd:` printed is used for this long, and it may take this long.
const COMMAND_TTL: Duration = Duration::from_mins(5);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Where one value comes from.
#[derive(Debug)]
pub(super) enum Origin {
    Literal(Arc<Secret>),
    Resolved(Resolver),
    /// By a command, which people know by this name.
    Printed(Source, String),
    /// By an authorization server.
    Granted(Arc<Grant>),
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
    fn of(name: &str, value: &SecretValue, means: &Means) -> Self {
        match value {
            SecretValue::Literal(secret) => {
                if is_secret_name(name) || text_looks_secret(secret.expose()) {
                    learn(secret);
                }
                Self::Literal(Arc::clone(secret))
            }
            SecretValue::Reference(reference) => Self::referred(reference, means),
        }
    }

    pub(super) fn referred(reference: &Reference, means: &Means) -> Self {
        match reference {
            Reference::Command(argv) => {
                let helper = Helper::plain(argv.clone(), COMMAND_TTL, COMMAND_TIMEOUT);
                Self::Printed(means.source(Arc::new(helper)), reference.to_string())
            }
            _ => Self::Resolved(Resolver::new(reference, &means.vault)),
        }
    }

    pub(super) async fn value(&self) -> Result<Arc<Secret>, NoCredential> {
        match self {
            Self::Literal(secret) => Ok(Arc::clone(secret)),
            Self::Resolved(resolver) => resolver.value().await,
            Self::Printed(source, _) => Ok(source.token().await?.secret),
            Self::Granted(grant) => {
                let token = grant.token().await?;
                Ok(token.unwrap_or_else(|| Arc::clone(grant.nothing())))
            }
        }
    }

    /// Whether `used`, its value from before, may still be used without looking.
    pub(super) fn is_fresh(&self, used: &Arc<Secret>) -> bool {
        match self {
            Self::Literal(_) => true,
            Self::Resolved(resolver) => resolver.is_fresh(used),
            Self::Printed(source, _) => source.is_fresh(used),
            Self::Granted(grant) => grant.is_fresh(used),
        }
    }

    pub(super) fn is_in_the_vault(&self) -> bool {
        matches!(self, Self::Resolved(resolver) if matches!(resolver.reference(), Reference::Vault(_)))
    }

    /// What an authorization server gave, if that is where it comes from.
    pub(super) fn grant(&self) -> Option<&Arc<Grant>> {
        match self {
            Self::Granted(grant) => Some(grant),
            Self::Literal(_) | Self::Resolved(_) | Self::Printed(..) => None,
        }
    }

    /// Whether this value stands for none: nobody has logged in, and nobody need have.
    fn is_nothing(&self, value: &Arc<Secret>) -> bool {
        self.grant()
            .is_some_and(|grant| Arc::ptr_eq(grant.nothing(), value))
    }

    pub(super) fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    /// Looks for another value than the one that the server refused.
    pub(super) async fn look_again(&self, used: &Arc<Secret>, status: u16) {
        match self {
            Self::Literal(_) => {}
            Self::Resolved(resolver) => resolver.look_anew(),
            Self::Printed(source, _) => {
                // The one at hand may be newer than the one that was used.
                let refused = source.held().filter(|held| held.secret == *used);
                if let Some(token) = refused {
                    source.renewed(token.generation, status).await;
                }
            }
            Self::Granted(grant) => {
                // What came of it is seen when the value is asked for.
                grant.refused(used, status).await;
            }
        }
    }

    /// What comes of it when nothing from before is used.
    pub(super) async fn tried(&self) -> Result<(), NoCredential> {
        match self {
            Self::Literal(_) => Ok(()),
            Self::Resolved(resolver) => {
                resolver.look_anew();
                resolver.value().await.map(drop)
            }
            Self::Printed(source, _) => source.renew().await.map(drop),
            Self::Granted(grant) => grant.token().await.map(drop),
        }
    }

    /// Has a command run anew.
    pub(super) async fn renew(&self) {
        if let Self::Printed(source, _) = self {
            // What came of it is seen when the value is asked for.
            source.renew().await.ok();
        }
    }

    /// Whether a command prints it.
    pub(super) fn is_printed(&self) -> bool {
        matches!(self, Self::Printed(..))
    }

    /// Whether it is a token that ends by itself.
    pub(super) fn ends(&self) -> bool {
        matches!(self, Self::Printed(..) | Self::Granted(_))
    }

    /// Whether it is printed anew for each use.
    pub(super) fn is_once(&self) -> bool {
        matches!(self, Self::Printed(source, _) if source.is_once())
    }

    /// How long until a newer value is worth looking for.
    pub(super) fn due(&self) -> Option<Duration> {
        match self {
            Self::Literal(_) => None,
            Self::Resolved(resolver) => resolver.due(),
            Self::Printed(source, _) => source.due(),
            Self::Granted(grant) => grant.due(),
        }
    }

    pub(super) fn left(&self) -> Option<Duration> {
        match self {
            Self::Literal(_) | Self::Resolved(_) => None,
            Self::Printed(source, _) => source.left(),
            Self::Granted(grant) => grant.left(),
        }
    }

    /// It cannot be used.
    fn bad(&self, why: &str) -> NoCredential {
        match self {
            Self::Resolved(resolver) => resolver.bad(why),
            Self::Printed(source, _) => NoCredential::helper(source.program(), why),
            Self::Granted(_) => NoCredential::helper("the authorization server", why),
            // The configuration was checked for this.
            Self::Literal(_) => NoCredential::helper("a fixed value", why),
        }
    }

    /// As people know it; nothing for what is written out.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Literal(_) | Self::Granted(_) => None,
            Self::Resolved(resolver) => Some(resolver.reference().to_string()),
            Self::Printed(_, name) => Some(name.clone()),
        }
    }
}

/// The same with a token that proves it instead.
pub(super) fn parts_with(account: &Account, token: &Arc<Secret>, ground: &Ground) -> Vec<Part> {
    let mut parts = fixed(account, &ground.means);
    parts.push(Part {
        origin: Origin::Literal(Arc::clone(token)),
        goal: Goal::Header {
            name: http::header::AUTHORIZATION,
            prefix: "Bearer ".to_owned(),
        },
    });
    parts
}

/// The parts of an account, in the order in which they are attached: what proves it comes last and prevails.
pub(super) fn parts(id: &AccountId, account: &Account, ground: &Ground) -> Vec<Part> {
    let mut parts = fixed(account, &ground.means);
    parts.extend(proof(id, account, ground));
    parts
}

/// What it has beside its proof.
fn fixed(account: &Account, means: &Means) -> Vec<Part> {
    let mut parts = Vec::new();
    match &account.endpoint {
        Endpoint::Process(command) => {
            for (name, value) in &command.env {
                let origin = Origin::of(name, value, means);
                parts.push(Part {
                    origin,
                    goal: Goal::Variable(name.clone()),
                });
            }
        }
        Endpoint::Http(http) => {
            for (name, value) in &http.headers {
                let origin = Origin::of(name.as_str(), value, means);
                let goal = Goal::Header {
                    name: name.clone(),
                    prefix: String::new(),
                };
                parts.push(Part { origin, goal });
            }
        }
    }
    parts
}

fn proof(id: &AccountId, account: &Account, ground: &Ground) -> Option<Part> {
    let resolved = |reference| Origin::referred(reference, &ground.means);
    let authorization = || http::header::AUTHORIZATION;
    let (origin, goal) = match &account.auth.how {
        // A server may want a login, which is found when it does.
        Auth::Left if account.logs_in() => granted(id, account, &Arc::default(), ground),
        Auth::OAuth(settings) => granted(id, account, settings, ground),
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
            let program = helper.argv.first().map_or("", String::as_str);
            let origin = Origin::Printed(
                ground.means.source(Arc::clone(helper)),
                format!("`{program}`"),
            );
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

fn granted(
    id: &AccountId,
    account: &Account,
    settings: &Arc<OAuth>,
    ground: &Ground,
) -> (Origin, Goal) {
    let optional = account.auth.how == Auth::Left;
    let policy = policy(account, settings);
    let grant = ground.grants.of(id, settings, &policy, optional);
    let goal = Goal::Header {
        name: http::header::AUTHORIZATION,
        prefix: "Bearer ".to_owned(),
    };
    (Origin::Granted(grant), goal)
}

/// Where requests for tokens may go. What gets them is a process where there is no server: then it is the authorization
/// server itself that says whether it is on this machine.
fn policy(account: &Account, settings: &OAuth) -> Policy {
    let (server, ca) = match &account.endpoint {
        Endpoint::Http(http) => (Some(http.url.clone()), http.ca.clone()),
        Endpoint::Process(_) => {
            let known = [&settings.issuer, &settings.endpoints.token];
            let url = known.into_iter().flatten().next();
            (url.and_then(|url| url.parse().ok()), None)
        }
    };
    Policy {
        server: server.unwrap_or_default(),
        private: settings.risks.private_addresses,
        ca,
    }
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
        if part.origin.is_nothing(value) {
            continue;
        }
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
                    percent(name, b"", true),
                    percent(text, b"", true)
                ))));
                continue;
            }
            Goal::Variable(_) => continue,
        };
        let value = HeaderValue::from_str(&text);
        let mut value = value.map_err(|_| part.origin.bad("a header cannot have it"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(Attached {
        stamp,
        headers,
        query,
        values: values.to_vec(),
        granted: parts
            .iter()
            .zip(values)
            .find(|(part, _)| part.origin.grant().is_some())
            .map(|(_, value)| Arc::clone(value)),
    })
}

/// The values as a process gets them.
pub(super) fn variables(parts: &[Part], values: &[Arc<Secret>]) -> Vec<(String, Arc<Secret>)> {
    let pairs = parts
        .iter()
        .zip(values)
        .filter_map(|(part, value)| match &part.goal {
            Goal::Variable(name) if !part.origin.is_nothing(value) => {
                Some((name.clone(), Arc::clone(value)))
            }
            _ => None,
        });
    pairs.collect()
}
