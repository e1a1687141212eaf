//! A profile as calls need it: its accounts in order, and the one that is meant where nobody chooses.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    AccountId, AccountName, Profile, ProfileName, Server, ServerName, Switching, Written,
};

use super::ResolvedFrom;

/// What a profile reaches, made once for each configuration.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) name: ProfileName,
    pub(super) guarded: bool,
    pub(super) switching: Switching,
    pub(super) written: Written,
    pub(super) servers: Vec<Reachable>,
    /// Where in `servers` each is: every call looks one up.
    places: BTreeMap<ServerName, usize>,
    /// The accounts that lists are made of, in the order of the servers, then of the profile.
    pub(super) visible: Arc<[AccountId]>,
}

/// A server in reach, with its accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachable {
    server: ServerName,
    accounts: Vec<AccountId>,
    fixed: Option<(AccountId, ResolvedFrom, Written)>,
    written: Written,
}

impl Compiled {
    pub(super) fn of(profile: &Profile, servers: &[Arc<Server>]) -> Self {
        let servers: BTreeMap<&ServerName, &Server> = servers
            .iter()
            .map(|server| (&server.name, &**server))
            .collect();
        let reachable: Vec<Reachable> = profile
            .reach
            .iter()
            .map(|reach| {
                let server = servers.get(&reach.server);
                let id =
                    |account: &AccountName| AccountId::new(reach.server.clone(), account.clone());
                let by_default = server.and_then(|server| server.default.as_ref());
                let by_default = by_default
                    .filter(|(account, _)| reach.accounts.contains(account))
                    .map(|(account, at)| (id(account), ResolvedFrom::Default, at.clone()));
                let first = reach.accounts.first().filter(|_| reach.ordered);
                let first = first
                    .map(|account| (id(account), ResolvedFrom::Profile, reach.written.clone()));
                Reachable {
                    server: reach.server.clone(),
                    accounts: reach.accounts.iter().map(id).collect(),
                    fixed: first.or(by_default),
                    written: reach.written.clone(),
                }
            })
            .collect();
        let visible = reachable
            .iter()
            .flat_map(|reachable| reachable.visible(profile.switching))
            .cloned()
            .collect();
        Self {
            name: profile.name.clone(),
            guarded: profile.guarded,
            switching: profile.switching,
            written: profile.written.clone(),
            places: reachable
                .iter()
                .enumerate()
                .map(|(place, reachable)| (reachable.server.clone(), place))
                .collect(),
            servers: reachable,
            visible,
        }
    }

    pub(super) fn server(&self, name: &ServerName) -> Option<&Reachable> {
        self.servers.get(*self.places.get(name)?)
    }
}

impl Reachable {
    /// The server.
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// Its accounts in scope, in the profile's order.
    pub fn accounts(&self) -> &[AccountId] {
        &self.accounts
    }

    /// The account that people chose by order or by default, how, and where it is written.
    pub fn fixed(&self) -> Option<(&AccountId, ResolvedFrom, &Written)> {
        self.fixed
            .as_ref()
            .map(|(account, from, at)| (account, *from, at))
    }

    /// Where the profile says that it reaches this server.
    pub fn written(&self) -> &Written {
        &self.written
    }

    /// The names of its accounts in scope.
    pub fn names(&self) -> Vec<AccountName> {
        self.accounts
            .iter()
            .map(|id| id.account().clone())
            .collect()
    }

    /// The accounts that lists are made of: without switching the one that is fixed.
    fn visible(&self, switching: Switching) -> &[AccountId] {
        match (&self.fixed, switching) {
            (Some((fixed, ..)), Switching::Off) => std::slice::from_ref(fixed),
            _ => &self.accounts,
        }
    }
}
