//! What the log says of a call that its server did not answer: who asked for what, as whom, and why nothing came.
//!
//! Invariant: nothing of a call's arguments is said, and nothing at all of a call that was answered, whatever the answer.

use std::fmt::Display;

use crate::binding::Scope;
use crate::model::{AccountId, Subject};
use crate::policy::Denied;
use crate::upstream::Failure;

use super::error::explain;

/// No answer came.
pub(super) fn failed(scope: &Scope, subject: &Subject, failure: &Failure) {
    note(
        scope,
        failure.account(),
        subject,
        explain(failure).0,
        failure,
    );
}

/// A rule said no.
pub(super) fn denied(scope: &Scope, denied: &Denied) {
    let (account, subject) = (&denied.account, &denied.subject);
    let why = format!("{account} does not allow it ({})", denied.rule);
    note(scope, account, subject, "denied", &why);
}

/// An agent repeats what fails, so that it is damped as all warnings are.
fn note(scope: &Scope, account: &AccountId, subject: &Subject, code: &str, why: &dyn Display) {
    let client = scope.client().map(tracing::field::display);
    let tool = match subject {
        Subject::Tool(name) => Some(name.as_str()),
        _ => None,
    };
    tracing::warn!(%account, profile = %scope.profile(), client, tool, code, "{subject}: {why}");
}
