//! What a request must look like before anything in it is read: DNS rebinding and browsers.
//!
//! A web page can make a browser send requests to loopback under a name that the page's owner resolves to it. Such a
//! request shows itself by its Host, and any request of a page by its Origin; neither check can be turned off
//! (2026-07-28, basic/transports/streamable-http, "Security Warning").

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};

/// Why a request is refused with 403 before it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Foreign {
    #[error("the Host header does not name this machine's loopback address")]
    Host,
    #[error("requests from web pages are not accepted")]
    Origin,
}

/// Checks the headers of a request that came over TCP.
pub(super) fn check_tcp(headers: &HeaderMap) -> Result<(), Foreign> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host
            .to_str()
            .ok()
            .and_then(|host| host.parse::<Authority>().ok())
            .ok_or(Foreign::Host)?,
        _ => return Err(Foreign::Host),
    };
    if !is_loopback(host.host()) || !is_port_or_nothing(&host) {
        return Err(Foreign::Host);
    }
    check_origin(headers, Some(host.as_str()))
}

/// Checks the headers of a request that came over the unix socket: no page gets there, and none is let in.
pub(super) fn check_unix(headers: &HeaderMap) -> Result<(), Foreign> {
    check_origin(headers, None)
}

/// An Origin is allowed only where it is our own address.
fn check_origin(headers: &HeaderMap, own: Option<&str>) -> Result<(), Foreign> {
    let same = |origin: &HeaderValue| {
        let authority = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.strip_prefix("http://"));
        authority.is_some() && authority == own
    };
    if headers.get_all(ORIGIN).iter().all(same) {
        Ok(())
    } else {
        Err(Foreign::Origin)
    }
}

/// What follows the name: a name that only begins like ours is another one.
fn is_port_or_nothing(host: &Authority) -> bool {
    let rest = host.as_str().strip_prefix(host.host());
    rest.is_some_and(|rest| {
        let port = rest.strip_prefix(':');
        rest.is_empty() || port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Any port will do: a forwarded one is another, and a page cannot choose the name.
fn is_loopback(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn only_loopback_names_are_served_and_no_foreign_page() {
        for (host, origin, expected) in [
            ("127.0.0.1:7332", None, Ok(())),
            ("localhost:9", None, Ok(())),
            ("LOCALHOST", None, Ok(())),
            ("[::1]:7332", None, Ok(())),
            ("localhost:9", Some("http://localhost:9"), Ok(())),
            ("evil.example", None, Err(Foreign::Host)),
            ("localhost.evil.example", None, Err(Foreign::Host)),
            ("127.0.0.1.evil.example", None, Err(Foreign::Host)),
            ("10.0.0.1", None, Err(Foreign::Host)),
            ("a@localhost@evil.example", None, Err(Foreign::Host)),
            ("", None, Err(Foreign::Host)),
            (
                "localhost:9",
                Some("http://localhost:3000"),
                Err(Foreign::Origin),
            ),
            (
                "localhost:9",
                Some("https://evil.example"),
                Err(Foreign::Origin),
            ),
            ("localhost:9", Some("null"), Err(Foreign::Origin)),
        ] {
            let mut pairs = vec![(HOST, host)];
            pairs.extend(origin.map(|origin| (ORIGIN, origin)));
            assert_eq!(check_tcp(&headers(&pairs)), expected, "{host} {origin:?}");
        }
        for host in [
            "0.0.0.0:7332",
            "[::]:7332",
            "169.254.169.254",
            "192.168.1.4:7332",
            "[::ffff:10.0.0.1]:7332",
            "[fe80::1]",
            "2130706433",
            "0x7f.1",
            "127.1",
            "0177.0.0.1",
            "127.0.0.1.",
            "localhost.",
            "localhost.localdomain",
            "xlocalhost",
            "127.0.0.1:7332@evil.example",
            "127.0.0.1:7332.evil.example",
            "127.0.0.1 evil.example",
            "127.0.0.1,evil.example",
            "127.0.0.1/evil.example",
            "evil.example:7332",
        ] {
            let refused = check_tcp(&headers(&[(HOST, host)]));
            assert_eq!(refused, Err(Foreign::Host), "{host}");
        }
        for origin in [
            "http://127.0.0.1:9",
            "http://localhost",
            "http://localhost:90",
            "http://localhost:9/",
            "http://localhost:9.evil.example",
            "http://localhost:9@evil.example",
            "http://evil.example:9",
            "https://localhost:9",
            "HTTP://localhost:9",
            "file://",
            "chrome-extension://abc",
            "",
        ] {
            let refused = check_tcp(&headers(&[(HOST, "localhost:9"), (ORIGIN, origin)]));
            assert_eq!(refused, Err(Foreign::Origin), "{origin}");
        }
        let two = [(HOST, "localhost:9"), (HOST, "evil.example")];
        let mut twice = headers(&two);
        twice.append(HOST, HeaderValue::from_static("localhost:9"));
        assert_eq!(check_tcp(&twice), Err(Foreign::Host));
        assert_eq!(check_tcp(&HeaderMap::new()), Err(Foreign::Host));
        assert_eq!(check_unix(&headers(&[(HOST, "anything")])), Ok(()));
        assert_eq!(
            check_unix(&headers(&[(ORIGIN, "http://localhost")])),
            Err(Foreign::Origin)
        );
    }
}
