//! What must happen, in a few lines that know nothing of how Janus does it.

use std::collections::BTreeMap;

use serde_json::Value;

/// The accounts of every server, in the order of the configuration.
pub(super) const ACCOUNTS: [&str; 5] = ["ann", "bob", "cat", "dan", "eve"];
/// How many servers there are: `s0` to `s9`.
pub(super) const SERVERS: usize = 10;
/// The `default` of a server.
pub(super) const DEFAULTS: [(usize, &str); 4] = [(1, "dan"), (3, "ann"), (6, "bob"), (8, "eve")];

/// A profile of the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Profile {
    pub(super) name: &'static str,
    pub(super) switching: &'static str,
    pub(super) guarded: bool,
    /// The servers with their accounts, in this order; an empty list is `"*"`. No servers at all are all of them.
    pub(super) reach: &'static [(usize, &'static [&'static str])],
}

pub(super) const ALL: usize = 0;
pub(super) const MIXED: usize = 1;
pub(super) const LOCKED: usize = 2;
pub(super) const EVERYBODY: usize = 3;
pub(super) const VAULT: usize = 4;

pub(super) const PROFILES: [Profile; 5] = [
    Profile {
        name: "all",
        switching: "session",
        guarded: false,
        reach: &[],
    },
    Profile {
        name: "mixed",
        switching: "session",
        guarded: false,
        reach: &[
            (0, &["bob", "ann"]),
            (1, &["ann"]),
            (2, &[]),
            (5, &["cat", "dan"]),
            (6, &["eve"]),
            (8, &[]),
        ],
    },
    Profile {
        name: "locked",
        switching: "off",
        guarded: false,
        reach: &[
            (0, &["cat", "ann"]),
            (1, &[]),
            (2, &[]),
            (5, &["eve"]),
            (6, &["eve", "bob"]),
            (9, &[]),
        ],
    },
    Profile {
        name: "everybody",
        switching: "global",
        guarded: false,
        reach: &[(3, &[]), (4, &[]), (7, &[]), (9, &["dan", "bob"])],
    },
    Profile {
        name: "vault",
        switching: "session",
        guarded: true,
        reach: &[(0, &["dan"]), (4, &[]), (5, &[]), (8, &["ann", "bob"])],
    },
];

/// What was chosen before a call, strongest first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Before {
    pub(super) session: Option<&'static str>,
    pub(super) client: Option<&'static str>,
    pub(super) global: Option<&'static str>,
}

/// What must come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// The answer of this account.
    By(String),
    /// A refusal with this code.
    Refused(&'static str),
    /// There is no such thing here.
    Unknown,
}

/// What came back, where it was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    Answer,
    Refusal,
    /// The right account, which could not be reached.
    Unavailable,
}

impl Profile {
    /// The accounts of a server in scope, in order, and the one that is meant where nobody chooses.
    pub(super) fn accounts(
        &self,
        server: usize,
    ) -> Option<(Vec<&'static str>, Option<&'static str>)> {
        let listed = match self.reach.iter().find(|(listed, _)| *listed == server) {
            Some((_, listed)) => *listed,
            None if self.reach.is_empty() => &[],
            None => return None,
        };
        if let Some(first) = listed.first() {
            return Some((listed.to_vec(), Some(*first)));
        }
        let default = DEFAULTS.iter().find(|(of, _)| *of == server);
        Some((ACCOUNTS.to_vec(), default.map(|(_, account)| *account)))
    }

    /// Whether there is a choice anywhere.
    pub(super) fn is_choosable(&self) -> bool {
        let mut reached = (0..SERVERS).filter_map(|server| self.accounts(server));
        self.switching != "off" && reached.any(|(accounts, _)| accounts.len() > 1)
    }

    /// Who must answer a call to a server.
    pub(super) fn expected(&self, server: usize, named: Option<&str>, before: Before) -> Expected {
        let Some((accounts, fixed)) = self.accounts(server) else {
            return Expected::Unknown;
        };
        let found = if self.switching == "off" {
            match (named, &accounts[..]) {
                (Some(_), _) => Err("switching_off"),
                (None, [only]) => Ok(*only),
                (None, _) => fixed.ok_or("ambiguous_account"),
            }
        } else if let Some(named) = named {
            let own = plain(server, named);
            let found = accounts.into_iter().find(|account| Some(*account) == own);
            found.ok_or("unknown_account")
        } else if let [only] = &accounts[..] {
            Ok(*only)
        } else {
            let global = before.global.filter(|_| self.switching == "global");
            let chosen = before.session.or(before.client).or(global).or(fixed);
            chosen.ok_or("ambiguous_account")
        };
        found.map_or_else(Expected::Refused, |account| {
            Expected::By(full(server, account))
        })
    }
}

/// `s0/ann`
pub(super) fn full(server: usize, account: &str) -> String {
    format!("s{server}/{account}")
}

/// The account that a word means at a server.
fn plain(server: usize, named: &str) -> Option<&str> {
    match named.split_once('/') {
        Some((of, account)) => (of == format!("s{server}")).then_some(account),
        None => Some(named),
    }
}

impl Expected {
    /// What the call tells the server of it: a call that must reach nobody is a violation wherever it arrives.
    pub(super) fn told(&self) -> &str {
        match self {
            Self::By(who) => who,
            Self::Refused(_) | Self::Unknown => "nobody",
        }
    }

    /// Holds a response against it.
    pub(super) fn judge(&self, response: &Value) -> Result<Came, String> {
        let wrong = || Err(format!("{self:?} was expected, and this came: {response}"));
        let found = read(response);
        match (self, &found) {
            (Self::By(expected), Found::Answer { who, identity }) => {
                if who == expected && identity == expected {
                    Ok(Came::Answer)
                } else {
                    wrong()
                }
            }
            (Self::By(expected), Found::Failure { code, account }) => {
                let down = ["unavailable", "outcome_unknown", "timed_out"].contains(&code.as_str());
                if down && account == expected {
                    return Ok(Came::Unavailable);
                }
                wrong()
            }
            (Self::Refused(expected), Found::Failure { code, .. }) if code == expected => {
                Ok(Came::Refusal)
            }
            (Self::Unknown, Found::Unknown) => Ok(Came::Refusal),
            _ => wrong(),
        }
    }
}

/// A response, as far as it tells who answered.
#[derive(Debug)]
enum Found {
    Answer { who: String, identity: String },
    Failure { code: String, account: String },
    Unknown,
    Other,
}

fn read(response: &Value) -> Found {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let result = &response["result"];
    if result.is_object() {
        let failure = &result["_meta"]["dev.janus/error"];
        if failure.is_object() {
            return Found::Failure {
                code: text(&failure["code"]),
                account: text(&failure["account"]),
            };
        }
        if result["isError"] == true {
            return Found::Failure {
                code: text(&result["structuredContent"]["error"]["code"]),
                account: String::new(),
            };
        }
        let of_call = &result["content"][0]["text"];
        let who = if of_call.is_string() {
            of_call
        } else {
            &result["contents"][0]["text"]
        };
        let identity = &result["_meta"]["dev.janus/identity"];
        let identity = format!(
            "{}/{}",
            text(&identity["server"]),
            text(&identity["account"])
        );
        return Found::Answer {
            who: text(who),
            identity,
        };
    }
    let failure = &response["error"]["data"];
    match response["error"]["code"].as_i64() {
        _ if failure["code"].is_string() => Found::Failure {
            code: text(&failure["code"]),
            account: text(&failure["account"]),
        },
        Some(-32602 | -32002) => Found::Unknown,
        _ => Found::Other,
    }
}

/// Everything that was chosen and acknowledged.
#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    /// By client, profile and server.
    pub(super) client: BTreeMap<(&'static str, usize, usize), &'static str>,
    /// By profile and server.
    pub(super) global: BTreeMap<(usize, usize), &'static str>,
}
