//! A long result on its way through: the client's id and who answered go in, line breaks become blanks, nothing is
//! collected.

use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;

use super::call::Call;
use super::source::{Frame, Source, drain, poll_frame};
use super::underway::InFlight;
use crate::protocol::sse::Piece;
use crate::protocol::{BodyStream, Broken, Splice};

/// The result of a JSON response, of which `head` was read.
pub(super) fn json(call: &Call<'_>, head: Bytes, body: Incoming) -> BodyStream {
    stream(call, head, Rest::Json(body))
}

/// The result that an event holds, of which `head` was read.
pub(super) fn event(call: &Call<'_>, head: Bytes, source: Source) -> BodyStream {
    stream(call, head, Rest::Event(Box::new(source)))
}

struct Long {
    head: Option<Bytes>,
    rest: Rest,
    splice: Splice,
    timeout: Duration,
    in_flight: InFlight,
}

enum Rest {
    Json(Incoming),
    Event(Box<Source>),
    Over,
}

fn stream(call: &Call<'_>, head: Bytes, rest: Rest) -> BodyStream {
    let long = Long {
        head: Some(head),
        rest,
        splice: Splice::id(call.outgoing.client_id.clone())
            .identity(call.outgoing.identity.clone()),
        timeout: call.leg.timeout,
        in_flight: InFlight::new(call.leg, !call.outgoing.is_listen()),
    };
    Box::pin(futures_util::stream::unfold(long, |mut long| async move {
        let chunk = long.next().await?;
        Some((chunk, long))
    }))
}

impl Long {
    /// The next bytes for the client. A server's silence counts from when the client wants more: a slow client is no
    /// silent server.
    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        loop {
            let bytes = match self.head.take() {
                Some(head) => Ok(Some(head)),
                None => match tokio::time::timeout(self.timeout, self.rest.next()).await {
                    Ok(bytes) => bytes,
                    Err(_) => Err(format!("no byte for {} s", self.timeout.as_secs_f32())),
                },
            };
            match bytes {
                Ok(Some(bytes)) => {
                    let bytes = self.splice.push(&on_one_line(bytes));
                    if !bytes.is_empty() {
                        return Some(Ok(bytes));
                    }
                }
                Ok(None) => {
                    if let Rest::Event(source) = std::mem::replace(&mut self.rest, Rest::Over) {
                        drain(self.in_flight.tasks(), source.into_body());
                    }
                    return None;
                }
                Err(why) => {
                    self.rest = Rest::Over;
                    return Some(Err(Broken(why)));
                }
            }
        }
    }
}

impl Rest {
    async fn next(&mut self) -> Result<Option<Bytes>, String> {
        std::future::poll_fn(|cx| {
            loop {
                let frame = match self {
                    Self::Over => return Poll::Ready(Ok(None)),
                    Self::Json(body) => poll_frame(body, cx),
                    Self::Event(source) => {
                        match source.piece() {
                            Some(Piece::Data(bytes)) => return Poll::Ready(Ok(Some(bytes))),
                            Some(Piece::End(_)) => return Poll::Ready(Ok(None)),
                            None => {}
                        }
                        source.poll_more(cx)
                    }
                };
                let is_event = matches!(self, Self::Event(_));
                match std::task::ready!(frame) {
                    Frame::Data(_) if is_event => {}
                    Frame::Data(bytes) => return Poll::Ready(Ok(Some(bytes))),
                    Frame::End if is_event => {
                        return Poll::Ready(Err("the stream ended within an event".to_owned()));
                    }
                    Frame::End => return Poll::Ready(Ok(None)),
                    Frame::Broken(why) => return Poll::Ready(Err(why)),
                }
            }
        })
        .await
    }
}

/// Raw line breaks of JSON stand between tokens, where a blank is the same.
fn on_one_line(bytes: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &bytes).is_none() {
        return bytes;
    }
    let blank = |byte: &u8| match byte {
        b'\n' | b'\r' => b' ',
        other => *other,
    };
    bytes.iter().map(blank).collect()
}
