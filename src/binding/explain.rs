//! Why a scope is what it is: the resolver's own steps, for people.

use crate::model::Written;

use super::{Refused, Rule, Scope};

/// How a scope was found, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Every rule that was looked at, in order.
    pub steps: Vec<Step>,
    /// What came of it.
    pub outcome: Result<Scope, Refused>,
}

/// What one rule had to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The rule.
    pub rule: Rule,
    /// What it found.
    pub found: String,
    /// Whether it decided.
    pub decides: bool,
    /// Where the rule that decided is written.
    pub written: Option<Written>,
}

/// Takes the steps down, where somebody wants them: a request does not.
pub(super) struct Trace<'a>(pub(super) Option<&'a mut Vec<Step>>);

impl Trace<'_> {
    pub(super) fn passed(&mut self, rule: Rule, found: impl FnOnce() -> String) {
        self.step(rule, found, false, None);
    }

    pub(super) fn decided(
        &mut self,
        rule: Rule,
        found: impl FnOnce() -> String,
        written: &Written,
    ) {
        self.step(rule, found, true, Some(written));
    }

    fn step(
        &mut self,
        rule: Rule,
        found: impl FnOnce() -> String,
        decides: bool,
        written: Option<&Written>,
    ) {
        if let Some(steps) = &mut self.0 {
            steps.push(Step {
                rule,
                found: found(),
                decides,
                written: written.filter(|written| written.line > 0).cloned(),
            });
        }
    }
}
