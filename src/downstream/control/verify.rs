//! `janus account verify`, `janus secret check`: what works, tried.

use futures_util::future::join_all;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Problem};
use crate::downstream::Downstream;
use crate::model::AccountId;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    account: String,
}

impl Downstream {
    /// Tries every reference of the configuration.
    pub(super) async fn check_references(&self) -> Answer {
        let binding = self.reach.binding();
        let upstream = self.gateway.upstream();
        let checks = binding
            .servers()
            .iter()
            .flat_map(|server| server.account_ids());
        let checks = checks.filter_map(|id| Some((upstream.credential(&id)?, id)));
        // Side by side: a command may take its time.
        let checks =
            join_all(checks.map(|(credential, id)| async move { (credential.check().await, id) }));
        let mut rows: Vec<(String, Vec<String>, Value)> = Vec::new();
        for (checked, id) in checks.await {
            if checked.iter().all(|(_, outcome)| outcome.is_ok()) {
                // What was amiss may have been mended without a word to us.
                upstream.look_again(&id);
            }
            for (reference, outcome) in checked {
                let outcome = match outcome {
                    Ok(()) => json!({"ok": true}),
                    Err(why) => json!({
                        "ok": false,
                        "code": why.code(),
                        "because": why.to_string(),
                        "help": why.help(&id),
                    }),
                };
                let same = |(known, _, found): &&mut (String, Vec<String>, Value)| {
                    *known == reference && *found == outcome
                };
                match rows.iter_mut().find(same) {
                    Some((_, users, _)) => users.push(id.to_string()),
                    None => rows.push((reference, vec![id.to_string()], outcome)),
                }
            }
        }
        let rows = rows.into_iter().map(|(reference, users, outcome)| {
            json!({"reference": reference, "used_by": users, "outcome": outcome})
        });
        Ok(json!({"references": rows.collect::<Vec<_>>()}))
    }

    /// Resolves, connects, and asks the server who it thinks we are.
    pub(super) async fn verify(&self, wanted: &Account) -> Answer {
        let id = self.account_named(&wanted.account)?;
        let verified = self
            .gateway
            .upstream()
            .verify(&id)
            .await
            .map_err(|failure| {
                let (code, help) = crate::gateway::explain(&failure);
                let problem = Problem::new(StatusCode::CONFLICT, code, failure.to_string());
                help.into_iter().fold(problem, Problem::help)
            })?;
        let known = crate::account::verified_as(self.gateway.upstream(), &id);
        Ok(json!({
            "account": id.to_string(),
            "server": verified.server,
            "version": verified.version,
            "revision": verified.revision,
            "tools": verified.tools,
            "who": verified.who.as_ref().map(|who| &who.said),
            "who_from": verified.who.as_ref().map(|who| &who.from),
            "who_because": verified.not_told,
            "credential": self.credential_of(&id),
            "grant": self.grant_of(&id),
            "hint": self.verifiable(&id, known.is_some()),
            "verified_as": known,
        }))
    }

    /// `server/account`, a server with one account, or an account that only one server has.
    pub(super) fn account_named(&self, name: &str) -> Result<AccountId, Problem> {
        let binding = self.reach.binding();
        let all: Vec<AccountId> = binding
            .servers()
            .iter()
            .flat_map(|server| server.account_ids())
            .collect();
        let whole = all.iter().find(|id| id.to_string() == name);
        let meant: Vec<&AccountId> = if let Some(id) = whole {
            vec![id]
        } else {
            let is_part =
                |id: &&AccountId| id.server().as_str() == name || id.account().as_str() == name;
            all.iter().filter(is_part).collect()
        };
        match meant.as_slice() {
            [only] => Ok(AccountId::clone(only)),
            [] => {
                let said = format!("there is no account `{name}`");
                let problem = Problem::unknown("unknown_account", said);
                let near = all.iter().map(ToString::to_string).find(|known| {
                    // Nobody means a name by one that is far longer.
                    if name.len() > 2 * known.len() {
                        return false;
                    }
                    let parts = known.split('/').chain([known.as_str()]);
                    let mut distances = parts.map(|part| strsim::damerau_levenshtein(part, name));
                    distances.any(|distance| distance <= 2)
                });
                let problem = match near {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem,
                };
                Err(problem.help("janus account list"))
            }
            several @ [first, ..] => {
                let names: Vec<String> = several.iter().map(ToString::to_string).collect();
                let said = format!("`{name}` may be {}", names.join(" or "));
                Err(
                    Problem::new(StatusCode::CONFLICT, "ambiguous_account", said)
                        .help(format!("name it whole, such as `{first}`"))
                        .help("janus account list"),
                )
            }
        }
    }
}
