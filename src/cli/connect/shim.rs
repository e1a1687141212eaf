//! The shim at work: one loop over four streams of bytes, the client's two and the daemon's two.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::{Instant, sleep_until, timeout};

use super::ledger::Ledger;
use super::lines::{Line, Lines};
use super::link::{Event, Link};
use super::session::line;
use super::wire::{Door, NotOpened};
use crate::protocol::{LONGEST_MESSAGE, RpcError, code};

/// A daemon that restarts is back before: its own limit for calls in flight is ten seconds, and it starts in one.
const RESTART: Duration = Duration::from_secs(30);
/// A daemon that was not there yet when the client came may just be starting too.
const START: Duration = Duration::from_secs(5);
/// What is asked of a daemon that has been away for longer: one look whether it is back.
const LOOK: Duration = Duration::from_secs(1);
/// Answers that a client still gets after its input ended: the daemon goes on a little shorter.
const LAST_ANSWERS: Duration = Duration::from_secs(12);
/// The same after a signal: whoever sends one does not wait long.
const LAST_ANSWERS_AFTER_SIGNAL: Duration = Duration::from_secs(2);
/// For a client that does not read what it is told at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What the client has not read yet; beyond this the daemon is not read.
const UNREAD: usize = 1024 * 1024;

/// Between one client and the daemon.
#[derive(Debug)]
pub(super) struct Shim<I, O> {
    door: Arc<Door>,
    client: Lines<BufReader<I>>,
    output: O,
    unread: BytesMut,
    ledger: Ledger,
    link: Link,
    /// The session to come back to, as the daemon named it.
    session: Option<String>,
    /// Whether the daemon was ever there.
    met: bool,
    /// The client said all it had to say: until when it still gets answers.
    leaving: Option<Instant>,
    over: bool,
}

impl<I: AsyncRead + Unpin, O: AsyncWrite + Unpin> Shim<I, O> {
    /// Between this client and what is behind that door.
    pub(super) fn new(door: Door, input: I, output: O) -> Self {
        Self {
            door: Arc::new(door),
            client: Lines::new(BufReader::new(input), LONGEST_MESSAGE),
            output,
            unread: BytesMut::new(),
            ledger: Ledger::default(),
            link: Link::new(),
            session: None,
            met: false,
            leaving: None,
            over: false,
        }
    }

    /// Serves the client until its input ends or `stop` does.
    ///
    /// # Errors
    /// `stop` failed.
    pub(super) async fn run(
        mut self,
        stop: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let (mut stop, mut stopped) = (pin!(stop), false);
        loop {
            self.feed().await;
            if self.over {
                break;
            }
            let listens = self.leaving.is_none() && self.ledger.has_room();
            let (room, due) = (self.unread.len() < UNREAD, self.due());
            tokio::select! {
                said = self.client.next(), if listens => self.said(said),
                event = self.link.next(room) => self.happened(event),
                written = write(&mut self.output, &mut self.unread) => {
                    if written.is_err() {
                        // Nobody reads any more.
                        return Ok(());
                    }
                }
                () = until(due) => self.late(),
                asked = &mut stop, if !stopped => {
                    asked?;
                    stopped = true;
                    self.leave(LAST_ANSWERS_AFTER_SIGNAL);
                }
            }
        }
        let last_words = async {
            self.output.write_all(&self.unread).await?;
            self.output.flush().await
        };
        if !matches!(timeout(LAST_WORDS, last_words).await, Ok(Ok(()))) {
            tracing::debug!("the client did not read to the end");
        }
        Ok(())
    }

    /// Hands the next line on, or ends the connection when there will be none.
    async fn feed(&mut self) {
        match &mut self.link {
            Link::Up(up) if up.is_free() => match self.ledger.next() {
                Some(entry) => up.send(entry),
                None if self.leaving.is_some() => up.leave().await,
                None => {}
            },
            Link::Up(_) => {}
            Link::Away(_) => {
                let done = self.leaving.is_some() && self.ledger.waiting_since().is_none();
                self.over |= done;
            }
        }
    }

    /// The client said something, or nothing more.
    fn said(&mut self, said: std::io::Result<Option<Line>>) {
        match said {
            Ok(Some(Line::Text(text))) => {
                let now = Instant::now();
                let told = self.ledger.said(text, now);
                self.tell(told);
                if let Link::Away(away) = &mut self.link {
                    away.hurry(now);
                }
            }
            Ok(Some(Line::TooLong)) => {
                let error = RpcError::new(code::INVALID_REQUEST, "a message has at most 16 MiB");
                self.tell([line(&error.text(None))]);
            }
            Ok(None) | Err(_) => self.leave(LAST_ANSWERS),
        }
    }

    fn leave(&mut self, within: Duration) {
        let until = Instant::now() + within;
        self.leaving = Some(self.leaving.map_or(until, |before| before.min(until)));
    }

    fn tell(&mut self, lines: impl IntoIterator<Item = Bytes>) {
        for line in lines {
            self.unread.extend_from_slice(&line);
        }
    }

    /// Something happened on the way to the daemon.
    fn happened(&mut self, event: Event) {
        match event {
            Event::Heard(text) => {
                if self.ledger.heard(&text) {
                    self.tell([text]);
                }
            }
            Event::Sent(entry) => {
                if let Some(entry) = entry {
                    self.ledger.sent(entry);
                }
            }
            Event::Unsent(entry) => {
                if let Some(entry) = entry {
                    self.ledger.unsent(entry);
                }
            }
            Event::Closed { begun } => self.closed(begun),
            Event::Try => {
                let session = self.session.clone().filter(|_| self.ledger.has_session());
                self.open(session);
            }
            Event::Opened(Ok(opened)) => {
                self.met = true;
                let resumed = self.session.is_some() && self.session == opened.session;
                self.session.clone_from(&opened.session);
                self.ledger.opened(resumed, Instant::now());
                self.link = Link::up(opened);
            }
            Event::Opened(Err(why)) => self.not_opened(why),
        }
    }

    fn open(&mut self, session: Option<String>) {
        if let Link::Away(away) = &mut self.link {
            away.open(&self.door, session);
        }
    }

    fn not_opened(&mut self, why: NotOpened) {
        let now = Instant::now();
        match why {
            NotOpened::SessionUnknown => {
                self.session = None;
                let told = self.ledger.lost();
                self.tell(told);
                self.open(None);
            }
            NotOpened::Refused(error) | NotOpened::KeyRequired(error) => {
                let told = self.ledger.give_up(now, &error);
                self.tell(told);
                self.link = Link::refused(now);
            }
            NotOpened::Away(why) => {
                let awaited = self.ledger.waiting_since().is_some();
                let patience = self.patience();
                if let Link::Away(away) = &mut self.link {
                    let awaited = awaited || now < away.since + patience;
                    away.pause(why, awaited);
                }
            }
        }
    }

    fn closed(&mut self, begun: bool) {
        let now = Instant::now();
        // It goes with the connection otherwise, and nobody ever answers it.
        if let Link::Up(up) = &mut self.link
            && let Some(entry) = up.unsent()
        {
            self.ledger.unsent(entry);
        }
        if self.leaving.is_some() && self.ledger.waiting_since().is_none() {
            let told = self.ledger.leave();
            self.tell(told);
            self.over = true;
            return;
        }
        let told = self.ledger.broken(begun, now);
        self.tell(told);
        self.link = Link::away(now);
    }

    fn patience(&self) -> Duration {
        if self.met { RESTART } else { START }
    }

    /// When somebody has waited long enough.
    fn due(&self) -> Option<Instant> {
        let waiting = match (&self.link, self.ledger.waiting_since()) {
            (Link::Away(away), Some(since)) => {
                Some((away.since + self.patience()).max(since + LOOK))
            }
            _ => None,
        };
        waiting.into_iter().chain(self.leaving).min()
    }

    fn late(&mut self) {
        let now = Instant::now();
        let leaving = self.leaving.is_some_and(|until| until <= now);
        if let Link::Away(away) = &self.link {
            let error = self.unavailable(&away.why);
            let before = if leaving {
                Some(now)
            } else {
                now.checked_sub(LOOK)
            };
            let told = before.map(|before| self.ledger.give_up(before, &error));
            self.tell(told.unwrap_or_default());
        }
        if leaving {
            let told = self.ledger.leave();
            self.tell(told);
            self.over = true;
        }
    }

    fn unavailable(&self, why: &str) -> RpcError {
        let socket = self.door.socket.display();
        RpcError::new(
            code::INTERNAL_ERROR,
            format!("Janus cannot be reached at {socket} ({why}). Nothing was sent. Start it with: janus serve"),
        )
        .with_data(&json!({"code": "unavailable", "sent": false, "command": "janus serve"}))
    }
}

async fn write<O: AsyncWrite + Unpin>(
    output: &mut O,
    unread: &mut BytesMut,
) -> std::io::Result<()> {
    if unread.is_empty() {
        return std::future::pending().await;
    }
    match output.write_buf(unread).await {
        Ok(0) => Err(std::io::ErrorKind::WriteZero.into()),
        written => written.map(drop),
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
