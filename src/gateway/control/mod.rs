//! The tools of Janus itself, by which a model sees as whom it acts and chooses inside its scope.
//!
//! Listed in profile views only. Which are listed, and what they offer, follows from scope and configuration alone, so
//! that no call changes a list.

mod definition;
mod login;
mod use_account;
mod with_account;

use serde_json::{Value, json};

use crate::account;
use crate::binding::{Reachable, Scope};
use crate::protocol::{Events, Json, Object, Outcome, Request};

use super::choice::holders;
use super::{Gateway, Labels, error};

/// A tool of Janus itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// As whom a call would act.
    Whoami,
    /// Which accounts there are.
    ListAccounts,
    /// Chooses one.
    UseAccount,
    /// How a person logs in.
    Login,
    /// Calls as another one.
    WithAccount,
}

impl Control {
    const ALL: [Self; 5] = [
        Self::Whoami,
        Self::ListAccounts,
        Self::UseAccount,
        Self::Login,
        Self::WithAccount,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Whoami => "janus_whoami",
            Self::ListAccounts => "janus_list_accounts",
            Self::UseAccount => "janus_use_account",
            Self::Login => "janus_login",
            Self::WithAccount => "janus_with_account",
        }
    }

    /// The tool of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Whether it makes sense in this scope.
    pub(super) fn is_listed(self, scope: &Scope, labels: &Labels) -> bool {
        match self {
            Self::Whoami | Self::ListAccounts => true,
            Self::Login => !login::interactive(scope, labels).is_empty(),
            Self::UseAccount | Self::WithAccount => {
                let mut servers = scope.servers().iter();
                servers.any(|reachable| scope.is_choosable(reachable.server()))
            }
        }
    }

    /// The definitions that a client of this scope sees.
    pub(super) fn listed(scope: &Scope, labels: &Labels) -> Vec<Json> {
        let listed = Self::ALL
            .into_iter()
            .filter(|tool| tool.is_listed(scope, labels));
        listed
            .map(|tool| Json::of(&tool.definition(scope, labels)))
            .collect()
    }
}

impl Gateway {
    /// Serves a call to one of them.
    pub(super) async fn control(
        &self,
        tool: Control,
        scope: &Scope,
        request: Request,
        events: &Events,
    ) -> Outcome {
        let arguments = request
            .params()
            .object("arguments")
            .unwrap_or_else(Object::empty);
        let (labels, upstream) = (self.labels(), self.upstream());
        let of_request = holders(scope, &request);
        match tool {
            Control::Whoami => said(&account::who(
                scope,
                &self.choices,
                of_request,
                &labels,
                upstream,
            )),
            Control::ListAccounts => said(&account::listed(
                scope,
                &self.choices,
                of_request,
                &labels,
                upstream,
            )),
            Control::Login => self.login(scope, &arguments).await,
            Control::UseAccount => self.use_account(scope, &arguments, &request).await,
            Control::WithAccount => self.with_account(scope, &arguments, request, events).await,
        }
    }
}

/// A result: the value, and the same as text for clients that read nothing else.
fn said(value: &Value) -> Outcome {
    let result = json!({
        "content": [{"type": "text", "text": value.to_string()}],
        "structuredContent": value,
    });
    Outcome::Result {
        result: Json::of(&result),
        cache: None,
    }
}

/// A refusal that the model can read.
fn refused(code: &str, text: &str) -> Outcome {
    let result = json!({
        "content": [{"type": "text", "text": text}],
        "structuredContent": {"error": {"code": code, "message": text}},
        "isError": true,
    });
    Outcome::Result {
        result: Json::of(&result),
        cache: None,
    }
}

/// A text argument; `Err` where it is something else, or there twice.
fn text(arguments: &Object, name: &'static str) -> Result<Option<String>, Outcome> {
    if arguments.repeated(&[name]).is_some() {
        let said = format!("the member `{name}` appears twice");
        return Err(error::invalid_params(said));
    }
    match arguments.get(name) {
        None => Ok(None),
        Some(value) if value.is_null() => Ok(None),
        Some(value) => match value.as_text() {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(error::invalid_params(format!("`{name}` is a string"))),
        },
    }
}

/// The accounts that a model can choose among, in the order of the configuration.
fn choosable(scope: &Scope) -> Vec<String> {
    let servers = scope.servers().iter();
    let several = servers.filter(|reachable| scope.is_choosable(reachable.server()));
    let accounts = several.flat_map(Reachable::accounts);
    accounts.map(ToString::to_string).collect()
}
