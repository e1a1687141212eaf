//! Whether the accept loops turn: each of them answers when it is asked.
//!
//! Invariants:
//! - A loop that has only failed for a while does not answer: it serves nobody.
//! - A loop that has ended is not waited for. Where none is left, nobody is served, and that is right only at the end.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Failing for so long is no accident of one client.
const ACCIDENT: Duration = Duration::from_secs(5);
/// A loop that fails tries again sooner than this; one that did not meanwhile had nothing to accept.
const APART: Duration = Duration::from_secs(1);

/// Asks all of them.
#[derive(Debug, Clone)]
pub(super) struct Pulse(watch::Sender<Option<mpsc::Sender<()>>>);

/// One of them.
#[derive(Debug)]
pub(super) struct Heart {
    asked: watch::Receiver<Option<mpsc::Sender<()>>>,
    /// The first and the last failure of those that came one after the other.
    failing: Option<(Instant, Instant)>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self(watch::channel(None).0)
    }
}

impl Pulse {
    /// Another loop that answers, as long as it has this.
    pub(super) fn heart(&self) -> Heart {
        Heart {
            asked: self.0.subscribe(),
            failing: None,
        }
    }

    /// Waits until all of them have ended.
    pub(super) async fn ended(&self) {
        self.0.closed().await;
    }

    /// Waits until each of them has answered or ended.
    pub(super) async fn felt(&self, stopping: &CancellationToken) {
        let waiting = self.0.receiver_count();
        let (answer, mut answers) = mpsc::channel(waiting.max(1));
        self.0.send_replace(Some(answer));
        for _ in 0..waiting {
            tokio::select! {
                _ = answers.recv() => {}
                () = self.0.closed() => break,
            }
        }
        if self.0.receiver_count() == 0 {
            stopping.cancelled().await;
        }
    }
}

impl Heart {
    /// Answers when it is asked. Safe to cancel: what is asked then is answered the next time.
    pub(super) async fn beat(&mut self) {
        while self.is_failing() {
            sleep(APART).await;
        }
        if self.asked.changed().await.is_err() {
            return std::future::pending().await;
        }
        self.answer();
    }

    /// Answers whenever it is asked, for ever.
    pub(super) async fn beat_on(&mut self) {
        loop {
            self.beat().await;
        }
    }

    /// The loop did what it is there for.
    pub(super) fn works(&mut self) {
        self.failing = None;
    }

    /// The loop could not do it.
    pub(super) fn fails(&mut self) {
        let now = Instant::now();
        self.failing = match self.failing {
            Some((first, last)) if now - last < APART => Some((first, now)),
            _ => Some((now, now)),
        };
    }

    fn is_failing(&self) -> bool {
        self.failing.is_some_and(|(first, last)| {
            last.elapsed() < APART && last.duration_since(first) >= ACCIDENT
        })
    }

    fn answer(&mut self) {
        let asked = self.asked.borrow_and_update().clone();
        if let Some(asked) = asked {
            // Nobody waits any more if a later question is under way.
            asked.try_send(()).ok();
        }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        if self.asked.has_changed().unwrap_or(false) {
            self.answer();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// More than any turn of a loop that works.
    const LONG: Duration = Duration::from_mins(1);

    async fn is_felt(pulse: &Pulse) -> bool {
        let stopping = CancellationToken::new();
        timeout(LONG, pulse.felt(&stopping)).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_loop_nothing_is_felt_until_the_end() {
        let pulse = Pulse::default();
        assert!(!is_felt(&pulse).await);
        let stopping = CancellationToken::new();
        stopping.cancel();
        pulse.felt(&stopping).await;
    }

    #[tokio::test(start_paused = true)]
    async fn each_loop_is_waited_for_and_one_that_ended_is_not() {
        let pulse = Pulse::default();
        let (mut one, mut other) = (pulse.heart(), pulse.heart());
        tokio::select! {
            felt = is_felt(&pulse) => assert!(!felt),
            () = one.beat_on() => {}
        }
        tokio::select! {
            felt = is_felt(&pulse) => assert!(felt),
            () = async { tokio::join!(one.beat_on(), other.beat_on()); } => {}
        }
        let ends = async {
            sleep(ACCIDENT).await;
            drop(other);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            felt = is_felt(&pulse) => assert!(felt),
            () = one.beat_on() => {}
            () = ends => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_only_fails_is_not_felt() {
        /// As the accept loop does it.
        async fn turns(heart: &mut Heart, fails: bool) {
            loop {
                tokio::select! {
                    () = heart.beat() => continue,
                    () = std::future::ready(()) => {}
                }
                if fails {
                    heart.fails();
                } else {
                    heart.works();
                }
                sleep(APART / 10).await;
            }
        }
        let pulse = Pulse::default();
        let mut heart = pulse.heart();
        // It is an accident as long as it does not last.
        tokio::select! {
            felt = is_felt(&pulse) => assert!(felt),
            () = turns(&mut heart, true) => {}
        }
        let lasts = timeout(2 * ACCIDENT, turns(&mut heart, true));
        assert!(lasts.await.is_err());
        tokio::select! {
            felt = is_felt(&pulse) => assert!(!felt),
            () = turns(&mut heart, true) => {}
        }
        // It recovers: it accepts again, or nobody is there to be accepted.
        tokio::select! {
            felt = is_felt(&pulse) => assert!(felt),
            () = turns(&mut heart, false) => {}
        }
        let lasts = timeout(2 * ACCIDENT, turns(&mut heart, true));
        assert!(lasts.await.is_err());
        tokio::select! {
            felt = is_felt(&pulse) => assert!(felt),
            () = heart.beat_on() => {}
        }
    }
}
