//! How long to wait between attempts. Pure.

use std::time::Duration;

/// The first pause: long enough for a crash loop not to burn a core, short enough that a restart goes unnoticed.
const LEAST: Duration = Duration::from_secs(1);
/// A server that is down for an hour is found within a minute of its return.
pub(super) const MOST: Duration = Duration::from_mins(1);

/// The pause after so many failed attempts in a row: doubled each time, shortened by up to half at `chance` (0 to 1),
/// so that many do not return at once.
pub(super) fn pause(failures: u32, chance: f64) -> Duration {
    let full = LEAST.saturating_mul(1 << failures.min(6)).min(MOST);
    full.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}

/// A number from 0 to 1. Without randomness all wait alike, which is no harm worth an error.
pub(super) fn chance() -> f64 {
    f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_jitter_shortens_them_by_half_at_most() {
        let seconds: Vec<_> = (0..9)
            .map(|failures| pause(failures, 0.0).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(1, 1.0), Duration::from_secs(1));
        assert_eq!(pause(u32::MAX, 0.0), MOST);
        assert!((0.0..=1.0).contains(&chance()));
    }
}
