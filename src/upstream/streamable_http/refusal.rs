//! What a status other than 200 means.

use std::time::Duration;

use ::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use ::http::{HeaderMap, HeaderValue, StatusCode};

use super::Inner;
use crate::credential::oauth::Challenge;
use crate::protocol::Envelope;
use crate::upstream::Failure;

impl Inner {
    /// A status that says why by itself, with no JSON-RPC error beside it.
    pub(super) fn refused(&self, status: StatusCode, headers: &HeaderMap) -> Failure {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::Rejected {
                account: self.account.clone(),
                status: status.as_u16(),
            },
            // The gateway lost the server, and with it what the server has done by then.
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                self.interrupted(format!("a gateway on the way answered HTTP {status}"))
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Failure::Unreachable {
                    account: self.account.clone(),
                    reason: format!("it answered HTTP {status}"),
                    retry_in: retry_after(headers),
                }
            }
            _ => self.bad(format!("HTTP {status}")),
        }
    }

    pub(super) fn session_unknown(&self) -> Failure {
        Failure::SessionUnknown {
            account: self.account.clone(),
        }
    }
}

/// Whether the refusal of a request that carried a session means that the session is gone.
//= https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management
//# The server **MAY** terminate the session at any time, after which it **MUST** respond
//# to requests containing that session ID with HTTP 404 Not Found.
pub(super) fn forgets_session(status: StatusCode, body: &[u8]) -> bool {
    match status {
        StatusCode::NOT_FOUND => true,
        // Real servers answer 400 (`server-everything` 2026.8.31: "No valid session ID provided").
        StatusCode::BAD_REQUEST => {
            let text = String::from_utf8_lossy(body).to_ascii_lowercase();
            text.contains("session") || text.contains("not initialized")
        }
        _ => false,
    }
}

/// `Retry-After` in seconds; the form with a date is not used by any server that was seen.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// What a server says of the credential that it refused.
pub(super) fn challenge(status: StatusCode, headers: &HeaderMap) -> Challenge {
    let said = headers.get_all(WWW_AUTHENTICATE).iter();
    Challenge::new(status.as_u16(), said.map(HeaderValue::as_bytes))
}

/// The JSON-RPC message of a body that may be anything.
pub(super) fn message(body: bytes::Bytes) -> Option<Envelope> {
    Envelope::parse(body).ok()
}
