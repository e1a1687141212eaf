//! A stream's events, kept so that a client that lost the connection can take it up again by event id.
//!
//! Bounded: [`LONGEST`] for one event, [`EVENTS`] and [`BYTES`] for a stream, [`ALL_BYTES`] for all; the oldest of a
//! stream go first. A client that asks
//! for what is gone gets what is left.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::protocol::Json;

/// A longer result is sent but not kept.
pub(in crate::downstream) const LONGEST: usize = 1024 * 1024;
const EVENTS: usize = 256;
const BYTES: usize = 2 * LONGEST;
/// All streams of all sessions together.
const ALL_BYTES: usize = 64 * LONGEST;

/// How much all streams keep.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// One stream of a session: the answer to a POST, or the one of unsolicited messages.
#[derive(Debug)]
pub(in crate::downstream) struct KeptStream {
    number: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Bytes>,
    /// The sequence number of the first event kept.
    first: u64,
    bytes: usize,
    ended: bool,
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
    pub(in crate::downstream) fn new(number: u64) -> Self {
        Self {
            number,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the event with this sequence number.
    pub(in crate::downstream) fn id(&self, sequence: u64) -> String {
        format!("{}-{sequence}", self.number)
    }

    /// Keeps an event and gives its sequence number.
    pub(in crate::downstream) fn keep(&self, text: &Bytes) -> u64 {
        let mut state = self.state();
        let sequence = state.first + state.events.len() as u64;
        let no_room = KEPT.load(Ordering::Relaxed) + text.len() > ALL_BYTES;
        let kept = if text.len() > LONGEST || no_room {
            not_kept()
        } else {
            text.clone()
        };
        KEPT.fetch_add(kept.len(), Ordering::Relaxed);
        state.bytes += kept.len();
        state.events.push_back(kept);
        while state.events.len() > EVENTS || (state.bytes > BYTES && state.events.len() > 1) {
            let gone = state.events.pop_front().map_or(0, |event| event.len());
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
        state.ended = true;
        wake(state);
    }

    /// Whether nothing more will come.
    pub(in crate::downstream) fn is_ended(&self) -> bool {
        self.state().ended
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
        if let Some(event) = state.events.get(index) {
            let event = event.clone();
            drop(state);
            let id = self.id(*position);
            *position += 1;
            return Poll::Ready(Follow::Event(id, event));
        }
        if state.ended {
            return Poll::Ready(Follow::End);
        }
        state.wakers.retain(|waker| !waker.will_wake(cx.waker()));
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }

    /// The stream's number and the sequence number in an event id of ours.
    pub(in crate::downstream) fn parse_id(id: &str) -> Option<(u64, u64)> {
        let (number, sequence) = id.split_once('-')?;
        Some((number.parse().ok()?, sequence.parse().ok()?))
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

/// What a resumed stream says in place of an event that was not kept.
fn not_kept() -> Bytes {
    let note = serde_json::json!({
        "jsonrpc": "2.0",
        "method": "notifications/message",
        "params": {"level": "error", "logger": "janus", "data": "an answer was lost with the connection: it was too long to be kept for resumption"},
    });
    Json::of(&note).into_bytes()
}
