//! Which addresses an authorization server may have: whoever runs an MCP server names any URL, and must not make Janus
//! ask around in the network of its user.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

use super::network::Policy;
use crate::model::{Origin, is_loopback};

/// Of what kind an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// On the Internet.
    Public,
    /// In somebody's own network.
    Private,
    /// This machine.
    Loopback,
    /// Nobody's authorization server: link-local, multicast, reserved, the metadata services of clouds.
    Never,
}

/// The address at which a cloud tells its machines who they are: it looks like any other of its range.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// The same, in the range of private addresses.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);
/// How clouds call it.
const METADATA_NAMES: [&str; 4] = [
    "metadata",
    "metadata.google.internal",
    "metadata.azure.internal",
    "instance-data",
];

impl Class {
    /// The class of an address.
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, c, _] = address.octets();
        if METADATA_V4.contains(&address) {
            return Self::Never;
        }
        match (a, b, c) {
            (127, ..) => Self::Loopback,
            // The second is shared by the customers of a provider (RFC 6598), and what overlay networks use.
            (10, ..) | (100, 64..=127, _) | (172, 16..=31, _) | (192, 168, _) => Self::Private,
            // This network, link-local, protocol assignments, documentation, relays, benchmarks, multicast and later.
            (0 | 224.., ..)
            | (169, 254, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113) => Self::Never,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if address == METADATA_V6 {
            return Self::Never;
        }
        // The same machine, written in another way (RFC 4291, section 2.5.5.2).
        if let Some(mapped) = address.to_ipv4_mapped() {
            return Self::of_v4(mapped);
        }
        let [a, b, third, .., high, low] = address.segments();
        let translated = |high: u16, low: u16| {
            let [one, two] = high.to_be_bytes();
            let [three, four] = low.to_be_bytes();
            // A translator leads there, so that nothing but the Internet is what is meant.
            match Self::of_v4(Ipv4Addr::new(one, two, three, four)) {
                Self::Public => Self::Public,
                _ => Self::Never,
            }
        };
        match (a, b) {
            _ if address.is_loopback() => Self::Loopback,
            // NAT64 (RFC 6052) and 6to4 (RFC 3056) hold an address of the older kind.
            (0x64, 0xff9b) if matches!(address.segments(), [_, _, 0, 0, 0, 0, ..]) => {
                translated(high, low)
            }
            (0x2002, _) => translated(b, third),
            (0xfc00..=0xfdff, _) => Self::Private,
            // Teredo, ORCHID, benchmarks and documentation lie in what is otherwise on the Internet.
            (0x2001, 0 | 0x0002 | 0x0db8 | 0x10..=0x2f) | (0x3fff, 0..=0x0fff) => Self::Never,
            (0x2000..=0x3fff, _) => Self::Public,
            _ => Self::Never,
        }
    }
}

/// What is allowed for one URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowed {
    /// The MCP server itself, where the person who configured it sends requests anyway.
    own: bool,
    private: bool,
    loopback: bool,
}

impl Allowed {
    pub(super) fn of(url: &Uri, policy: &Policy) -> Self {
        let host = policy.server.host().unwrap_or_default();
        let literal = literal(host).map(Class::of);
        Self {
            own: Origin::is_shared(url, &policy.server),
            private: policy.private || literal == Some(Class::Private),
            loopback: is_loopback(host),
        }
    }

    /// Whether a connection to this address may be made.
    pub(super) fn address(self, address: IpAddr) -> bool {
        self.own
            || match Class::of(address) {
                Class::Public => true,
                Class::Private => self.private,
                Class::Loopback => self.loopback,
                Class::Never => false,
            }
    }

    /// Why this URL is not asked, as far as it shows without asking for its address.
    pub(super) fn url(self, url: &Uri) -> Result<(), String> {
        let host = url.host().unwrap_or_default();
        let shown = host.trim_matches(['[', ']']);
        if host.is_empty() {
            return Err("it is no URL with a host".to_owned());
        }
        if url
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(format!("the URL at {shown} has user information"));
        }
        match url.scheme_str() {
            Some("https") => {}
            Some("http") if self.own || (self.loopback && is_loopback(host)) => {}
            _ => return Err(format!("{shown} is not asked without TLS")),
        }
        if self.own {
            return Ok(());
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let refused = match literal(host) {
            Some(address) => !self.address(address),
            None => {
                METADATA_NAMES.contains(&name.as_str()) || (is_loopback(host) && !self.loopback)
            }
        };
        if refused {
            Err(not_allowed(shown))
        } else {
            Ok(())
        }
    }
}

/// What is said of an address that is not connected to.
pub(super) fn not_allowed(host: &str) -> String {
    format!("{host} is no public address")
}

fn literal(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_range_has_its_class() {
        for (address, class) in [
            ("1.1.1.1", Class::Public),
            ("140.82.121.4", Class::Public),
            ("100.63.255.255", Class::Public),
            ("100.128.0.1", Class::Public),
            ("172.15.255.255", Class::Public),
            ("172.32.0.1", Class::Public),
            ("2606:4700::1111", Class::Public),
            ("64:ff9b::1.1.1.1", Class::Public),
            ("2002:0101:0101::1", Class::Public),
            ("::ffff:1.1.1.1", Class::Public),
            ("10.0.0.1", Class::Private),
            ("172.16.0.1", Class::Private),
            ("172.31.255.255", Class::Private),
            ("192.168.1.1", Class::Private),
            ("100.64.0.1", Class::Private),
            ("100.127.255.255", Class::Private),
            ("fc00::1", Class::Private),
            ("fd12:3456::1", Class::Private),
            ("::ffff:10.0.0.1", Class::Private),
            ("127.0.0.1", Class::Loopback),
            ("127.255.255.254", Class::Loopback),
            ("::1", Class::Loopback),
            ("::ffff:127.0.0.1", Class::Loopback),
            ("0.0.0.0", Class::Never),
            ("0.1.2.3", Class::Never),
            ("169.254.169.254", Class::Never),
            ("169.254.0.1", Class::Never),
            ("100.100.100.200", Class::Never),
            ("168.63.129.16", Class::Never),
            ("192.0.0.192", Class::Never),
            ("192.0.0.1", Class::Never),
            ("192.0.2.1", Class::Never),
            ("192.88.99.1", Class::Never),
            ("198.18.0.1", Class::Never),
            ("198.19.255.255", Class::Never),
            ("198.51.100.1", Class::Never),
            ("203.0.113.1", Class::Never),
            ("224.0.0.1", Class::Never),
            ("239.255.255.250", Class::Never),
            ("240.0.0.1", Class::Never),
            ("255.255.255.255", Class::Never),
            ("::", Class::Never),
            ("::7f00:1", Class::Never),
            ("::ffff:169.254.169.254", Class::Never),
            ("::ffff:0:127.0.0.1", Class::Never),
            ("64:ff9b::127.0.0.1", Class::Never),
            ("64:ff9b::169.254.169.254", Class::Never),
            ("64:ff9b::10.0.0.1", Class::Never),
            ("64:ff9b:1::1", Class::Never),
            ("2002:7f00:1::", Class::Never),
            ("2002:a9fe:a9fe::1", Class::Never),
            ("2002:0a00:1::", Class::Never),
            ("2001::1", Class::Never),
            ("2001:db8::1", Class::Never),
            ("2001:10::1", Class::Never),
            ("3fff::1", Class::Never),
            ("100::1", Class::Never),
            ("fe80::1", Class::Never),
            ("febf::1", Class::Never),
            ("fec0::1", Class::Never),
            ("ff02::1", Class::Never),
            ("fd00:ec2::254", Class::Never),
        ] {
            assert_eq!(Class::of(address.parse().unwrap()), class, "{address}");
        }
    }

    #[test]
    fn a_url_that_leads_inside_is_not_asked() {
        let policy = |server: &str, private| Policy {
            server: server.parse().unwrap(),
            private,
            ca: None,
        };
        let public = policy("https://mcp.example.com/mcp", false);
        let brave = policy("https://mcp.example.com/mcp", true);
        let home = policy("https://192.168.1.4/mcp", false);
        let own = policy("http://127.0.0.1:4000/mcp", false);
        for (url, policy, is_asked) in [
            ("https://as.example.com/token", &public, true),
            ("https://1.1.1.1/token", &public, true),
            ("http://as.example.com/token", &public, false),
            ("http://mcp.example.com/token", &public, false),
            ("https://user@as.example.com/token", &public, false),
            ("https://user:word@as.example.com/", &public, false),
            ("https://localhost/", &public, false),
            ("https://LOCALHOST./", &public, false),
            ("https://as.localhost/", &public, false),
            ("https://metadata/", &public, false),
            ("https://metadata.google.internal./", &public, false),
            ("https://127.0.0.1/", &public, false),
            ("https://[::1]/", &public, false),
            ("https://[::ffff:127.0.0.1]/", &public, false),
            ("https://10.0.0.1/", &public, false),
            ("https://169.254.169.254/latest/", &public, false),
            ("https://10.0.0.1/", &brave, true),
            ("https://100.64.0.1/", &brave, true),
            ("https://[fd12::1]/", &brave, true),
            ("https://127.0.0.1/", &brave, false),
            ("https://169.254.169.254/", &brave, false),
            ("http://10.0.0.1/", &brave, false),
            ("https://192.168.1.9/", &home, true),
            ("https://127.0.0.1/", &home, false),
            ("http://127.0.0.1:9000/token", &own, true),
            ("http://localhost:9000/token", &own, true),
            ("https://[::1]:9000/token", &own, true),
            ("http://10.0.0.1/token", &own, false),
            ("https://10.0.0.1/token", &own, false),
            ("http://as.example.com/token", &own, false),
            ("https://as.example.com/token", &own, true),
            ("ftp://127.0.0.1/", &own, false),
            ("/token", &own, false),
        ] {
            let url: Uri = url.parse().unwrap();
            let allowed = Allowed::of(&url, policy);
            assert_eq!(allowed.url(&url).is_ok(), is_asked, "{url} of {policy:?}");
        }
    }

    #[test]
    fn the_server_itself_is_asked_where_it_is() {
        let policy = Policy {
            server: "https://mcp.corp.example/mcp".parse().unwrap(),
            private: false,
            ca: None,
        };
        let inside: IpAddr = "10.1.2.3".parse().unwrap();
        for (url, is_asked) in [
            ("https://mcp.corp.example/.well-known/x", true),
            ("https://MCP.corp.example:443/x", true),
            ("https://mcp.corp.example:8443/x", false),
            ("https://as.corp.example/x", false),
        ] {
            let url: Uri = url.parse().unwrap();
            let allowed = Allowed::of(&url, &policy);
            assert_eq!(allowed.address(inside), is_asked, "{url}");
        }
    }
}
