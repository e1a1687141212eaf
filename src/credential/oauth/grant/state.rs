//! How a grant stands, and how that changes. Pure: times come in, and what to do comes out.
//!
//! Invariants:
//! - A generation that was refused is renewed at most once, and one that is a minute old is not renewed for a refusal.
//! - What needs a person is left by a login alone.

use std::time::Duration;

use super::schedule::{Failed, Pause, WARM, chance, lead};
use super::{GrantState, LoginReason};
use crate::credential::clock::Moment;

/// A server that refuses a token this young refuses the next one as well: that would be a loop.
const YOUNG: Duration = Duration::from_mins(1);

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
pub(super) struct Life {
    pub(super) phase: Phase,
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
    pub(super) pause: Option<Pause>,
    /// Why the last renewal failed.
    pub(super) cause: Option<String>,
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
    /// There is nothing to renew it with: a person must act, which is new.
    Person,
}

impl Life {
    /// Nothing.
    pub(super) fn absent(reason: LoginReason, generation: u64) -> Self {
        Self {
            phase: Phase::Absent(reason),
            generation,
            renewable: false,
            end: None,
            renew: None,
            keep: None,
            refused: false,
            came: None,
            interrupted: false,
            failures: 0,
            pause: None,
            cause: None,
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

    /// What a call gets now.
    pub(super) fn answer(&self, now: Moment) -> Answer {
        match self.phase {
            Phase::Absent(reason) => Answer::Nothing(reason),
            Phase::Sealed => Answer::Sealed,
            Phase::Needs(reason) => Answer::Person(reason),
            Phase::Held if !self.refused && !self.has_ended(now) => Answer::Token,
            Phase::Held if self.renewable => Answer::Wait,
            Phase::Held => Answer::Person(LoginReason::Expired),
        }
    }

    /// The token ended, and nothing renews it. Whether that is new.
    pub(super) fn ran_out(&mut self, now: Moment) -> bool {
        let out =
            self.phase == Phase::Held && self.answer(now) == Answer::Person(LoginReason::Expired);
        if out {
            self.phase = Phase::Needs(LoginReason::Expired);
        }
        out
    }

    /// As people see it.
    pub(super) fn state(&self, now: Moment) -> GrantState {
        match self.phase {
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
        if self.phase != Phase::Held {
            return None;
        }
        let wanted = self.renew.or(self.end)?;
        let pause = self.pause.map(|pause| pause.until(false));
        Some(pause.map_or(wanted, |pause| wanted.max(pause)).from(now))
    }

    /// When the next renewal begins, as things stand; `None`: never. `used`: when it was last used; `called`: whether a
    /// call waits.
    pub(super) fn next(&self, now: Moment, used: Option<Moment>, called: bool) -> Option<Moment> {
        if self.phase != Phase::Held || !self.renewable {
            return None;
        }
        let is_warm = used.is_some_and(|used| now.from(used) < WARM);
        let over = self.refused || self.has_ended(now);
        let wanted = if self.interrupted || called && over {
            // What an interrupted renewal brought may be had once more, and only soon.
            now
        } else {
            let warm = self.renew.filter(|_| is_warm);
            [warm, self.keep].into_iter().flatten().min()?
        };
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
        match self.phase {
            Phase::Held if self.refused && self.renewable => Verdict::Renew,
            Phase::Held => {
                let is_young = self.came.is_some_and(|came| now.from(came) < YOUNG);
                if is_young && !self.has_ended(now) {
                    return Verdict::Final;
                }
                self.refused = true;
                if self.renewable {
                    Verdict::Renew
                } else {
                    self.phase = Phase::Needs(LoginReason::Expired);
                    Verdict::Person
                }
            }
            Phase::Absent(_) | Phase::Sealed | Phase::Needs(_) => Verdict::Final,
        }
    }

    /// A renewal failed, and may work another time.
    pub(super) fn fail(
        &mut self,
        failed: Failed,
        cause: String,
        wish: Option<Duration>,
        now: Moment,
    ) {
        self.failures = self.failures.saturating_add(1);
        self.pause = Some(Pause::after(self.failures, failed, wish, now, chance()));
        self.cause = Some(cause);
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
