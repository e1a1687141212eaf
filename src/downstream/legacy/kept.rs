//! A stream's events, kept so that a client that lost the connection can take it up again by event id, also after a
//! restart of Janus (see [`Frozen`]).
//!
//! Invariants:
//! - An id names one event for ever: it says in which life of Janus it was given out.
//! - Whoever takes up a stream that is gone, and did not have its response, is told that it is lost: the id says which
//!   request waits.
//! - Bounded: [`LONGEST`] for one event, [`EVENTS`] and [`BYTES`] for a stream, [`ALL_BYTES`] for all; the oldest of a
//!   stream go first. A client that asks for what is gone gets what is left.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::event_id::{EventId, LIFE};
use super::frozen::{Frozen, lost};
use crate::protocol::{Json, RpcError, code};

/// A longer response is sent but not kept.
pub(in crate::downstream) const LONGEST: usize = 1024 * 1024;
const EVENTS: usize = 256;
const BYTES: usize = 2 * LONGEST;
/// All streams of all sessions together.
const ALL_BYTES: usize = 64 * LONGEST;

/// What is this short is kept whatever all others keep.
const SHORT: usize = 1024;
/// Lives of Janus that the ids of a stream are known from.
const LIVES: usize = 8;
/// Clients take a broken stream up within seconds.
const TAKEN_UP: Duration = Duration::from_mins(5);

/// How much all streams keep.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// One stream of a session: the answer to a POST, or the one of unsolicited messages.
#[derive(Debug)]
pub(in crate::downstream) struct KeptStream {
    number: u64,
    /// The request that the stream answers; none for the one of unsolicited messages.
    request: Option<Json>,
    /// It answers no other.
    alone: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The lives of Janus in which it went on, each with the sequence number of its first event there.
    lives: Vec<(String, u64)>,
    /// Which event has the response.
    response: Option<u64>,
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
    /// The stream of unsolicited messages, without any yet.
    pub(in crate::downstream) fn standalone() -> Self {
        Self::new(0, None, false)
    }

    /// The stream that answers this request, alone or with others. Its number is part of every event id.
    pub(in crate::downstream) fn answering(number: u64, request: Json, alone: bool) -> Self {
        Self::new(number, Some(request), alone)
    }

    fn new(number: u64, request: Option<Json>, alone: bool) -> Self {
        let state = State {
            lives: vec![(LIFE.clone(), 0)],
            response: None,
            events: VecDeque::new(),
            first: 0,
            bytes: 0,
            ended: None,
            wakers: Vec::new(),
        };
        Self {
            number,
            request,
            alone,
            state: Mutex::new(state),
        }
    }

    /// What a later life of Janus needs to go on with it; `None` where nothing was said that anybody could miss.
    pub(super) fn frozen(&self) -> Option<Frozen> {
        let state = self.state();
        let says = |event: &Option<Bytes>| event.as_ref().is_none_or(|event| !event.is_empty());
        // A call that was cut off says so when it is taken up.
        let is_cut_off = self.request.is_some() && state.ended.is_none();
        if !is_cut_off && !state.events.iter().any(says) {
            return None;
        }
        let text = |event: &Bytes| String::from_utf8_lossy(event).into_owned();
        Some(Frozen {
            number: self.number,
            request: self.request.as_ref().map(|id| id.as_str().to_owned()),
            alone: self.alone,
            lives: state.lives.clone(),
            response: state.response,
            first: state.first,
            events: state
                .events
                .iter()
                .map(|event| event.as_ref().map(text))
                .collect(),
            ended: state.ended.is_some(),
            read_to: 0,
        })
    }

    /// Goes on with a stream of an earlier life. A call that was not answered then never will be.
    pub(super) fn thawed(frozen: Frozen) -> Self {
        let request = frozen
            .request
            .and_then(|id| Json::parse(Bytes::from(id)).ok());
        let stream = Self::new(frozen.number, request, frozen.alone);
        let mut state = stream.state();
        state.first = frozen.first;
        state.response = frozen.response;
        for event in frozen.events {
            let event = event.map_or_else(|| stream.loss(), Bytes::from);
            KEPT.fetch_add(event.len(), Ordering::Relaxed);
            state.bytes += event.len();
            state.events.push_back(Some(event));
        }
        let next = state.next();
        // Of earlier ones nothing is left.
        let known = frozen.lives.len().saturating_sub(LIVES);
        state.lives = frozen.lives.into_iter().skip(known).collect();
        state.lives.push((LIFE.clone(), next));
        drop(state);
        if stream.request.is_some() {
            // Of several requests nobody knows which were answered.
            if frozen.alone && !frozen.ended && frozen.response.is_none() {
                stream.keep_response(&lost().text(stream.request.as_ref()).into_bytes());
            }
            stream.end();
        }
        stream
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the event with this sequence number.
    pub(in crate::downstream) fn id(&self, sequence: u64) -> String {
        let state = self.state();
        let mut lives = state.lives.iter().rev();
        let life = lives.find(|(_, from)| *from <= sequence);
        let waits = self.alone && state.response != Some(sequence);
        EventId {
            life: life.map_or_else(|| LIFE.clone(), |(life, _)| life.clone()),
            number: self.number,
            sequence,
            request: self.request.clone().filter(|_| waits),
        }
        .text()
    }

    /// Where a client goes on that has this event; `None` where the stream never had it.
    pub(in crate::downstream) fn after(&self, id: &EventId) -> Option<u64> {
        let state = self.state();
        let life = state.lives.iter().position(|(life, _)| *life == id.life)?;
        // What that life said after the last time it was written down is gone with it.
        let end = state.lives.get(life + 1).map(|(_, from)| *from);
        Some(
            id.sequence
                .saturating_add(1)
                .min(end.unwrap_or_else(|| state.next())),
        )
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
        let has_room = text.len() <= SHORT || has_room(text);
        self.response(Some(if has_room { text.clone() } else { self.loss() }))
    }

    /// Keeps a place for a response that is on its way, and gives its sequence number. Whoever resumes waits for it.
    pub(in crate::downstream) fn reserve(&self) -> u64 {
        self.response(None)
    }

    fn response(&self, event: Option<Bytes>) -> u64 {
        let sequence = self.push(event);
        self.state().response = Some(sequence);
        sequence
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
        let sequence = state.next();
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
}

impl Drop for KeptStream {
    fn drop(&mut self) {
        KEPT.fetch_sub(self.state().bytes, Ordering::Relaxed);
    }
}

impl State {
    /// The sequence number of the next event.
    fn next(&self) -> u64 {
        self.first + self.events.len() as u64
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
