//! The well-known places, and how they are asked for.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use url::Url;

/// What a client says that asks for metadata.
const REVISION: (&str, HeaderValue) = (
    "mcp-protocol-version",
    HeaderValue::from_static("2025-11-25"),
);
/// Where a server says who gives tokens for it (RFC 9728, section 3).
pub(super) const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// What asks for a document.
pub(super) fn asking(url: &Url) -> Request<Vec<u8>> {
    made(Method::GET, url, Vec::new(), "application/json")
}

/// A message that does nothing at a server that lets everybody in.
pub(super) fn knocking(server: &Url) -> Request<Vec<u8>> {
    let ping = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let mut request = made(
        Method::POST,
        server,
        ping.to_vec(),
        "application/json, text/event-stream",
    );
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json);
    request
}

fn made(method: Method, url: &Url, body: Vec<u8>, accept: &'static str) -> Request<Vec<u8>> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    if let Ok(url) = url.as_str().parse() {
        *request.uri_mut() = url;
    }
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    headers.insert(REVISION.0, REVISION.1);
    request
}

/// Whose metadata is at a place (RFC 8414, section 3.1; OpenID Connect Discovery, section 4).
pub(super) fn issuer_of(place: &Url) -> Option<String> {
    let path = place.path();
    let inserted = [OAUTH, OPENID]
        .iter()
        .find_map(|known| path.strip_prefix(known))
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let path = inserted.or_else(|| path.strip_suffix(OPENID))?;
    let mut issuer = place.clone();
    issuer.set_query(None);
    issuer.set_fragment(None);
    issuer.set_path(path);
    Some(issuer.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_tells_whose_metadata_is_there() {
        for (place, issuer) in [
            (
                "https://a.example/.well-known/oauth-authorization-server",
                Some("https://a.example/"),
            ),
            (
                "https://a.example/.well-known/openid-configuration/t/u",
                Some("https://a.example/t/u"),
            ),
            (
                "https://a.example/t/.well-known/openid-configuration",
                Some("https://a.example/t"),
            ),
            (
                "https://a.example/.well-known/oauth-authorization-serverx",
                None,
            ),
            ("https://a.example/metadata.json", None),
        ] {
            let place = Url::parse(place).unwrap();
            assert_eq!(issuer_of(&place).as_deref(), issuer, "{place}");
        }
    }
}
