//! What the server says: every message goes where it belongs, in the order it came.
//!
//! Invariants:
//! - The reader waits for nobody: not for a slow client, not for a person, not for the child to read.
//! - What an exchange is told stays in order: its notifications, then its ending, and nothing after it.
//! - A message that cannot be attributed is never given to somebody who might be the wrong one.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::long_line::{Found, Scan};
use super::outbox::Outbox;
use super::pending::{Addressee, Ending, Pending, Table};
use super::tally::Tally;
use crate::model::AccountId;
use crate::protocol::{
    Body, Completion, Edit, Envelope, Era, Events, Json, Kind, Object, Relayed, RpcError, code,
    meta,
};
use crate::upstream::Failure;

/// What the reader knows.
#[derive(Debug)]
pub(in crate::upstream) struct Dispatcher {
    account: AccountId,
    pub(super) table: Arc<Table>,
    pub(super) outbox: Outbox,
    /// What belongs to no exchange.
    inbox: mpsc::Sender<Envelope>,
    /// Questions wait for their answers in tasks of their own.
    pub(super) tasks: TaskTracker,
    unusable: Tally,
    strays: Tally,
    overflow: Tally,
    unread: Tally,
}

impl Dispatcher {
    /// One that takes what the server says.
    pub(super) fn new(
        account: AccountId,
        table: Arc<Table>,
        outbox: Outbox,
        inbox: mpsc::Sender<Envelope>,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            account,
            table,
            outbox,
            inbox,
            tasks,
            unusable: Tally::default(),
            strays: Tally::default(),
            overflow: Tally::default(),
            unread: Tally::default(),
        }
    }

    /// Takes what came in one piece: a message, or several in an array.
    pub(in crate::upstream) async fn line(&self, text: Bytes) {
        let json = match Json::parse(text.clone()) {
            Ok(json) => json.on_one_line(),
            Err(error) => return self.unusable(Scan::of(&text), &error.to_string()),
        };
        // 2025-03-26 has batches, and whoever speaks it must take them.
        for message in json.elements().unwrap_or_else(|| vec![json]) {
            match Envelope::of(&message) {
                Ok(message) => self.message(message).await,
                Err(refused) => self.unusable(Scan::of(message.bytes()), &refused.error.message),
            }
        }
    }

    async fn message(&self, message: Envelope) {
        match message.kind() {
            Kind::Result | Kind::Error => self.response(&message),
            Kind::Notification => self.notification(message).await,
            Kind::Request => self.request(&message).await,
        }
    }

    fn response(&self, message: &Envelope) {
        let id = message.id().and_then(Json::read::<u64>);
        let Some(pending) = id.and_then(|id| self.table.take(id)) else {
            // Answered twice, or answered after it was given up.
            if let Some(count) = self.strays.count() {
                tracing::debug!(target: "janus::server", account = %self.account, count, "responses to no open request were ignored");
            }
            return;
        };
        let relayed = Relayed {
            body: Body::Whole(message.answered(&pending.client_id, pending.identity.as_ref())),
            era: pending.era,
            completion: completion(message, pending.era),
        };
        finish(pending, Ok(relayed));
    }

    async fn notification(&self, message: Envelope) {
        let params = message.params().unwrap_or_else(Object::empty);
        match message.method() {
            "notifications/cancelled" => self.cancelled(&params),
            "notifications/progress" => self.progress(&message, &params).await,
            method => {
                if let Some(mark) = subscription(&params) {
                    self.change(&message, &params, &mark).await;
                } else if is_news(method) {
                    self.to_inbox(message);
                } else if let Some(call) = self.table.only_call() {
                    offer(&call.events, message).await;
                } else {
                    self.to_inbox(message);
                }
            }
        }
    }

    async fn progress(&self, message: &Envelope, params: &Object) {
        let id = params
            .get(meta::PROGRESS_TOKEN)
            .and_then(|token| token.read::<u64>());
        // Also a token nobody gave is a sign of life for the exchange it names.
        let Some(Addressee {
            events,
            token: Some(token),
            ..
        }) = id.and_then(|id| self.table.addressee(id))
        else {
            return;
        };
        let params = params.edited(&[Edit::Set(meta::PROGRESS_TOKEN, token)]);
        offer_edited(&events, message, params).await;
    }

    /// A notification of a `subscriptions/listen`; of one that has ended, it is nobody's.
    async fn change(&self, message: &Envelope, params: &Object, mark: &Json) {
        let Some(listen) = listen_id(mark).and_then(|id| self.table.addressee(id)) else {
            return;
        };
        let Some(about) = params.object("_meta") else {
            return;
        };
        let about = about.edited(&[Edit::Set(meta::SUBSCRIPTION_ID, listen.client_id)]);
        let params = params.edited(&[Edit::Set("_meta", about)]);
        offer_edited(&listen.events, message, params).await;
    }

    /// The server takes back a question, or ends a subscription: it may do the latter without a result.
    fn cancelled(&self, params: &Object) {
        let Some(id) = params.get("requestId") else {
            return;
        };
        if self.table.withdraw(id.as_str()) {
            return;
        }
        let listen = id
            .read::<u64>()
            .filter(|id| self.table.addressee(*id).is_some_and(|to| to.listen));
        if let Some(pending) = listen.and_then(|id| self.table.take(id)) {
            let ended = Failure::Interrupted {
                account: self.account.clone(),
                reason: "the server ended the subscription".to_owned(),
            };
            finish(pending, Err(ended));
        }
    }

    fn to_inbox(&self, message: Envelope) {
        // A full inbox holds news already that are not yet acted on; what is lost is that there were more of them.
        if self.inbox.try_send(message).is_err()
            && let Some(count) = self.overflow.count()
        {
            tracing::warn!(target: "janus::server", account = %self.account, count, "notifications came faster than they are taken, and were dropped");
        }
    }

    /// A line that cannot be passed on. If it is plainly the answer to a request, that request need not wait for another;
    /// if it is a request, its sender need not wait either.
    pub(in crate::upstream) fn unusable(&self, found: Found, why: &str) {
        if let Some(count) = self.unusable.count() {
            tracing::warn!(target: "janus::server", account = %self.account, count, "messages were ignored: {why}");
        }
        if let Some(pending) = found.response_to().and_then(|id| self.table.take(id)) {
            let failure = Failure::BadAnswer {
                account: self.account.clone(),
                reason: why.to_owned(),
            };
            finish(pending, Err(failure));
        } else if found.method
            && let Some(id) = found.id
        {
            self.reply(RpcError::new(code::INVALID_REQUEST, why).text(Some(&id)));
        }
    }

    /// Answers the server.
    pub(super) fn reply(&self, line: Json) {
        if !self.outbox.reply(line)
            && let Some(count) = self.unread.count()
        {
            tracing::warn!(target: "janus::server", account = %self.account, count, "answers were dropped: the server asks and does not read");
        }
    }
}

fn finish(pending: Pending, ending: Ending) {
    // Whoever waited for it may just have gone.
    pending.ending.send(ending).ok();
}

/// Puts a notification into an exchange, and lets its readers run where they fall behind.
async fn offer(events: &Events, message: Envelope) {
    if events.offer(message) {
        tokio::task::yield_now().await;
    }
}

async fn offer_edited(events: &Events, message: &Envelope, params: Json) {
    // An edit keeps a message what it was.
    if let Ok(message) = Envelope::of(&message.with_params(params)) {
        offer(events, message).await;
    }
}

/// News about the server as a whole, whoever waits for what.
fn is_news(method: &str) -> bool {
    method.ends_with("/list_changed") || method == "notifications/resources/updated"
}

/// The mark of a notification that belongs to a `subscriptions/listen`.
fn subscription(params: &Object) -> Option<Json> {
    params.object("_meta")?.get(meta::SUBSCRIPTION_ID)
}

/// The id of a listen request. SDKs write it as a number or in a string.
fn listen_id(mark: &Json) -> Option<u64> {
    match mark.as_text() {
        Some(text) => text.parse().ok(),
        None => mark.read(),
    }
}

fn completion(message: &Envelope, era: Era) -> Completion {
    if message.kind() == Kind::Error {
        // The code of an error that has none is what JSON-RPC calls an internal one.
        return Completion::Error(message.error_code().unwrap_or(code::INTERNAL_ERROR));
    }
    let kind = message.result_type().filter(|_| era == Era::Modern);
    match kind.as_ref().map(Json::as_text) {
        None => Completion::Complete,
        Some(Some(kind)) if kind == "complete" => Completion::Complete,
        Some(Some(kind)) if kind == "input_required" => Completion::InputRequired,
        Some(_) => Completion::Extension,
    }
}
