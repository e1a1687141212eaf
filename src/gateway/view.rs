//! The merged lists of a scope, made once and kept until a listing behind them changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use crate::binding::Scope;
use crate::catalog::{Addresses, Merged, Source};
use crate::model::{AccountId, ProfileName};
use crate::protocol::{Era, ListKind, Listing};

use super::Gateway;

/// A server never seen before is waited for this long, no longer: some clients give a list 5 s in all.
const FIRST_LISTING: Duration = Duration::from_millis(2500);

/// Merged lists, by what they depend on.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<BTreeMap<(ProfileName, ListKind, Era), Kept>>);

#[derive(Debug, Clone)]
struct Kept {
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
        let key = (scope.profile().clone(), kind, era);
        let mut cache = self.views.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = cache.get(&key)
            && kept.made_of.len() == made_of.len()
            && kept
                .made_of
                .iter()
                .zip(&made_of)
                .all(|(a, b)| Arc::ptr_eq(a, b))
        {
            return Arc::clone(&kept.merged);
        }
        let sources = self.sources(scope);
        let merged = Arc::new(Merged::new(kind, &sources, era, |account, subject| {
            self.policy.against(account, subject).is_some()
        }));
        cache.insert(
            key,
            Kept {
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
        let source = |account: &AccountId| Source {
            account: account.clone(),
            description: self
                .servers
                .get(account.server())
                .and_then(|server| server.description.clone()),
            listing: self.listing(account),
        };
        scope.accounts().iter().map(source).collect()
    }
}
