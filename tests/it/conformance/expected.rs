//! What a modern client cannot find at a legacy server, check by check. The list may only shrink.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use super::suite::Checks;

/// How many checks may be lacking that are not of an extension.
const MOST: usize = 5;

/// `scenario:check`, and why.
type Reasons = BTreeMap<String, String>;

/// The file `expected.yaml`; empty where everything passes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    extension: Reasons,
    idiom: Reasons,
    uncounted: Reasons,
}

impl Expected {
    pub(super) fn read() -> Self {
        let expected: Self = serde_yaml::from_str(include_str!("expected.yaml")).unwrap();
        assert!(
            expected.idiom.len() <= MOST,
            "more than {MOST} are listed: {:?}",
            expected.idiom
        );
        for name in expected.extension.keys().chain(expected.uncounted.keys()) {
            assert!(name.starts_with("tasks-"), "{name} is of no extension");
        }
        for (name, reason) in expected.all() {
            assert!(!reason.is_empty(), "{name} has no reason");
        }
        expected
    }

    /// How many of the set's checks do not pass.
    pub(super) fn lacking(&self) -> usize {
        self.extension.len() + self.idiom.len()
    }

    /// What is otherwise than listed, a line each.
    pub(super) fn against(&self, found: &Checks, checks: usize) -> String {
        let mut wrong = String::new();
        for name in found.failed() {
            if !self.all().any(|(listed, _)| listed == name) {
                writeln!(wrong, "{name} fails and is not listed").unwrap();
            }
        }
        for (name, _) in self.all().filter(|(name, _)| found.has_passed(name)) {
            writeln!(wrong, "{name} passes and is listed").unwrap();
        }
        // Those included that the suite did not come to.
        let (passed, lacking) = (found.passed(), self.lacking());
        if passed + lacking != checks {
            writeln!(
                wrong,
                "{passed} passed and {lacking} listed are not {checks}"
            )
            .unwrap();
        }
        wrong
    }

    fn all(&self) -> impl Iterator<Item = (&String, &String)> {
        let counted = self.extension.iter().chain(&self.idiom);
        counted.chain(&self.uncounted)
    }
}
