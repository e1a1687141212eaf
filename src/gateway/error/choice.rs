//! An account that could not be chosen: which there are, and who chooses.

use serde_json::{Value, json};

use super::told;
use crate::binding::{NoChoice, ResolvedFrom, Scope};
use crate::model::{AccountName, Switching};
use crate::protocol::Outcome;

/// Nothing says which account is meant, or what says so cannot be followed. `argument` is what the tool calls its word
/// for it.
pub(in crate::gateway) fn no_choice(
    method: &str,
    scope: &Scope,
    why: &NoChoice,
    argument: Option<&str>,
) -> Outcome {
    let (code, text) = choice_text(scope, why, argument);
    told(
        method,
        &text,
        &json!({"code": code, "account": Value::Null, "sent": false}),
    )
}

/// The code and the sentence of a choice that could not be made.
pub(in crate::gateway) fn choice_text(
    scope: &Scope,
    why: &NoChoice,
    argument: Option<&str>,
) -> (&'static str, String) {
    let again = match argument {
        Some(argument) => format!("Call again with \"{argument}\" set to one of them"),
        None => "Call \"janus_with_account\" with one of them".to_owned(),
    };
    let sure = "if it is not clear which, ask the person";
    match why {
        NoChoice::OutOfScope(server) => (
            "unknown_account",
            format!(
                "{server} is not in profile {}. Nothing was sent.",
                scope.profile()
            ),
        ),
        NoChoice::Ambiguous { server, accounts } if scope.switching() == Switching::Off => (
            "ambiguous_account",
            format!(
                "{server} has several accounts here: {}. Nothing was sent. Switching is off, so a person must set the default: servers.{server}.default in the configuration.",
                names(accounts)
            ),
        ),
        NoChoice::Ambiguous { server, accounts } => (
            "ambiguous_account",
            format!(
                "{server} has several accounts here: {}. Nothing was sent. {again}; {sure}.",
                names(accounts)
            ),
        ),
        NoChoice::Unknown {
            server,
            named,
            accounts,
        } => (
            "unknown_account",
            format!(
                "{server} has no account \"{named}\" here; there are: {}. Nothing was sent. No other account was used instead.",
                names(accounts)
            ),
        ),
        NoChoice::Off { server } => (
            "switching_off",
            format!(
                "The account of {server} cannot be chosen: switching is off in profile {}. Nothing was sent. A person set this; call again without naming an account.",
                scope.profile()
            ),
        ),
        NoChoice::Stale {
            server,
            account,
            of,
            accounts,
        } => (
            "unknown_account",
            format!(
                "The {} chose {server}/{account}, which is not in reach any more; there are: {}. Nothing was sent. {}.",
                if *of == ResolvedFrom::Global {
                    "person"
                } else {
                    of.word()
                },
                names(accounts),
                if accounts.len() > 1 {
                    "Choose again with \"janus_use_account\", or name one in the call"
                } else {
                    "A person takes the choice back: janus session list, then janus use --clear"
                }
            ),
        ),
    }
}

fn names(accounts: &[AccountName]) -> String {
    let names: Vec<&str> = accounts.iter().map(AccountName::as_str).collect();
    names.join(", ")
}
