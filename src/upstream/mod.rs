//! Janus as an MCP client: the connections behind it.
//!
//! Two doors and no third: [`Upstream::forward`] and [`Upstream::notify`] for what a caller asked, permitted, and what
//! Janus does for itself (handshake,
//! lists, shared listen, ping, idle stop), which happens inside this module only.
//!
//! A call's way through the files: `forward` picks the place (`key`, `account`), waits there for a connection
//! (`connect`, which lets `dial` find the era and shake hands), and sends on its `leg`. Beside each connection stand a
//! `keeper` and a `listen`; beside each account one `refresh` of its lists.
//!
//! Invariants:
//! - Connecting is single flight; calls wait for a ready connection with a deadline and never meet a dead one.
//! - `tools/call` is never sent again after it may have run.
//! - Nothing is keyed by less than the account.
//! - Every task is tracked and ends when Janus stops.

mod account;
mod backoff;
mod change;
mod connect;
mod connection;
mod dial;
mod failure;
mod forward;
mod handshake;
mod keeper;
mod key;
mod leg;
mod listen;
mod lists;
mod probe;
mod refresh;
mod stdio;
mod streamable_http;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::account::Account;
pub use self::change::{Change, State};
use self::dial::Dial;
pub use self::failure::Failure;
use crate::binding::Route;
use crate::model::{AccountId, Server, Settings};
use crate::policy::Permitted;
use crate::protocol::{ClientFacts, Envelope, Events, Json, Listing, Relayed, Request};

/// Connections made at once at the start: enough that one slow server holds up none, few enough that a laptop does not
/// start thirty `npx` together.
const AT_ONCE: usize = 8;
/// Changes that a slow listener may be behind. One that is further behind reads the listings anew.
const CHANGES: usize = 256;
/// For children to end and sessions to be given back; shorter than the daemon's own limit.
const FAREWELL: Duration = Duration::from_secs(8);

/// The connections to all servers. Clones are the same connections.
#[derive(Debug, Clone)]
pub struct Upstream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    accounts: BTreeMap<AccountId, Arc<Account>>,
    changes: broadcast::Sender<Change>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// What is told of an account that does not exist.
    nothing: watch::Sender<State>,
}

impl Upstream {
    /// Knows every server of the configuration and contacts none.
    ///
    /// `shutdown` ends what goes on in the background; connections that stand serve on until [`Upstream::shutdown`].
    pub fn new(settings: &Settings, tasks: TaskTracker, shutdown: CancellationToken) -> Self {
        let (changes, _) = broadcast::channel(CHANGES);
        let account = |(server, one): (&Arc<Server>, &crate::model::Account)| {
            let id = AccountId::new(server.name.clone(), one.name.clone());
            let dial = Dial::new(
                id.clone(),
                Arc::clone(server),
                one.endpoint.clone(),
                &settings.child_environment,
                &settings.proxy,
                tasks.clone(),
            );
            let account = Account::new(dial, changes.clone(), tasks.clone(), shutdown.clone());
            (id, Arc::new(account))
        };
        let accounts = settings
            .servers
            .iter()
            .flat_map(|server| server.accounts.iter().map(move |one| (server, one)));
        Self(Arc::new(Inner {
            accounts: accounts.map(account).collect(),
            changes,
            tasks,
            shutdown,
            nothing: watch::Sender::new(State::Idle),
        }))
    }

    /// Begins to connect and to list every account, in the background.
    pub fn start(&self) {
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        for account in self.0.accounts.values() {
            self.0.tasks.spawn(Arc::clone(account).refresh());
            let (account, at_once) = (Arc::clone(account), Arc::clone(&at_once));
            self.0.tasks.spawn(async move {
                let shutdown = account.shutdown.clone();
                let first = async {
                    let _place = at_once.acquire().await;
                    account.begin(&account.shared());
                    // A closed channel means that Janus stops.
                    account
                        .settled
                        .subscribe()
                        .wait_for(|settled| *settled)
                        .await
                        .ok();
                };
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = first => {}
                }
            });
        }
    }

    /// Sends a permitted request to its server and gives the response, whose result says `identity` in its `_meta` if
    /// there is one. Events go to `events` in their order, before it. Dropping the future cancels the request at the
    /// server.
    ///
    /// # Errors
    /// Why there is no response, and whether the server may have seen the request.
    pub async fn forward(
        &self,
        call: Permitted<Route>,
        request: &Request,
        identity: Option<Json>,
        events: &Events,
    ) -> Result<Relayed, Failure> {
        let route = call.get();
        let account = self.account(route.account())?;
        Box::pin(account.forward(route, request, identity, events)).await
    }

    /// Passes a client's notification on to the connection that its calls take.
    pub async fn notify(&self, call: Permitted<Route>, message: &Envelope, client: &ClientFacts) {
        if let Ok(account) = self.account(call.get().account()) {
            account.notify(message, client).await;
        }
    }

    /// What an account offers, as far as it is known.
    pub fn listing(&self, account: &AccountId) -> Arc<Listing> {
        let known = self.0.accounts.get(account);
        known.map_or_else(Arc::default, |known| Arc::clone(&known.listing.borrow()))
    }

    /// How the shared connection of an account stands, now and from now on.
    pub fn state(&self, account: &AccountId) -> watch::Receiver<State> {
        let known = self.0.accounts.get(account);
        known
            .map_or(&self.0.nothing, |known| &known.state)
            .subscribe()
    }

    /// Waits until an account was listed or has failed for the first time, but no longer than `within`.
    pub async fn settled(&self, account: &AccountId, within: Duration) {
        if let Some(account) = self.0.accounts.get(account) {
            let mut settled = account.settled.subscribe();
            // Whether it is settled or not, the caller goes on with what is there.
            timeout(within, settled.wait_for(|settled| *settled))
                .await
                .ok();
        }
    }

    /// What changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.changes.subscribe()
    }

    /// A session of a client ended: what it had of its own is stopped.
    pub fn release(&self, session: &Arc<str>) {
        for account in self.0.accounts.values() {
            account.release(session);
        }
    }

    /// Ends everything: processes are stopped, sessions given back. What still waits for an answer fails.
    pub async fn shutdown(&self) {
        self.0.shutdown.cancel();
        let slots = self.0.accounts.values().flat_map(|account| account.slots());
        let standing: Vec<_> = slots.filter_map(|slot| slot.close()).collect();
        for connection in &standing {
            let cut = connection.leg.in_flight();
            if cut > 0 {
                tracing::info!(cut, "requests end without an answer: Janus is stopping");
            }
        }
        let ending = join_all(standing.iter().map(|connection| connection.leg.end()));
        if timeout(FAREWELL, ending).await.is_err() {
            tracing::warn!("some servers did not end in time");
        }
    }

    fn account(&self, id: &AccountId) -> Result<&Arc<Account>, Failure> {
        let unknown = || Failure::Unreachable {
            account: id.clone(),
            reason: "it is not in the configuration".to_owned(),
            retry_in: None,
        };
        self.0.accounts.get(id).ok_or_else(unknown)
    }
}
