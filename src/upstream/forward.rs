//! A caller's request on its way to the server.
//!
//! Invariants:
//! - A request is sent a second time only if it is certain that it did not run: the server did not know the session, or
//!   the process was gone before anything was written. Never a third time.
//! - A caller waits for a connection no longer than for an answer.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::json;
use tokio::time::timeout;

use super::Failure;
use super::account::Account;
use super::change::State;
use super::connect::Slot;
use super::connection::{Connection, Use};
use super::handshake::unreachable;
use super::key::Key;
use super::leg::Leg;
use super::wire::Outgoing;
use crate::binding::Route;
use crate::credential::NoCredential;
use crate::model::Subject;
use crate::protocol::{
    Body, ClientFacts, Completion, Envelope, Era, Events, Json, ListKind, LogLevel, Relayed,
    Request, code, meta, param_header,
};

impl Account {
    /// Sends a caller's request and gives the server's response.
    pub(super) async fn forward(
        self: &Arc<Self>,
        route: &Route,
        request: &Request,
        identity: Option<&Json>,
        events: &Events,
    ) -> Result<Relayed, Failure> {
        match self.once(route, request, identity, events).await {
            Err((failure, true)) => {
                tracing::debug!("{failure}; it was not run and is sent on a new connection");
                let second = self.once(route, request, identity, events).await;
                second.map_err(|(failure, _)| failure)
            }
            Err((failure, false)) => Err(failure),
            Ok(relayed) => Ok(relayed),
        }
    }

    /// One sending; with a failure comes whether a new connection may help and nothing ran on this one.
    async fn once(
        self: &Arc<Self>,
        route: &Route,
        request: &Request,
        identity: Option<&Json>,
        events: &Events,
    ) -> Result<Relayed, (Failure, bool)> {
        let place = self.place_for(request);
        let slot = Arc::clone(&place.slot);
        let used = self.wait(&slot).await.map_err(|failure| (failure, false))?;
        match (request.client.era(), used.facts.revision.era()) {
            // Boxed, so that calls within one era do not carry what only these need.
            (Era::Legacy, Era::Modern) => {
                let watched = Box::pin(self.watched(&slot, route.subject(), request));
                if let Some(answered) = watched.await {
                    return Ok(answered);
                }
            }
            (Era::Modern, Era::Legacy) => {
                Box::pin(self.louder(&slot, &used, request)).await;
            }
            (Era::Legacy, Era::Legacy) | (Era::Modern, Era::Modern) => {}
        }
        let mut outgoing = self.outgoing(&used, route, request);
        outgoing.identity = identity.cloned();
        let running = self.run(&used, &request.client);
        let era = used.facts.revision.era();
        let exchange = used
            .leg
            .exchange(&outgoing, Some(&request.client), era, events);
        let ended = exchange.await;
        self.notice(&used);
        drop(running);
        match ended {
            Ok(relayed) => {
                self.well(&slot, &used);
                self.held(&slot, &used, route, request, &relayed);
                self.consistent(&slot, &used, relayed)
                    .map_err(|failure| (failure, false))
            }
            Err(failure) => {
                let again = self.failed(&slot, &used, &failure);
                Err((failure, again))
            }
        }
    }

    /// A connection, for as long as the server may take for an answer. Most clients give up sooner; the attempt itself
    /// goes on, so that the next call finds it done.
    pub(super) async fn wait(self: &Arc<Self>, slot: &Arc<Slot>) -> Result<Use, Failure> {
        let limit = self.dial.server.timeout;
        timeout(limit, self.ready(slot)).await.unwrap_or_else(|_| {
            let reason = format!(
                "it is not ready after {} s, its `timeout`",
                limit.as_secs_f32()
            );
            Err(unreachable(self.id(), reason))
        })
    }

    fn outgoing(&self, used: &Use, route: &Route, request: &Request) -> Outgoing {
        let revision = used.facts.revision;
        let mut outgoing = Outgoing::relayed(request, route, used.leg.next_id(), revision);
        if revision.era() == Era::Modern
            && matches!(used.leg, Leg::Http(_))
            && let Subject::Tool(name) = route.subject()
            && let Some(schema) = self.schema(name)
        {
            // Headers that are not the schema's go on as they came.
            let arguments = request.params().get("arguments");
            repeat(&mut outgoing.param_headers, &schema, arguments.as_ref());
        }
        outgoing
    }

    fn schema(&self, tool: &str) -> Option<Json> {
        let listing = Arc::clone(&self.listing.borrow());
        let mut tools = listing.of(ListKind::Tools).iter();
        tools
            .find(|item| item.key == tool)?
            .json
            .object()?
            .get("inputSchema")
    }

    /// What a failure says of the connection; gives whether another connection may help.
    pub(super) fn failed(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        used: &Use,
        failure: &Failure,
    ) -> bool {
        match failure {
            Failure::SessionUnknown { .. } => {
                self.retire(slot, used.connection());
                true
            }
            // A remote server that is down is down for every connection.
            Failure::Unreachable { .. } if matches!(used.leg, Leg::Stdio(_) | Leg::Sse(_)) => {
                self.lost(slot, used.connection(), failure.clone());
                true
            }
            Failure::Rejected { status, .. } => {
                self.refused(slot, *status);
                false
            }
            Failure::NoCredential { why, .. } => {
                if slot.key == Key::Shared {
                    self.state
                        .send_replace(State::NoCredential(NoCredential::clone(why)));
                }
                false
            }
            _ => false,
        }
    }

    pub(super) fn refused(&self, slot: &Slot, status: u16) {
        // 403 may concern this one call; 401 concerns the credential.
        if slot.key == Key::Shared && status == 401 {
            self.state.send_replace(State::Rejected { status });
        }
    }

    pub(super) fn well(&self, slot: &Slot, connection: &Connection) {
        let revision = connection.facts.revision;
        self.state.send_if_modified(|state| {
            let mended = slot.key == Key::Shared
                && matches!(state, State::Rejected { .. } | State::NoCredential(_));
            if mended {
                *state = State::Ready {
                    era: revision.era(),
                    revision,
                };
            }
            mended
        });
    }

    /// An answer that shows that the era or the revision is not what it was.
    fn consistent(&self, slot: &Slot, used: &Use, relayed: Relayed) -> Result<Relayed, Failure> {
        let Completion::Error(found) = relayed.completion else {
            return Ok(relayed);
        };
        if found == code::UNSUPPORTED_VERSION {
            self.dial.forget_era();
            self.retire(slot, used.connection());
            let reason =
                "it no longer speaks the revision it did; the next call asks which one it speaks";
            return Err(unreachable(self.id(), reason.to_owned()));
        }
        // 401 and the like aside, a modern server has no session to miss: it was replaced by a legacy one.
        if relayed.era == Era::Modern
            && matches!(used.leg, Leg::Http(_))
            && misses_session(&relayed.body)
        {
            self.dial.forget_era();
            self.retire(slot, used.connection());
        }
        Ok(relayed)
    }

    /// Remembers what a legacy server was asked to remember.
    fn held(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        used: &Use,
        route: &Route,
        request: &Request,
        relayed: &Relayed,
    ) {
        if relayed.completion != Completion::Complete {
            return;
        }
        if request.method() == "logging/setLevel" {
            slot.held.set_level(request.params().json().clone());
        }
        let Subject::Resource(uri) = route.subject() else {
            return;
        };
        let session = request.held_by();
        match request.method() {
            "resources/subscribe" => {
                slot.held.hold(uri, session);
            }
            "resources/unsubscribe" => {
                let others = slot.held.let_go(uri, session);
                // The server knows one subscriber and has just let it go: the others are subscribed again.
                if others {
                    self.speak_for_others(used, "resources/subscribe", uri.clone());
                }
            }
            _ => {}
        }
    }

    /// A modern request says how much it wants of the server's log; a legacy server is told once for all. It stays as
    /// loud as anybody wanted it: each client gets what it asked for.
    async fn louder(&self, slot: &Slot, used: &Use, request: &Request) {
        if !used.facts.capabilities.has("logging") {
            return;
        }
        let level = request.meta().text(meta::LOG_LEVEL);
        let Some(level) = level.and_then(|level| LogLevel::named(&level)) else {
            return;
        };
        if slot.held.logs(level) {
            return;
        }
        let params = Json::of(&json!({"level": level.as_str()}));
        super::keeper::say(self, used, "logging/setLevel", &params).await;
        slot.held.set_level(params);
    }

    fn speak_for_others(self: &Arc<Self>, used: &Use, method: &'static str, uri: String) {
        let (account, connection) = (Arc::clone(self), Arc::clone(used.connection()));
        self.tasks.spawn(async move {
            super::keeper::subscription(&account, &connection, method, &uri).await;
        });
    }

    /// Passes a client's notification on to the connection its calls take, if one stands.
    pub(super) async fn notify(&self, message: &Envelope, client: &ClientFacts) {
        let Some(slot) = self.slot_of_session(client) else {
            return;
        };
        let Some(connection) = slot.standing() else {
            return;
        };
        // A modern server takes none on HTTP, and no `roots/list_changed` at all.
        if connection.facts.revision.era() == Era::Modern
            && (matches!(connection.leg, Leg::Http(_)) || message.method() == ROOTS_CHANGED)
        {
            return;
        }
        // On a connection that sessions share nobody could be asked for the new roots.
        if message.method() == ROOTS_CHANGED && !self.is_own(&slot, client) {
            return;
        }
        if let Err(failure) = connection
            .leg
            .send(message.json().clone().on_one_line())
            .await
        {
            tracing::debug!("a notification was not passed on: {failure}");
        }
    }

    fn is_own(&self, slot: &Slot, client: &ClientFacts) -> bool {
        let Some(session) = &client.session else {
            return false;
        };
        slot.key.session() == Some(session) || self.is_keeper(session)
    }

    /// A session ended: what it had of its own is ended, what it held is let go.
    pub(super) fn release(self: &Arc<Self>, session: &Arc<str>) {
        for slot in self.remove(session) {
            if let Some(connection) = slot.close() {
                self.tasks.spawn(async move { connection.leg.end().await });
            }
        }
        for slot in self.slots() {
            let orphans = slot.held.release(session);
            if let Some(used) = slot.standing().and_then(|standing| standing.enter(false))
                && used.facts.revision.era() == Era::Legacy
            {
                for uri in orphans {
                    self.speak_for_others(&used, "resources/unsubscribe", uri);
                }
            }
        }
    }
}

const ROOTS_CHANGED: &str = "notifications/roots/list_changed";

/// Replaces the headers that the schema names, and leaves the others.
fn repeat(headers: &mut Vec<(HeaderName, HeaderValue)>, schema: &Json, arguments: Option<&Json>) {
    let named = param_header::annotated(schema).unwrap_or_default();
    if named.is_empty() {
        return;
    }
    headers.retain(|(header, _)| !named.iter().any(|property| property.header == *header));
    if let Some(arguments) = arguments {
        headers.extend(param_header::headers(schema, arguments));
    }
}

/// Whether an error complains of a missing session, in the words of real servers.
fn misses_session(body: &Body) -> bool {
    let Body::Whole(json) = body else {
        return false;
    };
    let message = Envelope::of(json)
        .ok()
        .and_then(|message| message.error()?.text("message"))
        .unwrap_or_default()
        .to_ascii_lowercase();
    message.contains("not initialized")
        || message.contains("session")
            && ["required", "missing", "no valid", "invalid"]
                .iter()
                .any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn headers_of_the_schema_are_made_anew_and_others_stay() {
        let schema =
            Json::of(&json!({"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}));
        let name = HeaderName::from_static;
        let mut headers = vec![
            (name("mcp-param-a"), HeaderValue::from_static("old")),
            (name("mcp-param-z"), HeaderValue::from_static("other")),
        ];
        repeat(&mut headers, &schema, Some(&Json::of(&json!({"a": "new"}))));
        let text: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .collect();
        assert_eq!(text, ["mcp-param-z=other", "mcp-param-a=new"]);
    }

    #[test]
    fn a_missing_session_is_recognised_by_its_words() {
        let body = |message: &str| {
            Body::Whole(Json::of(
                &json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": message}}),
            ))
        };
        for (message, expected) in [
            ("Bad Request: Server not initialized", true),
            (
                "Bad Request: Mcp-Session-Id header is required, no session",
                true,
            ),
            ("No valid session ID provided", true),
            ("the session of parliament", false),
            ("boom", false),
        ] {
            assert_eq!(misses_session(&body(message)), expected, "{message}");
        }
    }
}
