//! The merged lists of a scope, made once and kept until a listing behind them changes.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use crate::binding::{Reachable, Scope, View};
use crate::catalog::{Addresses, Argument, Merged, Source};
use crate::model::{AccountId, ProfileName, Server, ServerName};
use crate::protocol::{Era, ListKind, Listing};

use super::Gateway;
use super::control::Control;

/// A server never seen before is waited for this long, no longer: some clients give a list 5 s in all.
const FIRST_LISTING: Duration = Duration::from_millis(2500);

/// Merged lists, by what they depend on.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<BTreeMap<Key, Kept>>);

/// What a list depends on beside the listings: whether the client has a key shows in Janus's own tools.
type Key = (ProfileName, ListKind, Era, bool);

impl Cache {
    /// The configuration changed.
    pub(super) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

#[derive(Debug, Clone)]
struct Kept {
    /// The scope it was made for: one of an earlier configuration gives another list.
    scope: Scope,
    /// The listings it was made of: the same ones give the same list.
    made_of: Vec<Arc<Listing>>,
    merged: Arc<Merged>,
}

impl Gateway {
    /// What an account offers now.
    pub(super) fn listing(&self, account: &AccountId) -> Arc<Listing> {
        self.upstream.listing(account)
    }

    /// Waits, bounded, for the accounts that were never listed before: at once for all others.
    pub(super) async fn settled(&self, scope: &Scope) {
        let accounts = scope.accounts().iter();
        join_all(accounts.map(|account| self.upstream.settled(account, FIRST_LISTING))).await;
    }

    /// One list of everything in scope.
    pub(super) fn merged(&self, scope: &Scope, kind: ListKind, era: Era) -> Arc<Merged> {
        self.merging(scope, era).list(kind)
    }

    /// The lists of everything in scope, as it is now.
    pub(super) fn merging<'g>(&'g self, scope: &'g Scope, era: Era) -> Merging<'g> {
        let accounts = scope.accounts().iter();
        Merging {
            gateway: self,
            scope,
            era,
            made_of: accounts.map(|account| self.listing(account)).collect(),
            sources: OnceCell::new(),
        }
    }

    /// The addresses of the resources in scope.
    pub(super) fn addresses(&self, scope: &Scope) -> Addresses {
        let accounts = scope.accounts().iter();
        let listings: Vec<_> = accounts.map(|account| self.listing(account)).collect();
        Addresses::new(&self.sources(scope, &listings))
    }

    /// What the accounts in scope contribute. `listings`: of each of them, in their order.
    fn sources(&self, scope: &Scope, listings: &[Arc<Listing>]) -> Vec<Source> {
        let known = self.known();
        let mut by_server: BTreeMap<&ServerName, Vec<_>> = BTreeMap::new();
        for (account, listing) in scope.accounts().iter().zip(listings) {
            let of_server = by_server.entry(account.server()).or_default();
            of_server.push((account, listing));
        }
        let mut sources = Vec::with_capacity(listings.len());
        for reachable in scope.servers() {
            let server = known.servers.get(reachable.server());
            let argument = server
                .filter(|_| scope.is_choosable(reachable.server()))
                .map(|server| Arc::new(argument(reachable, server)));
            let accounts = by_server.remove(reachable.server()).unwrap_or_default();
            sources.extend(accounts.iter().map(|(account, listing)| Source {
                account: (*account).clone(),
                description: server.and_then(|server| server.description.clone()),
                listing: Arc::clone(listing),
                argument: argument.clone(),
                several: accounts.len() > 1,
            }));
        }
        sources
    }
}

/// Lists of one scope, all made of the same listings.
pub(super) struct Merging<'g> {
    gateway: &'g Gateway,
    scope: &'g Scope,
    era: Era,
    made_of: Vec<Arc<Listing>>,
    /// The first list that is not kept needs them, and those after it have them.
    sources: OnceCell<Vec<Source>>,
}

impl Merging<'_> {
    /// One of the lists.
    pub(super) fn list(&self, kind: ListKind) -> Arc<Merged> {
        let scope = self.scope;
        let keyed = scope.client().is_some();
        let key = (scope.profile().clone(), kind, self.era, keyed);
        let cache = &self.gateway.views.0;
        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = cache.get(&key)
            && kept.is_of(scope, &self.made_of)
        {
            return Arc::clone(&kept.merged);
        }
        let merged = Arc::new(self.merge(kind));
        cache.insert(
            key,
            Kept {
                scope: scope.clone(),
                made_of: self.made_of.clone(),
                merged: Arc::clone(&merged),
            },
        );
        merged
    }

    fn merge(&self, kind: ListKind) -> Merged {
        let (gateway, scope) = (self.gateway, self.scope);
        let known = gateway.known();
        let own = if kind == ListKind::Tools && scope.view() == &View::Profile {
            Control::listed(scope, &known.servers)
        } else {
            Vec::new()
        };
        let sources = || gateway.sources(scope, &self.made_of);
        let sources = self.sources.get_or_init(sources);
        Merged::new(kind, own, sources, self.era, |account, subject| {
            known.policy.against(account, subject).is_some()
        })
    }
}

impl Kept {
    fn is_of(&self, scope: &Scope, made_of: &[Arc<Listing>]) -> bool {
        let same = |(one, other): (&Arc<Listing>, &Arc<Listing>)| Arc::ptr_eq(one, other);
        self.scope == *scope
            && self.made_of.len() == made_of.len()
            && self.made_of.iter().zip(made_of).all(same)
    }
}

/// What a call to a server may choose from, in the words of the configuration alone.
fn argument(reachable: &Reachable, server: &Server) -> Argument {
    let labelled = |id: &AccountId| {
        let label = server
            .account(id.account())
            .and_then(|account| account.label.clone());
        (id.account().clone(), label)
    };
    let accounts: Vec<_> = reachable.accounts().iter().map(labelled).collect();
    let default = reachable.fixed().map(|(account, ..)| account.account());
    Argument::new(reachable.server(), &accounts, default)
}
