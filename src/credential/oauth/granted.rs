//! What an authorization server gave one account, and to which client.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::model::{AccountName, ClientAuthentication, Secret, ServerName, SigningKey};
use crate::telemetry::redact;

/// Longer names are no names.
const LONGEST_NAME: usize = 200;
/// Between somebody and their workspace, as people read and write it.
const IN_WORKSPACE: &str = ", workspace ";

/// The OAuth client that Janus is at one authorization server.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Of this installation: random, and no secret.
    pub id: Arc<str>,
    /// The authorization server. It is sent nowhere else.
    pub issuer: String,
    /// For which server.
    pub server: ServerName,
    /// For which of its accounts; `None`: for all.
    pub account: Option<AccountName>,
    /// How it came to be.
    pub kind: RegistrationKind,
    /// `client_id`
    pub client_id: String,
    /// `client_secret`
    pub client_secret: Option<Arc<Secret>>,
    /// The key that signs instead, of a client that a person registered.
    pub signing_key: Option<SigningKey>,
    /// How it proves itself at the token endpoint.
    pub method: ClientAuthentication,
    /// When the secret ends; `None`: never.
    pub secret_expires: Option<SystemTime>,
    /// What removes it there, where the authorization server gave that.
    pub managed: Option<Managed>,
    /// The one redirect URI that it has.
    pub redirect_uri: String,
    /// When it was made.
    pub created: SystemTime,
}

/// Where a registration is removed, and with what (RFC 7592, section 3).
#[derive(Debug, Clone)]
pub struct Managed {
    /// `registration_client_uri`
    pub uri: String,
    /// `registration_access_token`
    pub token: Arc<Secret>,
}

/// How a registration came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationKind {
    /// A person made it; the configuration has it.
    PreRegistered,
    /// A client metadata document.
    MetadataDocument,
    /// Dynamic client registration (RFC 7591). Only these are kept in the store.
    Dynamic,
}

/// Where tokens come from: all that a refresh needs, so that it needs no discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The authorization server, byte for byte.
    pub issuer: String,
    /// Where tokens come from.
    pub token_endpoint: String,
    /// Where they end (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Who somebody is (OpenID Connect Core, section 5.3).
    pub userinfo_endpoint: Option<String>,
    /// What `resource` says in each request, exactly (RFC 8707); `None`: it is not sent.
    pub resource: Option<String>,
    /// How clients may prove themselves there, in its order; empty: it does not say.
    pub methods: Vec<ClientAuthentication>,
}

/// What one response of a token endpoint gave.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// `access_token`
    pub access: Arc<Secret>,
    /// `refresh_token`; `None`: the one there was, if there was one, stays.
    pub refresh: Option<Arc<Secret>>,
    /// How long the access token lives; `None`: it did not say.
    pub life: Option<Duration>,
    /// What was granted; `None`: what was asked for (RFC 6749, section 5.1).
    pub scopes: Option<Vec<String>>,
    /// `id_token`, a hint about who that is.
    pub id_token: Option<Arc<Secret>>,
}

/// A login that succeeded.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The client that it was given to.
    pub registration: Registration,
    /// Scheme, host and port of the MCP server that somebody logged in for: the tokens are sent to no other.
    pub server: String,
    /// From where.
    pub source: Source,
    /// What was granted.
    pub scopes: Vec<String>,
    /// The tokens.
    pub tokens: Tokens,
    /// Who logged in; `None` where that cannot be learnt.
    pub verified_as: Option<Identity>,
    /// Who did before, where this could not be learnt, or not all of it: the next login is held against it.
    pub known_as: Option<Identity>,
}

/// A grant that is used no more: what its provider can be told of.
#[derive(Debug)]
pub struct Ended {
    /// The client that it was given to.
    pub registration: Registration,
    /// By whom.
    pub source: Source,
    /// The tokens, if there were any left.
    pub tokens: Option<Tokens>,
}

/// Who somebody is at a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// A name, an address or a number: what stays the same for one person.
    pub subject: String,
    /// In which workspace, where that matters.
    pub workspace: Option<String>,
}

impl Identity {
    /// By what a document says at these places.
    pub fn read(document: &Value, subject: &str, workspace: Option<&str>) -> Option<Self> {
        Some(Self {
            subject: Self::name(document.pointer(subject)?)?,
            workspace: workspace.and_then(|workspace| Self::name(document.pointer(workspace)?)),
        })
    }

    /// A text or a number, without what would steer a terminal. One that has a secret in it is none: taken out of it, two
    /// people would have one name.
    pub(super) fn name(value: &Value) -> Option<String> {
        let name = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        let name = name.trim();
        let is_one = !name.is_empty() && name.len() <= LONGEST_NAME && redact(name) == name;
        is_one.then(|| name.to_owned())
    }
}

impl Identity {
    /// The workspace of somebody who is written as they are shown.
    pub fn workspace_of(shown: &str) -> Option<&str> {
        let (_, workspace) = shown.split_once(IN_WORKSPACE)?;
        Some(workspace.trim()).filter(|workspace| !workspace.is_empty())
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        match &self.workspace {
            Some(workspace) => write!(f, "{IN_WORKSPACE}{workspace}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::telemetry::learn;

    #[test]
    fn a_name_that_has_a_secret_in_it_is_none() {
        let secret = Arc::new(Secret::new("ana@canary.example"));
        learn(&secret);
        assert_eq!(Identity::name(&json!(secret.expose())), None);
        let name = |value: Value| Identity::name(&value);
        assert_eq!(name(json!(" ana\u{7} ")).as_deref(), Some("ana"));
        assert_eq!(name(json!(7)).as_deref(), Some("7"));
        for none in [
            json!(""),
            json!(" "),
            json!(["ana"]),
            json!("x".repeat(LONGEST_NAME + 1)),
        ] {
            assert_eq!(name(none), None);
        }
    }
}
