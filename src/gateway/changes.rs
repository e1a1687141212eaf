//! Changes behind Janus, as one listener of one view is told of them.
//!
//! Invariant: a `list_changed` leaves after the catalogue holds the new list. In a merged view it is told only if the
//! merged list is another one; in a transparent view whenever the server tells it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::binding::{Scope, View};
use crate::model::AccountId;
use crate::protocol::{Edit, Envelope, Era, Json, ListKind};
use crate::upstream::Change;

use super::Gateway;

/// Changes of a merged list within this time are told once.
pub const COALESCE: Duration = Duration::from_millis(250);

/// What one listener has been told, and what it is yet to be told.
#[derive(Debug, Default)]
pub struct Pending {
    told: BTreeMap<ListKind, Json>,
    dirty: bool,
}

impl Pending {
    /// Some changes were missed: everything is compared again.
    pub fn look_again(&mut self) {
        self.dirty = true;
    }
}

impl Gateway {
    /// A listener that knows the lists as they are now.
    pub fn pending(&self, scope: &Scope, era: Era) -> Pending {
        let mut pending = Pending::default();
        if scope.view() == &View::Profile {
            let lists = self.merging(scope, era);
            let told = |kind| (kind, lists.list(kind).array.clone());
            pending.told = ListKind::ALL.map(told).into();
        }
        pending
    }

    /// What a listener is told of one change at once. Changes of merged lists are only noted: [`Self::due`] tells
    /// them, so that a burst is told once.
    pub fn announce(
        &self,
        scope: &Scope,
        pending: &mut Pending,
        change: &Change,
    ) -> Option<Envelope> {
        match change {
            Change::Listed {
                account,
                kind,
                identical,
            } if scope.accounts().contains(account) => match scope.view() {
                View::Profile => {
                    pending.dirty = true;
                    None
                }
                // A change of resources is told once, though templates are read again with them.
                View::Transparent(_) if *kind == ListKind::Templates && *identical => None,
                View::Transparent(_) => Some(changed(*kind)),
            },
            Change::Notification {
                account, message, ..
            } if scope.accounts().contains(account) => self.unsolicited(scope, account, message),
            _ => None,
        }
    }

    /// Whether changes of merged lists wait to be told.
    pub fn is_due(pending: &Pending) -> bool {
        pending.dirty
    }

    /// The changes of merged lists since they were last told.
    pub fn due(&self, scope: &Scope, era: Era, pending: &mut Pending) -> Vec<Envelope> {
        if !std::mem::take(&mut pending.dirty) {
            return Vec::new();
        }
        let mut told: Vec<&'static str> = Vec::new();
        let lists = self.merging(scope, era);
        for kind in ListKind::ALL {
            let now = lists.list(kind).array.clone();
            let before = pending.told.insert(kind, now.clone());
            if before.is_none_or(|before| before != now) && !told.contains(&kind.changed()) {
                told.push(kind.changed());
            }
        }
        told.into_iter()
            .map(|method| Envelope::notification(method, &json!({})))
            .collect()
    }

    fn unsolicited(
        &self,
        scope: &Scope,
        account: &AccountId,
        message: &Envelope,
    ) -> Option<Envelope> {
        match message.method() {
            "notifications/resources/updated" => {
                let params = message.params()?;
                let uri = params.text("uri")?;
                let shown = self.addresses(scope).shown(account, &uri);
                if shown == uri || scope.view() != &View::Profile {
                    return Some(message.clone());
                }
                Envelope::of(
                    &message.with_params(params.edited(&[Edit::Set("uri", Json::string(&shown))])),
                )
                .ok()
            }
            "notifications/message" | "notifications/elicitation/complete" => Some(message.clone()),
            _ => matches!(scope.view(), View::Transparent(_)).then(|| message.clone()),
        }
    }
}

/// Whether a resource is the one that is watched, or a part of it: servers may name the part
/// (2025-11-25, server/resources, "Subscriptions").
pub fn is_below(watched: &str, updated: &str) -> bool {
    updated.strip_prefix(watched).is_some_and(|rest| {
        rest.is_empty() || watched.ends_with('/') || rest.starts_with(['/', '?', '#'])
    })
}

/// The notification that a list changed.
pub(super) fn changed(kind: ListKind) -> Envelope {
    Envelope::notification(kind.changed(), &json!({}))
}

/// Waits until then; for ever where there is nothing to wait for.
pub async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
