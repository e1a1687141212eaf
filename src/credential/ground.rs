//! What every credential stands on.

use std::ffi::OsString;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clock::Clock;
use super::helper::Source;
use super::oauth::{Grants, Network};
use crate::model::{Helper, Settings};
use crate::vault::Vault;

/// What credentials come from.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The vault, and how commands are run.
    pub means: Means,
    /// What authorization servers gave.
    pub grants: Grants,
}

/// The vault, and how commands are run.
#[derive(Debug, Clone)]
pub struct Means {
    /// Where `vault:` leads.
    pub vault: Vault,
    /// What commands get: what every child gets, and the session bus.
    pub environment: Arc<[(String, OsString)]>,
    /// When tokens end.
    pub clock: Clock,
    /// Where commands and renewals run.
    pub tasks: TaskTracker,
    /// Ends those that run.
    pub stopping: CancellationToken,
}

impl Ground {
    /// What the settings give. Only who holds the state directory has one: two would renew one token.
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
        let means = Means {
            vault,
            environment: environment.into(),
            clock,
            tasks,
            stopping,
        };
        // Beside the control socket: that directory is private, and on another file system than the state.
        let rescue = settings.listen.control.parent();
        let rescue = rescue.map(|directory| directory.join("rescue"));
        let network = Network::new(&settings.proxy, means.clock.clone());
        Self {
            grants: Grants::new(means.clone(), network, rescue),
            means,
        }
    }
}

impl Means {
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
        let means = Means {
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
        };
        let proxy = crate::model::ProxySettings::default();
        let network = Network::new(&proxy, means.clock.clone());
        Self {
            grants: Grants::new(means.clone(), network, None),
            means,
        }
    }
}
