//! The refresh engine: what each account was granted, and how it stays valid.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::granted::{Granted, Identity, Registration, Source, Tokens};
use super::login::Challenge;
use super::network::{Network, Policy};
use crate::credential::{Clock, NoCredential};
use crate::model::{AccountId, OAuth, Secret};
use crate::vault::Refused;

/// All grants of this installation. Clones are the same.
#[derive(Debug, Clone)]
pub struct Grants {}

/// What one account was granted.
#[derive(Debug)]
pub struct Grant {}

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
    /// The grant of an account, which lives as long as anybody holds it or it has a row. Another configuration of the
    /// same account is the same grant.
    pub fn of(
        &self,
        _account: &AccountId,
        _settings: &Arc<OAuth>,
        _policy: &Policy,
        _optional: bool,
    ) -> Arc<Grant> {
        todo!()
    }

    /// That of an account that is configured.
    pub fn find(&self, _account: &AccountId) -> Option<Arc<Grant>> {
        todo!()
    }

    /// How authorization servers are reached.
    pub fn network(&self) -> &Network {
        todo!()
    }

    /// The clock of all of them.
    pub fn clock(&self) -> &Clock {
        todo!()
    }
}

impl Grant {
    /// Whose it is.
    pub fn account(&self) -> &AccountId {
        todo!()
    }

    /// How it is got.
    pub fn settings(&self) -> Arc<OAuth> {
        todo!()
    }

    /// Where requests for it may go.
    pub fn policy(&self) -> Policy {
        todo!()
    }

    /// A token that is valid now; `None` where none is needed as far as is known: nobody has configured or made a
    /// login, and the server did not ask for one.
    ///
    /// # Errors
    /// Why there is none, and who must act.
    pub async fn token(&self) -> Result<Option<Arc<Secret>>, NoCredential> {
        todo!()
    }

    /// Whether `used` is the token at hand, valid, and not due.
    pub fn is_fresh(&self, _used: &Arc<Secret>) -> bool {
        todo!()
    }

    /// The server refused `used`. Whether there is a newer one by now: at most one renewal for all who ask.
    pub async fn refused(&self, _used: &Arc<Secret>, _status: u16) -> bool {
        todo!()
    }

    /// The server said this with a 401 or 403: it is where the next login begins.
    pub fn challenged(&self, _challenge: Challenge) {
        todo!()
    }

    /// What the server said last.
    pub fn challenge(&self) -> Option<Challenge> {
        todo!()
    }

    /// How it stands now.
    pub fn status(&self) -> GrantStatus {
        todo!()
    }

    /// The same, and every change.
    pub fn watch(&self) -> watch::Receiver<u64> {
        todo!()
    }

    /// From where the tokens are, if somebody has logged in.
    pub fn source(&self) -> Option<Source> {
        todo!()
    }

    /// The registration that is kept for this account (or its server) at an issuer, whole and not expired.
    ///
    /// # Errors
    /// The vault is sealed.
    pub async fn registration(&self, _issuer: &str) -> Result<Option<Registration>, Refused> {
        todo!()
    }

    /// Keeps a registration before it is used.
    ///
    /// # Errors
    /// It could not be kept.
    pub async fn keep_registration(&self, _registration: &Registration) -> Result<(), Refused> {
        todo!()
    }

    /// Forgets the registration at an issuer: the next login makes another one.
    ///
    /// # Errors
    /// The store did not take it.
    pub async fn forget_registration(&self, _issuer: &str) -> Result<(), Refused> {
        todo!()
    }

    /// A login succeeded: from now on this is the grant. It is on the disk when this returns.
    ///
    /// # Errors
    /// It could not be kept, and the grant is what it was.
    pub async fn begin(&self, _granted: Granted) -> Result<(), Refused> {
        todo!()
    }

    /// Ends the grant here, always; what could be revoked at the provider.
    ///
    /// # Errors
    /// The store did not take it: after a restart it would be there again.
    pub async fn end(&self) -> Result<Option<(Registration, Source, Tokens)>, Refused> {
        todo!()
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
