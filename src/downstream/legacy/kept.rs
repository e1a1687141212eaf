//! A stream's events, kept so that a client that lost the connection can take it up again by event id.
//!
//! Bounded: [`LONGEST`] for one event, [`EVENTS`] and [`BYTES`] for a stream, [`ALL_BYTES`] for all; the oldest of a
//! stream go first. A client that asks
//! for what is gone gets what is left.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use crate::protocol::{Json, RpcError, code};

/// A longer response is sent but not kept.
pub(in crate::downstream) const LONGEST: usize = 1024 * 1024;
const EVENTS: usize = 256;
const BYTES: usize = 2 * LONGEST;
/// All streams of all sessions together.
const ALL_BYTES: usize = 64 * LONGEST;

/// What is this short is kept whatever all others keep.
const SHORT: usize = 1024;
/// Clients take a broken stream up within seconds.
const TAKEN_UP: Duration = Duration::from_mins(5);

/// Streams end with this process, and event ids with them: those of an earlier one mean nothing here.
static LIFE: LazyLock<String> = LazyLock::new(|| {
    let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("{:x}", began.unwrap_or_default().as_micros())
});

/// How much all streams keep.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// One stream of a session: the answer to a POST, or the one of unsolicited messages.
#[derive(Debug)]
pub(in crate::downstream) struct KeptStream {
    number: u64,
    /// The request that the stream answers; none for the one of unsolicited messages.
    request: Option<Json>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: on its way to the client still.
    events: VecDeque<Option<Bytes>>,
    /// The sequence number of the first event kept.
    first: u64,
    bytes: usize,
    ended: Option<Instant>,
    wakers: Vec<Waker>,
}

/// What a reader finds at its position.
pub(in crate::downstream) enum Follow {
    /// The event and its id.
    Event(String, Bytes),
    /// Nothing more will come.
    End,
}

impl KeptStream {
    /// A stream without events. Its number is part of every event id.
    pub(in crate::downstream) fn new(number: u64, request: Option<Json>) -> Self {
        Self {
            number,
            request,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the event with this sequence number.
    pub(in crate::downstream) fn id(&self, sequence: u64) -> String {
        format!("{}-{}-{sequence}", *LIFE, self.number)
    }

    /// Keeps a message and gives its sequence number. Short ones always have room, and so has what belongs to no call:
    /// it is read from here only.
    pub(in crate::downstream) fn keep(&self, text: &Bytes) -> u64 {
        let must = self.request.is_none() || text.len() <= SHORT;
        self.put(if must || has_room(text) {
            text.clone()
        } else {
            Bytes::new()
        })
    }

    /// Keeps the response and gives its sequence number; in place of one that is too long, an error that says so.
    pub(in crate::downstream) fn keep_response(&self, text: &Bytes) -> u64 {
        if text.len() <= SHORT || has_room(text) {
            return self.put(text.clone());
        }
        self.put(self.loss())
    }

    /// Keeps a place for a response that is on its way, and gives its sequence number. Whoever resumes waits for it.
    pub(in crate::downstream) fn reserve(&self) -> u64 {
        self.push(None)
    }

    /// What stands in a place that was kept: the response, or the news that it is lost.
    pub(in crate::downstream) fn fill(&self, sequence: u64, text: Option<Bytes>) {
        let event = text.filter(has_room).unwrap_or_else(|| self.loss());
        let mut state = self.state();
        let index = sequence.checked_sub(state.first).map(usize::try_from);
        if let Some(Ok(index)) = index
            && let Some(place) = state.events.get_mut(index)
        {
            let length = event.len();
            *place = Some(event);
            state.bytes += length;
            KEPT.fetch_add(length, Ordering::Relaxed);
        }
        wake(state);
    }

    /// An error in place of a response that is not kept.
    fn loss(&self) -> Bytes {
        let error = RpcError::new(
            code::INTERNAL_ERROR,
            "the answer was lost with the connection: it was too long to be kept for resumption",
        );
        error.text(self.request.as_ref()).into_bytes()
    }

    fn put(&self, event: Bytes) -> u64 {
        self.push(Some(event))
    }

    fn push(&self, event: Option<Bytes>) -> u64 {
        let mut state = self.state();
        let sequence = state.first + state.events.len() as u64;
        let length = event.as_ref().map_or(0, Bytes::len);
        KEPT.fetch_add(length, Ordering::Relaxed);
        state.bytes += length;
        state.events.push_back(event);
        while state.events.len() > EVENTS || (state.bytes > BYTES && state.events.len() > 1) {
            let gone = state.events.pop_front().flatten();
            let gone = gone.map_or(0, |event| event.len());
            KEPT.fetch_sub(gone, Ordering::Relaxed);
            state.bytes -= gone;
            state.first += 1;
        }
        wake(state);
        sequence
    }

    /// Nothing more will come.
    pub(in crate::downstream) fn end(&self) {
        let mut state = self.state();
        state.ended.get_or_insert_with(Instant::now);
        wake(state);
    }

    /// Whether nothing more will come.
    pub(in crate::downstream) fn is_ended(&self) -> bool {
        self.state().ended.is_some()
    }

    /// Whether it ended so long ago that nobody takes it up any more.
    pub(in crate::downstream) fn is_stale(&self) -> bool {
        self.state().ended.is_some_and(|at| at.elapsed() > TAKEN_UP)
    }

    /// What stands at `position`, which moves on past it.
    pub(in crate::downstream) fn poll_follow(
        &self,
        position: &mut u64,
        cx: &mut Context<'_>,
    ) -> Poll<Follow> {
        let mut state = self.state();
        *position = (*position).max(state.first);
        let index = usize::try_from(*position - state.first).unwrap_or(usize::MAX);
        match state.events.get(index) {
            Some(Some(event)) => {
                let event = event.clone();
                drop(state);
                let id = self.id(*position);
                *position += 1;
                return Poll::Ready(Follow::Event(id, event));
            }
            None if state.ended.is_some() => return Poll::Ready(Follow::End),
            Some(None) | None => {}
        }
        state.wakers.retain(|waker| !waker.will_wake(cx.waker()));
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }

    /// The stream's number and the sequence number in an event id of ours; the latter only if this process gave it out.
    pub(in crate::downstream) fn parse_id(id: &str) -> Option<(u64, Option<u64>)> {
        let (life, id) = id.split_once('-')?;
        let (number, sequence) = id.split_once('-')?;
        let sequence: u64 = sequence.parse().ok()?;
        Some((number.parse().ok()?, (life == *LIFE).then_some(sequence)))
    }
}

impl Drop for KeptStream {
    fn drop(&mut self) {
        KEPT.fetch_sub(self.state().bytes, Ordering::Relaxed);
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let wakers = std::mem::take(&mut state.wakers);
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

fn has_room(text: &Bytes) -> bool {
    text.len() <= LONGEST && KEPT.load(Ordering::Relaxed) + text.len() <= ALL_BYTES
}
