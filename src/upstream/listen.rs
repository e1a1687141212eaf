//! The stream on which a server says that its lists changed.
//!
//! Invariants:
//! - After every opening but the first the lists are read again: what was said in between is lost.
//! - A server that has no such stream is not asked twice.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::account::Account;
use super::connect::Slot;
use super::connection::Connection;
use super::key::Key;
use super::leg::Leg;
use super::wire::Outgoing;
use super::{Failure, backoff, keeper};
use crate::protocol::{
    Completion, Era, Event, EventQueue, Events, Json, ListKind, Object, Relayed, ServerFacts, code,
};

/// A stream that stood this long was a working one.
const STOOD: Duration = Duration::from_secs(10);

/// Until the connection is gone or Janus stops.
pub(super) async fn run(account: Arc<Account>, slot: Arc<Slot>, connection: Arc<Connection>) {
    let listening = async {
        match (&connection.leg, connection.facts.revision.era()) {
            (Leg::Http(leg), Era::Legacy) => {
                leg.listen_legacy().await;
                check_session(&account, &slot, &connection).await;
            }
            (_, Era::Modern) if slot.key == Key::Shared => modern(&account, &connection).await,
            // What comes on a legacy pipe comes without being asked for, and one stream tells of a modern server.
            (Leg::Stdio(_), Era::Legacy) | (_, Era::Modern) => {}
        }
    };
    tokio::select! {
        biased;
        () = account.shutdown.cancelled() => {}
        () = connection.gone.cancelled() => {}
        () = listening => {}
    }
}

/// The stream ended for good: either there is none, or the session is gone and with it the news of changes.
async fn check_session(account: &Arc<Account>, slot: &Arc<Slot>, connection: &Arc<Connection>) {
    let revision = connection.facts.revision;
    let ping = connection.leg.own(account.id(), "ping", None, revision);
    if let Err(Failure::SessionUnknown { .. }) = ping.await {
        account.retire(slot, connection);
        if slot.key == Key::Shared {
            account.begin(slot);
        }
    }
}

async fn modern(account: &Account, connection: &Connection) {
    let Some(filter) = filter(&connection.facts) else {
        return;
    };
    let params = Json::of(&json!({"notifications": filter}));
    let mut failures = 0;
    loop {
        let began = Instant::now();
        match once(account, connection, &params).await {
            Ok(Completion::Error(code::METHOD_NOT_FOUND)) => {
                tracing::debug!(account = %account.id(), "the server has no stream of changes");
                return;
            }
            Ok(completion) => {
                tracing::debug!(account = %account.id(), ?completion, "the stream of changes ended");
            }
            Err(failure) => tracing::debug!("the stream of changes: {failure}"),
        }
        failures = if began.elapsed() >= STOOD {
            0
        } else {
            failures + 1
        };
        sleep(backoff::pause(failures, backoff::chance())).await;
        account.wanted.all();
    }
}

/// One stream from its opening to its end.
async fn once(
    account: &Account,
    connection: &Connection,
    params: &Json,
) -> Result<Completion, Failure> {
    let leg = &connection.leg;
    let revision = connection.facts.revision;
    let outgoing = Outgoing::own(
        "subscriptions/listen",
        Some(params),
        leg.next_id(),
        revision,
    );
    let (events, queue) = Events::channel();
    let mut exchange = Box::pin(leg.exchange(&outgoing, None, Era::Modern, &events));
    loop {
        tokio::select! {
            biased;
            event = next(&queue) => if let Event::Notify(message) = event {
                match message.method() {
                    "notifications/subscriptions/acknowledged" => {}
                    _ => keeper::heard(account, connection, message),
                }
            },
            ended = &mut exchange => return ended.map(|Relayed { completion, .. }| completion),
        }
    }
}

async fn next(queue: &EventQueue) -> Event {
    poll_fn(|cx| queue.poll_next(cx)).await
}

/// The changes that the server says it announces; `None` if it announces none.
fn filter(facts: &ServerFacts) -> Option<Map<String, Value>> {
    let wanted = [
        (ListKind::Tools, "toolsListChanged"),
        (ListKind::Prompts, "promptsListChanged"),
        (ListKind::Resources, "resourcesListChanged"),
    ];
    let filter: Map<_, _> = wanted
        .into_iter()
        .filter(|(kind, _)| announces(facts, *kind))
        .map(|(_, member)| (member.to_owned(), json!(true)))
        .collect();
    (!filter.is_empty()).then_some(filter)
}

/// Whether the server says when a list changes.
pub(super) fn announces(facts: &ServerFacts, kind: ListKind) -> bool {
    let capability = facts.capabilities.object(kind.capability());
    capability
        .unwrap_or_else(Object::empty)
        .get("listChanged")
        .is_some_and(|flag| flag.as_str() == "true")
}
