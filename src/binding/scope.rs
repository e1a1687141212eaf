//! From a caller, a path and a header to the accounts in reach.

use std::sync::Arc;

use crate::authn::{Caller, Directory};
use crate::model::{
    AccountId, AccountName, ClientId, Identity, ProfileName, Server, ServerName, Switching,
};

use super::explain::Trace;
use super::profile::Compiled;
use super::refused::cut;
use super::rules::Question;
use super::target::Target;
use super::{Decided, Explanation, Reachable, Refused, Wish};

/// The profiles there are, and the rules that lead to them.
#[derive(Debug)]
pub struct Binding {
    pub(super) identity: Identity,
    pub(super) profiles: Vec<Arc<Compiled>>,
    servers: Vec<Arc<Server>>,
}

/// What a request says of where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// Who sent it.
    pub caller: Caller,
    /// The URL's path.
    pub path: Arc<str>,
    /// `Janus-Profile`.
    pub profile: Option<Arc<str>>,
}

/// What the rules look at: an entry's, or those of a request that has not happened.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// The client that its key proves.
    pub client: Option<&'a ClientId>,
    /// The working directory.
    pub directory: Option<&'a Directory>,
    /// The URL's path.
    pub path: &'a str,
    /// `Janus-Profile`.
    pub profile: Option<&'a str>,
}

/// Which accounts a request may reach, and how they are shown.
#[derive(Debug, Clone)]
pub struct Scope {
    client: Option<ClientId>,
    compiled: Arc<Compiled>,
    view: View,
    accounts: Arc<[AccountId]>,
    decided: Decided,
}

/// How the accounts of a scope are shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    /// `/mcp`: everything in scope, merged, names prefixed.
    Profile,
    /// `/mcp/@SERVER/ACCOUNT`: one account, as if Janus were not there.
    Transparent(AccountId),
}

impl Binding {
    /// The rules of a checked configuration.
    pub fn new(identity: &Identity, servers: &[Arc<Server>]) -> Self {
        let compile = |profile| Arc::new(Compiled::of(profile, servers));
        Self {
            profiles: identity.profiles.iter().map(compile).collect(),
            identity: identity.clone(),
            servers: servers.to_vec(),
        }
    }

    /// The scope of a request.
    ///
    /// # Errors
    /// Why it has none.
    pub fn scope(&self, entry: &Entry) -> Result<Scope, Refused> {
        self.resolve(&entry.given(), &mut Trace(None))
    }

    /// The scope of a request, or of one that has not happened, with every rule's say.
    pub fn explain(&self, given: &Given<'_>) -> Explanation {
        let mut steps = Vec::new();
        let outcome = self.resolve(given, &mut Trace(Some(&mut steps)));
        Explanation { steps, outcome }
    }

    /// The servers, in the order of the file.
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// What people wrote.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Every profile's scope for the person at the control socket, in the order of the file.
    pub fn profiles(&self) -> impl Iterator<Item = Scope> {
        self.profiles.iter().map(|compiled| Scope {
            client: None,
            compiled: Arc::clone(compiled),
            view: View::Profile,
            accounts: Arc::clone(&compiled.visible),
            decided: Decided {
                rule: super::Rule::Named,
                written: compiled.written.clone(),
            },
        })
    }

    fn resolve(&self, given: &Given<'_>, trace: &mut Trace<'_>) -> Result<Scope, Refused> {
        let target = Target::of(given.path)?;
        let in_path = match target {
            Target::Profile(name) => Some(self.known(name)?),
            Target::Unnamed | Target::Account { .. } => None,
        };
        let in_header = given.profile.map(|name| self.known(name)).transpose()?;
        if let (Some(path), Some(header)) = (in_path, in_header)
            && path.name != header.name
        {
            return Err(Refused::TwoProfiles {
                path: path.name.clone(),
                header: header.name.clone(),
            });
        }
        let asked = Question {
            given,
            named: in_path.or(in_header).map(AsRef::as_ref),
            may_name: !matches!(target, Target::Account { .. }),
        };
        // Whether they exist comes first: 404 whatever the profile.
        let server = match target {
            Target::Account { server, account } => Some((self.server(server, account)?, account)),
            _ => None,
        };
        let (name, decided) = self
            .profile(&asked, trace)
            .map(|(profile, decided)| (profile.name.clone(), decided))?;
        let compiled = Arc::clone(self.known(name.as_str())?);
        let view = match server {
            Some((server, account)) => View::Transparent(compiled.shown(&server.name, account)?),
            None => View::Profile,
        };
        let accounts = match &view {
            View::Profile => Arc::clone(&compiled.visible),
            View::Transparent(account) => [account.clone()].into(),
        };
        Ok(Scope {
            client: given.client.cloned(),
            compiled,
            view,
            accounts,
            decided,
        })
    }

    pub(super) fn named(&self, name: &str) -> Option<&Arc<Compiled>> {
        let mut profiles = self.profiles.iter();
        profiles.find(|profile| profile.name.as_str() == name)
    }

    fn known(&self, name: &str) -> Result<&Arc<Compiled>, Refused> {
        self.named(name).ok_or_else(|| {
            let open = self.profiles.iter().filter(|profile| !profile.guarded);
            let near = open.filter(|profile| {
                name.len() <= 64 && strsim::damerau_levenshtein(profile.name.as_str(), name) <= 2
            });
            Refused::UnknownProfile {
                named: cut(name),
                meant: near.map(|profile| profile.name.clone()).next(),
            }
        })
    }

    fn server(&self, name: &str, account: Option<&str>) -> Result<&Arc<Server>, Refused> {
        let mut servers = self.servers.iter();
        let server = servers
            .find(|server| server.name.as_str() == name)
            .ok_or_else(|| Refused::UnknownServer(cut(name)))?;
        let known = |named: &str| server.accounts.iter().any(|one| one.name.as_str() == named);
        match account {
            Some(named) if !known(named) => Err(Refused::UnknownAccount {
                server: server.name.clone(),
                named: cut(named),
            }),
            _ => Ok(server),
        }
    }
}

impl Compiled {
    /// The account that a transparent path shows.
    fn shown(&self, server: &ServerName, account: Option<&str>) -> Result<AccountId, Refused> {
        let outside = |account: Option<&str>| Refused::OutsideProfile {
            server: server.clone(),
            account: account.and_then(|account| AccountName::new(account).ok()),
            profile: self.name.clone(),
            written: self.written.clone(),
        };
        let reachable = self.server(server).ok_or_else(|| outside(account))?;
        let fixed = reachable.fixed().map(|(account, ..)| account);
        let is_off = self.switching == Switching::Off;
        if is_off && fixed.is_none() && reachable.accounts().len() > 1 {
            return Err(Refused::NoneFixed {
                server: server.clone(),
                profile: self.name.clone(),
                written: self.written.clone(),
            });
        }
        let Some(named) = account else {
            return match (reachable.accounts(), fixed) {
                ([only], _) => Ok(only.clone()),
                (_, Some(fixed)) => Ok(fixed.clone()),
                (_, None) => Err(Refused::SeveralAccounts {
                    server: server.clone(),
                    accounts: reachable.names(),
                }),
            };
        };
        let mut accounts = reachable.accounts().iter();
        let found = accounts
            .find(|account| account.account().as_str() == named)
            .ok_or_else(|| outside(account))?;
        match fixed {
            Some(fixed) if is_off && fixed != found => Err(Refused::Locked {
                server: server.clone(),
                fixed: fixed.account().clone(),
                profile: self.name.clone(),
                written: self.written.clone(),
            }),
            _ => Ok(found.clone()),
        }
    }
}

impl Entry {
    fn given(&self) -> Given<'_> {
        Given {
            client: self.caller.client(),
            directory: self.caller.directory(),
            path: &self.path,
            profile: self.profile.as_deref(),
        }
    }
}

impl Scope {
    /// The client that its key proves; `None`: a program of this user without one.
    pub fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }

    /// The profile the request lives in.
    pub fn profile(&self) -> &ProfileName {
        &self.compiled.name
    }

    /// Whether the view has this server.
    pub fn shows(&self, server: &ServerName) -> bool {
        match &self.view {
            View::Profile => self.server(server).is_some(),
            View::Transparent(account) => account.server() == server,
        }
    }

    /// How the accounts are shown.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Whether and how accounts may be chosen.
    pub fn switching(&self) -> Switching {
        self.compiled.switching
    }

    /// The rule that gave the profile.
    pub fn decided(&self) -> &Decided {
        &self.decided
    }

    /// The accounts that lists are made of, in the order of the configuration.
    pub fn accounts(&self) -> &[AccountId] {
        &self.accounts
    }

    /// The servers in reach, in the order of the configuration.
    pub fn servers(&self) -> &[Reachable] {
        &self.compiled.servers
    }

    /// What is in reach of one server.
    pub fn server(&self, name: &ServerName) -> Option<&Reachable> {
        self.compiled.server(name)
    }

    /// The account that a call to `server` goes to if nobody says anything.
    pub fn unchosen(&self, server: &ServerName) -> Option<AccountId> {
        let chosen = self.choose(server, &Wish::default()).ok()?;
        Some(chosen.account().clone())
    }
}

#[cfg(test)]
impl Binding {
    /// A scope with the one account of each of these servers.
    pub(crate) fn everything<'a>(servers: impl IntoIterator<Item = &'a ServerName>) -> Scope {
        let one = |server| (server, vec![AccountName::default_account()]);
        let binding = Self::new(&Identity::plain(servers.into_iter().map(one)), &[]);
        let entry = Entry {
            caller: crate::authn::Peer::from_stdio(None).caller(),
            path: "/mcp".into(),
            profile: None,
        };
        binding.scope(&entry).expect("the one profile is in reach")
    }
}

/// Two scopes are the same where they were made from the same profile of the same configuration.
impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.compiled, &other.compiled)
            && self.client == other.client
            && self.view == other.view
    }
}

impl Eq for Scope {}
