//! Which accounts there are: made from the configuration, and brought in line with another one.
//!
//! Invariant: an account whose server, endpoint and settings are the same in both is the same value, with its
//! connections, its lists and its calls in flight.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::broadcast;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::account::Account;
use super::change::Change;
use super::dial::Dial;
use super::known_era::KnownEra;
use crate::credential::{self, Credential};
use crate::model::{self, AccountId, Server, Settings};
use crate::store::{self, EraRecord, ListingRecord, Store};

/// By their full names.
pub(super) type Accounts = BTreeMap<AccountId, Arc<Account>>;

/// Calls on an account that left the configuration get this long.
const LAST_CALLS: Duration = Duration::from_secs(20);
/// And it is quiet when nobody has used it for this long.
const QUIET: Duration = Duration::from_millis(100);

/// What every account stands on.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) store: Store,
    pub(super) changes: broadcast::Sender<Change>,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
    pub(super) credentials: credential::Ground,
}

/// From one configuration to the next.
pub(super) struct Changed {
    pub(super) accounts: Accounts,
    pub(super) begun: Vec<Arc<Account>>,
    pub(super) ended: Vec<Arc<Account>>,
    pub(super) notes: Vec<String>,
}

impl Ground {
    /// The accounts of a configuration, with what an earlier life left in the store.
    pub(super) fn accounts(
        &self,
        settings: &Settings,
        listings: Vec<ListingRecord>,
        eras: Vec<EraRecord>,
    ) -> Accounts {
        let mut listings = by_account(listings, |kept| &kept.account);
        let mut eras = by_account(eras, |kept| &kept.account);
        let mut accounts = BTreeMap::new();
        for (server, one) in each(settings) {
            let id = AccountId::new(server.name.clone(), one.name.clone());
            let account = self.account(settings, server, one, eras.remove(&id).as_ref());
            if let Some(kept) = listings.remove(&id) {
                account.inherit(&kept);
            }
            accounts.insert(id, account);
        }
        let gone: BTreeSet<AccountId> = listings.into_keys().chain(eras.into_keys()).collect();
        for account in gone {
            self.store.note(store::Change::AccountGone(account));
        }
        accounts
    }

    /// What another configuration changes.
    pub(super) fn changed(&self, before: &Accounts, settings: &Settings) -> Changed {
        let (mut accounts, mut begun, mut notes) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (server, one) in each(settings) {
            let id = AccountId::new(server.name.clone(), one.name.clone());
            let account = match before.get(&id) {
                Some(same) if same.dial.is_of(server, one, settings) => Arc::clone(same),
                other => {
                    let what = if other.is_some() { "changed" } else { "new" };
                    notes.push(format!("{id} is {what}"));
                    let account = self.account(settings, server, one, None);
                    begun.push(Arc::clone(&account));
                    account
                }
            };
            accounts.insert(id, account);
        }
        let mut ended = Vec::new();
        for (id, account) in before {
            let kept = accounts.get(id);
            if kept.is_some_and(|kept| Arc::ptr_eq(kept, account)) {
                continue;
            }
            if kept.is_none() {
                notes.push(format!("{id} is gone"));
                self.store.note(store::Change::AccountGone(id.clone()));
            }
            ended.push(Arc::clone(account));
        }
        Changed {
            accounts,
            begun,
            ended,
            notes,
        }
    }

    fn account(
        &self,
        settings: &Settings,
        server: &Arc<Server>,
        one: &model::Account,
        era: Option<&EraRecord>,
    ) -> Arc<Account> {
        let id = AccountId::new(server.name.clone(), one.name.clone());
        let known = KnownEra::new(id.clone(), one.endpoint.clone(), self.store.clone(), era);
        let credential = Credential::new(&id, one, &self.credentials);
        let dial = Dial::new(
            id,
            Arc::clone(server),
            (one, credential),
            &settings.child_environment,
            &settings.proxy,
            known,
            self.tasks.clone(),
        );
        Arc::new(Account::new(
            dial,
            self.store.clone(),
            self.changes.clone(),
            self.tasks.clone(),
            // One account may end before Janus does.
            self.shutdown.child_token(),
        ))
    }
}

impl Account {
    /// Ends it when the calls on it have ended.
    pub(super) async fn retired(self: Arc<Self>) {
        self.shutdown.cancel();
        let slots = self.slots();
        let quiet = slots.iter().filter_map(|slot| slot.standing());
        let quiet = join_all(quiet.map(|connection| async move { connection.idle(QUIET).await }));
        if timeout(LAST_CALLS, quiet).await.is_err() {
            tracing::warn!(account = %self.id(), "calls on an account that left the configuration were cut off");
        }
        let standing = slots.iter().filter_map(|slot| slot.close());
        join_all(standing.map(|connection| async move { connection.leg.end().await })).await;
    }
}

fn each(settings: &Settings) -> impl Iterator<Item = (&Arc<Server>, &model::Account)> {
    let servers = settings.servers.iter();
    servers.flat_map(|server| server.accounts.iter().map(move |one| (server, one)))
}

fn by_account<T>(kept: Vec<T>, account: fn(&T) -> &AccountId) -> BTreeMap<AccountId, T> {
    let named = kept.into_iter().map(|kept| (account(&kept).clone(), kept));
    named.collect()
}
