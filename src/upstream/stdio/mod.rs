//! One child process that speaks MCP on its standard input and output, one message a line.
//!
//! Three tasks serve it: a writer with a bounded queue, a reader that hands every message to its exchange in order,
//! and a supervisor that sees the process to its end. Exchanges themselves run in the futures of their callers.
//!
//! Invariants:
//! - One exchange cannot hold up another, and neither a slow client nor a child that does not read holds up the reader.
//! - Every exchange ends: by its answer, by its timeout, by being dropped, or with the connection.
//! - No process outlives the leg that started it.

mod child;
mod dispatch;
mod explain;
mod lines;
mod long_line;
mod pending;
mod questions;
mod stderr;
mod supervise;
mod tally;
#[cfg(test)]
mod tests;
mod waiting;
mod writer;

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::child::{Group, Process};
use self::dispatch::Dispatcher;
use self::pending::{Pending, Table};
use self::stderr::LastWords;
use self::supervise::{Supervisor, Task};
use self::tally::Tally;
use self::waiting::Waiting;
use self::writer::{Closed, Outbox};
use super::Failure;
use super::wire::Outgoing;
use crate::model::{AccountId, Command, Secret, looks_secret};
use crate::protocol::{ClientFacts, Envelope, Era, Events, Json, Relayed};

/// A running child. Dropping it kills the child's whole process group; [`Leg::stop`] is gentler.
#[derive(Debug)]
pub(crate) struct Leg {
    account: AccountId,
    timeout: Duration,
    next_id: AtomicU64,
    table: Arc<Table>,
    outbox: Outbox,
    group: Arc<Group>,
    stop: CancellationToken,
    ended: watch::Receiver<Option<Arc<str>>>,
}

impl Leg {
    /// Starts the process. What it says outside of any exchange goes to `inbox`; a request may go without any sign of
    /// progress for `timeout`.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] with what to change.
    pub(crate) fn start(
        account: AccountId,
        command: &Command,
        environment: &[(String, OsString)],
        timeout: Duration,
        inbox: mpsc::Sender<Envelope>,
        tasks: &TaskTracker,
    ) -> Result<Self, Failure> {
        let (process, pipes) =
            Process::start(command, environment).map_err(|reason| Failure::Unreachable {
                account: account.clone(),
                reason,
                retry_in: None,
            })?;
        let table = Arc::<Table>::default();
        let last_words = Arc::<LastWords>::default();
        let (stop, closing) = (CancellationToken::new(), CancellationToken::new());
        let (outbox, queue) = Outbox::new(tasks.clone());
        let (end, ended) = watch::channel(None);
        let dispatcher = Dispatcher {
            account: account.clone(),
            table: Arc::clone(&table),
            outbox: outbox.clone(),
            inbox,
            tasks: tasks.clone(),
            unusable: Tally::default(),
            strays: Tally::default(),
            overflow: Tally::default(),
            unread: Tally::default(),
        };
        // Some servers take their token as an argument.
        let arguments = command.args.iter().flat_map(|argument| argument.split('='));
        let arguments = arguments.filter(|word| looks_secret(word)).map(Secret::new);
        let secrets = command
            .env
            .iter()
            .map(|(_, value)| value.clone())
            .chain(arguments)
            .collect();
        let words = Arc::clone(&last_words);
        let group = Arc::clone(process.group());
        let supervisor = Supervisor {
            account: account.clone(),
            process,
            table: Arc::clone(&table),
            last_words,
            stop: stop.clone(),
            closing: closing.clone(),
            reader: Task::spawn(tasks, dispatcher.run(pipes.stdout)),
            writer: Task::spawn(tasks, writer::write(pipes.stdin, queue, closing)),
            stderr: Task::spawn(
                tasks,
                stderr::follow(pipes.stderr, account.clone(), secrets, words),
            ),
            ended: end,
        };
        tasks.spawn(supervisor.run());
        Ok(Self {
            account,
            timeout,
            next_id: AtomicU64::new(1),
            table,
            outbox,
            group,
            stop,
            ended,
        })
    }

    /// Sends a request and waits for its answer. Dropping the future cancels the request. `client` is `None` for a
    /// request of Janus's own; `era` is the one the server speaks.
    ///
    /// # Errors
    /// How it ended without an answer, and whether the request was sent.
    pub(crate) async fn exchange(
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
    pub(crate) async fn send(&self, message: Json) -> Result<(), Failure> {
        self.room().await?.send(message.on_one_line());
        Ok(())
    }

    /// An id that no other request on this connection has.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Resolves with the reason when the process or one of its pipes is gone.
    pub(crate) fn closed(&self) -> impl Future<Output = String> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            let reason = ended.wait_for(Option::is_some).await;
            // The supervisor says why before it goes.
            reason.map_or_else(
                |_| String::new(),
                |reason| reason.as_deref().unwrap_or_default().to_owned(),
            )
        }
    }

    /// How many exchanges wait for an answer.
    pub(crate) fn in_flight(&self) -> usize {
        self.table.len()
    }

    /// Whether the server ever asked its client something.
    pub(crate) fn asked(&self) -> bool {
        self.table.asked()
    }

    /// Ends the process: its input is closed, then it is told to end, then it is killed, it and all it started.
    /// Resolves when it is gone; what still waits for an answer then fails. Goes on if it is dropped.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.closed().await;
    }

    /// Room in the queue, for which a request waits no longer than for its answer.
    async fn room(&self) -> Result<mpsc::Permit<'_, Json>, Failure> {
        if let Some(reason) = self.table.ended() {
            return Err(self.unreachable(&reason));
        }
        if self.stop.is_cancelled() {
            return Err(self.unreachable("Janus is stopping the process"));
        }
        match timeout(self.timeout, self.outbox.room()).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(Closed)) if self.stop.is_cancelled() => {
                Err(self.unreachable("Janus is stopping the process"))
            }
            // The pipe is broken; in a moment it is known why.
            Ok(Err(Closed)) => Err(self.unreachable(&self.closed().await)),
            Err(_) => Err(self.unreachable("the process does not read what it is sent")),
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

impl Drop for Leg {
    fn drop(&mut self) {
        self.stop.cancel();
        // Not left to the supervisor: the runtime may be going down, and tasks with it.
        self.group.signal(Signal::KILL);
    }
}
