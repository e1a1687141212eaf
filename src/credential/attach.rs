//! The credential of one account: its values, put together when they are needed and kept as long as they are good.

use std::ffi::OsString;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clock::Clock;
use super::error::NoCredential;
use super::helper::Source;
use super::proof::{self, Part};
use crate::model::{Account, Auth, Helper, Secret, Settings};
use crate::vault::Vault;

/// After a refusal, calls are answered here for so long; then one may try.
const REFUSED: Duration = Duration::from_secs(30);
/// Between two looks at what is due.
const MOMENT: Duration = Duration::from_millis(100);
/// Timers do not see a suspend, so that nobody sleeps longer than this.
const NAP: Duration = Duration::from_secs(30);

/// What every credential stands on.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Where `vault:` leads.
    pub vault: Vault,
    /// What commands get: what every child gets, and the session bus.
    pub environment: Arc<[(String, OsString)]>,
    /// When tokens end.
    pub clock: Clock,
    /// Where commands run.
    pub tasks: TaskTracker,
    /// Ends those that run.
    pub stopping: CancellationToken,
}

/// What goes with a request.
#[derive(Debug)]
pub struct Attached {
    /// Which values these are. Another value, another stamp.
    pub stamp: u64,
    /// Fixed headers and the one that proves the account.
    pub headers: HeaderMap,
    /// A parameter for the query, encoded.
    pub query: Option<Arc<Secret>>,
}

/// What a process gets.
#[derive(Debug)]
pub struct Variables {
    /// Which values these are.
    pub stamp: u64,
    /// In their order; of two with one name the later counts.
    pub values: Vec<(String, Arc<Secret>)>,
}

/// How a credential stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The kind, as the configuration has it.
    pub kind: &'static str,
    /// Where its values come from.
    pub from: Vec<String>,
    /// How long the shortest-lived of them is valid, if one has an end.
    pub left: Option<Duration>,
    /// Why there is none, as far as is known.
    pub problem: Option<NoCredential>,
}

/// What proves one account to its server.
pub struct Credential {
    kind: &'static str,
    parts: Vec<Part>,
    /// Nothing of it can change.
    constant: bool,
    vault: watch::Receiver<u64>,
    held: Mutex<Held>,
    refused: Mutex<Option<Refusal>>,
    /// Whether there is a refusal: looked at on every request.
    is_refused: AtomicBool,
}

#[derive(Default)]
struct Held {
    stamp: u64,
    values: Vec<Arc<Secret>>,
    attached: Option<Arc<Attached>>,
    /// The state of the vault when they were resolved.
    vault: u64,
    problem: Option<NoCredential>,
}

#[derive(Debug, Clone, Copy)]
struct Refusal {
    stamp: u64,
    status: u16,
    until: Instant,
    /// Whether something newer was looked for since.
    tried: bool,
}

impl Ground {
    /// What the settings give.
    pub fn new(
        settings: &Settings,
        vault: Vault,
        clock: Clock,
        (tasks, stopping): (TaskTracker, CancellationToken),
    ) -> Self {
        let mut environment = settings.child_environment.clone();
        if let Some(bus) = &settings.vault.session_bus {
            environment.push(("DBUS_SESSION_BUS_ADDRESS".to_owned(), bus.into()));
        }
        Self {
            vault,
            environment: environment.into(),
            clock,
            tasks,
            stopping,
        }
    }

    pub(super) fn source(&self, helper: Arc<Helper>) -> Source {
        Source::new(
            helper,
            Arc::clone(&self.environment),
            self.clock.clone(),
            (self.tasks.clone(), self.stopping.clone()),
        )
    }
}

#[cfg(test)]
impl Ground {
    /// An empty vault, the system's PATH, and a clock of its own.
    pub(crate) fn of_a_test() -> Self {
        let (store, _) = crate::store::Store::in_memory().unwrap();
        Self {
            vault: Vault::new(
                &store,
                &crate::model::VaultSettings::default(),
                None,
                Vec::new(),
            ),
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin".into())].into(),
            clock: Clock::movable(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }
}

impl Credential {
    /// The credential of an account. Nothing is resolved yet.
    pub fn new(account: &Account, ground: &Ground) -> Self {
        let parts = proof::parts(account, ground);
        Self {
            kind: match (&account.auth.how, parts.is_empty()) {
                (Auth::Left, false) => "fixed",
                (how, _) => how.word(),
            },
            constant: parts.iter().all(|part| part.origin.is_literal()),
            parts,
            vault: ground.vault.changes(),
            held: Mutex::default(),
            refused: Mutex::default(),
            is_refused: AtomicBool::new(false),
        }
    }

    /// What goes with a request now.
    ///
    /// # Errors
    /// Why there is nothing. The request is not sent then.
    pub async fn attach(&self) -> Result<Arc<Attached>, NoCredential> {
        let fresh = self.fresh();
        let attached = match fresh {
            Some(attached) => attached,
            None => self.put_together().await?,
        };
        if self.is_refused.load(Ordering::Relaxed) {
            self.check_refusal(attached.stamp)?;
        }
        Ok(attached)
    }

    /// What a process gets that is started now.
    ///
    /// # Errors
    /// Why there is nothing. It is not started then.
    pub async fn variables(&self) -> Result<Variables, NoCredential> {
        let (stamp, values) = self.resolve().await?;
        Ok(Variables {
            stamp,
            values: proof::variables(&self.parts, &values),
        })
    }

    /// Whether there is something else to try after the server refused what had this stamp. Where there is not, and the
    /// server knows nobody (401), calls are answered here for a while.
    pub async fn renewed(&self, stamp: u64, status: u16) -> bool {
        if self.constant {
            return false;
        }
        let used = {
            let held = self.held();
            if held.stamp != stamp {
                return true;
            }
            if status == 401 && self.is_settled(stamp) {
                return false;
            }
            held.values.clone()
        };
        for (at, part) in self.parts.iter().enumerate() {
            part.origin.look_again(used.get(at), status).await;
        }
        self.held().attached = None;
        let newer = self.resolve().await.is_ok_and(|(now, _)| now != stamp);
        if !newer && status == 401 {
            *self.refusal() = Some(Refusal {
                stamp,
                status,
                until: Instant::now() + REFUSED,
                tried: true,
            });
            self.is_refused.store(true, Ordering::Relaxed);
        }
        newer
    }

    /// The server took it.
    pub fn accepted(&self) {
        if self.is_refused.load(Ordering::Relaxed) {
            *self.refusal() = None;
            self.is_refused.store(false, Ordering::Relaxed);
        }
    }

    /// Resolves when what had this stamp is not what counts any more: it was changed or taken away, or, with `ends`,
    /// there is a newer value for one that ends soon. A token that is good for one use is no reason: whoever got it has
    /// had it.
    pub async fn outdated(&self, stamp: u64, ends: bool) {
        let counts = |part: &Part| !part.origin.is_once() && (ends || !part.origin.ends());
        if self.constant || !self.parts.iter().any(counts) {
            std::future::pending::<()>().await;
        }
        let mut vault = self.vault.clone();
        vault.mark_unchanged();
        let before: Option<Vec<Arc<Secret>>> = {
            let held = self.held();
            (held.stamp == stamp).then(|| held.values.clone())
        };
        let mut gone = 0;
        loop {
            // First without waiting: it may have changed between the start and now.
            let mut now = Vec::new();
            let mut missing = false;
            for part in self.parts.iter().filter(|part| counts(part)) {
                match part.origin.value().await {
                    Ok(value) => now.push(Some(value)),
                    Err(why) => {
                        missing |=
                            matches!(why, NoCredential::Missing { .. } | NoCredential::Bad { .. });
                        now.push(None);
                    }
                }
            }
            // A file that is being written is empty for a moment.
            gone = if missing { gone + 1 } else { 0 };
            if gone > 1 || (missing && self.is_in_the_vault()) {
                return;
            }
            match &before {
                None => return,
                Some(values) => {
                    let values = self
                        .parts
                        .iter()
                        .zip(values)
                        .filter(|(part, _)| counts(part));
                    let same = |((_, was), is): ((&Part, &Arc<Secret>), &Option<Arc<Secret>>)| {
                        is.as_ref().is_none_or(|is| is == was)
                    };
                    if !values.zip(&now).all(same) {
                        return;
                    }
                }
            }
            self.wait_for_change(&mut vault, ends, counts).await;
        }
    }

    /// Until the vault changed, or a value is due to be looked at again; one that ends is renewed then.
    async fn wait_for_change(
        &self,
        vault: &mut watch::Receiver<u64>,
        ends: bool,
        counts: impl Fn(&Part) -> bool,
    ) {
        let counted = || self.parts.iter().filter(|part| counts(part));
        let due = counted().filter_map(|part| part.origin.due()).min();
        tokio::select! {
            changed = vault.changed(), if self.is_in_the_vault() => {
                if changed.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            () = nap(due) => {
                for part in counted().filter(|_| ends) {
                    if part.origin.ends() && part.origin.due().is_some_and(|due| due.is_zero()) {
                        part.origin.renew().await;
                    }
                }
            }
        }
    }

    /// Which values were resolved last.
    pub fn stamp(&self) -> u64 {
        self.held().stamp
    }

    /// What the vault had changed when this was last resolved: where a wait for the next change begins.
    pub fn seen(&self) -> u64 {
        self.held().vault
    }

    /// Resolves when the vault is not what it was at `seen`, if that may matter here.
    pub async fn vault_changed(&self, seen: u64) {
        let mut vault = self.vault.clone();
        if !self.is_in_the_vault() || vault.wait_for(|now| *now != seen).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Tries every reference, and says of each what came of it.
    pub async fn check(&self) -> Vec<(String, Result<(), NoCredential>)> {
        let mut checked = Vec::new();
        for part in &self.parts {
            if let Some(name) = part.origin.name() {
                part.origin.look_anew();
                checked.push((name, part.origin.value().await.map(drop)));
            }
        }
        checked
    }

    /// How it stands, without trying anything.
    pub fn report(&self) -> Report {
        let refused = *self.refusal();
        let held = self.held();
        let refused = refused.filter(|refusal| refusal.stamp == held.stamp);
        let refused = refused.map(|refusal| refusal.error(Instant::now()));
        Report {
            kind: self.kind,
            from: self
                .parts
                .iter()
                .filter_map(|part| part.origin.name())
                .collect(),
            left: self
                .parts
                .iter()
                .filter_map(|part| part.origin.left())
                .min(),
            problem: held.problem.clone().or(refused),
        }
    }

    /// Whether it is anything beside fixed headers and variables that are written out.
    pub fn is_constant(&self) -> bool {
        self.constant
    }

    fn is_in_the_vault(&self) -> bool {
        self.parts.iter().any(|part| part.origin.is_in_the_vault())
    }

    /// What was put together before, if nothing of it can be different by now.
    fn fresh(&self) -> Option<Arc<Attached>> {
        let held = self.held();
        let attached = held.attached.as_ref()?;
        let fresh = self.constant
            || held.vault == *self.vault.borrow()
                && held.values.len() == self.parts.len()
                && self
                    .parts
                    .iter()
                    .zip(&held.values)
                    .all(|(part, used)| part.origin.is_fresh(used));
        fresh.then(|| Arc::clone(attached))
    }

    async fn put_together(&self) -> Result<Arc<Attached>, NoCredential> {
        let (stamp, values) = self.resolve().await?;
        let attached = Arc::new(proof::attached(&self.parts, &values, stamp)?);
        let mut held = self.held();
        if held.stamp == stamp {
            held.attached = Some(Arc::clone(&attached));
        }
        Ok(attached)
    }

    /// All values, and their stamp.
    async fn resolve(&self) -> Result<(u64, Vec<Arc<Secret>>), NoCredential> {
        let seen = *self.vault.borrow();
        let mut values = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            match part.origin.value().await {
                Ok(value) => values.push(value),
                Err(problem) => {
                    let mut held = self.held();
                    held.problem = Some(problem.clone());
                    held.vault = seen;
                    held.attached = None;
                    return Err(problem);
                }
            }
        }
        let mut held = self.held();
        held.problem = None;
        held.vault = seen;
        let same = held.stamp > 0
            && held.values.len() == values.len()
            && held
                .values
                .iter()
                .zip(&values)
                .all(|(one, other)| one == other);
        if !same {
            held.stamp += 1;
            held.values.clone_from(&values);
            held.attached = None;
        }
        Ok((held.stamp, values))
    }

    /// Whether the server refused these values a moment ago. When the moment is over, one caller may try.
    fn check_refusal(&self, stamp: u64) -> Result<(), NoCredential> {
        let mut refused = self.refusal();
        let Some(refusal) = &mut *refused else {
            return Ok(());
        };
        let now = Instant::now();
        if refusal.stamp != stamp {
            *refused = None;
            self.is_refused.store(false, Ordering::Relaxed);
            return Ok(());
        }
        if refusal.until <= now {
            refusal.until = now + REFUSED;
            refusal.tried = false;
            return Ok(());
        }
        Err(refusal.error(now))
    }

    /// Whether it was just found that there is nothing newer than this: who was refused at the same time need not look.
    fn is_settled(&self, stamp: u64) -> bool {
        let now = Instant::now();
        let refused = *self.refusal();
        refused
            .is_some_and(|refusal| refusal.tried && refusal.stamp == stamp && refusal.until > now)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusal(&self) -> MutexGuard<'_, Option<Refusal>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refusal {
    fn error(&self, now: Instant) -> NoCredential {
        let left = self.until.saturating_duration_since(now);
        NoCredential::Refused {
            status: self.status,
            retry_in: left.as_secs(),
        }
    }
}

async fn nap(due: Option<Duration>) {
    match due {
        // Not shorter than a moment: what is due and cannot be had is not asked for without end.
        Some(due) => sleep(due.clamp(MOMENT, NAP)).await,
        None => std::future::pending().await,
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
