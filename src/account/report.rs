//! How accounts stand, as JSON: the results of `janus_list_accounts` and `janus_whoami`, and what the command line shows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::binding::{Chosen, Reachable, Scope, View};
use crate::credential::NoCredential;
use crate::credential::oauth::GrantState;
use crate::model::{AccountId, ClientId, Server, ServerName, Switching};
use crate::upstream::Upstream;

use super::{Choices, Holders};

pub use crate::upstream::State;

/// What people call accounts.
pub type Labels = BTreeMap<ServerName, Arc<Server>>;

/// The word for how an account stands.
pub fn state(state: &State) -> &'static str {
    match state {
        State::Idle => "idle",
        State::Connecting => "connecting",
        State::Ready { .. } => "ready",
        State::Failed { .. } => "failed",
        State::Rejected { .. } => "rejected",
        // Both come back by themselves.
        State::Backoff { .. } | State::NoCredential(NoCredential::NoToken { .. }) => "backoff",
        State::NoCredential(why) => why.code(),
    }
}

/// The word for how an account stands, with its login: a connection is of no use whose token has ended.
pub fn stands(upstream: &Upstream, id: &AccountId) -> &'static str {
    match unrenewed(upstream, id) {
        Some(_) => "backoff",
        None => state(&upstream.state(id).borrow()),
    }
}

/// Why the token of an account has ended and no newer one is to be had now, and how long until it is tried again. Of a connection
/// that ended for it too: its state says what was true then.
pub fn unrenewed(upstream: &Upstream, id: &AccountId) -> Option<(String, Duration)> {
    if !matches!(
        *upstream.state(id).borrow(),
        State::Ready { .. } | State::NoCredential(NoCredential::NoToken { .. })
    ) {
        return None;
    }
    let status = upstream.credential(id)?.grant()?.status();
    let (why, wait) = status.backoff?;
    let issuer = status.issuer.as_deref().unwrap_or_default();
    let why = format!(
        "its token has ended, and the authorization server {issuer} gives no newer one: {why}"
    );
    (status.state == GrantState::Expired).then_some((why, wait))
}

/// The accounts of a scope: which there are, which is active, how they stand.
pub fn listed(
    scope: &Scope,
    choices: &Choices,
    holders: Holders<'_>,
    labels: &Labels,
    upstream: &Upstream,
) -> Value {
    let mut accounts = Vec::new();
    for reachable in scope.servers() {
        let active = choices
            .choose(scope, reachable.server(), None, holders)
            .ok();
        for id in visible(scope, reachable) {
            accounts.push(json!({
                "id": id.to_string(),
                "server": id.server().as_str(),
                "label": label(labels, id),
                "active": active.as_ref().is_some_and(|active| active.account() == id),
                "state": stands(upstream, id),
                "verified_as": verified_as(upstream, id),
            }));
        }
    }
    json!({
        "profile": scope.profile().as_str(),
        "switching": scope.switching().word(),
        "accounts": accounts,
    })
}

/// Who a request is, and as whom it acts at each server.
pub fn who(
    scope: &Scope,
    choices: &Choices,
    holders: Holders<'_>,
    labels: &Labels,
    upstream: &Upstream,
) -> Value {
    let mut accounts = Map::new();
    for reachable in scope.servers() {
        let server = reachable.server();
        if !scope.shows(server) {
            continue;
        }
        let chosen = choices.choose(scope, server, None, holders);
        let account = chosen.as_ref().ok().map(Chosen::account);
        let from = chosen
            .as_ref()
            .map_or("none", |chosen| chosen.from().word());
        let mut said = json!({
            "account": account.map(|id| id.account().as_str()),
            "label": account.and_then(|id| label(labels, id)),
            "state": account.map(|id| stands(upstream, id)),
            "resolved_from": from,
            "verified_as": account.and_then(|id| verified_as(upstream, id)),
        });
        let others = visible(scope, reachable)
            .iter()
            .filter(|id| Some(*id) != account);
        let others: Vec<&str> = others.map(|id| id.account().as_str()).collect();
        if let (Some(members), false) = (said.as_object_mut(), others.is_empty()) {
            members.insert("may_become".to_owned(), others.into());
        }
        accounts.insert(server.to_string(), said);
    }
    json!({
        "client": scope.client().map(ClientId::as_str),
        "profile": scope.profile().as_str(),
        "switching": scope.switching().word(),
        "session": holders.session.map(|session| short(session)),
        "accounts": accounts,
    })
}

/// The accounts of a server that can be used here: without switching the one that is fixed.
pub fn visible<'a>(scope: &'a Scope, reachable: &'a Reachable) -> &'a [AccountId] {
    if let View::Transparent(account) = scope.view() {
        let is_shown = account.server() == reachable.server();
        return if is_shown {
            std::slice::from_ref(account)
        } else {
            &[]
        };
    }
    match (scope.switching(), reachable.fixed()) {
        (Switching::Off, Some((fixed, ..))) => std::slice::from_ref(fixed),
        _ => reachable.accounts(),
    }
}

/// Who logged in for an account, as far as that is known.
pub fn verified_as(upstream: &Upstream, id: &AccountId) -> Option<String> {
    upstream.verified_as(id).map(|who| who.to_string())
}

fn label<'a>(labels: &'a Labels, id: &AccountId) -> Option<&'a str> {
    let account = labels.get(id.server())?.account(id.account())?;
    account.label.as_deref()
}

/// Enough of a session's id to tell it from others: all of it would let whoever reads it find the session.
fn short(session: &str) -> String {
    let head: String = session.chars().take(8).collect();
    format!("s-{head}")
}
