//! What an event id of ours says.

use std::sync::LazyLock;
use std::time::SystemTime;

use bytes::Bytes;

use crate::model::{hex, unhex};
use crate::protocol::Json;

/// A longer id of a request is not repeated in those of its events.
const LONGEST_REQUEST: usize = 64;

/// This process among those that were and will be.
pub(super) static LIFE: LazyLock<String> = LazyLock::new(|| {
    let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("{:x}", began.unwrap_or_default().as_micros())
});

/// The id of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::downstream) struct EventId {
    /// The process that gave it out.
    pub(super) life: String,
    /// The stream within its session.
    pub(in crate::downstream) number: u64,
    /// The event within its stream.
    pub(super) sequence: u64,
    /// The request that had no response yet.
    pub(in crate::downstream) request: Option<Json>,
}

impl EventId {
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}-{}-{}", self.life, self.number, self.sequence);
        let request = self.request.as_ref().map(Json::bytes);
        if let Some(id) = request.filter(|id| id.len() <= LONGEST_REQUEST) {
            text.push('-');
            text.push_str(&hex(id));
        }
        text
    }

    /// Reads one; `None` if it is none of ours.
    pub(in crate::downstream) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '-');
        let (life, number, sequence) = (parts.next()?, parts.next()?, parts.next()?);
        let request = match parts.next() {
            None => None,
            Some(digits) => Some(request(digits)?),
        };
        Some(Self {
            life: life.to_owned(),
            number: number.parse().ok()?,
            sequence: sequence.parse().ok()?,
            request,
        })
    }
}

/// The id of a request, as its client spelled it.
fn request(digits: &str) -> Option<Json> {
    if digits.len() > 2 * LONGEST_REQUEST {
        return None;
    }
    let id = Json::parse(Bytes::from(unhex(digits)?)).ok()?;
    // What a client makes up is not echoed.
    let first = *id.bytes().first()?;
    (first == b'"' || first == b'-' || first.is_ascii_digit()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_it_was_made_of_and_nothing_else_is_one() {
        for request in [None, Some("7"), Some("-1.5e3"), Some(r#""a b""#)] {
            let id = EventId {
                life: "5f".to_owned(),
                number: 3,
                sequence: 12,
                request: request.map(Json::literal),
            };
            assert_eq!(EventId::parse(&id.text()), Some(id));
        }
        for text in [
            "",
            "1-2",
            "1-x-2",
            "1-2-x",
            "1-2-3-",
            "1-2-3-7b7d",
            "1-2-3-zz",
            "1-2-3-37-1",
        ] {
            assert_eq!(EventId::parse(text), None, "{text}");
        }
    }
}
