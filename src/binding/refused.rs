//! Why a request has no scope.

use crate::model::{AccountName, ClientId, ProfileName, ServerName, Written};

/// A request that reaches nothing. Nothing was sent.
///
/// The client's person must act: each message says how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not one of our paths at all.
    #[error(
        "there is nothing at this path; MCP is served at /mcp, /mcp/PROFILE and /mcp/@SERVER/ACCOUNT"
    )]
    UnknownPath,
    /// `/mcp/PROFILE` or `Janus-Profile` names no profile.
    #[error("there is no profile `{named}`{}", meant.as_ref().map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default())]
    UnknownProfile {
        /// What was named, cut short.
        named: String,
        /// What was probably meant. Only a profile that may be named is suggested.
        meant: Option<ProfileName>,
    },
    /// `/mcp/@SERVER` names no server.
    #[error("there is no server `{0}`")]
    UnknownServer(String),
    /// `/mcp/@SERVER/ACCOUNT` names no account.
    #[error("`{server}` has no account `{named}`")]
    UnknownAccount {
        /// The server.
        server: ServerName,
        /// What was named, cut short.
        named: String,
    },
    /// The key's client is not in the configuration any more.
    #[error("the client `{0}` is not in `clients:` any more; add it again:  janus client add {0}")]
    UnknownClient(ClientId),
    /// Another profile is given by a key or a binding, or by the default.
    #[error(
        "the request names profile `{named}`, but {by} gives `{given}`; a path or header cannot change that"
    )]
    OtherProfile {
        /// What was named.
        named: ProfileName,
        /// The profile the rules give.
        given: ProfileName,
        /// The rule: `the client's key`, `a binding`.
        by: &'static str,
        /// Where the rule is written.
        written: Written,
    },
    /// A key that is tied to several profiles, and what is named or bound is none of them.
    #[error(
        "profile `{named}` is none of those the client's key is tied to: {}",
        listed(allowed)
    )]
    OutsideKey {
        /// What was named or bound.
        named: ProfileName,
        /// The profiles of the key.
        allowed: Vec<ProfileName>,
        /// Where the client is written.
        written: Written,
    },
    /// The path and the header name different profiles.
    #[error("the path names profile `{path}` and the header Janus-Profile `{header}`")]
    TwoProfiles {
        /// In the path.
        path: ProfileName,
        /// In the header.
        header: ProfileName,
    },
    /// A guarded profile was named.
    #[error(
        "profile `{profile}` is guarded: a key tied to it or a binding leads there, naming it does not"
    )]
    Guarded {
        /// The profile.
        profile: ProfileName,
        /// Where it is written.
        written: Written,
    },
    /// A guarded profile, and the directory is known from `roots/list` alone.
    #[error(
        "profile `{profile}` is guarded, and the client's own word for its directory is not enough; connect with `janus connect`, or with `janus headers` as header helper"
    )]
    GuardedByRoots {
        /// The profile.
        profile: ProfileName,
        /// Where the binding is written.
        written: Written,
    },
    /// The client's roots are bound to different profiles.
    #[error("the client's roots belong to several profiles: {}", listed(profiles))]
    RootsDisagree {
        /// The profiles.
        profiles: Vec<ProfileName>,
    },
    /// Several profiles, and nothing says which.
    #[error("no profile is chosen; there are {}. Name one in the path, as in /mcp/{}, or bind this directory to one in `bindings:`", listed(profiles), profiles.first().map_or("PROFILE", ProfileName::as_str))]
    NoneChosen {
        /// The profiles that could be named.
        profiles: Vec<ProfileName>,
    },
    /// An account that exists, outside the scope.
    #[error("{server}{} is not in profile `{profile}`", account.as_ref().map(|account| format!("/{account}")).unwrap_or_default())]
    OutsideProfile {
        /// The server.
        server: ServerName,
        /// The account, where one was named.
        account: Option<AccountName>,
        /// The profile the rules give.
        profile: ProfileName,
        /// Where it is written.
        written: Written,
    },
    /// `switching: off`, and the path names another account than people chose.
    #[error("switching is off in profile `{profile}`: {server} is used as `{fixed}` there")]
    Locked {
        /// The server.
        server: ServerName,
        /// The account that people chose.
        fixed: AccountName,
        /// The profile the rules give.
        profile: ProfileName,
        /// Where it is written.
        written: Written,
    },
    /// `switching: off`, and people fixed none of several accounts: a path would be a choice.
    #[error(
        "switching is off in profile `{profile}`, and none of the accounts of `{server}` is fixed; set servers.{server}.default in the configuration"
    )]
    NoneFixed {
        /// The server.
        server: ServerName,
        /// The profile the rules give.
        profile: ProfileName,
        /// Where it is written.
        written: Written,
    },
    /// `/mcp/@SERVER`, and the server has several accounts.
    #[error("`{server}` has several accounts here, and none is the default; name one: {}", accounts.iter().map(|account| format!("/mcp/@{server}/{account}")).collect::<Vec<_>>().join(", "))]
    SeveralAccounts {
        /// The server.
        server: ServerName,
        /// Its accounts in scope.
        accounts: Vec<AccountName>,
    },
}

impl Refused {
    /// Whether nothing of that name exists (HTTP 404), rather than being out of reach (403).
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::UnknownPath
                | Self::UnknownProfile { .. }
                | Self::UnknownServer(_)
                | Self::UnknownAccount { .. }
        )
    }

    /// The word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownPath | Self::UnknownProfile { .. } => "profile_unknown",
            Self::UnknownServer(_) | Self::UnknownAccount { .. } => "unknown_account",
            Self::SeveralAccounts { .. } | Self::NoneFixed { .. } => "ambiguous_account",
            Self::UnknownClient(_) => "unknown_client",
            Self::Locked { .. } => "switching_off",
            _ => "profile_refused",
        }
    }

    /// Where the rule that refused is written.
    pub fn written(&self) -> Option<&Written> {
        match self {
            Self::OtherProfile { written, .. }
            | Self::OutsideKey { written, .. }
            | Self::Guarded { written, .. }
            | Self::GuardedByRoots { written, .. }
            | Self::OutsideProfile { written, .. }
            | Self::NoneFixed { written, .. }
            | Self::Locked { written, .. } => Some(written).filter(|written| written.line > 0),
            _ => None,
        }
    }
}

fn listed(names: &[ProfileName]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// What somebody else wrote, cut to what a message can hold.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}
