//! The shim's end of the connection: open, or being opened again and again.
//!
//! Every wait can be given up and taken up again without losing a byte.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::time::{Instant, Sleep};

use super::entry::Entry;
use super::lines::{Line, Lines};
use super::wire::{Door, NotOpened, Opened};

/// The first pause before the next try. A daemon that restarts is away for a fraction of a second.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
/// The longest while somebody waits for it.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The pause when nobody waits any more: a look costs one system call, but wakes the machine.
const IDLE_PAUSE: Duration = Duration::from_secs(5);

/// The way to the daemon.
#[derive(Debug)]
pub(super) enum Link {
    Away(Away),
    Up(Box<Up>),
}

/// There is no connection.
#[derive(Debug)]
pub(super) struct Away {
    /// Since when.
    pub(super) since: Instant,
    /// Why, as the last try saw it.
    pub(super) why: String,
    tries: u32,
    next: Next,
}

enum Next {
    Pause(Pin<Box<Sleep>>),
    Open(Pin<Box<dyn Future<Output = Result<Opened, NotOpened>> + Send>>),
    /// The daemon refused: it is asked again when the client asks again.
    Wait,
}

/// There is one.
#[derive(Debug)]
pub(super) struct Up {
    input: Lines<BufReader<ReadHalf<TokioIo<Upgraded>>>>,
    /// `None`: nothing more is sent.
    output: Option<WriteHalf<TokioIo<Upgraded>>>,
    writing: Option<Writing>,
    /// The daemon said that it had begun nothing of what it did not answer.
    begun_nothing: bool,
}

#[derive(Debug)]
struct Writing {
    rest: Bytes,
    /// The line, as long as nothing of it was written.
    entry: Option<Entry>,
}

/// What happens on the way.
#[derive(Debug)]
pub(super) enum Event {
    /// A try ended.
    Opened(Result<Opened, NotOpened>),
    /// It is time for the next try.
    Try,
    /// A line of the daemon.
    Heard(Bytes),
    /// A line is on its way, or a part of it.
    Sent(Option<Entry>),
    /// Nothing of this line could be sent, nor of any other.
    Unsent(Option<Entry>),
    /// The daemon is gone.
    Closed {
        /// Whether it may have begun what it did not answer.
        begun: bool,
    },
}

impl Link {
    /// No connection yet.
    pub(super) fn new() -> Self {
        Self::away(Instant::now())
    }

    /// No connection any more; the next try is due.
    pub(super) fn away(now: Instant) -> Self {
        Self::Away(Away {
            since: now,
            why: "the connection was closed".to_owned(),
            tries: 0,
            next: Next::Pause(Box::pin(tokio::time::sleep_until(now))),
        })
    }

    /// The daemon did not let us in.
    pub(super) fn refused(now: Instant) -> Self {
        Self::Away(Away {
            since: now,
            why: String::new(),
            tries: 0,
            next: Next::Wait,
        })
    }

    /// The connection is there.
    pub(super) fn up(opened: Opened) -> Self {
        Self::Up(Box::new(Up {
            input: opened.input,
            output: Some(opened.output),
            writing: None,
            begun_nothing: false,
        }))
    }

    /// The next thing that happens; lines are read only while there is room for them.
    pub(super) async fn next(&mut self, room: bool) -> Event {
        match self {
            Self::Away(away) => away.next().await,
            Self::Up(up) => up.next(room).await,
        }
    }
}

impl Away {
    async fn next(&mut self) -> Event {
        match &mut self.next {
            Next::Pause(pause) => {
                pause.await;
                Event::Try
            }
            Next::Open(opening) => Event::Opened(opening.await),
            Next::Wait => std::future::pending().await,
        }
    }

    /// Tries to open a connection now.
    pub(super) fn open(&mut self, door: &Arc<Door>, session: Option<String>) {
        let door = Arc::clone(door);
        let opening = async move { door.open(session.as_deref()).await };
        self.next = Next::Open(Box::pin(opening));
    }

    /// A try failed: the next one comes later.
    pub(super) fn pause(&mut self, why: String, awaited: bool) {
        self.why = why;
        let pause = if awaited {
            SHORTEST_PAUSE
                .saturating_mul(1 << self.tries.min(8))
                .min(LONGEST_PAUSE)
        } else {
            IDLE_PAUSE
        };
        self.tries = self.tries.saturating_add(1);
        self.next = Next::Pause(Box::pin(tokio::time::sleep(pause)));
    }

    /// The client wants something: where no try is under way, one is due.
    pub(super) fn hurry(&mut self, now: Instant) {
        match &self.next {
            Next::Wait => {
                self.since = now;
                self.next = Next::Pause(Box::pin(tokio::time::sleep_until(now)));
            }
            Next::Pause(pause) if pause.deadline() > now + LONGEST_PAUSE => {
                self.next = Next::Pause(Box::pin(tokio::time::sleep_until(now)));
            }
            Next::Pause(_) | Next::Open(_) => {}
        }
    }
}

impl Up {
    /// Whether the next line can be taken.
    pub(super) fn is_free(&self) -> bool {
        self.writing.is_none() && self.output.is_some()
    }

    /// Begins to send a line.
    pub(super) fn send(&mut self, entry: Entry) {
        self.writing = Some(Writing {
            rest: entry.line.clone(),
            entry: Some(entry),
        });
    }

    /// The line that was taken to be sent, if nothing of it was.
    pub(super) fn unsent(&mut self) -> Option<Entry> {
        self.writing.take().and_then(|line| line.entry)
    }

    /// Nothing more will be sent: the daemon ends the session, and answers what was asked.
    pub(super) async fn leave(&mut self) {
        if let Some(mut output) = self.output.take() {
            // If the daemon is gone, that shows where it is read.
            drop(output.shutdown().await);
        }
    }

    async fn next(&mut self, room: bool) -> Event {
        let (input, output, writing) = (&mut self.input, &mut self.output, &mut self.writing);
        tokio::select! {
            event = write(output, writing) => event,
            line = input.next(), if room => match line {
                Ok(Some(Line::Text(text))) if text.iter().all(u8::is_ascii_whitespace) => {
                    self.begun_nothing = true;
                    Event::Heard(Bytes::new())
                }
                Ok(Some(Line::Text(text))) => Event::Heard(text),
                // Too long to be held: whose answer it is cannot be told, so all count as lost.
                Ok(Some(Line::TooLong) | None) | Err(_) => Event::Closed { begun: !self.begun_nothing },
            },
        }
    }
}

async fn write(
    output: &mut Option<WriteHalf<TokioIo<Upgraded>>>,
    writing: &mut Option<Writing>,
) -> Event {
    let (Some(open), Some(line)) = (&mut *output, &mut *writing) else {
        return std::future::pending().await;
    };
    match open.write(&line.rest).await {
        Ok(written) if written > 0 => {
            line.rest.advance(written);
            let entry = line.entry.take();
            if line.rest.is_empty() {
                *writing = None;
            }
            Event::Sent(entry)
        }
        // What the daemon said before it went can still be read.
        Ok(_) | Err(_) => {
            *output = None;
            Event::Unsent(writing.take().and_then(|line| line.entry))
        }
    }
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pause(_) => "Pause",
            Self::Open(_) => "Open",
            Self::Wait => "Wait",
        })
    }
}
