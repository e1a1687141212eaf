//! Janus as an MCP client: the connections behind it.
//!
//! Two doors and no third: [`Upstream::forward`] and [`Upstream::notify`] for what a caller asked, permitted, and what
//! Janus does for itself (handshake, lists, shared listen, ping, idle stop), which happens inside this module only. A login
//! asks who it is with a token that is nobody's yet, in a conversation of its own ([`Upstream::asked_with`]).
//!
//! A call's way through the files: `forward` picks the place (`key`, `account`), waits there for a connection
//! (`connect`, which lets `dial` find the transport and the era and shake hands), and sends on its `leg`: a process
//! (`stdio`) or a stream (`http_sse`), which share `duplex`, or `streamable_http`. Beside each connection stand a
//! `keeper` and a `listen`; beside each account one `refresh` of its lists, and `granted`, which follows its login. When the
//! machine has slept or its network has changed, `surroundings` has all of them look again.
//!
//! What was learnt of a server (its era in `known_era`, its lists in `snapshot`) goes to the store and is there after a
//! restart, for as long as the account talks to the same server (`fingerprint`). Lists are then shown at once and read
//! anew in the background.
//!
//! Invariants:
//! - Connecting is single flight; calls wait for a ready connection with a deadline and never meet a dead one.
//! - `tools/call` is never sent again after it may have run.
//! - Nothing is keyed by less than the account.
//! - Every task is tracked and ends when Janus stops.

mod account;
mod accounts;
mod backoff;
mod change;
mod connect;
mod connection;
mod dial;
mod duplex;
mod failure;
mod fingerprint;
mod forward;
mod granted;
mod hand_over;
mod handshake;
mod held;
mod http_sse;
mod keeper;
mod key;
mod known_era;
mod leg;
mod listen;
mod lists;
mod probe;
mod refresh;
mod snapshot;
mod stdio;
mod streamable_http;
mod subscribe;
mod surroundings;
#[cfg(test)]
mod tests;
mod verify;
mod wire;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::account::Account;
use self::accounts::{Accounts, Ground};
pub use self::change::{Change, State};
pub use self::failure::Failure;
pub use self::hand_over::ChildRecord;
pub use self::verify::{Verified, Who};
use crate::binding::Route;
use crate::credential::oauth::Identity;
use crate::credential::{self, Credential};
use crate::model::{AccountId, Secret, ServerName, Settings};
use crate::policy::Permitted;
use crate::protocol::{ClientFacts, Envelope, Events, Json, Listing, Relayed, Request};
use crate::store::{EraRecord, ListingRecord, Store};

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
    accounts: RwLock<Arc<Accounts>>,
    ground: Ground,
    /// What is told of an account that does not exist.
    nothing: watch::Sender<State>,
    /// Whether it connects by itself.
    started: AtomicBool,
    /// Counts how often it changed who an account is.
    identities: Arc<AtomicU64>,
}

impl Upstream {
    /// Knows every server of the configuration, and of each what an earlier life left in the store. Contacts none.
    ///
    /// `shutdown` ends what goes on in the background; connections that stand serve on until [`Upstream::shutdown`].
    pub fn new(
        settings: &Settings,
        store: &Store,
        listings: Vec<ListingRecord>,
        eras: Vec<EraRecord>,
        credentials: credential::Ground,
        shutdown: CancellationToken,
    ) -> Self {
        let (changes, _) = broadcast::channel(CHANGES);
        let ground = Ground {
            store: store.clone(),
            changes,
            tasks: credentials.means.tasks.clone(),
            credentials,
            shutdown,
        };
        let accounts = ground.accounts(settings, listings, eras);
        Self(Arc::new(Inner {
            accounts: RwLock::new(Arc::new(accounts)),
            ground,
            nothing: watch::Sender::new(State::Idle),
            started: AtomicBool::new(false),
            identities: Arc::default(),
        }))
    }

    /// Begins to connect and to list every account, in the background; once.
    pub fn start(&self) {
        if !self.0.started.swap(true, Ordering::Relaxed) {
            self.begin(self.accounts().values());
        }
    }

    /// Goes on with another configuration: accounts that are the same in both are not touched, others end when the
    /// calls on them have ended. Gives what changed, for people.
    pub fn configure(&self, settings: &Settings) -> Vec<String> {
        let change = self.0.ground.changed(&self.accounts(), settings);
        let accounts = Arc::new(change.accounts);
        *self
            .0
            .accounts
            .write()
            .unwrap_or_else(PoisonError::into_inner) = accounts;
        self.0.identities.fetch_add(1, Ordering::Relaxed);
        for account in change.ended {
            self.0.ground.tasks.spawn(account.retired());
        }
        // Before the start all of them are still to begin.
        if self.0.started.load(Ordering::Relaxed) {
            self.begin(change.begun.iter());
        }
        change.notes
    }

    fn begin<'a>(&self, accounts: impl Iterator<Item = &'a Arc<Account>>) {
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        let tasks = &self.0.ground.tasks;
        for account in accounts {
            tasks.spawn(Arc::clone(account).refresh());
            if account.dial.credential.grant().is_some() {
                let identities = Arc::clone(&self.0.identities);
                tasks.spawn(Arc::clone(account).follow_grant(identities));
            }
            let (account, at_once) = (Arc::clone(account), Arc::clone(&at_once));
            tasks.spawn(async move {
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

    fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(
            &self
                .0
                .accounts
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Sends a permitted request to its server and gives the response, whose result says `identity` in its `_meta` if
    /// there is one. Events go to `events` in their order, before it. Dropping the future cancels the request at the
    /// server.
    ///
    /// # Errors
    /// Why there is no response, and whether the server may have seen the request.
    pub async fn forward(
        &self,
        call: &Permitted<Route>,
        request: &Request,
        identity: Option<&Json>,
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
        let accounts = self.accounts();
        let known = accounts.get(account);
        known.map_or_else(Arc::default, |known| Arc::clone(&known.listing.borrow()))
    }

    /// How the shared connection of an account stands, now and from now on.
    pub fn state(&self, account: &AccountId) -> watch::Receiver<State> {
        let accounts = self.accounts();
        accounts
            .get(account)
            .map_or(&self.0.nothing, |known| &known.state)
            .subscribe()
    }

    /// Waits until an account was listed or has failed for the first time, but no longer than `within`. One whose
    /// lists were kept from an earlier life need not be waited for.
    pub async fn settled(&self, account: &AccountId, within: Duration) {
        let known = self.accounts().get(account).cloned();
        if let Some(account) = known {
            if account.listing.borrow().server.is_some() {
                return;
            }
            // Somebody needs it now, and others what is theirs next.
            self.start();
            let mut settled = account.settled.subscribe();
            // Whether it is settled or not, the caller goes on with what is there.
            timeout(within, settled.wait_for(|settled| *settled))
                .await
                .ok();
        }
    }

    /// The same, and while it is being tried again after it failed.
    pub async fn tried(&self, id: &AccountId, within: Duration) {
        let Ok(account) = self.account(id) else {
            return;
        };
        if account.listing.borrow().server.is_some() {
            return;
        }
        let read = async {
            self.settled(id, within).await;
            let (mut state, mut listing) = (account.state.subscribe(), account.listing.subscribe());
            let ended = state.wait_for(|state| *state != State::Connecting).await;
            let connected = ended.is_ok_and(|state| matches!(*state, State::Ready { .. }));
            if connected {
                tokio::select! {
                    _ = listing.wait_for(|listing| listing.server.is_some()) => {}
                    _ = state.wait_for(|state| !matches!(state, State::Ready { .. })) => {}
                }
            }
        };
        // However far it came, the caller goes on with what is there.
        timeout(within, read).await.ok();
    }

    /// Waits until an account was tried in this life of Janus, whatever is known of it from before. Whether it was.
    pub async fn first_tried(&self, id: &AccountId, within: Duration) -> bool {
        let Ok(account) = self.account(id) else {
            return true;
        };
        self.start();
        let (mut settled, mut state) = (account.settled.subscribe(), account.state.subscribe());
        let tried = async {
            settled.wait_for(|settled| *settled).await.is_ok()
                && state.wait_for(|it| *it != State::Connecting).await.is_ok()
        };
        timeout(within, tried).await.unwrap_or(false)
    }

    /// Connects an account whose lists were never read, and waits for them: for as long as a call waits for its
    /// connection, then for as long as each page takes. At once for one whose lists are known.
    ///
    /// # Errors
    /// Why they are not known.
    pub async fn listed(&self, id: &AccountId) -> Result<(), Failure> {
        let account = self.account(id)?;
        self.start();
        Box::pin(account.listed()).await
    }

    /// Connects an account, and asks its server who that is.
    ///
    /// # Errors
    /// What does not work.
    pub async fn verify(&self, id: &AccountId) -> Result<Verified, Failure> {
        let account = self.account(id)?;
        Box::pin(account.verify()).await
    }

    /// Calls a tool that says who is asking, with a token that nobody else has yet, in a conversation of its own.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn asked_with(
        &self,
        id: &AccountId,
        token: (&Arc<Secret>, &str),
        tool: &str,
    ) -> Result<serde_json::Value, Failure> {
        let account = self.account(id)?;
        let ground = &self.0.ground;
        Box::pin(account.asked_with(token, tool, &ground.credentials)).await
    }

    /// Whether an account is a process of this machine.
    pub fn is_process(&self, id: &AccountId) -> bool {
        self.account(id).is_ok_and(|account| account.dial.is_pipe())
    }

    /// The accounts of a server.
    pub fn accounts_of(&self, server: &ServerName) -> Vec<AccountId> {
        let accounts = self.accounts();
        let of_server = accounts.keys().filter(|id| id.server() == server);
        of_server.cloned().collect()
    }

    /// Connects an account now if it had no credential: it may have one.
    pub fn look_again(&self, id: &AccountId) {
        if let Ok(account) = self.account(id) {
            let lacks = matches!(*account.state.borrow(), State::NoCredential(_));
            if lacks {
                account.begin_for_login();
            }
        }
    }

    /// How the credential of an account stands, and what it is made of.
    pub fn credential(&self, account: &AccountId) -> Option<Arc<Credential>> {
        let accounts = self.accounts();
        accounts
            .get(account)
            .map(|known| Arc::clone(&known.dial.credential))
    }

    /// Who logged in for an account, as far as that is known.
    pub fn verified_as(&self, account: &AccountId) -> Option<Identity> {
        let credential = self.credential(account)?;
        credential.grant()?.status().verified_as
    }

    /// Another number whenever it changed who an account is: what was made of [`Self::verified_as`] before does not hold
    /// any more.
    pub fn identities(&self) -> u64 {
        self.0.identities.load(Ordering::Relaxed)
    }

    /// What changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.ground.changes.subscribe()
    }

    /// A session of a client ended: what it had of its own is stopped.
    pub fn release(&self, session: &Arc<str>) {
        for account in self.accounts().values() {
            account.release(session);
        }
    }

    /// Ends everything: processes are stopped, sessions given back. What still waits for an answer fails.
    pub async fn shutdown(&self) {
        self.0.ground.shutdown.cancel();
        let accounts = self.accounts();
        let slots = accounts.values().flat_map(|account| account.slots());
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

    fn account(&self, id: &AccountId) -> Result<Arc<Account>, Failure> {
        let unknown = || Failure::Unreachable {
            account: id.clone(),
            reason: "it is not in the configuration".to_owned(),
            retry_in: None,
        };
        self.accounts().get(id).cloned().ok_or_else(unknown)
    }
}
