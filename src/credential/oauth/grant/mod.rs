//! The refresh engine: what each account was granted, and how it stays valid.
//!
//! `token` is what calls get, `status` what people see, `registrations` which clients Janus is. `state` says how a grant
//! stands and `schedule` when something is due, both without doing anything; `keeper` wakes and begins renewals.
//! `attempt` is one of them: `client` is who asks, `breaker` whether now, `verdict` what the answer means, `siblings` who
//! may have ended the grant. `begin` is a login and a logout, `need` the end that only a person mends. `commit` has what
//! came on the disk before anybody gets it, `rescue` beside the disk where that fails, `open` reads it again, and `kept`
//! is how it is written down.
//!
//! Invariants:
//! - One renewal of a grant at a time, in a task that nobody who waits for it can end.
//! - A token is on the disk before it is given out; or beside it, or in memory alone, and said to be.
//! - What a login brought is never replaced by a renewal that began before it.
//! - After the provider has ended a grant, nothing of it is sent any more. If that cannot be saved, a restart asks once.
//! - A token goes to the server that somebody logged in for. Where another one is configured, there is none.
//! - Only the process that holds the state directory has an engine.

mod asked;
mod attempt;
mod begin;
mod breaker;
mod client;
mod commit;
mod keeper;
mod kept;
mod mark;
mod need;
mod open;
mod registrations;
mod rescue;
mod schedule;
mod siblings;
mod state;
mod status;
mod token;
mod verdict;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, broadcast, watch};

use self::breaker::Breaker;
pub(in crate::credential::oauth) use self::client::NoClient;
use self::kept::Facts;
pub use self::mark::Point;
use self::schedule::keep_alive;
use self::siblings::Siblings;
use self::state::{Life, Phase};
pub use self::status::{GrantState, GrantStatus};
use super::granted::Source;
use super::login::Challenge;
use super::network::{Network, Policy};
use super::reason::LoginReason;
use crate::credential::Clock;
use crate::credential::clock::Moment;
use crate::credential::ground::Means;
use crate::model::{AccountId, GrantKind, OAuth, Secret};
use crate::vault::{GrantSecrets, Refused};

/// Notices that nobody fetched. Whoever comes later finds the state.
const NOTICES: usize = 64;

/// All grants of this installation. Clones are the same.
#[derive(Clone)]
pub struct Grants(Arc<Engine>);

/// What all grants stand on.
struct Engine {
    means: Means,
    network: Network,
    /// Where what cannot be saved is kept.
    rescue: Option<PathBuf>,
    grants: Mutex<BTreeMap<AccountId, Weak<Grant>>>,
    /// By issuer.
    breakers: Mutex<BTreeMap<String, Breaker>>,
    /// Who logged in lately.
    siblings: Mutex<Siblings>,
    /// Whether somebody keeps the grants.
    kept: AtomicBool,
    /// Something may be due.
    wake: Notify,
    notices: broadcast::Sender<Notice>,
    /// The two clocks, when they were last compared.
    clocks: Mutex<Option<(Moment, SystemTime)>>,
    #[cfg(any(test, debug_assertions))]
    dies: watch::Sender<Option<Point>>,
    /// The marked point that was come to last.
    #[cfg(any(test, debug_assertions))]
    came: watch::Sender<Option<Point>>,
    #[cfg(any(test, debug_assertions))]
    looks: watch::Sender<u64>,
    /// Requests that were begun, and those that wait for an answer.
    #[cfg(any(test, debug_assertions))]
    asks: watch::Sender<(usize, usize)>,
}

/// A grant came to need a person: said once for each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whose.
    pub account: AccountId,
    /// Why.
    pub reason: LoginReason,
}

/// What one account was granted.
pub struct Grant {
    account: AccountId,
    engine: Arc<Engine>,
    me: Weak<Self>,
    configured: Mutex<Configured>,
    inner: Mutex<Inner>,
    /// One change of what is kept at a time: a login, a renewal, or the end.
    turn: tokio::sync::Mutex<()>,
    changed: watch::Sender<u64>,
    /// A task tries to save what is not saved. It changes while `inner` is held.
    saving: AtomicBool,
    /// Nothing is there and nothing was asked for: looked at on every request.
    dormant: AtomicBool,
    /// When it was last used, in seconds since the start of the machine; 0: never.
    used: AtomicU64,
    /// Stands for the token that is not there.
    nothing: Arc<Secret>,
}

#[derive(Debug)]
struct Configured {
    settings: Arc<OAuth>,
    policy: Policy,
    optional: bool,
}

/// What changes of a grant.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and all combinations occur"
)]
struct Inner {
    /// Of this grant and no later one: a renewal of an earlier one brings nothing here.
    made: Arc<()>,
    life: Life,
    facts: Facts,
    /// The registration it was given to; `None` where the configuration has the client.
    registration: Option<Arc<str>>,
    secrets: GrantSecrets,
    /// The generation on the disk.
    disk: u64,
    /// Newer than what is on the disk.
    unpersisted: bool,
    /// Its end is known by the clock on the wall alone.
    by_wall: bool,
    challenge: Option<Challenge>,
    /// The server refused to do anything without a login.
    asked: bool,
    /// Calls that wait for a token.
    waiting: usize,
    /// A renewal is under way.
    running: bool,
    /// Where the tokens of a machine account come from, once that was found, and the scopes that the server wants.
    found: Option<(Source, Vec<String>)>,
}

impl Grants {
    /// The grants that are in the vault. `rescue`: the directory for what cannot be saved.
    pub(in crate::credential) fn new(
        means: Means,
        network: Network,
        rescue: Option<PathBuf>,
    ) -> Self {
        Self(Arc::new(Engine {
            means,
            network,
            rescue,
            grants: Mutex::default(),
            breakers: Mutex::default(),
            siblings: Mutex::default(),
            kept: AtomicBool::new(false),
            wake: Notify::new(),
            notices: broadcast::Sender::new(NOTICES),
            clocks: Mutex::default(),
            #[cfg(any(test, debug_assertions))]
            dies: watch::Sender::new(None),
            #[cfg(any(test, debug_assertions))]
            came: watch::Sender::new(None),
            #[cfg(any(test, debug_assertions))]
            looks: watch::Sender::new(0),
            #[cfg(any(test, debug_assertions))]
            asks: watch::Sender::default(),
        }))
    }

    /// The grant of an account, which lives as long as anybody holds it or it has a row. Another configuration of the
    /// same account is the same grant, and for another server, or of a machine instead of a person, what it has is of no
    /// use.
    pub fn of(
        &self,
        account: &AccountId,
        settings: &Arc<OAuth>,
        policy: &Policy,
        optional: bool,
    ) -> Arc<Grant> {
        let configured = Configured {
            settings: Arc::clone(settings),
            policy: policy.clone(),
            optional,
        };
        let grant = {
            let mut grants = self.0.grants();
            let known = grants.get(account).and_then(Weak::upgrade);
            if let Some(grant) = known {
                grant.configure(configured);
                grant
            } else {
                let grant = Grant::new(account, &self.0, configured);
                grants.insert(account.clone(), Arc::downgrade(&grant));
                grant
            }
        };
        self.0.keep();
        grant
    }

    /// That of an account that is configured.
    pub fn find(&self, account: &AccountId) -> Option<Arc<Grant>> {
        self.0.grants().get(account).and_then(Weak::upgrade)
    }

    /// The accounts that have a grant in the vault, configured or not.
    pub fn granted(&self) -> Vec<AccountId> {
        self.0.means.vault.granted()
    }

    /// Forgets the grant of an account that is not configured any more.
    ///
    /// # Errors
    /// The store did not take it.
    pub async fn forget(&self, account: &AccountId) -> Result<(), Refused> {
        if let Some(grant) = self.find(account) {
            return grant.end().await.1;
        }
        if let Some(directory) = &self.0.rescue {
            rescue::forget(directory, account);
        }
        self.0.means.vault.end_grant(account).await
    }

    /// The machine slept, or has another way into the network: what is due is renewed now, and what could not be is tried
    /// again.
    pub fn look_again(&self) {
        self.0.begin_afresh();
    }

    /// Tells whenever a grant comes to need a person.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.0.notices.subscribe()
    }

    /// How authorization servers are reached.
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    /// The clock of all of them.
    pub fn clock(&self) -> &Clock {
        &self.0.means.clock
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants").finish_non_exhaustive()
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl Engine {
    fn grants(&self) -> MutexGuard<'_, BTreeMap<AccountId, Weak<Grant>>> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breakers(&self) -> MutexGuard<'_, BTreeMap<String, Breaker>> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn siblings(&self) -> MutexGuard<'_, Siblings> {
        self.siblings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        self.means.clock.now()
    }
}

impl Grant {
    fn new(account: &AccountId, engine: &Arc<Engine>, configured: Configured) -> Arc<Self> {
        let grant = Arc::new_cyclic(|me| Self {
            account: account.clone(),
            engine: Arc::clone(engine),
            me: Weak::clone(me),
            configured: Mutex::new(configured),
            inner: Mutex::new(Inner::absent(LoginReason::Never, 0)),
            turn: tokio::sync::Mutex::default(),
            changed: watch::Sender::new(0),
            saving: AtomicBool::new(false),
            dormant: AtomicBool::new(false),
            used: AtomicU64::new(0),
            nothing: Arc::new(Secret::new("")),
        });
        *grant.inner() = grant.at_first();
        grant.changes();
        grant
    }

    /// What there is before anything was done with it: what is in the vault, or what a machine account begins with.
    fn at_first(&self) -> Inner {
        let mut inner = Inner::absent(LoginReason::Never, 0);
        if self.configured().is_machine() {
            inner.life = Life::machine();
        } else if let Some(record) = self.engine.means.vault.grant(&self.account) {
            inner.life = Life::sealed(record.generation);
            inner.disk = record.generation;
            self.open(&mut inner);
        }
        inner
    }

    /// Takes another configuration.
    fn configure(&self, configured: Configured) {
        let (machine, origin) = (configured.is_machine(), configured.policy.origin());
        let settings = Arc::clone(&configured.settings);
        let before = std::mem::replace(&mut *self.configured(), configured);
        let moved = before.policy.origin() != origin;
        // A machine's tokens are what its configuration asks for, and are had again without anybody.
        let changed = before.settings != settings;
        if machine != before.is_machine() || machine && (moved || changed) {
            let first = self.at_first();
            let mut inner = self.inner();
            let (waiting, running) = (inner.waiting, inner.running);
            *inner = Inner {
                waiting,
                running,
                ..first
            };
        } else if moved {
            let mut inner = self.inner();
            // It stays, for a renewal that is under way and for a configuration that comes back.
            inner.life.elsewhere = false;
            if inner.life.phase() == Phase::Sealed {
                self.open(&mut inner);
            } else {
                inner.life.elsewhere = self.is_elsewhere(&inner.facts);
            }
            inner.challenge = None;
            inner.asked = false;
        }
        if changed {
            let mut inner = self.inner();
            inner.life.reconsider();
            inner.found = None;
        }
        self.changes();
    }

    /// Whose it is.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// How it is got.
    pub fn settings(&self) -> Arc<OAuth> {
        Arc::clone(&self.configured().settings)
    }

    /// Where requests for it may go.
    pub fn policy(&self) -> Policy {
        self.configured().policy.clone()
    }

    /// Counts its changes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn configured(&self) -> MutexGuard<'_, Configured> {
        self.configured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that something is different, to who waits and to who keeps it.
    fn changes(&self) {
        self.settle();
        self.changed.send_modify(|count| *count += 1);
        self.engine.wake.notify_one();
    }

    fn settle(&self) {
        let optional = self.configured().optional;
        let inner = self.inner();
        let dormant = optional && !inner.asked && matches!(inner.life.phase(), Phase::Absent(_));
        self.dormant.store(dormant, Ordering::Relaxed);
    }

    /// How often a grant that nobody uses is renewed.
    fn keep_alive(&self) -> Duration {
        let provider = self.settings().provider.clone();
        keep_alive(provider.and_then(|provider| provider.max_idle_days))
    }
}

impl Configured {
    /// Whether the client asks in its own name, so that nobody logs in.
    fn is_machine(&self) -> bool {
        self.settings.grant == GrantKind::ClientCredentials
    }
}

impl Inner {
    fn absent(reason: LoginReason, generation: u64) -> Self {
        Self {
            made: Arc::default(),
            life: Life::absent(reason, generation),
            facts: Facts::default(),
            registration: None,
            secrets: GrantSecrets::default(),
            disk: generation,
            unpersisted: false,
            by_wall: false,
            challenge: None,
            asked: false,
            waiting: 0,
            running: false,
            found: None,
        }
    }
}
