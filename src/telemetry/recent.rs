//! The last records, for `janus logs` where there is no journal that its user may read.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::entry::Entry;

/// So many are kept.
const KEPT: usize = 1000;
/// Of a longer text, so much.
const LONGEST: usize = 4 * 1024;

static RECENT: Mutex<Recorded> = Mutex::new(Recorded {
    next: 0,
    entries: VecDeque::new(),
});

/// What is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Recorded {
    /// The number of the next one.
    next: u64,
    entries: VecDeque<Entry>,
}

/// Keeps what is logged.
#[derive(Debug)]
pub struct Recent;

impl<S: Subscriber> Layer<S> for Recent {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut entry = Entry::of(event);
        entry.cut(LONGEST);
        let mut kept = kept();
        if kept.entries.len() == KEPT {
            kept.entries.pop_front();
        }
        kept.entries.push_back(entry);
        kept.next += 1;
    }
}

/// The records from number `from` on, as far as they are kept, and the number of the next one.
pub fn recent(from: u64) -> (Vec<Entry>, u64) {
    let kept = kept();
    let first = kept.next - kept.entries.len() as u64;
    let skipped = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
    (
        kept.entries.iter().skip(skipped).cloned().collect(),
        kept.next,
    )
}

/// All of it, for the program that this process becomes.
pub fn recorded() -> Recorded {
    kept().clone()
}

/// Goes on after what the program before kept.
pub fn go_on_after(mut before: Recorded) {
    let mut kept = kept();
    before.next += kept.next;
    before.entries.append(&mut kept.entries);
    let surplus = before.entries.len().saturating_sub(KEPT);
    drop(before.entries.drain(..surplus));
    for entry in &mut before.entries {
        entry.fields.complete();
    }
    *kept = before;
}

fn kept() -> MutexGuard<'static, Recorded> {
    RECENT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn the_last_ones_are_kept_by_their_numbers() {
        let subscriber = tracing_subscriber::registry().with(Recent);
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..KEPT + 10 {
                tracing::info!("{number}");
            }
        });
        let (all, next) = recent(0);
        assert_eq!((all.len(), next), (KEPT, KEPT as u64 + 10));
        assert_eq!(all.first().unwrap().message, "10");
        let (last, _) = recent(next - 1);
        assert_eq!(last.len(), 1);
        assert_eq!(recent(next).0.len(), 0);
    }
}
