//! Marked points of a login and a renewal: tests have them stop there for good, which is what a killed process does.

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

    /// Waits until one has stopped there.
    pub async fn halted(&self) {
        let mut halted = self.0.halted.subscribe();
        // The engine has the sender.
        halted.wait_for(|count| *count > 0).await.ok();
    }
}
