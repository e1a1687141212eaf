//! The only mapping from what went wrong to what a client reads.
//!
//! A failed tool call is a result with `isError`, so that the model can read it and do something else; everything
//! else is a JSON-RPC error. The text has at most four short sentences: the fact, what was sent, what to do.
//!
//! `choice` tells of an account that could not be chosen, `login` of one that a person must log in to, `failure` of a
//! server that gave no answer; what is left is here.

mod choice;
mod failure;
mod login;

use serde_json::{Value, json};

use crate::model::AccountId;
use crate::policy::Denied;
use crate::protocol::{Json, Outcome, RpcError, code};

pub(super) use self::choice::{choice_text, no_choice};
pub use self::failure::explain;
pub(super) use self::failure::{failed, missing, not_up, word};
pub(super) use self::login::{Login, Way, login_reason, needs_login, never_granted};

/// The method is not served in this view.
pub(super) fn method_not_found(method: &str) -> RpcError {
    let method: String = method.chars().take(100).collect();
    RpcError::new(
        code::METHOD_NOT_FOUND,
        format!("method `{method}` is not served here"),
    )
}

/// The parameters are not what the method needs.
pub(super) fn invalid_params(message: impl Into<String>) -> Outcome {
    Outcome::Error(RpcError::new(code::INVALID_PARAMS, message))
}

/// Longer names are not compared with those that are there.
const LONGEST_NAME: usize = 128;

/// A name that is not in the list.
pub(super) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Outcome {
    let shown: String = name.chars().take(200).collect();
    // Likeness costs the product of the lengths: nobody means a name by one that is far longer.
    let known = known.into_iter().filter(|_| name.len() <= LONGEST_NAME);
    let meant = known
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(candidate, name),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness > 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = meant.map_or_else(String::new, |(_, candidate)| {
        format!("; did you mean `{candidate}`?")
    });
    invalid_params(format!("there is no {what} `{shown}` here{hint}"))
}

/// A request that a rule refused.
pub(super) fn denied(method: &str, denied: &Denied) -> Outcome {
    let text =
        format!("{denied}. Nothing was sent. A person set this rule; do not look for another way.");
    told(
        method,
        &text,
        &json!({"code": "denied", "account": denied.account.to_string(), "sent": false, "rule": denied.rule}),
    )
}

/// What a client's and a server's reason may have at most in a message of ours.
const LONGEST_REASON: usize = 500;
/// Longer than browsers take.
const LONGEST_LINK: usize = 8 * 1024;

/// A task would have to be translated between the eras.
pub(super) fn not_translated(method: &str, account: &AccountId, what: &str) -> Outcome {
    let text = format!(
        "{account} {what}, and this client speaks the other era of MCP, which has none of that kind. Use a client of the server's era."
    );
    told(
        method,
        &text,
        &json!({"code": "unavailable", "account": account.to_string(), "sent": true}),
    )
}

/// The server waits for an answer that it does not get. What ran before it asked is not undone.
pub(super) fn unanswered(method: &str, account: &AccountId, why: &str) -> Outcome {
    let why: String = why.chars().take(LONGEST_REASON).collect();
    let text = format!(
        "{account} asked something before it would go on, and got no answer: {why}. The call did not end; what it did before it asked is done."
    );
    told(
        method,
        &text,
        &json!({"code": "unanswered", "account": account.to_string(), "sent": true}),
    )
}

/// The server wants a person to open a link, and the client cannot ask for that.
pub(super) fn link(method: &str, account: &AccountId, url: &str, message: &str) -> Outcome {
    let message: String = message.chars().take(LONGEST_REASON).collect();
    let url: String = url.chars().take(LONGEST_LINK).collect();
    let text = format!(
        "{account} wants a person to open {url} first: {message} Nothing ran. Call again when that is done."
    );
    let data =
        json!({"code": "needs_link", "account": account.to_string(), "sent": true, "url": url});
    told(method, &text, &data)
}

fn told(method: &str, text: &str, data: &Value) -> Outcome {
    told_with(method, text, data, None)
}

/// The same with another key of `_meta`; an error, which has none, has it in its data.
fn told_with(method: &str, text: &str, data: &Value, more: Option<(&str, &Value)>) -> Outcome {
    if method == "tools/call" {
        let mut meta = serde_json::Map::new();
        meta.insert("dev.janus/error".to_owned(), data.clone());
        meta.extend(more.map(|(key, value)| (key.to_owned(), value.clone())));
        let result =
            json!({"content": [{"type": "text", "text": text}], "isError": true, "_meta": meta});
        return Outcome::Result {
            result: Json::of(&result),
            cache: None,
        };
    }
    let mut data = data.clone();
    if let (Some((key, value)), Some(members)) = (more, data.as_object_mut()) {
        members.insert(key.to_owned(), value.clone());
    }
    Outcome::Error(RpcError::new(code::INTERNAL_ERROR, text).with_data(&data))
}
