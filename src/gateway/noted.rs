//! What the log says of a call that its server did not answer: who asked for what, as whom, and why nothing came.
//!
//! Invariants:
//! - Nothing of a call's arguments is said, no address of a resource and no id of a task, and nothing at all of a call
//!   that was answered, whatever the answer.
//! - What a client chose is short and in one line, and as many names as it may try, its failures are told of as one.

use std::borrow::Cow;
use std::fmt::Display;

use crate::binding::Scope;
use crate::model::{AccountId, Subject};
use crate::policy::Denied;
use crate::protocol::Outcome;
use crate::telemetry::redact_cut;
use crate::upstream::Failure;

use super::error;

/// Names of tools are shorter.
const LONGEST: usize = 128;

/// No answer came: what the caller gets.
pub(super) fn failed(scope: &Scope, subject: &Subject, method: &str, failure: &Failure) -> Outcome {
    note_failed(scope, subject, failure);
    error::failed(method, failure)
}

/// The same, where the caller gets something else.
pub(super) fn note_failed(scope: &Scope, subject: &Subject, failure: &Failure) {
    note(
        scope,
        failure.account(),
        subject,
        error::word(failure),
        failure,
    );
}

/// A rule said no: what the caller gets.
pub(super) fn denied(scope: &Scope, method: &str, denied: &Denied) -> Outcome {
    let (account, subject) = (&denied.account, &denied.subject);
    let why = format!("{account} does not allow it ({})", denied.rule);
    note(scope, account, subject, "denied", &why);
    error::denied(method, denied)
}

/// An agent repeats what fails, so that it is damped as all warnings are: whatever tool it was, which is beside the text.
fn note(scope: &Scope, account: &AccountId, subject: &Subject, code: &str, why: &dyn Display) {
    let client = scope.client().map(tracing::field::display);
    let tool = match subject {
        Subject::Tool(name) => Some(line(name)),
        _ => None,
    };
    let (tool, call) = (tool.as_deref(), said(subject));
    tracing::warn!(%account, profile = %scope.profile(), client, tool, code, call, "{why}");
}

fn said(subject: &Subject) -> String {
    match subject {
        Subject::Tool(name) => format!("tool `{}`", line(name)),
        Subject::Prompt(name) | Subject::PromptCompletion(name) => {
            format!("prompt `{}`", line(name))
        }
        // What is in an address may be a password.
        Subject::Resource(_) | Subject::ResourceCompletion(_) => "a resource".to_owned(),
        Subject::Task(_) => "a task".to_owned(),
        Subject::Method(method) => line(method),
    }
}

/// The beginning of what somebody else wrote, in one line.
fn line(text: &str) -> String {
    let start: String = text.chars().take(LONGEST).collect();
    let start: Cow<'_, str> = if start.len() < text.len() {
        redact_cut(&start)
    } else {
        start.as_str().into()
    };
    start.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_chose_is_short_and_in_one_line() {
        let name = format!("a\nb\u{1b}[2J{}", "x".repeat(10_000_000));
        let told = said(&Subject::Tool(name));
        assert!(told.starts_with("tool `a b [2Jxxx"), "{told}");
        assert!(told.len() < 150, "{}", told.len());
    }

    #[test]
    fn no_address_and_no_id_is_told() {
        for subject in [
            Subject::Resource("postgres://u:canary@db/x".to_owned()),
            Subject::ResourceCompletion("https://h/f?sig=canary".to_owned()),
            Subject::Task("canary".to_owned()),
        ] {
            assert!(!said(&subject).contains("canary"), "{subject}");
        }
    }
}
