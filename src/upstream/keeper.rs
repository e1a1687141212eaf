//! Looks after one connection while it stands: acts on what the server says unasked, sees its process end, stops it
//! when nobody needs it.
//!
//! Invariant: a change is told after the listing holds it; hence `list_changed` is never passed on from here.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;

use super::Failure;
use super::account::Account;
use super::change::Change;
use super::connect::Slot;
use super::connection::Connection;
use super::handshake::unreachable;
use super::key::Key;
use super::leg::Leg;
use crate::protocol::{Envelope, Era, Json, ListKind};

/// Until the connection is gone or Janus stops; then whoever stops Janus ends what stands.
pub(super) async fn keep(
    account: Arc<Account>,
    slot: Arc<Slot>,
    connection: Arc<Connection>,
    mut inbox: mpsc::Receiver<Envelope>,
) {
    let resubscribing = async {
        resubscribe(&account, &slot, &connection).await;
        std::future::pending::<()>().await;
    };
    // A process got its values at its start; a session was opened with some. What a remote server is told with each
    // request may end and be renewed in the middle of a session.
    let superseding = async {
        let pipe = account.dial.is_pipe();
        let credential = &account.dial.credential;
        credential.outdated(&connection.given, pipe).await;
        let successor = Arc::clone(&account).supersede(Arc::clone(&slot), Arc::clone(&connection));
        account.tasks.spawn(successor);
        // It ends this one, when nobody uses it any more.
        std::future::pending::<()>().await;
    };
    let limit = account.dial.server.idle.filter(|_| account.dial.is_pipe());
    let idle = async {
        match limit {
            Some(limit) => connection.idle(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = account.shutdown.cancelled() => return,
        () = hear(&account, &connection, &mut inbox) => {}
        () = resubscribing => {}
        () = idle => {
            tracing::info!(account = %account.id(), "nobody needs the process; it is stopped");
        }
        () = connection.gone.cancelled() => {}
        () = superseding => {}
        reason = connection.leg.closed() => {
            account.lost(&slot, &connection, unreachable(account.id(), reason));
        }
    }
    account.retire(&slot, &connection);
    if matches!(connection.leg, Leg::Stdio(_) | Leg::Sse(_)) {
        connection.leg.end().await;
    }
}

async fn hear(account: &Account, connection: &Connection, inbox: &mut mpsc::Receiver<Envelope>) {
    while let Some(message) = inbox.recv().await {
        heard(account, connection, message);
    }
    // The legs hold the other end for as long as they live.
    std::future::pending::<()>().await;
}

/// Acts on something the server said outside of any call.
pub(super) fn heard(account: &Account, connection: &Connection, message: Envelope) {
    let method = message.method();
    let changed: Vec<_> = ListKind::ALL
        .into_iter()
        .filter(|kind| kind.changed() == method)
        .collect();
    match changed.split_first() {
        None => account.tell(Change::Notification {
            account: account.id().clone(),
            message,
            session: connection.key.session().cloned(),
        }),
        // What one session's own process offers beside the others is not listed to anybody.
        Some(_) if connection.key != Key::Shared => {}
        Some((first, others)) => {
            account.wanted.announced(*first);
            // Templates have no announcement of their own: they are told of only if they changed.
            for kind in others {
                account.wanted.stale(*kind);
            }
        }
    }
}

/// A new connection knows nothing of the level and the subscriptions of the one before.
async fn resubscribe(account: &Account, slot: &Slot, connection: &Connection) {
    if connection.facts.revision.era() == Era::Legacy {
        if let Some(level) = slot.held.level() {
            say(account, connection, "logging/setLevel", &level).await;
        }
        for uri in slot.held.uris() {
            subscription(account, connection, "resources/subscribe", &uri).await;
            // What was said while there was no connection is lost.
            heard(account, connection, updated(&uri));
        }
    }
}

/// The news that a resource may have changed.
pub(super) fn updated(uri: &str) -> Envelope {
    Envelope::notification("notifications/resources/updated", &json!({"uri": uri}))
}

/// Subscribes or unsubscribes for those who do not ask themselves.
pub(super) async fn subscription(
    account: &Account,
    connection: &Connection,
    method: &str,
    uri: &str,
) {
    let params = Json::of(&json!({"uri": uri}));
    say(account, connection, method, &params).await;
}

/// Tells a legacy server something that nobody waits for.
pub(super) async fn say(account: &Account, connection: &Connection, method: &str, params: &Json) {
    let own = connection.leg.own(
        account.id(),
        method,
        Some(params),
        connection.facts.revision,
    );
    if let Err(failure) = own.await {
        tracing::warn!(account = %account.id(), method, "{}", Failure::reason(&failure));
    }
}
