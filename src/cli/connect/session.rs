//! What a legacy client said that its session is made of: said again to a daemon that was restarted.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use crate::protocol::{Edit, Envelope, Json, Kind, Revision};

/// The daemon takes as many subscriptions for each session.
const SUBSCRIPTIONS: usize = 1000;

/// The client's session.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// `initialize`, once it was answered.
    initialize: Option<Envelope>,
    initialized: Option<Bytes>,
    level: Option<Envelope>,
    /// `resources/subscribe`, by URI.
    subscriptions: BTreeMap<String, Envelope>,
    takes_arrays: bool,
    next_id: u64,
}

impl Session {
    /// Whether there is one.
    pub(super) fn exists(&self) -> bool {
        self.initialize.is_some()
    }

    /// Whether its revision has arrays of messages.
    pub(super) fn takes_arrays(&self) -> bool {
        self.takes_arrays
    }

    /// `notifications/initialized` was sent.
    pub(super) fn initialized(&mut self, line: &Bytes) {
        self.initialized = Some(line.clone());
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, request: &Bytes, method: &str, response: &Envelope) {
        let ours = matches!(
            method,
            "initialize" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe"
        );
        if !ours || response.kind() != Kind::Result {
            return;
        }
        let Ok(request) = Envelope::parse(request.clone()) else {
            return;
        };
        let uri = || request.params().and_then(|params| params.text("uri"));
        match method {
            "initialize" => {
                let result = response.result().and_then(|result| result.object());
                let revision = result.and_then(|result| result.text("protocolVersion"));
                *self = Self {
                    takes_arrays: revision.as_deref() == Some(Revision::V2025_03_26.as_str()),
                    initialize: Some(request),
                    // Some clients do not wait for the answer before they say it.
                    initialized: self.initialized.take(),
                    next_id: self.next_id,
                    ..Self::default()
                };
            }
            "logging/setLevel" => self.level = Some(request),
            "resources/subscribe" => {
                if let Some(uri) = uri().filter(|_| self.subscriptions.len() < SUBSCRIPTIONS) {
                    self.subscriptions.insert(uri, request);
                }
            }
            _ => {
                if let Some(uri) = uri() {
                    self.subscriptions.remove(&uri);
                }
            }
        }
    }

    /// The lines that bring a connection to where the client is, in order: those that open the session, unless it was
    /// come back to, and what was asked of it since. A daemon that restarted knows the session, and still its servers
    /// may not know what was subscribed. Requests have an id of the shim's own, so that no id of the client's is in use
    /// twice.
    pub(super) fn again(&mut self, resumed: bool) -> Vec<(Bytes, Option<Json>)> {
        let mut next_id = self.next_id;
        let mut request = |request: &Envelope| {
            next_id += 1;
            let id = Json::string(&format!("janus-connect-{next_id}"));
            let text = request.edited(&[Edit::Set("id", id.clone())]);
            (line(&text.on_one_line()), Some(id))
        };
        let mut lines = Vec::new();
        if !resumed {
            lines.extend(self.initialize.iter().map(&mut request));
            lines.extend(self.initialized.iter().map(|line| (line.clone(), None)));
        }
        let state = self.level.iter().chain(self.subscriptions.values());
        lines.extend(state.map(request));
        self.next_id = next_id;
        lines
    }
}

/// A message as a line.
pub(super) fn line(message: &Json) -> Bytes {
    let mut line = BytesMut::with_capacity(message.bytes().len() + 1);
    line.extend_from_slice(message.bytes());
    line.extend_from_slice(b"\n");
    line.freeze()
}
