//! Where a redirect leads, and whether Janus goes there: only within the origin that the configuration names, because
//! the request carries the account's credential.

use std::borrow::Cow;

use ::http::header::LOCATION;
use ::http::{HeaderMap, StatusCode, Uri};

use crate::model::Origin;
use crate::telemetry::redact;

/// Servers put a slash at the end, or a version before the path; more than that is a loop.
pub(super) const MOST: usize = 3;

/// Whether a response is a redirect, of any kind.
pub(super) fn is(status: StatusCode) -> bool {
    status.is_redirection() && status != StatusCode::NOT_MODIFIED
}

/// Where the same request goes next, or why it does not.
pub(super) fn next(from: &Uri, status: StatusCode, headers: &HeaderMap) -> Result<Uri, String> {
    let Some(location) = headers.get(LOCATION) else {
        return Err(format!("it redirects (HTTP {status}) without saying where"));
    };
    let to = location.to_str().ok().and_then(|to| resolve(from, to));
    let Some(to) = to else {
        return Err(format!("it redirects (HTTP {status}) to what is not a URL"));
    };
    if !Origin::is_shared(&to, from) {
        return Err(format!(
            "it redirects (HTTP {status}) to another origin, {}; if that is where it lives now, change its `url`",
            shown(&to)
        ));
    }
    // RFC 9110, section 15.4: the others let a POST become a GET.
    if status != StatusCode::TEMPORARY_REDIRECT && status != StatusCode::PERMANENT_REDIRECT {
        return Err(format!(
            "it redirects with HTTP {status}, which does not keep the request, to {}",
            shown(&to)
        ));
    }
    Ok(to)
}

/// Where a reference of the server leads, if that is within its origin: what goes there carries the credential.
pub(super) fn within(from: &Uri, reference: &str) -> Result<Uri, String> {
    let Some(to) = resolve(from, reference) else {
        return Err("the address it names is not a URL".to_owned());
    };
    if !Origin::is_shared(&to, from) {
        return Err(format!(
            "the address it names is at another origin, {}",
            shown(&to)
        ));
    }
    Ok(to)
}

/// The origin as people write it, without path, query or user information. One that holds a secret is not shown, nor
/// what is left of it when it is cut out of its URL.
fn shown(url: &Uri) -> String {
    if matches!(redact(&url.to_string()), Cow::Owned(_)) {
        return "a place with a secret in its name".to_owned();
    }
    let port = url
        .port_u16()
        .map_or_else(String::new, |port| format!(":{port}"));
    format!(
        "{}://{}{port}",
        url.scheme_str().unwrap_or_default(),
        url.host().unwrap_or_default()
    )
}

/// A `Location` against the URL it came from (RFC 3986, section 5.2, without its dots: the server is asked for the
/// path it wrote).
fn resolve(from: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next().unwrap_or_default();
    let scheme = from.scheme_str()?;
    let authority = from.authority()?;
    let path = from.path();
    let absolute = if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') || location.is_empty() {
        format!("{scheme}://{authority}{path}{location}")
    } else {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        format!("{scheme}://{authority}{directory}/{location}")
    };
    let to: Uri = absolute.parse().ok()?;
    (to.scheme().is_some() && to.host().is_some()).then_some(to)
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    fn go(location: &str, status: u16) -> Result<String, String> {
        let from = Uri::from_static("https://a.example/v1/mcp?key=secret");
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(location).unwrap())]);
        next(&from, StatusCode::from_u16(status).unwrap(), &headers).map(|to| to.to_string())
    }

    #[test]
    fn only_the_same_origin_is_followed() {
        for (location, to) in [
            ("https://A.example:443/x", "https://A.example:443/x"),
            ("/x?y", "https://a.example/x?y"),
            ("mcp/", "https://a.example/v1/mcp/"),
            ("//a.example/x", "https://a.example/x"),
            ("?k=1", "https://a.example/v1/mcp?k=1"),
        ] {
            assert_eq!(go(location, 308).as_deref(), Ok(to));
        }
        for location in [
            "http://a.example/x",
            "https://a.example:444/x?token=1",
            "https://b.example/x?token=1",
            "//b.example/x?token=1",
        ] {
            let why = go(location, 307).unwrap_err();
            assert!(
                why.contains("another origin") && !why.contains("token"),
                "{why}"
            );
        }
        assert!(go("/x", 302).unwrap_err().contains("302"));
    }
}
