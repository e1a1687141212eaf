//! Runs the suite and reads what it found.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Process, Tools};

/// Every check of a run, in the order of the scenarios.
pub(super) struct Checks(Vec<Check>);

struct Check {
    /// `scenario:check`
    name: String,
    status: String,
    why: String,
}

impl Checks {
    /// Runs the set of a revision against a server.
    pub(super) fn run(tools: &Tools, revision: &str, url: &str) -> Self {
        let out = TempDir::new().unwrap();
        let mut command = tools.node_package("@modelcontextprotocol/conformance/dist/index.js");
        command
            .args(["server", "--url", url, "--requirements", revision, "-o"])
            .arg(out.path());
        // Its exit code says nothing of the scenarios it does not score; the checks do.
        let ended = Process::run("conformance", &mut command);
        let checks = Self::read(out.path());
        assert!(
            checks.passed() > 0,
            "the suite did not run:\n{}{}",
            ended.stdout,
            ended.stderr
        );
        checks
    }

    /// Reads `server-SCENARIO-TIME/checks.json` of every scenario.
    fn read(out: &Path) -> Self {
        let mut scenarios: Vec<_> = fs::read_dir(out)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        scenarios.sort();
        let mut checks = Vec::new();
        for path in scenarios {
            let text = fs::read_to_string(path.join("checks.json")).unwrap();
            let found: Vec<Value> = serde_json::from_str(&text).unwrap();
            let scenario = scenario(path.file_name().unwrap().to_str().unwrap());
            checks.extend(found.iter().map(|check| Check::of(scenario, check)));
        }
        Self(checks)
    }

    pub(super) fn passed(&self) -> usize {
        self.0.iter().filter(|check| check.passed()).count()
    }

    /// The names of those that failed.
    pub(super) fn failed(&self) -> BTreeSet<&str> {
        let failed = self.0.iter().filter(|check| check.failed());
        failed.map(|check| check.name.as_str()).collect()
    }

    /// Whether a check was made, and passed each time.
    pub(super) fn has_passed(&self, name: &str) -> bool {
        let mut made = self.0.iter().filter(|check| check.name == name).peekable();
        made.peek().is_some() && made.all(Check::passed)
    }
}

impl Check {
    fn of(scenario: &str, check: &Value) -> Self {
        let text = |key: &str| check[key].as_str().unwrap_or_default();
        Self {
            name: format!("{scenario}:{}", text("id")),
            status: text("status").to_owned(),
            why: text("errorMessage").to_owned(),
        }
    }

    fn passed(&self) -> bool {
        self.status == "SUCCESS"
    }

    fn failed(&self) -> bool {
        // A remark, or a check for what the server does not claim to do.
        !self.passed() && !matches!(self.status.as_str(), "INFO" | "SKIPPED")
    }
}

impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} checks passed; failed:", self.passed())?;
        let mut failed = self.0.iter().filter(|check| check.failed());
        failed.try_for_each(|check| writeln!(f, "  {} {}: {}", check.name, check.status, check.why))
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
