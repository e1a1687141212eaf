//! `subscriptions/listen`: changes of the view itself, and what servers of either era tell of resources and tasks.
//!
//! A modern server is listened to on a stream of its own for each client's (`branch`), a legacy one is subscribed to
//! and tells it to the connection that all share (`watch`).
//!
//! Invariants:
//! - The acknowledgement comes first, and only after the servers acknowledged or [`ACKNOWLEDGE`] is over. It names what
//!   will be told and nothing else.
//! - What is not listened to any more is let go at its server.
//= https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/subscriptions

mod branch;
mod filter;
mod watch;

use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::binding::Scope;
use crate::protocol::{Edit, Envelope, Era, Events, ListKind, Object, Outcome, Request, meta};
use crate::upstream::Change;

use self::branch::{Branch, acknowledged, next};
use self::filter::Filter;
use self::watch::Watch;
use super::changes::{COALESCE, until};
use super::{Gateway, Pending, error};

/// How long servers have to acknowledge before the client is answered without them.
const ACKNOWLEDGE: Duration = Duration::from_secs(2);

/// A client that listens.
struct Listener<'a> {
    gateway: &'a Gateway,
    scope: &'a Scope,
    request: &'a Request,
    events: &'a Events,
    filter: &'a Filter,
    /// What it was told of the view's own lists.
    pending: Pending,
    /// When the changes of these are told next.
    due: Option<Instant>,
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
        let filter = self.filter(scope, &wanted);
        let mut listener = Listener {
            gateway: self,
            scope,
            request: &request,
            events,
            filter: &filter,
            pending: self.pending(scope, Era::Modern),
            due: None,
        };
        let mut branches: Vec<Branch<'_>> = filter
            .at
            .iter()
            .filter_map(|(account, watched)| self.branch(scope, account, watched, &request))
            .collect();
        let (early, watch) = tokio::join!(
            acknowledged(&mut branches),
            Watch::begin(self, scope, &filter, &request)
        );
        let acknowledgement = listener.acknowledgement(&branches, &watch);
        events.notify(acknowledgement).await;
        for message in early {
            events.notify(message).await;
        }
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
                () = until(listener.due) => listener.tell_due().await,
                change = changes.recv() => listener.changed(change, &watch).await,
            }
        }
    }
}

impl Listener<'_> {
    fn acknowledgement(&self, branches: &[Branch<'_>], watch: &Watch) -> Envelope {
        let mut granted = serde_json::Map::new();
        for kind in &self.filter.lists {
            let key = match kind {
                ListKind::Tools => "toolsListChanged",
                ListKind::Prompts => "promptsListChanged",
                ListKind::Resources | ListKind::Templates => "resourcesListChanged",
            };
            granted.insert(key.to_owned(), true.into());
        }
        let (mut uris, mut tasks) = (watch.shown(), Vec::new());
        for branch in branches {
            let Some(watched) = self.filter.at.get(branch.account) else {
                continue;
            };
            let granted = branch.granted();
            let shown =
                |(own, shown): (&String, &String)| granted.contains(own).then(|| shown.clone());
            uris.extend(watched.uris.iter().filter_map(shown));
            tasks.extend(watched.tasks.iter().filter_map(shown));
        }
        for (key, names) in [("resourceSubscriptions", uris), ("taskIds", tasks)] {
            if !names.is_empty() {
                granted.insert(key.to_owned(), names.into());
            }
        }
        let method = "notifications/subscriptions/acknowledged";
        let message = Envelope::notification(method, &json!({"notifications": granted}));
        marked(self.request, &message)
    }

    /// Something happened behind Janus; whoever missed something looks at everything again.
    async fn changed(&mut self, change: Result<Change, RecvError>, watch: &Watch) {
        match change {
            Ok(change) => {
                let told = match watch.told(&change) {
                    Some(updated) => Some(updated),
                    None => self
                        .gateway
                        .announce(self.scope, &mut self.pending, &change)
                        .filter(|message| self.filter.has_list(message)),
                };
                if let Some(message) = told {
                    self.events.notify(marked(self.request, &message)).await;
                }
            }
            Err(RecvError::Lagged(_) | RecvError::Closed) => {
                self.pending.look_again();
                for message in watch.all() {
                    self.events.notify(marked(self.request, &message)).await;
                }
            }
        }
        if Gateway::is_due(&self.pending) && self.due.is_none() {
            self.due = Some(Instant::now() + COALESCE);
        }
    }

    async fn tell_due(&mut self) {
        self.due = None;
        let due = self.gateway.due(self.scope, Era::Modern, &mut self.pending);
        for message in due.iter().filter(|message| self.filter.has_list(message)) {
            self.events.notify(marked(self.request, message)).await;
        }
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
