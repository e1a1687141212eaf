//! The other leg of the suite: Janus as the client of its servers, logins included. What fails has its reason in
//! `client.yaml`, and the list may only shrink. What no revision requires is played too, and what comes of it is written
//! there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_yaml::Value;

use super::suite::Checks;
use super::{LEGACY, MODERN, Set};
use crate::support::{Fixture, Tools};

/// The file `client.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// `scenario:check`, and why, for each revision.
    required: BTreeMap<String, BTreeMap<String, String>>,
    /// By scenario.
    not_scored: BTreeMap<String, Unscored>,
}

/// What comes of a scenario that no revision requires.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unscored {
    result: Outcome,
    reason: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Passes,
    Fails,
}

impl Unscored {
    /// What is otherwise, if anything is.
    fn against(&self, scenario: &str, found: &Checks) -> Option<String> {
        assert!(!self.reason.is_empty(), "{scenario} has no reason");
        let fails = found.failed().into_iter().any(|name| of(name) == scenario);
        match (&self.result, fails) {
            _ if !found.scenarios().contains(scenario) => {
                Some(format!("{scenario} was not played"))
            }
            (Outcome::Passes, true) => Some(format!("{scenario} fails and is listed to pass")),
            (Outcome::Fails, false) => Some(format!("{scenario} passes and is listed to fail")),
            (Outcome::Passes, false) | (Outcome::Fails, true) => None,
        }
    }
}

/// The scenario of a check.
fn of(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(scenario, _)| scenario)
}

#[test]
fn janus_is_a_client_of_2025_11_25() {
    as_client(LEGACY);
}

#[test]
fn janus_is_a_client_of_2026_07_28() {
    as_client(MODERN);
}

fn as_client(set: Set) {
    let Some(tools) = Tools::npm("conformance") else {
        return;
    };
    let expected: Expected = serde_yaml::from_str(include_str!("client.yaml")).unwrap();
    let listed = &expected.not_scored;
    let expected = &expected.required[set.revision];
    let (required, unscored) = requirements(&tools, set.revision);
    let (found, said) = Checks::of_client(&tools, set.revision, &Fixture::client());
    let mut wrong = String::new();
    let played = found.scenarios();
    for scenario in required
        .iter()
        .filter(|name| !played.contains(name.as_str()))
    {
        writeln!(wrong, "{scenario} was not played").unwrap();
    }
    let counted = found.failed().into_iter();
    let counted = counted.filter(|name| !unscored.contains(of(name)));
    for name in counted {
        if !expected.contains_key(name) {
            writeln!(wrong, "{name} fails and is not listed").unwrap();
        }
    }
    for scenario in &unscored {
        let otherwise = match listed.get(scenario) {
            Some(listed) => listed.against(scenario, &found),
            None => Some(format!("{scenario} is not scored and not listed")),
        };
        if let Some(otherwise) = otherwise {
            writeln!(wrong, "{otherwise}").unwrap();
        }
    }
    for scenario in listed.keys().filter(|name| !unscored.contains(*name)) {
        writeln!(wrong, "{scenario} is listed and not unscored").unwrap();
    }
    for (name, reason) in expected {
        assert!(!reason.is_empty(), "{name} has no reason");
        if found.has_passed(name) {
            writeln!(wrong, "{name} passes and is listed").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{found}{wrong}\n{said}");
}

/// The scenarios of clients that a revision requires, and those that are played and not counted.
fn requirements(tools: &Tools, revision: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let package = "npm/node_modules/@modelcontextprotocol/conformance/requirements";
    let path = Path::new(package).join(format!("{revision}.yaml"));
    let text = fs::read_to_string(tools.root().join(path)).unwrap();
    let set: Value = serde_yaml::from_str(&text).unwrap();
    let named = |value: &Value| value.as_str().map(str::to_owned);
    let required = set["client"].as_sequence().into_iter().flatten();
    let unscored = set["not_scored"].as_sequence().into_iter().flatten();
    let unscored = unscored.filter(|entry| entry["leg"].as_str() == Some("client"));
    let required = required.filter_map(named).collect();
    let unscored = unscored.filter_map(|entry| named(&entry["scenario"]));
    (required, unscored.collect())
}
