//! What Janus does for an account by itself: keeps the shared connection, reads the lists, listens for changes, stops
//! a process that nobody uses.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::model::Endpoint;
use crate::protocol::{Envelope, Era, Event, Events, Json, ListKind, Listing};

use super::account::Account;
use super::connection::Connection;
use super::key::Key;
use super::leg::Leg;
use super::wire::Outgoing;
use super::{Change, backoff, lists};

/// A stream that held this long was a good one: the next is tried at once.
const GOOD_STREAM: Duration = Duration::from_mins(1);

impl Account {
    /// Runs until Janus stops.
    pub(super) async fn keep(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = self.keep_once() => {}
            }
        }
    }

    async fn keep_once(self: &Arc<Self>) {
        match self.connection(&Key::Shared).await {
            Ok(connection) => {
                self.begin(&connection).await;
                self.serve(&connection).await;
            }
            Err(failure) => {
                let failures = self.failures(&Key::Shared);
                let wait = backoff::wait(failures);
                if failures <= 3 || failures.is_multiple_of(60) {
                    tracing::warn!(account = %self.id, "{failure}; next attempt in {} s", wait.as_secs().max(1));
                }
                self.settled.send_replace(true);
                // Somebody who needs the server tries at once and wakes us with it.
                tokio::select! {
                    () = sleep(wait) => {}
                    () = self.until_present() => {}
                }
            }
        }
    }

    async fn until_present(&self) {
        while self.present(&Key::Shared).is_none() {
            self.wake.notified().await;
        }
    }

    /// A connection is new: says again what was said on the last one, and reads all lists.
    async fn begin(self: &Arc<Self>, connection: &Arc<Connection>) {
        if connection.facts.revision.era() == Era::Legacy {
            self.say_again(connection).await;
        }
        self.listen(connection);
        self.listing.send_modify(|listing| {
            let mut next = Listing::clone(listing);
            next.server = Some(Arc::clone(&connection.facts));
            *listing = Arc::new(next);
        });
        self.read(connection, &ListKind::ALL, false).await;
        self.settled.send_replace(true);
    }

    /// Until the connection is gone, or is stopped because nobody uses it and is needed again.
    async fn serve(self: &Arc<Self>, connection: &Arc<Connection>) {
        loop {
            let idle_at = self.idle_limit().map(|limit| {
                Instant::now()
                    + limit
                        .saturating_sub(connection.idle_for())
                        .max(Duration::from_millis(50))
            });
            tokio::select! {
                _ = connection.ended() => return,
                () = self.wake.notified() => {
                    let dirty: Vec<ListKind> = std::mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect();
                    self.read(connection, &dirty, true).await;
                }
                () = until(idle_at) => {
                    self.stop_idle_sessions();
                    if self.is_idle(connection) {
                        tracing::info!(account = %self.id, "stopped: nobody used it");
                        self.lost(connection);
                        return self.until_present().await;
                    }
                }
            }
        }
    }

    fn idle_limit(&self) -> Option<Duration> {
        match self.server.endpoint {
            Endpoint::Process(_) => self.server.idle,
            Endpoint::Http(_) => None,
        }
    }

    fn is_idle(&self, connection: &Connection) -> bool {
        let held = !self
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .subscriptions
            .is_empty();
        !held
            && self
                .idle_limit()
                .is_some_and(|limit| connection.idle_for() >= limit)
    }

    fn stop_idle_sessions(&self) {
        for connection in self.all_present() {
            if connection.key != Key::Shared && self.is_idle(&connection) {
                self.lost(&connection);
            }
        }
    }

    /// Reads lists and tells what came of it. `announced`: the server said that they changed.
    async fn read(&self, connection: &Arc<Connection>, kinds: &[ListKind], announced: bool) {
        for &kind in kinds {
            match lists::read(&self.id, &connection.leg, &connection.facts, kind).await {
                Ok(items) => {
                    let identical = *self.listing.borrow().of(kind) == items;
                    if !identical {
                        self.listing.send_modify(|listing| {
                            let mut next = Listing::clone(listing);
                            *next.of_mut(kind) = items;
                            *listing = Arc::new(next);
                        });
                    }
                    if announced || !identical {
                        // Nobody listens: nobody needs to know.
                        drop(self.changes.send(Change::Listed {
                            account: self.id.clone(),
                            kind,
                            identical,
                        }));
                    }
                }
                // The old list stays: it is the best we know.
                Err(failure) => {
                    tracing::warn!(account = %self.id, list = kind.member(), "{failure}");
                }
            }
        }
    }

    /// Subscriptions and the log level belong to the connection that is gone.
    async fn say_again(&self, connection: &Connection) {
        let (uris, level) = {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            (
                held.subscriptions
                    .iter()
                    .map(|(uri, _)| uri.clone())
                    .collect::<std::collections::BTreeSet<_>>(),
                held.level.clone(),
            )
        };
        let again = level.into_iter().map(|level| ("logging/setLevel", level));
        let again = again.chain(
            uris.into_iter()
                .map(|uri| ("resources/subscribe", Json::of(&json!({"uri": uri})))),
        );
        for (method, params) in again {
            if let Err(failure) = connection
                .leg
                .ask(method, Some(&params), connection.facts.revision)
                .await
            {
                tracing::warn!(account = %self.id, method, "{failure}");
            }
        }
    }

    /// Listens for changes as long as the connection lives.
    fn listen(self: &Arc<Self>, connection: &Arc<Connection>) {
        let (account, connection) = (Arc::clone(self), Arc::clone(connection));
        self.tasks.spawn(async move {
            let listening = async {
                match (&connection.leg, connection.facts.revision.era()) {
                    (Leg::Http(leg), Era::Legacy) => {
                        // Whoever comes next must not be the one to find that out.
                        if leg.listen_legacy().await {
                            account.lost(&connection);
                        }
                    }
                    (Leg::Process(_), Era::Legacy) => {}
                    (_, Era::Modern) => account.listen_modern(&connection).await,
                }
            };
            tokio::select! {
                () = account.stopping.cancelled() => {}
                _ = connection.ended() => {}
                () = listening => {}
            }
        });
    }

    /// One `subscriptions/listen` for the lists, opened again when it is lost.
    async fn listen_modern(&self, connection: &Connection) {
        let params = Json::of(
            &json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true}}),
        );
        let mut failures = 0;
        loop {
            let outgoing = Outgoing::own(
                "subscriptions/listen",
                Some(&params),
                connection.leg.next_id(),
                connection.facts.revision,
            );
            let (events, queue) = Events::channel();
            let began = Instant::now();
            let mut exchange = Box::pin(connection.leg.exchange(
                &outgoing,
                None,
                Era::Modern,
                &events,
            ));
            let answer = loop {
                tokio::select! {
                    answer = &mut exchange => break answer,
                    event = std::future::poll_fn(|cx| queue.poll_next(cx)) => {
                        if let Event::Notify(message) = event {
                            self.take(message, None);
                        }
                    }
                }
            };
            match answer {
                // The server has no such method: it announces nothing.
                Ok(answer)
                    if matches!(answer.completion, crate::protocol::Completion::Error(_)) =>
                {
                    return;
                }
                _ if began.elapsed() > GOOD_STREAM => failures = 0,
                _ => failures += 1,
            }
            sleep(backoff::wait(failures)).await;
            // What changed meanwhile was not heard.
            self.mark(&ListKind::ALL);
        }
    }

    /// Takes in what a connection says outside of any call, until it ends.
    pub(super) fn take_in(
        self: &Arc<Self>,
        mut inbox: mpsc::Receiver<Envelope>,
        session: Option<Arc<str>>,
    ) {
        let account = Arc::clone(self);
        self.tasks.spawn(async move {
            while let Some(message) = inbox.recv().await {
                account.take(message, session.as_ref());
            }
        });
    }

    fn take(&self, message: Envelope, session: Option<&Arc<str>>) {
        match message.method() {
            "notifications/tools/list_changed" => self.mark(&[ListKind::Tools]),
            "notifications/prompts/list_changed" => self.mark(&[ListKind::Prompts]),
            "notifications/resources/list_changed" => {
                self.mark(&[ListKind::Resources, ListKind::Templates]);
            }
            "notifications/subscriptions/acknowledged" => {}
            _ => {
                // Nobody listens: nobody needs to know.
                drop(self.changes.send(Change::Notification {
                    account: self.id.clone(),
                    message,
                    session: session.cloned(),
                }));
            }
        }
    }

    fn mark(&self, kinds: &[ListKind]) {
        self.dirty
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(kinds);
        self.wake.notify_one();
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
