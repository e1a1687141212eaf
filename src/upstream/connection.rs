//! One connection that is ready: its leg, and what its server said of itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::protocol::ServerFacts;

use super::key::Key;
use super::leg::Leg;

/// A ready connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) key: Key,
    pub(super) leg: Leg,
    pub(super) facts: Arc<ServerFacts>,
    used: Mutex<Instant>,
    gone: CancellationToken,
}

impl Connection {
    pub(super) fn new(key: Key, leg: Leg, facts: ServerFacts) -> Self {
        Self {
            key,
            leg,
            facts: Arc::new(facts),
            used: Mutex::new(Instant::now()),
            gone: CancellationToken::new(),
        }
    }

    /// Somebody uses it now.
    pub(super) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long nobody used it. A request under way is a use.
    pub(super) fn idle_for(&self) -> Duration {
        if self.leg.in_flight() > 0 {
            self.touch();
        }
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }

    /// Nobody shall use it again.
    pub(super) fn give_up(&self) {
        self.gone.cancel();
    }

    /// Whether somebody gave it up.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.is_cancelled()
    }

    /// Ends when the connection is of no more use; says why.
    pub(super) async fn ended(&self) -> String {
        tokio::select! {
            reason = self.leg.closed() => reason,
            () = self.gone.cancelled() => "it was given up".to_owned(),
        }
    }
}
