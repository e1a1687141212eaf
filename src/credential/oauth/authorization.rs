//! The page of the provider where a person says yes (RFC 6749, section 4.1.1; RFC 7636; RFC 8707): its URL, and whether
//! a browser may be sent there.
//!
//! Invariant: a URL that was not checked is shown to nobody and opened by nothing.

use url::{Host, Url};

use super::address::is_loopback;
use super::failed::{LoginFailed, foreign};
use super::scopes::OFFLINE;
use crate::model::OAuth;

/// Longer ones are cut by some browsers, and by all that show them.
const LONGEST: usize = 8 * 1024;
/// What the protocol needs is no matter of taste.
const RESERVED: [&str; 7] = [
    "client_id",
    "response_type",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
];
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

/// What rmcp made of the endpoint, with what it does not know.
pub(super) fn page(
    made: &str,
    endpoint: &str,
    settings: &OAuth,
    (scopes, resource): (&[String], Option<&str>),
) -> Result<Page, LoginFailed> {
    // What the server wrote, before anything made it presentable.
    Page::new(endpoint)?;
    let mut url = Url::parse(made)
        .map_err(|_| LoginFailed::Janus("the URL of the login cannot be read".to_owned()))?;
    let mut query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    query.retain(|(name, _)| !["scope", "resource"].contains(&name.as_str()));
    let mut set = |name: &str, value: String| {
        query.retain(|(known, _)| known != name);
        query.push((name.to_owned(), value));
    };
    if !scopes.is_empty() {
        set("scope", scopes.join(" "));
    }
    //= https://www.rfc-editor.org/rfc/rfc8707#section-2
    //# Its value MUST be an absolute URI
    if let Some(resource) = resource {
        set("resource", resource.to_owned());
    }
    // What asks for a refresh token has an effect only where the person is asked for it (OpenID Connect Core, section
    // 11), which a provider that lists it may insist on.
    if scopes.iter().any(|scope| scope == OFFLINE) {
        set("prompt", "consent".to_owned());
    }
    let given = settings.authorize_params.iter();
    for (name, value) in given.chain(&settings.choose_account) {
        if !RESERVED.contains(&name.as_str()) {
            set(name, value.clone());
        }
    }
    if let (Some(name), Some(hint)) = (&settings.login_hint_param, &settings.login_hint)
        && !RESERVED.contains(&name.as_str())
    {
        set(name, hint.clone());
    }
    let mut encoded = url::form_urlencoded::Serializer::new(String::new());
    let encoded = encoded.extend_pairs(query).finish();
    // The encoding of forms leaves this one as it is.
    url.set_query(Some(&encoded.replace('*', "%2A")));
    let page = Page::new(url.as_str())?;
    if let Some(wrong) = page.url.find(|c: char| !c.is_ascii()) {
        return Err(LoginFailed::Janus(format!(
            "the URL of the login has a character that no URL has at {wrong}: {}",
            foreign(&page.host)
        )));
    }
    Ok(page)
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

    fn made(settings: &OAuth, scopes: &[&str], resource: Option<&str>) -> Vec<(String, String)> {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let rmcp = "https://as.example/authorize?tenant=1&response_type=code&client_id=c&state=s\
                    &code_challenge=x&code_challenge_method=S256&redirect_uri=http%3A%2F%2F127.0.0.1%2F\
                    &resource=https%3A%2F%2Frmcp.example%2F&scope=everything";
        let page = page(
            rmcp,
            "https://as.example/authorize?tenant=1",
            settings,
            (&scopes, resource),
        );
        let url = Url::parse(&page.unwrap().url).unwrap();
        url.query_pairs().into_owned().collect()
    }

    fn value<'q>(query: &'q [(String, String)], name: &str) -> Option<&'q str> {
        let mut found = query.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert_eq!(found.next(), None, "{name} twice");
        value
    }

    #[test]
    fn scope_and_resource_are_what_janus_says() {
        let query = made(&OAuth::default(), &["a", "b"], Some("https://mcp.example"));
        assert_eq!(value(&query, "scope"), Some("a b"));
        assert_eq!(value(&query, "resource"), Some("https://mcp.example"));
        assert_eq!(value(&query, "tenant"), Some("1"));
        assert_eq!(value(&query, "state"), Some("s"));
        assert_eq!(value(&query, "prompt"), None);
        let query = made(&OAuth::default(), &[], None);
        assert_eq!(value(&query, "scope"), None);
        assert_eq!(value(&query, "resource"), None);
    }

    #[test]
    fn the_person_is_asked_who_they_are() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let settings = OAuth {
            login_hint: Some("me@a.example".to_owned()),
            login_hint_param: Some("login".to_owned()),
            authorize_params: vec![
                pair("access_type", "offline"),
                pair("state", "mine"),
                pair("redirect_uri", "https://evil.example"),
                pair("code_challenge_method", "plain"),
            ],
            choose_account: vec![pair("prompt", "select_account consent")],
            ..OAuth::default()
        };
        let query = made(&settings, &["a", OFFLINE], None);
        assert_eq!(value(&query, "login"), Some("me@a.example"));
        assert_eq!(value(&query, "access_type"), Some("offline"));
        assert_eq!(value(&query, "prompt"), Some("select_account consent"));
        assert_eq!(value(&query, "state"), Some("s"));
        assert_eq!(value(&query, "redirect_uri"), Some("http://127.0.0.1/"));
        assert_eq!(value(&query, "code_challenge_method"), Some("S256"));
        assert_eq!(
            value(&made(&OAuth::default(), &[OFFLINE], None), "prompt"),
            Some("consent")
        );
    }
}
