//! What conversations taught of a server's era, and for how long that counts. It survives a restart.
//!
//! Invariant: a verdict counts for what was talked to, not for whatever has its name now.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::fingerprint::{executable, fingerprint};
use crate::model::{AccountId, Endpoint};
use crate::protocol::Era;
use crate::store::{self, EraRecord, Store, StoredEra};

/// Remote servers are upgraded without telling: a legacy verdict is looked at again once a day.
const LEGACY_FOR: Duration = Duration::from_hours(24);

/// The verdict on one account's server.
#[derive(Debug)]
pub(super) struct KnownEra {
    account: AccountId,
    endpoint: Endpoint,
    store: Store,
    memory: Mutex<Option<Memory>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Memory {
    era: Era,
    /// Wall time, because it is compared with that of another life.
    since: SystemTime,
    /// Of the executable: another one may speak another era.
    changed: Option<SystemTime>,
}

impl KnownEra {
    /// With what an earlier life found, if it is of the same server.
    pub(super) fn new(
        account: AccountId,
        endpoint: Endpoint,
        store: Store,
        kept: Option<&EraRecord>,
    ) -> Self {
        let same = kept.filter(|kept| kept.fingerprint == fingerprint(&endpoint));
        let memory = same.map(|kept| Memory {
            era: match kept.era {
                StoredEra::Legacy => Era::Legacy,
                StoredEra::Modern => Era::Modern,
            },
            since: kept.since,
            changed: executable(&endpoint),
        });
        Self {
            account,
            endpoint,
            store,
            memory: Mutex::new(memory),
        }
    }

    /// The same verdict for a conversation beside.
    pub(super) fn again(&self) -> Self {
        Self {
            account: self.account.clone(),
            endpoint: self.endpoint.clone(),
            store: self.store.clone(),
            memory: Mutex::new(*self.memory()),
        }
    }

    /// The verdict, while it counts.
    pub(super) fn recall(&self) -> Option<Era> {
        let memory = (*self.memory())?;
        let counts = match self.endpoint {
            Endpoint::Process(_) => memory.changed == executable(&self.endpoint),
            Endpoint::Http(_) => memory.era == Era::Modern || is_fresh(memory.since),
        };
        counts.then_some(memory.era)
    }

    /// A conversation of this era stands.
    pub(super) fn remember(&self, era: Era) {
        let mut memory = self.memory();
        // A legacy verdict ages from the probe, not from its last use.
        let since = match &*memory {
            Some(known) if known.era == era && is_fresh(known.since) => known.since,
            _ => SystemTime::now(),
        };
        let new = Some(Memory {
            era,
            since,
            changed: executable(&self.endpoint),
        });
        if std::mem::replace(&mut *memory, new) == new {
            return;
        }
        drop(memory);
        // One that is lost costs a probe.
        self.store.note(store::Change::EraFound(EraRecord {
            account: self.account.clone(),
            fingerprint: fingerprint(&self.endpoint),
            era: match era {
                Era::Legacy => StoredEra::Legacy,
                Era::Modern => StoredEra::Modern,
            },
            since,
        }));
    }

    /// What was concluded turned out wrong.
    pub(super) fn forget(&self) {
        if self.memory().take().is_some() {
            let forgotten = store::Change::EraForgotten(self.account.clone());
            self.store.note(forgotten);
        }
    }

    fn memory(&self) -> MutexGuard<'_, Option<Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A verdict from the future is one of a clock that was set back: nobody knows how old it is.
fn is_fresh(since: SystemTime) -> bool {
    since.elapsed().is_ok_and(|age| age < LEGACY_FOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HttpEndpoint, ServerName};

    fn known(era: StoredEra, since: SystemTime, url: &str) -> KnownEra {
        let endpoint = |url: &str| {
            Endpoint::Http(HttpEndpoint {
                url: url.parse().unwrap(),
                headers: Vec::new(),
                ca: None,
            })
        };
        let account = AccountId::default_of(&ServerName::new("s").unwrap());
        let kept = EraRecord {
            account: account.clone(),
            fingerprint: fingerprint(&endpoint("http://127.0.0.1:1/mcp")),
            era,
            since,
        };
        let store = Store::in_memory().unwrap().0;
        KnownEra::new(account, endpoint(url), store, Some(&kept))
    }

    #[test]
    fn a_legacy_verdict_over_http_counts_for_a_day_and_a_modern_one_for_good() {
        const HOUR: Duration = Duration::from_hours(1);
        let now = SystemTime::now();
        for (era, since, counts) in [
            (StoredEra::Legacy, now, true),
            (StoredEra::Legacy, now - 23 * HOUR, true),
            (StoredEra::Legacy, now - 25 * HOUR, false),
            (StoredEra::Legacy, now + HOUR, false),
            (StoredEra::Modern, now - 1000 * HOUR, true),
        ] {
            let known = known(era, since, "http://127.0.0.1:1/mcp");
            assert_eq!(known.recall().is_some(), counts, "{era:?} {since:?}");
        }
    }

    #[test]
    fn use_does_not_renew_a_verdict_and_another_server_has_none() {
        let since = SystemTime::now() - Duration::from_hours(23);
        let known_since = known(StoredEra::Legacy, since, "http://127.0.0.1:1/mcp");
        known_since.remember(Era::Legacy);
        assert_eq!(known_since.memory().unwrap().since, since);
        known_since.forget();
        assert_eq!(known_since.recall(), None);
        let other = known(StoredEra::Legacy, since, "http://127.0.0.1:2/mcp");
        assert_eq!(other.recall(), None);
    }
}
