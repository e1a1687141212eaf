//! A process group of its own for each server, started with an environment that holds nothing it was not given.
//!
//! Invariants:
//! - A signal never meets a stranger: the group's id stays taken until the leader is reaped, and the leader is reaped
//!   last, after the last signal.
//! - When the [`Process`] or the last [`Group`] handle that may end it is dropped, the whole group is killed.

use std::ffi::{OsStr, OsString};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::signal::unix::{SignalKind, signal};

use super::explain::explain;
use super::limit::with_the_old_limit;
use crate::model::Secret;

/// The three pipes.
#[derive(Debug)]
pub struct Pipes {
    /// Its standard input.
    pub stdin: ChildStdin,
    /// Its standard output.
    pub stdout: ChildStdout,
    /// Its standard error.
    pub stderr: ChildStderr,
}

/// The process that was started, and the group it leads.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Arc<Group>,
    /// SIGCHLD, which says that it is worth looking.
    news: tokio::signal::unix::Signal,
}

/// The processes that began with ours, as long as there is something to end.
#[derive(Debug)]
pub struct Group {
    leader: Pid,
    exists: Mutex<bool>,
}

impl Process {
    /// Starts it with these variables and no others; of two with one name the later counts, `own` after `environment`.
    ///
    /// # Errors
    /// The reason, in words that say what to change.
    pub fn start(
        program: &str,
        args: &[String],
        environment: &[(String, OsString)],
        own: &[(String, Arc<Secret>)],
    ) -> Result<(Self, Pipes), String> {
        // Before the process, so that its end is not missed.
        let news = signal(SignalKind::child())
            .map_err(|error| format!("no process can be watched: {error}"))?;
        let mut command = tokio::process::Command::new(program);
        command
            .args(args)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .envs(own.iter().map(|(name, value)| (name, value.expose())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = with_the_old_limit(|| command.spawn(), leader)
            .map_err(|error| explain(&error, program, path(own, environment)))?;
        let leader = leader(&child);
        let pipes = child
            .stdin
            .take()
            .zip(child.stdout.take())
            .zip(child.stderr.take());
        // Neither can be missing: the process was not waited for, and all three were asked for.
        let (Some(leader), Some(((stdin, stdout), stderr))) = (leader, pipes) else {
            return Err("the process has no pipes".to_owned());
        };
        let group = Arc::new(Group {
            leader,
            exists: Mutex::new(true),
        });
        let process = Self { child, group, news };
        let pipes = Pipes {
            stdin,
            stdout,
            stderr,
        };
        Ok((process, pipes))
    }

    /// The group, for whoever may end it.
    pub fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Resolves when the leader has ended. It is not reaped.
    pub async fn ended(&mut self) {
        while !self.has_ended() {
            if self.news.recv().await.is_none() {
                // The runtime is going down, and this process with it.
                return;
            }
        }
    }

    fn has_ended(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // An error says that there is no such child any more.
        !matches!(waitid(WaitId::Pid(self.group.leader), look), Ok(None))
    }

    /// Kills what is left of the group, then reaps the leader. How it ended, in words.
    pub async fn reap(&mut self) -> String {
        match self.status().await {
            Ok(status) => format!("the process ended ({status})"),
            Err(error) => format!("the process ended in an unknown way ({error})"),
        }
    }

    /// Kills what is left of the group, then reaps the leader. How it ended.
    ///
    /// # Errors
    /// The system does not say.
    pub async fn status(&mut self) -> std::io::Result<ExitStatus> {
        self.group.end();
        self.child.wait().await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Before the fields: dropping the child may reap it.
        self.group.end();
    }
}

impl Group {
    /// Sends a signal to all of it. Once it is gone, to nobody.
    pub fn signal(&self, signal: Signal) {
        let exists = self.exists.lock().unwrap_or_else(PoisonError::into_inner);
        if *exists {
            // It fails where nobody is left, which is what was wanted.
            kill_process_group(self.leader, signal).ok();
        }
    }

    /// The last signal: from now on the leader may be reaped, and the id may be somebody else's.
    fn end(&self) {
        self.signal(Signal::KILL);
        *self.exists.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }
}

fn leader(child: &Child) -> Option<Pid> {
    let id = i32::try_from(child.id()?).ok()?;
    Pid::from_raw(id)
}

/// The PATH the child gets, which is also the one its program is looked up on.
fn path<'a>(
    own: &'a [(String, Arc<Secret>)],
    environment: &'a [(String, OsString)],
) -> Option<&'a OsStr> {
    let own = own.iter().rev().find(|(name, _)| name == "PATH");
    let given = environment.iter().rev().find(|(name, _)| name == "PATH");
    own.map(|(_, value)| OsStr::new(value.expose()))
        .or_else(|| given.map(|(_, value)| value.as_os_str()))
}
