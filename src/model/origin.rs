//! Where a URL leads, as far as its text tells: its origin (RFC 6454, section 4), and whether that is this machine.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

/// Scheme, host and port: for whom a credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    /// In small letters.
    host: String,
    port: u16,
}

impl Origin {
    /// Of a URL; `None`: it has no scheme or no host, so that it leads nowhere.
    pub fn of(url: &Uri) -> Option<Self> {
        let scheme = url.scheme_str()?;
        let usual = if scheme == "https" { 443 } else { 80 };
        Some(Self {
            scheme: scheme.to_owned(),
            host: url.host()?.to_ascii_lowercase(),
            port: url.port_u16().unwrap_or(usual),
        })
    }

    /// Whether two URLs lead to the same one.
    pub fn is_shared(one: &Uri, other: &Uri) -> bool {
        Self::of(one).is_some_and(|one| Some(one) == Self::of(other))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        write!(f, "{scheme}://{host}:{port}")
    }
}

/// Whether a host of a URL names this machine, without asking anybody (RFC 6761, section 6.3).
pub fn is_loopback(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    literal.is_some_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let one = uri("https://A.example/mcp?x=1");
        assert_eq!(
            Origin::of(&one).unwrap().to_string(),
            "https://a.example:443"
        );
        for (other, shared) in [
            ("https://a.example:443/other", true),
            ("https://a.example:8443/mcp", false),
            ("http://a.example/mcp", false),
            ("https://b.example/mcp", false),
            ("/mcp", false),
        ] {
            assert_eq!(Origin::is_shared(&one, &uri(other)), shared, "{other}");
        }
        assert!(!Origin::is_shared(&uri("/mcp"), &uri("/mcp")));
    }

    #[test]
    fn this_machine_is_named_by_its_names_and_its_addresses() {
        for (host, is) in [
            ("localhost", true),
            ("LOCALHOST.", true),
            ("a.localhost", true),
            ("127.0.0.1", true),
            ("127.8.9.1", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost.example", false),
            ("10.0.0.1", false),
            ("[::]", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), is, "{host}");
        }
    }
}
