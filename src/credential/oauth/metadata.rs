//! What a server and its authorization server say of themselves (RFC 9728, RFC 8414, OpenID Connect Discovery).
//!
//! Read here and not by a library: what is missing, or is of another type than it should be, is missing and no error.

use serde_json::{Map, Value};
use url::Url;

use super::scopes::{LONGEST, MOST};
use crate::model::ClientAuthentication;

/// So many authorization servers of a document count: nobody has more.
const MOST_SERVERS: usize = 32;
/// A text that is longer is missing, too: no server takes such a URL.
const LONGEST_TEXT: usize = 2048;

/// Protected resource metadata (RFC 9728, section 2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ResourceMetadata {
    /// `resource`, exactly.
    pub(super) resource: Option<String>,
    /// `authorization_servers`, and the one of an early draft.
    pub(super) servers: Vec<String>,
    /// `scopes_supported`
    pub(super) scopes: Vec<String>,
}

/// Authorization server metadata (RFC 8414, section 2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ServerMetadata {
    /// `issuer`, exactly.
    pub(super) issuer: String,
    /// `authorization_endpoint`
    pub(super) authorization: Option<String>,
    /// `token_endpoint`
    pub(super) token: String,
    /// `registration_endpoint` (RFC 7591)
    pub(super) registration: Option<String>,
    /// `revocation_endpoint` (RFC 7009)
    pub(super) revocation: Option<String>,
    /// `userinfo_endpoint` (OpenID Connect)
    pub(super) userinfo: Option<String>,
    /// `device_authorization_endpoint` (RFC 8628)
    pub(super) device: Option<String>,
    /// `scopes_supported`; `None`: it does not say.
    pub(super) scopes: Option<Vec<String>>,
    /// `token_endpoint_auth_methods_supported`, those that are known.
    pub(super) methods: Vec<ClientAuthentication>,
    /// `code_challenge_methods_supported`; `None`: it does not say.
    pub(super) challenges: Option<Vec<String>>,
    /// `response_types_supported`; `None`: it does not say.
    pub(super) response_types: Option<Vec<String>>,
    /// `authorization_response_iss_parameter_supported` (RFC 9207)
    pub(super) names_issuer: bool,
    /// `client_id_metadata_document_supported`
    pub(super) takes_documents: bool,
}

impl ResourceMetadata {
    pub(super) fn read(document: &Map<String, Value>) -> Self {
        let mut servers = Vec::new();
        let single = text(document, "authorization_server");
        let listed = limited(
            document,
            "authorization_servers",
            MOST_SERVERS,
            LONGEST_TEXT,
        );
        let listed = listed.unwrap_or_default();
        for server in single.into_iter().chain(listed) {
            let server = server.trim().to_owned();
            if !server.is_empty() && !servers.contains(&server) {
                servers.push(server);
            }
        }
        Self {
            resource: text(document, "resource"),
            servers,
            scopes: list(document, "scopes_supported").unwrap_or_default(),
        }
    }

    /// Whether the document says anything that such a document says.
    pub(super) fn is_one(&self) -> bool {
        self.resource.is_some() || !self.servers.is_empty()
    }
}

impl ServerMetadata {
    /// `None`: it is no such document, since nobody gets a token there.
    pub(super) fn read(document: &Map<String, Value>) -> Option<Self> {
        let methods = list(document, "token_endpoint_auth_methods_supported").unwrap_or_default();
        Some(Self {
            issuer: text(document, "issuer").unwrap_or_default(),
            authorization: text(document, "authorization_endpoint"),
            token: text(document, "token_endpoint")?,
            registration: text(document, "registration_endpoint"),
            revocation: text(document, "revocation_endpoint"),
            userinfo: text(document, "userinfo_endpoint"),
            device: text(document, "device_authorization_endpoint"),
            scopes: list(document, "scopes_supported"),
            methods: methods
                .iter()
                .filter_map(|word| ClientAuthentication::of_word(word))
                .collect(),
            challenges: list(document, "code_challenge_methods_supported"),
            response_types: list(document, "response_types_supported"),
            names_issuer: flag(document, "authorization_response_iss_parameter_supported"),
            takes_documents: flag(document, "client_id_metadata_document_supported"),
        })
    }
}

/// Whether a resource identifier is that of the server at `url` (RFC 9728, section 3.3): the same, or one above it at
/// the same origin, with or without a slash at the end. A token for what is above is for the server too.
pub(super) fn is_resource_of(resource: &str, url: &Url) -> bool {
    let Ok(resource) = Url::parse(resource) else {
        return false;
    };
    if resource.fragment().is_some() || resource.origin() != url.origin() {
        return false;
    }
    let (above, path) = (
        resource.path().trim_end_matches('/'),
        url.path().trim_end_matches('/'),
    );
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What `resource` says where no metadata says it: the URL without its query, and at the root without the slash.
pub(super) fn resource_of(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let text = String::from(url.as_str());
    match text.strip_suffix('/') {
        Some(root) if url.path() == "/" => root.to_owned(),
        _ => text,
    }
}

/// Whether two issuers are one. A URL without a path is written with or without a slash, even by one and the same
/// provider; everything else is compared byte for byte (RFC 8414, section 3.3).
pub(super) fn is_same_issuer(one: &str, other: &str) -> bool {
    fn bare(issuer: &str) -> &str {
        match issuer.strip_suffix('/') {
            Some(root) if root.splitn(4, '/').count() == 3 => root,
            _ => issuer,
        }
    }
    bare(one) == bare(other)
}

fn text(document: &Map<String, Value>, member: &str) -> Option<String> {
    let text = document.get(member)?.as_str()?;
    (1..=LONGEST_TEXT)
        .contains(&text.len())
        .then(|| text.to_owned())
}

/// A list of words, or one text of words: some write `scopes_supported` that way.
fn list(document: &Map<String, Value>, member: &str) -> Option<Vec<String>> {
    limited(document, member, MOST, LONGEST)
}

/// The first `most` of its entries that are no longer than `longest`: a document is a stranger's, and as long as an
/// answer may be.
fn limited(
    document: &Map<String, Value>,
    member: &str,
    most: usize,
    longest: usize,
) -> Option<Vec<String>> {
    let owned = |words: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        words
            .filter(|word| word.len() <= longest)
            .take(most)
            .map(str::to_owned)
            .collect()
    };
    match document.get(member)? {
        Value::Array(words) => Some(owned(&mut words.iter().filter_map(Value::as_str))),
        Value::String(words) => Some(owned(&mut words.split_whitespace())),
        _ => None,
    }
}

fn flag(document: &Map<String, Value>, member: &str) -> bool {
    document.get(member).and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_resource_is_the_server_or_what_is_above_it() {
        for (resource, url, is) in [
            ("https://x.example/mcp", "https://x.example/mcp", true),
            ("https://x.example/mcp/", "https://x.example/mcp", true),
            ("https://x.example/mcp", "https://x.example/mcp/", true),
            ("https://x.example", "https://x.example/mcp", true),
            ("https://x.example/", "https://x.example/a/mcp", true),
            ("https://x.example/a", "https://x.example/a/mcp?b=1", true),
            ("https://X.example:443/mcp", "https://x.example/mcp", true),
            ("https://x.example/m", "https://x.example/mcp", false),
            ("https://x.example/mcp/b", "https://x.example/mcp", false),
            ("https://x.example/other", "https://x.example/mcp", false),
            ("http://x.example/mcp", "https://x.example/mcp", false),
            ("https://y.example/mcp", "https://x.example/mcp", false),
            ("https://x.example:8443/mcp", "https://x.example/mcp", false),
            ("https://x.example/mcp#a", "https://x.example/mcp", false),
            ("x.example", "https://x.example/mcp", false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(is_resource_of(resource, &url), is, "{resource} of {url}");
        }
    }

    #[test]
    fn only_a_root_may_have_a_slash_or_not() {
        assert!(is_same_issuer("https://a.example", "https://a.example/"));
        assert!(!is_same_issuer(
            "https://a.example/t",
            "https://a.example/t/"
        ));
        assert!(!is_same_issuer("https://a.example", "https://A.example"));
        assert!(!is_same_issuer("https://a.example", "https://a.example//"));
    }

    #[test]
    fn the_resource_of_a_url_has_no_query_and_a_root_no_slash() {
        for (url, resource) in [
            ("https://x.example", "https://x.example"),
            ("https://x.example/?key=1", "https://x.example"),
            ("https://x.example/mcp/?key=1", "https://x.example/mcp/"),
            ("https://x.example/mcp", "https://x.example/mcp"),
        ] {
            assert_eq!(resource_of(&Url::parse(url).unwrap()), resource);
        }
    }

    #[test]
    fn a_document_of_very_many_entries_is_read_at_once() {
        let many: Vec<String> = (0..145_000).map(|number| format!("a{number}")).collect();
        let long = "x".repeat(LONGEST_TEXT + 1);
        let document = json!({
            "resource": long, "authorization_servers": many, "scopes_supported": many.join(" "),
            "token_endpoint": "https://a/t", "registration_endpoint": long,
        });
        let began = std::time::Instant::now();
        let read = ResourceMetadata::read(document.as_object().unwrap());
        let server = ServerMetadata::read(document.as_object().unwrap()).unwrap();
        // Whoever compared each with each would need minutes.
        assert!(began.elapsed() < std::time::Duration::from_secs(20));
        assert_eq!(read.servers, many[..MOST_SERVERS]);
        assert_eq!(read.scopes, many[..MOST]);
        assert_eq!(server.scopes, Some(many[..MOST].to_vec()));
        assert_eq!((read.resource, server.registration), (None, None));
    }

    #[test]
    fn what_is_of_another_type_is_missing() {
        let document = json!({
            "issuer": 1, "token_endpoint": "https://a/t", "scopes_supported": "a b",
            "code_challenge_methods_supported": null, "token_endpoint_auth_methods_supported": ["new", "none"],
            "authorization_response_iss_parameter_supported": "true",
        });
        let read = ServerMetadata::read(document.as_object().unwrap()).unwrap();
        assert_eq!(read.issuer, "");
        assert_eq!(read.scopes, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(read.challenges, None);
        assert_eq!(read.methods, [ClientAuthentication::None]);
        assert!(!read.names_issuer);
        assert_eq!(ServerMetadata::read(&Map::new()), None);
    }
}
