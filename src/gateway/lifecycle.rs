//! What a view says of itself: the results of `initialize` and `server/discover`, and `ping`.
//!
//! Answered from what is known already: a slow server delays no client's start. `listChanged` is always advertised,
//! because lists can change in every view (some clients re-list only then).

use serde_json::{Value, json};

use crate::binding::{Scope, View};
use crate::model::AccountName;
use crate::protocol::{
    CacheHint, Edit, Era, Json, Object, Outcome, Request, Revision, ServerFacts, meta,
};

use super::{Gateway, error};

/// Extensions that pass through a merged view: both sides of the tool relation stay in one view.
const RELAYED_EXTENSIONS: [&str; 2] = ["io.modelcontextprotocol/ui", TASKS];
/// The extension of SEP-2663.
pub(super) const TASKS: &str = "io.modelcontextprotocol/tasks";
/// The model reads the instructions before every conversation.
const LONGEST_INSTRUCTIONS: usize = 2000;
/// Where a server has several accounts.
const CHOOSING: &str = "\nWhere a server has several accounts, `janus_account` in a call says which one is meant; `janus_whoami` says as whom you act.";
/// What a view is changes with the configuration only, but servers come and go behind it.
const DISCOVER_TTL: CacheHint = CacheHint { ttl_ms: 60_000 };

/// `ping` exists in the legacy era only.
pub(super) fn pong(request: &Request) -> Outcome {
    match request.client.era() {
        Era::Legacy => Outcome::Result {
            result: Object::empty().json().clone(),
            cache: None,
        },
        Era::Modern => Outcome::Error(error::method_not_found("ping")),
    }
}

impl Gateway {
    pub(super) async fn initialized(&self, scope: Option<&Scope>, revision: Revision) -> Json {
        let face = match scope {
            Some(scope) => self.face(scope, Era::Legacy).await,
            None => unknown_face(Era::Legacy),
        };
        let mut members = vec![
            Edit::Set("protocolVersion", Json::string(revision.as_str())),
            Edit::Set("capabilities", face.capabilities),
            Edit::Set("serverInfo", face.info),
        ];
        let instructions = face.instructions.as_deref().map(Json::string);
        members.extend(instructions.map(|text| Edit::Set("instructions", text)));
        Object::empty().edited(&members)
    }

    pub(super) async fn discover(&self, scope: &Scope, request: &Request) -> Outcome {
        if request.client.era() == Era::Legacy {
            return Outcome::Error(error::method_not_found(request.method()));
        }
        let face = self.face(scope, Era::Modern).await;
        let meta = Object::empty().edited(&[Edit::Set(meta::SERVER_INFO, face.info)]);
        let mut members = vec![
            Edit::Set(
                "supportedVersions",
                Json::of(&Revision::ALL.map(Revision::as_str)),
            ),
            Edit::Set("capabilities", face.capabilities),
            Edit::Set("_meta", meta),
        ];
        let instructions = face.instructions.as_deref().map(Json::string);
        members.extend(instructions.map(|text| Edit::Set("instructions", text)));
        Outcome::Result {
            result: Object::empty().edited(&members),
            cache: Some(DISCOVER_TTL),
        }
    }

    async fn face(&self, scope: &Scope, era: Era) -> Face {
        match scope.view() {
            View::Profile => self.profile_face(scope, era),
            View::Transparent(account) => {
                self.settled(scope).await;
                match &self.listing(account).server {
                    Some(server) => transparent_face(server, era),
                    // Not reached yet: everything it may turn out to offer.
                    None => unknown_face(era),
                }
            }
        }
    }

    fn profile_face(&self, scope: &Scope, era: Era) -> Face {
        let mut capabilities = all_capabilities(era);
        let extensions = self.extensions(scope, era);
        if let (Some(members), false) = (capabilities.as_object_mut(), extensions.is_empty()) {
            members.insert("extensions".to_owned(), Value::Object(extensions));
        }
        Face {
            capabilities: Json::of(&capabilities),
            info: Json::of(&super::janus_info()),
            instructions: Some(self.instructions(scope)),
        }
    }

    /// The extensions that at least one server of the view offers in this era and that Janus can relay there.
    fn extensions(&self, scope: &Scope, era: Era) -> serde_json::Map<String, Value> {
        let mut offered = serde_json::Map::new();
        for account in scope.accounts() {
            let listing = self.listing(account);
            let Some(server) = &listing.server else {
                continue;
            };
            let Some(extensions) = server.capabilities.object("extensions") else {
                continue;
            };
            for name in RELAYED_EXTENSIONS {
                let fits =
                    name != TASKS || (era == Era::Modern && server.revision.era() == Era::Modern);
                if let (true, Some(value)) =
                    (fits, extensions.get(name).and_then(|value| value.read()))
                {
                    offered.entry(name).or_insert(value);
                }
            }
        }
        offered
    }

    /// One line for each server: what its tools' names begin with and what it is.
    fn instructions(&self, scope: &Scope) -> String {
        if scope.accounts().is_empty() {
            return "Janus has no servers yet. A person adds them to its configuration: `janus config path` names the file.".to_owned();
        }
        let mut text = String::from("Tools and prompts are named SERVER__NAME.");
        let mut choosable = false;
        let known = self.known();
        for reachable in scope.servers() {
            let server = reachable.server();
            let mut line = format!("\n{server}__*");
            let described = known
                .servers
                .get(server)
                .and_then(|server| server.description.as_deref());
            if let Some(description) = described {
                line.push_str(": ");
                line.push_str(description);
            }
            if scope.is_choosable(server) {
                choosable = true;
                let names = reachable.names();
                let names: Vec<&str> = names.iter().map(AccountName::as_str).collect();
                line.push_str("; accounts ");
                line.push_str(&names.join(", "));
            }
            if text.len() + line.len() > LONGEST_INSTRUCTIONS {
                text.push_str("\n…");
                break;
            }
            text.push_str(&line);
        }
        if choosable {
            text.push_str(CHOOSING);
        }
        text
    }
}

struct Face {
    capabilities: Json,
    info: Json,
    instructions: Option<String>,
}

/// Everything it may turn out to be.
fn unknown_face(era: Era) -> Face {
    Face {
        capabilities: Json::of(&all_capabilities(era)),
        info: Json::of(&super::janus_info()),
        instructions: None,
    }
}

fn all_capabilities(era: Era) -> Value {
    let mut capabilities = json!({
        "tools": {"listChanged": true},
        "prompts": {"listChanged": true},
        "resources": {"listChanged": true, "subscribe": true},
        "completions": {},
    });
    if let (Era::Legacy, Some(members)) = (era, capabilities.as_object_mut()) {
        members.insert("logging".to_owned(), json!({}));
    }
    capabilities
}

/// The server's own face, with `listChanged` in every list it has. What one era has and the other lacks is left out.
fn transparent_face(server: &ServerFacts, era: Era) -> Face {
    let mut capabilities = server.capabilities.clone();
    for list in ["tools", "prompts", "resources"] {
        if let Some(of_list) = capabilities.object(list) {
            let changed = of_list.edited(&[Edit::Set("listChanged", Json::literal("true"))]);
            capabilities = capabilities
                .edited(&[Edit::Set(list, changed)])
                .object()
                .unwrap_or(capabilities);
        }
    }
    if server.revision.era() != era {
        // Tasks of one era mean nothing in the other.
        let extensions = capabilities
            .object("extensions")
            .map(|extensions| extensions.edited(&[Edit::Remove(TASKS)]));
        let mut edits = vec![Edit::Remove("tasks")];
        edits.extend(extensions.map(|extensions| Edit::Set("extensions", extensions)));
        capabilities = capabilities.edited(&edits).object().unwrap_or(capabilities);
    }
    Face {
        capabilities: capabilities.json().clone(),
        info: server
            .info
            .clone()
            .unwrap_or_else(|| Json::of(&super::janus_info())),
        instructions: server.instructions.clone(),
    }
}
