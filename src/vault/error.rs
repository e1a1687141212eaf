//! Why the vault does not give or take something, by who must act.

use std::path::PathBuf;

use crate::model::SecretName;
use crate::store::NotSaved;

/// Why the vault cannot be opened now. A person unlocks the keyring, or brings the key back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Sealed {
    /// The keyring is there and locked.
    #[error("the keyring is locked")]
    Locked,
    /// There is no keyring to ask.
    #[error("there is no keyring: {0}")]
    Absent(String),
    /// The source is there, and has no key for this vault.
    #[error("{0} has no key for this vault")]
    NoKey(String),
    /// There is a key, and it is another vault's.
    #[error("the key from {0} does not open this vault")]
    WrongKey(String),
    /// The key is there and cannot be read.
    #[error("the key cannot be read: {0}")]
    Unusable(String),
    /// Nobody asked yet.
    #[error("the keyring was not asked yet")]
    NotAsked,
}

impl Sealed {
    /// The command that mends it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Locked | Self::Absent(_) | Self::NotAsked => "janus vault unlock",
            Self::NoKey(_) | Self::WrongKey(_) | Self::Unusable(_) => {
                "bring that key back, then:  janus vault unlock"
            }
        }
    }
}

/// Why there is no value under a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotThere {
    /// Nobody set it.
    #[error("the vault has no secret `{0}`")]
    Missing(SecretName),
    /// It is there, and the vault is closed.
    #[error("the vault is sealed: {0}")]
    Sealed(#[from] Sealed),
    /// The row is damaged, or was put there by somebody who has not the key.
    #[error("the secret `{0}` cannot be opened: its row is damaged or was changed from outside")]
    Damaged(SecretName),
}

/// Why the vault did not do what it was asked to. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is closed.
    #[error("the vault is sealed: {0}")]
    Sealed(#[from] Sealed),
    /// A new vault needs a place for its key.
    #[error("there is no place for the key of the vault: {0}")]
    NoPlace(String),
    /// Empty, or longer than a secret may be.
    #[error("a secret has 1 byte to 64 KiB of text")]
    BadValue,
    /// There is none of this name.
    #[error(transparent)]
    NotThere(#[from] NotThere),
    /// The store could not keep it.
    #[error(transparent)]
    NotSaved(#[from] NotSaved),
    /// The key cannot be written there.
    #[error("the key cannot be kept in {place}: {why}")]
    NotKept {
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
    /// Somebody else made it.
    #[error("{} is there already; a file is not written over", .0.display())]
    Exists(PathBuf),
    /// An earlier rekeying may have been saved or not.
    #[error("whether an earlier rekeying was saved is not known; start Janus again first")]
    Unsettled,
    /// Anybody could open it.
    #[error("a file of secrets needs a passphrase")]
    NoPassphrase,
    /// Not an export, or another passphrase.
    #[error("{0}")]
    NotImported(&'static str),
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    NoRandomness,
}

impl Refused {
    /// What mends it, at most three lines; none where nobody but time does.
    pub fn help(&self) -> Vec<String> {
        match self {
            Self::Sealed(why) | Self::NotThere(NotThere::Sealed(why)) => {
                vec![why.help().to_owned()]
            }
            Self::NoPlace(_) => [
                "on a desktop: log in once, so that the keyring is there, then again",
                "headless, with systemd: LoadCredential=janus-vault-key:FILE in the service",
                "headless, without: `vault: { key: file, key_file: ~/.config/janus/vault.key }`",
            ]
            .map(str::to_owned)
            .to_vec(),
            Self::NotThere(NotThere::Missing(_)) => vec!["janus secret list".to_owned()],
            Self::NotThere(NotThere::Damaged(_)) => {
                vec!["set it again:  janus secret set NAME".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

impl From<getrandom::Error> for Refused {
    fn from(_: getrandom::Error) -> Self {
        Self::NoRandomness
    }
}
