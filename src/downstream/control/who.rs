//! `janus whoami` and `janus profile`: the resolver's own reasons.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Problem};
use crate::account::{self, Holders};
use crate::authn::{Directory, NotAuthenticated, Peer};
use crate::binding::{Given, Reachable, Rule, Scope, Step};
use crate::downstream::Downstream;
use crate::model::{ClientId, Written};
use crate::protocol::{Era, ListKind};

/// A request that has not happened. No `Debug`: a key is in it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Supposed {
    #[serde(default)]
    pub(super) directory: Option<PathBuf>,
    #[serde(default)]
    pub(super) client: Option<String>,
    #[serde(default)]
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) profile: Option<String>,
    /// The access key that it would send; a client that is named has its own.
    #[serde(default)]
    pub(super) key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    name: String,
}

impl Downstream {
    pub(super) fn whoami(&self, peer: &Peer, supposed: &Supposed) -> Answer {
        let client = match (&supposed.client, &supposed.key) {
            (None, Some(key)) => match self.authn.client_of(key, SystemTime::now()) {
                Ok(client) => client,
                Err(why) => return Ok(key_refused(&why)),
            },
            (named, _) => self.client_named(named.as_deref())?,
        };
        let has_key = supposed.client.is_some() || supposed.key.is_some();
        let directory = directory(peer, supposed);
        let given = Given {
            client: client.as_ref(),
            directory: directory.as_ref(),
            path: supposed.path.as_deref().unwrap_or("/mcp"),
            profile: supposed.profile.as_deref(),
        };
        let explained = self.reach.binding().explain(&given);
        let looked_at = explained.steps.iter().map(|step| self.step(step));
        let steps: Vec<Value> = looked_at.chain(not_reached(&explained.steps)).collect();
        let directory = directory.map(|directory| {
            let proof = if supposed.directory.is_some() {
                "supposed"
            } else {
                directory.proof().name()
            };
            json!({"path": directory.to_string(), "proved_by": proof, "pid": peer.pid()})
        });
        let mut said = match &explained.outcome {
            Ok(scope) => self.as_whom(scope),
            Err(refused) => {
                let problem = self.problem(refused);
                json!({"refused": {"code": problem.code, "message": problem.message, "where": problem.place}})
            }
        };
        if let Some(members) = said.as_object_mut() {
            members.insert("directory".to_owned(), directory.into());
            members.insert("scope".to_owned(), steps.into());
            // What a command does with a key of its own, no client may without one.
            let needs_key = self.authn.requires_key() && !has_key;
            members.insert("needs_key".to_owned(), needs_key.into());
        }
        Ok(said)
    }

    fn step(&self, step: &Step) -> Value {
        json!({
            "rule": step.rule.number(),
            "name": step.rule.name(),
            "found": step.found,
            "decides": step.decides,
            "where": step.written.as_ref().and_then(|written| self.whereabouts(written)),
        })
    }

    fn as_whom(&self, scope: &Scope) -> Value {
        let holders = Holders {
            session: None,
            client: scope.client(),
        };
        let (choices, labels) = (self.gateway.choices(), self.gateway.labels());
        let mut said = account::who(scope, choices, holders, &labels, self.gateway.upstream());
        // Where the deciding word of each choice is written.
        let mut places = Map::new();
        for reachable in scope.servers() {
            let chosen = choices
                .choose(scope, reachable.server(), None, holders)
                .ok();
            let fixed = reachable.fixed();
            let written = match (&chosen, fixed) {
                (Some(chosen), Some((_, from, written))) if chosen.from() == from => written,
                _ => reachable.written(),
            };
            places.insert(
                reachable.server().to_string(),
                self.whereabouts(written).into(),
            );
        }
        if let Some(members) = said.as_object_mut() {
            members.insert("places".to_owned(), places.into());
            members.insert(
                "profile_where".to_owned(),
                self.whereabouts(&scope.decided().written).into(),
            );
        }
        said
    }

    pub(super) fn whereabouts(&self, written: &Written) -> Option<String> {
        (written.line > 0).then(|| format!("{} ({})", self.reach.place(written.line), written.key))
    }

    /// Every profile with what it reaches.
    pub(super) fn profiles(&self) -> Value {
        let binding = self.reach.binding();
        let default = binding
            .identity()
            .default_profile
            .as_ref()
            .map(|(name, _)| name.clone());
        let guarded = |scope: &Scope| {
            let mut profiles = binding.identity().profiles.iter();
            profiles.any(|profile| profile.name == *scope.profile() && profile.guarded)
        };
        let profile = |scope: Scope| {
            let accounts: Vec<String> = scope
                .servers()
                .iter()
                .flat_map(Reachable::accounts)
                .map(ToString::to_string)
                .collect();
            json!({
                "name": scope.profile().as_str(),
                "default": default.as_ref() == Some(scope.profile()),
                "guarded": guarded(&scope),
                "switching": scope.switching().word(),
                "accounts": accounts,
                "where": self.whereabouts(&scope.decided().written),
            })
        };
        let profiles: Vec<Value> = binding.profiles().map(profile).collect();
        json!({"profiles": profiles})
    }

    /// One profile, with the tools it reaches.
    pub(super) async fn profile(&self, named: &Named) -> Answer {
        let binding = self.reach.binding();
        let Some(scope) = binding
            .profiles()
            .find(|scope| scope.profile().as_str() == named.name)
        else {
            return Err(Problem::unknown(
                "profile_unknown",
                format!("there is no profile `{}`", named.name),
            )
            .help("janus profile list"));
        };
        let tools = self
            .gateway
            .names(&scope, ListKind::Tools, Era::Legacy)
            .await;
        let mut said = self.as_whom(&scope);
        if let Some(members) = said.as_object_mut() {
            members.insert("tools".to_owned(), tools.into());
        }
        Ok(said)
    }

    /// A client of the configuration.
    pub(super) fn client_named(&self, name: Option<&str>) -> Result<Option<ClientId>, Problem> {
        let Some(name) = name else { return Ok(None) };
        let binding = self.reach.binding();
        let mut clients = binding.identity().clients.iter().flatten();
        let known = clients.find(|client| client.id.as_str() == name);
        known.map(|client| Some(client.id.clone())).ok_or_else(|| {
            Problem::unknown(
                "unknown_client",
                format!("there is no client `{name}` in `clients:`"),
            )
            .help(format!("janus client add {name}"))
        })
    }
}

/// What a request gets whose key does not count: no rule is asked.
fn key_refused(why: &NotAuthenticated) -> Value {
    let first = Rule::ClientKey;
    let step = json!({"rule": first.number(), "name": first.name(), "found": "a key that does not count", "decides": true, "where": null});
    let after = Rule::GIVING
        .into_iter()
        .filter(|rule| rule.number() > first.number());
    let steps: Vec<Value> = std::iter::once(step).chain(unreached(after)).collect();
    json!({
        "refused": {"code": why.code(), "message": why.to_string(), "where": null},
        "scope": steps,
        "needs_key": true,
    })
}

/// The rules after the one that decided.
fn not_reached(steps: &[Step]) -> impl Iterator<Item = Value> {
    let last = steps.last().map_or(0, |step| step.rule.number());
    let after = Rule::GIVING
        .into_iter()
        .filter(move |rule| rule.number() > last);
    unreached(after)
}

fn unreached(rules: impl Iterator<Item = Rule>) -> impl Iterator<Item = Value> {
    rules.map(|rule| {
        json!({"rule": rule.number(), "name": rule.name(), "found": "not reached", "decides": false, "where": null})
    })
}

/// Where the asker works, or says to work.
pub(super) fn directory(peer: &Peer, supposed: &Supposed) -> Option<Directory> {
    match &supposed.directory {
        Some(path) => Some(Directory::supposed(path.clone())),
        None => peer.directory().cloned(),
    }
}
