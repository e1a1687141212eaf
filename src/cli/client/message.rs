//! The messages of an answer, cut out of its body, and those of them that people want to see.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::cli::{Exit, Failure};
use crate::protocol::{Envelope, Json, LONGEST_MESSAGE, sse};

/// The gateway hands long results on without holding them; this much is held here.
const LONGEST_ANSWER: usize = 4 * LONGEST_MESSAGE;

/// The messages of a body: one, or those of an event stream.
pub(super) enum Messages {
    One(Vec<u8>),
    Events(Box<sse::Reader>, Vec<u8>),
}

impl Messages {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if kind.starts_with("text/event-stream") {
            Self::Events(Box::default(), Vec::new())
        } else {
            Self::One(Vec::new())
        }
    }

    pub(super) fn take(&mut self, data: &[u8]) -> Result<Vec<Bytes>, Failure> {
        let mut whole = Vec::new();
        let held = match self {
            Self::One(text) => {
                text.extend_from_slice(data);
                text
            }
            Self::Events(reader, text) => {
                reader.push(data);
                while let Some(piece) = reader.next_piece() {
                    match piece {
                        sse::Piece::Data(data) => text.extend_from_slice(&data),
                        sse::Piece::End(_) => whole.push(std::mem::take(text).into()),
                    }
                }
                text
            }
        };
        if held.len() > LONGEST_ANSWER {
            let most = LONGEST_ANSWER / (1024 * 1024);
            let said = format!("the answer is longer than {most} MiB");
            return Err(Failure::new(Exit::Failed, "too_long", said).sent("the request"));
        }
        Ok(whole)
    }

    pub(super) fn end(self) -> Option<Bytes> {
        match self {
            Self::One(text) => Some(text.into()),
            Self::Events(..) => None,
        }
    }
}

/// A notification as people read it.
pub(super) fn said(message: &Envelope) -> Option<String> {
    let params = message.params()?;
    let text = |value: Json| {
        value
            .as_text()
            .map_or_else(|| value.as_str().to_owned(), std::borrow::Cow::into_owned)
    };
    match message.method() {
        "notifications/progress" => {
            let done = params.get("progress").map(text)?;
            let total = params.get("total").map(text);
            let of = total.map_or_else(String::new, |total| format!(" of {total}"));
            let what = params.text("message").map(|what| format!(": {what}"));
            Some(format!("progress {done}{of}{}", what.unwrap_or_default()))
        }
        "notifications/message" => {
            let level = params.text("level").unwrap_or_default();
            let logger = params.text("logger").map(|logger| format!("{logger}: "));
            let data = params.get("data").map(text).unwrap_or_default();
            Some(format!("{level}: {}{data}", logger.unwrap_or_default()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(kind: &str, chunks: &[&str]) -> Vec<Bytes> {
        let headers = [(CONTENT_TYPE, kind.parse().unwrap())]
            .into_iter()
            .collect();
        let mut messages = Messages::of(&headers);
        let mut found = Vec::new();
        for chunk in chunks {
            found.extend(messages.take(chunk.as_bytes()).unwrap());
        }
        found.extend(messages.end());
        found
    }

    #[test]
    fn a_body_is_one_message_or_those_of_its_events() {
        assert_eq!(all("application/json", &["{\"a\":", "1}"]), ["{\"a\":1}"]);
        let events = ["data: {\"a\"", ":1}\n\ndata: {}\n\n", "data: cut off"];
        assert_eq!(
            all("text/event-stream; charset=utf-8", &events),
            ["{\"a\":1}", "{}"]
        );
    }

    #[test]
    fn an_answer_without_end_is_given_up() {
        let mut messages = Messages::of(&HeaderMap::new());
        let chunk = vec![b' '; LONGEST_MESSAGE];
        let taken = (0..5).map(|_| messages.take(&chunk).map(|found| found.len()));
        let given_up: Vec<bool> = taken.map(|taken| taken.is_err()).collect();
        assert_eq!(given_up, [false, false, false, false, true]);
    }

    #[test]
    fn a_notification_reads_as_one_line() {
        for (method, params, expected) in [
            (
                "notifications/progress",
                r#"{"progress": 0.50, "total": 2}"#,
                Some("progress 0.50 of 2"),
            ),
            (
                "notifications/progress",
                r#"{"progress": 1, "message": "done"}"#,
                Some("progress 1: done"),
            ),
            (
                "notifications/message",
                r#"{"level": "error", "data": {"a": 1}}"#,
                Some(r#"error: {"a": 1}"#),
            ),
            ("notifications/other", "{}", None),
        ] {
            let text = format!(r#"{{"jsonrpc": "2.0", "method": "{method}", "params": {params}}}"#);
            let message = Envelope::parse(text.into()).unwrap();
            assert_eq!(said(&message).as_deref(), expected, "{method}");
        }
    }
}
