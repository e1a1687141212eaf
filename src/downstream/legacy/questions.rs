//! What a session was asked and has not answered yet, and how much of the servers' logs it wants.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;

use crate::downstream::conversation::log_level;
use crate::protocol::{Answer, Asker, Edit, Envelope, Json, LogLevel, Question, Revision};

/// Under which a link is known (2025-11-25, client/elicitation, "URL Mode Elicitation Requests").
const ELICITATION_ID: &str = "elicitationId";

/// The open questions of a session.
#[derive(Debug)]
pub(in crate::downstream) struct Questions {
    open: Mutex<BTreeMap<String, Asker>>,
    next: AtomicU64,
    revision: Revision,
    level: Mutex<LogLevel>,
}

impl Questions {
    /// None open yet; log messages from `info` on, until the client says otherwise.
    ///
    /// Counting begins anywhere: a late answer to a question of the session before, which a restart of Janus cut off,
    /// must not answer another one.
    pub(in crate::downstream) fn new(revision: Revision) -> Self {
        let first = getrandom::u32().unwrap_or_default();
        Self {
            open: Mutex::default(),
            next: AtomicU64::new(u64::from(first)),
            revision,
            level: Mutex::new(LogLevel::Info),
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Asker>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a question; gives its id and the request that asks it.
    pub(in crate::downstream) fn ask(&self, question: &Question, asker: Asker) -> (String, Json) {
        let id = format!("janus-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let mut edits = vec![Edit::Set("id", Json::string(&id))];
        let params = question.params();
        let of_params = self.spoken(question, &id);
        if !of_params.is_empty() {
            edits.push(Edit::Within("params", &params, &of_params));
        }
        let text = question.message.edited(&edits).on_one_line();
        let mut open = self.open();
        // Those whose asker is gone wait for nobody.
        open.retain(|_, asker| !asker.is_gone());
        open.insert(id.clone(), asker);
        (id, text)
    }

    /// What the revision of this session wants said otherwise: a link needs a name in 2025-11-25, and before that
    /// nothing said that a form is a form.
    fn spoken(&self, question: &Question, id: &str) -> Vec<Edit<'static>> {
        let params = question.params();
        if question.url().is_some() {
            let named = params.has(ELICITATION_ID);
            let name = || Edit::Set(ELICITATION_ID, Json::string(id));
            return (!named).then(name).into_iter().collect();
        }
        let says_form =
            self.revision < Revision::V2025_11_25 && params.text("mode").as_deref() == Some("form");
        says_form
            .then_some(Edit::Remove("mode"))
            .into_iter()
            .collect()
    }

    /// A question need not be answered any more; gives what the client is told.
    pub(in crate::downstream) fn withdraw(&self, id: &str) -> Json {
        self.open().remove(id);
        let params = json!({"requestId": id, "reason": "nobody waits for the answer any more"});
        Envelope::notification("notifications/cancelled", &params)
            .json()
            .clone()
    }

    /// Takes a client's response. One to no open question is dropped: its call may have ended meanwhile.
    pub(in crate::downstream) fn answered(&self, response: &Envelope) {
        let Some(id) = response
            .id()
            .and_then(|id| id.as_text().map(std::borrow::Cow::into_owned))
        else {
            return;
        };
        let Some(waiting) = self.open().remove(&id) else {
            return;
        };
        waiting.answer(Answer::Response(response.clone()));
    }

    /// Sets the least severe level the client wants.
    pub(in crate::downstream) fn set_level(&self, level: LogLevel) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = level;
    }

    /// The least severe level the client wants.
    pub(in crate::downstream) fn level(&self) -> LogLevel {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the client wants this notification: log messages by their level, all others.
    pub(in crate::downstream) fn wants(&self, message: &Envelope) -> bool {
        log_level(message).is_none_or(|level| level >= self.level())
    }
}
