//! The only mapping from what went wrong to what a client reads.
//!
//! A failed tool call is a result with `isError`, so that the model can read it and do something else; everything
//! else is a JSON-RPC error. The text has at most four short sentences: the fact, what was sent, what to do.

use std::time::SystemTime;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::account::login::Pending;
use crate::account::{LoginReason, host_name};
use crate::binding::{NoChoice, ResolvedFrom, Scope};
use crate::model::{AccountId, AccountName, Switching};
use crate::policy::Denied;
use crate::protocol::{Json, Outcome, RpcError, code};
use crate::telemetry::redact;
use crate::upstream::Failure;

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

/// A name that may be one of a server whose lists are not known.
pub(super) fn not_listed_yet(method: &str, account: &AccountId, state: &str) -> Outcome {
    let text = format!(
        "{account} was not reached yet ({state}), so what it has is not known. Nothing was sent. A person sees why with: janus status"
    );
    let data = json!({"code": "unavailable", "account": account.to_string(), "sent": false});
    told(method, &text, &data)
}

/// A request that got no answer from its server.
pub(super) fn failed(method: &str, failure: &Failure) -> Outcome {
    // A reason may quote a server, and servers quote what they were sent.
    told(method, &redact(&sentence(failure)), &explained(failure))
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

/// Nothing says which account is meant, or what says so cannot be followed. `argument` is what the tool calls its word
/// for it.
pub(super) fn no_choice(
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
pub(super) fn choice_text(
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

/// A login that a person must do.
pub(super) struct Login<'a> {
    /// For which account.
    pub(super) account: &'a AccountId,
    /// Why.
    pub(super) reason: LoginReason,
    /// The scopes that the server wants; empty where it is not about that.
    pub(super) scope: &'a str,
    /// Since when.
    pub(super) since: Option<SystemTime>,
    /// The server was asked, and did nothing.
    pub(super) asked: bool,
    /// How a person gets there.
    pub(super) way: Way,
}

/// How a person gets to a login.
#[expect(
    clippy::large_enum_variant,
    reason = "made once, and the large one is the common one"
)]
pub(super) enum Way {
    /// It waits.
    Pending(Pending),
    /// There is none, and why.
    None {
        /// In words.
        why: String,
        /// The command or the line that mends it.
        help: Option<String>,
    },
}

/// Why a login is needed, in words.
pub(super) fn login_reason(reason: LoginReason, scope: &str) -> String {
    if scope.is_empty() {
        reason.told().to_owned()
    } else {
        format!("{}: {scope}", reason.told())
    }
}

/// A login is needed before this can be done.
pub(super) fn needs_login(method: &str, login: &Login<'_>) -> Outcome {
    let account = login.account;
    let since = login.since.and_then(moment);
    let since = since.map_or_else(String::new, |since| format!(" ({since})"));
    let why = login_reason(login.reason, login.scope);
    let sent = if login.asked {
        "Nothing ran at the server."
    } else {
        "Nothing was sent to the server."
    };
    let text = format!(
        "{account} needs a login: {why}{since}. {} {sent} Repeat the call afterwards.",
        login.way.words(account)
    );
    let data = json!({
        "code": "needs_login",
        "account": account.to_string(),
        "sent": false,
        "command": format!("janus login {account}"),
    });
    let state = json!({
        "account": account.to_string(),
        "state": login.way.state(),
        "url": login.way.link(),
        "expires_in": login.way.expires_in(),
        "reason": login.reason.word(),
    });
    // What went wrong may quote a server.
    told_with(
        method,
        &redact(&text),
        &data,
        Some(("dev.janus/login", &state)),
    )
}

/// The server wants what no login has brought.
pub(super) fn never_granted(method: &str, failure: &Failure, times: u8) -> Outcome {
    let account = failure.account();
    let text = format!(
        "{failure}. Nothing ran. {times} logins did not bring it, so no other one is asked for: the provider does not grant it to this person, or the configuration does not ask for it (auth.oauth.scopes)."
    );
    let data = json!({"code": "rejected", "account": account.to_string(), "sent": false});
    told(method, &redact(&text), &data)
}

impl Way {
    /// What a person does.
    pub(super) fn words(&self, account: &AccountId) -> String {
        let host = host_name();
        match self {
            Self::Pending(pending) => {
                let who = pending.expected.as_deref();
                let who = who.map_or_else(String::new, |who| format!(" as {who}"));
                if let Some((code, address)) = pending.code() {
                    return format!(
                        "Open {address} on any device{who} and type {code}, or run on {host}: janus login {account}."
                    );
                }
                match pending.link() {
                    Some(link) if link == pending.page => {
                        format!("Open {link} on {host}{who}, or run there: janus login {account}.")
                    }
                    Some(link) => format!(
                        "Open {link} in any browser{who}; the address on which it ends is pasted on {host} into: janus login {account} --paste."
                    ),
                    // A person says yes first, and nothing else here asks.
                    None => format!("A person logs in{who} on {host} with: janus login {account}."),
                }
            }
            Self::None { why, help } => {
                let why: String = why.chars().take(LONGEST_REASON).collect();
                let help = help.clone();
                let help = help.unwrap_or_else(|| format!("janus login {account}"));
                format!("None is under way: {why}. A person mends it on {host} with: {help}.")
            }
        }
    }

    /// The word for it.
    pub(super) fn state(&self) -> &'static str {
        match self {
            Self::Pending(_) => "waiting",
            Self::None { .. } => "failed",
        }
    }

    /// The link for people.
    pub(super) fn link(&self) -> Option<&str> {
        match self {
            Self::Pending(pending) => match pending.code() {
                Some((_, address)) => Some(address),
                None => pending.link(),
            },
            Self::None { .. } => None,
        }
    }

    /// How long it is good for, in seconds.
    pub(super) fn expires_in(&self) -> Option<u64> {
        match self {
            Self::Pending(pending) => Some(pending.left.as_secs()),
            Self::None { .. } => None,
        }
    }
}

/// A moment as people of this machine read it.
fn moment(at: SystemTime) -> Option<String> {
    let at = jiff::Timestamp::try_from(at).ok()?;
    let at = at.to_zoned_datetime(TimeZone::system());
    Some(at.strftime("%-d %b %H:%M").to_string())
}

/// The fixed word for a failure, the same in results, at the command line and in the log.
fn word(failure: &Failure) -> &'static str {
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
        _ => Vec::new(),
    };
    (word(failure), help)
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
    data
}

/// What a person or a model reads of a failure: the fact, what was sent, what to do.
fn sentence(failure: &Failure) -> String {
    let advice = match failure {
        Failure::Unreachable {
            retry_in: Some(wait),
            ..
        } => {
            format!(
                "Nothing was sent. Janus tries again in {} s.",
                wait.as_secs().max(1)
            )
        }
        Failure::Unreachable { .. } | Failure::SessionUnknown { .. } | Failure::Stopping { .. } => {
            "Nothing was sent.".to_owned()
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{AccountName, OpenBrowser, ServerName};

    fn account() -> AccountId {
        AccountId::new(
            ServerName::new("github").unwrap(),
            AccountName::new("client_a").unwrap(),
        )
    }

    fn pending() -> Pending {
        Pending {
            id: "7f3k9q".to_owned(),
            account: account(),
            url: "https://github.example/authorize?state=x".to_owned(),
            page: "http://127.0.0.1:7332/login/7f3k9q".to_owned(),
            host: "github.example".to_owned(),
            foreign: false,
            moved: None,
            expected: Some("me@client-a.example".to_owned()),
            scopes: Vec::new(),
            new_scopes: Vec::new(),
            agreed: false,
            again: true,
            redirect_uri: Some("http://127.0.0.1:7334/callback".to_owned()),
            device: None,
            open_browser: OpenBrowser::Auto,
            browser_command: None,
            left: Duration::from_secs(590),
        }
    }

    fn text(way: Way, reason: LoginReason, scope: &str) -> (String, Value) {
        let account = account();
        let login = Login {
            account: &account,
            reason,
            scope,
            since: None,
            asked: reason == LoginReason::Scope,
            way,
        };
        let Outcome::Result { result, .. } = needs_login("tools/call", &login) else {
            panic!("a result");
        };
        let result: Value = serde_json::from_str(result.as_str()).unwrap();
        let text = result["content"][0]["text"].as_str().unwrap().to_owned();
        (
            text.replace(host_name(), "HOST"),
            result["_meta"]["dev.janus/login"].clone(),
        )
    }

    #[test]
    fn a_login_is_told_in_four_sentences_with_the_link_that_leads_there() {
        let (said, login) = text(Way::Pending(pending()), LoginReason::Rejected, "");
        assert_eq!(
            said,
            "github/client_a needs a login: the provider ended the earlier one. Open http://127.0.0.1:7332/login/7f3k9q on HOST as me@client-a.example, or run there: janus login github/client_a. Nothing was sent to the server. Repeat the call afterwards."
        );
        assert_eq!(
            login,
            json!({"account": "github/client_a", "state": "waiting", "url": "http://127.0.0.1:7332/login/7f3k9q", "expires_in": 590, "reason": "rejected"})
        );
        let elsewhere = Pending {
            open_browser: OpenBrowser::Never,
            ..pending()
        };
        let (said, login) = text(Way::Pending(elsewhere), LoginReason::Scope, "repo");
        assert_eq!(
            said,
            "github/client_a needs a login: the server wants a permission that was not granted: repo. Open https://github.example/authorize?state=x in any browser as me@client-a.example; the address on which it ends is pasted on HOST into: janus login github/client_a --paste. Nothing ran at the server. Repeat the call afterwards."
        );
        assert_eq!(login["url"], "https://github.example/authorize?state=x");
        let device = Pending {
            device: Some((
                "ABCD-EFGH".to_owned(),
                "https://github.example/device".to_owned(),
            )),
            expected: None,
            ..pending()
        };
        let (said, login) = text(Way::Pending(device), LoginReason::Never, "");
        assert!(said.contains("Open https://github.example/device on any device and type ABCD-EFGH, or run on HOST: "), "{said}");
        assert_eq!(login["url"], "https://github.example/device");
    }

    #[test]
    fn what_needs_a_yes_is_led_to_by_the_page_or_the_command_alone() {
        let foreign = Pending {
            foreign: true,
            ..pending()
        };
        let more = Pending {
            new_scopes: vec!["repo".to_owned()],
            ..pending()
        };
        let moved = Pending {
            moved: Some(("b.example".to_owned(), "a.example".to_owned())),
            ..pending()
        };
        for asked in [foreign, more, moved] {
            for device in [
                None,
                Some((
                    "ABCD-EFGH".to_owned(),
                    "https://github.example/device".to_owned(),
                )),
            ] {
                let asked = Pending {
                    device,
                    open_browser: OpenBrowser::Never,
                    ..asked.clone()
                };
                let (said, login) = text(Way::Pending(asked.clone()), LoginReason::Never, "");
                assert_eq!(login["url"], asked.page, "{said}");
                assert!(
                    !said.contains("github.example") && !said.contains("ABCD"),
                    "{said}"
                );
                let without_pages = Pending {
                    page: asked.url.clone(),
                    ..asked
                };
                let (said, login) = text(Way::Pending(without_pages), LoginReason::Never, "");
                assert_eq!(login["url"], Value::Null, "{said}");
                assert!(
                    !said.contains("github.example") && !said.contains("ABCD"),
                    "{said}"
                );
                assert!(
                    said.contains("on HOST with: janus login github/client_a."),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn a_login_that_cannot_begin_says_why_and_how_that_is_mended() {
        let way = Way::None {
            why: "x".repeat(2000),
            help: Some("janus status".to_owned()),
        };
        let (said, login) = text(way, LoginReason::Never, "");
        assert!(
            said.len() < 900 && said.contains("mends it on HOST with: janus status. "),
            "{said}"
        );
        assert_eq!(
            (&login["state"], &login["url"]),
            (&json!("failed"), &Value::Null)
        );
    }
}
