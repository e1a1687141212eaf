//! The form of an answer: plain JSON where the response comes first, else a stream of events.

use std::time::Duration;

use http::{Response, StatusCode};
use http_body_util::BodyExt;

use super::adapt::modern_status;
use super::call::Call;
use super::conversation::Next;
use super::reply::{EventStream, Reply};
use super::service::{answer, event_stream, json, refused};

/// How long the head of a response is held, so that its status and form can follow from what comes.
const HOLD_HEAD: Duration = Duration::from_secs(5);
/// What the client takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    pub(super) json: bool,
    pub(super) events: bool,
}

/// The answer to one request: plain JSON where the response comes first, else a stream of events.
/// `session`: whether its stream is primed; `None` in the modern era.
pub(super) async fn respond(
    mut call: Call,
    accepted: Accepted,
    session: Option<bool>,
) -> Response<Reply> {
    if !accepted.events {
        return match call.response().await {
            Some(response) => json(
                status(session, response.code),
                Reply::response(response.body),
            ),
            None => answer(StatusCode::ACCEPTED, Reply::empty()),
        };
    }
    let first = tokio::time::timeout(HOLD_HEAD, std::future::poll_fn(|cx| call.poll_next(cx)))
        .await
        .ok();
    match first {
        Some(Next::Response(response))
            if (accepted.json && !call.streams())
                || status(session, response.code) != StatusCode::OK =>
        {
            json(
                status(session, response.code),
                Reply::response(response.body),
            )
        }
        first => event_stream(EventStream::of_calls(
            vec![call],
            first,
            session == Some(true),
        )),
    }
}

/// A refused `initialize`: 404 where the method does not exist in the revision it names, else 400.
pub(super) fn modern_or_bad(code: i64) -> StatusCode {
    match modern_status(Some(code)) {
        StatusCode::OK => StatusCode::BAD_REQUEST,
        status => status,
    }
}

/// In a session every answer is 200; a modern error has its own status.
fn status(session: Option<bool>, code: Option<i64>) -> StatusCode {
    if session.is_some() {
        StatusCode::OK
    } else {
        modern_status(code)
    }
}

/// The responses of a batch for a client that takes JSON only.
pub(super) async fn array(calls: Vec<Call>) -> Response<Reply> {
    let responses = futures_util::future::join_all(
        calls
            .into_iter()
            .map(|mut call| async move { call.response().await }),
    )
    .await;
    let mut text = vec![b'['];
    for response in responses.into_iter().flatten() {
        if text.len() > 1 {
            text.push(b',');
        }
        match Reply::response(response.body).collect().await {
            Ok(body) => text.extend_from_slice(&body.to_bytes()),
            Err(broken) => return refused(StatusCode::BAD_GATEWAY, &broken.to_string()),
        }
    }
    text.push(b']');
    json(StatusCode::OK, Reply::text(text))
}
