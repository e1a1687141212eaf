//! The same warning again and again: three of them, then one an hour that says how many there were.
//!
//! Invariants:
//! - What was not said yet is always said.
//! - What has a word in `event` is always said: a person acts on it, and may look only at the end of the log.

use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// So many of the same are said.
const SAID: u32 = 3;
/// After that one is said each time that so long has passed.
const PAUSE: Duration = Duration::from_hours(1);
/// So many different ones are told apart; the one that was not heard of for the longest time is new the next time.
const KNOWN: usize = 256;

/// What a client chooses tells no two of its failures apart.
const BESIDE: [&str; 2] = ["tool", "call"];

/// Holds back repetitions, for all that logs below it.
#[derive(Debug, Default)]
pub struct Damping(Mutex<VecDeque<Repeated>>);

#[derive(Debug)]
struct Repeated {
    what: u64,
    said: u32,
    last: Instant,
}

impl Damping {
    fn may_pass(&self, what: u64, now: Instant) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.iter().position(|known| known.what == what);
        let mut one = at.and_then(|at| known.remove(at)).unwrap_or(Repeated {
            what,
            said: 0,
            last: now,
        });
        let passes = one.said < SAID || now.duration_since(one.last) >= PAUSE;
        if passes {
            one.said = one.said.saturating_add(1);
            one.last = now;
        }
        if known.len() == KNOWN {
            known.pop_front();
        }
        known.push_back(one);
        passes
    }
}

impl<S: Subscriber> Layer<S> for Damping {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN || metadata.fields().field("event").is_some() {
            return true;
        }
        let mut text = Text(DefaultHasher::new());
        metadata.target().hash(&mut text.0);
        event.record(&mut text);
        self.may_pass(text.0.finish(), Instant::now())
    }
}

/// All that an event says, as a number.
struct Text(DefaultHasher);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if BESIDE.contains(&field.name()) {
            return;
        }
        field.name().hash(&mut self.0);
        format!("{value:?}").hash(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn the_fourth_of_the_same_waits_for_an_hour_and_others_do_not() {
        let damping = Damping::default();
        let start = Instant::now();
        let passes =
            |what, minutes: u64| damping.may_pass(what, start + Duration::from_mins(minutes));
        assert!(passes(1, 0) && passes(1, 1) && passes(1, 2));
        assert!(!passes(1, 3));
        assert!(passes(2, 3));
        assert!(!passes(1, 61));
        assert!(passes(1, 62));
        assert!(!passes(1, 100));
    }

    #[test]
    fn what_a_person_acts_on_is_said_each_time() {
        let said = Arc::new(AtomicUsize::new(0));
        let counts = Count(Arc::clone(&said));
        let subscriber = tracing_subscriber::registry()
            .with(Damping::default())
            .with(counts);
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..10 {
                tracing::warn!("closed");
                tracing::warn!(event = "login_needed", "login needed");
            }
        });
        assert_eq!(said.load(Ordering::Relaxed), SAID as usize + 10);
    }

    #[test]
    fn a_client_that_makes_up_names_does_not_fill_the_log() {
        let said = Arc::new(AtomicUsize::new(0));
        let subscriber = tracing_subscriber::registry()
            .with(Damping::default())
            .with(Count(Arc::clone(&said)));
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..10 {
                let tool = number.to_string();
                tracing::warn!(tool = tool.as_str(), call = tool.as_str(), "no answer");
            }
        });
        assert_eq!(said.load(Ordering::Relaxed), SAID as usize);
    }

    struct Count(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Count {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_was_not_heard_of_for_long_is_new() {
        let damping = Damping::default();
        let now = Instant::now();
        for _ in 0..SAID {
            assert!(damping.may_pass(0, now));
        }
        assert!(!damping.may_pass(0, now));
        for what in 1..=KNOWN as u64 {
            assert!(damping.may_pass(what, now));
        }
        assert!(damping.may_pass(0, now));
    }
}
