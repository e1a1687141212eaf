//! A page of a provider that a browser is sent to: whether it may be, and whose it is.
//!
//! Invariant: a URL that was not checked is shown to nobody and opened by nothing.

use url::{Host, Url};

use super::failed::LoginFailed;
use crate::model::is_loopback;

/// Longer ones are cut by some browsers, and by all that show them.
const LONGEST: usize = 8 * 1024;
/// What a shell would act on. No shell gets the URL, and what opens it may be one.
const SHELL: &str = "$`\"'<>|^{}();*!";
/// Below these, each name is somebody else's.
const SHARED: [&str; 14] = [
    "github.io",
    "gitlab.io",
    "workers.dev",
    "pages.dev",
    "vercel.app",
    "netlify.app",
    "herokuapp.com",
    "azurewebsites.net",
    "cloudfront.net",
    "amazonaws.com",
    "web.app",
    "firebaseapp.com",
    "run.app",
    "fly.dev",
];
/// In a country's domain, these are no names of anybody.
const GENERIC: [&str; 8] = ["co", "com", "net", "org", "gov", "edu", "ac", "or"];

/// A page that a browser may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// All of it.
    pub(super) url: String,
    /// Its host, in ASCII.
    pub(super) host: String,
}

impl Page {
    /// Checks a URL that is to be opened.
    pub(super) fn new(text: &str) -> Result<Self, LoginFailed> {
        let refused = |why: &str| {
            LoginFailed::Server(format!("the page where people log in is not opened: {why}"))
        };
        if text.len() > LONGEST {
            return Err(refused("its URL is longer than 8 KiB"));
        }
        // As it stands: reading it as a browser does takes out what was meant to mislead.
        if text.bytes().any(|byte| !byte.is_ascii_graphic()) || text.contains('\\') {
            return Err(refused("its URL has characters that no URL has"));
        }
        if text.contains(|c| SHELL.contains(c)) {
            return Err(refused("its URL has characters that a shell would act on"));
        }
        // A browser makes a host of whatever follows too many slashes, or too few.
        let rest = text.split_once("://").map(|(_, rest)| rest);
        if rest.is_none_or(|rest| rest.starts_with('/')) {
            return Err(refused("its URL has no host"));
        }
        let url = Url::parse(text).map_err(|_| refused("it has no URL that can be read"))?;
        if !url.username().is_empty() || url.password().is_some() || text_has_user(text) {
            return Err(refused("its URL has user information"));
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let Some(host) = host.map(str::to_owned) else {
            return Err(refused("its URL has no host"));
        };
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&host) => {}
            _ => return Err(refused("its URL is not one of the web with TLS")),
        }
        Ok(Self {
            url: url.into(),
            host,
        })
    }

    /// Whether its site is neither that of the issuer nor that of the server.
    pub(super) fn is_foreign(&self, issuer: &str, server: Option<&str>) -> bool {
        let issuer = Url::parse(issuer).ok();
        let issuer = issuer.as_ref().and_then(Url::host_str);
        ![issuer, server]
            .into_iter()
            .flatten()
            .any(|known| is_same_site(&self.host, known))
    }
}

/// Whether there is an `@` before the path, even with nothing before it.
fn text_has_user(text: &str) -> bool {
    let (_, rest) = text.split_once("://").unwrap_or(("", text));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest.get(..end)
        .is_some_and(|authority| authority.contains('@'))
}

/// Whether two hosts belong to one site, as far as that can be told from their names.
fn is_same_site(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_ascii_lowercase(), other.to_ascii_lowercase());
    if one == other {
        return true;
    }
    match (site(&one), site(&other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// The part of a name that one owner has; `None` for an address.
fn site(host: &str) -> Option<String> {
    let host = host.trim_end_matches('.');
    if !matches!(Host::parse(host), Ok(Host::Domain(_))) {
        return None;
    }
    let labels: Vec<&str> = host.split('.').collect();
    let last = |count: usize| {
        labels
            .get(labels.len().checked_sub(count)?..)
            .map(|part| part.join("."))
    };
    let two = last(2)?;
    let is_generic = two
        .split_once('.')
        .is_some_and(|(second, top)| top.len() == 2 && GENERIC.contains(&second));
    if is_generic || SHARED.contains(&two.as_str()) {
        last(3)
    } else {
        Some(two)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_browser_is_sent_to_a_hostile_url() {
        for url in [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "file:///etc/passwd",
            "data:text/html,x",
            "ftp://as.example/authorize",
            "http://as.example/authorize",
            "http://10.0.0.1/authorize",
            "ws://as.example/",
            "about:blank",
            "ms-settings:x",
            "//as.example/authorize",
            "/authorize",
            "as.example/authorize",
            "https://",
            "https:///authorize",
            "https://user@as.example/authorize",
            "https://user:word@as.example/authorize",
            "https://@as.example/authorize",
            "https://as.example@evil.example/authorize",
            "https://as.example/a b",
            "https://as.example/a\nb",
            "https://as.example/a\tb",
            " https://as.example/authorize",
            "https://as.example/\u{0}",
            "https://as.example\\@evil.example/",
            "https:\\\\as.example\\authorize",
            "https://as.example/$(touch x)",
            "https://as.example/$(touch${IFS}x)",
            "https://as.example/`id`",
            "https://as.example/?a=1;id",
            "https://as.example/?a=1|id",
            "https://as.example/?a='",
            "https://as.example/?a=\"",
            "https://as.example/?a=<b>",
            "https://exämple.com/authorize",
            "https://as.example/ä",
            "https://[::1/authorize",
            "https://as.example:99999/authorize",
            "https://%00/authorize",
        ] {
            assert!(Page::new(url).is_err(), "{url}");
        }
        assert!(Page::new(&format!("https://as.example/{}", "x".repeat(LONGEST))).is_err());
    }

    #[test]
    fn what_is_opened_shows_its_host_in_ascii() {
        for (url, host) in [
            ("https://as.example/authorize?a=1&b=%20", "as.example"),
            ("https://xn--exmple-cua.com/authorize", "xn--exmple-cua.com"),
            ("https://AS.example:8443/", "as.example"),
            ("https://0x7f.1/", "127.0.0.1"),
            ("http://127.0.0.1:4000/authorize", "127.0.0.1"),
            ("http://localhost:4000/authorize", "localhost"),
            ("http://[::1]:4000/authorize", "[::1]"),
        ] {
            assert_eq!(Page::new(url).unwrap().host, host, "{url}");
        }
    }

    #[test]
    fn a_page_of_somebody_else_is_foreign() {
        for (page, issuer, server, is) in [
            (
                "https://as.example.com/a",
                "https://as.example.com",
                "mcp.other.com",
                false,
            ),
            (
                "https://login.example.com/a",
                "https://as.example.com",
                "mcp.other.com",
                false,
            ),
            (
                "https://example.com/a",
                "https://as.example.com",
                "mcp.other.com",
                false,
            ),
            (
                "https://www.other.com/a",
                "https://as.example.com",
                "mcp.other.com",
                false,
            ),
            (
                "https://evil.com/a",
                "https://as.example.com",
                "mcp.other.com",
                true,
            ),
            (
                "https://example.com.evil.com/a",
                "https://as.example.com",
                "mcp.other.com",
                true,
            ),
            (
                "https://evil.co.uk/a",
                "https://as.example.co.uk",
                "mcp.other.com",
                true,
            ),
            (
                "https://login.example.co.uk/a",
                "https://as.example.co.uk",
                "mcp.other.com",
                false,
            ),
            (
                "https://evil.workers.dev/a",
                "https://good.workers.dev",
                "mcp.other.com",
                true,
            ),
            (
                "https://10.0.0.1/a",
                "https://10.0.0.2",
                "mcp.other.com",
                true,
            ),
            (
                "http://127.0.0.1:1/a",
                "http://127.0.0.1:2",
                "127.0.0.1",
                false,
            ),
        ] {
            let page = Page::new(page).unwrap();
            assert_eq!(page.is_foreign(issuer, Some(server)), is, "{page:?}");
        }
    }
}
