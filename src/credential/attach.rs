//! The credential of one account: its values, put together when they are needed and kept as long as they are good.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::watch;

use super::error::NoCredential;
use super::ground::Ground;
use super::oauth::Grant;
use super::outdated::Given;
use super::proof::{self, Origin, Part};
use super::refusal::Refusals;
use crate::model::{Account, AccountId, Auth, Secret};

/// What goes with a request.
#[derive(Debug)]
pub struct Attached {
    /// Which values these are. Another value, another stamp.
    pub stamp: u64,
    /// Fixed headers and the one that proves the account.
    pub headers: HeaderMap,
    /// A parameter for the query, encoded.
    pub query: Option<Arc<Secret>>,
    /// What it is made of: known as long as a request is under way with it.
    #[expect(dead_code, reason = "held, and looked at by nobody")]
    pub(super) values: Vec<Arc<Secret>>,
    /// The token of a grant among them, if there is one.
    pub(super) granted: Option<Arc<Secret>>,
}

/// What a process gets.
#[derive(Debug)]
pub struct Variables {
    /// The values that they are made of.
    pub given: Given,
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
    refusals: Refusals,
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

impl Credential {
    /// The credential of an account. Nothing is resolved yet.
    pub fn new(id: &AccountId, account: &Account, ground: &Ground) -> Self {
        let parts = proof::parts(id, account, ground);
        let fixed = parts.iter().any(|part| part.origin.grant().is_none());
        Self {
            kind: match (&account.auth.how, fixed) {
                (Auth::Left, true) => "fixed",
                (how, _) => how.word(),
            },
            constant: parts.iter().all(|part| part.origin.is_literal()),
            parts,
            vault: ground.means.vault.changes(),
            held: Mutex::default(),
            refusals: Refusals::default(),
        }
    }

    /// That of a token which the account does not have yet, with the account's fixed headers.
    pub fn with_token(account: &Account, token: &Arc<Secret>, ground: &Ground) -> Self {
        let parts = proof::parts_with(account, token, ground);
        Self {
            kind: "bearer",
            constant: false,
            parts,
            vault: ground.means.vault.changes(),
            held: Mutex::default(),
            refusals: Refusals::default(),
        }
    }

    /// What goes with a request now.
    ///
    /// # Errors
    /// Why there is nothing. The request is not sent then.
    pub async fn attach(&self) -> Result<Arc<Attached>, NoCredential> {
        // A command that prints something new each time is not run to be refused each time.
        let by_account = self.parts.iter().any(|part| part.origin.is_printed());
        if self.refusals.any() && by_account {
            self.refusals.check(None)?;
        }
        let fresh = self.fresh();
        let attached = match fresh {
            Some(attached) => attached,
            None => self.put_together().await?,
        };
        if self.refusals.any() && !by_account {
            self.refusals.check(Some(attached.stamp))?;
        }
        Ok(attached)
    }

    /// What a process gets that is started now.
    ///
    /// # Errors
    /// Why there is nothing. It is not started then.
    pub async fn variables(&self) -> Result<Variables, NoCredential> {
        let (_, values) = self.resolve().await?;
        Ok(Variables {
            values: proof::variables(&self.parts, &values),
            given: Given(values),
        })
    }

    /// Whether there is something else to try after the server refused what had this stamp. Where there is not, and the
    /// server knows nobody (401), calls are answered here for a while.
    pub async fn renewed(&self, stamp: u64, status: u16) -> bool {
        if self.constant {
            return false;
        }
        if self.is_once() {
            return true;
        }
        let used = {
            let held = self.held();
            if held.stamp != stamp {
                return true;
            }
            if status == 401 && self.refusals.is_settled(stamp) {
                return false;
            }
            held.values.clone()
        };
        for (part, used) in self.parts.iter().zip(&used) {
            part.origin.look_again(used, status).await;
        }
        let newer = self.resolve().await.is_ok_and(|(now, _)| now != stamp);
        if !newer {
            self.refused(stamp, status);
        }
        newer
    }

    /// What an authorization server gave this account, or would give it after a login.
    pub fn grant(&self) -> Option<&Arc<Grant>> {
        self.parts.iter().find_map(|part| part.origin.grant())
    }

    /// The server refused the token of its grant that went with a request. Whether another one may do: the grant alone
    /// knows whether that one was the latest, and whether it is worth asking for a newer one.
    pub async fn regranted(&self, attached: &Attached, status: u16) -> bool {
        match (self.grant(), &attached.granted) {
            (Some(grant), Some(used)) => grant.refused(used, status).await,
            _ => false,
        }
    }

    /// The server refused this, and there is nothing else to try. Where it knows nobody (401), calls are answered here
    /// for a while.
    pub fn refused(&self, stamp: u64, status: u16) {
        if status == 401 && !self.constant {
            self.refusals.note(stamp, status);
        }
    }

    /// What was refused counts no more: the server took it, or a person wants it to be tried.
    pub fn forget_refusal(&self) {
        self.refusals.forget();
        if let Some(grant) = self.grant() {
            grant.forget_refusal();
        }
    }

    /// The values that were resolved last.
    pub fn given(&self) -> Given {
        Given(self.held().values.clone())
    }

    /// What the vault had changed when this was last resolved: where a wait for the next change begins.
    pub fn seen(&self) -> u64 {
        self.held().vault
    }

    /// Tries every reference anew, and says of each what came of it. Commands are run.
    pub async fn check(&self) -> Vec<(String, Result<(), NoCredential>)> {
        let mut checked = Vec::new();
        for part in &self.parts {
            if let Some(name) = part.origin.name() {
                checked.push((name, part.origin.tried().await));
            }
        }
        if let Some(grant) = self.grant() {
            checked.extend(grant.client_tried().await);
        }
        checked
    }

    /// How it stands, without trying anything.
    pub fn report(&self) -> Report {
        let held = self.held();
        let refused = self.refusals.told(held.stamp);
        let origins = || self.parts.iter().map(|part| &part.origin);
        Report {
            kind: self.kind,
            from: origins().filter_map(Origin::name).collect(),
            left: origins().filter_map(Origin::left).min(),
            problem: held.problem.clone().or(refused),
        }
    }

    /// Whether all of it is written out, and nothing can change.
    pub(super) fn is_constant(&self) -> bool {
        self.constant
    }

    fn is_once(&self) -> bool {
        self.parts.iter().any(|part| part.origin.is_once())
    }

    pub(super) fn is_in_the_vault(&self) -> bool {
        let mut origins = self.parts.iter().map(|part| &part.origin);
        origins.any(|origin| origin.is_in_the_vault() || origin.grant().is_some())
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Its changes, from now on.
    pub(super) fn vault(&self) -> watch::Receiver<u64> {
        self.vault.clone()
    }

    /// What was put together before, if nothing of it can be different by now.
    fn fresh(&self) -> Option<Arc<Attached>> {
        let held = self.held();
        let attached = held.attached.as_ref()?;
        let is_fresh = |(part, used): (&Part, &Arc<Secret>)| part.origin.is_fresh(used);
        // Where nobody logged in and nothing else can change, the vault is not looked at.
        let as_good = |part: &Part| match &part.origin {
            Origin::Granted(grant) => grant.is_dormant(),
            origin => origin.is_literal(),
        };
        let fresh = self.constant
            || self.parts.iter().all(as_good) && self.parts.iter().zip(&held.values).all(is_fresh)
            || held.vault == *self.vault.borrow()
                && self.parts.iter().zip(&held.values).all(is_fresh);
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
        // What is put together is of these very values.
        held.attached = None;
        if held.stamp == 0 || held.values != values {
            held.stamp += 1;
        }
        held.values.clone_from(&values);
        Ok((held.stamp, values))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
