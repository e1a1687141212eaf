//! A conversation on one pipe in each direction: whatever the server says, comes on the same stream and does not say
//! which call it belongs to. A process speaks so, and so does a server of HTTP+SSE.
//!
//! A [`Duplex`] is the end that calls take; the transport behind it writes what is in the queue, gives every message
//! that comes to the [`Dispatcher`], and says through [`End`] when it is over. Exchanges themselves run in the futures
//! of their callers.
//!
//! Invariants:
//! - One exchange cannot hold up another, and neither a slow client nor a server that does not read holds up the
//!   reader.
//! - Every exchange ends: by its answer, by its timeout, by being dropped, or with the connection.

mod dispatch;
mod long_line;
mod outbox;
mod pending;
mod questions;
mod tally;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) use self::dispatch::Dispatcher;
pub(super) use self::long_line::{Found, Scan};
#[cfg(test)]
pub(super) use self::outbox::QUEUE;
pub(super) use self::outbox::{Closed, Outbox};

use self::pending::{Pending, Table};
use self::waiting::Waiting;
use super::Failure;
use super::wire::Outgoing;
use crate::model::AccountId;
use crate::protocol::{ClientFacts, Envelope, Era, Events, Json, Relayed};

/// The end that calls take.
#[derive(Debug)]
pub(super) struct Duplex {
    account: AccountId,
    timeout: Duration,
    next_id: AtomicU64,
    table: Arc<Table>,
    outbox: Outbox,
    /// Janus wants it to end.
    stop: CancellationToken,
    ended: watch::Receiver<Option<Arc<str>>>,
}

/// What the transport behind it needs.
pub(super) struct Behind {
    /// Takes what the server says.
    pub(super) dispatcher: Dispatcher,
    /// What is to be sent, in order.
    pub(super) queue: mpsc::Receiver<Json>,
    /// Says when it is over.
    pub(super) end: End,
}

/// The end of a conversation, told once.
#[derive(Debug)]
pub(super) struct End {
    account: AccountId,
    table: Arc<Table>,
    ended: watch::Sender<Option<Arc<str>>>,
}

impl Duplex {
    /// A conversation. What the server says outside of any exchange goes to `inbox`; a request may go without any sign
    /// of progress for `timeout`; `stop` is cancelled when Janus wants the end.
    pub(super) fn new(
        account: AccountId,
        timeout: Duration,
        inbox: mpsc::Sender<Envelope>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> (Self, Behind) {
        let table = Arc::<Table>::default();
        let (outbox, queue) = Outbox::new(tasks.clone());
        let (end, ended) = watch::channel(None);
        let dispatcher = Dispatcher::new(
            account.clone(),
            Arc::clone(&table),
            outbox.clone(),
            inbox,
            tasks.clone(),
        );
        let behind = Behind {
            dispatcher,
            queue,
            end: End {
                account: account.clone(),
                table: Arc::clone(&table),
                ended: end,
            },
        };
        let duplex = Self {
            account,
            timeout,
            next_id: AtomicU64::new(1),
            table,
            outbox,
            stop,
            ended,
        };
        (duplex, behind)
    }

    /// Sends a request and waits for its answer. Dropping the future cancels the request. `client` is `None` for a
    /// request of Janus's own; `era` is the one the server speaks.
    ///
    /// # Errors
    /// How it ended without an answer, and whether the request was sent.
    pub(super) async fn exchange(
        &self,
        outgoing: &Outgoing,
        client: Option<&Arc<ClientFacts>>,
        era: Era,
        events: &Events,
    ) -> Result<Relayed, Failure> {
        let room = self.room().await?;
        let (ending, ended) = oneshot::channel();
        let pending = Pending {
            client_id: outgoing.client_id.clone(),
            identity: outgoing.identity.clone(),
            token: outgoing.token.clone(),
            era,
            client: client.cloned(),
            listen: outgoing.is_listen(),
            events: events.clone(),
            ending,
        };
        self.table
            .enter(outgoing.id, pending)
            .map_err(|reason| self.unreachable(&reason))?;
        let waiting = Waiting {
            table: &self.table,
            outbox: &self.outbox,
            outgoing,
        };
        // In the table before it is sent: the answer may be there at once.
        room.send(outgoing.text.clone());
        match waiting.ending(ended, self.timeout).await {
            Some(Ok(ending)) => ending,
            // Its entry was displaced, which an id that is given out once cannot be.
            Some(Err(_)) => Err(Failure::Interrupted {
                account: self.account.clone(),
                reason: "the request was lost".to_owned(),
            }),
            None => Err(Failure::TimedOut {
                account: self.account.clone(),
                waited: self.timeout,
            }),
        }
    }

    /// Sends a notification or a response.
    ///
    /// # Errors
    /// [`Failure::Unreachable`]: it was not sent.
    pub(super) async fn send(&self, message: Json) -> Result<(), Failure> {
        self.room().await?.send(message.on_one_line());
        Ok(())
    }

    /// An id that no other request on this connection has.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Goes on where an earlier program of this process stopped: with the next id, and whether the server ever asked.
    pub(super) fn go_on(&self, next_id: u64, asked: bool) {
        self.next_id.store(next_id, Ordering::Relaxed);
        if asked {
            self.table.note_asked();
        }
    }

    /// How many requests of clients wait for an answer.
    pub(super) fn calls(&self) -> usize {
        self.table.calls()
    }

    /// Resolves with the reason when the conversation is over.
    pub(super) fn closed(&self) -> impl Future<Output = String> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            let reason = ended.wait_for(Option::is_some).await;
            // Whoever ends it says why before it goes.
            reason.map_or_else(
                |_| String::new(),
                |reason| reason.as_deref().unwrap_or_default().to_owned(),
            )
        }
    }

    /// How many exchanges wait for an answer.
    pub(super) fn in_flight(&self) -> usize {
        self.table.len()
    }

    /// Whether the server ever asked its client something.
    pub(super) fn asked(&self) -> bool {
        self.table.asked()
    }

    /// Ends it. Resolves when it is over; what still waits for an answer then fails. Goes on if it is dropped.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.closed().await;
    }

    /// Room in the queue, for which a request waits no longer than for its answer.
    async fn room(&self) -> Result<mpsc::Permit<'_, Json>, Failure> {
        if let Some(reason) = self.table.ended() {
            return Err(self.unreachable(&reason));
        }
        if self.stop.is_cancelled() {
            return Err(self.unreachable(STOPPING));
        }
        match timeout(self.timeout, self.outbox.room()).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(Closed)) if self.stop.is_cancelled() => Err(self.unreachable(STOPPING)),
            // The pipe is broken; in a moment it is known why.
            Ok(Err(Closed)) => Err(self.unreachable(&self.closed().await)),
            Err(_) => Err(self.unreachable("it does not read what it is sent")),
        }
    }

    fn unreachable(&self, reason: &str) -> Failure {
        Failure::Unreachable {
            account: self.account.clone(),
            reason: reason.to_owned(),
            retry_in: None,
        }
    }
}

const STOPPING: &str = "Janus is ending the conversation";

impl End {
    /// Tells everybody. Only the first reason counts.
    pub(super) fn tell(&self, reason: &str) {
        let reason: Arc<str> = reason.into();
        for pending in self.table.end(&reason) {
            let failure = Failure::Interrupted {
                account: self.account.clone(),
                reason: reason.to_string(),
            };
            // Nobody waits for it any more.
            pending.ending.send(Err(failure)).ok();
        }
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(reason);
            first
        });
    }

    /// One request fails while the conversation goes on: it could not be sent.
    pub(super) fn fail(&self, id: u64, failure: Failure) {
        if let Some(pending) = self.table.take(id) {
            // Nobody waits for it any more.
            pending.ending.send(Err(failure)).ok();
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.tell("nobody sees to the conversation any more");
    }
}
