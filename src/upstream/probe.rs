//! What the answer to `server/discover` says of a server's era. Pure: one function from what came back to a verdict.
//!
//! Invariant: legacy is never concluded from one particular error code (2026-07-28, basic/transports/stdio), and never
//! from an answer that says something of the credential or of the moment.

use http::StatusCode;
use serde_json::Value;

use crate::protocol::{Envelope, Era, Kind, Object, Revision, code};

/// What a probe tells.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// Modern, and this is what it said of itself.
    Modern(Revision, Object),
    /// Modern, but it does not answer `server/discover` as we ask it; with its words.
    Refuses(String),
    /// Legacy.
    Legacy,
    /// 401 or 403: nothing is known until the credential is right.
    NotAllowed(u16),
    /// Nothing is known: the server is not well.
    Unwell(String),
}

/// The verdict on what came back. `status` is `None` on a pipe; `message` is `None` where the body was no JSON-RPC.
pub(super) fn verdict(status: Option<StatusCode>, message: Option<&Envelope>) -> Verdict {
    match status {
        Some(status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => {
            return Verdict::NotAllowed(status.as_u16());
        }
        Some(status)
            if status.is_server_error()
                || status == StatusCode::TOO_MANY_REQUESTS
                || status == StatusCode::REQUEST_TIMEOUT =>
        {
            return Verdict::Unwell(format!("it answered HTTP {status}"));
        }
        Some(status) if status.is_redirection() => {
            return Verdict::Unwell(format!("it redirects elsewhere (HTTP {status})"));
        }
        _ => {}
    }
    let Some(message) = message else {
        return Verdict::Legacy;
    };
    match message.kind() {
        Kind::Result => discovered(message).unwrap_or(Verdict::Legacy),
        Kind::Error => refused(message),
        Kind::Request | Kind::Notification => Verdict::Legacy,
    }
}

/// The answer to `initialize` says that the server is not legacy at all.
pub(super) fn wants_modern(answer: &Envelope) -> bool {
    answer.error_code() == Some(code::UNSUPPORTED_VERSION)
        && answer
            .error()
            .and_then(|error| error.object("data"))
            .and_then(|data| modern(&data, "supported"))
            .is_some()
}

fn discovered(message: &Envelope) -> Option<Verdict> {
    let result = message.result()?.object()?;
    Some(match modern(&result, "supportedVersions") {
        Some(revision) => Verdict::Modern(revision, result),
        None => Verdict::Legacy,
    })
}

fn refused(message: &Envelope) -> Verdict {
    let error = message.error().unwrap_or_else(Object::empty);
    let words = || {
        let code = message.error_code().unwrap_or_default();
        format!("it refuses server/discover ({code})")
    };
    match message.error_code() {
        Some(code::UNSUPPORTED_VERSION) => {
            let data = error.object("data").unwrap_or_else(Object::empty);
            match modern(&data, "supported") {
                Some(_) => Verdict::Refuses(words()),
                None => Verdict::Legacy,
            }
        }
        Some(code::HEADER_MISMATCH | code::MISSING_CAPABILITY) => Verdict::Refuses(words()),
        _ => Verdict::Legacy,
    }
}

/// The highest modern revision that both know.
fn modern(object: &Object, member: &str) -> Option<Revision> {
    let listed: Vec<Value> = object.get(member)?.read()?;
    let known = |revision: &Revision| {
        revision.era() == Era::Modern && listed.iter().any(|date| date == revision.as_str())
    };
    Revision::ALL.into_iter().find(known)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn told(status: Option<u16>, body: &str) -> String {
        let message = Envelope::parse(Bytes::copy_from_slice(body.as_bytes())).ok();
        let status = status.map(|status| StatusCode::from_u16(status).unwrap());
        match verdict(status, message.as_ref()) {
            Verdict::Modern(revision, _) => format!("modern {revision}"),
            Verdict::Refuses(_) => "refuses".to_owned(),
            Verdict::Legacy => "legacy".to_owned(),
            Verdict::NotAllowed(status) => status.to_string(),
            Verdict::Unwell(_) => "unwell".to_owned(),
        }
    }

    fn error(code: i64, data: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"m","data":{data}}}}}"#
        )
    }

    fn result(result: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#)
    }

    #[test]
    fn every_row_of_the_probe_table_has_its_verdict() {
        let both = r#"{"supported":["2026-07-28","2025-11-25"]}"#;
        let old = r#"{"supported":["2025-11-25"]}"#;
        for (status, body, expected) in [
            (
                200,
                result(r#"{"supportedVersions":["2025-11-25","2026-07-28"],"capabilities":{}}"#),
                "modern 2026-07-28",
            ),
            (
                200,
                result(r#"{"supportedVersions":["2025-11-25"],"capabilities":{}}"#),
                "legacy",
            ),
            (
                200,
                result(r#"{"supportedVersions":["2099-01-01"]}"#),
                "legacy",
            ),
            (200, result("{}"), "legacy"),
            (200, result("[]"), "legacy"),
            (400, error(-32022, both), "refuses"),
            (400, error(-32022, old), "legacy"),
            (400, error(-32022, "null"), "legacy"),
            (400, error(-32020, "null"), "refuses"),
            (400, error(-32021, "{}"), "refuses"),
            (404, error(-32601, "null"), "legacy"),
            (200, error(-32602, "null"), "legacy"),
            (400, error(-32600, "null"), "legacy"),
            (400, error(-32000, "null"), "legacy"),
            (400, String::new(), "legacy"),
            (404, "<html>".to_owned(), "legacy"),
            (405, String::new(), "legacy"),
            (202, String::new(), "legacy"),
            (401, error(-32000, "null"), "401"),
            (403, String::new(), "403"),
            (429, String::new(), "unwell"),
            (500, error(-32603, "null"), "unwell"),
            (503, "down".to_owned(), "unwell"),
            (308, String::new(), "unwell"),
        ] {
            assert_eq!(told(Some(status), &body), expected, "{status} {body}");
        }
        assert_eq!(told(None, &error(-32601, "null")), "legacy");
        assert_eq!(told(None, &error(-32022, both)), "refuses");
        assert_eq!(
            told(None, &result(r#"{"supportedVersions":["2026-07-28"]}"#)),
            "modern 2026-07-28"
        );
    }

    #[test]
    fn initialize_refused_for_its_revision_means_modern() {
        let parse = |text: &str| Envelope::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap();
        let refused = error(-32022, r#"{"supported":["2026-07-28"]}"#);
        assert!(wants_modern(&parse(&refused)));
        assert!(!wants_modern(&parse(&error(
            -32022,
            r#"{"supported":["2025-03-26"]}"#
        ))));
        assert!(!wants_modern(&parse(&error(-32601, "null"))));
    }
}
