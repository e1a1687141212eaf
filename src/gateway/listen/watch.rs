//! What a client that listens watches at legacy servers: they are subscribed to in its name, and tell it to the
//! connection that all share.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::timeout;

use crate::binding::Scope;
use crate::gateway::Gateway;
use crate::gateway::changes::is_below;
use crate::model::{AccountId, Subject};
use crate::protocol::{Completion, Edit, Envelope, Era, Events, Json, Outcome, Relayed, Request};
use crate::upstream::{Change, Upstream};

use super::ACKNOWLEDGE;
use super::filter::Filter;

/// The subscriptions of one listening client. Dropping it lets them go.
pub(super) struct Watch {
    upstream: Upstream,
    /// In whose name the servers were asked.
    holder: Arc<str>,
    /// By the server's own URIs: the ones the client uses.
    granted: BTreeMap<AccountId, BTreeMap<String, String>>,
}

impl Watch {
    /// Subscribes to what the client wants of legacy servers, as far as they can tell.
    pub(super) async fn begin(
        gateway: &Gateway,
        scope: &Scope,
        filter: &Filter,
        request: &Request,
    ) -> Self {
        // Nobody can guess it, and no session is called like this.
        let holder: Arc<str> =
            format!("listen {:016x}", getrandom::u64().unwrap_or_default()).into();
        // Made before the first subscription, so that none is left where this is dropped meanwhile.
        let mut watch = Self {
            upstream: gateway.upstream.clone(),
            holder: Arc::clone(&holder),
            granted: BTreeMap::new(),
        };
        let wanted = filter
            .at
            .iter()
            .filter(|(account, _)| gateway.can_watch(account));
        let mut asking = Vec::new();
        for (account, watched) in wanted {
            for (own, shown) in &watched.uris {
                let holder = &holder;
                asking.push(async move {
                    let asked = gateway.subscribe_for(scope, account, own, request, holder);
                    let granted = timeout(ACKNOWLEDGE, asked).await.unwrap_or(false);
                    granted.then(|| (account.clone(), own.clone(), shown.clone()))
                });
            }
        }
        for (account, own, shown) in join_all(asking).await.into_iter().flatten() {
            watch.granted.entry(account).or_default().insert(own, shown);
        }
        watch
    }

    /// What is told of, by the names that the client uses.
    pub(super) fn shown(&self) -> Vec<String> {
        let of_account =
            |uris: &BTreeMap<String, String>| uris.values().cloned().collect::<Vec<_>>();
        self.granted.values().flat_map(of_account).collect()
    }

    /// What the client is told of a change, if it is one of what it watches.
    pub(super) fn told(&self, change: &Change) -> Option<Envelope> {
        let Change::Notification {
            account,
            message,
            session: None,
        } = change
        else {
            return None;
        };
        if message.method() != "notifications/resources/updated" {
            return None;
        }
        let params = message.params()?;
        let uri = params.text("uri")?;
        let mut watched = self.granted.get(account)?.iter();
        let (own, shown) = watched.find(|(own, _)| is_below(own, &uri))?;
        let rest = uri.get(own.len()..).unwrap_or_default();
        let shown = Json::string(&format!("{shown}{rest}"));
        Envelope::of(&message.with_params(params.edited(&[Edit::Set("uri", shown)]))).ok()
    }

    /// Everything it watches may have changed.
    pub(super) fn all(&self) -> Vec<Envelope> {
        let updated = |uri: String| {
            Envelope::notification("notifications/resources/updated", &json!({"uri": uri}))
        };
        self.shown().into_iter().map(updated).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.upstream.release(&self.holder);
    }
}

impl Gateway {
    /// Whether a legacy server says that it tells of changes.
    fn can_watch(&self, account: &AccountId) -> bool {
        self.listing(account).server.as_ref().is_some_and(|server| {
            let resources = server.capabilities.object("resources");
            let subscribes = resources.and_then(|resources| resources.get("subscribe")?.read());
            server.revision.era() == Era::Legacy && subscribes.unwrap_or(false)
        })
    }

    /// Subscribes in the name of `holder`; gives whether the server agreed.
    async fn subscribe_for(
        &self,
        scope: &Scope,
        account: &AccountId,
        uri: &str,
        request: &Request,
        holder: &Arc<str>,
    ) -> bool {
        let params = Json::of(&json!({"uri": uri}));
        let text = Envelope::request_text(&request.id(), "resources/subscribe", Some(&params));
        let Ok(message) = Envelope::of(&text) else {
            return false;
        };
        let subscribing = Request {
            message,
            holder: Some(Arc::clone(holder)),
            param_headers: Vec::new(),
            ..request.clone()
        };
        let (events, _nobody) = Events::channel();
        let subject = Subject::Resource(uri.to_owned());
        let outcome = self
            .relay_to(scope, account, subject, subscribing, &events)
            .await;
        matches!(
            outcome,
            Outcome::Relayed(Relayed {
                completion: Completion::Complete,
                ..
            })
        )
    }
}
