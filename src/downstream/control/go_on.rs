//! `janus reexec`: Janus goes on as the program that is installed.

use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Answer, Problem};
use crate::downstream::Downstream;
use crate::model::AccountId;

/// Nobody is kept waiting for longer than clients wait for an answer.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// Somebody wants Janus to go on as the program that is installed, and waits for whether it does.
#[derive(Debug)]
pub struct GoOn {
    /// Calls that do not end in time are cut.
    pub force: bool,
    /// How long they get.
    pub wait: Duration,
    /// What comes.
    pub answer: oneshot::Sender<Result<Coming, NotNow>>,
}

/// The program that comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coming {
    /// Its version.
    pub version: String,
    /// What it does not change, in words for people: one line each.
    pub notes: Vec<String>,
}

/// Why it does not; all is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// The program does not take over.
    #[error("`{}` cannot take over: {why}", program.display())]
    Unable {
        /// Where it is.
        program: PathBuf,
        /// Why not.
        why: String,
        /// What helps.
        help: String,
    },
    /// A login lives in this process alone.
    #[error("a login is under way: {}", .0.iter().map(|(id, account)| format!("{account} ({id})")).collect::<Vec<_>>().join(", "))]
    LoginWaits(Vec<(String, AccountId)>),
    /// Somebody waits for an answer.
    #[error("calls did not end in time: {}", busy(*waiting, at))]
    Busy {
        /// Requests of clients.
        waiting: usize,
        /// What servers still work on.
        at: Vec<(AccountId, usize)>,
    },
}

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    force: bool,
    /// In milliseconds.
    wait: u64,
}

impl Downstream {
    /// Which program this process is now: what whoever asked for another one waits for.
    pub(super) fn life(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "lives": self.about.lives,
            "not_replaced": self.about.not_replaced,
        })
    }

    pub(super) async fn go_on(&self, wish: &Wish) -> Answer {
        let (answer, comes) = oneshot::channel();
        let asked = GoOn {
            force: wish.force,
            wait: Duration::from_millis(wish.wait).min(LONGEST_WAIT),
            answer,
        };
        let sent = match &self.about.go_on {
            Some(go_on) => go_on.send(asked).await.is_ok(),
            None => false,
        };
        match comes.await {
            Ok(Ok(coming)) if sent => Ok(json!({
                "goes_on": true,
                "from": env!("CARGO_PKG_VERSION"),
                "version": coming.version,
                "notes": coming.notes,
                "pid": std::process::id(),
                "lives": self.about.lives,
            })),
            Ok(Err(not_now)) if sent => Err(not_now.into()),
            _ if self.about.go_on.is_some() => Err(Problem::stopping()),
            _ => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "this daemon cannot become another program",
            )),
        }
    }
}

impl From<NotNow> for Problem {
    fn from(not_now: NotNow) -> Self {
        let (code, help) = match &not_now {
            NotNow::Unable { help, .. } => ("not_replaced", help.as_str()),
            NotNow::LoginWaits(_) => (
                "deferred",
                "janus reexec    # when it is done, or with --force",
            ),
            NotNow::Busy { .. } => (
                "deferred",
                "janus reexec    # later, or with --force, which cuts them",
            ),
        };
        let message = format!("nothing changed: {not_now}");
        let problem = Self::new(StatusCode::CONFLICT, code, message);
        let problem = match &not_now {
            NotNow::LoginWaits(logins) => {
                logins.iter().take(2).fold(problem, |it, (_, account)| {
                    it.help(format!("end it:  janus login {account} --cancel"))
                })
            }
            _ => problem,
        };
        problem.help(help)
    }
}

fn busy(waiting: usize, at: &[(AccountId, usize)]) -> String {
    let mut parts: Vec<String> = at
        .iter()
        .map(|(account, count)| format!("{count} at {account}"))
        .collect();
    if parts.is_empty() {
        parts.push(format!("{waiting} that Janus answers itself"));
    }
    parts.join(", ")
}
