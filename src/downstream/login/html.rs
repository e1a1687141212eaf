//! Pages, by hand: a few texts and no script.

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::downstream::reply::Reply;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:38rem;margin:4rem auto;padding:0 1rem}\
h1{font-size:1.4rem}dt{opacity:.7}dd{margin:0 0 .7rem;overflow-wrap:anywhere}\
button{font:inherit;padding:.6rem 1.2rem}.new,.warn{font-weight:bold}code{font-size:1.1rem}";

/// Nothing is loaded, nothing runs, nobody frames it; the one style sheet is the one above.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Which page a browser names as where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Referrer {
    /// None.
    Never,
    /// This one, to Janus itself: a form whose page names nothing has no origin either.
    Ourselves,
}

/// A page with this title and body.
pub(super) fn page(
    status: StatusCode,
    title: &str,
    body: &str,
    referrer: Referrer,
) -> Response<Reply> {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} · Janus</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>\n"
    );
    let mut response = Response::new(Reply::text(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let fixed = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (
            REFERRER_POLICY,
            match referrer {
                Referrer::Never => "no-referrer",
                Referrer::Ourselves => "same-origin",
            },
        ),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    response
}

/// Text from anywhere, as text: also within the quotes of an attribute.
pub(super) fn text(from: &str) -> String {
    let mut safe = String::with_capacity(from.len());
    for c in from.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// One row of what a page says.
pub(super) fn row(body: &mut String, what: &str, is: &str) {
    // Writing to a string does not fail.
    write!(body, "<dt>{what}</dt><dd>{is}</dd>").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        assert_eq!(
            text("<a href='x' on=\"y\">&\n"),
            "&lt;a href=&#39;x&#39; on=&quot;y&quot;&gt;&amp;\u{fffd}"
        );
    }
}
