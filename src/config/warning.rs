//! What is allowed and probably not meant: it is said, and nothing is refused.
//!
//! Invariant: a warning holds no value of the file, as no mistake does.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::names::Places;
use super::problem::{Place, shown};
use crate::model::{
    BindingRule, Client, Identity, Profile, Reach, Server, ServerName, Switching, Written,
};

/// Something strange at a place of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it is.
    pub place: Place,
    /// What is strange.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Warning {
    pub(super) fn new(place: &Place, message: impl Into<String>, help: &str) -> Self {
        Self {
            place: place.clone(),
            message: message.into(),
            help: Some(help.to_owned()),
        }
    }
}

/// All warnings about a configuration without mistakes, in the order of the file.
pub(super) fn warnings(
    servers: &[Arc<Server>],
    identity: &Identity,
    places: &Places,
    mut found: Vec<Warning>,
) -> Vec<Warning> {
    let file = File {
        servers,
        identity,
        places,
    };
    found.extend(file.accounts());
    found.extend(file.profiles());
    found.extend(file.bindings());
    found.extend(file.locked());
    found.extend(file.sections());
    found.sort_by_key(|warning| warning.place.position);
    found
}

struct File<'a> {
    servers: &'a [Arc<Server>],
    identity: &'a Identity,
    places: &'a Places,
}

impl File<'_> {
    fn at(&self, written: &Written, message: impl Into<String>, help: &str) -> Warning {
        Warning::new(&self.places.of(written), message, help)
    }

    /// A warning about a key of the file, if it is there.
    fn about(&self, key: &str, message: &str, help: &str) -> Option<Warning> {
        let place = self.places.find(key)?;
        Some(Warning::new(&place, message, help))
    }

    /// Accounts that no profile reaches, together where they are all of a server.
    fn accounts(&self) -> Vec<Warning> {
        const HELP: &str = "list it in a profile, or remove it";
        let mut found = Vec::new();
        let mut reaches: BTreeMap<&ServerName, Vec<&Reach>> = BTreeMap::new();
        for reach in self
            .identity
            .profiles
            .iter()
            .flat_map(|profile| &profile.reach)
        {
            reaches.entry(&reach.server).or_default().push(reach);
        }
        for server in self.servers {
            let reached = reaches.remove(&server.name).unwrap_or_default();
            if reached.is_empty() {
                let key = format!("servers.{}", shown(server.name.as_str()));
                found.extend(self.about(&key, "no profile reaches this server", HELP));
                continue;
            }
            for account in &server.accounts {
                if !reached
                    .iter()
                    .any(|reach| reach.accounts.contains(&account.name))
                {
                    found.push(self.at(&account.written, "no profile reaches this account", HELP));
                }
            }
        }
        found
    }

    /// Profiles that nothing leads to, or that lead nowhere.
    fn profiles(&self) -> Vec<Warning> {
        let written = |profile: &&Profile| profile.written != Written::nowhere();
        let profiles = self.identity.profiles.iter().filter(written);
        let mut found = Vec::new();
        for profile in profiles {
            if profile.reach.is_empty() {
                let message = "this profile reaches nothing: none of its servers is enabled";
                found.push(self.at(&profile.written, message, "enable one of them"));
            }
            if self.leads_to(profile) {
                continue;
            }
            let (message, help) = if profile.guarded {
                (
                    "nothing leads to this profile: it is guarded, and no client and no binding gives it",
                    "bind a directory to it, tie a client's key to it, or remove `guarded`",
                )
            } else {
                (
                    "nothing leads to this profile: the keys of all clients are tied to others",
                    "tie a client's key to it, or remove it",
                )
            };
            found.push(self.at(&profile.written, message, help));
        }
        found
    }

    /// Whether some request could get this profile.
    fn leads_to(&self, profile: &Profile) -> bool {
        let bound = |client: Option<&Client>| {
            self.live().any(|rule| {
                let whom = rule.client.as_ref();
                rule.profile == profile.name
                    && whom.is_none_or(|id| client.is_some_and(|client| client.id == *id))
            })
        };
        match self.identity.clients.as_deref() {
            None => !profile.guarded || bound(None),
            // That no client is listed is a warning of its own.
            Some([]) => true,
            Some(clients) => clients.iter().any(|client| match &client.profiles[..] {
                [] => !profile.guarded || bound(Some(client)),
                tied => tied.contains(&profile.name),
            }),
        }
    }

    /// The rules that no earlier one hides.
    fn live(&self) -> impl Iterator<Item = &BindingRule> {
        let rules = self.identity.bindings.iter().enumerate();
        rules.filter_map(|(index, rule)| self.earlier(index, rule).is_none().then_some(rule))
    }

    /// A rule before this one that matches exactly the same requests.
    fn earlier(&self, index: usize, rule: &BindingRule) -> Option<&BindingRule> {
        let mut before = self.identity.bindings.iter().take(index);
        before.find(|other| other.directory == rule.directory && other.client == rule.client)
    }

    /// Rules that never give their profile.
    fn bindings(&self) -> Vec<Warning> {
        let mut found = Vec::new();
        for (index, rule) in self.identity.bindings.iter().enumerate() {
            if let Some(other) = self.earlier(index, rule) {
                let message = format!(
                    "this rule never counts: the one in line {} matches the same requests first",
                    other.written.line
                );
                found.push(self.at(&rule.written, message, "remove one of them"));
            }
            let clients = self.identity.clients.iter().flatten();
            let client = clients
                .filter(|client| {
                    !client.profiles.is_empty() && Some(&client.id) == rule.client.as_ref()
                })
                .find(|client| !client.profiles.contains(&rule.profile));
            if client.is_some() {
                let message = "this rule gives no profile: the client's key is tied to others";
                let help = "add the profile to the client's `profiles`, or remove the rule";
                found.push(self.at(&rule.written, message, help));
            }
        }
        found
    }

    /// Without switching: servers of which no account can be meant, and accounts that never are.
    fn locked(&self) -> Vec<Warning> {
        let off = |profile: &&Profile| profile.switching == Switching::Off;
        let profiles = self.identity.profiles.iter().filter(off);
        let reaches = profiles.flat_map(|profile| &profile.reach);
        reaches.filter_map(|reach| self.locked_at(reach)).collect()
    }

    fn locked_at(&self, reach: &Reach) -> Option<Warning> {
        let [first, _, ..] = &reach.accounts[..] else {
            return None;
        };
        let place = if reach.written == Written::nowhere() {
            self.places.find("identity.switching")?
        } else {
            self.places.of(&reach.written)
        };
        let server = self
            .servers
            .iter()
            .find(|server| server.name == reach.server)?;
        let default = server.default.as_ref().map(|(name, _)| name);
        let default = default.filter(|name| reach.accounts.contains(name));
        let name = shown(server.name.as_str());
        Some(match default.filter(|_| !reach.ordered) {
            None if !reach.ordered => Warning::new(
                &place,
                format!(
                    "calls to `{name}` are refused: of several accounts none is first or `default`, and switching is `off`"
                ),
                "list the accounts in order, name a `default` at the server, or allow switching",
            ),
            fixed => {
                let fixed = shown(fixed.unwrap_or(first).as_str());
                Warning::new(
                    &place,
                    format!(
                        "switching is `off`, so that of the accounts of `{name}` only `{fixed}` is used"
                    ),
                    "list that one alone, or allow switching",
                )
            }
        })
    }

    /// Sections that leave something open.
    fn sections(&self) -> Vec<Warning> {
        let mut found = Vec::new();
        let clients = self.identity.clients.as_deref();
        if clients.is_some_and(<[Client]>::is_empty) {
            let message = "no client is listed, so that nothing can connect";
            let help = "list the clients, or remove the section: then no key is needed";
            found.extend(self.about("clients", message, help));
        }
        let tied = |client: &Client| client.profiles.len() == 1;
        let all_tied = clients.is_some_and(|clients| clients.iter().all(tied));
        let several = self.identity.profiles.len() > 1;
        if several && self.identity.default_profile.is_none() && !all_tied {
            let message = "several profiles and no `default_profile`: a request that no key and no binding gives one must name it";
            let help = "name one, unless this is meant: `default_profile: NAME`";
            found.extend(self.about("profiles", message, help));
        }
        found
    }
}
