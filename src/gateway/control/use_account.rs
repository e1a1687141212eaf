//! `janus_use_account`: a choice that outlasts its call.
//!
//! A legacy session holds it. A modern client has no session: it is told what to pass with each call, or the choice is
//! kept for its key.

use serde_json::{Map, Value, json};

use crate::account::{Switch, Switched};
use crate::binding::{NoChoice, Scope, Wish};
use crate::model::{AccountId, Switching};
use crate::protocol::{Object, Outcome, Request};
use crate::store::Holder;

use super::super::choice::holders;
use super::super::{Gateway, error};
use super::{choosable, refused, said, text};

impl Gateway {
    pub(super) async fn use_account(
        &self,
        scope: &Scope,
        arguments: &Object,
        request: &Request,
    ) -> Outcome {
        match self.switched(scope, arguments, request).await {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }

    async fn switched(
        &self,
        scope: &Scope,
        arguments: &Object,
        request: &Request,
    ) -> Result<Outcome, Outcome> {
        // What JanusMCP called it.
        let named = match text(arguments, "account")? {
            Some(named) => Some(named),
            None => text(arguments, "account_id")?,
        };
        let account = in_scope(scope, &named.unwrap_or_default())?;
        let holder = match text(arguments, "scope")?.as_deref() {
            None | Some("session") => request.client.session.clone().map(Holder::Session),
            Some("client") => Some(of_client(scope)?),
            Some("global") if scope.switching() == Switching::Global => Some(Holder::Everybody),
            Some("global") => {
                return Err(refused(
                    "switching_off",
                    "A choice for everybody needs `switching: global`, which a person sets. Nothing changed.",
                ));
            }
            Some(other) => {
                let other: String = other.chars().take(64).collect();
                return Err(error::invalid_params(format!(
                    "`scope` is session, client or global, not \"{other}\""
                )));
            }
        };
        let Some(holder) = holder else {
            return Ok(passed(&account));
        };
        let switch = Switch {
            holder: holder.clone(),
            server: account.server().clone(),
            account: Some(account.account().clone()),
        };
        let switched = self
            .choices
            .switch(scope, switch, holders(scope, request))
            .await;
        switched
            .map(|switched| changed(&account, &holder, &switched))
            .map_err(|not_saved| {
                tracing::error!(%not_saved, "a choice could not be saved");
                refused(
                    "unavailable",
                    &format!("The choice could not be saved: {not_saved}. Nothing changed."),
                )
            })
    }
}

/// The account in scope that a word means: `server/account`, or the account alone where one server has it.
pub(super) fn in_scope(scope: &Scope, named: &str) -> Result<AccountId, Outcome> {
    let mut found = Vec::new();
    for reachable in scope.servers() {
        let wish = Wish {
            named: Some(named),
            ..Wish::default()
        };
        match scope.choose(reachable.server(), &wish) {
            Ok(chosen) => found.push(chosen.account().clone()),
            Err(why @ NoChoice::Off { .. }) => {
                let (code, text) = error::choice_text(scope, &why, None);
                return Err(refused(code, &text));
            }
            Err(_) => {}
        }
    }
    if let [one] = &found[..] {
        return Ok(one.clone());
    }
    let named: String = named.chars().take(64).collect();
    let said = if found.is_empty() {
        "is no account here"
    } else {
        "is an account of several servers"
    };
    let there = choosable(scope).join(", ");
    let text = format!("\"{named}\" {said}; there are: {there}. Nothing changed.");
    Err(refused("unknown_account", &text))
}

fn of_client(scope: &Scope) -> Result<Holder, Outcome> {
    let client = scope.client().cloned().map(Holder::Client);
    client.ok_or_else(|| {
        refused(
            "denied",
            "A choice for the client needs a client with an access key (janus client add NAME). Nothing changed.",
        )
    })
}

/// There is no session to remember it: the client passes it on.
fn passed(account: &AccountId) -> Outcome {
    let (server, name) = (account.server(), account.account());
    said(&json!({
        "active": Value::Null,
        "scope": "call",
        "pass": {"janus_account": name.as_str()},
        "note": format!("there is no session here: pass janus_account in each call to {server}"),
    }))
}

fn changed(account: &AccountId, holder: &Holder, switched: &Switched) -> Outcome {
    let at_server = |id: &Option<AccountId>| -> Value {
        let named = id.as_ref().map(|id| id.account().as_str());
        let members: Map<String, Value> = [(account.server().to_string(), named.into())]
            .into_iter()
            .collect();
        members.into()
    };
    let scope = match holder {
        Holder::Session(_) => "session",
        Holder::Client(_) => "client",
        Holder::Everybody => "global",
    };
    let mut result = json!({
        "active": at_server(&switched.active),
        "was": at_server(&switched.was),
        "scope": scope,
    });
    if switched.active.as_ref() != Some(account)
        && let Some(members) = result.as_object_mut()
    {
        let note = "saved, but a choice that goes before it holds here: that of the session or of the client";
        members.insert("note".to_owned(), note.into());
    }
    said(&result)
}
