//! The names of servers, accounts, profiles and clients.
//!
//! A server's name becomes the head of every tool name (`SERVER__TOOL`), so it is short, made of the characters
//! that every model provider accepts, and holds no double underscore.

use std::fmt;
use std::sync::Arc;

/// Longer names would leave no room for the tool's own name within the limit of 52 characters.
const LONGEST: usize = 32;

/// A name that cannot be used, and what would be legal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has 1 to {LONGEST} characters of a-z, 0-9, `-` and single `_`, and begins and ends with a letter or a digit"
)]
pub struct BadName;

fn check(name: &str) -> Result<Arc<str>, BadName> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let legal = name.len() <= LONGEST
        && name.chars().all(inner)
        && edge(name.chars().next())
        && edge(name.chars().next_back())
        && !name.contains("__");
    if legal { Ok(name.into()) } else { Err(BadName) }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a name.
            pub fn new(name: &str) -> Result<Self, BadName> {
                check(name).map(Self)
            }

            /// The name as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{}`", self.0)
            }
        }
    )*};
}

names! {
    /// Something Janus talks to: `github`.
    ServerName;
    /// One identity at a server: the `client_a` of `github/client_a`.
    AccountName;
    /// The accounts that belong together; with no `profiles:` in the configuration there is one, `default`.
    ProfileName;
    /// A program that connects, proved by an access key: `claude-code`.
    ClientId;
}

/// What a secret in the vault is called: `github_client_a`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(Arc<str>);

/// A name that no secret can have, and what would be legal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a secret has 1 to 64 characters of a-z, 0-9, `_`, `.` and `-`, and is not the secret itself"
)]
pub struct BadSecretName;

impl SecretName {
    /// Checks a name. What looks like a secret is none: names are shown.
    pub fn new(name: &str) -> Result<Self, BadSecretName> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
        let is_name = (1..=64).contains(&name.len()) && name.chars().all(legal);
        if is_name && !super::looks_secret(name) {
            Ok(Self(name.into()))
        } else {
            Err(BadSecretName)
        }
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// One identity at one server, written `github/client_a`. Every cache, connection and log line is keyed by it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId {
    server: ServerName,
    account: AccountName,
}

impl AccountId {
    /// The account `account` of `server`.
    pub fn new(server: ServerName, account: AccountName) -> Self {
        Self { server, account }
    }

    /// The one account of a server that lists none: `default`.
    pub fn default_of(server: &ServerName) -> Self {
        Self {
            server: server.clone(),
            account: AccountName::default_account(),
        }
    }

    /// The server this account lives at.
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// The account's own name.
    pub fn account(&self) -> &AccountName {
        &self.account
    }
}

impl AccountName {
    /// The one account of a server that lists none.
    pub fn default_account() -> Self {
        Self("default".into())
    }
}

impl ProfileName {
    /// The profile of a configuration that lists none.
    pub fn default_profile() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server, self.account)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_blur_the_tool_prefix_is_refused() {
        for legal in ["github", "a", "client_a", "x-1", "0day"] {
            assert_eq!(
                ServerName::new(legal).map(|n| n.to_string()),
                Ok(legal.to_owned())
            );
        }
        let too_long = "a".repeat(LONGEST + 1);
        for illegal in [
            "",
            "a__b",
            "_a",
            "a_",
            "A",
            "a.b",
            "a/b",
            "é",
            too_long.as_str(),
        ] {
            assert_eq!(ServerName::new(illegal), Err(BadName), "{illegal}");
        }
    }
}
