//! The refresh engine: what each account was granted, and how it stays valid.
//!
//! `state` says how a grant stands and `schedule` when something is due, both without doing anything; `keeper` wakes and
//! begins renewals, `attempt` is one of them, `client` is who asks for it, `commit` has what it brought on the disk
//! before anybody gets it, `rescue` keeps it where the disk fails, `kept` is how all that is written down.
//!
//! Invariants:
//! - One renewal of a grant at a time, in a task that nobody who waits for it can end.
//! - A token is on the disk, or beside it and said to be, before it is given out.
//! - What a login brought is never replaced by a renewal that began before it.
//! - After the provider has ended a grant, nothing of it is sent any more.
//! - Only the process that holds the state directory has an engine.

mod attempt;
mod breaker;
mod client;
mod commit;
mod keeper;
mod kept;
mod mark;
mod rescue;
mod schedule;
mod state;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, broadcast, watch};

use self::breaker::Breaker;
pub(in crate::credential::oauth) use self::client::NoClient;
use self::kept::{Facts, RegistrationFacts};
use self::schedule::keep_alive;
use self::state::{Answer, Life, Phase, Verdict};
use super::granted::{Granted, Identity, Registration, Source, Tokens};
use super::login::Challenge;
use super::network::{Network, Policy};
use crate::credential::clock::Moment;
use crate::credential::ground::Means;
use crate::credential::{Clock, NoCredential};
use crate::model::{AccountId, GrantKind, OAuth, RegistrationScope, Secret};
use crate::store::RegistrationRecord;
use crate::telemetry::learn;
use crate::vault::{GrantSecrets, NotOpened, Refused, RegistrationSecrets};

/// A call waits no longer for a new token, whatever its own limit is.
const PATIENCE: Duration = Duration::from_secs(30);
/// A secret that ends this soon is shown.
const SOON: Duration = Duration::from_hours(7 * 24);
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
    /// Whether somebody keeps the grants.
    kept: AtomicBool,
    /// Something may be due.
    wake: Notify,
    notices: broadcast::Sender<Notice>,
    /// The two clocks, when they were last compared.
    clocks: Mutex<Option<(Moment, SystemTime)>>,
    #[cfg(any(test, debug_assertions))]
    halts: watch::Sender<Option<&'static str>>,
    #[cfg(any(test, debug_assertions))]
    halted: watch::Sender<u64>,
    #[cfg(any(test, debug_assertions))]
    looks: watch::Sender<u64>,
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
    /// Where the tokens of a machine account come from, once that was found.
    found: Option<Source>,
}

/// How a grant stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantState {
    /// There is none.
    Absent,
    /// Its token is valid.
    Fresh,
    /// Its token is valid, and a newer one is wanted.
    Due,
    /// Its token has ended; a newer one is on its way.
    Expired,
    /// A person must log in.
    NeedsLogin(LoginReason),
    /// The vault is locked.
    Sealed,
}

/// Why a person must log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginReason {
    /// Nobody has logged in yet, and the server wants it.
    Never,
    /// The provider ended the grant.
    Rejected,
    /// The provider does not know the client any more.
    Registration,
    /// The provider wants a person to answer something.
    Interaction,
    /// The token ended, and there is nothing to renew it with.
    Expired,
    /// A renewal was cut off, and what it brought is lost.
    Lost,
    /// The server wants a scope that was not granted.
    Scope,
    /// Somebody logged out.
    LoggedOut,
}

/// How a grant stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantStatus {
    /// In one word.
    pub state: GrantState,
    /// Since when.
    pub since: SystemTime,
    /// How long the access token is valid; `None`: it did not say, or there is none.
    pub left: Option<Duration>,
    /// How long until a newer one is looked for; `None`: there is nothing to renew it with.
    pub renews: Option<Duration>,
    /// Who logged in.
    pub verified_as: Option<Identity>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// By whom.
    pub issuer: Option<String>,
    /// Why the last renewal failed, and when the next one is.
    pub backoff: Option<(String, Duration)>,
    /// Newer than what is on the disk.
    pub unpersisted: bool,
    /// When the client's secret ends, if that is soon.
    pub secret_expires: Option<SystemTime>,
    /// Counts what was granted.
    pub generation: u64,
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
            kept: AtomicBool::new(false),
            wake: Notify::new(),
            notices: broadcast::Sender::new(NOTICES),
            clocks: Mutex::default(),
            #[cfg(any(test, debug_assertions))]
            halts: watch::Sender::new(None),
            #[cfg(any(test, debug_assertions))]
            halted: watch::Sender::new(0),
            #[cfg(any(test, debug_assertions))]
            looks: watch::Sender::new(0),
        }))
    }

    /// The grant of an account, which lives as long as anybody holds it or it has a row. Another configuration of the
    /// same account is the same grant.
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
                *grant.configured() = configured;
                grant.changes();
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
        self.0.means.vault.end_grant(account).await
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

    fn now(&self) -> Moment {
        self.means.clock.now()
    }
}

impl Grant {
    fn new(account: &AccountId, engine: &Arc<Engine>, configured: Configured) -> Arc<Self> {
        let machine = configured.settings.grant == GrantKind::ClientCredentials;
        let grant = Arc::new_cyclic(|me| Self {
            account: account.clone(),
            engine: Arc::clone(engine),
            me: Weak::clone(me),
            configured: Mutex::new(configured),
            inner: Mutex::new(Inner::absent(LoginReason::Never, 0)),
            turn: tokio::sync::Mutex::default(),
            changed: watch::Sender::new(0),
            dormant: AtomicBool::new(false),
            used: AtomicU64::new(0),
            nothing: Arc::new(Secret::new("")),
        });
        {
            let mut inner = grant.inner();
            if machine {
                inner.life = Life::machine();
            } else if let Some(record) = engine.means.vault.grant(account) {
                inner.life = Life::sealed(record.generation);
                inner.disk = record.generation;
                grant.open(&mut inner);
            }
        }
        grant.changes();
        grant
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

    /// A token that is valid now; `None` where none is needed as far as is known: nobody has configured or made a
    /// login, and the server did not ask for one.
    ///
    /// # Errors
    /// Why there is none, and who must act.
    pub async fn token(&self) -> Result<Option<Arc<Secret>>, NoCredential> {
        if self.dormant.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.touch(self.engine.now());
        match self.at_once() {
            Some(answer) => answer,
            None => Box::pin(self.waited()).await,
        }
    }

    /// What can be said without waiting.
    fn at_once(&self) -> Option<Result<Option<Arc<Secret>>, NoCredential>> {
        let mut inner = self.inner();
        let answer = self.answer(&mut inner);
        let needs = |reason| Err(NoCredential::NeedsLogin { reason });
        Some(match answer {
            Answer::Token => Ok(inner.secrets.access.clone()),
            Answer::Nothing(reason) => {
                let needless = self.configured().optional && !inner.asked;
                if needless { Ok(None) } else { needs(reason) }
            }
            Answer::Person(reason) => needs(reason),
            Answer::Wait | Answer::Sealed => return None,
        })
    }

    /// How it stands, with what is in the vault opened where that is possible by now.
    fn answer(&self, inner: &mut Inner) -> Answer {
        if inner.life.phase == Phase::Sealed {
            self.open(inner);
        }
        if inner.life.ran_out(self.engine.now()) {
            self.notice(LoginReason::Expired);
        }
        inner.life.answer(self.engine.now())
    }

    /// Waits for the vault, or for a renewal.
    async fn waited(&self) -> Result<Option<Arc<Secret>>, NoCredential> {
        if self.inner().life.phase == Phase::Sealed {
            // Whatever comes of it, how it stands then counts.
            self.engine.means.vault.asked().await.ok();
        }
        let end = self.engine.now().after(PATIENCE);
        let mut changed = self.changed.subscribe();
        let _calling = Calling::begin(self);
        // A call that waits is worth more than one that may come.
        self.engine.wake.notify_one();
        loop {
            changed.mark_unchanged();
            if let Some(answer) = self.at_once() {
                return answer;
            }
            if let Some(why) = self.engine.means.vault.is_sealed()
                && self.inner().life.phase == Phase::Sealed
            {
                return Err(NoCredential::Sealed(why));
            }
            if let Some(refusal) = self.no_token_before(end) {
                return Err(refusal);
            }
            tokio::select! {
                changed = changed.changed() => drop(changed),
                () = self.engine.means.clock.sleep_until(end) => {
                    return Err(self.no_token());
                }
                () = self.engine.means.stopping.cancelled() => return Err(self.no_token()),
            }
        }
    }

    /// What who waits is told where nothing will come of it in time.
    fn no_token_before(&self, end: Moment) -> Option<NoCredential> {
        let hopeless = {
            let inner = self.inner();
            let next = inner.life.waits_until(self.engine.now());
            !inner.running && next.is_some_and(|next| next > end)
        };
        hopeless.then(|| self.no_token())
    }

    fn no_token(&self) -> NoCredential {
        let inner = self.inner();
        let now = self.engine.now();
        let next = inner.life.waits_until(now);
        NoCredential::NoToken {
            host: self.host(&inner),
            why: inner
                .life
                .cause
                .clone()
                .unwrap_or_else(|| "it gave no answer yet".to_owned()),
            retry_in: next.map_or(0, |next| next.from(now).as_secs()),
        }
    }

    /// Of the authorization server, for people.
    fn host(&self, inner: &Inner) -> String {
        let endpoint = match &inner.found {
            Some(found) => found.token_endpoint.clone(),
            None => inner.facts.source().token_endpoint,
        };
        let host = endpoint.parse::<http::Uri>().ok();
        let host = host.as_ref().and_then(http::Uri::host);
        host.map_or_else(|| format!("of {}", self.account.server()), str::to_owned)
    }

    /// Whether `used` is the token at hand, and valid.
    pub fn is_fresh(&self, used: &Arc<Secret>) -> bool {
        if self.dormant.load(Ordering::Relaxed) {
            return Arc::ptr_eq(used, &self.nothing);
        }
        let now = self.engine.now();
        let inner = self.inner();
        let current = inner.secrets.access.as_ref();
        let fresh = current.is_some_and(|current| Arc::ptr_eq(current, used))
            && inner.life.answer(now) == Answer::Token;
        drop(inner);
        if fresh {
            self.touch(now);
        }
        fresh
    }

    /// Whether nothing is there and nothing was asked for: nothing is sent then.
    pub fn is_dormant(&self) -> bool {
        self.dormant.load(Ordering::Relaxed)
    }

    /// Stands for the token where [`Self::token`] has none.
    pub(in crate::credential) fn nothing(&self) -> &Arc<Secret> {
        &self.nothing
    }

    /// The server refused `used`. Whether there is a newer one by now: at most one renewal for all who ask.
    pub async fn refused(&self, used: &Arc<Secret>, status: u16) -> bool {
        let verdict = {
            let mut inner = self.inner();
            if self.answer(&mut inner) == Answer::Token
                && inner.secrets.access.as_ref() != Some(used)
            {
                // An older one: the call is repeated with what there is now.
                return true;
            }
            let is_current = inner.secrets.access.as_ref() == Some(used);
            let counts = match status {
                401 => true,
                // A missing permission, unless the server says that it means the token.
                _ => inner
                    .challenge
                    .as_ref()
                    .is_some_and(|said| said.status == status && said.refuses_token()),
            };
            if !is_current || !counts {
                return false;
            }
            let verdict = inner.life.refuse(self.engine.now());
            if verdict == Verdict::Person {
                self.notice(LoginReason::Expired);
            }
            verdict
        };
        self.changes();
        match verdict {
            Verdict::Final | Verdict::Person => false,
            Verdict::Renew => {
                let renewed = Box::pin(self.waited()).await;
                matches!(renewed, Ok(Some(token)) if token != *used)
            }
        }
    }

    /// The server said this with a 401 or 403: it is where the next login begins.
    pub fn challenged(&self, challenge: Challenge) {
        {
            let mut inner = self.inner();
            if challenge.status == 401 && matches!(inner.life.phase, Phase::Absent(_)) {
                inner.asked = true;
            }
            if inner.challenge.as_ref() == Some(&challenge) {
                drop(inner);
                self.settle();
                return;
            }
            inner.challenge = Some(challenge);
        }
        self.changes();
    }

    /// A person wants what the server refused to be tried again, or it let somebody in.
    pub fn forget_refusal(&self) {
        // Every answer of a server comes by here.
        if self.dormant.load(Ordering::Relaxed) {
            return;
        }
        let asked = std::mem::take(&mut self.inner().asked);
        if asked {
            self.changes();
        }
    }

    /// What the server said last.
    pub fn challenge(&self) -> Option<Challenge> {
        self.inner().challenge.clone()
    }

    /// How it stands now.
    pub fn status(&self) -> GrantStatus {
        let now = self.engine.now();
        let optional = self.configured().optional;
        let mut inner = self.inner();
        self.answer(&mut inner);
        let state = match (inner.life.state(now), inner.life.phase) {
            (GrantState::Absent, Phase::Absent(reason)) if !optional || inner.asked => {
                GrantState::NeedsLogin(reason)
            }
            (state, _) => state,
        };
        let there = !matches!(inner.life.phase, Phase::Absent(_));
        let next = inner.life.waits_until(now);
        let backoff = inner.life.cause.clone().map(|cause| {
            let next = next.map_or(Duration::ZERO, |next| next.from(now));
            (cause, next)
        });
        GrantStatus {
            since: inner.facts.since(),
            left: inner
                .life
                .end
                .filter(|_| inner.life.phase == Phase::Held)
                .map(|end| end.from(now)),
            renews: inner.life.due(now).filter(|_| inner.life.renewable),
            verified_as: inner.facts.verified_as(),
            scopes: inner.facts.scopes.clone(),
            issuer: there
                .then(|| inner.facts.issuer.clone())
                .filter(|issuer| !issuer.is_empty()),
            backoff,
            unpersisted: inner.unpersisted,
            secret_expires: self.secret_expires(&inner),
            generation: inner.life.generation,
            state,
        }
    }

    /// When the client's secret ends, if that is soon.
    fn secret_expires(&self, inner: &Inner) -> Option<SystemTime> {
        let id = inner.registration.as_ref()?;
        let records = self.engine.means.vault.registrations();
        let record = records.into_iter().find(|record| record.id == *id)?;
        let end = RegistrationFacts::read(&record.facts)?.secret_expires()?;
        (end <= self.engine.means.clock.wall() + SOON).then_some(end)
    }

    /// The same, and every change.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// From where the tokens are, if somebody has logged in.
    pub fn source(&self) -> Option<Source> {
        let mut inner = self.inner();
        self.answer(&mut inner);
        if let Some(found) = &inner.found {
            return Some(found.clone());
        }
        (!inner.facts.issuer.is_empty()).then(|| inner.facts.source())
    }

    /// How long until a newer token is worth looking for.
    pub(in crate::credential) fn due(&self) -> Option<Duration> {
        let inner = self.inner();
        inner.life.due(self.engine.now())
    }

    /// How long the token at hand is valid, where it ends.
    pub(in crate::credential) fn left(&self) -> Option<Duration> {
        let inner = self.inner();
        let end = inner.life.end.filter(|_| inner.life.phase == Phase::Held);
        Some(end?.from(self.engine.now()))
    }

    /// The registration that is kept for this account (or its server) at an issuer, whole and not expired.
    ///
    /// # Errors
    /// The vault is sealed.
    pub async fn registration(&self, issuer: &str) -> Result<Option<Registration>, Refused> {
        let records = self.registrations(issuer);
        if records.is_empty() {
            return Ok(None);
        }
        self.engine.means.vault.asked().await?;
        let wall = self.engine.means.clock.wall();
        // The latest that is good.
        let mut found: Option<Registration> = None;
        for record in records {
            let Some(one) = self.opened(&record)? else {
                continue;
            };
            let ended = one.secret_expires.is_some_and(|end| end <= wall);
            if !ended
                && found
                    .as_ref()
                    .is_none_or(|other| other.created < one.created)
            {
                found = Some(one);
            }
        }
        Ok(found)
    }

    /// A registration with what is sealed of it; `None` where its row is damaged.
    fn opened(&self, record: &RegistrationRecord) -> Result<Option<Registration>, Refused> {
        let secrets = match self.engine.means.vault.open_registration(record) {
            Ok(secrets) => secrets,
            Err(NotOpened::Sealed(why)) => return Err(why.into()),
            Err(NotOpened::Damaged) => {
                tracing::warn!(id = %record.id, "a registration cannot be opened, and is not used");
                return Ok(None);
            }
        };
        let facts = RegistrationFacts::read(&record.facts);
        Ok(facts.map(|facts| facts.registration(record, &secrets)))
    }

    /// Those that count for this account at an issuer.
    fn registrations(&self, issuer: &str) -> Vec<RegistrationRecord> {
        let by_server = self.settings().registration_scope == RegistrationScope::Server;
        let counts = |record: &RegistrationRecord| {
            record.issuer == issuer
                && record.server == *self.account.server()
                && match &record.account {
                    None => by_server,
                    Some(account) => !by_server && account == self.account.account(),
                }
        };
        let mut records = self.engine.means.vault.registrations();
        records.retain(counts);
        records
    }

    /// Keeps a registration before it is used.
    ///
    /// # Errors
    /// It could not be kept.
    pub async fn keep_registration(&self, registration: &Registration) -> Result<(), Refused> {
        let client_id = Arc::new(Secret::new(registration.client_id.as_str()));
        let management = registration.management.as_ref();
        let secrets = RegistrationSecrets {
            id: client_id,
            secret: registration.client_secret.clone(),
            management: management.map(|(_, token)| Arc::clone(token)),
        };
        let kept = [secrets.secret.as_ref(), secrets.management.as_ref()];
        kept.into_iter().flatten().for_each(learn);
        let record = RegistrationRecord {
            id: Arc::clone(&registration.id),
            issuer: registration.issuer.clone(),
            server: registration.server.clone(),
            account: registration.account.clone(),
            generation: 1,
            facts: RegistrationFacts::of(registration).write(),
            client_id: Vec::new(),
            client_secret: None,
            management_token: None,
        };
        let vault = &self.engine.means.vault;
        vault.keep_registration(record, &secrets).await
    }

    /// Forgets the registration at an issuer: the next login makes another one.
    ///
    /// # Errors
    /// The store did not take it.
    pub async fn forget_registration(&self, issuer: &str) -> Result<(), Refused> {
        let records = self.registrations(issuer);
        let ids = records.into_iter().map(|record| record.id).collect();
        self.engine.means.vault.forget_registrations(ids).await
    }

    /// A login succeeded: from now on this is the grant. It is on the disk when this returns.
    ///
    /// # Errors
    /// It could not be kept, and the grant is what it was.
    pub async fn begin(&self, granted: Granted) -> Result<(), Refused> {
        let Some(me) = self.me.upgrade() else {
            return Ok(());
        };
        // Whoever logged in may go away meanwhile; what came is not lost by that.
        let keeping = self
            .engine
            .means
            .tasks
            .spawn(async move { me.take(granted).await });
        keeping.await.unwrap_or(Err(Refused::Unsettled))
    }

    /// Ends the grant here, always; what could be revoked at the provider.
    ///
    /// # Errors
    /// The store did not take it: after a restart it would be there again.
    pub async fn end(&self) -> Result<Option<(Registration, Source, Tokens)>, Refused> {
        let _turn = self.turn.lock().await;
        let client = self.client().await.ok();
        let ended = {
            let mut inner = self.inner();
            let generation = inner.life.generation;
            let life = match self.settings().grant {
                GrantKind::ClientCredentials => Life::machine(),
                // Another generation: a renewal that is under way is of one that is gone.
                _ => Life::absent(LoginReason::LoggedOut, generation + 1),
            };
            let (challenge, waiting) = (inner.challenge.take(), inner.waiting);
            let (running, disk) = (inner.running, inner.disk);
            let mut facts = Facts::default();
            facts.set_needs(None, &self.engine.means.clock);
            std::mem::replace(
                &mut *inner,
                Inner {
                    life,
                    disk,
                    challenge,
                    waiting,
                    running,
                    facts,
                    ..Inner::absent(LoginReason::LoggedOut, generation)
                },
            )
        };
        self.forget_rescue();
        let stored = self.engine.means.vault.end_grant(&self.account).await;
        self.changes();
        stored?;
        let source = ended.facts.source();
        let tokens = ended.secrets.access.map(|access| Tokens {
            access,
            refresh: ended.secrets.refresh,
            life: None,
            scopes: None,
            id_token: None,
        });
        Ok(client
            .zip(tokens)
            .map(|(client, tokens)| (client, source, tokens)))
    }

    fn configured(&self) -> MutexGuard<'_, Configured> {
        self.configured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody uses it. The first time after a while, something may be due.
    fn touch(&self, now: Moment) {
        let seconds = now.since_start().as_secs().max(1);
        let before = self.used.load(Ordering::Relaxed);
        if before == seconds {
            return;
        }
        self.used.store(seconds, Ordering::Relaxed);
        if before == 0 || seconds.saturating_sub(before) >= schedule::WARM.as_secs() {
            self.engine.wake.notify_one();
        }
    }

    /// When it was last used.
    fn last_used(&self) -> Option<Moment> {
        let seconds = self.used.load(Ordering::Relaxed);
        (seconds > 0).then(|| Moment::of_start(Duration::from_secs(seconds)))
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
        let dormant = optional && !inner.asked && matches!(inner.life.phase, Phase::Absent(_));
        self.dormant.store(dormant, Ordering::Relaxed);
    }

    /// How often a grant that nobody uses is renewed.
    fn keep_alive(&self) -> Duration {
        let provider = self.settings().provider.clone();
        keep_alive(provider.and_then(|provider| provider.max_idle_days))
    }

    /// A person is needed, and that is new.
    fn notice(&self, reason: LoginReason) {
        tracing::warn!(
            event = "login_needed",
            account = %self.account,
            reason = reason.word(),
            "{} needs a login: {}; run: janus login {}",
            self.account,
            reason.told(),
            self.account,
        );
        // Nobody may be listening.
        let account = self.account.clone();
        self.engine.notices.send(Notice { account, reason }).ok();
    }
}

impl Inner {
    fn absent(reason: LoginReason, generation: u64) -> Self {
        Self {
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

/// A call that waits.
struct Calling<'a>(&'a Grant);

impl<'a> Calling<'a> {
    fn begin(grant: &'a Grant) -> Self {
        grant.inner().waiting += 1;
        Self(grant)
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.inner();
        inner.waiting = inner.waiting.saturating_sub(1);
    }
}

impl LoginReason {
    /// In words, after "it needs a login:".
    pub fn told(self) -> &'static str {
        match self {
            Self::Never => "nobody has logged in yet",
            Self::Rejected => "the provider ended the earlier one",
            Self::Registration => "the provider does not know this client any more",
            Self::Interaction => "the provider wants a person to answer something",
            Self::Expired => "the earlier one ended, and there was nothing to renew it with",
            Self::Lost => "a renewal was cut off, and what it brought is lost",
            Self::Scope => "the server wants a permission that was not granted",
            Self::LoggedOut => "somebody logged out",
        }
    }
}
