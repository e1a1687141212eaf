//! Waiting for the answer to one request.
//!
//! Invariants:
//! - Whoever stops waiting before the answer came takes the exchange out of the table and tells the server, by
//!   timeout or by being dropped alike; after the answer nothing is sent.
//! - `initialize` is never cancelled (2025-11-25, basic/utilities/cancellation), and a subscription never times out.

use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::outbox::Outbox;
use super::pending::{Ending, Patience, Table, after};
use crate::protocol::Envelope;
use crate::upstream::wire::Outgoing;

/// An exchange that is in the table.
pub(super) struct Waiting<'a> {
    pub(super) table: &'a Table,
    pub(super) outbox: &'a Outbox,
    pub(super) outgoing: &'a Outgoing,
}

impl Waiting<'_> {
    /// How the exchange ends; `None` if the server gives no sign for as long as `timeout`.
    pub(super) async fn ending(
        &self,
        mut ending: oneshot::Receiver<Ending>,
        timeout: Duration,
    ) -> Option<Result<Ending, oneshot::error::RecvError>> {
        if self.outgoing.is_listen() {
            return Some(ending.await);
        }
        let mut until = after(Instant::now(), timeout);
        loop {
            tokio::select! {
                biased;
                ending = &mut ending => return Some(ending),
                () = sleep_until(until) => {}
            }
            match self.table.patience(self.outgoing.id, timeout) {
                Patience::Until(later) => until = later,
                Patience::Over => return None,
                // On its way from the reader.
                Patience::Ended => return Some(ending.await),
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let open = self.table.take(self.outgoing.id).is_some();
        if open && self.outgoing.method != "initialize" {
            let params = json!({"requestId": self.outgoing.id});
            let cancelled = Envelope::notification("notifications/cancelled", &params);
            self.outbox.post(cancelled.json().clone());
        }
    }
}
