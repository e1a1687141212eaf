//! Waits for a keyring that is locked or absent: what it keeps becomes usable by itself.
//!
//! Signals of the bus say when to look again, and whoever needs the vault does, at most every two seconds. An open vault
//! watches nothing: the key stays in memory when the keyring is locked or dies.

use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::open::Vault;
use super::source::{self, Place, Watch};

impl Vault {
    /// Opens the vault as soon as that is possible, until `shutdown`.
    pub async fn watch(self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.watching() => {}
        }
    }

    async fn watching(&self) {
        let mut changes = self.changes();
        loop {
            // Subscribed before the first look, so that nothing is missed in between.
            let mut signals = self.signals().await;
            while self.open().await.is_err() {
                if !self.reason_to_look(&mut signals).await {
                    signals = self.signals().await;
                }
            }
            drop(signals);
            // Open, or nothing to open yet; the end of that is a change.
            while self.sealed().is_none() {
                tokio::select! {
                    changed = changes.changed() => {
                        if changed.is_err() {
                            return;
                        }
                    }
                    () = self.0.wanted.notified() => {}
                }
            }
        }
    }

    /// Waits for a signal, or for somebody who needs the vault and has waited long enough since the last look. Gives
    /// whether there are signals to go on with.
    async fn reason_to_look(&self, signals: &mut Option<Watch>) -> bool {
        // Without a bus nobody tells when one comes.
        let mut due = signals.is_none().then(|| self.next_attempt());
        loop {
            let waited = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                heard = heard(signals.as_mut()) => {
                    if heard.is_some() {
                        return true;
                    }
                    *signals = None;
                    due = Some(self.next_attempt());
                }
                () = self.0.wanted.notified() => due = Some(self.next_attempt()),
                () = waited => return signals.is_some(),
            }
        }
    }

    async fn signals(&self) -> Option<Watch> {
        self.sealed()?;
        let settings = self.state().settings.clone();
        match source::place(&settings) {
            Ok(Place::Keyring(bus)) => Watch::new(&bus).await,
            _ => None,
        }
    }
}

/// The next signal. Without a bus there is none.
async fn heard(signals: Option<&mut Watch>) -> Option<()> {
    match signals {
        Some(signals) => signals.changed().await,
        None => std::future::pending().await,
    }
}
