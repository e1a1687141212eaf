//! A process group of its own for each server, started with an environment that holds nothing it was not given.
//!
//! Invariants:
//! - A signal never meets a stranger: the group's id stays taken until the leader is reaped, and the leader is reaped
//!   last, after the last signal.
//! - When the [`Process`] or the last [`Group`] handle that may end it is dropped, the whole group is killed, unless it
//!   was given to the program that this process becomes.

use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, waitid, waitpid,
};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use super::explain::explain;
use super::limit::with_the_old_limit;
use crate::model::Secret;

/// The three pipes.
#[derive(Debug)]
pub struct Pipes {
    /// Its standard input.
    pub stdin: Sender,
    /// Its standard output.
    pub stdout: Receiver,
    /// Its standard error.
    pub stderr: Receiver,
}

/// The process that was started, and the group it leads.
#[derive(Debug)]
pub struct Process {
    /// `None` for one that an earlier program of this process started.
    child: Option<Child>,
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
        // Neither can be missing: the process was not waited for, and all three were asked for.
        let leader = leader(&child).ok_or("the process has ended already")?;
        let pipes = pipes(&mut child).map_err(|error| format!("it has no pipes: {error}"))?;
        let process = Self {
            child: Some(child),
            group: Group::of(leader),
            news,
        };
        Ok((process, pipes))
    }

    /// Goes on with a child that an earlier program of this process started, with its id from [`Process::give`].
    ///
    /// # Errors
    /// The reason, in words.
    pub fn adopt(id: i32) -> Result<Self, String> {
        let news = signal(SignalKind::child())
            .map_err(|error| format!("no process can be watched: {error}"))?;
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let leader = Pid::from_raw(id).filter(|leader| waitid(WaitId::Pid(*leader), look).is_ok());
        Ok(Self {
            child: None,
            group: Group::of(leader.ok_or("it is no child of this process")?),
            news,
        })
    }

    /// Lets it run on under the program that this process becomes, which needs this id.
    pub fn give(&mut self) -> i32 {
        let id = self.group.leader.as_raw_nonzero().get();
        self.group.leave();
        // Dropping it would kill the process.
        let _child = self.child.take().map(ManuallyDrop::new);
        id
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
    pub async fn status(&mut self) -> io::Result<ExitStatus> {
        self.group.end();
        if let Some(child) = &mut self.child {
            return child.wait().await;
        }
        self.ended().await;
        match waitpid(Some(self.group.leader), WaitOptions::NOHANG)? {
            Some((_, status)) => Ok(ExitStatus::from_raw(status.as_raw())),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Before the fields: dropping the child may reap it.
        self.group.end();
    }
}

impl Group {
    fn of(leader: Pid) -> Arc<Self> {
        Arc::new(Self {
            leader,
            exists: Mutex::new(true),
        })
    }

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
        self.leave();
    }

    /// From now on it is nobody's who has this.
    fn leave(&self) {
        *self.exists.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }
}

/// Its ends of the pipes, in a form that another program can be given.
fn pipes(child: &mut Child) -> io::Result<Pipes> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let stdin = child.stdin.take().ok_or_else(missing)?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;
    Ok(Pipes {
        stdin: Sender::from_owned_fd(stdin.into_owned_fd()?)?,
        stdout: Receiver::from_owned_fd(stdout.into_owned_fd()?)?,
        stderr: Receiver::from_owned_fd(stderr.into_owned_fd()?)?,
    })
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
