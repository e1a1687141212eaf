//! Programs of others that the tests run, which `tests/run` installs. A test without its tools is skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{env, skip};

/// What is installed.
#[derive(Debug)]
pub(crate) struct Tools {
    root: PathBuf,
}

/// What a test needs of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    Npm,
    Python,
}

impl Tools {
    /// The tools, if those from npm are there.
    pub(crate) fn npm(test: &str) -> Option<Self> {
        Self::with(test, &[Need::Npm])
    }

    /// The tools, if those for Python are there.
    pub(crate) fn python(test: &str) -> Option<Self> {
        Self::with(test, &[Need::Python])
    }

    /// The tools, if those from both are there.
    pub(crate) fn all(test: &str) -> Option<Self> {
        Self::with(test, &[Need::Npm, Need::Python])
    }

    fn with(test: &str, needs: &[Need]) -> Option<Self> {
        let root = env("JANUS_TEST_TOOLS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools"),
            PathBuf::from,
        );
        for need in needs {
            // Written last: what was installed in part is not installed.
            let (stamp, name) = match need {
                Need::Npm => ("npm/stamp", "the packages from npm"),
                Need::Python => ("py/stamp", "the Python packages"),
            };
            if !root.join(stamp).exists() {
                skip(test, &format!("{name}: not installed; run tests/run"));
                return None;
            }
        }
        Some(Self { root })
    }

    /// The tools of both, and a browser with somebody in front of it, as the words of a command that lacks the URL.
    pub(crate) fn browser(test: &str, person: &str) -> Option<(Self, Vec<String>)> {
        let tools = Self::all(test)?;
        let path = env("PATH").unwrap_or_default();
        let mut places = std::env::split_paths(&path).map(|place| place.join("chromium"));
        let Some(chromium) = places.find(|program| program.exists()) else {
            skip(test, "chromium: not installed; run tests/run");
            return None;
        };
        let [node, script] = tools.words("clients/browser.mjs");
        let words = [node, script, text(&chromium), person.to_owned()];
        Some((tools, words.to_vec()))
    }

    /// A script of a package, as Node.js runs it.
    pub(crate) fn package(&self, script: &str) -> [String; 2] {
        let script = self.root.join("npm/node_modules").join(script);
        [self.path("npm/node"), text(&script)]
    }

    /// A script of a package, ready to run.
    pub(crate) fn node_package(&self, script: &str) -> Command {
        let [node, script] = self.package(script);
        let mut command = Command::new(node);
        command.arg(script);
        command
    }

    /// Where they are: `JANUS_TEST_TOOLS` of the scripts.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A script of the tests, `.py` or `.mjs`, ready to run by its interpreter.
    pub(crate) fn script(&self, script: &str) -> Command {
        let [interpreter, script] = self.words(script);
        let mut command = Command::new(interpreter);
        command
            .arg(script)
            .env("JANUS_TEST_TOOLS", &self.root)
            // The scripts lie in the source tree, which stays as it is.
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// The interpreter of a script of the tests, and the script.
    pub(crate) fn words(&self, script: &str) -> [String; 2] {
        let interpreter = match Path::new(script).extension().and_then(|e| e.to_str()) {
            Some("py") => "py/bin/python",
            Some("mjs") => "npm/node",
            _ => panic!("what runs {script}?"),
        };
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        [self.path(interpreter), text(&tests.join(script))]
    }

    fn path(&self, below: &str) -> String {
        text(&self.root.join(below))
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}
