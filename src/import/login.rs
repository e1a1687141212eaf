//! Logins that a source asks for. They are written down, and never taken over: a login of another program belongs to its
//! client, and two owners of one refresh token end it.

use serde_json::{Map, Value};

use super::entry::{Section, text};
use super::variables::{Spot, Variables};
use super::{Auth, NotImported, Said};
use crate::model::is_secret_name;

/// What a source says of a login.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) scopes: Vec<String>,
    /// Of what the server asks for, only these.
    pub(super) scopes_limit: Vec<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<ClientSecret>,
    pub(super) resource: Option<String>,
    pub(super) callback_port: Option<u16>,
    pub(super) authorization_endpoint: Option<String>,
    pub(super) token_endpoint: Option<String>,
    /// The variable of a process that gets the token.
    pub(super) into: Option<String>,
}

/// Where the secret of a client is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum ClientSecret {
    /// It is written there, or a reference to it.
    Written(String),
    /// A command prints it.
    Command(Vec<String>),
}

impl Login {
    /// The keys of a map that clients and providers use for it, in all their spellings.
    pub(super) fn of(section: &mut Section) -> Result<Self, NotImported> {
        let secret = section.text(&["clientSecret", "client_secret"])?;
        let port = section.text(&["callbackPort", "callback_port"])?;
        Ok(Self {
            scopes: list(section, &["scopes", "scope"])?,
            client_id: section
                .text(&["clientId", "client_id"])?
                .filter(|id| !id.is_empty()),
            client_secret: secret
                .filter(|secret| !secret.is_empty())
                .map(ClientSecret::Written),
            callback_port: port.and_then(|port| port.parse().ok()),
            authorization_endpoint: web(section.text(&["authUrl", "authorizationUrl"])?),
            token_endpoint: web(section.text(&["tokenUrl"])?),
            ..Self::default()
        })
    }

    /// The keys as the configuration writes them.
    pub(super) fn settled(
        &self,
        server: &str,
        account: Option<&str>,
        variables: &mut Variables,
    ) -> Auth {
        let mut keys = Vec::new();
        let mut put = |key: &'static str, value: Said| keys.push((key, value));
        for (key, scopes) in [
            ("scopes", &self.scopes),
            ("scopes_limit", &self.scopes_limit),
        ] {
            if !scopes.is_empty() {
                put(key, Said::List(scopes.clone()));
            }
        }
        let spot = |name: &'static str, secret: bool| Spot {
            server,
            account,
            name,
            kind: "the key",
            secret,
        };
        if let Some(id) = &self.client_id {
            put(
                "client_id",
                Said::Text(variables.settle(&spot("client_id", false), id)),
            );
        }
        match &self.client_secret {
            // A secret without a client is nobody's.
            Some(_) if self.client_id.is_none() => {}
            Some(ClientSecret::Written(secret)) => {
                let spot = spot("client_secret", true);
                let settled = variables.settle(&spot, secret);
                let variable = settled
                    .strip_prefix("${")
                    .and_then(|rest| rest.strip_suffix('}'))
                    .filter(|name| !name.contains(['$', '{', '}']));
                if let Some(variable) = variable {
                    put("client_secret", Said::Text(format!("env:{variable}")));
                }
            }
            Some(ClientSecret::Command(words)) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                if let Ok(line) = shlex::try_join(words) {
                    put(
                        "client_secret",
                        Said::Text(format!("cmd:{}", line.replace('$', "$$"))),
                    );
                }
            }
            None => {}
        }
        let texts = [
            ("resource", &self.resource),
            ("authorization_endpoint", &self.authorization_endpoint),
            ("token_endpoint", &self.token_endpoint),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                put(key, Said::Text(text.replace('$', "$$")));
            }
        }
        if let Some(port) = self.callback_port.filter(|port| *port > 0) {
            put("callback_port", Said::Number(port));
        }
        Auth::OAuth {
            keys,
            into: self.into.clone(),
        }
    }
}

/// Scopes: a list, or a text with spaces. What is no scope is left out.
pub(super) fn list(section: &mut Section, keys: &[&str]) -> Result<Vec<String>, NotImported> {
    let at = section.at.clone();
    let scopes = match section.take(keys) {
        None => Vec::new(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| text(&at, item))
            .collect::<Result<Vec<_>, _>>()?,
        Some(other) => text(&at, &other)?
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
    };
    Ok(scopes.into_iter().filter(|scope| is_scope(scope)).collect())
}

/// What the configuration takes for a scope; `$` would have another meaning there.
fn is_scope(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '$');
    !text.is_empty() && text.chars().all(allowed) && !super::words::text_looks_secret(text)
}

/// A URL that a login may go to.
fn web(url: Option<String>) -> Option<String> {
    url.filter(|url| may_log_in(url) && !url.contains(['#', '@', '$', '{', '"', ' ']))
        .filter(|url| {
            url.parse::<http::Uri>()
                .is_ok_and(|url| url.host().is_some())
        })
}

/// Whether a token may go to this address: not in the clear, but on this machine.
pub(super) fn may_log_in(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return true;
    };
    let host = rest.split([':', '/', '?']).next().unwrap_or_default();
    matches!(host, "127.0.0.1" | "localhost")
}

/// What the configuration takes for `resource`.
pub(super) fn uri(text: &str) -> Option<String> {
    let whole = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '"' | '$');
    let begins = text.starts_with("https://") || text.starts_with("http://");
    (begins && text.chars().all(whole)).then(|| text.to_owned())
}

/// The keys of a JSON text of a command line; what is none has none.
pub(super) fn json(text: &str) -> Map<String, Value> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Whether a header says who one is: then no login is needed.
pub(super) fn says_who(name: &str) -> bool {
    name.eq_ignore_ascii_case("authorization") || is_secret_name(name)
}
