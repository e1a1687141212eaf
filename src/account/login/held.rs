//! Failed logins that a client began: for a while it is told of the failure and no other one begins.
//!
//! Invariant: nobody but a client is held, and nobody is once the configuration of the account changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::NotLoggedIn;
use crate::credential::{Clock, Moment};
use crate::model::{AccountId, OAuth};

/// Every try costs the provider some requests and perhaps a registration, and clients try again at once.
const PAUSE: Duration = Duration::from_secs(30);
/// What failed so often is mended by a person, who is not held.
const LONGEST: Duration = Duration::from_mins(10);

/// The last failure of each account.
#[derive(Debug)]
pub(super) struct Held {
    clock: Clock,
    failed: Mutex<BTreeMap<AccountId, Failed>>,
}

#[derive(Debug)]
struct Failed {
    why: NotLoggedIn,
    /// With which settings: others may do.
    settings: Weak<OAuth>,
    until: Moment,
    pause: Duration,
}

impl Held {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            failed: Mutex::default(),
        }
    }

    /// Why a client begins none now, if it does not.
    pub(super) fn why(&self, account: &AccountId, settings: &Arc<OAuth>) -> Option<NotLoggedIn> {
        let all = self.all();
        let failed = all.get(account)?;
        let holds = failed.is_of(settings) && self.clock.now() < failed.until;
        holds.then(|| failed.why.clone())
    }

    /// Another one failed.
    pub(super) fn failed(&self, account: &AccountId, settings: &Arc<OAuth>, why: &NotLoggedIn) {
        if !counts(why) {
            return;
        }
        let (now, mut all) = (self.clock.now(), self.all());
        let before = all.get(account);
        // After a long rest it is another failure.
        let before = before.filter(|it| it.is_of(settings) && now < it.until.after(LONGEST));
        let pause = before.map_or(PAUSE, |it| (it.pause * 2).min(LONGEST));
        let failed = Failed {
            why: why.clone(),
            settings: Arc::downgrade(settings),
            until: now.after(pause),
            pause,
        };
        all.insert(account.clone(), failed);
    }

    /// Somebody logged in.
    pub(super) fn forget(&self, account: &AccountId) {
        self.all().remove(account);
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<AccountId, Failed>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failed {
    fn is_of(&self, settings: &Arc<OAuth>) -> bool {
        self.settings.as_ptr() == Arc::as_ptr(settings)
    }
}

/// Whether the same would fail again at once: not what a person ended, nor what nobody answered.
fn counts(why: &NotLoggedIn) -> bool {
    let passes = matches!(
        why,
        NotLoggedIn::Cancelled
            | NotLoggedIn::Replaced
            | NotLoggedIn::Expired { .. }
            | NotLoggedIn::TooMany(_)
            | NotLoggedIn::Stopping
    );
    // A person who said no at the provider may say yes the next time; an open vault mends the other.
    !passes && !matches!(why.code(), "login_denied" | "sealed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountName, ServerName};

    #[test]
    fn a_failure_holds_twice_as_long_each_time_and_other_settings_are_not_held() {
        let account = AccountId::new(
            ServerName::new("linear").unwrap(),
            AccountName::new("default").unwrap(),
        );
        let clock = Clock::movable();
        let (held, settings) = (Held::new(clock.clone()), Arc::new(OAuth::default()));
        let why = NotLoggedIn::Answered;
        for seconds in [30, 60, 120, 240, 480, 600, 600] {
            assert!(held.why(&account, &settings).is_none());
            held.failed(&account, &settings, &why);
            clock.advance(Duration::from_secs(seconds - 1));
            assert!(held.why(&account, &settings).is_some(), "{seconds}");
            clock.advance(Duration::from_secs(1));
        }
        held.failed(&account, &settings, &why);
        let other = Arc::new(OAuth::default());
        assert!(held.why(&account, &other).is_none());
        held.forget(&account);
        held.failed(&account, &settings, &NotLoggedIn::Cancelled);
        assert!(held.why(&account, &settings).is_none());
    }
}
