//! `janus session list` and `janus session end`.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Problem, seconds};
use crate::downstream::Downstream;
use crate::downstream::legacy::Shown;
use crate::model::ClientId;
use crate::store::Holder;

/// A session by its id, or by enough of its head to tell it from the others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    session: String,
}

impl Downstream {
    pub(super) fn session_list(&self) -> Value {
        let mut rows = Vec::new();
        for session in self.sessions.all() {
            let scope = session.settled(&self.gateway, &self.reach);
            let scope = scope.and_then(Result::ok);
            let name = session
                .client
                .info
                .as_ref()
                .and_then(|info| info.object()?.text("name"));
            rows.push(json!({
                "session": &*session.id,
                "client": session.client_id(),
                "program": name,
                "profile": scope.as_ref().map(|scope| scope.profile().as_str().to_owned()),
                "directory": session.directory(),
                "used": seconds(session.used()),
                "choices": self.choices_of(&session.id),
            }));
        }
        for record in self.sessions.dormant() {
            let shown = Shown::of(&record.facts);
            rows.push(json!({
                "session": &*record.id,
                "client": record.client.as_ref().map(ClientId::as_str),
                "program": shown.program,
                "profile": shown.profile,
                "directory": shown.directory,
                "used": seconds(record.used),
                "choices": self.choices_of(&record.id),
            }));
        }
        json!({"sessions": rows})
    }

    fn choices_of(&self, id: &Arc<str>) -> Vec<String> {
        let chosen = self.gateway.choices().of(&Holder::Session(Arc::clone(id)));
        chosen
            .into_iter()
            .map(|(_, account)| account.to_string())
            .collect()
    }

    pub(super) async fn end_session(&self, which: &Which) -> Answer {
        let id = self.session_named(&which.session)?;
        self.sessions.end(&self.gateway, &id).await;
        Ok(json!({"ended": &*id}))
    }

    /// The one session whose id begins like this.
    pub(super) fn session_named(&self, head: &str) -> Result<Arc<str>, Problem> {
        let head = head.strip_prefix("s-").unwrap_or(head);
        let live = self
            .sessions
            .all()
            .into_iter()
            .map(|session| Arc::clone(&session.id));
        let dormant = self.sessions.dormant().into_iter().map(|record| record.id);
        let found: Vec<Arc<str>> = live
            .chain(dormant)
            .filter(|id| !head.is_empty() && id.starts_with(head))
            .collect();
        match &found[..] {
            [one] => Ok(Arc::clone(one)),
            [] => Err(
                Problem::unknown("session_unknown", "there is no such session")
                    .help("janus session list"),
            ),
            _ => Err(Problem::new(
                StatusCode::CONFLICT,
                "session_unknown",
                "several sessions begin like this",
            )
            .help("janus session list")),
        }
    }
}
