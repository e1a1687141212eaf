//! The documents on the way from a server to its authorization server, as rmcp asks for them (RFC 9728, RFC 8414).
//!
//! rmcp knows the order of the places. Which of several authorization servers is meant, whether a document is about this
//! server, and whether an issuer is the one that was asked for is decided here; rmcp sees what was accepted.

mod document;
mod place;

use std::collections::BTreeMap;

use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use url::{Host, Url};

use super::address::Class;
use super::failed::{LoginFailed, foreign};
use super::login::Challenge;
use super::metadata::{ResourceMetadata, ServerMetadata, is_resource_of, is_same_issuer};
use super::network::NetworkError;
use super::seam::{Way, response};
use document::{Answered, Document};
use place::{RESOURCE, asking, issuer_of, knocking};

/// For an authorization server at a private address, which rmcp would not go to even where somebody allowed it.
const ALIAS: &str = "issuer.janus.invalid";

/// One walk, which may be begun again for the next authorization server of a list.
#[derive(Debug)]
pub(super) struct Walk {
    /// The MCP server.
    server: Url,
    /// What it said with its refusal.
    challenge: Option<Challenge>,
    wanted: Wanted,
    /// Which authorization server of the list this is about.
    attempt: usize,
    /// What was answered, so that the next attempt asks for nothing again.
    answered: BTreeMap<String, Answered>,
    /// The place that was asked for, before its redirects.
    asked: Option<Url>,
    /// The authorization server that is asked, as it was named.
    candidate: Option<String>,
    /// The same where rmcp calls it otherwise.
    alias: Option<Url>,
    pub(super) seen: Seen,
}

/// What is known before.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// `auth.oauth.issuer`
    pub(super) pinned: Option<String>,
    /// Who gave the last grant.
    pub(super) earlier: Option<String>,
    /// `auth.oauth.resource`
    pub(super) resource: Option<String>,
}

/// What the documents said.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The resource metadata that was accepted.
    pub(super) resource: Option<ResourceMetadata>,
    /// How many authorization servers it names.
    pub(super) candidates: usize,
    /// The authorization server that was accepted.
    pub(super) server: Option<ServerMetadata>,
    /// A document that is about something else: nothing may be concluded from its being there.
    pub(super) mismatch: Option<LoginFailed>,
    /// Why a request failed.
    pub(super) failure: Option<LoginFailed>,
}

impl Walk {
    pub(super) fn new(server: Url, challenge: Option<Challenge>, wanted: Wanted) -> Self {
        Self {
            server,
            challenge,
            wanted,
            attempt: 0,
            answered: BTreeMap::new(),
            asked: None,
            candidate: None,
            alias: None,
            seen: Seen::default(),
        }
    }

    /// The same walk, to the next authorization server.
    pub(super) fn next(mut self) -> Self {
        self.attempt += 1;
        (self.candidate, self.alias, self.asked) = (None, None, None);
        self.seen = Seen::default();
        self
    }

    /// What the server said with a refusal; also one that was asked for.
    pub(super) fn challenge(&self) -> Option<&Challenge> {
        self.challenge.as_ref()
    }

    /// Whether the authorization server that is asked gave the last grant.
    pub(super) fn is_at_the_earlier(&self) -> bool {
        let pair = self.candidate.as_ref().zip(self.wanted.earlier.as_ref());
        pair.is_some_and(|(candidate, earlier)| is_same_issuer(candidate, earlier))
    }

    /// Whether the server names one that was not tried.
    pub(super) fn has_another(&self) -> bool {
        self.seen.candidates > self.attempt + 1
    }

    pub(super) async fn answer(
        &mut self,
        way: &Way,
        request: &Request<Vec<u8>>,
    ) -> Option<Response<Vec<u8>>> {
        let url = Url::parse(&request.uri().to_string()).ok()?;
        if url == self.server {
            return self.probe(way).await;
        }
        let url = self.unaliased(url);
        let answer = if let Some(answer) = self.answered.get(url.as_str()) {
            answer.clone()
        } else {
            let got = way.send(asking(&url)).await;
            let answer = Answered::new(self.kept(&url, got)?);
            self.answered.insert(url.to_string(), answer.clone());
            answer
        };
        let status = answer.response.status();
        if status.is_redirection() {
            self.asked.get_or_insert(url);
            return Some(answer.response);
        }
        let asked = self.asked.take().unwrap_or_else(|| url.clone());
        if status.is_server_error() || [408, 425, 429].contains(&status.as_u16()) {
            let host = url.host_str().unwrap_or_default();
            let failed = LoginFailed::Unreachable(format!(
                "{host} answers HTTP {} when it is asked for its metadata",
                status.as_u16()
            ));
            self.seen.failure = Some(failed);
        }
        let pinned = self.wanted.pinned.clone();
        match answer.document {
            Document::Server(server) => return Some(self.accept_server(*server, &asked)),
            Document::Resource(resource) => {
                if let Some(answer) = self.accept_resource(resource) {
                    return Some(answer);
                }
            }
            // The server names nobody, and the person who configured it did.
            Document::Nothing if asked.path() == RESOURCE && !status.is_server_error() => {
                if let Some(pinned) = pinned {
                    let resource = ResourceMetadata {
                        resource: None,
                        servers: vec![pinned],
                        scopes: Vec::new(),
                    };
                    return Some(self.choose(resource));
                }
            }
            Document::Other | Document::Nothing => {}
        }
        Some(answer.response)
    }

    /// What the server says to somebody whom it does not know. Asked only where nobody was refused yet.
    async fn probe(&mut self, way: &Way) -> Option<Response<Vec<u8>>> {
        if self.challenge.is_none() {
            let got = way.network.head(asking(&self.server), &way.policy).await;
            let server = self.server.clone();
            let mut got = self.kept(&server, got)?;
            if got.status() != StatusCode::UNAUTHORIZED {
                // Some look at the credential only where a message comes.
                let posted = way.network.head(knocking(&self.server), &way.policy).await;
                got = self.kept(&server, posted)?;
            }
            if got.status() != StatusCode::UNAUTHORIZED {
                return Some(response(StatusCode::OK, &Value::Null));
            }
            let headers = got.headers().get_all(WWW_AUTHENTICATE).iter();
            self.challenge = Some(Challenge::new(401, headers.map(HeaderValue::as_bytes)));
        }
        let mut refused = response(StatusCode::UNAUTHORIZED, &Value::Null);
        let header = self
            .challenge
            .as_ref()
            .and_then(|challenge| challenge.header.as_deref())
            .and_then(|header| HeaderValue::from_str(header).ok());
        if let Some(header) = header {
            refused.headers_mut().insert(WWW_AUTHENTICATE, header);
        }
        Some(refused)
    }

    /// The same failure, where it is the server that did not answer and nobody else.
    fn unreached(&self, url: &Url, failed: LoginFailed) -> LoginFailed {
        match failed {
            LoginFailed::Unreachable(why) if url.origin() == self.server.origin() => {
                LoginFailed::NoServer(why)
            }
            other => other,
        }
    }

    fn kept(
        &mut self,
        url: &Url,
        answer: Result<Response<Vec<u8>>, NetworkError>,
    ) -> Option<Response<Vec<u8>>> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.seen.failure = Some(self.unreached(url, LoginFailed::of_network(error)));
                None
            }
        }
    }

    /// A document about this server leads on to one authorization server; `None`: rmcp judges it as it came.
    fn accept_resource(&mut self, resource: ResourceMetadata) -> Option<Response<Vec<u8>>> {
        let Some(named) = &resource.resource else {
            self.seen.mismatch = Some(LoginFailed::Server(
                "the server's resource metadata does not say what it is about".to_owned(),
            ));
            return None;
        };
        //= https://www.rfc-editor.org/rfc/rfc9728#section-3.3
        //# If these values are not identical, the data contained in the response MUST NOT be used.
        let is_meant = self.wanted.resource.as_ref() == Some(named);
        if !is_meant && !is_resource_of(named, &self.server) {
            self.seen.mismatch = Some(LoginFailed::Server(format!(
                "the server's resource metadata is about another resource: {}",
                foreign(named)
            )));
            return None;
        }
        Some(self.choose(resource))
    }

    /// The document as rmcp sees it: about this server, with the authorization server whose turn it is.
    fn choose(&mut self, resource: ResourceMetadata) -> Response<Vec<u8>> {
        let mut servers: Vec<&String> = resource.servers.iter().collect();
        let rank = |server: &str, known: &Option<String>| {
            known
                .as_ref()
                .is_none_or(|known| !is_same_issuer(server, known))
        };
        // Where there is a choice: who is pinned, then who gave the last grant, then as they are listed.
        servers.sort_by_key(|server| {
            (
                rank(server, &self.wanted.pinned),
                rank(server, &self.wanted.earlier),
            )
        });
        let candidate = servers.get(self.attempt).map(|server| (*server).clone());
        let servers: Vec<String> = candidate
            .iter()
            .map(|server| self.aliased(server))
            .collect();
        self.candidate = candidate;
        let document = json!({
            "resource": self.server.as_str(),
            "authorization_servers": servers,
            "scopes_supported": &resource.scopes,
        });
        self.seen.candidates = resource.servers.len();
        self.seen.resource = Some(resource);
        response(StatusCode::OK, &document)
    }

    fn aliased(&mut self, server: &str) -> String {
        let Ok(url) = Url::parse(server) else {
            return server.to_owned();
        };
        let class = match url.host() {
            Some(Host::Ipv4(address)) => Class::of(address.into()),
            Some(Host::Ipv6(address)) => Class::of(address.into()),
            _ => return server.to_owned(),
        };
        let mut alias = url.clone();
        if class != Class::Private || alias.set_host(Some(ALIAS)).is_err() {
            return server.to_owned();
        }
        self.alias = Some(url);
        alias.to_string()
    }

    fn unaliased(&self, mut url: Url) -> Url {
        if url.host_str() == Some(ALIAS)
            && let Some(real) = &self.alias
            && url.set_host(real.host_str()).is_err()
        {
            return real.clone();
        }
        url
    }

    /// The metadata of the authorization server that was asked for, and of no other.
    //= https://www.rfc-editor.org/rfc/rfc8414#section-3.3
    //# If these values are not identical, the data contained in the response MUST NOT be used.
    fn accept_server(&mut self, server: ServerMetadata, asked: &Url) -> Response<Vec<u8>> {
        let expected = self.candidate.clone().or_else(|| issuer_of(asked));
        let is_it = match &self.wanted.pinned {
            Some(pinned) => server.issuer == *pinned,
            None => expected
                .as_ref()
                .is_some_and(|expected| is_same_issuer(&server.issuer, expected)),
        };
        if !is_it {
            let expected = self.wanted.pinned.clone().or(expected).unwrap_or_default();
            self.seen.failure = Some(LoginFailed::Server(format!(
                "the authorization server {} calls itself {:?}",
                foreign(&expected),
                foreign(&server.issuer)
            )));
            return response(StatusCode::NOT_FOUND, &Value::Null);
        }
        let document = json!({
            // Where there is none, nobody is sent there; rmcp wants one.
            "authorization_endpoint": server.authorization.as_deref().unwrap_or(&server.token),
            "token_endpoint": &server.token,
            "registration_endpoint": &server.registration,
            "scopes_supported": &server.scopes,
            "response_types_supported": &server.response_types,
            "code_challenge_methods_supported": &server.challenges,
        });
        self.seen.server = Some(server);
        response(StatusCode::OK, &document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(wanted: Wanted) -> Walk {
        let server = Url::parse("https://mcp.example.com/mcp").unwrap();
        Walk::new(server, None, wanted)
    }

    fn resource(servers: &[&str]) -> ResourceMetadata {
        ResourceMetadata {
            resource: Some("https://mcp.example.com/mcp".to_owned()),
            servers: servers.iter().map(|server| (*server).to_owned()).collect(),
            scopes: Vec::new(),
        }
    }

    fn chosen(response: &Response<Vec<u8>>) -> String {
        let json: Value = serde_json::from_slice(response.body()).unwrap();
        json["authorization_servers"][0]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn issuer(name: &str) -> ServerMetadata {
        ServerMetadata {
            issuer: name.to_owned(),
            token: format!("{name}/token"),
            ..ServerMetadata::default()
        }
    }

    #[test]
    fn who_gave_the_last_grant_is_asked_first_and_who_is_pinned_before() {
        let listed = [
            "https://a.example",
            "https://b.example",
            "https://c.example",
        ];
        let mut one = walk(Wanted {
            earlier: Some("https://b.example/".to_owned()),
            ..Wanted::default()
        });
        assert_eq!(chosen(&one.choose(resource(&listed))), "https://b.example");
        assert!(one.is_at_the_earlier());
        let mut one = one.next();
        assert_eq!(chosen(&one.choose(resource(&listed))), "https://a.example");
        assert!(!one.is_at_the_earlier());
        let mut other = walk(Wanted {
            earlier: Some("https://b.example".to_owned()),
            pinned: Some("https://c.example".to_owned()),
            ..Wanted::default()
        });
        assert_eq!(
            chosen(&other.choose(resource(&listed))),
            "https://c.example"
        );
    }

    #[test]
    fn a_private_address_is_called_otherwise_to_rmcp() {
        let mut walk = walk(Wanted::default());
        let listed = chosen(&walk.choose(resource(&["https://10.0.0.5:8443/tenant"])));
        assert_eq!(listed, "https://issuer.janus.invalid:8443/tenant");
        let asked = Url::parse("https://issuer.janus.invalid:8443/.well-known/x/tenant").unwrap();
        assert_eq!(
            walk.unaliased(asked).as_str(),
            "https://10.0.0.5:8443/.well-known/x/tenant"
        );
    }

    #[test]
    fn metadata_of_another_issuer_is_not_used() {
        let place = Url::parse("https://a.example/.well-known/oauth-authorization-server").unwrap();
        for (candidate, pinned, said, is_used) in [
            (Some("https://a.example"), None, "https://a.example", true),
            (Some("https://a.example"), None, "https://a.example/", true),
            (
                Some("https://a.example"),
                None,
                "https://evil.example",
                false,
            ),
            (
                Some("https://a.example/t"),
                None,
                "https://a.example",
                false,
            ),
            (Some("https://a.example"), None, "", false),
            (None, None, "https://a.example", true),
            (None, None, "https://b.example", false),
            (
                Some("https://a.example"),
                Some("https://login.example"),
                "https://login.example",
                true,
            ),
            (
                Some("https://a.example"),
                Some("https://login.example"),
                "https://a.example",
                false,
            ),
            (
                Some("https://a.example"),
                Some("https://a.example"),
                "https://a.example/",
                false,
            ),
        ] {
            let mut walk = walk(Wanted {
                pinned: pinned.map(str::to_owned),
                ..Wanted::default()
            });
            walk.candidate = candidate.map(str::to_owned);
            let answer = walk.accept_server(issuer(said), &place);
            assert_eq!(answer.status() == StatusCode::OK, is_used, "{said}");
            assert_eq!(walk.seen.server.is_some(), is_used, "{said}");
            assert_eq!(walk.seen.failure.is_some(), !is_used, "{said}");
        }
    }

    #[test]
    fn metadata_of_another_resource_is_not_used() {
        let mut one = walk(Wanted::default());
        let mut other = resource(&["https://evil.example"]);
        other.resource = Some("https://evil.example/mcp".to_owned());
        assert!(one.accept_resource(other.clone()).is_none());
        assert!(one.seen.mismatch.is_some());
        // Somebody wrote down that this is what it calls itself.
        let mut meant = walk(Wanted {
            resource: Some("https://evil.example/mcp".to_owned()),
            ..Wanted::default()
        });
        assert!(meant.accept_resource(other).is_some());
    }
}
