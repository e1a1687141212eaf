//! A login that a person must do: why, and how they get there.

use std::time::SystemTime;

use jiff::tz::TimeZone;
use serde_json::json;

use super::{LONGEST_REASON, told, told_with};
use crate::account::login::Pending;
use crate::account::{LoginReason, host_name};
use crate::credential::{USE_THE_DAEMON, stands_alone};
use crate::model::AccountId;
use crate::protocol::Outcome;
use crate::telemetry::redact;
use crate::upstream::Failure;

/// A login that a person must do.
pub(in crate::gateway) struct Login<'a> {
    /// For which account.
    pub(in crate::gateway) account: &'a AccountId,
    /// Why.
    pub(in crate::gateway) reason: LoginReason,
    /// The scopes that the server wants; empty where it is not about that.
    pub(in crate::gateway) scope: &'a str,
    /// Since when.
    pub(in crate::gateway) since: Option<SystemTime>,
    /// The server was asked, and did nothing.
    pub(in crate::gateway) asked: bool,
    /// How a person gets there.
    pub(in crate::gateway) way: Way,
}

/// How a person gets to a login.
#[expect(
    clippy::large_enum_variant,
    reason = "made once, and the large one is the common one"
)]
pub(in crate::gateway) enum Way {
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
pub(in crate::gateway) fn login_reason(reason: LoginReason, scope: &str) -> String {
    if scope.is_empty() {
        reason.told().to_owned()
    } else {
        format!("{}: {scope}", reason.told())
    }
}

/// A login is needed before this can be done.
pub(in crate::gateway) fn needs_login(method: &str, login: &Login<'_>) -> Outcome {
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
    // That command is the daemon's.
    let command = (!stands_alone()).then(|| format!("janus login {account}"));
    let data = json!({
        "code": "needs_login",
        "account": account.to_string(),
        "sent": false,
        "command": command,
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
pub(in crate::gateway) fn never_granted(method: &str, failure: &Failure, times: u8) -> Outcome {
    let account = failure.account();
    let text = format!(
        "{failure}. Nothing ran. {times} logins did not bring it, so no other one is asked for: the provider does not grant it to this person, or the configuration does not ask for it (auth.oauth.scopes)."
    );
    let data = json!({"code": "rejected", "account": account.to_string(), "sent": false});
    told(method, &redact(&text), &data)
}

impl Way {
    /// What a person does, and what they may have missed.
    pub(in crate::gateway) fn words(&self, account: &AccountId) -> String {
        let words = self.way(account);
        match self {
            Self::Pending(pending) if pending.is_silent() => format!(
                "{words} Nobody has come back for minutes: if the provider did not let them in, its page shows the reason."
            ),
            _ => words,
        }
    }

    fn way(&self, account: &AccountId) -> String {
        let host = host_name();
        if stands_alone() {
            return self.words_alone(host);
        }
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

    /// The same where no command reaches this process, and what a login brings ends with it.
    fn words_alone(&self, host: &str) -> String {
        let way = match self {
            Self::Pending(pending) => match (pending.code(), pending.link()) {
                (Some((code, address)), _) => {
                    format!("Open {address} on any device and type {code}")
                }
                (None, Some(link)) => format!("Open {link} in a browser on {host}"),
                (None, None) => "A person must agree to it first".to_owned(),
            },
            Self::None { why, .. } => {
                let why: String = why.chars().take(LONGEST_REASON).collect();
                format!("None is under way: {why}")
            }
        };
        format!("{way}. It lasts no longer than this process; to keep it, {USE_THE_DAEMON}.")
    }

    /// The word for it.
    pub(in crate::gateway) fn state(&self) -> &'static str {
        match self {
            Self::Pending(_) => "waiting",
            Self::None { .. } => "failed",
        }
    }

    /// The link for people.
    pub(in crate::gateway) fn link(&self) -> Option<&str> {
        match self {
            Self::Pending(pending) => match pending.code() {
                Some((_, address)) => Some(address),
                None => pending.link(),
            },
            Self::None { .. } => None,
        }
    }

    /// How long it is good for, in seconds.
    pub(in crate::gateway) fn expires_in(&self) -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

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
    fn after_five_silent_minutes_the_page_of_the_provider_is_pointed_to() {
        let said = |pending: Pending| text(Way::Pending(pending), LoginReason::Never, "").0;
        let left = |seconds| Pending {
            left: Duration::from_secs(seconds),
            ..pending()
        };
        let hint = " Nobody has come back for minutes: if the provider did not let them in, its page shows the reason.";
        for (seconds, is_told) in [(600, false), (301, false), (300, true), (1, true)] {
            let said = said(left(seconds));
            assert_eq!(said.contains(hint), is_told, "{seconds}: {said}");
        }
        // A code waits for whoever types it, and has a life of its own.
        let device = Pending {
            device: Some((
                "ABCD-EFGH".to_owned(),
                "https://github.example/device".to_owned(),
            )),
            ..left(1)
        };
        assert!(!said(device).contains(hint));
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
