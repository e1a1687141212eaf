//! A program in front of Janus: how it comes in, and what it remembers.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::model::{Before, Chosen, Expected, PROFILES, Profile};
use super::world::Keys;
use crate::support::{Era, Heard, Http, Janus};

const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

/// How it comes in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) client: Option<&'static str>,
    pub(super) path: &'static str,
    /// `Janus-Profile`
    pub(super) header: Option<&'static str>,
    pub(super) era: Era,
    pub(super) tcp: bool,
    /// The profile that this leads to.
    pub(super) profile: usize,
    /// The account that a transparent path shows.
    pub(super) shown: Option<(usize, &'static str)>,
}

impl Way {
    pub(super) const fn new(
        client: Option<&'static str>,
        path: &'static str,
        era: Era,
        profile: usize,
    ) -> Self {
        Self {
            client,
            path,
            header: None,
            era,
            tcp: false,
            profile,
            shown: None,
        }
    }

    pub(super) const fn header(mut self, profile: &'static str) -> Self {
        self.header = Some(profile);
        self
    }

    pub(super) const fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    pub(super) const fn shows(mut self, server: usize, account: &'static str) -> Self {
        self.shown = Some((server, account));
        self
    }
}

/// A program, with its session if it has one.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) way: Way,
    pub(super) session: Option<String>,
    /// What its session chose.
    pub(super) chosen: BTreeMap<usize, &'static str>,
}

/// A Janus with the keys of its clients.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) janus: Janus,
    keys: BTreeMap<&'static str, String>,
}

impl Door {
    pub(super) async fn open(janus: Janus, keys: Keys) -> Self {
        let clients: &[_] = match keys {
            Keys::Required => &["free", "other", "tied", "two"],
            Keys::None => &[],
        };
        Self::with(janus, clients).await
    }

    /// With keys of these clients.
    pub(super) async fn with(janus: Janus, clients: &[&'static str]) -> Self {
        let mut keys = BTreeMap::new();
        for client in clients {
            keys.insert(*client, format!("Bearer {}", janus.key(client).await));
        }
        Self { janus, keys }
    }

    /// Calls a tool and gives the response.
    pub(super) async fn call(
        &self,
        way: &Way,
        session: Option<&str>,
        tool: &str,
        arguments: Value,
    ) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let heard = self.ask(way, session, "tools/call", params).await;
        heard.expect("an answer").message
    }

    /// Ends Janus as it should end. The servers in this process go on meanwhile, because it says goodbye to them.
    pub(super) async fn end(self) {
        let janus = self.janus;
        tokio::task::spawn_blocking(move || drop(janus.stop()))
            .await
            .unwrap();
    }

    /// Ends Janus in mid-flight and starts it again: keys last.
    pub(super) fn killed(self) -> Self {
        self.killed_with(None)
    }

    /// The same, with another configuration from now on.
    pub(super) fn killed_with(self, config: Option<&Value>) -> Self {
        let home = self.janus.kill();
        if let Some(config) = config {
            std::fs::write(home.config(), config.to_string()).unwrap();
        }
        Self {
            janus: Janus::start_in(home, |_| {}),
            keys: self.keys,
        }
    }

    pub(super) fn http(&self, way: &Way) -> Http {
        if way.tcp {
            self.janus.http()
        } else {
            self.janus.unix()
        }
    }

    /// A request that comes this way, in this session if there is one; `None` where Janus went away.
    pub(super) async fn ask(
        &self,
        way: &Way,
        session: Option<&str>,
        method: &str,
        mut params: Value,
    ) -> Option<Heard> {
        let mut headers = self.headers(way, session);
        let name = params.get("name").or_else(|| params.get("uri"));
        let name = name.and_then(Value::as_str).map(str::to_owned);
        if way.era == Era::Modern {
            modern(&mut params);
            headers.extend([("mcp-protocol-version", MODERN), ("mcp-method", method)]);
            headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
        }
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let http = self.http(way);
        http.attempt(Method::POST, way.path, &headers, &message)
            .await
    }

    pub(super) fn headers<'a>(
        &'a self,
        way: &Way,
        session: Option<&'a str>,
    ) -> Vec<(&'a str, &'a str)> {
        let key = way
            .client
            .map(|client| ("authorization", self.keys[client].as_str()));
        let profile = way.header.map(|profile| ("janus-profile", profile));
        let session = session.map(|id| ("mcp-session-id", id));
        key.into_iter().chain(profile).chain(session).collect()
    }

    /// Opens a session.
    pub(super) async fn initialize(&self, way: &Way) -> String {
        let params = json!({
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": {"name": "janus-tests", "version": "1"},
        });
        let heard = self
            .ask(way, None, "initialize", params)
            .await
            .expect("an answer");
        assert_eq!(heard.status, 200, "{way:?}: {}", heard.message);
        assert!(!heard.session.is_empty(), "{way:?}: {}", heard.message);
        heard.session
    }

    /// Ends a session; gives the status.
    pub(super) async fn delete(&self, way: &Way, session: &str) -> u16 {
        let (headers, http) = (self.headers(way, Some(session)), self.http(way));
        let heard = http
            .attempt(Method::DELETE, way.path, &headers, &Value::Null)
            .await;
        heard.expect("an answer").status.as_u16()
    }

    /// Waits until every tool in reach is listed, so that no call meets a server that is starting.
    pub(super) async fn settle(&self, way: &Way, tools: usize) {
        let session = match way.era {
            Era::Legacy => Some(self.initialize(way).await),
            Era::Modern => None,
        };
        let deadline = tokio::time::Instant::now() + crate::support::PATIENCE;
        loop {
            // It waits for the servers that were never listed, at most for some seconds.
            let heard = self
                .ask(way, session.as_deref(), "tools/list", json!({}))
                .await;
            let heard = heard.expect("an answer");
            let listed = heard.message["result"]["tools"]
                .as_array()
                .map_or(0, Vec::len);
            if listed >= tools {
                break;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{listed} tools of {tools}"
            );
        }
        if let Some(session) = session {
            self.delete(way, &session).await;
        }
    }
}

/// The metadata of a modern request.
pub(super) fn modern(params: &mut Value) {
    let meta = &mut params["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "janus-tests", "version": "1"});
}

impl Actor {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            session: None,
            chosen: BTreeMap::new(),
        }
    }

    /// It has a session now, which has chosen nothing.
    pub(super) fn begin(&mut self, session: String) {
        self.session = Some(session);
        self.chosen.clear();
    }

    pub(super) fn is_legacy(&self) -> bool {
        self.way.era == Era::Legacy
    }

    pub(super) fn profile(&self) -> &'static Profile {
        &PROFILES[self.way.profile]
    }

    /// Who must answer its call to a server.
    pub(super) fn expected(&self, server: usize, named: Option<&str>, chosen: &Chosen) -> Expected {
        let profile = self.way.profile;
        let client = self.way.client;
        let before = Before {
            session: self.chosen.get(&server).copied(),
            client: client
                .and_then(|client| chosen.client.get(&(client, profile, server)).copied()),
            global: chosen.global.get(&(profile, server)).copied(),
        };
        self.profile().expected(server, named, before)
    }
}
