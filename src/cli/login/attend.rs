//! From the link to the end: the daemon is asked how it stands, a person may paste, ^C goes away.

use std::io::{self, IsTerminal};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use zeroize::Zeroizing;

use super::paste::Lines;
use super::say;
use crate::cli::control::Control;
use crate::cli::{Exit, Failure, Output};

/// After this long without a word a hint is given: some providers refuse on their own page only.
const SILENCE: Duration = Duration::from_mins(5);

/// A login that a person is helped through.
pub(super) struct Attended<'a> {
    pub(super) pending: &'a Value,
    pub(super) control: &'a Control,
    pub(super) output: Output,
    /// Whether an address is taken from standard input whatever that is.
    pub(super) paste: bool,
    /// Whether this command began it.
    pub(super) ours: bool,
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
        let mut lines = self.takes_lines().then(Lines::read);
        let piped = self.paste && !io::stdin().is_terminal();
        let mut finishing = false;
        let mut hint = std::pin::pin!(sleep(SILENCE));
        let mut hinted = false;
        let interrupt = signal(SignalKind::interrupt());
        let mut interrupt = interrupt.map_err(|error| Failure::from(anyhow::Error::from(error)))?;
        let mut stood = std::pin::pin!(self.stands());
        loop {
            tokio::select! {
                answer = &mut stood => {
                    let answer = answer?;
                    match answer.get("state").and_then(Value::as_str) {
                        Some("logged_in") => return Ok(answer),
                        Some("finishing") if !finishing => {
                            finishing = true;
                            self.output.note("the answer has arrived; looking who that is");
                        }
                        _ => {}
                    }
                    stood.set(self.stands());
                }
                line = next(lines.as_mut()) => match line {
                    Some(line) if line.trim().is_empty() => {}
                    Some(line) => self.paste(line.trim(), piped).await?,
                    // Nothing more can be pasted; the browser may still come back by itself.
                    None => lines = None,
                },
                () = &mut hint, if !hinted => {
                    hinted = true;
                    self.output.note("still waiting; if it does not go on in the browser, the provider's page shows the reason");
                }
                _ = interrupt.recv() => return Err(self.interrupted().await),
            }
        }
    }

    /// How the login stands, when something happened or after a while.
    async fn stands(&self) -> Result<Value, Failure> {
        let known =
            json!({"login": say::text(self.pending, "login"), "seconds": self.control.held()});
        self.control
            .ask(Method::POST, "/login/wait", Some(&known))
            .await
    }

    /// Hands a pasted address on. What is no address of this login is said, and the wait goes on where a person sits.
    async fn paste(&self, address: &str, piped: bool) -> Result<(), Failure> {
        let paste = json!({"login": say::text(self.pending, "login"), "address": address});
        match self
            .control
            .ask(Method::POST, "/login/paste", Some(&paste))
            .await
        {
            Ok(_) => Ok(()),
            Err(failure) if piped => {
                self.end().await;
                Err(failure)
            }
            Err(failure) => {
                self.output.failure(&failure);
                self.output
                    .note("the login goes on: paste the address again, or let the browser load it");
                Ok(())
            }
        }
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

/// The next line, where lines are read.
async fn next(lines: Option<&mut Lines>) -> Option<Zeroizing<String>> {
    match lines {
        Some(lines) => lines.next().await,
        None => std::future::pending().await,
    }
}
