//! What others are told of the connections: changes as they happen, and how things stand.

use std::sync::Arc;
use tokio::time::Instant;

use super::Failure;
use crate::credential::NoCredential;
use crate::model::AccountId;
use crate::protocol::{Envelope, Era, ListKind, Revision};

/// Something happened at a server outside of any exchange.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "notifications are the common ones"
)]
pub enum Change {
    /// A list was read again. The listing holds the new one already.
    Listed {
        /// The account.
        account: AccountId,
        /// The list.
        kind: ListKind,
        /// The server said that it changed, and it is what it was.
        identical: bool,
    },
    /// The server said something.
    Notification {
        /// The account.
        account: AccountId,
        /// As it wrote it.
        message: Envelope,
        /// The only session it can concern; `None` where sessions share the connection.
        session: Option<Arc<str>>,
    },
}

/// How the shared connection of an account stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nobody needed it yet, or nobody did for so long that it was stopped.
    Idle,
    /// On its way.
    Connecting,
    /// Calls go through.
    Ready {
        /// How the server speaks.
        era: Era,
        /// Which revision.
        revision: Revision,
    },
    /// It does not work now; Janus tries again by itself.
    Backoff {
        /// When.
        next: Option<Instant>,
        /// What went wrong.
        reason: String,
    },
    /// It has not worked for so long that something must be repaired. Janus goes on trying, once a minute.
    Failed {
        /// When.
        next: Option<Instant>,
        /// What went wrong.
        reason: String,
    },
    /// The server refuses the credential. Janus tries again when it is called.
    Rejected {
        /// 401 or 403.
        status: u16,
    },
    /// There is no credential. Janus tries again when it is called, and when the vault has one or somebody logged in.
    NoCredential(NoCredential),
}

impl State {
    /// What keeps the account from working now, as a call that met it would be told.
    pub fn failure(&self, account: &AccountId) -> Option<Failure> {
        let account = account.clone();
        match self {
            Self::NoCredential(why) => Some(Failure::NoCredential {
                account,
                why: Box::new(why.clone()),
            }),
            Self::Rejected { status } => Some(Failure::Rejected {
                account,
                status: *status,
            }),
            Self::Backoff { next, reason } | Self::Failed { next, reason } => {
                let left = |next: Instant| next.saturating_duration_since(Instant::now());
                Some(Failure::Unreachable {
                    account,
                    reason: reason.clone(),
                    retry_in: next.map(left),
                })
            }
            Self::Idle | Self::Connecting | Self::Ready { .. } => None,
        }
    }
}
