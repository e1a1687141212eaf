//! Marked points of a login and a renewal: tests have them stop there for good, which is what a killed process does.

#[cfg(any(test, debug_assertions))]
use std::sync::Weak;

use super::Engine;
#[cfg(any(test, debug_assertions))]
use super::Grants;

/// Between these two, a renewal waits for the authorization server.
#[cfg(any(test, debug_assertions))]
const BEFORE: &str = "before the request";
#[cfg(any(test, debug_assertions))]
const AFTER: &str = "after the answer";

impl Engine {
    /// Where a test said that all ends here, this never goes on.
    #[cfg(any(test, debug_assertions))]
    pub(super) async fn mark(&self, point: &'static str) {
        match point {
            BEFORE => self.asks.send_modify(|(all, waiting)| {
                *all += 1;
                *waiting += 1;
            }),
            AFTER => self.asks.send_modify(|(_, waiting)| *waiting -= 1),
            _ => {}
        }
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

    /// How many requests were begun, whether they got through or not, and how many of them wait for an answer.
    pub fn asked(&self) -> (usize, usize) {
        *self.0.asks.borrow()
    }

    /// Waits until all that is due by now is begun, and is done or waits for an answer.
    pub async fn still(&self) {
        loop {
            let mut asks = self.0.asks.subscribe();
            // The one that is under way may have begun before the clock was moved.
            for _ in 0..2 {
                let mut looks = self.0.looks.subscribe();
                self.0.wake.notify_one();
                looks.changed().await.ok();
            }
            let mut looks = self.0.looks.subscribe();
            let running = {
                let grants = self.0.grants();
                let grants = grants.values().filter_map(Weak::upgrade);
                grants.filter(|grant| grant.inner().running).count()
            };
            if asks.borrow().1 == running {
                return;
            }
            tokio::select! {
                changed = asks.changed() => drop(changed),
                changed = looks.changed() => drop(changed),
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
