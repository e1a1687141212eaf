//! Whose identity answered, as every routed result says it in its `_meta`, and who asks, as a question's text does.
//!
//! Invariant: until somebody logs in or out, and under one configuration, the text depends on the profile, the account and
//! how it was chosen alone, so it is composed once for each of these and shared by all calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use crate::account;
use crate::binding::{ResolvedFrom, Route, Scope};
use crate::model::{AccountId, ProfileName, Subject};
use crate::protocol::Json;
use crate::upstream::Upstream;

use super::Known;

/// The texts composed so far. There are as many as profiles times accounts times rules at most.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<BTreeMap<AccountId, Vec<Composed>>>);

#[derive(Debug)]
struct Composed {
    profile: ProfileName,
    from: ResolvedFrom,
    /// Counts the logins it knows of.
    known: u64,
    voice: Voice,
}

/// As whom one route speaks.
#[derive(Debug, Clone)]
pub(super) struct Voice {
    /// `_meta["dev.janus/identity"]` of a result.
    pub(super) identity: Json,
    /// The account, and what people call it.
    pub(super) speaker: Arc<str>,
}

impl Known {
    /// Who answers what goes this way. `None` for a log level: the answer to it is an empty object and nothing else, which
    /// the conformance suite insists on.
    pub(super) fn voice(&self, scope: &Scope, route: &Route, upstream: &Upstream) -> Option<Voice> {
        if matches!(route.subject(), Subject::Method(method) if method == "logging/setLevel") {
            return None;
        }
        let (account, from) = (route.account(), route.from());
        let mut cache = self
            .identities
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = upstream.identities();
        let known = cache.get(account).and_then(|texts| {
            let mut texts = texts.iter();
            texts.find(|text| {
                text.from == from && text.known == now && text.profile == *scope.profile()
            })
        });
        if let Some(known) = known {
            return Some(known.voice.clone());
        }
        let who = account::verified_as(upstream, account);
        let voice = self.composed(scope.profile(), account, from, who.as_deref());
        let texts = cache.entry(account.clone()).or_default();
        texts.retain(|text| text.known == now);
        texts.push(Composed {
            profile: scope.profile().clone(),
            from,
            known: now,
            voice: voice.clone(),
        });
        Some(voice)
    }

    fn composed(
        &self,
        profile: &ProfileName,
        account: &AccountId,
        from: ResolvedFrom,
        who: Option<&str>,
    ) -> Voice {
        let server = self.servers.get(account.server());
        let configured = server.and_then(|server| server.account(account.account()));
        let label = configured.and_then(|account| account.label.as_deref());
        let identity = Json::of(&json!({
            "profile": profile.as_str(),
            "server": account.server().as_str(),
            "account": account.account().as_str(),
            "label": label,
            "verified_as": who,
            "resolved_from": from.word(),
        }));
        let speaker = label.map_or_else(
            || account.to_string(),
            |label| format!("{account}: {label}"),
        );
        Voice {
            identity,
            speaker: speaker.into(),
        }
    }
}
