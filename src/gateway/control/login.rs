//! `janus_login`: the link by which a person logs in, asked for before any call needs it.
//!
//! It never waits for a person: whoever asked calls again when that is done.

use serde_json::{Value, json};

use crate::account::{self, LoginNeed, host_name};
use crate::binding::Scope;
use crate::model::AccountId;
use crate::protocol::{Object, Outcome};

use super::super::error::{Way, login_reason};
use super::super::{Gateway, Labels};
use super::{refused, said, text};

impl Gateway {
    pub(super) async fn login(&self, scope: &Scope, arguments: &Object) -> Outcome {
        let named = match text(arguments, "account") {
            Ok(Some(named)) => named,
            // What JanusMCP called it.
            Ok(None) => match text(arguments, "account_id") {
                Ok(named) => named.unwrap_or_default(),
                Err(outcome) => return outcome,
            },
            Err(outcome) => return outcome,
        };
        let there = interactive(scope, &self.labels());
        let Some(account) = meant(&there, &named) else {
            return unknown(&there, &named);
        };
        let mut need = self.need(account);
        if need == LoginNeed::Unknown {
            // A server that was never reached says it in a moment.
            self.settled(scope).await;
            need = self.need(account);
        }
        // Nobody needs one, and yet somebody may be about to log in: for more permissions, or as somebody else.
        let waits = self.logins.pending(account).is_some();
        let reason = match need {
            LoginNeed::Login(reason) => Some(reason),
            LoginNeed::Unlock => {
                return refused(
                    "sealed",
                    "The vault is locked, so nobody knows who is logged in. A person runs: janus vault unlock",
                );
            }
            LoginNeed::Nothing | LoginNeed::Unknown if waits => None,
            LoginNeed::Nothing => return self.not_needed(account),
            LoginNeed::Unknown => return self.not_known(account),
        };
        let way = match self.link(account).await {
            Ok(pending) => Way::Pending(pending),
            Err(way) => way,
        };
        let words = way.words(account);
        let mut result = json!({
            "state": way.state(),
            "account": account.to_string(),
            "url": way.link(),
            "expires_in": way.expires_in(),
            "reason": reason.map(account::LoginReason::word),
            "instructions": format!("Tell the person: {words} Then call again."),
        });
        if let (Some(reason), Some(members)) = (reason, result.as_object_mut()) {
            members.insert("because".to_owned(), login_reason(reason, "").into());
        }
        said(&result)
    }

    fn need(&self, account: &AccountId) -> LoginNeed {
        account::login_need(self.upstream(), account)
    }

    fn not_needed(&self, account: &AccountId) -> Outcome {
        let who = account::verified_as(self.upstream(), account);
        said(&json!({
            "state": "ready",
            "account": account.to_string(),
            "url": Value::Null,
            "expires_in": Value::Null,
            "reason": Value::Null,
            "verified_as": who,
            "instructions": format!(
                "No login is needed. A person who wants to log in anew runs on {}: janus login {account}",
                host_name()
            ),
        }))
    }

    /// Whether its server wants a login cannot be told.
    fn not_known(&self, account: &AccountId) -> Outcome {
        let state = account::state(&self.upstream().state(account).borrow());
        said(&json!({
            "state": state,
            "account": account.to_string(),
            "url": Value::Null,
            "expires_in": Value::Null,
            "reason": Value::Null,
            "instructions": format!(
                "Its server was not reached yet ({state}), so whether it wants a login is not known. A person sees why with: janus status"
            ),
        }))
    }
}

/// The accounts in scope that a person logs in to, in the order of the configuration. It says so alone: no list depends on
/// who is logged in.
pub(super) fn interactive(scope: &Scope, labels: &Labels) -> Vec<AccountId> {
    let mut found = Vec::new();
    for reachable in scope.servers() {
        let Some(server) = labels.get(reachable.server()) else {
            continue;
        };
        let logs_in = |id: &&AccountId| {
            let configured = server.account(id.account());
            configured.is_some_and(crate::model::Account::logs_in)
        };
        let visible = account::visible(scope, reachable).iter();
        found.extend(visible.filter(logs_in).cloned());
    }
    found
}

/// The account that a word means: its whole name, its server where that has no other one here, or its own name where only
/// one has that.
fn meant<'a>(there: &'a [AccountId], named: &str) -> Option<&'a AccountId> {
    if let Some(whole) = there.iter().find(|id| id.to_string() == named) {
        return Some(whole);
    }
    let is_part = |id: &&AccountId| id.server().as_str() == named || id.account().as_str() == named;
    let mut parts = there.iter().filter(is_part);
    let first = parts.next()?;
    parts.next().is_none().then_some(first)
}

fn unknown(there: &[AccountId], named: &str) -> Outcome {
    let named: String = named.chars().take(64).collect();
    let names: Vec<String> = there.iter().map(ToString::to_string).collect();
    refused(
        "unknown_account",
        &format!(
            "\"{named}\" is no account here that a person logs in to; there are: {}. Nothing changed.",
            names.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountName, ServerName};

    #[test]
    fn an_account_is_meant_by_its_whole_name_or_by_what_only_it_has() {
        let id = |server: &str, account: &str| {
            AccountId::new(
                ServerName::new(server).unwrap(),
                AccountName::new(account).unwrap(),
            )
        };
        let there = [
            id("github", "work"),
            id("github", "home"),
            id("linear", "work"),
            id("sentry", "default"),
        ];
        for (named, expected) in [
            ("github/work", Some("github/work")),
            ("linear", Some("linear/work")),
            ("home", Some("github/home")),
            ("default", Some("sentry/default")),
            ("github", None),
            ("work", None),
            ("github/other", None),
            ("", None),
        ] {
            let found = meant(&there, named).map(ToString::to_string);
            assert_eq!(found.as_deref(), expected, "{named}");
        }
    }
}
