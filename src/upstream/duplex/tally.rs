//! Counts what a broken server may do a thousand times a second, so that the log tells of it now and then.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Soon enough for a person who looks for the cause, seldom enough that a broken server does not fill the journal.
const PAUSE: Duration = Duration::from_secs(10);

/// A count, and when it was last told.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Tally(Mutex<(u64, Option<Instant>)>);

impl Tally {
    /// Counts one more. Gives how many there were since the last report, if it is time for one.
    pub(in crate::upstream) fn count(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        let now = Instant::now();
        if state.1.is_some_and(|told| now < told + PAUSE) {
            return None;
        }
        state.1 = Some(now);
        Some(std::mem::take(&mut state.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_is_told_at_once_and_the_rest_together() {
        let tally = Tally::default();
        assert_eq!(tally.count(), Some(1));
        assert_eq!((tally.count(), tally.count()), (None, None));
        tokio::time::advance(PAUSE).await;
        assert_eq!(tally.count(), Some(3));
    }
}
