//! How long a server may be silent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A limit on silence. Being heard costs a look at the clock, not a timer: the timer is moved when it rings.
#[derive(Debug)]
pub(super) struct Patience {
    limit: Option<Duration>,
    heard: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// `None` waits for ever.
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            heard: Instant::now(),
            timer: None,
        }
    }

    /// There was a sign of the server.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// Ready when the silence was too long.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(end) = self.limit.and_then(|limit| self.heard.checked_add(limit)) else {
                return Poll::Pending;
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            timer.as_mut().reset(end);
        }
    }
}
