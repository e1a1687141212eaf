//! What a server was asked to remember through a slot. It outlives the slot's connections, to be said again on the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::protocol::{Json, LogLevel};

/// Subscriptions by their holders, and the level of log messages.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Who is subscribed to which resources.
    subscriptions: Mutex<Subscriptions>,
    /// Counts the changes of what is subscribed to.
    version: watch::Sender<u64>,
    /// What a modern server told that it will announce.
    announced: watch::Sender<Announced>,
    /// The parameters of the last `logging/setLevel`.
    level: Mutex<Option<Json>>,
}

type Subscriptions = BTreeMap<String, Vec<Option<Arc<str>>>>;

/// What a modern server acknowledged.
#[derive(Debug, Default, Clone)]
pub(super) struct Announced {
    /// The version of what it was asked for.
    pub(super) version: u64,
    /// The resources that it announces changes of.
    pub(super) uris: Vec<String>,
}

impl Held {
    /// Somebody subscribed. Gives the version that has it.
    pub(super) fn hold(&self, uri: &str, holder: Option<&Arc<str>>) -> u64 {
        let mut held = self.lock();
        let is_new = !held.contains_key(uri);
        let holders = held.entry(uri.to_owned()).or_default();
        if !holders.iter().any(|other| other.as_ref() == holder) {
            holders.push(holder.cloned());
        }
        self.count(is_new)
    }

    /// Somebody unsubscribed. Whether others still hold it.
    pub(super) fn let_go(&self, uri: &str, holder: Option<&Arc<str>>) -> bool {
        let mut held = self.lock();
        let Some(holders) = held.get_mut(uri) else {
            return false;
        };
        holders.retain(|other| other.as_ref() != holder);
        let others = !holders.is_empty();
        if !others {
            held.remove(uri);
        }
        self.count(!others);
        others
    }

    /// A holder is gone. The resources that nobody holds any more.
    pub(super) fn release(&self, holder: &Arc<str>) -> Vec<String> {
        let mut orphans = Vec::new();
        let mut held = self.lock();
        held.retain(|uri, holders| {
            let before = holders.len();
            holders.retain(|other| other.as_ref() != Some(holder));
            if holders.is_empty() && before > 0 {
                orphans.push(uri.clone());
            }
            !holders.is_empty()
        });
        self.count(!orphans.is_empty());
        orphans
    }

    /// Every resource that somebody holds.
    pub(super) fn uris(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// The same, and the version of it.
    pub(super) fn now(&self) -> (u64, Vec<String>) {
        let held = self.lock();
        (*self.version.borrow(), held.keys().cloned().collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Resolves once something else is held than in this version.
    pub(super) async fn changed(&self, version: u64) {
        let mut versions = self.version.subscribe();
        // The sender lives as long as this.
        versions.wait_for(|now| *now != version).await.ok();
    }

    /// A modern server acknowledged.
    pub(super) fn announce(&self, announced: Announced) {
        self.announced.send_replace(announced);
    }

    /// What a modern server announces, now and from now on.
    pub(super) fn announced(&self) -> watch::Receiver<Announced> {
        self.announced.subscribe()
    }

    /// The level of log messages that was asked for last.
    pub(super) fn set_level(&self, params: Json) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(params);
    }

    /// The parameters with which a new connection must be asked for it again.
    pub(super) fn level(&self) -> Option<Json> {
        self.level
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether the server was asked for messages of this level, or for more.
    pub(super) fn logs(&self, level: LogLevel) -> bool {
        let params = self.level().and_then(|params| params.object());
        params
            .and_then(|params| LogLevel::named(&params.text("level")?))
            .is_some_and(|asked| asked <= level)
    }

    /// Counted under the lock, so that a version and what it holds belong together.
    fn count(&self, changed: bool) -> u64 {
        self.version.send_if_modified(|version| {
            *version += u64::from(changed);
            changed
        });
        *self.version.borrow()
    }

    fn lock(&self) -> MutexGuard<'_, Subscriptions> {
        self.subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_held_until_its_last_holder_lets_go() {
        let held = Held::default();
        let (a, b) = (Arc::<str>::from("a"), Arc::<str>::from("b"));
        assert_eq!(held.hold("u", Some(&a)), 1);
        assert_eq!(held.hold("u", Some(&a)), 1);
        assert_eq!(held.hold("u", Some(&b)), 1);
        assert_eq!(held.hold("v", None), 2);
        assert!(held.let_go("u", Some(&a)));
        assert_eq!(held.now(), (2, vec!["u".to_owned(), "v".to_owned()]));
        assert_eq!(held.release(&b), ["u"]);
        assert_eq!(held.now(), (3, vec!["v".to_owned()]));
        assert!(!held.let_go("v", None) && held.is_empty());
        assert!(!held.let_go("never", None));
    }

    #[test]
    fn a_level_counts_for_what_is_more_severe_too() {
        let held = Held::default();
        assert!(held.level().is_none() && !held.logs(LogLevel::Error));
        held.set_level(Json::literal(r#"{"level":"warning"}"#));
        assert!(held.logs(LogLevel::Error) && held.logs(LogLevel::Warning));
        assert!(!held.logs(LogLevel::Info));
    }
}
