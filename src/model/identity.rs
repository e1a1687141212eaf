//! Who may reach what, as the configuration says it: profiles, bindings, clients.
//!
//! Everything here was checked when it was read: a name that stands here exists. What it means is decided in
//! [`binding`](crate::binding).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::{AccountName, ClientId, ProfileName, ServerName};

/// Where a person wrote something in the configuration file.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Written {
    /// Counted from one; 0 where nobody wrote it: what counts without a key.
    pub line: usize,
    /// The keys that lead there: `bindings[0]`.
    pub key: Arc<str>,
}

/// The profiles, the rules that lead to them, and the clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// In the order of the file; never empty. Without `profiles:` there is one, `default`, with everything.
    pub profiles: Vec<Profile>,
    /// `default_profile`.
    pub default_profile: Option<(ProfileName, Written)>,
    /// In the order of the file.
    pub bindings: Vec<BindingRule>,
    /// `identity.switching`.
    pub switching: Switching,
    /// `clients:` in the order of the file; `None` where the section is missing and no key is asked for.
    pub clients: Option<Vec<Client>>,
}

/// Accounts that belong together: the unit of isolation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What it is called.
    pub name: ProfileName,
    /// The servers it reaches, in the order of `servers:`, each with at least one account.
    pub reach: Vec<Reach>,
    /// Reached by a key or a binding only, never by naming it.
    pub guarded: bool,
    /// Whether and how its accounts may be chosen.
    pub switching: Switching,
    /// Where it is written.
    pub written: Written,
}

/// What a profile reaches of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The server.
    pub server: ServerName,
    /// Its accounts in reach, in the profile's order, or the server's where the profile takes all.
    pub accounts: Vec<AccountName>,
    /// Whether the profile lists the accounts itself, so that the first one is meant where nothing else decides.
    pub ordered: bool,
    /// Where the profile says so.
    pub written: Written,
}

/// A rule that gives a request its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingRule {
    /// The directory it and everything below it is bound by; canonical.
    pub directory: Option<PathBuf>,
    /// The client it binds.
    pub client: Option<ClientId>,
    /// The profile it gives.
    pub profile: ProfileName,
    /// Where it is written.
    pub written: Written,
}

/// A program that connects, proved by an access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// What it is called.
    pub id: ClientId,
    /// The profiles its key is tied to; empty: to none.
    pub profiles: Vec<ProfileName>,
    /// From when on its keys are refused.
    pub expires: Option<SystemTime>,
    /// It can show links to a person though it does not say so.
    pub url_elicitation: bool,
    /// Where it is written.
    pub written: Written,
}

/// Whether and how the account of a call may be chosen among those in scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum Switching {
    /// People alone decide.
    Off,
    /// A call may name the account, a session and a client may choose one.
    #[default]
    Session,
    /// And so may anybody for everybody in the profile.
    Global,
}

impl Switching {
    /// As the configuration writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Session => "session",
            Self::Global => "global",
        }
    }
}

impl Written {
    /// In this line, under this key.
    pub fn new(line: usize, key: &str) -> Self {
        Self {
            line,
            key: key.into(),
        }
    }

    /// What counts where nobody wrote anything.
    pub fn nowhere() -> Self {
        Self::new(0, "")
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} ({})", self.line, self.key)
    }
}

impl Identity {
    /// Without any of the sections: one profile with all accounts of these servers, and no client keys.
    pub fn plain<'a>(
        servers: impl IntoIterator<Item = (&'a ServerName, Vec<AccountName>)>,
    ) -> Self {
        let reach = servers.into_iter().map(|(server, accounts)| Reach {
            server: server.clone(),
            accounts,
            ordered: false,
            written: Written::nowhere(),
        });
        Self {
            profiles: vec![Profile {
                name: ProfileName::default_profile(),
                reach: reach.collect(),
                guarded: false,
                switching: Switching::default(),
                written: Written::nowhere(),
            }],
            default_profile: None,
            bindings: Vec::new(),
            switching: Switching::default(),
            clients: None,
        }
    }
}
