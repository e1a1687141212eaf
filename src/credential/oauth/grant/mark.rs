//! Marked points of a login and a renewal: tests have them stop there for good, which is what a killed process does.

#[cfg(any(test, debug_assertions))]
use std::sync::Weak;

use super::Engine;
#[cfg(any(test, debug_assertions))]
use super::Grants;

impl Engine {
    /// Where a test said that all ends here, this never goes on.
    #[cfg(any(test, debug_assertions))]
    pub(super) async fn mark(&self, point: &'static str) {
        if *self.halts.borrow() == Some(point) {
            self.halted.send_modify(|count| *count += 1);
            std::future::pending::<()>().await;
        }
    }

    /// All grants were looked at.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn looked(&self) {
        self.looks.send_modify(|count| *count += 1);
    }

    /// Nothing.
    #[cfg(not(any(test, debug_assertions)))]
    #[expect(clippy::unused_self, reason = "tests wait for this")]
    pub(super) fn looked(&self) {}

    /// Nothing.
    #[cfg(not(any(test, debug_assertions)))]
    #[expect(clippy::unused_async, reason = "tests stop here")]
    pub(super) async fn mark(&self, _point: &'static str) {}
}

#[cfg(any(test, debug_assertions))]
impl Grants {
    /// Has logins and renewals stop for good at a marked point.
    pub fn halt_at(&self, point: &'static str) {
        self.0.halts.send_replace(Some(point));
    }

    /// Waits until all that is due by now is done.
    pub async fn quiet(&self) {
        loop {
            // The one that is under way may have begun before the clock was moved.
            for _ in 0..2 {
                let mut looks = self.0.looks.subscribe();
                self.0.wake.notify_one();
                looks.changed().await.ok();
            }
            let grants: Vec<_> = {
                let grants = self.0.grants();
                grants.values().filter_map(Weak::upgrade).collect()
            };
            let mut running = None;
            for grant in grants {
                let changed = grant.changed.subscribe();
                if grant.inner().running {
                    running = Some(changed);
                    break;
                }
            }
            match running {
                Some(mut changed) => drop(changed.changed().await),
                None => return,
            }
        }
    }

    /// Waits until one has stopped there.
    pub async fn halted(&self) {
        let mut halted = self.0.halted.subscribe();
        // The engine has the sender.
        halted.wait_for(|count| *count > 0).await.ok();
    }
}
