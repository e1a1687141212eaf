//! The bytes of a response body: frames, events, and what is held of a message until it is whole.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio_util::task::TaskTracker;

use crate::protocol::sse::{Fields, Piece, Reader};

/// Servers end a stream right after the response it was for. Whoever takes longer costs its connection.
const DRAIN: Duration = Duration::from_secs(1);

/// What came of a body.
pub(in crate::upstream) enum Frame {
    Data(Bytes),
    End,
    Broken(String),
}

/// The next bytes of a body. Trailers say nothing in MCP.
pub(super) fn poll_frame(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Frame> {
    loop {
        let frame = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Frame::Broken(crate::dial::said(&error))),
            None => return Poll::Ready(Frame::End),
        };
        if let Ok(data) = frame.into_data()
            && !data.is_empty()
        {
            return Poll::Ready(Frame::Data(data));
        }
    }
}

/// Reads what is left of a body, so that its connection can be used again: HTTP/1.1 has no other way to give it back.
/// Mostly that is the end itself, and it is there already.
pub(in crate::upstream) fn drain(tasks: &TaskTracker, mut body: Incoming) {
    loop {
        if body.is_end_stream() {
            return;
        }
        match body.frame().now_or_never() {
            Some(Some(Ok(_))) => {}
            Some(Some(Err(_)) | None) => return,
            None => break,
        }
    }
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let rest = async move { while let Some(Ok(_)) = body.frame().await {} };
        tasks.spawn_on(tokio::time::timeout(DRAIN, rest), &runtime);
    }
}

/// A message that is still arriving. What came in one piece is never copied.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Held {
    first: Bytes,
    joined: BytesMut,
}

impl Held {
    pub(in crate::upstream) fn push(&mut self, bytes: Bytes) {
        if self.len() == 0 {
            self.first = bytes;
        } else {
            if self.joined.is_empty() {
                self.joined.extend_from_slice(&self.first);
            }
            self.joined.extend_from_slice(&bytes);
        }
    }

    pub(in crate::upstream) fn len(&self) -> usize {
        self.text().len()
    }

    pub(super) fn text(&self) -> &[u8] {
        if self.joined.is_empty() {
            &self.first
        } else {
            &self.joined
        }
    }

    pub(in crate::upstream) fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() {
            self.first
        } else {
            self.joined.freeze()
        }
    }
}

/// An event stream, across the connections it is read from.
pub(in crate::upstream) struct Source {
    body: Incoming,
    reader: Reader,
    /// Where to take it up again.
    pub(super) last_event: Option<String>,
    /// How long the server wants it left alone first.
    pub(super) retry: Option<Duration>,
}

impl Source {
    pub(in crate::upstream) fn new(body: Incoming) -> Self {
        Self {
            body,
            reader: Reader::default(),
            last_event: None,
            retry: None,
        }
    }

    /// Goes on with another response. Half an event of the old one is void.
    pub(super) fn resumed(&mut self, body: Incoming) {
        self.body = body;
        self.reader = Reader::default();
    }

    /// The next piece of what was read.
    pub(in crate::upstream) fn piece(&mut self) -> Option<Piece> {
        let piece = self.reader.next_piece();
        if let Some(Piece::End(fields)) = &piece {
            self.note(fields);
        }
        piece
    }

    /// Reads on. The data is in the reader.
    pub(in crate::upstream) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Frame> {
        let frame = ready!(poll_frame(&mut self.body, cx));
        if let Frame::Data(bytes) = &frame {
            self.reader.push(bytes);
        }
        Poll::Ready(frame)
    }

    pub(super) fn into_body(self) -> Incoming {
        self.body
    }

    fn note(&mut self, fields: &Fields) {
        if let Some(id) = &fields.id {
            // An empty id means: there is none any more (WHATWG HTML, section 9.2.6).
            self.last_event = Some(id.clone()).filter(|id| !id.is_empty());
        }
        if let Some(retry) = fields.retry {
            self.retry = Some(Duration::from_millis(retry));
        }
    }
}

/// Whether an event ended, and not only a comment; and whether its data is a message.
pub(super) fn is_event(fields: &Fields) -> bool {
    *fields != Fields::default()
}

/// Whether the data of an event is a message.
pub(in crate::upstream) fn is_message(fields: &Fields) -> bool {
    matches!(fields.event.as_deref(), None | Some("message" | ""))
}
