//! How a grant stands, and how that changes. Times come in, and what to do comes out; nothing is asked but chance.
//!
//! Invariants:
//! - A generation that was refused is renewed at most once, and one that is younger than a minute is not renewed for
//!   a refusal, unless it may have ended on the way.
//! - What needs a person is left by a login or a logout alone.

use std::time::Duration;

use super::schedule::{Failed, Pause, WARM, chance, lead};
use super::{GrantState, LoginReason};
use crate::credential::NoCredential;
use crate::credential::clock::Moment;

/// A server that refuses a token this young refuses the next one as well: that would be a loop.
const YOUNG: Duration = Duration::from_mins(1);
/// A token this close to its end has ended where a clock is a little ahead, or on the way there.
const SKEW: Duration = Duration::from_secs(2);
/// Between two renewals of one grant.
const REST: Duration = Duration::from_secs(1);

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing, for this reason.
    Absent(LoginReason),
    /// Something that the vault does not give out now.
    Sealed,
    /// Tokens.
    Held,
    /// Tokens, perhaps, that are of no use without a person.
    Needs(LoginReason),
}

/// How one grant stands, but for the tokens themselves.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each of them may be true whatever the others are"
)]
pub(super) struct Life {
    phase: Phase,
    /// It is for another server than the one that is configured: as good as nothing, for as long as that is so.
    pub(super) elsewhere: bool,
    /// Counts what was granted.
    pub(super) generation: u64,
    /// Whether there is something to renew it with.
    pub(super) renewable: bool,
    /// When the token ends, as far as is known.
    pub(super) end: Option<Moment>,
    /// When it is renewed, if it is used.
    renew: Option<Moment>,
    /// When it is renewed, if nobody uses it.
    keep: Option<Moment>,
    /// The server refused this generation.
    pub(super) refused: bool,
    /// When this generation came; `None`: before this start.
    came: Option<Moment>,
    /// What a renewal brought may be lost.
    pub(super) interrupted: bool,
    /// In a row.
    pub(super) failures: u32,
    /// A renewal that began was not to be had: it is tried until it is, whether somebody uses the account or not.
    persists: bool,
    pub(super) pause: Option<Pause>,
    /// Why the last renewal failed.
    pub(super) cause: Option<String>,
    /// That is refused again until somebody corrects it.
    pub(super) stuck: bool,
    /// What proves the client was not to be had, as the vault was then.
    pub(super) lacks: Option<(NoCredential, u64)>,
    /// The breaker lets nobody through until then.
    pub(super) blocked: Option<Moment>,
}

/// What a call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The token, at once.
    Token,
    /// Nothing is there, and nothing was asked for.
    Nothing(LoginReason),
    /// A renewal, which is wanted now.
    Wait,
    /// A person must act.
    Person(LoginReason),
    /// The vault must be opened.
    Sealed,
}

/// What comes of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is nothing newer, and will not be.
    Final,
    /// A renewal is wanted; who waits learns what it brought.
    Renew,
    /// There is nothing to renew it with: a person must act.
    Person,
}

impl Life {
    /// Nothing.
    pub(super) fn absent(reason: LoginReason, generation: u64) -> Self {
        Self {
            phase: Phase::Absent(reason),
            elsewhere: false,
            generation,
            renewable: false,
            end: None,
            renew: None,
            keep: None,
            refused: false,
            came: None,
            interrupted: false,
            failures: 0,
            persists: false,
            pause: None,
            cause: None,
            stuck: false,
            lacks: None,
            blocked: None,
        }
    }

    /// That of a machine account: no token yet, and nobody is needed to get one.
    pub(super) fn machine() -> Self {
        Self {
            phase: Phase::Held,
            renewable: true,
            refused: true,
            ..Self::absent(LoginReason::Never, 0)
        }
    }

    /// Something that is in the vault.
    pub(super) fn sealed(generation: u64) -> Self {
        Self {
            phase: Phase::Sealed,
            ..Self::absent(LoginReason::Never, generation)
        }
    }

    /// Tokens that came now. `life`: how long they are good for.
    pub(super) fn held(
        generation: u64,
        renewable: bool,
        life: Option<Duration>,
        keep: Duration,
        now: Moment,
    ) -> Self {
        let mut held = Self {
            phase: Phase::Held,
            renewable,
            came: Some(now),
            ..Self::absent(LoginReason::Never, generation)
        };
        held.ends(life.map(|life| now.after(life)), life);
        held.keep = renewable.then(|| now.after(keep));
        held
    }

    /// Tokens from before this start. `keep`: when they are renewed if nobody uses them.
    pub(super) fn found(
        generation: u64,
        renewable: bool,
        (end, life): (Option<Moment>, Option<Duration>),
        keep: Moment,
    ) -> Self {
        let mut found = Self {
            phase: Phase::Held,
            renewable,
            ..Self::absent(LoginReason::Never, generation)
        };
        found.ends(end, life);
        found.keep = renewable.then_some(keep);
        found
    }

    /// The end is known better.
    pub(super) fn ends(&mut self, end: Option<Moment>, life: Option<Duration>) {
        self.end = end;
        self.renew = match (end, life) {
            (Some(end), Some(life)) => {
                let lead = lead(life, chance());
                Some(Moment::of_start(end.since_start().saturating_sub(lead)))
            }
            _ => None,
        };
    }

    /// Whatever was thought of its end: it is renewed as soon as that is possible.
    pub(super) fn due_at(&mut self, now: Moment) {
        if self.renewable && self.phase == Phase::Held {
            self.renew = Some(self.renew.map_or(now, |renew| renew.min(now)));
        }
    }

    /// What there is for the server that is configured.
    pub(super) fn phase(&self) -> Phase {
        if self.elsewhere {
            return Phase::Absent(LoginReason::Never);
        }
        self.phase
    }

    /// Whether there are tokens, for whichever server, that need no person.
    pub(super) fn holds(&self) -> bool {
        self.phase == Phase::Held
    }

    /// What a call gets now.
    pub(super) fn answer(&self, now: Moment) -> Answer {
        match self.phase() {
            Phase::Absent(reason) => Answer::Nothing(reason),
            Phase::Sealed => Answer::Sealed,
            Phase::Needs(reason) => Answer::Person(reason),
            Phase::Held if !self.refused && !self.has_ended(now) => Answer::Token,
            Phase::Held if self.renewable => Answer::Wait,
            Phase::Held => Answer::Person(LoginReason::Expired),
        }
    }

    /// Whether the token ended, nothing renews it, and nobody said yet that a person is needed.
    pub(super) fn ran_out(&self, now: Moment) -> bool {
        self.holds() && self.answer(now) == Answer::Person(LoginReason::Expired)
    }

    /// As people see it.
    pub(super) fn state(&self, now: Moment) -> GrantState {
        match self.phase() {
            Phase::Absent(_) => GrantState::Absent,
            Phase::Sealed => GrantState::Sealed,
            Phase::Needs(reason) => GrantState::NeedsLogin(reason),
            Phase::Held => match self.answer(now) {
                Answer::Person(reason) => GrantState::NeedsLogin(reason),
                Answer::Token if !self.is_due(now) => GrantState::Fresh,
                Answer::Token => GrantState::Due,
                _ => GrantState::Expired,
            },
        }
    }

    /// Whether a newer token is wanted, while this one still serves.
    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.renewable && self.renew.is_some_and(|renew| renew <= now)
    }

    /// How long until a newer token is worth looking for.
    pub(super) fn due(&self, now: Moment) -> Option<Duration> {
        if self.phase() != Phase::Held {
            return None;
        }
        let wanted = self.renew.or(self.end)?;
        let pause = self.pause.map(|pause| pause.until(false));
        Some(pause.map_or(wanted, |pause| wanted.max(pause)).from(now))
    }

    /// When the next renewal begins, as things stand; `None`: never. `used`: when it was last used; `called`: whether a
    /// call waits.
    pub(super) fn next(&self, now: Moment, used: Option<Moment>, called: bool) -> Option<Moment> {
        if self.phase() != Phase::Held || !self.renewable {
            return None;
        }
        let is_warm = used.is_some_and(|used| now.from(used) < WARM);
        let over = self.refused || self.has_ended(now);
        let wanted = if self.interrupted || called && over {
            // What an interrupted renewal brought may be had once more, and only soon.
            now
        } else {
            let warm = self.renew.filter(|_| is_warm || self.persists);
            [warm, self.keep].into_iter().flatten().min()?
        };
        // However short its tokens live, the authorization server is not asked without a pause.
        let rested = self.came.map(|came| came.after(REST));
        let wanted = rested.map_or(wanted, |rested| wanted.max(rested));
        let pause = self.pause.map(|pause| pause.until(called));
        let wanted = pause.map_or(wanted, |pause| wanted.max(pause));
        Some(self.blocked.map_or(wanted, |blocked| wanted.max(blocked)))
    }

    /// When who waits may expect the next attempt; `None`: one is due.
    pub(super) fn waits_until(&self, now: Moment) -> Option<Moment> {
        let pause = self.pause.map(|pause| pause.until(true));
        let until = [pause, self.blocked].into_iter().flatten().max();
        until.filter(|until| *until > now)
    }

    /// The server refused the token at hand with 401.
    pub(super) fn refuse(&mut self, now: Moment) -> Verdict {
        match self.phase() {
            Phase::Held if self.refused && self.renewable => Verdict::Renew,
            Phase::Held => {
                let is_close = self.end.is_some_and(|end| end.from(now) <= SKEW);
                let is_young = self.came.is_some_and(|came| now.from(came) < YOUNG) && !is_close;
                if is_young && !self.has_ended(now) {
                    return Verdict::Final;
                }
                self.refused = true;
                if self.renewable {
                    Verdict::Renew
                } else {
                    Verdict::Person
                }
            }
            Phase::Absent(_) | Phase::Sealed | Phase::Needs(_) => Verdict::Final,
        }
    }

    /// A renewal failed, and may work another time. `when`: it began, and ended.
    pub(super) fn fail(
        &mut self,
        failed: Failed,
        cause: String,
        wish: Option<Duration>,
        when: (Moment, Moment),
    ) {
        self.failures = self.failures.saturating_add(1);
        self.persists = failed != Failed::Settled;
        self.pause = Some(Pause::after(self.failures, failed, wish, when, chance()));
        self.cause = Some(cause);
        self.stuck = failed == Failed::Settled;
        self.lacks = None;
        self.blocked = None;
    }

    /// What it failed of may be mended: it is tried again as soon as somebody wants it.
    pub(super) fn reconsider(&mut self) {
        self.pause = None;
    }

    /// The way to the authorization server may be another one: what failed on the way before says nothing any more.
    pub(super) fn begin_afresh(&mut self) {
        if self.pause.is_some_and(|pause| pause.is_of_the_way()) {
            self.pause = None;
            self.failures = 0;
        }
        self.blocked = None;
    }

    /// A person is needed. Whether that is new.
    pub(super) fn need(&mut self, reason: LoginReason) -> bool {
        let new = !matches!(self.phase, Phase::Needs(_));
        self.phase = Phase::Needs(reason);
        self.interrupted = false;
        new
    }

    fn has_ended(&self, now: Moment) -> bool {
        self.end.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const WEEK: Duration = Duration::from_hours(168);

    fn start() -> Moment {
        Moment::of_start(HOUR * 1000)
    }

    fn later(seconds: u64) -> Moment {
        start().after(Duration::from_secs(seconds))
    }

    fn hour() -> Life {
        Life::held(1, true, Some(HOUR), WEEK, start())
    }

    #[test]
    fn a_token_is_fresh_then_due_then_expired_and_serves_until_its_end() {
        let life = hour();
        for (seconds, state, answer) in [
            (0, GrantState::Fresh, Answer::Token),
            (3200, GrantState::Fresh, Answer::Token),
            (3350, GrantState::Due, Answer::Token),
            (3599, GrantState::Due, Answer::Token),
            (3600, GrantState::Expired, Answer::Wait),
            (999_999, GrantState::Expired, Answer::Wait),
        ] {
            let now = later(seconds);
            assert_eq!(
                (life.state(now), life.answer(now)),
                (state, answer),
                "{seconds}"
            );
        }
    }

    #[test]
    fn a_warm_account_is_renewed_early_and_an_idle_one_to_stay_alive() {
        let life = hour();
        let next = |used: Option<u64>, called, now: u64| {
            let next = life.next(later(now), used.map(later), called);
            next.map(|next| next.from(start()).as_secs())
        };
        let warm = next(Some(3000), false, 3000).unwrap();
        assert!((3270..=3330).contains(&warm), "{warm}");
        assert_eq!(next(None, false, 3000), Some(WEEK.as_secs()));
        assert_eq!(next(Some(0), false, 5000), Some(WEEK.as_secs()));
        // An expired one is renewed when somebody wants it.
        assert_eq!(next(None, true, 5000), Some(5000));
        // Without an end it is kept alive all the same.
        let endless = Life::held(1, true, None, WEEK, start());
        let next = endless.next(later(1), Some(later(1)), false);
        assert_eq!(next, Some(start().after(WEEK)));
        assert!(!endless.is_due(later(9_999_999)));
    }

    #[test]
    fn what_cannot_be_renewed_runs_out_once() {
        let mut life = Life::held(1, false, Some(HOUR), WEEK, start());
        assert!(!life.ran_out(later(3599)));
        assert_eq!(life.next(later(3599), Some(later(3599)), true), None);
        let reason = LoginReason::Expired;
        assert!(life.ran_out(later(3600)) && life.need(reason));
        assert!(!life.ran_out(later(3601)) && !life.need(reason));
        assert_eq!(life.answer(later(3600)), Answer::Person(reason));
        assert_eq!(life.state(later(3600)), GrantState::NeedsLogin(reason));
    }

    #[test]
    fn a_refusal_renews_once_and_never_a_young_token() {
        let mut life = hour();
        assert_eq!(life.refuse(later(59)), Verdict::Final);
        assert_eq!(life.answer(later(59)), Answer::Token);
        assert_eq!(life.refuse(later(61)), Verdict::Renew);
        assert_eq!(life.answer(later(61)), Answer::Wait);
        assert_eq!(life.state(later(61)), GrantState::Expired);
        // Whoever was refused at the same time waits for the same renewal.
        assert_eq!(life.refuse(later(62)), Verdict::Renew);
        // One from before this start is as old as it may be.
        let mut found = Life::found(1, true, (Some(later(3600)), Some(HOUR)), later(9999));
        assert_eq!(found.refuse(later(1)), Verdict::Renew);
        // A token that lives shorter than a minute is renewed after its end.
        let mut short = Life::held(1, true, Some(Duration::from_secs(10)), WEEK, start());
        assert_eq!(short.refuse(later(5)), Verdict::Final);
        assert_eq!(short.refuse(later(11)), Verdict::Renew);
        // Or so close to it that it may have ended on the way.
        let mut close = Life::held(1, true, Some(Duration::from_secs(10)), WEEK, start());
        assert_eq!(close.refuse(later(9)), Verdict::Renew);
        let mut last = Life::held(1, false, None, WEEK, start());
        assert_eq!(last.refuse(later(61)), Verdict::Person);
        last.need(LoginReason::Expired);
        assert_eq!(last.refuse(later(62)), Verdict::Final);
        for phase in [
            Phase::Absent(LoginReason::Never),
            Phase::Sealed,
            Phase::Needs(LoginReason::Rejected),
        ] {
            let mut other = Life { phase, ..hour() };
            assert_eq!(other.refuse(later(61)), Verdict::Final, "{phase:?}");
        }
    }

    #[test]
    fn a_failure_pauses_and_a_valid_token_serves_meanwhile() {
        let mut life = hour();
        let now = later(3400);
        life.fail(Failed::Passing, "down".to_owned(), None, (now, now));
        assert_eq!(
            (life.state(now), life.answer(now)),
            (GrantState::Due, Answer::Token)
        );
        let next = life.next(now, Some(now), false).unwrap();
        assert!(next > now && next <= now.after(Duration::from_millis(1200)));
        for _ in 0..20 {
            life.fail(Failed::Passing, "down".to_owned(), None, (now, now));
        }
        let pause = |called| life.next(later(5000), Some(now), called).unwrap().from(now);
        assert!(pause(false) >= Duration::from_mins(4) && pause(false) <= Duration::from_mins(6));
        let mut called = life.clone();
        called.end = Some(now);
        let called = called.next(now, Some(now), true).unwrap().from(now);
        assert!(called >= Duration::from_secs(40) && called <= Duration::from_secs(50));
        assert_eq!(life.waits_until(later(9999)), None);
    }

    #[test]
    fn a_renewal_that_began_is_tried_until_it_is_had_unless_somebody_must_mend_something() {
        let mut life = hour();
        assert_eq!(
            life.next(later(9000), Some(later(0)), false),
            Some(start().after(WEEK))
        );
        life.fail(
            Failed::Passing,
            "down".to_owned(),
            None,
            (later(3400), later(3400)),
        );
        assert_eq!(
            life.next(later(9000), Some(later(0)), false),
            life.renew.max(Some(life.pause.unwrap().until(false)))
        );
        life.fail(
            Failed::Settled,
            "wrong".to_owned(),
            None,
            (later(3400), later(3400)),
        );
        assert_eq!(
            life.next(later(9000), Some(later(0)), false),
            Some(start().after(WEEK))
        );
    }

    #[test]
    fn what_needs_a_person_is_told_once_and_asks_nobody() {
        let mut life = hour();
        assert!(life.need(LoginReason::Rejected));
        assert!(!life.need(LoginReason::Rejected));
        for now in [0, 3600, 86_400] {
            assert_eq!(
                life.answer(later(now)),
                Answer::Person(LoginReason::Rejected)
            );
            assert_eq!(life.next(later(now), Some(later(now)), true), None);
        }
    }

    #[test]
    fn what_is_for_another_server_is_as_good_as_nothing() {
        let nothing = Answer::Nothing(LoginReason::Never);
        for phase in [
            Phase::Held,
            Phase::Sealed,
            Phase::Needs(LoginReason::Rejected),
        ] {
            let mut life = Life { phase, ..hour() };
            let before = life.answer(later(3600));
            life.elsewhere = true;
            let now = later(3600);
            assert_eq!(life.answer(now), nothing, "{phase:?}");
            assert_eq!(life.state(now), GrantState::Absent, "{phase:?}");
            assert_eq!(life.next(now, Some(now), true), None, "{phase:?}");
            assert_eq!(life.refuse(now), Verdict::Final, "{phase:?}");
            life.elsewhere = false;
            assert_eq!(life.answer(now), before, "{phase:?}");
        }
    }

    #[test]
    fn what_may_be_lost_is_asked_for_at_once() {
        let mut life = Life::found(3, true, (Some(later(3600)), Some(HOUR)), later(9999));
        life.interrupted = true;
        assert_eq!(life.next(later(1), None, false), Some(later(1)));
        life.fail(
            Failed::Passing,
            "down".to_owned(),
            None,
            (later(1), later(1)),
        );
        assert!(life.next(later(1), None, false) > Some(later(1)));
    }

    #[test]
    fn a_machine_account_waits_for_its_first_token_when_somebody_wants_one() {
        let life = Life::machine();
        assert_eq!(life.answer(start()), Answer::Wait);
        assert_eq!(life.next(start(), None, false), None);
        assert_eq!(life.next(start(), Some(start()), true), Some(start()));
    }
}
