//! `janus_with_account`: a call as a certain account, for tools and clients that cannot pass `janus_account`.

use serde_json::{Value, json};

use crate::binding::{Scope, Wish};
use crate::model::{AccountId, Subject};
use crate::protocol::{Edit, Envelope, Era, Events, Json, Object, Outcome, Request};
use crate::upstream::Failure;

use super::super::{Gateway, error, noted};
use super::{refused, said, text};
use crate::catalog::{argument_of_tool, exposed_name, for_era};

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
            return match self.upstream().listed(&account).await {
                Ok(()) => self.tools_of(&account, request.client.era()),
                Err(failure) => {
                    let subject = Subject::Method("tools/list".to_owned());
                    noted::failed(scope, &subject, "tools/call", &failure)
                }
            };
        };
        let own = match self.own_name(&account, &tool, &request).await {
            Ok(own) => own,
            Err(failure) => {
                return noted::failed(scope, &Subject::Tool(tool), "tools/call", &failure);
            }
        };
        let Some((own, argument)) = own else {
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
        let request = Request {
            message,
            param_headers: Vec::new(),
            ..request
        };
        // Whatever else names an account, in the tool's arguments or in `_meta`, means the same one.
        match self.agreed(scope, &account, argument, request) {
            Ok(request) => {
                let wish = Wish {
                    named: Some(account.account().as_str()),
                    ..Wish::default()
                };
                match scope.choose(account.server(), &wish) {
                    Ok(chosen) => {
                        let subject = Subject::Tool(own);
                        self.relay(scope, chosen, subject, request, events).await
                    }
                    Err(why) => error::no_choice("tools/call", scope, &why, None),
                }
            }
            Err(refused) => refused,
        }
    }

    /// The server's own name of a tool that an account has for this client, by the name it is listed under or by its
    /// own; and the argument by which a call to it says which account it means.
    ///
    /// # Errors
    /// Why it is not known what the account has.
    async fn own_name(
        &self,
        account: &AccountId,
        tool: &str,
        request: &Request,
    ) -> Result<Option<(String, Option<&'static str>)>, Failure> {
        let era = request.client.era();
        let find = || {
            let listing = self.listing(account);
            let there = listing.tools.iter().filter_map(|item| {
                let fits = for_era(item.json.clone(), era)?;
                Some((item.key.clone(), argument_of_tool(&fits.object()?)))
            });
            let there: Vec<_> = there.collect();
            let listed = there
                .iter()
                .find(|(key, _)| exposed_name(account.server(), key) == tool);
            listed
                .or_else(|| there.iter().find(|(key, _)| key == tool))
                .cloned()
        };
        if let Some(found) = find() {
            return Ok(Some(found));
        }
        self.upstream().listed(account).await?;
        Ok(find())
    }

    fn tools_of(&self, account: &AccountId, era: Era) -> Outcome {
        let (listing, known) = (self.listing(account), self.known());
        let shown = listing.tools.iter().filter_map(|item| {
            let subject = Subject::Tool(item.key.clone());
            if known.policy.against(account, &subject).is_some() {
                return None;
            }
            let tool = for_era(item.json.clone(), era)?.object()?;
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
