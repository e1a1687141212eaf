//! What goes over the wire for a request: the message as this server wants it, and what must be put back on the way
//! home.

use http::{HeaderName, HeaderValue};
use serde_json::json;

use crate::binding::Route;
use crate::model::Subject;
use crate::protocol::{Edit, Envelope, Era, Json, Object, Request, Revision, meta};

/// A request as it is sent, and what its answer needs.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Unique on its connection (2026-07-28, basic/index: a sender's open ids are unique).
    pub(crate) id: u64,
    /// The whole message, on one line.
    pub(crate) text: Json,
    /// What the response's id becomes.
    pub(crate) client_id: Json,
    /// What the result's `_meta` says of who answered; `None` where it says nothing, as for requests of Janus's own.
    pub(crate) identity: Option<Json>,
    /// What `progressToken` becomes in progress notifications; `None` if the client asked for none.
    pub(crate) token: Option<Json>,
    /// `Mcp-Method`.
    pub(crate) method: String,
    /// `Mcp-Name`: after the edits.
    pub(crate) name: Option<String>,
    /// `Mcp-Param-…`.
    pub(crate) param_headers: Vec<(HeaderName, HeaderValue)>,
}

impl Outgoing {
    /// A caller's request, for a server of this revision.
    pub(crate) fn relayed(request: &Request, route: &Route, id: u64, revision: Revision) -> Self {
        let params = request.params();
        let (renamed, name) = renamed(&params, route.subject());
        let meta = params.object("_meta").unwrap_or_else(Object::empty);
        let token = meta.get(meta::PROGRESS_TOKEN);
        let new_meta = meta_for(request, &meta, id, revision, token.is_some());
        let mut edits = renamed;
        edits.extend(new_meta.map(|meta| Edit::Set("_meta", meta)));
        let mut envelope = vec![Edit::Set("id", Json::of(&id))];
        if !edits.is_empty() {
            envelope.push(Edit::Within("params", &params, &edits));
        }
        Self {
            id,
            text: request.message.edited(&envelope).on_one_line(),
            client_id: request.id(),
            identity: None,
            token,
            method: request.method().to_owned(),
            name,
            param_headers: request.param_headers.clone(),
        }
    }

    /// A request of Janus's own.
    pub(crate) fn own(method: &str, params: Option<&Json>, id: u64, revision: Revision) -> Self {
        let params = match revision.era() {
            Era::Legacy => params.cloned(),
            Era::Modern => Some(with_own_meta(params, revision)),
        };
        let wire_id = Json::of(&id);
        Self {
            id,
            text: Envelope::request_text(&wire_id, method, params.as_ref()).on_one_line(),
            client_id: wire_id,
            identity: None,
            token: None,
            method: method.to_owned(),
            name: None,
            param_headers: Vec::new(),
        }
    }

    /// Whether this opens a stream of changes that stays open: no timeout applies.
    pub(crate) fn is_listen(&self) -> bool {
        self.method == "subscriptions/listen"
    }
}

/// The edits that give a request the server's own name for what it wants, and that name.
fn renamed(params: &Object, subject: &Subject) -> (Vec<Edit<'static>>, Option<String>) {
    let set = |key: &'static str, value: &str| {
        // An unchanged name keeps its spelling.
        let same = params.text(key).as_deref() == Some(value);
        (
            if same {
                Vec::new()
            } else {
                vec![Edit::Set(key, Json::string(value))]
            },
            Some(value.to_owned()),
        )
    };
    match subject {
        Subject::Tool(name) | Subject::Prompt(name) => set("name", name),
        Subject::Resource(uri) => set("uri", uri),
        Subject::Task(id) => set("taskId", id),
        Subject::PromptCompletion(name) => (reference(params, "name", name), None),
        Subject::ResourceCompletion(uri) => (reference(params, "uri", uri), None),
        Subject::Method(_) => (Vec::new(), None),
    }
}

fn reference(params: &Object, key: &'static str, value: &str) -> Vec<Edit<'static>> {
    match params.object("ref") {
        Some(reference) if reference.text(key).as_deref() != Some(value) => {
            vec![Edit::Set(
                "ref",
                reference.edited(&[Edit::Set(key, Json::string(value))]),
            )]
        }
        _ => Vec::new(),
    }
}

/// `_meta` as a server of this revision wants it; `None` where it may stay as it is.
fn meta_for(
    request: &Request,
    meta: &Object,
    id: u64,
    revision: Revision,
    token: bool,
) -> Option<Json> {
    let mut edits = Vec::new();
    if token {
        edits.push(Edit::Set(meta::PROGRESS_TOKEN, Json::of(&id)));
    }
    match (request.client.era(), revision.era()) {
        (Era::Legacy, Era::Legacy) | (Era::Modern, Era::Modern) => {}
        (Era::Modern, Era::Legacy) => edits.extend(meta::MODERN_REQUEST_KEYS.map(Edit::Remove)),
        (Era::Legacy, Era::Modern) => {
            let version = Json::string(revision.as_str());
            edits.push(Edit::Set(meta::PROTOCOL_VERSION, version));
            let capabilities = askable(&request.client.capabilities);
            edits.push(Edit::Set(meta::CLIENT_CAPABILITIES, capabilities));
            let info = request.client.info.clone();
            edits.extend(info.map(|info| Edit::Set(meta::CLIENT_INFO, info)));
            // What a session said once, a modern server must be told each time.
            let level = request.log_level.map(|level| Json::string(level.as_str()));
            edits.extend(level.map(|level| Edit::Set(meta::LOG_LEVEL, level)));
        }
    }
    (!edits.is_empty()).then(|| meta.edited(&edits))
}

/// What a legacy client can do, in the words of the modern era: no tasks of its kind, and no news of roots.
fn askable(capabilities: &Object) -> Json {
    let mut edits = vec![Edit::Remove("tasks")];
    if capabilities.object("roots").is_some() {
        edits.push(Edit::Set("roots", Object::empty().json().clone()));
    }
    capabilities.edited(&edits)
}

fn with_own_meta(params: Option<&Json>, revision: Revision) -> Json {
    let params = params.and_then(Json::object).unwrap_or_else(Object::empty);
    let own = json!({
        meta::PROTOCOL_VERSION: revision.as_str(),
        meta::CLIENT_INFO: own_info(),
        meta::CLIENT_CAPABILITIES: {},
    });
    params.edited(&[Edit::Set("_meta", Json::of(&own))])
}

/// `clientInfo` of Janus itself.
pub(crate) fn own_info() -> serde_json::Value {
    json!({"name": "janus", "title": "Janus", "version": env!("CARGO_PKG_VERSION")})
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::binding::Binding;
    use crate::model::{AccountId, ServerName};
    use crate::protocol::{ClientFacts, LogLevel};

    fn outgoing(message: &str, subject: Subject, client: Revision, server: Revision) -> Outgoing {
        let name = ServerName::new("s").unwrap();
        let account = AccountId::default_of(&name);
        let scope = Binding::everything([&name]);
        let route = scope.member(&account).unwrap().route(subject);
        let request = Request {
            message: Envelope::parse(Bytes::copy_from_slice(message.as_bytes())).unwrap(),
            client: Arc::new(ClientFacts {
                revision: client,
                capabilities: Object::empty(),
                info: None,
                session: None,
            }),
            param_headers: Vec::new(),
            over_http: true,
            log_level: Some(LogLevel::Notice),
            holder: None,
        };
        Outgoing::relayed(&request, &route, 9, server)
    }

    #[test]
    fn a_request_is_edited_only_where_it_must_be() {
        let sent = outgoing(
            r#"{ "id":"a","params":{"x":1.0,"name":"s__t","_meta":{"progressToken":"p","k":[null]},"arguments":{"n":1e2}},"odd":1,"method":"tools/call","jsonrpc":"2.0"}"#,
            Subject::Tool("t".into()),
            Revision::V2025_11_25,
            Revision::V2025_06_18,
        );
        assert_eq!(
            sent.text.as_str(),
            r#"{"id":9,"params":{"x":1.0,"name":"t","_meta":{"progressToken":9,"k":[null]},"arguments":{"n":1e2}},"odd":1,"method":"tools/call","jsonrpc":"2.0"}"#
        );
        assert_eq!(
            (sent.client_id.as_str(), sent.token.unwrap().as_str()),
            (r#""a""#, r#""p""#)
        );
    }

    #[test]
    fn a_legacy_server_sees_nothing_of_the_modern_era() {
        let modern = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/related-task":{"taskId":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let sent = outgoing(
            modern,
            Subject::Method("tools/list".into()),
            Revision::V2026_07_28,
            Revision::V2025_11_25,
        );
        assert!(sent.text.as_str().ends_with(
            r#""params":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"1"}}}}"#
        ));
    }

    #[test]
    fn a_modern_server_is_told_what_every_request_must_say() {
        let legacy = r#"{"jsonrpc":"2.0","id":1,"method":"prompts/list"}"#;
        let sent = outgoing(
            legacy,
            Subject::Method("prompts/list".into()),
            Revision::V2025_11_25,
            Revision::V2026_07_28,
        );
        assert_eq!(
            sent.text.as_str(),
            r#"{"jsonrpc":"2.0","id":9,"method":"prompts/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/logLevel":"notice"}}}"#
        );
    }
}
