//! The one task that sees a child to its end, whichever of them ends first: the process, a pipe, or our wish.
//!
//! Invariants:
//! - What the child wrote before its end is read before its exchanges fail.
//! - When the end is told, the group is gone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::stderr::LastWords;
use crate::model::AccountId;
use crate::process::{Pipes, Process};
use crate::upstream::duplex::End;

/// The end of its input is how a server on stdio is asked to end (2025-11-25, basic/lifecycle#shutdown). Those that
/// listen for it need milliseconds; the others should not hold up a restart of Janus.
const AFTER_INPUT: Duration = Duration::from_secs(2);
/// After SIGTERM there may be something to write to disk. Together with the above well below the 10 s that process
/// managers commonly give before they kill.
const AFTER_TERM: Duration = Duration::from_secs(3);
/// Nothing survives SIGKILL, but a process in the middle of a system call ends after it.
const AFTER_KILL: Duration = Duration::from_secs(2);
/// A process that closes a pipe is usually about to end, and how it ends says more than that a pipe was closed.
const LAST_MOMENT: Duration = Duration::from_secs(1);
/// What a dead process wrote is in the pipe already. Only its own children can keep the pipe open for longer.
const DRAIN: Duration = Duration::from_millis(500);

/// A task, how to see that it has ended, however it did, and what it leaves if it ends by itself.
#[derive(Debug)]
pub(super) struct Task<T> {
    done: CancellationToken,
    abort: AbortHandle,
    left: oneshot::Receiver<T>,
}

impl<T: Send + 'static> Task<T> {
    /// Starts it.
    pub(super) fn spawn(
        tasks: &TaskTracker,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        let done = CancellationToken::new();
        let guard = done.clone().drop_guard();
        let (leave, left) = oneshot::channel();
        let task = tasks.spawn(async move {
            // Nobody may want it.
            leave.send(future.await).ok();
            drop(guard);
        });
        Self {
            done,
            abort: task.abort_handle(),
            left,
        }
    }
}

/// A child that runs on under the program that this process becomes.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) process: i32,
    pub(crate) pipes: Pipes,
    /// What it wrote of a line that has not ended.
    pub(crate) unread: Bytes,
}

/// All there is to see to.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) account: AccountId,
    pub(super) process: Process,
    pub(super) last_words: Arc<LastWords>,
    /// Janus wants it to end.
    pub(super) stop: CancellationToken,
    /// The writer shall write what it has and close the pipe.
    pub(super) closing: CancellationToken,
    /// Janus becomes another program, and the process goes along; the readers shall stop where they are.
    pub(super) leaving: CancellationToken,
    /// Who waits for it then.
    pub(super) give: Option<oneshot::Sender<Given>>,
    pub(super) reader: Task<Option<(Receiver, Bytes)>>,
    pub(super) writer: Task<Option<Sender>>,
    pub(super) stderr: Task<Receiver>,
    /// Tells the exchanges.
    pub(super) end: End,
}

#[derive(Debug, Clone, Copy)]
enum Cause {
    Stopped,
    Exited,
    OutputClosed,
    InputClosed,
}

impl Supervisor {
    /// Waits for the end, and sees to it.
    pub(super) async fn run(mut self) {
        let cause = tokio::select! {
            biased;
            () = self.stop.cancelled() => Cause::Stopped,
            () = self.leaving.cancelled() => {
                if self.give().await {
                    return;
                }
                Cause::Stopped
            }
            () = self.process.ended() => Cause::Exited,
            () = self.reader.done.cancelled() => Cause::OutputClosed,
            () = self.writer.done.cancelled() => Cause::InputClosed,
        };
        let pipe = match cause {
            Cause::Stopped | Cause::Exited => None,
            Cause::OutputClosed => Some("its standard output"),
            Cause::InputClosed => Some("its standard input"),
        };
        if let Some(pipe) = pipe
            && timeout(LAST_MOMENT, self.process.ended()).await.is_err()
        {
            self.end
                .tell(&format!("the process closed {pipe} and went on running"));
        }
        if !matches!(cause, Cause::Exited) {
            self.stop_process().await;
        }
        let reason = self.clear_up().await;
        if matches!(cause, Cause::Stopped) {
            self.end.tell("Janus stopped the process");
        } else {
            tracing::warn!(target: "janus::server", account = %self.account, "{reason}");
            self.end
                .tell(&format!("{reason}{}", self.last_words.told()));
        }
    }

    /// Gives it to whoever waits for it, once all is written that was to be; whether that was possible.
    async fn give(&mut self) -> bool {
        self.closing.cancel();
        let pipes = async {
            let stdin = (&mut self.writer.left).await.ok()??;
            let (stdout, unread) = (&mut self.reader.left).await.ok()??;
            let stderr = (&mut self.stderr.left).await.ok()?;
            let pipes = Pipes {
                stdin,
                stdout,
                stderr,
            };
            Some((pipes, unread))
        };
        let Some(give) = self.give.take() else {
            return false;
        };
        let Ok(Some((pipes, unread))) = timeout(LAST_MOMENT, pipes).await else {
            return false;
        };
        let process = self.process.give();
        self.end.tell("Janus goes on as another program");
        // If nobody waits any more, Janus is about to end, and the process sees its input close.
        let given = Given {
            process,
            pipes,
            unread,
        };
        give.send(given).is_ok()
    }

    /// Asks it to end, then tells it, then makes it.
    async fn stop_process(&mut self) {
        self.closing.cancel();
        if timeout(AFTER_INPUT, self.gone()).await.is_ok() {
            return;
        }
        self.process.group().signal(Signal::TERM);
        if timeout(AFTER_TERM, self.gone()).await.is_ok() {
            return;
        }
        self.process.group().signal(Signal::KILL);
    }

    /// The leader has ended, and nobody holds its output: a shell that only started the server ends before it does.
    async fn gone(&mut self) {
        self.process.ended().await;
        self.reader.done.cancelled().await;
    }

    /// Reads what is left, kills what is left, reaps. How the process ended.
    async fn clear_up(&mut self) -> String {
        // Each of these waits ends in time where nothing is wrong, and what is wrong is cut off below.
        timeout(DRAIN, self.reader.done.cancelled()).await.ok();
        let reason = timeout(AFTER_KILL, self.process.reap())
            .await
            .unwrap_or_else(|_| "the process cannot be killed".to_owned());
        self.closing.cancel();
        timeout(DRAIN, self.reader.done.cancelled()).await.ok();
        timeout(DRAIN, self.stderr.done.cancelled()).await.ok();
        for abort in [&self.reader.abort, &self.writer.abort, &self.stderr.abort] {
            abort.abort();
        }
        reason
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.end.tell("Janus no longer watches the process");
    }
}
