//! From the link to the end: the daemon is asked how it stands, a person may paste, ^C goes away.
//!
//! Invariant: nothing that is pasted ends a login but its own answer. Of a wrong address it is said what is wrong, and the
//! next line is read; where no more can come, the command ends and the login waits on.

use std::io::{self, IsTerminal};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until};
use zeroize::Zeroizing;

use super::paste::Lines;
use super::say;
use crate::cli::control::Control;
use crate::cli::table::in_seconds;
use crate::cli::{Exit, Failure, Output};

/// After this long without a word a hint is given: some providers refuse on their own page only.
const SILENCE: Duration = Duration::from_mins(5);
/// A daemon that stops lets its calls end first; one that systemd starts again is there a moment later.
const BACK: Duration = Duration::from_secs(15);
/// Between two looks whether it is.
const PAUSE: Duration = Duration::from_millis(200);

/// A login that a person is helped through.
pub(super) struct Attended<'a> {
    pub(super) pending: &'a Value,
    pub(super) control: &'a Control,
    pub(super) output: Output,
    /// Whether an address is taken from standard input whatever that is.
    pub(super) paste: bool,
    /// Whether this command began it.
    pub(super) ours: bool,
    /// When this command ends at latest (`--timeout`); the login does not.
    pub(super) ends: Option<Instant>,
}

impl Attended<'_> {
    /// Whether an address can be pasted here.
    pub(super) fn takes_lines(&self) -> bool {
        let comes_back = self
            .pending
            .get("redirect_uri")
            .is_some_and(Value::is_string);
        comes_back && (self.paste || (io::stdin().is_terminal() && !self.output.is_json()))
    }

    /// Waits until somebody is logged in.
    pub(super) async fn wait(&self) -> Result<Value, Failure> {
        let lines = self.takes_lines().then(Lines::read).transpose();
        let mut lines = lines.map_err(|error| Failure::from(anyhow::Error::from(error)))?;
        let mut finishing = false;
        let mut hint = std::pin::pin!(sleep(SILENCE));
        let mut hinted = false;
        let mut over = std::pin::pin!(self.over());
        let interrupt = signal(SignalKind::interrupt());
        let mut interrupt = interrupt.map_err(|error| Failure::from(anyhow::Error::from(error)))?;
        let mut stood = std::pin::pin!(self.stands_or_lost());
        loop {
            tokio::select! {
                answer = &mut stood => {
                    let answer = answer?;
                    match answer.get("state").and_then(Value::as_str) {
                        Some("logged_in") => return Ok(answer),
                        Some("finishing") if !finishing => {
                            finishing = true;
                            self.output.tell("the answer has arrived; looking who that is");
                        }
                        _ => {}
                    }
                    stood.set(self.stands_or_lost());
                }
                line = next(lines.as_mut()) => match line {
                    Some(line) if line.trim().is_empty() => {}
                    Some(line) => {
                        if self.paste(address(&line)).await {
                            lines = None;
                        }
                    }
                    None => {
                        lines = None;
                        self.nothing_more().await?;
                    }
                },
                () = &mut hint, if !hinted => {
                    hinted = true;
                    self.output.tell("still waiting; if it does not go on in the browser, the provider's page shows the reason");
                }
                () = &mut over => return Err(self.timed_out()),
                _ = interrupt.recv() => return Err(self.interrupted().await),
            }
        }
    }

    /// How the login stands, when something happened or after a while; where the daemon went away, what became of it.
    async fn stands_or_lost(&self) -> Result<Value, Failure> {
        let mut last = match self.stands(self.control.held()).await {
            Err(failure) if is_away(&failure) => failure,
            answered => return answered,
        };
        self.output
            .tell("the daemon stops; looking whether it comes back");
        let (end, account) = (Instant::now() + BACK, say::text(self.pending, "account"));
        let paste = if self.paste { " --paste" } else { "" };
        let again = format!("log in again:  janus login {account}{paste}");
        while Instant::now() < end {
            sleep(PAUSE).await;
            last = match self.stands(0).await {
                Err(failure) if is_away(&failure) => failure,
                Err(failure) if failure.parts().code == "login_unknown" => {
                    let said = format!(
                        "the daemon was restarted, and the login of {account} ended with it"
                    );
                    return Err(Failure::new(Exit::NeedsLogin, "login_lost", said).help(again));
                }
                answered => return answered,
            };
        }
        let failure = last.because(format!("the login of {account} ended with the daemon"));
        Err(failure.help(again))
    }

    /// How the login stands, when something happened or after so many seconds.
    async fn stands(&self, seconds: u64) -> Result<Value, Failure> {
        let known = json!({"login": say::text(self.pending, "login"), "seconds": seconds});
        self.control
            .ask(Method::POST, "/login/wait", Some(&known))
            .await
    }

    /// Hands a pasted address on, and says what is wrong with it. Whether the login took it.
    async fn paste(&self, address: &str) -> bool {
        let paste = json!({"login": say::text(self.pending, "login"), "address": address});
        let pasted = self
            .control
            .ask(Method::POST, "/login/paste", Some(&paste))
            .await;
        let Err(failure) = pasted else {
            return true;
        };
        self.output.failure(&failure);
        if io::stdin().is_terminal() {
            self.output
                .tell("the login goes on: paste the address again, or let the browser load it");
        }
        false
    }

    /// Nothing can be pasted any more. At a terminal the browser may still come back by itself, and somebody sees that it
    /// is waited for; where lines were piped in they were the answer, unless another one is there already.
    async fn nothing_more(&self) -> Result<(), Failure> {
        let id = say::text(self.pending, "login");
        if io::stdin().is_terminal() {
            let until = in_seconds(say::number(self.pending, "expires_in").unwrap_or_default());
            self.output.tell(&format!(
                "nothing more to read; waiting for the browser until {until}"
            ));
            return Ok(());
        }
        let stands = self.stands(0).await?;
        if say::text(&stands, "state") != "waiting" {
            return Ok(());
        }
        let account = say::text(self.pending, "account");
        let why = "standard input ended, and the address of this login was not there";
        Err(Failure::new(Exit::Usage, "no_address", why)
            .help(format!(
                "the login waits on; hand the address over:  janus login --paste --wait {id}"
            ))
            .help(format!("or wait for the browser:  janus login --wait {id}"))
            .help(format!(
                "to begin one and read nothing:  janus login {account} --no-wait"
            )))
    }

    /// Resolves when this command shall end, if it ever shall.
    async fn over(&self) {
        match self.ends {
            Some(ends) => sleep_until(ends).await,
            None => std::future::pending().await,
        }
    }

    fn timed_out(&self) -> Failure {
        let id = say::text(self.pending, "login");
        let account = say::text(self.pending, "account");
        let said = format!("nobody logged in to {account} in this time");
        Failure::new(Exit::Failed, "timed_out", said)
            .help(format!(
                "the login itself goes on; attend it:  janus login --wait {id}"
            ))
            .help(format!("or end it:  janus login --cancel {id}"))
    }

    async fn interrupted(&self) -> Failure {
        let id = say::text(self.pending, "login");
        let failure = Failure::new(Exit::Interrupted, "interrupted", "interrupted");
        if self.ours {
            self.end().await;
            return failure;
        }
        failure.help(format!(
            "the login waits on; take it up again:  janus login --wait {id}"
        ))
    }

    async fn end(&self) {
        let known = json!({"login": say::text(self.pending, "login")});
        // It ends by itself if this is not heard.
        drop(
            self.control
                .ask(Method::POST, "/login/cancel", Some(&known))
                .await,
        );
    }
}

/// What was pasted, without what it was copied with.
fn address(line: &str) -> &str {
    line.trim_matches(|around: char| around.is_whitespace() || "'\"`<>".contains(around))
}

/// Whether a request failed because the daemon stops, or is gone.
fn is_away(failure: &Failure) -> bool {
    failure.exit() == Exit::NoDaemon || failure.parts().code == "stopping"
}

/// The next line, where lines are read.
async fn next(lines: Option<&mut Lines>) -> Option<Zeroizing<String>> {
    match lines {
        Some(lines) => lines.next().await,
        None => std::future::pending().await,
    }
}
