//! What a session was asked and has not answered yet, and how much of the servers' logs it wants.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::downstream::conversation::log_level;
use crate::protocol::{Answer, Edit, Envelope, Json, LogLevel, Question};

/// The open questions of a session.
#[derive(Debug)]
pub(in crate::downstream) struct Questions {
    open: Mutex<BTreeMap<String, oneshot::Sender<Answer>>>,
    next: AtomicU64,
    level: Mutex<LogLevel>,
}

impl Questions {
    /// None open yet; log messages from `info` on, until the client says otherwise.
    ///
    /// Counting begins anywhere: a late answer to a question of the session before, which a restart of Janus cut off,
    /// must not answer another one.
    pub(in crate::downstream) fn new() -> Self {
        let first = getrandom::u32().unwrap_or_default();
        Self {
            open: Mutex::default(),
            next: AtomicU64::new(u64::from(first)),
            level: Mutex::new(LogLevel::Info),
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<String, oneshot::Sender<Answer>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a question; gives the request that asks it.
    pub(in crate::downstream) fn ask(
        &self,
        question: &Question,
        answer: oneshot::Sender<Answer>,
    ) -> Json {
        let id = format!("janus-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let text = question
            .message
            .edited(&[Edit::Set("id", Json::string(&id))])
            .on_one_line();
        let mut open = self.open();
        // Those whose asker is gone wait for nobody.
        open.retain(|_, answer| !answer.is_closed());
        open.insert(id, answer);
        text
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
        // The asker may have gone away; then the answer is nobody's.
        drop(waiting.send(Answer::Response(response.clone())));
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
