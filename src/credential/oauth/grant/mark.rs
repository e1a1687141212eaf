//! Marked points of what a grant goes through: a test has its process killed at one, and nothing that follows happens; or
//! waits until one is come to.

#[cfg(any(test, debug_assertions))]
use std::sync::Weak;

#[cfg(any(test, debug_assertions))]
use rustix::process::{Signal, getpid, kill_process};

use super::Engine;
#[cfg(any(test, debug_assertions))]
use super::Grants;

/// All points at which a process may be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// A login came, and the disk does not know of it.
    LoginTaken,
    /// The disk has it, and nobody uses it.
    LoginSaved,
    /// Nothing of a renewal happened.
    RenewalBegins,
    /// It is clear who asks.
    IntentNotWritten,
    /// The disk knows that the token is about to leave.
    IntentWritten,
    /// The request is made, and has not left.
    RequestNotSent,
    /// The answer is in memory: from here on the grant hangs on this process.
    AnswerCame,
    /// What it means is known, and the disk does not know.
    RenewalTaken,
    /// The disk has it, or refused it.
    RenewalSaved,
    /// All of the renewal is done.
    RenewalEnds,
    /// The disk refused, and nothing is beside it.
    RescueNotWritten,
    /// What the disk refused is beside it.
    RescueWritten,
    /// The disk is there again, and does not have it.
    RescueNotSaved,
    /// The disk has it, and so has what is beside it.
    RescueSaved,
    /// Memory has forgotten it, and the disk has not.
    LogoutBegins,
    /// The disk has forgotten it, and the provider does not know.
    LogoutSaved,
}

#[cfg(any(test, debug_assertions))]
impl Point {
    /// In the order of a grant's life.
    pub const ALL: [Self; 16] = [
        Self::LoginTaken,
        Self::LoginSaved,
        Self::RenewalBegins,
        Self::IntentNotWritten,
        Self::IntentWritten,
        Self::RequestNotSent,
        Self::AnswerCame,
        Self::RenewalTaken,
        Self::RenewalSaved,
        Self::RenewalEnds,
        Self::RescueNotWritten,
        Self::RescueWritten,
        Self::RescueNotSaved,
        Self::RescueSaved,
        Self::LogoutBegins,
        Self::LogoutSaved,
    ];
}

impl Engine {
    /// Where a test said that the process is killed here, it is.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn mark(&self, point: Point) {
        match point {
            // Between these two, a renewal waits for the authorization server.
            Point::RequestNotSent => self.asks.send_modify(|(all, waiting)| {
                *all += 1;
                *waiting += 1;
            }),
            Point::AnswerCame => self.asks.send_modify(|(_, waiting)| *waiting -= 1),
            _ => {}
        }
        self.came.send_replace(Some(point));
        if *self.dies.borrow() == Some(point) {
            // Not even the thread that asks for it outlives the call.
            kill_process(getpid(), Signal::KILL).ok();
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
    #[expect(clippy::unused_self, reason = "tests end here")]
    pub(super) fn mark(&self, _point: Point) {}
}

#[cfg(any(test, debug_assertions))]
impl Grants {
    /// Has the whole process killed at a marked point, from now on.
    pub fn die_at(&self, point: Point) {
        self.0.dies.send_replace(Some(point));
    }

    /// Waits until a marked point is the last that was come to: that of something that goes no further for now.
    pub async fn comes_to(&self, point: Point) {
        let mut came = self.0.came.subscribe();
        came.wait_for(|came| *came == Some(point)).await.ok();
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
}
