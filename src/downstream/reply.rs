//! Bodies of HTTP responses.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::protocol::{BodyStream, Broken, Json, sse};

use super::adapt::ResponseBody;
use super::call::Call;
use super::conversation::Next;
use super::intake::{Line, Running};
use super::legacy::{Follow, KeptStream, Reading, lost};
use super::passing::Passing;

/// Shorter than the shortest silence after which a client was seen to cut a stream (300 s), and than the usual 60 s
/// of proxies.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The body of a response.
pub(super) enum Reply {
    /// All of it is there.
    Whole(VecDeque<Bytes>),
    /// A long answer of a server, at the client's pace.
    Passing(BodyStream),
    /// Server-sent events.
    Events(Box<EventStream>),
}

/// The body of a response: when it ends, what is left is to [write](Line::sent) it.
pub(super) struct Counted {
    reply: Reply,
    /// `None` for a stream that has no end of its own.
    running: Option<Running>,
    line: Arc<Line>,
}

/// A stream of server-sent events.
pub(super) struct EventStream {
    source: Source,
    out: VecDeque<Bytes>,
    /// A long answer that is passing as the data of one event.
    passing: Option<Passing>,
    keep_alive: Pin<Box<Sleep>>,
    ended: bool,
}

enum Source {
    /// The answers to what one POST carried.
    Calls {
        calls: Vec<Call>,
        kept: Option<Arc<KeptStream>>,
    },
    /// A stream of a session, from a position on.
    Kept {
        stream: Arc<KeptStream>,
        position: u64,
        standalone: Option<Reading>,
        until: Pin<Box<WaitForCancellationFutureOwned>>,
    },
}

impl Reply {
    /// Nothing.
    pub(super) fn empty() -> Self {
        Self::Whole(VecDeque::new())
    }

    /// This text.
    pub(super) fn text(text: impl Into<Bytes>) -> Self {
        Self::Whole(VecDeque::from([text.into()]))
    }

    /// A response.
    pub(super) fn response(body: ResponseBody) -> Self {
        match body {
            ResponseBody::Whole(parts) => Self::Whole(parts.into()),
            ResponseBody::Stream(stream) => Self::Passing(stream),
        }
    }
}

impl EventStream {
    /// The answers of these calls, of which the first has already said something.
    pub(super) fn of_calls(mut calls: Vec<Call>, first: Option<Next>, prime: bool) -> Self {
        let alone = calls.len() == 1;
        let first_call = calls.first_mut();
        let kept = first_call.and_then(|call| call.start_stream(alone));
        let mut stream = Self::new(Source::Calls {
            calls,
            kept: kept.clone(),
        });
        if let (true, Some(kept)) = (prime, &kept) {
            stream.prime(&kept.id(kept.keep(&Bytes::new())));
        }
        if let Some(first) = first {
            stream.put_next(first, 0);
        }
        stream
    }

    /// A session's stream after `position`, until `until` ends.
    pub(super) fn of_kept(
        stream: Arc<KeptStream>,
        position: u64,
        standalone: Option<Reading>,
        until: WaitForCancellationFutureOwned,
        prime: bool,
    ) -> Self {
        let id = position
            .checked_sub(1)
            .filter(|_| prime)
            .map(|before| stream.id(before));
        let mut events = Self::new(Source::Kept {
            stream,
            position,
            standalone,
            until: Box::pin(until),
        });
        if let Some(id) = id {
            events.prime(&id);
        }
        events
    }

    /// A stream of which nothing is left but the news that it is lost.
    pub(super) fn lost(request: &Json) -> Self {
        let mut events = Self::over();
        events.put_message(None, lost().text(Some(request)).into_bytes());
        events
    }

    /// A stream of which nothing is left.
    pub(super) fn over() -> Self {
        let mut events = Self::new(Source::Calls {
            calls: Vec::new(),
            kept: None,
        });
        events.ended = true;
        events
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            out: VecDeque::new(),
            passing: None,
            keep_alive: Box::pin(tokio::time::sleep(KEEP_ALIVE)),
            ended: false,
        }
    }

    /// An event without data: the client learns where to resume before anything else
    /// (2025-11-25, basic/transports, "Sending Messages to the Server").
    fn prime(&mut self, id: &str) {
        self.out
            .push_back(format!("id: {id}\nretry: 1000\ndata: \n\n").into());
    }

    fn put_message(&mut self, id: Option<&str>, text: Bytes) {
        self.out
            .extend([sse::head(id), text, Bytes::from_static(sse::END)]);
    }

    /// Keeps an event, where it can be resumed, and gives its id.
    fn keep(&self, keep: impl FnOnce(&KeptStream) -> u64) -> Option<String> {
        let Source::Calls {
            kept: Some(kept), ..
        } = &self.source
        else {
            return None;
        };
        Some(kept.id(keep(kept)))
    }

    fn put_next(&mut self, next: Next, from: usize) {
        match next {
            Next::Stream => return,
            Next::Message(message) => {
                let id = self.keep(|kept| kept.keep(message.bytes()));
                self.put_message(id.as_deref(), message.into_bytes());
                return;
            }
            Next::Response(response) => match response.body {
                ResponseBody::Whole(parts) => {
                    let text = super::adapt::joined(&parts);
                    let id = self.keep(|kept| kept.keep_response(&text));
                    self.put_message(id.as_deref(), text);
                }
                ResponseBody::Stream(stream) => self.put_long(stream, from),
            },
            // A pause becomes a response before it comes here.
            Next::Pause | Next::Cancelled => {}
        }
        if let Source::Calls { calls, kept } = &mut self.source {
            drop(calls.remove(from));
            if calls.is_empty() {
                self.ended = true;
                if let Some(kept) = kept {
                    kept.end();
                }
            }
        }
    }

    /// A long answer passes piece by piece; where it can be resumed, a copy takes its place among the events.
    fn put_long(&mut self, stream: BodyStream, from: usize) {
        let Source::Calls { calls, kept } = &self.source else {
            return;
        };
        let (id, passing) = match (kept, calls.get(from).and_then(Call::tasks)) {
            (Some(kept), Some(tasks)) => {
                let sequence = kept.reserve();
                let id = kept.id(sequence);
                let kept = Arc::clone(kept);
                (Some(id), Passing::kept(stream, kept, sequence, tasks))
            }
            _ => (None, Passing::once(stream)),
        };
        self.out.push_back(sse::head(id.as_deref()));
        self.passing = Some(passing);
    }

    /// Puts more out; pending while there is nothing to put.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let next =
            match &mut self.source {
                Source::Calls { calls, .. } => {
                    let found = calls.iter_mut().enumerate().find_map(|(at, call)| {
                        match call.poll_next(cx) {
                            Poll::Ready(next) => Some((at, next)),
                            Poll::Pending => None,
                        }
                    });
                    let Some((at, next)) = found else {
                        return Poll::Pending;
                    };
                    self.put_next(next, at);
                    return Poll::Ready(());
                }
                Source::Kept {
                    stream,
                    position,
                    standalone,
                    until,
                } => {
                    if until.as_mut().poll(cx).is_ready() {
                        self.ended = true;
                        return Poll::Ready(());
                    }
                    let next = ready!(stream.poll_follow(position, cx));
                    if let Some(reading) = standalone {
                        reading.session().set_read_to(*position);
                    }
                    next
                }
            };
        match next {
            Follow::Event(_, text) if text.is_empty() => {}
            Follow::Event(id, text) => self.put_message(Some(&id), text),
            Follow::End => self.ended = true,
        }
        Poll::Ready(())
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            if let Some(bytes) = self.out.pop_front() {
                self.keep_alive.as_mut().reset(Instant::now() + KEEP_ALIVE);
                return Poll::Ready(Some(Ok(self.joined_with_waiting(bytes))));
            }
            if let Some(passing) = &mut self.passing {
                if let Some(chunk) = ready!(passing.poll_next(cx)) {
                    return Poll::Ready(Some(chunk));
                }
                self.passing = None;
                self.out.push_back(Bytes::from_static(sse::END));
                continue;
            }
            if self.ended {
                return Poll::Ready(None);
            }
            if self.poll_more(cx).is_ready() {
                continue;
            }
            ready!(self.keep_alive.as_mut().poll(cx));
            self.out.push_back(Bytes::from_static(sse::KEEP_ALIVE));
        }
    }

    /// Short pieces leave together: one write for a small event, not three.
    fn joined_with_waiting(&mut self, first: Bytes) -> Bytes {
        const SMALL: usize = 16 * 1024;
        let total: usize = first.len() + self.out.iter().map(Bytes::len).sum::<usize>();
        if self.out.is_empty() || total > SMALL {
            return first;
        }
        let mut joined = Vec::with_capacity(total);
        joined.extend_from_slice(&first);
        self.out
            .drain(..)
            .for_each(|piece| joined.extend_from_slice(&piece));
        joined.into()
    }
}

impl Counted {
    pub(super) fn new(reply: Reply, running: Option<Running>, line: Arc<Line>) -> Self {
        Self {
            reply,
            running,
            line,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.line.ends(self.running.take());
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Pin::new(&mut self.get_mut().reply).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.reply.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let bytes = match self.get_mut() {
            Self::Whole(parts) => parts.pop_front().map(Ok),
            Self::Passing(stream) => ready!(stream.as_mut().poll_next(cx)),
            Self::Events(events) => ready!(events.poll_frame(cx)),
        };
        Poll::Ready(bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(parts) if parts.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(parts) => {
                SizeHint::with_exact(parts.iter().map(|part| part.len() as u64).sum())
            }
            _ => SizeHint::default(),
        }
    }
}
