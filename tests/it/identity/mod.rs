//! Who acts as whom: the properties that must hold whatever happens, over the running daemon and over its core.
//!
//! Ten servers with five accounts each stand behind Janus. Every server answers with who called, accepts what is its
//! own and records what it should not have seen. A model of a few lines says who must have answered, or which refusal
//! must come. Every choice at random follows from a seed, which a failing test prints; `JANUS_SEED` sets it.

mod actor;
mod concurrent;
mod core;
mod crossing;
mod history;
mod lists;
mod locked;
mod model;
mod restarts;
mod strangers;
mod watchers;
mod ways;
mod world;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support;

/// Choices at random (splitmix64): the same for the same seed.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    /// A new seed, or the one that is asked for.
    #[expect(
        clippy::print_stderr,
        reason = "whoever sees the test fail needs the seed"
    )]
    fn seeded(test: &str) -> Self {
        let asked = support::env("JANUS_SEED").map(|seed| seed.parse().expect("a number"));
        let seed = asked.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::from(now.subsec_nanos()) ^ now.as_secs()
        });
        eprintln!("{test}: JANUS_SEED={seed}");
        Self(seed)
    }

    /// Another sequence that follows from this one.
    fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// True so many times in a hundred.
    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}
