//! The GET stream of a legacy session: what the server says outside every call, and what careless servers say there
//! though it belongs to one.
//!
//! Invariant: a question goes to a caller only if every call in flight is that one session's; otherwise it is declined.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ::http::StatusCode;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Inner;
use super::answer::{batch, is, is_batch};
use super::call::is_events;
use super::questions::Asked;
use super::source::{Frame, Held, Source, is_event, is_message};
use super::stream::with_token;
use crate::protocol::sse::Piece;
use crate::protocol::{Envelope, Events, Json, Kind, LONGEST_MESSAGE, Question, QuestionKind};
use crate::upstream::surroundings::Stir;

/// Between two attempts at a server that is down: soon at first, never more than once a minute.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// A stream that stood this long was a working one, whether anything was said on it or not.
const STOOD: Duration = Duration::from_secs(10);

/// Reads the stream until the server has none or the conversation ends.
pub(super) async fn run(leg: Arc<Inner>, stir: Arc<Stir>) {
    tokio::select! {
        () = leg.ended.cancelled() => {}
        () = leg.inbox.closed() => {}
        () = listen(&leg, &stir) => {}
    }
}

async fn listen(leg: &Arc<Inner>, stir: &Stir) {
    let mut place: Option<String> = None;
    let mut retry: Option<Duration> = None;
    let mut failures = 0;
    loop {
        let began = Instant::now();
        match leg.get(place.as_deref()).await {
            Ok(response) if response.status() == StatusCode::OK && is_events(&response) => {
                stir.opened(false);
                leg.opened.send_modify(|times| *times += 1);
                let mut source = Source::new(response.into_body());
                source.last_event = place.take();
                let mut suspected = false;
                let heard = tokio::select! {
                    heard = read(leg, &mut source) => heard,
                    () = stir.suspected() => {
                        suspected = true;
                        true
                    }
                };
                if heard || began.elapsed() >= STOOD {
                    failures = 0;
                }
                place = source.last_event;
                retry = source.retry.or(retry);
                if suspected {
                    continue;
                }
            }
            Ok(response) if is_final(response.status()) => {
                tracing::debug!(account = %leg.account, status = %response.status(), "no stream for what belongs to no call");
                return;
            }
            Ok(response) => {
                stir.opened(response.status() == StatusCode::UNAUTHORIZED);
                tracing::debug!(account = %leg.account, status = %response.status(), "the stream cannot be opened now");
            }
            Err(error) => tracing::debug!(%error, "the stream cannot be opened now"),
        }
        // The server's wish holds between two good streams; it does not make a broken one be tried more often.
        let pause = match (failures, retry) {
            (0, Some(retry)) => retry,
            (_, retry) => backoff(failures).max(retry.unwrap_or_default()),
        };
        failures += 1;
        stir.pause(pause).await;
    }
}

/// 405 says that there is no such stream, 404 that there is no such session, a good answer of another type that this
/// is something else. Credentials are mended and servers come back.
fn is_final(status: StatusCode) -> bool {
    status.is_success()
        || status.is_client_error()
            && !matches!(
                status,
                StatusCode::UNAUTHORIZED
                    | StatusCode::FORBIDDEN
                    | StatusCode::REQUEST_TIMEOUT
                    | StatusCode::TOO_MANY_REQUESTS
            )
}

/// Doubled each time, and somewhere in the upper half: so that many clients do not return at once.
fn backoff(failures: u32) -> Duration {
    let (least, most) = BACKOFF;
    let full = least.saturating_mul(1 << failures.min(6)).min(most);
    // Without randomness all wait alike, which is no harm worth an error.
    let share = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    full.mul_f64(0.5 + share / 2.0).max(least)
}

/// Reads one connection to its end; gives whether there was an event.
async fn read(leg: &Arc<Inner>, source: &mut Source) -> bool {
    let mut asked = Asked::new(leg);
    let mut held = Held::default();
    let mut heard = false;
    'connection: loop {
        while let Some(piece) = source.piece() {
            match piece {
                Piece::Data(bytes) => {
                    held.push(bytes);
                    if held.len() > LONGEST_MESSAGE {
                        tracing::warn!(account = %leg.account, "a message on the session's stream is too long; the stream starts again");
                        break 'connection;
                    }
                }
                Piece::End(fields) => {
                    heard |= is_event(&fields);
                    let text = std::mem::take(&mut held).into_bytes();
                    if text.is_empty() || !is_message(&fields) {
                        continue;
                    }
                    if is_batch(&text) {
                        for message in batch(text) {
                            take(leg, &mut asked, message).await;
                        }
                        continue;
                    }
                    match Envelope::parse(text) {
                        Ok(message) => take(leg, &mut asked, message).await,
                        Err(refused) => {
                            tracing::debug!(account = %leg.account, error = %refused.error.message, "an event is no message");
                        }
                    }
                }
            }
        }
        let frame = std::future::poll_fn(|cx| {
            asked.poll(cx);
            if asked.is_full() {
                return Poll::Pending;
            }
            source.poll_more(cx)
        });
        if !matches!(frame.await, Frame::Data(_)) {
            break;
        }
    }
    asked.finish();
    heard
}

async fn take(leg: &Arc<Inner>, asked: &mut Asked, message: Envelope) {
    match message.kind() {
        Kind::Request => question(leg, asked, &message),
        Kind::Notification => match message.method() {
            "notifications/progress" => progress(leg, &message),
            "notifications/cancelled" => asked.withdraw(&message),
            // Nobody else reads this stream, so it may wait for room.
            _ => {
                let mut sending = std::pin::pin!(leg.inbox.send(message));
                let sent = std::future::poll_fn(|cx| {
                    asked.poll(cx);
                    sending.as_mut().poll(cx)
                });
                if sent.await.is_err() {
                    tracing::debug!(account = %leg.account, "nobody reads the inbox any more");
                }
            }
        },
        Kind::Result | Kind::Error => {
            tracing::debug!(account = %leg.account, "a response on the session's stream");
        }
    }
}

fn question(leg: &Inner, asked: &mut Asked, request: &Envelope) {
    let whom = |question: &Question| sole_caller(leg, question);
    // Many servers ask for roots right after the handshake, when nobody calls.
    if let Some(question) = Question::of(request.clone())
        && question.kind == QuestionKind::Roots
        && whom(&question).is_none()
        && let Some(id) = request.id()
    {
        leg.asked.store(true, std::sync::atomic::Ordering::Relaxed);
        return asked.reply(Envelope::result_text(id, &Json::literal(r#"{"roots":[]}"#)));
    }
    asked.take(request, whom);
}

/// The newest call in flight, if all of them are of one session, and that can be asked.
fn sole_caller(leg: &Inner, question: &Question) -> Option<(Events, CancellationToken)> {
    let callers = leg.callers();
    let newest = callers.last()?;
    let same = callers.iter().all(|caller| {
        Arc::ptr_eq(&caller.client, &newest.client)
            || (newest.client.session.is_some() && caller.client.session == newest.client.session)
    });
    (same && question.suits(&newest.client)).then(|| (newest.events.clone(), newest.over.clone()))
}

/// Progress of a call in flight, on the wrong stream.
fn progress(leg: &Inner, message: &Envelope) {
    let marked = message
        .params()
        .and_then(|params| params.get("progressToken"));
    let Some(marked) = marked else { return };
    let callers = leg.callers();
    let caller = callers.iter().find(|caller| is(&marked, caller.id));
    if let Some(caller) = caller
        && let Some(token) = &caller.token
        && let Some(message) = with_token(message, token)
    {
        caller.events.offer(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_down_is_asked_less_and_less_often() {
        for (failures, least, most) in
            [(0, 1, 1), (1, 1, 2), (4, 8, 16), (6, 30, 60), (999, 30, 60)]
        {
            let pause = backoff(failures).as_secs_f64();
            assert!(
                (f64::from(least)..=f64::from(most)).contains(&pause),
                "{pause}"
            );
        }
    }
}
