//! The vault without a daemon: for the command line where none runs, and for what a daemon never does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use crate::downstream::control::{Secrets, without_a_daemon};
use crate::model::{Secret, SecretName, Settings};
use crate::store::{Kept, StateDirectory, Store, Unusable};
use crate::vault::{NotThere, OAuthRows, Sealed, Vault, unlock};

/// Another command holds the state for moments.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// Why the vault did not answer.
#[derive(Debug, thiserror::Error)]
pub enum NoVault {
    /// The state cannot be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// What the control socket would have answered.
    #[error("the vault refused (HTTP {0})")]
    Refused(StatusCode, Value),
}

/// Asks the vault as the control socket does, with the state directory in this process's own hand for that time.
///
/// # Errors
/// The state is held by somebody else, or the vault refuses.
pub async fn ask_vault(
    settings: &Settings,
    method: Method,
    path: &str,
    text: &[u8],
) -> Result<Value, NoVault> {
    let directory = held(&settings.state_directory).await?;
    let (store, mut kept) = Store::open(&directory)?;
    let oauth = OAuthRows::of(&mut kept);
    let vault = Vault::new(&store, &settings.vault, kept.vault, kept.secrets).with_oauth(oauth);
    if matches!(path, "/vault" | "/secrets") {
        // It says how it stands, which nobody looked at yet.
        vault.open().await.ok();
    }
    let tasks = TaskTracker::new();
    let secrets = Secrets {
        vault: &vault,
        servers: &settings.servers,
        tasks: &tasks,
    };
    let answer = without_a_daemon(secrets, &method, path, text).await;
    drop(vault);
    store.close().await;
    answer.map_err(|(status, error)| NoVault::Refused(status, error))
}

/// The state directory, as soon as another command lets it go.
async fn held(path: &Path) -> Result<StateDirectory, Unusable> {
    let end = Instant::now() + PATIENCE;
    loop {
        match StateDirectory::open(path) {
            Err(Unusable::InUse { .. }) if Instant::now() < end => sleep(LOOK).await,
            opened => return opened,
        }
    }
}

/// Why a secret is not shown.
#[derive(Debug, thiserror::Error)]
pub enum NotRevealed {
    /// The state cannot be read.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// It is not there, or sealed.
    #[error(transparent)]
    NotThere(#[from] NotThere),
}

/// A secret, for the person at the terminal. The database is read beside a daemon that may run, and the key is asked for
/// by this process itself: no API gives a secret out.
///
/// # Errors
/// Why it is not shown.
pub async fn reveal(settings: &Settings, name: &SecretName) -> Result<Arc<Secret>, NotRevealed> {
    let Kept { vault, secrets, .. } = Store::look(&settings.state_directory)?;
    let (store, _) = Store::in_memory()?;
    let vault = Vault::new(&store, &settings.vault, vault, secrets);
    let opened = vault.open().await;
    opened.map_err(NotThere::from)?;
    Ok(vault.get(name).await?)
}

/// The names of the secrets in a state directory. The database is read beside whoever holds it, and the vault stays as it
/// is: names are no secrets.
///
/// # Errors
/// The state cannot be read.
pub fn secret_names(state: &Path) -> Result<Vec<SecretName>, Unusable> {
    if !Store::is_there(state)? {
        return Ok(Vec::new());
    }
    let Kept { secrets, .. } = Store::look(state)?;
    Ok(secrets.into_iter().map(|secret| secret.name).collect())
}

/// Has the keyring unlocked, which may ask the person.
///
/// # Errors
/// Why it stays locked.
pub async fn unlock_keyring(settings: &Settings) -> Result<(), Sealed> {
    unlock(&settings.vault).await
}
