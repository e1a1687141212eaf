//! One child process that speaks MCP on its standard input and output, one message a line.
//!
//! Three tasks serve it: a writer with a bounded queue, a reader that hands every message to its exchange in order,
//! and a supervisor that sees the process to its end. The conversation itself is a [`Duplex`].
//!
//! Invariant: no process outlives the leg that started it, unless it was given to the program that Janus becomes.

mod lines;
mod stderr;
mod supervise;
#[cfg(test)]
mod tests;
mod writer;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rustix::process::Signal;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::lines::{Line, Lines};
use self::stderr::LastWords;
pub(crate) use self::supervise::Given as GivenAway;
use self::supervise::{Supervisor, Task};
use super::Failure;
use super::duplex::{Dispatcher, Duplex};
use super::handshake::unreachable;
use crate::model::{AccountId, Command, Secret, looks_secret};
use crate::process::{Group, Pipes, Process};
use crate::protocol::{Envelope, LONGEST_MESSAGE};

/// What a child gets: what every child gets, and what its account gives it.
pub(super) type Given<'a> = (&'a [(String, OsString)], &'a [(String, Arc<Secret>)]);

/// A running child. Dropping it kills the child's whole process group; [`Leg::stop`] is gentler.
#[derive(Debug)]
pub(crate) struct Leg {
    duplex: Duplex,
    group: Arc<Group>,
    stop: CancellationToken,
    leaving: CancellationToken,
    given: Mutex<Option<oneshot::Receiver<GivenAway>>>,
}

/// Whose a process is, and who listens to it.
pub(super) struct Owner {
    pub(super) account: AccountId,
    /// A request may go without any sign of progress for this long.
    pub(super) timeout: Duration,
    /// What the process says outside of any exchange.
    pub(super) inbox: mpsc::Sender<Envelope>,
    pub(super) tasks: TaskTracker,
}

impl Leg {
    /// Starts the process, with what its account gives it in `own`.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] with what to change.
    pub(super) fn start(
        owner: Owner,
        command: &Command,
        (environment, own): Given<'_>,
    ) -> Result<Self, Failure> {
        let (process, pipes) = Process::start(&command.program, &command.args, environment, own)
            .map_err(|reason| unreachable(&owner.account, reason))?;
        let own = own.iter().map(|(_, value)| Arc::clone(value));
        Ok(Self::stand(
            owner,
            process,
            (pipes, Bytes::new()),
            secrets(command, own),
        ))
    }

    /// Goes on with a process that was given away by the program that Janus was before, with the values it was given.
    ///
    /// # Errors
    /// [`Failure::Unreachable`]: it is gone.
    pub(super) fn adopt(
        owner: Owner,
        command: &Command,
        away: GivenAway,
        own: impl Iterator<Item = Arc<Secret>>,
    ) -> Result<Self, Failure> {
        let process =
            Process::adopt(away.process).map_err(|reason| unreachable(&owner.account, reason))?;
        let piped = (away.pipes, away.unread);
        Ok(Self::stand(owner, process, piped, secrets(command, own)))
    }

    fn stand(
        owner: Owner,
        process: Process,
        (pipes, unread): (Pipes, Bytes),
        secrets: Vec<Arc<Secret>>,
    ) -> Self {
        let Owner {
            account,
            timeout,
            inbox,
            tasks,
        } = owner;
        let last_words = Arc::<LastWords>::default();
        let [stop, closing, leaving] = std::array::from_fn(|_| CancellationToken::new());
        let (give, given) = oneshot::channel();
        let (duplex, behind) = Duplex::new(account.clone(), timeout, inbox, &tasks, stop.clone());
        let words = Arc::clone(&last_words);
        let group = Arc::clone(process.group());
        let reading = read(behind.dispatcher, (pipes.stdout, unread), leaving.clone());
        let (writing, left) = (
            writer::write(pipes.stdin, behind.queue, closing.clone()),
            leaving.clone(),
        );
        // A pipe that is not given away is closed at once: that is how a process is asked to end.
        let writing = async move { writing.await.filter(|_| left.is_cancelled()) };
        let following = stderr::follow(
            pipes.stderr,
            account.clone(),
            secrets,
            words,
            leaving.clone(),
        );
        let supervisor = Supervisor {
            account,
            process,
            last_words,
            stop: stop.clone(),
            closing,
            leaving: leaving.clone(),
            give: Some(give),
            reader: Task::spawn(&tasks, reading),
            writer: Task::spawn(&tasks, writing),
            stderr: Task::spawn(&tasks, following),
            end: behind.end,
        };
        tasks.spawn(supervisor.run());
        Self {
            duplex,
            group,
            stop,
            leaving,
            given: Mutex::new(Some(given)),
        }
    }

    /// Lets the process run on for the program that Janus becomes. Nothing may be under way with it. `None` if it ends,
    /// or does not read what it was sent.
    pub(crate) async fn give(&self) -> Option<GivenAway> {
        let given = self
            .given
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.leaving.cancel();
        given?.await.ok()
    }

    /// The conversation with it. To stop that is to end the process: its input is closed, then it is told to end, then
    /// it is killed, it and all it started.
    pub(crate) fn duplex(&self) -> &Duplex {
        &self.duplex
    }
}

/// What a process was told that must not show where it speaks: some servers take their token as an argument.
fn secrets(command: &Command, own: impl Iterator<Item = Arc<Secret>>) -> Vec<Arc<Secret>> {
    let arguments = command.args.iter().flat_map(|argument| argument.split('='));
    let arguments = arguments.filter(|word| looks_secret(word));
    own.chain(arguments.map(|word| Arc::new(Secret::new(word))))
        .collect()
}

/// Reads to the end, or until `leaving`; then gives back the pipe, and what it read of a line.
async fn read(
    dispatcher: Dispatcher,
    (stdout, unread): (Receiver, Bytes),
    leaving: CancellationToken,
) -> Option<(Receiver, Bytes)> {
    let mut lines = Lines::new(stdout, unread, LONGEST_MESSAGE);
    let mut left = std::pin::pin!(leaving.cancelled());
    loop {
        let line = tokio::select! {
            biased;
            line = lines.next() => line?,
            () = &mut left => return lines.into_parts(),
        };
        match line {
            Line::Whole(text) => dispatcher.line(text).await,
            Line::TooLong(found) => {
                let limit = LONGEST_MESSAGE / (1024 * 1024);
                dispatcher.unusable(found, &format!("a message is longer than {limit} MiB"));
            }
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
