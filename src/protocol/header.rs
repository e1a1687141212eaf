//! The HTTP headers of MCP and the spelling of their values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;

/// Legacy: the session, on every request after `initialize`.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Both eras: the revision.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Modern: the method of the body.
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// Modern: `params.name`, `params.uri` or `params.taskId` of the body.
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Modern: the head of the headers that repeat arguments marked `x-mcp-header`.
pub const PARAM_PREFIX: &str = "mcp-param-";
/// Legacy: where to take a broken stream up again.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Narrows a request to a profile.
pub const JANUS_PROFILE: HeaderName = HeaderName::from_static("janus-profile");
/// The caller's working directory, signed.
pub const JANUS_DIRECTORY: HeaderName = HeaderName::from_static("janus-directory");

/// The value as a header can carry it: plain where it is visible ASCII without blanks at its ends, else
/// `=?base64?…?=`.
//= https://modelcontextprotocol.io/specification/2026-07-28/basic/transports#value-encoding
pub fn encode(value: &str) -> String {
    let plain = value
        .bytes()
        .all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\t')
        && value.trim() == value
        && !value.is_empty()
        && !(value.starts_with(MARK) && value.ends_with("?="));
    if plain {
        value.to_owned()
    } else {
        format!("{MARK}{}?=", STANDARD.encode(value))
    }
}

/// The value that a header carries; `None` if it claims to be base64 and is not.
pub fn decode(header: &str) -> Option<String> {
    let header = header.trim_matches([' ', '\t']);
    match header
        .strip_prefix(MARK)
        .and_then(|rest| rest.strip_suffix("?="))
    {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => Some(header.to_owned()),
    }
}

const MARK: &str = "=?base64?";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_survives_its_header() {
        for value in [
            "echo",
            "",
            " a",
            "a ",
            "größe",
            "a\nb",
            "=?base64?x?=",
            "=?base64?",
            "a\tb",
        ] {
            let header = encode(value);
            assert!(
                header
                    .bytes()
                    .all(|b| (0x20..0x7f).contains(&b) || b == b'\t'),
                "{header}"
            );
            assert_eq!(decode(&header).as_deref(), Some(value));
        }
        assert_eq!(decode("=?base64?%?="), None);
    }
}
