//! `tools/list`, `prompts/list`, `resources/list`, `resources/templates/list` of a profile view: one page, from the
//! snapshots, at once, unless the client says how long it waits for servers that are still starting.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::binding::Scope;
use crate::model::AccountId;
use crate::protocol::{CacheHint, Edit, Era, Json, ListKind, Object, Outcome, Request, meta};

use super::{Gateway, error};

/// How long a modern client may keep a list. Whoever wants to know at once listens.
pub(super) const LIST_TTL: CacheHint = CacheHint { ttl_ms: 60_000 };

/// Nobody looks at a command for longer; one who does asks again.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

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
        let waits = self.waited(scope, request).await;
        let merged = self.merged(scope, kind, request.client.era());
        let mut members = vec![Edit::Set(kind.member(), merged.array.clone())];
        if let Some(accounts) = waits {
            let missing = json!({meta::MISSING: self.missing(&accounts)});
            members.push(Edit::Set("_meta", Json::of(&missing)));
        }
        Outcome::Result {
            result: Object::empty().edited(&members),
            cache: Some(LIST_TTL),
        }
    }

    /// Waits for servers that are still starting: for as long as the client says, and gives which those may be; without a
    /// word of it for a moment only, because many clients give up soon and hear of what comes later.
    async fn waited<'a>(&self, scope: &'a Scope, request: &Request) -> Option<Vec<&'a AccountId>> {
        let said = request.params().object("_meta");
        let within: Option<u64> = said.as_ref().and_then(|said| said.get(meta::WAIT)?.read());
        let Some(within) = within.map(Duration::from_millis) else {
            self.settled(scope).await;
            return None;
        };
        let server = said.and_then(|said| said.text(meta::SERVER));
        let is_meant = |account: &&AccountId| {
            let server = server.as_deref();
            server.is_none_or(|server| account.server().as_str() == server)
        };
        let accounts: Vec<_> = scope.accounts().iter().filter(is_meant).collect();
        let within = within.min(LONGEST_WAIT);
        let tried = accounts
            .iter()
            .map(|account| self.upstream().tried(account, within));
        join_all(tried).await;
        Some(accounts)
    }

    /// Of these accounts those that were never listed, and why.
    fn missing(&self, accounts: &[&AccountId]) -> Vec<Value> {
        let unlisted = accounts
            .iter()
            .filter(|account| self.listing(account).server.is_none());
        let told = unlisted.map(|account| {
            let state = self.upstream().state(account);
            error::missing(account, &state.borrow())
        });
        told.collect()
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
