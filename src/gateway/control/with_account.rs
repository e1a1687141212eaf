//! `janus_with_account`: a call as a certain account, for tools and clients that cannot pass `janus_account`.

use serde_json::{Value, json};

use crate::binding::{Scope, Wish};
use crate::model::{AccountId, Subject};
use crate::protocol::{Edit, Envelope, Events, Json, ListKind, Object, Outcome, Request};

use super::super::{Gateway, error};
use super::{refused, said, text};
use crate::catalog::exposed_name;

impl Gateway {
    pub(super) async fn with_account(
        &self,
        scope: &Scope,
        arguments: &Object,
        request: Request,
        events: &Events,
    ) -> Outcome {
        let (account, tool) = match (named(scope, arguments), text(arguments, "tool")) {
            (Ok(account), Ok(tool)) => (account, tool),
            (Err(outcome), _) | (_, Err(outcome)) => return outcome,
        };
        let Some(tool) = tool else {
            self.settled(scope).await;
            return self.tools_of(&account);
        };
        let Some(own) = self.own_name(scope, &account, &tool).await else {
            let tool: String = tool.chars().take(100).collect();
            let text = format!(
                "{account} has no tool \"{tool}\". Nothing was sent. Call janus_with_account without `tool` to see which there are."
            );
            return refused("unknown_tool", &text);
        };
        let given = arguments
            .get("arguments")
            .unwrap_or_else(|| Json::literal("{}"));
        if !given.is_object() {
            return error::invalid_params("`arguments` is an object");
        }
        // From here on it is a call of that tool like any other.
        let params = request.params().edited(&[
            Edit::Set("name", Json::string(&own)),
            Edit::Set("arguments", given),
        ]);
        let message = match Envelope::of(&request.message.with_params(params)) {
            Ok(message) => message,
            Err(refused) => return Outcome::Error(refused.error),
        };
        let wish = Wish {
            named: Some(account.account().as_str()),
            ..Wish::default()
        };
        match scope.choose(account.server(), &wish) {
            Ok(chosen) => {
                let request = Request {
                    message,
                    param_headers: Vec::new(),
                    ..request
                };
                self.relay(scope, chosen, Subject::Tool(own), request, events)
                    .await
            }
            Err(why) => error::no_choice("tools/call", scope, &why, None),
        }
    }

    /// The server's own name of a tool that an account has, by that name or by the one it is listed under.
    async fn own_name(&self, scope: &Scope, account: &AccountId, tool: &str) -> Option<String> {
        let find = || {
            let listing = self.listing(account);
            let mut tools = listing.of(ListKind::Tools).iter();
            let found = tools
                .find(|item| item.key == tool || exposed_name(account.server(), &item.key) == tool);
            found.map(|item| item.key.clone())
        };
        if let Some(found) = find() {
            return Some(found);
        }
        self.settled(scope).await;
        find()
    }

    fn tools_of(&self, account: &AccountId) -> Outcome {
        let (listing, known) = (self.listing(account), self.known());
        let shown = listing.tools.iter().filter_map(|item| {
            let subject = Subject::Tool(item.key.clone());
            if known.policy.against(account, &subject).is_some() {
                return None;
            }
            let tool = item.json.object()?;
            let schema: Option<Value> = tool.get("inputSchema").and_then(|schema| schema.read());
            Some(json!({
                "name": exposed_name(account.server(), &item.key),
                "description": tool.text("description"),
                "inputSchema": schema,
            }))
        });
        let tools: Vec<Value> = shown.collect();
        said(&json!({"account": account.to_string(), "tools": tools}))
    }
}

fn named(scope: &Scope, arguments: &Object) -> Result<AccountId, Outcome> {
    let named = match text(arguments, "account")? {
        Some(named) => Some(named),
        None => text(arguments, "account_id")?,
    };
    super::use_account::in_scope(scope, &named.unwrap_or_default())
}
