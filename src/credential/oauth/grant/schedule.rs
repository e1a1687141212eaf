//! When a token is renewed, and when that is tried again.

use std::time::Duration;

use crate::credential::clock::Moment;

/// A token is renewed this much of its life before its end, but not earlier than [`MOST_EARLY`].
const EARLY: u32 = 5;
const MOST_EARLY: Duration = Duration::from_mins(5);
/// The time before the end differs by so much from one to the next: fifty tokens of one hour are not renewed at once.
const JITTER: f64 = 0.1;
/// An account counts as used for so long after a call.
pub(super) const WARM: Duration = Duration::from_hours(1);
/// A grant that nobody uses is renewed so often, so that the provider does not forget it.
const KEEP_ALIVE: Duration = Duration::from_hours(7 * 24);

/// The first pause after a failure. They double from there.
const PAUSE: Duration = Duration::from_secs(1);
/// They differ by so much, so that accounts that failed together do not come back together.
const SPREAD: f64 = 0.2;
/// While nobody waits, they grow up to this.
const IDLE: Duration = Duration::from_mins(5);
/// While a call waits, they grow up to this: it is told when, and people come back after a minute.
const CALLED: Duration = Duration::from_secs(50);
/// A certificate that is not accepted is not mended in a second.
const TLS: Duration = Duration::from_mins(1);
/// A wish of the server is heard up to this: it may be a mistake.
pub(in crate::credential::oauth) const LONGEST_WISH: Duration = Duration::from_hours(1);

/// When the next attempt may begin: by who waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pause {
    idle: Moment,
    called: Moment,
    /// It says something of the way there: another way may be a better one.
    of_the_way: bool,
}

/// What an attempt failed of, as far as the pause depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// By itself it may be over in a moment.
    Passing,
    /// The certificate.
    Certificate,
    /// What was asked is refused again, until somebody changes something.
    Settled,
}

impl Pause {
    /// The pause after so many failures in a row, the first being 1. It counts from when the attempt `began`: one that
    /// waited in vain for its whole time delays the next one by no more than one that was refused at once. `chance` is
    /// between 0 and 1.
    pub(super) fn after(
        failures: u32,
        failed: Failed,
        wish: Option<Duration>,
        (began, now): (Moment, Moment),
        chance: f64,
    ) -> Self {
        let doubled = PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let doubled = match failed {
            Failed::Passing => doubled,
            Failed::Certificate => doubled.max(TLS),
            Failed::Settled => IDLE,
        };
        let varied = doubled
            .min(IDLE)
            .mul_f64(1.0 - SPREAD + 2.0 * SPREAD * chance.clamp(0.0, 1.0));
        // Who wishes something was reached.
        let of_the_way = failed != Failed::Settled && wish.is_none();
        let wish = wish.unwrap_or_default().min(LONGEST_WISH);
        let called = match failed {
            Failed::Settled => varied,
            Failed::Passing | Failed::Certificate => varied.min(CALLED),
        };
        // Never without any pause.
        let soonest = now.after(wish.max(PAUSE.mul_f64(1.0 - SPREAD)));
        Self {
            idle: began.after(varied).max(soonest),
            called: began.after(called).max(soonest),
            of_the_way,
        }
    }

    /// Whether another way into the network may bring more than waiting.
    pub(super) fn is_of_the_way(&self) -> bool {
        self.of_the_way
    }

    /// When it is over.
    pub(super) fn until(&self, called: bool) -> Moment {
        if called { self.called } else { self.idle }
    }
}

/// How long before its end a token of this life is renewed.
pub(super) fn lead(life: Duration, chance: f64) -> Duration {
    let lead = (life / EARLY).min(MOST_EARLY);
    lead.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance.clamp(0.0, 1.0))
}

/// How often an idle grant is renewed, where the provider forgets one after so many days.
pub(super) fn keep_alive(max_idle_days: Option<u32>) -> Duration {
    let half = max_idle_days.map(|days| Duration::from_hours(u64::from(days) * 12));
    half.map_or(KEEP_ALIVE, |half| half.min(KEEP_ALIVE))
}

/// A number between 0 and 1. Without randomness there is no spread, which harms nobody.
pub(super) fn chance() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_hours(1000);

    fn pause(failures: u32, failed: Failed, wish: Option<u64>, chance: f64) -> (u64, u64) {
        let now = Moment::of_start(NOW);
        let wish = wish.map(Duration::from_secs);
        let pause = Pause::after(failures, failed, wish, (now, now), chance);
        let of = |called| pause.until(called).from(now).as_secs();
        (of(false), of(true))
    }

    #[test]
    fn pauses_double_up_to_what_who_waits_can_bear() {
        let doubling: Vec<_> = (1..=11)
            .map(|failures| pause(failures, Failed::Passing, None, 0.5))
            .collect();
        assert_eq!(
            doubling,
            [
                (1, 1),
                (2, 2),
                (4, 4),
                (8, 8),
                (16, 16),
                (32, 32),
                (64, 50),
                (128, 50),
                (256, 50),
                (300, 50),
                (300, 50)
            ]
        );
        assert_eq!(pause(40, Failed::Passing, None, 0.0), (240, 50));
        assert_eq!(pause(u32::MAX, Failed::Passing, None, 1.0), (360, 50));
        assert_eq!(pause(1, Failed::Certificate, None, 0.5), (60, 50));
        assert_eq!(pause(1, Failed::Settled, None, 0.5), (300, 300));
    }

    #[test]
    fn an_attempt_that_waited_in_vain_has_had_its_pause() {
        let began = Moment::of_start(NOW);
        let now = began.after(Duration::from_secs(30));
        let next = |failures, wish: Option<u64>| {
            let wish = wish.map(Duration::from_secs);
            let pause = Pause::after(failures, Failed::Passing, wish, (began, now), 0.5);
            pause.until(true).from(began).as_millis()
        };
        assert_eq!(next(9, None), 50_000);
        assert_eq!(next(6, None), 32_000);
        assert_eq!(next(1, None), 30_800);
        assert_eq!(next(1, Some(7)), 37_000);
    }

    #[test]
    fn a_wish_of_the_server_is_heard_up_to_an_hour() {
        assert_eq!(pause(1, Failed::Passing, Some(120), 0.5), (120, 120));
        assert_eq!(pause(9, Failed::Passing, Some(120), 0.5), (256, 120));
        assert_eq!(pause(1, Failed::Passing, Some(86_400), 0.5), (3600, 3600));
    }

    #[test]
    fn a_token_is_renewed_in_the_last_fifth_of_its_life() {
        let lead = |life: u64, chance| lead(Duration::from_secs(life), chance).as_secs_f64();
        let near = |left: f64, right: f64| (left - right).abs() < 1e-6;
        assert!(near(lead(3600, 0.5), 300.0));
        assert!(near(lead(3600, 0.0), 270.0) && near(lead(3600, 1.0), 330.0));
        assert!(near(lead(300, 0.5), 60.0));
        assert!(near(lead(10, 0.5), 2.0));
        assert!(near(lead(0, 1.0), 0.0));
        for _ in 0..100 {
            assert!((0.0..=1.0).contains(&chance()));
        }
    }

    #[test]
    fn an_idle_grant_is_renewed_well_before_it_is_forgotten() {
        let days = |max| keep_alive(max).as_secs_f64() / 86_400.0;
        assert!((days(None) - 7.0).abs() < 1e-9);
        assert!((days(Some(180)) - 7.0).abs() < 1e-9);
        assert!((days(Some(7)) - 3.5).abs() < 1e-9);
        assert!(days(Some(0)) < 1e-9);
    }
}
