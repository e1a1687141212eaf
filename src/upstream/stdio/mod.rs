//! One child process that speaks MCP on its standard input and output, one message a line.
//!
//! Three tasks serve it: a writer with a bounded queue, a reader that hands every message to its exchange in order,
//! and a supervisor that sees the process to its end. The conversation itself is a [`Duplex`].
//!
//! Invariant: no process outlives the leg that started it.

mod lines;
mod stderr;
mod supervise;
#[cfg(test)]
mod tests;
mod writer;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::lines::{Line, Lines};
use self::stderr::LastWords;
use self::supervise::{Supervisor, Task};
use super::Failure;
use super::duplex::{Dispatcher, Duplex};
use crate::model::{AccountId, Command, Secret, looks_secret};
use crate::process::{Group, Process};
use crate::protocol::{Envelope, LONGEST_MESSAGE};

/// What a child gets: what every child gets, and what its account gives it.
pub(super) type Given<'a> = (&'a [(String, OsString)], &'a [(String, Arc<Secret>)]);

/// A running child. Dropping it kills the child's whole process group; [`Leg::stop`] is gentler.
#[derive(Debug)]
pub(crate) struct Leg {
    duplex: Duplex,
    group: Arc<Group>,
    stop: CancellationToken,
}

impl Leg {
    /// Starts the process, with what its account gives it in `own`. What it says outside of any exchange goes to `inbox`; a request may go without any sign of
    /// progress for `timeout`.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] with what to change.
    pub(crate) fn start(
        account: AccountId,
        command: &Command,
        (environment, own): Given<'_>,
        timeout: Duration,
        inbox: mpsc::Sender<Envelope>,
        tasks: &TaskTracker,
    ) -> Result<Self, Failure> {
        let (process, pipes) = Process::start(&command.program, &command.args, environment, own)
            .map_err(|reason| Failure::Unreachable {
                account: account.clone(),
                reason,
                retry_in: None,
            })?;
        let last_words = Arc::<LastWords>::default();
        let (stop, closing) = (CancellationToken::new(), CancellationToken::new());
        let (duplex, behind) = Duplex::new(account.clone(), timeout, inbox, tasks, stop.clone());
        // Some servers take their token as an argument.
        let arguments = command.args.iter().flat_map(|argument| argument.split('='));
        let arguments = arguments.filter(|word| looks_secret(word));
        let arguments = arguments.map(|word| Arc::new(Secret::new(word)));
        let secrets = own
            .iter()
            .map(|(_, value)| Arc::clone(value))
            .chain(arguments)
            .collect();
        let words = Arc::clone(&last_words);
        let group = Arc::clone(process.group());
        let supervisor = Supervisor {
            account: account.clone(),
            process,
            last_words,
            stop: stop.clone(),
            closing: closing.clone(),
            reader: Task::spawn(tasks, read(behind.dispatcher, pipes.stdout)),
            writer: Task::spawn(tasks, writer::write(pipes.stdin, behind.queue, closing)),
            stderr: Task::spawn(tasks, stderr::follow(pipes.stderr, account, secrets, words)),
            end: behind.end,
        };
        tasks.spawn(supervisor.run());
        Ok(Self {
            duplex,
            group,
            stop,
        })
    }

    /// The conversation with it. To stop that is to end the process: its input is closed, then it is told to end, then
    /// it is killed, it and all it started.
    pub(crate) fn duplex(&self) -> &Duplex {
        &self.duplex
    }
}

/// Reads to the end.
async fn read(dispatcher: Dispatcher, stdout: impl AsyncRead + Unpin) {
    let mut lines = Lines::new(stdout, LONGEST_MESSAGE);
    while let Some(line) = lines.next().await {
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
