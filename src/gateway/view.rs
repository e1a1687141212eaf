//! The merged lists of a scope, made once and kept until a listing behind them changes.

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
        let made_of: Vec<Arc<Listing>> = scope
            .accounts()
            .iter()
            .map(|account| self.listing(account))
            .collect();
        let keyed = scope.client().is_some();
        let key = (scope.profile().clone(), kind, era, keyed);
        let mut cache = self.views.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = cache.get(&key)
            && kept.scope == *scope
            && kept.made_of.len() == made_of.len()
            && kept
                .made_of
                .iter()
                .zip(&made_of)
                .all(|(a, b)| Arc::ptr_eq(a, b))
        {
            return Arc::clone(&kept.merged);
        }
        let known = self.known();
        let own = if kind == ListKind::Tools && scope.view() == &View::Profile {
            Control::listed(scope, &known.servers)
        } else {
            Vec::new()
        };
        let sources = self.sources(scope);
        let merged = Arc::new(Merged::new(kind, own, &sources, era, |account, subject| {
            known.policy.against(account, subject).is_some()
        }));
        cache.insert(
            key,
            Kept {
                scope: scope.clone(),
                made_of,
                merged: Arc::clone(&merged),
            },
        );
        merged
    }

    /// The addresses of the resources in scope.
    pub(super) fn addresses(&self, scope: &Scope) -> Addresses {
        Addresses::new(&self.sources(scope))
    }

    fn sources(&self, scope: &Scope) -> Vec<Source> {
        let known = self.known();
        let mut by_server: BTreeMap<&ServerName, Vec<&AccountId>> = BTreeMap::new();
        for account in scope.accounts() {
            by_server.entry(account.server()).or_default().push(account);
        }
        let mut sources = Vec::with_capacity(scope.accounts().len());
        for reachable in scope.servers() {
            let server = known.servers.get(reachable.server());
            let argument = server
                .filter(|_| scope.is_choosable(reachable.server()))
                .map(|server| Arc::new(argument(reachable, server)));
            let accounts = by_server.remove(reachable.server()).unwrap_or_default();
            sources.extend(accounts.iter().map(|account| Source {
                account: (*account).clone(),
                description: server.and_then(|server| server.description.clone()),
                listing: self.listing(account),
                argument: argument.clone(),
                several: accounts.len() > 1,
            }));
        }
        sources
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
