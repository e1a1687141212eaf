//! What a client asked to be told, in our words.

use std::collections::BTreeMap;

use crate::binding::{Scope, View};
use crate::catalog::Found;
use crate::gateway::Gateway;
use crate::model::AccountId;
use crate::protocol::{Envelope, ListKind, Object};

/// What a client asked to be told, in our words.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) lists: Vec<ListKind>,
    /// The URIs and tasks of each account: its own name, and the one the client uses.
    pub(super) at: BTreeMap<AccountId, Watched>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Watched {
    pub(super) uris: BTreeMap<String, String>,
    pub(super) tasks: BTreeMap<String, String>,
}

impl Filter {
    /// Whether the client wants to know of a change of this list.
    pub(super) fn has_list(&self, changed: &Envelope) -> bool {
        let mut lists = self.lists.iter();
        lists.any(|kind| kind.changed() == changed.method())
    }
}

impl Gateway {
    pub(super) fn filter(&self, scope: &Scope, wanted: &Object) -> Filter {
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
}

/// The strings of an array.
pub(super) fn texts(object: &Object, key: &str) -> Vec<String> {
    let elements = object
        .get(key)
        .and_then(|array| array.elements())
        .unwrap_or_default();
    elements
        .iter()
        .filter_map(|element| element.as_text().map(std::borrow::Cow::into_owned))
        .collect()
}
