//! Runs the suite and reads what it found.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

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

    /// Runs the set of a revision against a client, which gets the URL of a server as its last argument. Also gives what
    /// the client said in each scenario that it did not play to its end.
    pub(super) fn of_client(tools: &Tools, revision: &str, client: &Path) -> (Self, String) {
        let out = TempDir::new().unwrap();
        let mut command = tools.node_package("@modelcontextprotocol/conformance/dist/index.js");
        // Dozens at once on a loaded machine: each takes as long as all.
        command
            .args(["client", "--requirements", revision, "--timeout", "240000"])
            .arg("--command")
            .arg(client)
            .arg("-o")
            .arg(out.path());
        let ended = Process::run("conformance", &mut command);
        let checks = Self::read(out.path());
        let (stdout, stderr) = (ended.stdout, ended.stderr);
        assert!(checks.passed() > 0, "it did not run:\n{stdout}{stderr}");
        let mut said = String::new();
        for path in scenarios(out.path()) {
            let text = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
            let (stdout, stderr) = (text("stdout.txt"), text("stderr.txt"));
            if stdout.trim_end() != "done" {
                let name = path.strip_prefix(out.path()).unwrap().display();
                writeln!(said, "== {name}\n{stdout}\n{stderr}").unwrap();
            }
        }
        (checks, said)
    }

    /// Reads `checks.json` of every scenario.
    fn read(out: &Path) -> Self {
        let mut checks = Vec::new();
        for path in scenarios(out) {
            let text = fs::read_to_string(path.join("checks.json")).unwrap();
            let found: Vec<Value> = serde_json::from_str(&text).unwrap();
            let name = path.strip_prefix(out).unwrap().to_str().unwrap();
            let scenario = scenario(name);
            checks.extend(found.iter().map(|check| Check::of(scenario, check)));
        }
        Self(checks)
    }

    /// The scenarios that were played.
    pub(super) fn scenarios(&self) -> BTreeSet<&str> {
        let names = self.0.iter().map(|check| check.name.rsplit_once(':'));
        names.flatten().map(|(scenario, _)| scenario).collect()
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

/// The directories of all scenarios: `server-SCENARIO-TIME`, and for clients `SCENARIO-TIME`, in which may be a slash.
fn scenarios(out: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(out).unwrap() {
        let path = entry.unwrap().path();
        if path.join("checks.json").exists() {
            found.push(path);
        } else if path.is_dir() {
            found.extend(scenarios(&path));
        }
    }
    found.sort();
    found
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
