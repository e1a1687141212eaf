//! Where the key lies: looked for in the order that the configuration gives, and never further.

mod credential;
mod file;
mod keyring;

use std::path::{Path, PathBuf};

use super::error::{Refused, Sealed};
use super::key::VaultKey;
use crate::model::{KeySource, VaultSettings};

pub(super) use file::{next, succeed};
pub(super) use keyring::Watch;

/// A place that has a key, or could have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A credential of the systemd service.
    Credential(PathBuf),
    /// The Secret Service on this bus.
    Keyring(String),
    /// A file.
    File(PathBuf),
}

impl Place {
    /// As messages name it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Credential(_) => "the systemd credential `janus-vault-key`".to_owned(),
            Self::Keyring(_) => "the Secret Service".to_owned(),
            Self::File(path) => format!("`{}`", path.display()),
        }
    }

    /// Its word in the configuration.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Credential(_) => KeySource::Credential.word(),
            Self::Keyring(_) => KeySource::SecretService.word(),
            Self::File(_) => KeySource::File.word(),
        }
    }

    /// The key that it has for a vault.
    pub(super) async fn find(&self, vault: &str) -> Result<VaultKey, Sealed> {
        match self {
            Self::Credential(path) => credential::read(path),
            Self::Keyring(bus) => keyring::find(bus, vault).await,
            Self::File(path) => file::read(path),
        }
    }

    /// Keeps a key there, and reads it back.
    pub(super) async fn keep(&self, vault: &str, key: &VaultKey) -> Result<(), Refused> {
        match self {
            Self::Credential(_) => {
                return Err(Refused::NotKept {
                    place: self.name(),
                    why: "systemd gives it to the service, and nothing can be written there"
                        .to_owned(),
                });
            }
            Self::Keyring(bus) => keyring::keep(bus, vault, key).await?,
            Self::File(path) => file::make(path, key)?,
        }
        let kept = self.find(vault).await?;
        if kept.id() == key.id() {
            Ok(())
        } else {
            Err(Refused::NotKept {
                place: self.name(),
                why: "it gives back another one".to_owned(),
            })
        }
    }

    /// Forgets a key that is used no more. What cannot be forgotten is no danger: it opens nothing.
    pub(super) async fn forget(&self, vault: &str) {
        match self {
            Self::Credential(_) | Self::File(_) => {}
            Self::Keyring(bus) => keyring::forget(bus, vault).await,
        }
    }
}

/// The place that the configuration means. `auto` is the credential if there is one, else the keyring; never a file.
pub(super) fn place(settings: &VaultSettings) -> Result<Place, Sealed> {
    let credential = || {
        settings
            .credentials
            .as_deref()
            .map(credential::path)
            .map(Place::Credential)
    };
    let keyring = || {
        let bus = settings.session_bus.clone();
        bus.map(Place::Keyring)
            .ok_or_else(|| Sealed::Absent("no session bus is known".to_owned()))
    };
    match settings.key {
        KeySource::Auto => match credential().filter(Place::exists) {
            Some(place) => Ok(place),
            None => keyring(),
        },
        KeySource::Credential => credential().ok_or_else(|| {
            Sealed::Unusable(
                "`$CREDENTIALS_DIRECTORY` is not set: the service has no credentials".to_owned(),
            )
        }),
        KeySource::SecretService => keyring(),
        KeySource::File => settings
            .key_file
            .clone()
            .map(Place::File)
            .ok_or_else(|| Sealed::Unusable("the configuration names no `key_file`".to_owned())),
    }
}

/// Why there is no place for a key at all: for whoever reads the configuration. The second are the ways to have one.
pub async fn no_place(settings: &VaultSettings) -> Option<(String, Vec<String>)> {
    let why = match place(settings) {
        Err(why) => why,
        Ok(place @ Place::Keyring(_)) => match place.find("").await {
            Err(why @ Sealed::Absent(_)) => why,
            _ => return None,
        },
        Ok(_) => return None,
    };
    let why = why.to_string();
    let help = Refused::NoPlace(why.clone()).help();
    Some((why, help))
}

impl Place {
    fn exists(&self) -> bool {
        matches!(self, Self::Credential(path) if path.exists())
    }
}

/// The key that a rekeying left beside its place, if it is the one that is wanted; then it is put there.
pub(super) fn succeeded(path: &Path, wanted: impl FnOnce(&VaultKey) -> bool) -> Option<VaultKey> {
    let key = file::read(&next(path)).ok().filter(wanted)?;
    if let Err(error) = succeed(path) {
        tracing::warn!("the new key stays in `{}`: {error}", next(path).display());
    }
    Some(key)
}

/// Has the keyring unlocked, which may ask the person at the desktop. For a command in the person's own session; the
/// daemon never does it.
///
/// # Errors
/// Why it stays locked.
pub async fn unlock(settings: &VaultSettings) -> Result<(), Sealed> {
    match place(settings)? {
        Place::Keyring(bus) => keyring::unlock(&bus).await,
        Place::Credential(_) | Place::File(_) => Ok(()),
    }
}
