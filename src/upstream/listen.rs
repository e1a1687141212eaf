//! The stream on which a server says that its lists changed, and the resources that are watched.
//!
//! Invariants:
//! - After a stream was lost the lists are read again, and what is watched is told as changed: what was said in
//!   between is lost.
//! - Where something else is watched, the new stream is open before the old one is closed.
//! - A server that has no such stream is not asked twice.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::account::Account;
use super::connect::Slot;
use super::connection::Connection;
use super::held::Announced;
use super::key::Key;
use super::leg::Leg;
use super::subscribe::ACKNOWLEDGE;
use super::wire::Outgoing;
use super::{Failure, backoff, keeper};
use crate::protocol::{
    Completion, Edit, Envelope, Era, Event, EventQueue, Events, Json, ListKind, Object,
    ServerFacts, code, meta,
};

/// A stream that stood this long was a working one.
const STOOD: Duration = Duration::from_secs(10);

/// Until the connection is gone or Janus stops.
pub(super) async fn run(account: Arc<Account>, slot: Arc<Slot>, connection: Arc<Connection>) {
    let listening = async {
        match (&connection.leg, connection.facts.revision.era()) {
            (Leg::Http(leg), Era::Legacy) => {
                let opened = leg.opened();
                tokio::select! {
                    biased;
                    () = leg.listen_legacy(Arc::clone(&connection.stir)) => {}
                    () = told_as_changed(&account, &slot, &connection, opened) => {}
                }
                check_session(&account, &slot, &connection).await;
            }
            (_, Era::Modern) => modern(&account, &slot, &connection).await,
            // There everything comes without being asked for.
            (Leg::Stdio(_) | Leg::Sse(_), Era::Legacy) => {}
        }
    };
    tokio::select! {
        biased;
        () = account.shutdown.cancelled() => {}
        () = connection.gone.cancelled() => {}
        () = account.follow_refusals(&slot, &connection) => {}
        () = listening => {}
    }
}

/// Tells what is watched as changed whenever the stream is open: nothing waits for it, so that a subscription may have been
/// made before, and what was said until then is lost.
async fn told_as_changed(
    account: &Account,
    slot: &Slot,
    connection: &Connection,
    mut opened: watch::Receiver<u64>,
) {
    while opened.changed().await.is_ok() {
        for uri in slot.held.uris() {
            keeper::heard(account, connection, keeper::updated(&uri));
        }
    }
    std::future::pending::<()>().await;
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

/// One stream tells of everything: the lists, where this is the connection that all share, and what is held.
async fn modern(account: &Account, slot: &Slot, connection: &Arc<Connection>) {
    let lists = if slot.key == Key::Shared {
        lists(&connection.facts)
    } else {
        Map::new()
    };
    // What the connection before was told counts no more.
    slot.held.announce(Announced::default());
    let mut current: Option<Stream> = None;
    let mut failures = 0;
    loop {
        let (version, uris) = slot.held.now();
        if lists.is_empty() && uris.is_empty() {
            current = None;
            slot.held.announce(Announced { version, uris });
            slot.held.changed(version).await;
            continue;
        }
        let began = Instant::now();
        // Open before the old one is closed, so that nothing is missed in between.
        let mut next = Stream::open(connection, wanted(&lists, &uris));
        let early = timeout(ACKNOWLEDGE, opened(&mut next, &mut current, account)).await;
        slot.held.announce(Announced {
            version,
            uris: next.granted.clone().unwrap_or(uris),
        });
        drop(current.take());
        if matches!(early, Ok(None)) {
            connection.stir.opened(false);
        }
        let ended = if let Ok(Some(ended)) = early {
            Some(ended)
        } else {
            tokio::select! {
                () = slot.held.changed(version) => None,
                () = connection.stir.suspected() => {
                    // What was said since it died is lost.
                    missed(account, slot, connection);
                    None
                }
                ended = next.told(account) => Some(ended),
            }
        };
        let Some(ended) = ended else {
            current = Some(next);
            continue;
        };
        drop(next);
        let refused = matches!(ended, Err(Failure::Rejected { status: 401, .. }));
        connection.stir.opened(refused);
        if is_no_stream(account, ended) {
            slot.held.announce(Announced {
                version: u64::MAX,
                uris: Vec::new(),
            });
            return;
        }
        failures = if began.elapsed() >= STOOD {
            0
        } else {
            failures + 1
        };
        let pause = backoff::pause(failures, backoff::chance());
        connection.stir.pause(pause).await;
        missed(account, slot, connection);
    }
}

fn is_no_stream(account: &Account, ended: Result<Completion, Failure>) -> bool {
    match ended {
        Ok(Completion::Error(code::METHOD_NOT_FOUND)) => {
            tracing::debug!(account = %account.id(), "the server has no stream of changes");
            return true;
        }
        Ok(completion) => {
            tracing::debug!(account = %account.id(), ?completion, "the stream of changes ended");
        }
        Err(failure) => tracing::debug!("the stream of changes: {failure}"),
    }
    false
}

/// What was said while there was no stream is lost: everything may have changed.
fn missed(account: &Account, slot: &Slot, connection: &Connection) {
    if slot.key == Key::Shared {
        account.wanted.all();
    }
    for uri in slot.held.uris() {
        keeper::heard(account, connection, keeper::updated(&uri));
    }
}

fn wanted(lists: &Map<String, Value>, uris: &[String]) -> Json {
    let mut filter = lists.clone();
    if !uris.is_empty() {
        filter.insert("resourceSubscriptions".to_owned(), uris.into());
    }
    Json::of(&json!({"notifications": filter}))
}

/// Waits for the acknowledgement of a new stream, while the one before still tells. Gives how it ended, if it did.
async fn opened(
    next: &mut Stream,
    current: &mut Option<Stream>,
    account: &Account,
) -> Option<Result<Completion, Failure>> {
    poll_fn(|cx| {
        if let Some(stream) = current
            && stream.poll(account, cx).is_ready()
        {
            *current = None;
        }
        if let Poll::Ready(ended) = next.poll(account, cx) {
            return Poll::Ready(Some(ended));
        }
        if next.granted.is_some() {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await
}

/// A `subscriptions/listen` under way.
struct Stream {
    connection: Arc<Connection>,
    exchange: Pin<Box<dyn Future<Output = Result<Completion, Failure>> + Send>>,
    queue: EventQueue,
    /// The resources that the server acknowledged, once it did.
    granted: Option<Vec<String>>,
}

impl Stream {
    fn open(connection: &Arc<Connection>, params: Json) -> Self {
        let (events, queue) = Events::channel();
        let leg = Arc::clone(connection);
        let exchange = async move {
            let (id, revision) = (leg.leg.next_id(), leg.facts.revision);
            let method = "subscriptions/listen";
            let outgoing = Outgoing::own(method, Some(&params), id, revision);
            let exchange = leg.leg.exchange(&outgoing, None, Era::Modern, &events);
            exchange.await.map(|relayed| relayed.completion)
        };
        Self {
            connection: Arc::clone(connection),
            exchange: Box::pin(exchange),
            queue,
            granted: None,
        }
    }

    /// Tells what the server says, until it ends the stream.
    async fn told(&mut self, account: &Account) -> Result<Completion, Failure> {
        poll_fn(|cx| self.poll(account, cx)).await
    }

    fn poll(
        &mut self,
        account: &Account,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Completion, Failure>> {
        let ended = self.exchange.as_mut().poll(cx);
        while let Poll::Ready(event) = self.queue.poll_next(cx) {
            if let Event::Notify(message) = event {
                self.hear(account, &message);
            }
        }
        ended
    }

    fn hear(&mut self, account: &Account, message: &Envelope) {
        let params = message.params().unwrap_or_else(Object::empty);
        if message.method() == "notifications/subscriptions/acknowledged" {
            let granted = params.object("notifications");
            let uris = granted.and_then(|granted| granted.get("resourceSubscriptions")?.elements());
            let text = |uri: &Json| uri.as_text().map(std::borrow::Cow::into_owned);
            let uris = uris.unwrap_or_default();
            self.granted = Some(uris.iter().filter_map(text).collect());
            return;
        }
        // Whoever is told of it knows nothing of this stream.
        let meta = params.object("_meta").unwrap_or_else(Object::empty);
        let meta = meta.edited(&[Edit::Remove(meta::SUBSCRIPTION_ID)]);
        let bare = match &meta.bytes()[..] {
            b"{}" => params.edited(&[Edit::Remove("_meta")]),
            _ => params.edited(&[Edit::Set("_meta", meta)]),
        };
        if let Ok(message) = Envelope::of(&message.with_params(bare)) {
            keeper::heard(account, &self.connection, message);
        }
    }
}

/// The lists whose changes the server says it announces.
fn lists(facts: &ServerFacts) -> Map<String, Value> {
    let wanted = [
        (ListKind::Tools, "toolsListChanged"),
        (ListKind::Prompts, "promptsListChanged"),
        (ListKind::Resources, "resourcesListChanged"),
    ];
    wanted
        .into_iter()
        .filter(|(kind, _)| announces(facts, *kind))
        .map(|(_, member)| (member.to_owned(), json!(true)))
        .collect()
}

/// Whether the server says when a list changes.
pub(super) fn announces(facts: &ServerFacts, kind: ListKind) -> bool {
    let capability = facts.capabilities.object(kind.capability());
    capability
        .unwrap_or_else(Object::empty)
        .get("listChanged")
        .is_some_and(|flag| flag.as_str() == "true")
}
