//! Which era a server speaks, from what it says to `server/discover`. Pure.
//!
//! The era belongs to the server, not to a request (2026-07-28, basic/versioning, "Backward Compatibility"), and is
//! never keyed to one error code: real servers answer an unknown first message with whatever they have.

use crate::protocol::{Envelope, Json, Kind, Revision, code};

/// What follows from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It speaks 2026-07-28.
    Modern,
    /// It needs `initialize`.
    Legacy,
    /// The answer says nothing about the era: it needs a credential, or is overloaded.
    None,
}

/// Judges the answer to `server/discover`: the HTTP status where there is one, and the message where there is one.
pub(super) fn judge(status: Option<u16>, message: Option<&Envelope>) -> Verdict {
    if matches!(status, Some(401 | 403 | 429 | 500..)) {
        return Verdict::None;
    }
    let Some(message) = message else {
        return Verdict::Legacy;
    };
    match (message.kind(), message.error_code()) {
        (Kind::Result, _) => {
            let versions = message
                .result()
                .and_then(|result| result.object()?.get("supportedVersions"));
            knows_modern(versions)
        }
        (Kind::Error, Some(code::UNSUPPORTED_VERSION)) => {
            let supported = message
                .error()
                .and_then(|error| error.object("data")?.get("supported"));
            knows_modern(supported)
        }
        (Kind::Error, Some(code::HEADER_MISMATCH | code::MISSING_CAPABILITY)) => Verdict::Modern,
        _ => Verdict::Legacy,
    }
}

fn knows_modern(versions: Option<Json>) -> Verdict {
    let versions = versions
        .and_then(|versions| versions.elements())
        .unwrap_or_default();
    let modern = versions
        .iter()
        .any(|version| version.as_text().as_deref() == Some(Revision::LATEST_MODERN.as_str()));
    if modern {
        Verdict::Modern
    } else {
        Verdict::Legacy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_probe_table() {
        let error = |code: i64, data: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"","data":{data}}}}}"#
            )
        };
        let result = |versions: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"supportedVersions":{versions}}}}}"#)
        };
        let rows = [
            (
                Some(200),
                Some(result(r#"["2026-07-28","2025-11-25"]"#)),
                Verdict::Modern,
            ),
            (None, Some(result(r#"["2026-07-28"]"#)), Verdict::Modern),
            (
                Some(200),
                Some(result(r#"["2025-11-25"]"#)),
                Verdict::Legacy,
            ),
            (Some(200), Some(result("7")), Verdict::Legacy),
            (
                Some(400),
                Some(error(
                    -32022,
                    r#"{"supported":["2027-01-01","2026-07-28"]}"#,
                )),
                Verdict::Modern,
            ),
            (
                Some(400),
                Some(error(-32022, r#"{"supported":["2025-06-18"]}"#)),
                Verdict::Legacy,
            ),
            (Some(400), Some(error(-32022, "null")), Verdict::Legacy),
            (Some(400), Some(error(-32020, "{}")), Verdict::Modern),
            (Some(400), Some(error(-32021, "{}")), Verdict::Modern),
            (Some(200), Some(error(-32601, "{}")), Verdict::Legacy),
            (None, Some(error(-32602, "{}")), Verdict::Legacy),
            (None, Some(error(-32600, "{}")), Verdict::Legacy),
            (Some(400), Some(error(-32000, "{}")), Verdict::Legacy),
            (Some(400), None, Verdict::Legacy),
            (Some(404), None, Verdict::Legacy),
            (Some(405), None, Verdict::Legacy),
            (Some(401), None, Verdict::None),
            (Some(403), Some(error(-32600, "{}")), Verdict::None),
            (Some(429), None, Verdict::None),
            (Some(503), None, Verdict::None),
        ];
        for (status, message, expected) in rows {
            let envelope = message
                .clone()
                .map(|text| Envelope::parse(text.into()).unwrap());
            assert_eq!(
                judge(status, envelope.as_ref()),
                expected,
                "{status:?} {message:?}"
            );
        }
    }
}
