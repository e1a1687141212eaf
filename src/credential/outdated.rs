//! When what a process or a session was given is not what counts any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::attach::Credential;
use super::clock::NAP;
use super::error::NoCredential;
use super::proof::Part;
use crate::model::Secret;

/// Between two looks at what is due and cannot be had.
const MOMENT: Duration = Duration::from_millis(100);

/// The values that a process or a session was given.
#[derive(Debug, Clone, Default)]
pub struct Given(pub(super) Vec<Arc<Secret>>);

impl Given {
    /// The values of an earlier program of this process.
    pub fn of(values: Vec<String>) -> Self {
        let values = values.into_iter();
        Self(values.map(|value| Arc::new(Secret::new(value))).collect())
    }

    /// The values, for the next program of this process and nobody else.
    pub fn values(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|value| value.expose().to_owned())
            .collect()
    }

    /// The values.
    pub fn secrets(&self) -> impl Iterator<Item = Arc<Secret>> {
        self.0.iter().map(Arc::clone)
    }
}

impl Credential {
    /// Resolves when what was given is not what counts any more: it was changed or taken away, or, with `ends`, there
    /// is a newer value for one that ends soon. A token that is good for one use is no reason: whoever got it has had
    /// it.
    pub async fn outdated(&self, given: &Given, ends: bool) {
        let counts = |part: &Part| !part.origin.is_once() && (ends || !part.origin.ends());
        if self.is_constant() || !self.parts().iter().any(counts) {
            std::future::pending::<()>().await;
        }
        let mut vault = self.vault();
        vault.mark_unchanged();
        let mut missed = false;
        loop {
            // First without waiting: it may have changed between the start and now.
            let mut missing = false;
            for (part, was) in self
                .parts()
                .iter()
                .zip(&given.0)
                .filter(|(part, _)| counts(part))
            {
                match part.origin.value().await {
                    Ok(now) if now != *was => return,
                    Err(NoCredential::Missing { .. } | NoCredential::Bad { .. }) => {
                        // A file that is being written is empty for a moment.
                        if missed || part.origin.is_in_the_vault() {
                            return;
                        }
                        missing = true;
                    }
                    Ok(_) | Err(_) => {}
                }
            }
            missed = missing;
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
        let counted = || self.parts().iter().filter(|part| counts(part));
        let due = counted().filter_map(|part| part.origin.due()).min();
        tokio::select! {
            changed = vault.changed(), if self.is_in_the_vault() => {
                if changed.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            () = nap(due) => {
                for part in counted().filter(|_| ends) {
                    if part.origin.due().is_some_and(|due| due.is_zero()) {
                        part.origin.renew().await;
                    }
                }
            }
        }
    }

    /// Resolves when the vault is not what it was at `seen`, if that may matter here.
    pub async fn vault_changed(&self, seen: u64) {
        let mut vault = self.vault();
        if !self.is_in_the_vault() || vault.wait_for(|now| *now != seen).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn nap(due: Option<Duration>) {
    match due {
        Some(due) => sleep(due.clamp(MOMENT, NAP)).await,
        None => std::future::pending().await,
    }
}
