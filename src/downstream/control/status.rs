//! `janus status`: one look at everything.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{seconds, who};
use crate::account;
use crate::authn::Peer;
use crate::binding::Given;
use crate::credential::NoCredential;
use crate::downstream::Downstream;
use crate::model::{AccountId, Colour};
use crate::telemetry::redact;
use crate::upstream::State;
use crate::vault::Refused;

/// A keyring that does not answer holds up nobody who looks.
const KEYRING: Duration = Duration::from_secs(2);

impl Downstream {
    pub(super) async fn status(&self, peer: &Peer) -> Value {
        let accounts = self.account_rows();
        let vault = self.no_vault(&accounts).await;
        let supposed = who::Supposed::default();
        let directory = who::directory(peer, &supposed);
        let given = Given {
            client: None,
            directory: directory.as_ref(),
            path: "/mcp",
            profile: None,
        };
        let here = match self.reach.binding().explain(&given).outcome {
            Ok(scope) => json!({"profile": scope.profile().as_str()}),
            Err(refused) => json!({"refused": refused.to_string()}),
        };
        let source = self.reach.source();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "started": seconds(self.about.started),
            "lives": self.about.lives,
            "not_replaced": self.about.not_replaced,
            "config": source.file.map(|file| file.display().to_string()),
            "config_read": seconds(source.read),
            "config_refused": source.refused,
            "listening": self.about.listening,
            "held_by_systemd": self.about.held,
            "keys_required": self.authn.requires_key(),
            "directory": directory.map(|directory| directory.to_string()),
            "here": here,
            "vault": vault,
            "accounts": accounts,
            "logins": self.login_list().get("logins"),
            "sessions": self.sessions.all().len() + self.sessions.dormant().len(),
        })
    }

    /// What keeps a login or a secret that somebody must give from being kept: there is no vault yet, and no place for its
    /// key. Null where that is not so.
    async fn no_vault(&self, accounts: &[Value]) -> Value {
        let waits = |account: &Value| {
            account["needs_login"] == true || account["state"]["word"] == "needs_secret"
        };
        if self.vault.status().word != "empty" || !accounts.iter().any(waits) {
            return Value::Null;
        }
        let Ok(Err(why)) = timeout(KEYRING, self.vault.check_place()).await else {
            return Value::Null;
        };
        let because = why.to_string();
        json!({"because": because, "help": Refused::NoPlace(because).help()})
    }

    /// What a person should know of the vault's key after a reload, with what helps; nothing where nobody needs it.
    pub(super) async fn about_the_vault(&self) -> Option<String> {
        if self.vault.status().word == "empty" {
            let amiss = self.no_vault(&self.account_rows()).await;
            let (because, help) = (amiss["because"].as_str()?, amiss["help"].as_array()?);
            let help: Vec<&str> = help.iter().filter_map(Value::as_str).collect();
            return Some(format!(
                "logins and secrets cannot be kept, since there is no place for the vault's key: {because}; {}",
                help.join("; or ")
            ));
        }
        let Ok(Err(why)) = timeout(KEYRING, self.vault.check_place()).await else {
            return None;
        };
        let help = why.help();
        Some(format!(
            "the vault would be sealed after the next start: {why}; {help}"
        ))
    }

    /// `janus account list`
    pub(super) fn accounts(&self) -> Value {
        json!({"accounts": self.account_rows()})
    }

    fn account_rows(&self) -> Vec<Value> {
        let labels = self.gateway.labels();
        let binding = self.reach.binding();
        let mut rows = Vec::new();
        // In the order of the configuration, which `labels` has not.
        for server in binding.servers() {
            for id in server.account_ids() {
                let account = labels
                    .get(id.server())
                    .and_then(|server| server.account(id.account()));
                let is_default = server
                    .default
                    .as_ref()
                    .is_some_and(|(name, _)| name == id.account());
                rows.push(json!({
                    "id": id.to_string(),
                    "server": id.server().as_str(),
                    "account": id.account().as_str(),
                    "label": account.and_then(|account| account.label.as_deref()),
                    "color": account.and_then(|account| account.color).map(Colour::word),
                    "default": is_default,
                    "profiles": self.profiles_of(&id),
                    "tools": self.tool_count(&id),
                    "verified_as": account::verified_as(self.gateway.upstream(), &id),
                    "credential": self.credential_of(&id),
                    "grant": self.grant_of(&id),
                    "needs_login": self.needs_login(&id),
                    "state": self.state_of(&id),
                }));
            }
        }
        rows
    }

    /// The profiles that reach an account.
    pub(super) fn profiles_of(&self, id: &AccountId) -> Vec<String> {
        let binding = self.reach.binding();
        let used_by = binding.profiles().filter(|scope| {
            let reachable = scope.server(id.server());
            reachable.is_some_and(|reachable| reachable.accounts().contains(id))
        });
        used_by
            .map(|scope| scope.profile().as_str().to_owned())
            .collect()
    }

    /// Where the credential comes from, how long it is good, and what is wrong with it.
    pub(super) fn credential_of(&self, id: &AccountId) -> Value {
        let credential = self.gateway.upstream().credential(id);
        let Some(report) = credential.map(|credential| credential.report()) else {
            return Value::Null;
        };
        json!({
            "kind": report.kind,
            "from": report.from,
            "expires_in": report.left.map(|left| left.as_secs()),
            "problem": report.problem.as_ref().map(NoCredential::code),
            "because": report.problem.as_ref().map(ToString::to_string),
            "help": report.problem.as_ref().map(|why| why.help(id)),
        })
    }

    pub(super) fn tool_count(&self, id: &AccountId) -> usize {
        self.gateway.upstream().listing(id).tools.len()
    }

    fn state_of(&self, id: &AccountId) -> Value {
        let unrenewed = account::unrenewed(self.gateway.upstream(), id);
        let state = self.gateway.upstream().state(id);
        let state = state.borrow();
        let word = match unrenewed {
            Some(_) => "backoff",
            None => account::state(&state),
        };
        let now = Instant::now();
        let next = match &*state {
            State::Backoff { next, .. } | State::Failed { next, .. } => *next,
            _ => None,
        };
        let next = next.map(|next| next.saturating_duration_since(now));
        let next = next.or_else(|| unrenewed.as_ref().map(|(_, wait)| *wait));
        let next = next.map(|next| next.as_millis().div_ceil(1000));
        let (because, help) = match &*state {
            State::Backoff { reason, .. } | State::Failed { reason, .. } => {
                (Some(reason.clone()), None)
            }
            State::Rejected { status } => {
                let refused = format!("the server refused the credential (HTTP {status})");
                (Some(refused), Some(format!("janus account verify {id}")))
            }
            State::NoCredential(why) => (Some(why.to_string()), Some(why.help(id))),
            State::Idle | State::Connecting | State::Ready { .. } => (None, None),
        };
        let because = unrenewed.map(|(why, _)| why).or(because);
        let because = because.map(|because| redact(&because).into_owned());
        json!({
            "word": word,
            "because": because,
            "help": help,
            "next_try_in": next.and_then(|seconds| u64::try_from(seconds).ok()),
        })
    }
}
