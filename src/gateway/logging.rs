//! `logging/setLevel` of legacy clients.
//!
//! A shared connection has one level for all who use it: the server is asked for the most verbose one that anybody
//! wants, and each session's edge lets through what that session wants.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::binding::{Scope, View};
use crate::model::{AccountId, Subject};
use crate::protocol::{Edit, Envelope, Era, Events, Json, LogLevel, Object, Outcome, Request};

use super::{Gateway, error};

/// Who wants how much.
#[derive(Debug, Default)]
pub(super) struct Levels(Mutex<BTreeMap<String, (Scope, LogLevel)>>);

impl Levels {
    fn set(&self, session: &str, scope: &Scope, level: LogLevel) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session.to_owned(), (scope.clone(), level));
    }

    /// Forgets a session that ended.
    pub(super) fn forget(&self, session: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(session);
    }

    /// The most verbose level that anybody who reaches `account` wants.
    fn wanted(&self, account: &AccountId) -> Option<LogLevel> {
        let levels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        levels
            .values()
            .filter(|(scope, _)| scope.accounts().contains(account))
            .map(|(_, level)| *level)
            .min()
    }
}

impl Gateway {
    pub(super) async fn set_level(
        &self,
        scope: &Scope,
        request: Request,
        events: &Events,
    ) -> Outcome {
        if request.client.era() == Era::Modern {
            return Outcome::Error(error::method_not_found(request.method()));
        }
        let Some(level) = request
            .params()
            .text("level")
            .and_then(|level| LogLevel::named(&level))
        else {
            return error::invalid_params(format!(
                "`level` is one of {}",
                LogLevel::NAMES.join(", ")
            ));
        };
        if let Some(session) = &request.client.session {
            self.levels.set(session, scope, level);
        }
        let mut answers = Vec::new();
        for account in scope.accounts().iter().filter(|account| self.logs(account)) {
            answers.push(self.forward_level(scope, account, &request, events).await);
        }
        match (scope.view(), answers.pop()) {
            (View::Transparent(_), Some(answer)) => answer,
            // One server that would not be told is no reason to tell the client that nobody was.
            _ => Outcome::Result {
                result: Object::empty().json().clone(),
                cache: None,
            },
        }
    }

    /// Whether the server logs by session level: legacy, and it says so.
    fn logs(&self, account: &AccountId) -> bool {
        self.listing(account).server.as_ref().is_some_and(|server| {
            server.revision.era() == Era::Legacy && server.capabilities.has("logging")
        })
    }

    async fn forward_level(
        &self,
        scope: &Scope,
        account: &AccountId,
        request: &Request,
        events: &Events,
    ) -> Outcome {
        let mut request = request.clone();
        if let Some(wanted) = self.levels.wanted(account) {
            let params = request
                .params()
                .edited(&[Edit::Set("level", Json::string(wanted.as_str()))]);
            if let Ok(message) = Envelope::of(&request.message.with_params(params)) {
                request.message = message;
            }
        }
        self.relay_to(
            scope,
            account,
            Subject::Method("logging/setLevel".to_owned()),
            request,
            events,
        )
        .await
    }
}
