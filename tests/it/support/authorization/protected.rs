//! An MCP server that lets in whoever has a live token of an authorization server for it, and says who called (RFC 6750;
//! RFC 9728).

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::behaviour::{Outage, Person, Said};
use super::listen::{Body, Port, Running, Serve};
use super::{AuthorizationServer, KEPT, Shared as Authority, VIOLATIONS};

/// What it asks for, and how.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Protection {
    /// Speaks the modern era alone; else the legacy one alone.
    pub(crate) modern: bool,
    /// The challenge names the resource metadata.
    pub(crate) names_metadata: bool,
    /// By this URL; `None`: by its own.
    pub(crate) metadata_url: Option<String>,
    /// `scope` of the challenge.
    pub(crate) challenge_scope: Option<String>,
    /// Where the resource metadata is.
    pub(crate) metadata_at: Vec<ResourceMetadataAt>,
    /// The authorization servers; `None`: its own.
    pub(crate) authorization_servers: Option<Vec<String>>,
    /// The metadata of the authorization server is here too, under this server's own name (the revision of 2025-03-26).
    pub(crate) authority_here: bool,
    /// The scope that each tool needs; without it the answer is 403.
    pub(crate) needs: BTreeMap<String, String>,
    /// Everything but a call is for everybody.
    pub(crate) open: bool,
    /// A word that no request may have in it.
    pub(crate) never: Option<&'static str>,
    /// So many requests with a good token are refused all the same.
    pub(crate) refusals: usize,
    /// Every request is answered with this status.
    pub(crate) status: Option<u16>,
}

/// Where resource metadata is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceMetadataAt {
    /// Before the path (RFC 9728, section 3.1).
    Inserted,
    /// After the path, which is in no specification.
    Suffixed,
    /// For the whole host.
    Root,
}

/// What one request came with.
#[derive(Debug, Clone)]
pub(crate) struct Presented {
    pub(crate) method: String,
    pub(crate) tool: String,
    pub(crate) headers: HeaderMap,
    pub(crate) token: Option<String>,
    /// Whose the token was.
    pub(crate) person: Option<Person>,
    pub(crate) status: u16,
}

/// The server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct ProtectedServer {
    shared: Arc<Shared>,
    _running: Running,
}

#[derive(Debug)]
struct Shared {
    authority: Arc<Authority>,
    origin: String,
    state: Mutex<State>,
    outage: watch::Sender<Outage>,
}

#[derive(Debug)]
struct State {
    protection: Protection,
    seen: VecDeque<Presented>,
    calls: usize,
    refused: usize,
    violations: Vec<String>,
}

const PATH: &str = "/mcp";

impl Default for Protection {
    fn default() -> Self {
        Self {
            modern: false,
            names_metadata: true,
            metadata_url: None,
            challenge_scope: None,
            metadata_at: vec![ResourceMetadataAt::Inserted],
            authorization_servers: None,
            authority_here: false,
            needs: BTreeMap::new(),
            open: false,
            never: None,
            refusals: 0,
            status: None,
        }
    }
}

impl ProtectedServer {
    /// Starts it on a free port. From then on the authorization server knows it as a resource.
    #[expect(clippy::unused_async, reason = "whoever starts a server waits for it")]
    pub(crate) async fn start(authority: &AuthorizationServer, protection: Protection) -> Self {
        let port = Port::new();
        let origin = format!("http://{}", port.address);
        let shared = Arc::new(Shared {
            authority: Arc::clone(&authority.shared),
            origin,
            state: Mutex::new(State {
                protection,
                seen: VecDeque::new(),
                calls: 0,
                refused: 0,
                violations: Vec::new(),
            }),
            outage: watch::Sender::new(Outage::None),
        });
        authority.state().resources.insert(shared.url());
        let running = port.run(Arc::clone(&shared));
        Self {
            shared,
            _running: running,
        }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        self.shared.url()
    }

    /// Changes what it asks for.
    pub(crate) fn protect(&self, change: impl FnOnce(&mut Protection)) {
        change(&mut self.state().protection);
    }

    /// How the whole server is away from now on.
    pub(crate) fn outage(&self, outage: Outage) {
        self.shared.outage.send_replace(outage);
    }

    /// The last requests, at most five thousand.
    pub(crate) fn seen(&self) -> Vec<Presented> {
        self.state().seen.iter().cloned().collect()
    }

    /// Forgets them.
    pub(crate) fn forget(&self) {
        self.state().seen.clear();
    }

    /// How many calls ran.
    pub(crate) fn calls(&self) -> usize {
        self.state().calls
    }

    /// How many requests were answered 401.
    pub(crate) fn refused(&self) -> usize {
        self.state().refused
    }

    /// What it should never have seen: a token that its authorization server did not make, or made for another.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

impl Serve for Shared {
    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        self.search(&head.headers, &body);
        let mut changes = self.outage.subscribe();
        let outage = changes.wait_for(|now| *now != Outage::Slow).await;
        let outage = outage.map_or(Outage::None, |now| *now);
        let said = match outage {
            Outage::None | Outage::Slow => {
                self.answer(&head.method, head.uri.path(), head.headers, &message)
            }
            Outage::Unavailable => Said::empty(503),
            Outage::TooMany(seconds) => {
                Said::empty(429).header("retry-after", &seconds.to_string())
            }
            Outage::BlackHole | Outage::Refused | Outage::Dropped => {
                let mut over = self.outage.subscribe();
                // Whatever comes then: this connection is dead.
                drop(over.wait_for(|now| *now != outage).await);
                return Err(super::cut());
            }
        };
        Ok(said.whole())
    }

    fn outage(&self) -> watch::Receiver<Outage> {
        self.outage.subscribe()
    }
}

impl Shared {
    fn url(&self) -> String {
        format!("{}{PATH}", self.origin)
    }

    /// Looks for the word that may not be there.
    fn search(&self, headers: &HeaderMap, body: &[u8]) {
        let mut state = self.state.lock().unwrap();
        let Some(never) = state.protection.never else {
            return;
        };
        let has = |bytes: &[u8]| memchr::memmem::find(bytes, never.as_bytes()).is_some();
        let headers = headers.iter();
        let mut found: Vec<String> = headers
            .filter(|(_, value)| has(value.as_bytes()))
            .map(|(name, _)| format!("{never} in {name}"))
            .collect();
        found.extend(has(body).then(|| format!("{never} in a body")));
        state.violations.extend(found);
        state.violations.truncate(VIOLATIONS);
    }

    fn answer(&self, method: &Method, path: &str, headers: HeaderMap, message: &Value) -> Said {
        let mut state = self.state.lock().unwrap();
        if path != PATH {
            return self.metadata(&state.protection, path);
        }
        let name = message["method"].as_str().unwrap_or_default();
        let tool = match name {
            "tools/call" => message["params"]["name"].as_str().unwrap_or_default(),
            _ => "",
        };
        let given = headers.get("authorization");
        let given = given.map(|given| given.to_str().unwrap_or_default());
        let token = given.and_then(|given| given.strip_prefix("Bearer "));
        let (person, scopes, strange) = self.look(given, token, &self.url());
        let mut wrong: Vec<String> = strange.into_iter().collect();
        if headers.contains_key("cookie") {
            wrong.push("a cookie".to_owned());
        }
        for what in wrong {
            if state.violations.len() < VIOLATIONS {
                state.violations.push(what);
            }
        }
        let open = state.protection.open && name != "tools/call";
        let mut good = person.is_some();
        if good && state.protection.refusals > 0 {
            state.protection.refusals -= 1;
            good = false;
        }
        let needed = state.protection.needs.get(tool);
        let lacking = needed.filter(|scope| !scopes.contains(scope));
        let said = if let Some(status) = state.protection.status {
            Said::empty(status)
        } else if !good && !open {
            state.refused += 1;
            challenged(&self.challenge(&state.protection, token.is_some(), None))
        } else if let Some(scope) = lacking {
            let challenge = self.challenge(&state.protection, true, Some(scope));
            Said {
                status: 403,
                ..challenged(&challenge)
            }
        } else if *method != Method::POST {
            Said::empty(405)
        } else {
            let who = person.clone().unwrap_or_else(|| Person::of("nobody"));
            if name == "tools/call" {
                state.calls += 1;
            }
            match answer(state.protection.modern, &who, message) {
                Some(message) => Said::json(200, &message),
                None => Said::empty(202),
            }
        };
        if state.seen.len() == KEPT {
            state.seen.pop_front();
        }
        let token = token.map(str::to_owned);
        state.seen.push_back(Presented {
            method: name.to_owned(),
            tool: tool.to_owned(),
            token,
            headers,
            person,
            status: said.status,
        });
        said
    }

    /// Whose token it is, what it may do, and what is wrong with its being here at all.
    fn look(
        &self,
        given: Option<&str>,
        token: Option<&str>,
        resource: &str,
    ) -> (Option<Person>, Vec<String>, Option<String>) {
        let Some(token) = token else {
            let strange = given.map(|_| "an Authorization that is not Bearer".to_owned());
            return (None, Vec::new(), strange);
        };
        let authority = self.authority.state.lock().unwrap();
        if !authority.families.is_own(token) {
            return (None, Vec::new(), Some("a foreign token".to_owned()));
        }
        let Some(family) = authority.families.valid(token, authority.now()) else {
            return (None, Vec::new(), None);
        };
        // RFC 8707, section 2: a token is for the resource that was asked for.
        if family
            .resource
            .as_deref()
            .is_some_and(|own| own != resource)
        {
            let strange = format!("a token for {:?}", family.resource);
            return (None, Vec::new(), Some(strange));
        }
        (Some(family.person.clone()), family.scopes.clone(), None)
    }

    fn challenge(&self, protection: &Protection, shown: bool, lacking: Option<&str>) -> String {
        let mut members = Vec::new();
        if lacking.is_some() {
            members.push("error=\"insufficient_scope\"".to_owned());
        } else if shown {
            // RFC 6750, section 3.1: a request without a token is told no error.
            members.push("error=\"invalid_token\"".to_owned());
        }
        if protection.names_metadata {
            let own = || format!("{}/.well-known/oauth-protected-resource{PATH}", self.origin);
            let url = protection.metadata_url.clone().unwrap_or_else(own);
            members.push(format!("resource_metadata=\"{url}\""));
        }
        if let Some(scope) = lacking.or(protection.challenge_scope.as_deref()) {
            members.push(format!("scope=\"{scope}\""));
        }
        format!("Bearer {}", members.join(", "))
            .trim_end()
            .to_owned()
    }

    fn metadata(&self, protection: &Protection, path: &str) -> Said {
        const PLACE: &str = "/.well-known/oauth-protected-resource";
        let found = protection.metadata_at.iter().any(|place| {
            path == match place {
                ResourceMetadataAt::Inserted => format!("{PLACE}{PATH}"),
                ResourceMetadataAt::Suffixed => format!("{PATH}{PLACE}"),
                ResourceMetadataAt::Root => PLACE.to_owned(),
            }
        });
        if found {
            let own = vec![self.authority.issuer.clone()];
            let servers = protection.authorization_servers.clone().unwrap_or(own);
            let document = json!({
                "resource": self.url(),
                "authorization_servers": servers,
                "bearer_methods_supported": ["header"],
            });
            return Said::json(200, &document);
        }
        if protection.authority_here && path == "/.well-known/oauth-authorization-server" {
            let authority = self.authority.state.lock().unwrap();
            let document = self.authority.document(&authority.behaviour, &self.origin);
            return Said::json(200, &document);
        }
        Said::empty(404)
    }
}

fn challenged(challenge: &str) -> Said {
    Said::text(401, "text/plain", "no").header("www-authenticate", challenge)
}

/// The response to a message; `None` where it wants none.
fn answer(modern: bool, who: &Person, message: &Value) -> Option<Value> {
    let id = message.get("id")?;
    let capabilities = json!({ "tools": {} });
    let info = json!({ "name": "protected", "version": "1" });
    let tool = |name: &str| {
        json!({ "name": name, "inputSchema": { "type": "object" },
            "annotations": { "readOnlyHint": name != "write" } })
    };
    let method = message["method"].as_str().unwrap_or_default();
    let mut result = match method {
        "initialize" if !modern => {
            json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info })
        }
        "server/discover" if modern => {
            json!({ "supportedVersions": ["2026-07-28"], "capabilities": capabilities, "serverInfo": info })
        }
        "ping" if !modern => json!({}),
        "tools/list" => {
            let tools = ["who", "whoami", "write"].map(tool);
            json!({ "tools": tools })
        }
        "tools/call" => match message["params"]["name"].as_str().unwrap_or_default() {
            "who" | "write" => json!({ "content": [{ "type": "text", "text": who.name }] }),
            "whoami" => {
                let me = json!({ "login": who.name, "workspace": who.workspace });
                json!({ "content": [{ "type": "text", "text": me.to_string() }], "structuredContent": me })
            }
            _ => return Some(error(id, -32602, "no such tool")),
        },
        _ => return Some(error(id, -32601, "no such method")),
    };
    if modern {
        result["resultType"] = "complete".into();
        if method != "tools/call" {
            result["ttlMs"] = 0.into();
            result["cacheScope"] = "private".into();
        }
    }
    Some(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}
