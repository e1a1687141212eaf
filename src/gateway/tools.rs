//! `tools/call` of a profile view.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use crate::binding::Scope;
use crate::catalog::{Entry, Merged, exposed_name};
use crate::model::{AccountId, Subject};
use crate::protocol::{
    Era, Events, ListKind, Object, Outcome, Request, RpcError, code, param_header,
};

use super::control::Control;
use super::login::Asked;
use super::{Gateway, error, noted};
use crate::upstream::{Failure, State};

/// The argument that names an account, where no list says whether it is one.
const NAMED_BY: Option<&str> = Some("janus_account");

/// A name that no list has.
struct Unlisted<'a> {
    merged: &'a Merged,
    name: &'a str,
    /// Why a server that may have it was not listed.
    failure: Option<Failure>,
}

impl Gateway {
    pub(super) async fn call_tool(
        &self,
        scope: &Scope,
        request: Request,
        events: &Events,
    ) -> Outcome {
        let Some(name) = request.params().text("name") else {
            return error::invalid_params("`name` is missing");
        };
        if let Some(tool) =
            Control::named(&name).filter(|tool| tool.is_listed(scope, &self.labels()))
        {
            return Box::pin(self.control(tool, scope, request, events)).await;
        }
        let (merged, failure) = self
            .list_with(scope, ListKind::Tools, &request, &name)
            .await;
        if let Some(entry) = merged.find(&name) {
            return self.call(scope, entry, request, events).await;
        }
        let unlisted = Unlisted {
            merged: &merged,
            name: &name,
            failure,
        };
        self.not_listed(scope, unlisted, request, events).await
    }

    /// Calls a tool of a server at the account that is meant.
    async fn call(
        &self,
        scope: &Scope,
        entry: &Entry,
        request: Request,
        events: &Events,
    ) -> Outcome {
        let headers = request.over_http && request.client.era() == Era::Modern;
        let original = headers.then(|| request.clone());
        let (chosen, request) = match self.choose(scope, &entry.server, entry.argument, request) {
            Ok(chosen) => chosen,
            Err(refused) => return refused,
        };
        // What the headers repeat is what the client sent.
        if let Some(original) = original
            && let Err(refused) = self
                .param_headers(scope, &original, chosen.account(), &entry.key)
                .await
        {
            return refused;
        }
        let subject = Subject::Tool(entry.key.clone());
        self.relay(scope, chosen, subject, request, events).await
    }

    /// The list, waited for if the name is not in it yet: its server may be starting. That takes as long as it takes, since
    /// without it there is nothing to send; a caller who loses patience goes away. With a list that lacks the name comes
    /// why a server that may have it was not listed.
    pub(super) async fn list_with(
        &self,
        scope: &Scope,
        kind: ListKind,
        request: &Request,
        name: &str,
    ) -> (Arc<Merged>, Option<Failure>) {
        let merged = || self.merged(scope, kind, request.client.era());
        let found = merged();
        if found.find(name).is_some() {
            return (found, None);
        }
        // What a person must do first, no time brings.
        let may_come = |account: &&AccountId| {
            !matches!(
                *self.upstream().state(account).borrow(),
                State::NoCredential(_)
            )
        };
        let unlisted = self.unlisted(scope, request, name).into_iter();
        let meant: Vec<&AccountId> = unlisted.filter(may_come).collect();
        if meant.is_empty() {
            self.settled(scope).await;
            return (merged(), None);
        }
        let mut waited: FuturesUnordered<_> = meant
            .into_iter()
            .map(|account| self.upstream().listed(account))
            .collect();
        let mut failed = None;
        while let Some(listed) = waited.next().await {
            let found = merged();
            if found.find(name).is_some() {
                return (found, None);
            }
            failed = failed.or_else(|| listed.err());
        }
        (merged(), failed)
    }

    /// The accounts that may have what is named so, as nobody has listed them yet. Of a server of whose accounts one is
    /// meant, no other one tells anything.
    fn unlisted<'a>(&self, scope: &'a Scope, request: &Request, name: &str) -> Vec<&'a AccountId> {
        let is_of = |account: &&AccountId| {
            let rest = name.strip_prefix(account.server().as_str());
            rest.is_some_and(|rest| rest.starts_with("__"))
        };
        let accounts = scope.accounts().iter().filter(is_of);
        let unlisted = accounts.filter(|account| self.listing(account).server.is_none());
        unlisted
            .filter(|account| {
                let chosen = self.choose(scope, account.server(), NAMED_BY, request.clone());
                chosen.map_or(true, |(chosen, _)| chosen.account() == *account)
            })
            .collect()
    }

    /// A tool that a rule hides is denied, so that the person learns the rule; one of a server that was never reached
    /// may be there; any other name is unknown.
    async fn not_listed(
        &self,
        scope: &Scope,
        unlisted: Unlisted<'_>,
        request: Request,
        events: &Events,
    ) -> Outcome {
        let name = unlisted.name;
        for account in scope.accounts() {
            let hidden = self
                .listing(account)
                .tools
                .iter()
                .find(|tool| exposed_name(account.server(), &tool.key) == name)
                .cloned();
            if let Some(tool) = hidden
                && let Err(denied) =
                    self.known()
                        .policy
                        .permit(account, &Subject::Tool(tool.key), ())
            {
                return noted::denied(scope, request.method(), &denied);
            }
        }
        let first = self.unlisted(scope, &request, name).into_iter().next();
        match first {
            Some(account) => {
                Box::pin(self.not_listed_yet(scope, account, unlisted, request, events)).await
            }
            None => error::unknown("tool", name, unlisted.merged.names()),
        }
    }

    /// A name that may be one of a server whose lists are not known. Where a login is what it waits for, that is asked for,
    /// and then it is looked for again.
    async fn not_listed_yet(
        &self,
        scope: &Scope,
        account: &AccountId,
        unlisted: Unlisted<'_>,
        request: Request,
        events: &Events,
    ) -> Outcome {
        let name = unlisted.name;
        let state_of = |account: &AccountId| self.upstream().state(account).borrow().clone();
        let needs_login = |account: &AccountId| {
            let failure = state_of(account).failure(account)?;
            failure.needs_login().is_some().then_some(failure)
        };
        if needs_login(account).is_some() {
            // Of several accounts the one that the call means, as if the tool were there.
            let chosen = match self.choose(scope, account.server(), NAMED_BY, request.clone()) {
                Ok((chosen, _)) => chosen,
                Err(refused) => return refused,
            };
            if let Some(failure) = needs_login(chosen.account()) {
                let subject = Subject::Tool(name.to_owned());
                let wanted = self.login_wanted(scope, &subject, &request, &failure, events);
                if let Asked::Told(outcome) = wanted.await {
                    return outcome;
                }
                let (merged, _) = self.list_with(scope, ListKind::Tools, &request, name).await;
                if let Some(entry) = merged.find(name) {
                    return self.call(scope, entry, request, events).await;
                }
            }
        }
        let failure = unlisted
            .failure
            .or_else(|| state_of(account).failure(account));
        let failure = failure.unwrap_or_else(|| Failure::Unreachable {
            account: account.clone(),
            reason: "its lists could not be read".to_owned(),
            retry_in: None,
        });
        let subject = Subject::Tool(name.to_owned());
        noted::failed(scope, &subject, request.method(), &failure)
    }

    /// Checks the `Mcp-Param-…` headers of a modern client against the arguments:
    /// whoever reads the body must (2026-07-28, basic/transports, "Server Behavior for Custom Headers"). Headers that
    /// the tool's schema does not name pass unchanged.
    pub(super) async fn param_headers(
        &self,
        scope: &Scope,
        request: &Request,
        account: &AccountId,
        tool: &str,
    ) -> Result<(), Outcome> {
        if !request.over_http || request.client.era() == Era::Legacy {
            return Ok(());
        }
        let find = |gateway: &Self| {
            gateway
                .listing(account)
                .tools
                .iter()
                .find(|item| item.key == tool)
                .cloned()
        };
        let mut known = find(self);
        if known.is_none() {
            self.settled(scope).await;
            known = find(self);
        }
        let Some(schema) = known.and_then(|tool| tool.json.object()?.get("inputSchema")) else {
            return Ok(());
        };
        let arguments = request.params().get("arguments");
        let arguments = arguments.unwrap_or_else(|| Object::empty().json().clone());
        param_header::check(&schema, &arguments, &request.param_headers).map_err(|mismatch| {
            Outcome::Error(RpcError::new(code::HEADER_MISMATCH, mismatch.to_string()))
        })
    }
}
