//! The official conformance suite: against the fixture alone, which shows that the fixture is right, and through Janus.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Era, Fixture, Janus, Process, Tools};

/// One revision's scenarios, as the suite has frozen them.
struct Set {
    revision: &'static str,
    era: Era,
    /// How many checks it makes, those of the scenarios it does not score included.
    checks: usize,
}

const LEGACY: Set = Set {
    revision: "2025-11-25",
    era: Era::Legacy,
    checks: 83,
};
const MODERN: Set = Set {
    revision: "2026-07-28",
    era: Era::Modern,
    checks: 197,
};

#[test]
fn the_fixture_alone_passes_the_set_of_2025_11_25() {
    alone(&LEGACY);
}

#[test]
fn the_fixture_alone_passes_the_set_of_2026_07_28() {
    alone(&MODERN);
}

#[test]
fn a_legacy_server_behind_janus_passes_the_set_of_2025_11_25() {
    through_janus(&LEGACY);
}

#[test]
fn a_modern_server_behind_janus_passes_the_set_of_2026_07_28() {
    through_janus(&MODERN);
}

fn alone(set: &Set) {
    let Some(tools) = Tools::npm("conformance") else {
        return;
    };
    let fixture = Fixture::start(set.era);
    let found = run(&tools, set, fixture.url());
    assert!(found.is_all_of(set), "{found}");
}

fn through_janus(set: &Set) {
    let Some(tools) = Tools::npm("conformance") else {
        return;
    };
    let fixture = Fixture::start(set.era);
    let mut janus = Janus::start(&format!("conf: {{ url: \"{}\" }}", fixture.url()));
    let found = run(&tools, set, &janus.url("/mcp/@conf"));
    assert!(
        found.is_all_of(set),
        "{found}\njanus said:\n{}",
        janus.stderr()
    );
}

fn run(tools: &Tools, set: &Set, url: &str) -> Checks {
    let out = TempDir::new().unwrap();
    let mut command = tools.node_package("@modelcontextprotocol/conformance/dist/index.js");
    command
        .args(["server", "--url", url, "--requirements", set.revision, "-o"])
        .arg(out.path());
    // Its exit code says nothing of the scenarios it does not score; the checks do.
    let ended = Process::run("conformance", &mut command);
    let checks = Checks::read(out.path());
    assert!(
        checks.passed > 0,
        "the suite did not run:\n{}{}",
        ended.stdout,
        ended.stderr
    );
    checks
}

/// What the suite found.
#[derive(Default)]
struct Checks {
    passed: usize,
    /// `scenario:check status: why`
    failed: Vec<String>,
}

impl Checks {
    /// Reads `server-SCENARIO-TIME/checks.json` of every scenario.
    fn read(out: &Path) -> Self {
        let mut scenarios: Vec<_> = fs::read_dir(out)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        scenarios.sort();
        let mut checks = Self::default();
        for path in scenarios {
            let text = fs::read_to_string(path.join("checks.json")).unwrap();
            let found: Vec<Value> = serde_json::from_str(&text).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            for check in found {
                checks.add(scenario(name), &check);
            }
        }
        checks
    }

    fn add(&mut self, scenario: &str, check: &Value) {
        let text = |key: &str| check[key].as_str().unwrap_or_default();
        match text("status") {
            "SUCCESS" => self.passed += 1,
            // A remark, or a check for what the server does not claim to do.
            "INFO" | "SKIPPED" => {}
            status => self.failed.push(format!(
                "{scenario}:{} {status}: {}",
                text("id"),
                text("errorMessage")
            )),
        }
    }

    fn is_all_of(&self, set: &Set) -> bool {
        self.failed.is_empty() && self.passed == set.checks
    }
}

impl std::fmt::Display for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.passed + self.failed.len();
        writeln!(f, "{} of {all} checks passed; failed:", self.passed)?;
        self.failed
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// `tools-list` of `server-tools-list-2026-11-24T02-42-42-470Z`.
fn scenario(directory: &str) -> &str {
    const TIME: usize = "-2026-11-24T02-42-42-470Z".len();
    let name = directory.strip_prefix("server-").unwrap_or(directory);
    name.len()
        .checked_sub(TIME)
        .and_then(|end| name.get(..end))
        .unwrap_or(name)
}
