//! `tools/call` of a profile view.

use std::sync::Arc;

use crate::account;
use crate::binding::Scope;
use crate::catalog::{Entry, Merged, exposed_name};
use crate::model::{AccountId, Subject};
use crate::protocol::{
    Era, Events, ListKind, Object, Outcome, Request, RpcError, code, param_header,
};

use super::control::Control;
use super::login::Asked;
use super::{Gateway, error};

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
        let merged = self
            .list_with(scope, ListKind::Tools, &request, &name)
            .await;
        match merged.find(&name) {
            Some(entry) => self.call(scope, entry, request, events).await,
            None => {
                self.not_listed(scope, &merged, &name, request, events)
                    .await
            }
        }
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

    /// The list, waited for if the name is not in it yet: its server may be starting.
    pub(super) async fn list_with(
        &self,
        scope: &Scope,
        kind: ListKind,
        request: &Request,
        name: &str,
    ) -> Arc<Merged> {
        let merged = self.merged(scope, kind, request.client.era());
        if merged.find(name).is_some() {
            return merged;
        }
        self.settled(scope).await;
        self.merged(scope, kind, request.client.era())
    }

    /// A tool that a rule hides is denied, so that the person learns the rule; one of a server that was never reached
    /// may be there; any other name is unknown.
    async fn not_listed(
        &self,
        scope: &Scope,
        merged: &Merged,
        name: &str,
        request: Request,
        events: &Events,
    ) -> Outcome {
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
                return error::denied(request.method(), &denied);
            }
        }
        let is_of = |account: &&AccountId| {
            let rest = name.strip_prefix(account.server().as_str());
            rest.is_some_and(|rest| rest.starts_with("__"))
        };
        let mut accounts = scope.accounts().iter().filter(is_of);
        match accounts.find(|account| self.listing(account).server.is_none()) {
            Some(account) => {
                Box::pin(self.not_listed_yet(scope, account, name, request, events)).await
            }
            None => error::unknown("tool", name, merged.names()),
        }
    }

    /// A name that may be one of a server whose lists are not known. Where a login is what it waits for, that is asked for,
    /// and then it is looked for again.
    async fn not_listed_yet(
        &self,
        scope: &Scope,
        account: &AccountId,
        name: &str,
        request: Request,
        events: &Events,
    ) -> Outcome {
        let state_of = |account: &AccountId| self.upstream().state(account).borrow().clone();
        let needs_login = |account: &AccountId| {
            let failure = state_of(account).failure(account)?;
            failure.needs_login().is_some().then_some(failure)
        };
        if needs_login(account).is_some() {
            // Of several accounts the one that the call means, as if the tool were there.
            let argument = Some("janus_account");
            let chosen = match self.choose(scope, account.server(), argument, request.clone()) {
                Ok((chosen, _)) => chosen,
                Err(refused) => return refused,
            };
            if let Some(failure) = needs_login(chosen.account()) {
                let subject = Subject::Tool(name.to_owned());
                let wanted = self.login_wanted(scope, &subject, &request, &failure, events);
                if let Asked::Told(outcome) = wanted.await {
                    return outcome;
                }
                let merged = self.list_with(scope, ListKind::Tools, &request, name).await;
                if let Some(entry) = merged.find(name) {
                    return self.call(scope, entry, request, events).await;
                }
            }
        }
        let state = state_of(account);
        error::not_listed_yet(request.method(), account, account::state(&state))
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
