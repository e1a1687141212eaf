//! Why an account has nothing to prove itself with. In all cases nothing was sent.

use super::alone::{USE_THE_DAEMON, stands_alone};
use super::oauth::LoginReason;
use crate::model::{AccountId, Reference};
use crate::telemetry::redact;
use crate::vault::{NotThere, Sealed};

/// Why there is no credential, by who must act: who sets the secret, who corrects it, who unlocks the vault, who looks
/// after the command, and who runs the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCredential {
    /// Nothing is where the reference points.
    #[error("{reference} has no value: {why}")]
    Missing {
        /// Where it should be.
        reference: Reference,
        /// What is not there.
        why: String,
    },
    /// Something is there that cannot be used.
    #[error("the value of {reference} cannot be used: {why}")]
    Bad {
        /// Where it is.
        reference: Reference,
        /// What is wrong with it.
        why: String,
    },
    /// The vault is closed.
    #[error("the vault is sealed: {0}")]
    Sealed(Sealed),
    /// The command gave no token.
    #[error("{command} gave no token: {why}")]
    Helper {
        /// Its program.
        command: String,
        /// How it ended, and what it said.
        why: String,
    },
    /// The server refused this value a moment ago.
    #[error("the server refused the credential (HTTP {status}) a moment ago; it is asked again in {} s", retry_in.max(&1))]
    Refused {
        /// 401
        status: u16,
        /// Seconds.
        retry_in: u64,
    },
    /// A person must log in.
    #[error("it needs a login: {}", reason.told())]
    NeedsLogin {
        /// Why.
        reason: LoginReason,
    },
    /// The authorization server gives no new token now.
    #[error("the authorization server {host} gives no new token: {why}; it is asked again in {} s", retry_in.max(&1))]
    NoToken {
        /// Its host.
        host: String,
        /// What went wrong.
        why: String,
        /// Seconds.
        retry_in: u64,
    },
}

impl NoCredential {
    /// The word for the state of the account, and the code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::Helper { .. } => "needs_secret",
            Self::Bad { .. } => "bad_secret",
            Self::Sealed(_) => "sealed",
            Self::Refused { .. } => "rejected",
            Self::NeedsLogin { .. } => "needs_login",
            Self::NoToken { .. } => "unavailable",
        }
    }

    /// The command that mends it.
    pub fn help(&self, account: &AccountId) -> String {
        if stands_alone()
            && let Some(help) = self.help_alone()
        {
            return help;
        }
        match self {
            Self::Missing { reference, .. } | Self::Bad { reference, .. } => match reference {
                Reference::Vault(name) => format!("janus secret set {name}"),
                Reference::Environment { name, .. } => {
                    format!("set {name} where Janus is started, and start it again")
                }
                Reference::File(path) => format!(
                    "put it into {}, readable by you alone, then: janus account verify {account}",
                    path.display()
                ),
                Reference::Command(_) => "janus secret check".to_owned(),
            },
            Self::Sealed(sealed) => sealed.help().to_owned(),
            Self::Helper { .. } => {
                format!(
                    "see to that command, or log in with it, then: janus account verify {account}"
                )
            }
            Self::Refused { .. } | Self::NoToken { .. } => {
                format!("janus account verify {account}")
            }
            Self::NeedsLogin { .. } => format!("janus login {account}"),
        }
    }

    /// The same where no command reaches this process; `None`: what helps is no command.
    fn help_alone(&self) -> Option<String> {
        let instead = |reference: &str| {
            format!(
                "`janus connect --standalone` has no vault: write env:NAME, file:PATH or cmd:COMMAND in place of {reference}, or use janus connect without it"
            )
        };
        match self {
            Self::Missing { reference, .. } | Self::Bad { reference, .. } => match reference {
                Reference::Vault(_) => Some(instead(&reference.to_string())),
                Reference::Environment { .. } => None,
                Reference::File(path) => Some(format!(
                    "put it into {}, readable by you alone",
                    path.display()
                )),
                Reference::Command(_) => Some("see to that command".to_owned()),
            },
            Self::Sealed(_) => Some(instead("vault:NAME")),
            Self::Helper { .. } => Some("see to that command, or log in with it".to_owned()),
            Self::Refused { .. } | Self::NoToken { .. } => {
                Some("correct its credential, or wait".to_owned())
            }
            Self::NeedsLogin { .. } => Some(USE_THE_DAEMON.to_owned()),
        }
    }

    /// In how many seconds Janus asks again by itself for what is missing.
    pub fn retry_in(&self) -> Option<u64> {
        match self {
            Self::NoToken { retry_in, .. } => Some((*retry_in).max(1)),
            _ => None,
        }
    }

    /// Whether it may be different in a moment without anybody telling: a command works again, a file is there.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Helper { .. } | Self::NoToken { .. } => true,
            Self::Missing { reference, .. } | Self::Bad { reference, .. } => {
                matches!(reference, Reference::File(_))
            }
            Self::Sealed(_) | Self::Refused { .. } | Self::NeedsLogin { .. } => false,
        }
    }

    pub(super) fn of_vault(reference: Reference, why: NotThere) -> Self {
        match why {
            NotThere::Sealed(sealed) => Self::Sealed(sealed),
            NotThere::Missing(_) => Self::Missing {
                reference,
                why: "it is not in the vault".to_owned(),
            },
            NotThere::Damaged(_) => Self::Bad {
                reference,
                why: why.to_string(),
            },
        }
    }

    /// What a command said goes nowhere with a secret in it.
    pub(super) fn helper(program: &str, why: &str) -> Self {
        Self::Helper {
            command: format!("`{program}`"),
            why: redact(why).into_owned(),
        }
    }
}
