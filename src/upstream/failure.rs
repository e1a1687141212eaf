//! Why a request got no answer from a server, and whether it may have run.

use std::time::Duration;

use crate::credential::NoCredential;
use crate::credential::oauth::LoginReason;
use crate::model::AccountId;

/// A request that no server answered. Grouped by who must act: the person who runs the server, or nobody but time.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// No connection could be made. Nothing was sent.
    #[error("{account} cannot be reached: {reason}")]
    Unreachable {
        /// The account.
        account: AccountId,
        /// What the transport, the process or the handshake said.
        reason: String,
        /// When Janus tries again by itself.
        retry_in: Option<Duration>,
    },
    /// The server refused the request before it ran: the credential is missing or wrong.
    #[error("{account} refused the credential (HTTP {status})")]
    Rejected {
        /// The account.
        account: AccountId,
        /// 401 or 403.
        status: u16,
    },
    /// The server does this only with more than was granted, and said so before anything ran.
    #[error("{account} wants a permission that was not granted{}", named(scope))]
    NeedsScope {
        /// The account.
        account: AccountId,
        /// What must be granted; empty where the server does not say.
        scope: String,
    },
    /// There is nothing to prove the account with. Nothing was sent.
    #[error("{account} has no credential: {why}")]
    NoCredential {
        /// The account.
        account: AccountId,
        /// Why, and who must act.
        why: Box<NoCredential>,
    },
    /// The server does not know the session of this connection, and said so before anything ran.
    #[error("{account} has forgotten the session")]
    SessionUnknown {
        /// The account.
        account: AccountId,
    },
    /// The connection broke after the request was sent: it may or may not have run, so nobody repeats it.
    #[error("{account} closed the connection before it answered: {reason}")]
    Interrupted {
        /// The account.
        account: AccountId,
        /// What the transport saw.
        reason: String,
    },
    /// No answer and no sign of progress within the server's `timeout`.
    #[error("{account} gave no sign for {} s", waited.as_secs_f32())]
    TimedOut {
        /// The account.
        account: AccountId,
        /// The configured timeout.
        waited: Duration,
    },
    /// What came back cannot be passed on: not JSON-RPC, or longer than a message may be.
    #[error("{account} sent an answer that cannot be used: {reason}")]
    BadAnswer {
        /// The account.
        account: AccountId,
        /// Why, without the text itself.
        reason: String,
    },
    /// Janus is stopping.
    #[error("Janus is stopping; nothing was sent to {account}")]
    Stopping {
        /// The account.
        account: AccountId,
    },
}

impl Failure {
    /// Whether the server may have seen the request.
    pub fn sent(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Rejected { .. }
            | Self::NeedsScope { .. }
            | Self::NoCredential { .. }
            | Self::SessionUnknown { .. }
            | Self::Stopping { .. } => false,
            Self::Interrupted { .. } | Self::TimedOut { .. } | Self::BadAnswer { .. } => true,
        }
    }

    /// Why a person must log in, where that is what helps, and the scopes that the server wants.
    pub fn needs_login(&self) -> Option<(LoginReason, &str)> {
        match self {
            Self::NeedsScope { scope, .. } => Some((LoginReason::Scope, scope)),
            Self::NoCredential { why, .. } => match **why {
                NoCredential::NeedsLogin { reason } => Some((reason, "")),
                _ => None,
            },
            _ => None,
        }
    }

    /// The account it happened at.
    pub fn account(&self) -> &AccountId {
        match self {
            Self::Unreachable { account, .. }
            | Self::Rejected { account, .. }
            | Self::NeedsScope { account, .. }
            | Self::NoCredential { account, .. }
            | Self::SessionUnknown { account }
            | Self::Interrupted { account, .. }
            | Self::TimedOut { account, .. }
            | Self::BadAnswer { account, .. }
            | Self::Stopping { account } => account,
        }
    }

    /// What went wrong, without the account.
    pub fn reason(&self) -> String {
        match self {
            Self::Unreachable { reason, .. }
            | Self::Interrupted { reason, .. }
            | Self::BadAnswer { reason, .. } => reason.clone(),
            Self::Rejected { status, .. } => format!("it refused the credential (HTTP {status})"),
            Self::NeedsScope { scope, .. } => {
                format!("it wants a permission that was not granted{}", named(scope))
            }
            Self::NoCredential { why, .. } => why.to_string(),
            Self::SessionUnknown { .. } => "it has forgotten the session".to_owned(),
            Self::TimedOut { waited, .. } => {
                format!("it gave no sign for {} s", waited.as_secs_f32())
            }
            Self::Stopping { .. } => "Janus is stopping".to_owned(),
        }
    }
}

/// The scopes after a colon, where they are known.
fn named(scope: &str) -> String {
    if scope.is_empty() {
        String::new()
    } else {
        format!(": {scope}")
    }
}
