//! Several messages in one POST: a session of 2025-03-26 may send them.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use crate::binding::Entry;
use crate::protocol::{Envelope, Json, Kind, Revision, RpcError, code};

use super::Downstream;
use super::legacy::Session;
use super::reply::{EventStream, Reply};
use super::respond::{Accepted, array};
use super::service::{answer, event_stream, refused, rpc_error, session_id};

/// Messages in one array.
const LONGEST_BATCH: usize = 100;

impl Downstream {
    /// Several messages at once: a session of 2025-03-26 may send them.
    pub(super) async fn batch(
        &self,
        entry: &Entry,
        headers: &HeaderMap,
        session: Option<Arc<Session>>,
        text: Bytes,
        accepted: Accepted,
    ) -> Response<Reply> {
        let session = match session {
            Some(session) if session.client.revision == Revision::V2025_03_26 => session,
            Some(_) => {
                return refused(
                    StatusCode::BAD_REQUEST,
                    "an array of messages belongs to revision 2025-03-26 only",
                );
            }
            None if session_id(headers).is_some() => return self.not_found(entry),
            None => {
                return refused(
                    StatusCode::BAD_REQUEST,
                    "an array of messages needs a session of revision 2025-03-26",
                );
            }
        };
        let messages = match Json::parse(text).map(|array| array.elements().unwrap_or_default()) {
            Ok(messages) if messages.is_empty() => {
                return refused(StatusCode::BAD_REQUEST, "the array is empty");
            }
            Ok(messages) => messages,
            Err(error) => {
                return rpc_error(
                    StatusCode::BAD_REQUEST,
                    None,
                    &RpcError::new(code::PARSE_ERROR, error.to_string()),
                );
            }
        };
        if messages.len() > LONGEST_BATCH {
            return refused(StatusCode::BAD_REQUEST, "the array has too many messages");
        }
        // All are read before any begins: a client that is refused sends all of them again.
        let messages: Result<Vec<Envelope>, _> = messages.iter().map(Envelope::of).collect();
        let messages = match messages {
            Ok(messages) => messages,
            Err(refused) => {
                return rpc_error(StatusCode::BAD_REQUEST, refused.id.as_ref(), &refused.error);
            }
        };
        let mut calls = Vec::new();
        for message in messages {
            match message.kind() {
                Kind::Request => calls.push(self.begin(&session, message, accepted)),
                _ => self.received(&session, &message).await,
            }
        }
        match (calls.is_empty(), accepted.events) {
            (true, _) => answer(StatusCode::ACCEPTED, Reply::empty()),
            (false, true) => event_stream(EventStream::of_calls(calls, None, false)),
            (false, false) => array(calls).await,
        }
    }
}
