//! The door for what a caller asked.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::binding::Route;
use crate::model::{AccountId, Subject};
use crate::policy::Permitted;
use crate::protocol::{Body, Completion, Envelope, Era, Events, Json, Relayed, Request};

use super::account::Account;
use super::connection::Connection;
use super::key::Key;
use super::wire::Outgoing;
use super::{Failure, Upstream};

/// A server may be started for a call: npm servers need seconds, the first time minutes to be fetched. Clients wait
/// 60 s and longer.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

impl Upstream {
    /// Sends a request where it may go, and gives the answer. What the server says meanwhile goes to `events`.
    /// Dropping the future cancels the request.
    ///
    /// A request is sent once more only where it was provably not run: the server does not know the session, or the
    /// connection was gone before anything was written.
    pub async fn forward(
        &self,
        call: Permitted<Route>,
        request: &Request,
        events: &Events,
    ) -> Result<Relayed, Failure> {
        let route = call.get();
        let account = self.account(route.account())?;
        if let Some(answer) = account.held_locally(route.subject(), request) {
            return Ok(answer);
        }
        let connection = account.ready_for(request).await?;
        match account.send(&connection, request, route, events).await {
            Err(Failure::SessionUnknown { .. }) => account.lost(&connection),
            Err(Failure::Unreachable { .. }) if connection.is_gone() => account.lost(&connection),
            answer => return answer,
        }
        let connection = account.ready_for(request).await?;
        account.send(&connection, request, route, events).await
    }

    /// Passes a client's notification on, to the connections that are there.
    pub async fn notify(
        &self,
        call: Permitted<Route>,
        message: Envelope,
        session: Option<Arc<str>>,
    ) {
        let Ok(account) = self.account(call.get().account()) else {
            return;
        };
        for connection in account.all_present() {
            let concerned =
                connection.key.session().is_none() || connection.key.session() == session.as_ref();
            if concerned
                && connection.facts.revision.era() == Era::Legacy
                && let Err(failure) = connection
                    .leg
                    .send(message.json().clone().on_one_line())
                    .await
            {
                tracing::debug!(account = %account.id, "a notification was not delivered: {failure}");
            }
        }
    }

    /// A session ended: connections of its own end, and what it subscribed to is given up.
    pub fn release(&self, session: &str) {
        for account in self.accounts() {
            account.release(session);
        }
    }

    fn account(&self, id: &AccountId) -> Result<&Arc<Account>, Failure> {
        let unknown = || Failure::Unreachable {
            account: id.clone(),
            reason: "it is not configured".to_owned(),
            retry_in: None,
        };
        self.find(id).ok_or_else(unknown)
    }
}

impl Account {
    async fn ready_for(self: &Arc<Self>, request: &Request) -> Result<Arc<Connection>, Failure> {
        let key = Key::of(&self.server, self.asked(), &request.client);
        if let Some(connection) = self.present(&key) {
            return Ok(connection);
        }
        let limit = LONGEST_WAIT.min(self.server.timeout);
        let late = |_| Failure::Unreachable {
            account: self.id.clone(),
            reason: format!("it was not ready within {} s", limit.as_secs()),
            retry_in: None,
        };
        tokio::time::timeout(limit, self.connection(&key))
            .await
            .map_err(late)?
    }

    async fn send(
        &self,
        connection: &Connection,
        request: &Request,
        route: &Route,
        events: &Events,
    ) -> Result<Relayed, Failure> {
        self.used(connection);
        let revision = connection.facts.revision;
        let outgoing = Outgoing::relayed(request, route, connection.leg.next_id(), revision);
        let answer = connection
            .leg
            .exchange(&outgoing, Some(&request.client), revision.era(), events)
            .await;
        self.used(connection);
        if matches!(&answer, Ok(answer) if !matches!(answer.completion, Completion::Error(_))) {
            self.hold(request, route.subject());
        }
        answer
    }

    /// Remembers what a legacy server was asked to remember.
    fn hold(&self, request: &Request, subject: &Subject) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match (request.method(), subject) {
            ("logging/setLevel", _) => held.level = Some(request.params().json().clone()),
            ("resources/subscribe", Subject::Resource(uri)) => {
                held.subscriptions
                    .insert((uri.clone(), request.client.session.clone()));
            }
            ("resources/unsubscribe", Subject::Resource(uri)) => {
                held.subscriptions
                    .remove(&(uri.clone(), request.client.session.clone()));
            }
            _ => {}
        }
    }

    /// On a shared connection one session's `resources/unsubscribe` must not end another's subscription.
    fn held_locally(&self, subject: &Subject, request: &Request) -> Option<Relayed> {
        let ("resources/unsubscribe", Subject::Resource(uri)) = (request.method(), subject) else {
            return None;
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = (uri.clone(), request.client.session.clone());
        let others = held
            .subscriptions
            .iter()
            .any(|subscription| subscription.0 == *uri && *subscription != own);
        if !(others && held.subscriptions.remove(&own)) {
            return None;
        }
        let answer = Envelope::result_text(&request.id(), &Json::of(&serde_json::json!({})));
        Some(Relayed {
            body: Body::Whole(answer),
            era: Era::Legacy,
            completion: Completion::Complete,
        })
    }

    fn release(self: &Arc<Self>, session: &str) {
        for connection in self.all_present() {
            if connection.key.session().is_some_and(|of| &**of == session) {
                self.lost(&connection);
            }
        }
        let given_up = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let (own, others): (Vec<_>, Vec<_>) = std::mem::take(&mut held.subscriptions)
                .into_iter()
                .partition(|(_, of)| of.as_deref() == Some(session));
            held.subscriptions = others.into_iter().collect();
            own.into_iter()
                .map(|(uri, _)| uri)
                .filter(|uri| !held.subscriptions.iter().any(|(other, _)| other == uri))
                .collect::<Vec<_>>()
        };
        let Some(connection) = self.present(&Key::Shared).filter(|_| !given_up.is_empty()) else {
            return;
        };
        let account = Arc::clone(self);
        self.tasks.spawn(async move {
            for uri in given_up {
                let params = Json::of(&serde_json::json!({"uri": uri}));
                if let Err(failure) = connection.leg.ask("resources/unsubscribe", Some(&params), connection.facts.revision).await {
                    tracing::debug!(account = %account.id, "a subscription was not given up: {failure}");
                }
            }
        });
    }
}
