//! `tools/call` of a profile view.

use std::sync::Arc;

use crate::binding::Scope;
use crate::catalog::{Merged, exposed_name};
use crate::model::{AccountId, Subject};
use crate::protocol::{
    Era, Events, ListKind, Object, Outcome, Request, RpcError, code, param_header,
};

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
        let merged = self
            .list_with(scope, ListKind::Tools, &request, &name)
            .await;
        let Some(entry) = merged.find(&name) else {
            return self.not_listed(scope, &merged, &name, &request);
        };
        if let Err(refused) = self
            .param_headers(scope, &request, &entry.account, &entry.key)
            .await
        {
            return refused;
        }
        let (account, subject) = (entry.account.clone(), Subject::Tool(entry.key.clone()));
        self.relay(scope, &account, subject, request, events).await
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

    /// A tool that a rule hides is denied, so that the person learns the rule; any other name is unknown.
    fn not_listed(&self, scope: &Scope, merged: &Merged, name: &str, request: &Request) -> Outcome {
        for account in scope.accounts() {
            let hidden = self
                .listing(account)
                .tools
                .iter()
                .find(|tool| exposed_name(account.server(), &tool.key) == name)
                .cloned();
            if let Some(tool) = hidden
                && let Err(denied) = self.policy.permit(account, &Subject::Tool(tool.key), ())
            {
                return error::denied(request.method(), &denied);
            }
        }
        error::unknown("tool", name, merged.names())
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
