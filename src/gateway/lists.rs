//! `tools/list`, `prompts/list`, `resources/list`, `resources/templates/list` of a profile view: one page, from the
//! snapshots, at once.

use crate::binding::Scope;
use crate::protocol::{CacheHint, Edit, Era, ListKind, Object, Outcome, Request};

use super::{Gateway, error};

/// How long a modern client may keep a list. Whoever wants to know at once listens.
pub(super) const LIST_TTL: CacheHint = CacheHint { ttl_ms: 60_000 };

impl Gateway {
    pub(super) async fn list(&self, scope: &Scope, kind: ListKind, request: &Request) -> Outcome {
        // There is one page: some clients read no second one. A cursor is none of ours.
        if request
            .params()
            .get("cursor")
            .is_some_and(|cursor| !cursor.is_null())
        {
            return error::invalid_params("the cursor is not one of this list, which has one page");
        }
        self.settled(scope).await;
        let merged = self.merged(scope, kind, request.client.era());
        let result = Object::empty().edited(&[Edit::Set(kind.member(), merged.array.clone())]);
        Outcome::Result {
            result,
            cache: Some(LIST_TTL),
        }
    }

    /// The names in one list, for people.
    pub async fn names(&self, scope: &Scope, kind: ListKind, era: Era) -> Vec<String> {
        self.settled(scope).await;
        let merged = self.merged(scope, kind, era);
        let shown = merged.array.elements().unwrap_or_default();
        let named = shown
            .iter()
            .filter_map(|item| item.object()?.text(kind.key()));
        named.collect()
    }
}
