//! What a client reads of each tool.

use serde_json::{Value, json};

use crate::binding::Scope;
use crate::model::Switching;

use super::login::interactive;
use super::{Control, Labels, choosable};

impl Control {
    pub(super) fn definition(self, scope: &Scope, labels: &Labels) -> Value {
        json!({
            "name": self.name(),
            "title": self.title(),
            "description": self.description(),
            "inputSchema": self.input(scope, labels),
            "outputSchema": self.output(),
            "annotations": self.annotations(),
            // Clients that search for tools keep these at hand.
            "_meta": {"anthropic/alwaysLoad": true},
        })
    }

    fn title(self) -> &'static str {
        match self {
            Self::Whoami => "Who am I",
            Self::ListAccounts => "List accounts",
            Self::UseAccount => "Use an account",
            Self::Login => "Log in",
            Self::WithAccount => "Call as an account",
        }
    }

    /// Short: a model reads it in every conversation.
    fn description(self) -> &'static str {
        match self {
            Self::Whoami => {
                "As whom calls act now: the profile, and for each server the account and why it is this one."
            }
            Self::ListAccounts => {
                "The accounts in reach, which one is active at each server, and whether it is ready."
            }
            Self::UseAccount => {
                "Choose the account that calls to its server use from now on. For one call alone, pass janus_account in that call instead."
            }
            Self::Login => {
                "Get the link by which a person logs an account in. It does not wait for them: call again when they say that it is done."
            }
            Self::WithAccount => {
                "Call a tool as a certain account; without `tool`, list that account's tools. For tools that take no janus_account."
            }
        }
    }

    fn annotations(self) -> Value {
        match self {
            Self::Whoami | Self::ListAccounts => {
                json!({"readOnlyHint": true, "openWorldHint": false})
            }
            Self::UseAccount => {
                json!({"readOnlyHint": false, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false})
            }
            Self::Login => {
                json!({"readOnlyHint": false, "destructiveHint": false, "openWorldHint": true})
            }
            Self::WithAccount => json!({"readOnlyHint": false, "openWorldHint": true}),
        }
    }

    fn input(self, scope: &Scope, labels: &Labels) -> Value {
        let account = || json!({"type": "string", "enum": choosable(scope)});
        let (properties, required) = match self {
            Self::Whoami | Self::ListAccounts => (json!({}), json!([])),
            Self::UseAccount => (
                json!({
                    "account": account(),
                    "scope": {
                        "type": "string",
                        "enum": holders(scope),
                        "default": "session",
                        "description": "For whom: this session, this client in all its sessions, or everybody in the profile",
                    },
                }),
                json!(["account"]),
            ),
            Self::Login => {
                let accounts = interactive(scope, labels)
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>();
                (
                    json!({"account": {"type": "string", "enum": accounts}}),
                    json!(["account"]),
                )
            }
            Self::WithAccount => (
                json!({
                    "account": account(),
                    "tool": {"type": "string", "description": "The tool, as it is listed"},
                    "arguments": {"type": "object", "description": "Its arguments"},
                }),
                json!(["account"]),
            ),
        };
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    /// Only what a client can rely on; a refusal has `error` instead.
    fn output(self) -> Value {
        let text = json!({"type": ["string", "null"]});
        match self {
            Self::Whoami => json!({"type": "object", "properties": {
                "client": text, "profile": text, "switching": text, "session": text,
                "accounts": {"type": "object", "additionalProperties": {"type": "object"}},
            }}),
            Self::ListAccounts => json!({"type": "object", "properties": {
                "profile": text, "switching": text,
                "accounts": {"type": "array", "items": {"type": "object"}},
            }}),
            Self::UseAccount => json!({"type": "object", "properties": {
                "active": {"type": ["object", "null"]}, "was": {"type": ["object", "null"]}, "scope": text,
                "pass": {"type": "object"}, "note": text, "error": {"type": "object"},
            }}),
            Self::Login => json!({"type": "object", "properties": {
                "state": text, "account": text, "url": text, "expires_in": {"type": ["integer", "null"]},
                "reason": text, "because": text, "verified_as": text, "instructions": text,
                "error": {"type": "object"},
            }}),
            // The result is the called tool's own.
            Self::WithAccount => json!({"type": "object"}),
        }
    }
}

/// For whom a choice can be made here.
fn holders(scope: &Scope) -> Vec<&'static str> {
    let mut holders = vec!["session"];
    if scope.client().is_some() {
        holders.push("client");
    }
    if scope.switching() == Switching::Global {
        holders.push("global");
    }
    holders
}
