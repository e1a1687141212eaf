//! Janus as an MCP client: the connections behind it.
//!
//! Two doors and no third: [`Upstream::forward`] for what a caller asked, and what Janus does for itself (handshake,
//! lists, shared listen, idle stop), which happens inside this module only.
//!
//! Invariants:
//! - Connecting is single flight; calls wait for a ready connection with a deadline and never meet a dead one.
//! - `tools/call` is never sent again after it may have run.
//! - Nothing is keyed by less than the account.

mod account;
mod answer;
mod backoff;
mod change;
mod connection;
mod failure;
mod forward;
mod handshake;
mod keeper;
mod key;
mod leg;
mod lists;
mod probe;
mod stdio;
mod streamable_http;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::model::{AccountId, Settings};
use crate::protocol::Listing;

pub use change::Change;
pub use failure::Failure;

use account::Account;

/// All servers behind Janus.
#[derive(Debug, Clone)]
pub struct Upstream {
    accounts: Arc<BTreeMap<AccountId, Arc<Account>>>,
    changes: broadcast::Sender<Change>,
}

impl Upstream {
    /// Prepares the accounts of these settings; contacts nobody.
    pub fn new(settings: &Settings, tasks: &TaskTracker, stopping: &CancellationToken) -> Self {
        let (changes, _) = broadcast::channel(change::CHANGES);
        let environment = settings.child_environment.clone().into();
        let proxy = Arc::new(settings.proxy.clone());
        let account = |server: &Arc<crate::model::Server>| {
            let id = AccountId::default_of(&server.name);
            let ends = (tasks.clone(), stopping.clone());
            let account = Account::new(
                id.clone(),
                Arc::clone(server),
                Arc::clone(&environment),
                Arc::clone(&proxy),
                changes.clone(),
                ends,
            );
            (id, Arc::new(account))
        };
        Self {
            accounts: Arc::new(settings.servers.iter().map(account).collect()),
            changes,
        }
    }

    /// Begins to connect to every server, in the background: whoever comes first need not wait for the slowest.
    pub fn start(&self) {
        for account in self.accounts.values() {
            account.tasks.spawn(Arc::clone(account).keep());
        }
    }

    /// What an account offers, as far as it is known. Empty for an account that is not configured.
    pub fn listing(&self, account: &AccountId) -> Arc<Listing> {
        self.find(account).map_or_else(Arc::default, |account| {
            Arc::clone(&account.listing.borrow())
        })
    }

    /// Waits until the account was listed, or could not be reached, for the first time; no longer than `limit`.
    pub async fn settled(&self, account: &AccountId, limit: Duration) {
        let Some(account) = self.find(account) else {
            return;
        };
        let mut settled = account.settled.subscribe();
        // Late, or stopping: either way there is nothing more to wait for.
        drop(tokio::time::timeout(limit, settled.wait_for(|settled| *settled)).await);
    }

    /// What changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Ends every connection, processes with their groups. After the token the accounts were made with.
    pub async fn shutdown(&self) {
        let connections = self
            .accounts
            .values()
            .flat_map(|account| account.all_present());
        futures_util::future::join_all(
            connections.map(|connection| async move { connection.leg.end().await }),
        )
        .await;
    }

    fn find(&self, account: &AccountId) -> Option<&Arc<Account>> {
        self.accounts.get(account)
    }

    fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values()
    }
}
