//! `subscriptions/listen`: changes of the view itself, and what modern servers tell of resources and tasks.
//!
//! Invariant: the acknowledgement comes first, and only after the servers acknowledged or [`ACKNOWLEDGE`] is over.
//= https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/subscriptions

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{join_all, poll_fn};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::binding::{Scope, View};
use crate::catalog::Found;
use crate::model::{AccountId, Subject};
use crate::protocol::{
    Edit, Envelope, Era, Event, EventQueue, Events, Json, ListKind, Object, Outcome, Request, meta,
};

use super::changes::{COALESCE, until};
use super::{Gateway, Pending, error};

/// How long servers have to acknowledge before the client is answered without them.
const ACKNOWLEDGE: Duration = Duration::from_secs(2);

/// What a client asked to be told, in our words.
#[derive(Debug, Default)]
struct Filter {
    lists: Vec<ListKind>,
    /// The URIs and tasks of each account: its own name, and the one the client uses.
    at: BTreeMap<AccountId, Watched>,
}

#[derive(Debug, Default, Clone)]
struct Watched {
    uris: BTreeMap<String, String>,
    tasks: BTreeMap<String, String>,
}

/// A `subscriptions/listen` at one server, on behalf of this one.
struct Branch<'a> {
    watched: Watched,
    running: Option<Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>>,
    events: EventQueue,
    acknowledged: Option<Vec<String>>,
}

impl Gateway {
    pub(super) async fn listen(&self, scope: &Scope, request: Request, events: &Events) -> Outcome {
        if request.client.era() == Era::Legacy {
            return Outcome::Error(error::method_not_found(request.method()));
        }
        let Some(wanted) = request.params().object("notifications") else {
            return error::invalid_params("`notifications` says what to listen to");
        };
        self.settled(scope).await;
        // Registered before anything is looked at, so that no change is missed.
        let mut configured = self.configured.subscribe();
        let mut changes = self.upstream.changes();
        let mut pending = self.pending(scope, Era::Modern);
        let filter = self.filter(scope, &wanted);
        let mut branches: Vec<Branch<'_>> = filter
            .at
            .iter()
            .filter_map(|(account, watched)| self.branch(scope, account, watched, &request))
            .collect();
        let early = acknowledged(&mut branches).await;
        events
            .notify(acknowledgement(&request, &filter, &branches))
            .await;
        for message in early {
            events.notify(message).await;
        }
        let mut due: Option<Instant> = None;
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => return ended(&request),
                // The sender lives as long as this gateway.
                _ = configured.changed() => return ended(&request),
                told = next(&mut branches) => match told {
                    Some(message) => events.notify(message).await,
                    // A stream that would be silent from now on is ended, so that the client opens another.
                    None => return ended(&request),
                },
                () = until(due) => {
                    due = None;
                    for message in self.due(scope, Era::Modern, &mut pending) {
                        tell(&request, &filter, message, events).await;
                    }
                }
                change = changes.recv() => {
                    if let Some(change) = received(change, &mut pending)
                        && let Some(message) = self.announce(scope, &mut pending, &change)
                    {
                        tell(&request, &filter, message, events).await;
                    }
                    if Self::is_due(&pending) && due.is_none() {
                        due = Some(Instant::now() + COALESCE);
                    }
                }
            }
        }
    }

    fn filter(&self, scope: &Scope, wanted: &Object) -> Filter {
        let is_true = |key: &str| {
            wanted
                .get(key)
                .and_then(|value| value.read())
                .unwrap_or(false)
        };
        let lists = [
            ("toolsListChanged", ListKind::Tools),
            ("promptsListChanged", ListKind::Prompts),
            ("resourcesListChanged", ListKind::Resources),
        ];
        let lists = lists
            .into_iter()
            .filter(|(key, _)| is_true(key))
            .map(|(_, kind)| kind)
            .collect();
        let mut filter = Filter {
            lists,
            at: BTreeMap::new(),
        };
        let addresses = self.addresses(scope);
        for shown in texts(wanted, "resourceSubscriptions") {
            let found = match scope.view() {
                View::Transparent(account) => Found::At(account.clone(), shown.clone()),
                View::Profile => addresses.find(&shown),
            };
            if let Found::At(account, own) = found {
                filter
                    .at
                    .entry(account)
                    .or_default()
                    .uris
                    .insert(own, shown);
            }
        }
        for sealed in texts(wanted, "taskIds") {
            if let Some((account, own)) = self.open_task(scope, &sealed) {
                filter
                    .at
                    .entry(account)
                    .or_default()
                    .tasks
                    .insert(own, sealed);
            }
        }
        filter
    }

    /// Listens at one server, if it is one that can be listened to.
    fn branch<'a>(
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
            watched: watched.clone(),
            running: Some(Box::pin(running)),
            events,
            acknowledged: None,
        })
    }
}

impl Branch<'_> {
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
                Poll::Ready(Event::Ask(..) | Event::Withdrawn(_) | Event::Opened) => {}
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
async fn acknowledged(branches: &mut [Branch<'_>]) -> Vec<Envelope> {
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

fn acknowledgement(request: &Request, filter: &Filter, branches: &[Branch<'_>]) -> Envelope {
    let mut granted = json!({});
    if let Some(members) = granted.as_object_mut() {
        for kind in &filter.lists {
            let key = match kind {
                ListKind::Tools => "toolsListChanged",
                ListKind::Prompts => "promptsListChanged",
                ListKind::Resources | ListKind::Templates => "resourcesListChanged",
            };
            members.insert(key.to_owned(), true.into());
        }
        let shown = |names: fn(&Watched) -> &BTreeMap<String, String>| -> Vec<String> {
            let of_branch = |branch: &Branch<'_>| {
                let granted = branch.acknowledged.clone().unwrap_or_default();
                names(&branch.watched)
                    .iter()
                    .filter(|(own, _)| granted.contains(own))
                    .map(|(_, shown)| shown.clone())
                    .collect::<Vec<_>>()
            };
            branches.iter().flat_map(of_branch).collect()
        };
        for (key, names) in [
            ("resourceSubscriptions", shown(|watched| &watched.uris)),
            ("taskIds", shown(|watched| &watched.tasks)),
        ] {
            if !names.is_empty() {
                members.insert(key.to_owned(), names.into());
            }
        }
    }
    marked(
        request,
        &Envelope::notification(
            "notifications/subscriptions/acknowledged",
            &json!({"notifications": granted}),
        ),
    )
}

/// Tells one change of the view, if the client asked for it.
async fn tell(request: &Request, filter: &Filter, message: Envelope, events: &Events) {
    if filter
        .lists
        .iter()
        .any(|kind| kind.changed() == message.method())
    {
        events.notify(marked(request, &message)).await;
    }
}

/// The message with the id of the subscription it belongs to, in the id's own JSON type.
fn marked(request: &Request, message: &Envelope) -> Envelope {
    let params = message.params().unwrap_or_else(Object::empty);
    let meta = params
        .object("_meta")
        .unwrap_or_else(Object::empty)
        .edited(&[Edit::Set(meta::SUBSCRIPTION_ID, request.id())]);
    Envelope::of(&message.with_params(params.edited(&[Edit::Set("_meta", meta)])))
        .unwrap_or_else(|_| message.clone())
}

fn ended(request: &Request) -> Outcome {
    let meta = Object::empty().edited(&[Edit::Set(meta::SUBSCRIPTION_ID, request.id())]);
    Outcome::Result {
        result: Object::empty().edited(&[Edit::Set("_meta", meta)]),
        cache: None,
    }
}

/// The next message of any server; `None` when one that listened to us does so no more.
async fn next(branches: &mut [Branch<'_>]) -> Option<Envelope> {
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

/// A change; whoever missed some looks at everything again.
fn received(
    change: Result<crate::upstream::Change, RecvError>,
    pending: &mut Pending,
) -> Option<crate::upstream::Change> {
    match change {
        Ok(change) => Some(change),
        Err(RecvError::Lagged(_) | RecvError::Closed) => {
            pending.look_again();
            None
        }
    }
}

fn texts(object: &Object, key: &str) -> Vec<String> {
    let elements = object
        .get(key)
        .and_then(|array| array.elements())
        .unwrap_or_default();
    elements
        .iter()
        .filter_map(|element| element.as_text().map(std::borrow::Cow::into_owned))
        .collect()
}
