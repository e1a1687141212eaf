//! `subscriptions/listen` at one modern server, on behalf of a client's own.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::{join_all, poll_fn};
use serde_json::json;

use crate::binding::Scope;
use crate::gateway::Gateway;
use crate::model::{AccountId, Subject};
use crate::protocol::{
    Edit, Envelope, Era, Event, EventQueue, Events, Json, Object, Outcome, Request,
};

use super::ACKNOWLEDGE;
use super::filter::{Watched, texts};

/// A `subscriptions/listen` at one server, on behalf of this one.
pub(super) struct Branch<'a> {
    pub(super) account: &'a AccountId,
    watched: Watched,
    running: Option<Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>>,
    events: EventQueue,
    acknowledged: Option<Vec<String>>,
}

impl Gateway {
    /// Listens at one server, if it is one that can be listened to.
    pub(super) fn branch<'a>(
        &'a self,
        scope: &'a Scope,
        account: &'a AccountId,
        watched: &Watched,
        request: &Request,
    ) -> Option<Branch<'a>> {
        if self.era_of(account) != Some(Era::Modern) {
            return None;
        }
        let mut wanted = json!({});
        let members = wanted.as_object_mut()?;
        for (key, names) in [
            ("resourceSubscriptions", &watched.uris),
            ("taskIds", &watched.tasks),
        ] {
            if !names.is_empty() {
                members.insert(key.to_owned(), names.keys().cloned().collect());
            }
        }
        let params = request
            .params()
            .edited(&[Edit::Set("notifications", Json::of(&wanted))]);
        let message = Envelope::of(&request.message.with_params(params)).ok()?;
        let request = Request {
            message,
            ..request.clone()
        };
        let (sender, events) = Events::channel();
        let subject = Subject::Method("subscriptions/listen".to_owned());
        let running = async move {
            self.relay_to(scope, account, subject, request, &sender)
                .await
        };
        Some(Branch {
            account,
            watched: watched.clone(),
            running: Some(Box::pin(running)),
            events,
            acknowledged: None,
        })
    }
}

impl Branch<'_> {
    /// What the server granted so far, by its own names.
    pub(super) fn granted(&self) -> &[String] {
        self.acknowledged.as_deref().unwrap_or_default()
    }

    /// Whether the server granted something and has ended its stream.
    fn is_lost(&self) -> bool {
        self.running.is_none()
            && self
                .acknowledged
                .as_ref()
                .is_some_and(|granted| !granted.is_empty())
    }

    /// The next message of this server. A server that ends its stream is silent from then on.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Envelope> {
        if let Some(running) = &mut self.running
            && running.as_mut().poll(cx).is_ready()
        {
            self.running = None;
            self.acknowledged.get_or_insert_default();
        }
        loop {
            match self.events.poll_next(cx) {
                Poll::Ready(Event::Notify(message))
                    if message.method() == "notifications/subscriptions/acknowledged" =>
                {
                    let granted = message
                        .params()
                        .and_then(|params| params.object("notifications"));
                    let granted = granted.unwrap_or_else(Object::empty);
                    self.acknowledged = Some(
                        [
                            texts(&granted, "resourceSubscriptions"),
                            texts(&granted, "taskIds"),
                        ]
                        .concat(),
                    );
                }
                Poll::Ready(Event::Notify(message)) => {
                    if let Some(message) = self.renamed(&message) {
                        return Poll::Ready(message);
                    }
                }
                Poll::Ready(Event::Ask(..) | Event::Withdrawn(_) | Event::Opened(_)) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The message with the names the client uses.
    fn renamed(&self, message: &Envelope) -> Option<Envelope> {
        if message.method() == "notifications/tasks" {
            return Envelope::of(&Gateway::task_renamed(message, &self.watched.tasks)?).ok();
        }
        let params = message.params()?;
        let shown = params
            .text("uri")
            .and_then(|uri| Some((self.watched.uris.get(&uri)?.clone(), uri)));
        match shown {
            Some((shown, uri)) if shown != uri => Envelope::of(
                &message.with_params(params.edited(&[Edit::Set("uri", Json::string(&shown))])),
            )
            .ok(),
            _ => Some(message.clone()),
        }
    }
}

/// Waits until every server acknowledged, or the time for it is over. What servers told meanwhile comes later.
pub(super) async fn acknowledged(branches: &mut [Branch<'_>]) -> Vec<Envelope> {
    let waiting = branches.iter_mut().map(|branch| async {
        let mut early = Vec::new();
        let acknowledged = poll_fn(|cx| {
            while let Poll::Ready(message) = branch.poll(cx) {
                early.push(message);
            }
            if branch.acknowledged.is_some() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        // A server that is late is listened to all the same.
        drop(tokio::time::timeout(ACKNOWLEDGE, acknowledged).await);
        early
    });
    join_all(waiting).await.concat()
}

/// The next message of any server; `None` when one that listened to us does so no more.
pub(super) async fn next(branches: &mut [Branch<'_>]) -> Option<Envelope> {
    poll_fn(|cx| {
        for branch in branches.iter_mut() {
            if let Poll::Ready(message) = branch.poll(cx) {
                return Poll::Ready(Some(message));
            }
            if branch.is_lost() {
                return Poll::Ready(None);
            }
        }
        Poll::Pending
    })
    .await
}
