//! A server that gave no answer: whether anything was sent, and who mends it.

use serde_json::{Value, json};

use super::told;
use crate::account;
use crate::credential::{USE_THE_DAEMON, stands_alone};
use crate::model::AccountId;
use crate::protocol::Outcome;
use crate::telemetry::redact;
use crate::upstream::{Failure, State};

/// A request that got no answer from its server.
pub(in crate::gateway) fn failed(method: &str, failure: &Failure) -> Outcome {
    // A reason may quote a server, and servers quote what they were sent.
    told(method, &redact(&sentence(failure)), &explained(failure))
}

/// The fixed word for a failure, the same in results, at the command line and in the log.
pub(in crate::gateway) fn word(failure: &Failure) -> &'static str {
    match failure {
        Failure::Unreachable { .. }
        | Failure::BadAnswer { .. }
        | Failure::SessionUnknown { .. }
        | Failure::Stopping { .. } => "unavailable",
        Failure::Rejected { .. } => "rejected",
        Failure::NeedsScope { .. } => "needs_login",
        Failure::NoCredential { why, .. } => why.code(),
        Failure::Interrupted { .. } => "outcome_unknown",
        Failure::TimedOut { .. } => "timed_out",
    }
}

/// The code of a failure, and the commands that mend it, for people at a command line.
pub fn explain(failure: &Failure) -> (&'static str, Vec<String>) {
    let help = match failure {
        Failure::NoCredential { why, account } => vec![why.help(account)],
        Failure::NeedsScope { account, .. } => vec![format!("janus login {account}")],
        Failure::Rejected { .. } => vec![
            "janus secret list        # which secret it uses, and how old that is".to_owned(),
            "janus secret set NAME    # a newer one".to_owned(),
        ],
        Failure::Unreachable { account, .. } => vec![logs(account)],
        _ => Vec::new(),
    };
    (word(failure), help)
}

/// Where a person reads what a server said, and what Janus did about it.
fn logs(account: &AccountId) -> String {
    format!("janus logs --server {}", account.server())
}

/// An account that a list has nothing of, for people at a command line: why, and the command that helps.
pub(in crate::gateway) fn missing(account: &AccountId, state: &State) -> Value {
    let word = account::state(state);
    let Some(failure) = state.failure(account) else {
        let said = match state {
            State::Ready { .. } => "its lists are still being read",
            _ => "it is still starting",
        };
        let said = format!("{account} is not listed yet: {said}");
        return json!({"account": account.to_string(), "state": word, "said": said, "help": logs(account)});
    };
    let help = match &failure {
        Failure::Rejected { .. } => format!("janus account verify {account}"),
        failure => explain(failure)
            .1
            .into_iter()
            .next()
            .unwrap_or_else(|| logs(account)),
    };
    let mut said = explained(&failure);
    if let Some(members) = said.as_object_mut() {
        members.insert("state".to_owned(), word.into());
        members.insert("said".to_owned(), redact(&failure.to_string()).into());
        members.insert("help".to_owned(), help.into());
    }
    said
}

/// Accounts that could not be looked into, for a client: which, and why in a word.
pub(in crate::gateway) fn not_up(failures: &[Failure]) -> Value {
    failures.iter().map(explained).collect()
}

fn explained(failure: &Failure) -> Value {
    let retry_after = match failure {
        Failure::Unreachable { retry_in, .. } => retry_in.map(|wait| wait.as_secs().max(1)),
        Failure::NoCredential { why, .. } => why.retry_in(),
        _ => None,
    };
    let mut data = json!({"code": word(failure), "account": failure.account().to_string(), "sent": failure.sent()});
    if let (Some(seconds), Some(members)) = (retry_after, data.as_object_mut()) {
        members.insert("retry_after".to_owned(), seconds.into());
    }
    if let (Failure::Unreachable { account, .. }, Some(members), false) =
        (failure, data.as_object_mut(), stands_alone())
    {
        members.insert("help".to_owned(), logs(account).into());
    }
    data
}

/// What a person or a model reads of a failure: the fact, what was sent, what to do.
fn sentence(failure: &Failure) -> String {
    let advice = match failure {
        // No command reaches this process.
        Failure::Unreachable { retry_in, .. } if stands_alone() => {
            let again =
                retry_in.map(|wait| format!(" Janus tries again in {} s.", wait.as_secs().max(1)));
            format!(
                "Nothing was sent.{} Its standard error says more.",
                again.unwrap_or_default()
            )
        }
        Failure::Rejected { .. } if stands_alone() => {
            "Nothing ran. A person corrects its credential in the configuration.".to_owned()
        }
        Failure::NeedsScope { .. } if stands_alone() => {
            format!("Nothing ran. A person must: {USE_THE_DAEMON}")
        }
        Failure::Unreachable {
            retry_in: Some(wait),
            account,
            ..
        } => format!(
            "Nothing was sent. Janus tries again in {} s. A person sees more with: {}",
            wait.as_secs().max(1),
            logs(account)
        ),
        Failure::Unreachable { account, .. } => format!(
            "Nothing was sent. A person sees more with: {}",
            logs(account)
        ),
        Failure::SessionUnknown { .. } | Failure::Stopping { .. } => "Nothing was sent.".to_owned(),
        Failure::Rejected { account, .. } => format!(
            "Nothing ran. A person checks its credential with: janus account verify {account}"
        ),
        Failure::NeedsScope { account, .. } => {
            format!("Nothing ran. A person grants it with: janus login {account}")
        }
        Failure::NoCredential { why, .. } if why.retry_in().is_some() => {
            "Nothing was sent. No other account was used instead.".to_owned()
        }
        Failure::NoCredential { account, why } => {
            format!(
                "Nothing was sent. A person mends it with: {}",
                why.help(account)
            )
        }
        Failure::Interrupted { .. } => {
            "It may or may not have happened. Check before you repeat it.".to_owned()
        }
        Failure::TimedOut { .. } => {
            "It was cancelled, but it may have happened. Check before you repeat it.".to_owned()
        }
        Failure::BadAnswer { .. } => {
            "The call reached the server. Check before you repeat it.".to_owned()
        }
    };
    format!("{failure}. {advice}")
}
