//! The other leg of the suite: Janus as the client of its servers, logins included. What fails has its reason in
//! `client.yaml`, and the list may only shrink.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_yaml::Value;

use super::suite::Checks;
use super::{LEGACY, MODERN, Set};
use crate::support::{Fixture, Tools};

/// `scenario:check`, and why, for each revision.
type Expected = BTreeMap<String, BTreeMap<String, String>>;

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
    let expected = &expected[set.revision];
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
    let counted = found.failed().into_iter().filter(|name| {
        let scenario = name.rsplit_once(':').map(|(scenario, _)| scenario);
        scenario.is_none_or(|scenario| !unscored.contains(scenario))
    });
    for name in counted {
        if !expected.contains_key(name) {
            writeln!(wrong, "{name} fails and is not listed").unwrap();
        }
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
    let required = required.filter_map(named).collect();
    let unscored = unscored.filter_map(|entry| named(&entry["scenario"]));
    (required, unscored.collect())
}
