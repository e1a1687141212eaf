//! Why a login failed, by who must act.

use http::Uri;
use zeroize::Zeroizing;

use super::grant::NoClient;
use super::network::NetworkError;
use crate::credential::NoCredential;
use crate::model::AccountId;
use crate::telemetry::redact;
use crate::vault::Refused;

/// A text of a provider is shown up to here: a sentence, and no page.
const LONGEST: usize = 200;

/// Why a login failed. No variant holds a secret, or more of a foreign text than a line.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoginFailed {
    // The person who logs in.
    /// They, or the provider, said no on the provider's page.
    #[error("{host} did not let you in: {why}")]
    Denied {
        /// The provider.
        host: String,
        /// What it said.
        why: String,
    },
    /// It is not the answer to this login.
    #[error("this is not the answer to the login: {0}")]
    NotTheAnswer(String),
    /// Nobody came in time.
    #[error("the login was not finished in time")]
    TooLate,

    // The person who configures.
    /// The provider registers nobody by itself.
    #[error("{host} takes only applications that a person registered there")]
    NotRegistered {
        /// The provider.
        host: String,
        /// Where that is done.
        register_at: Option<String>,
        /// What to give as the redirect URI there.
        redirect_uri: String,
        /// Only those that it approved come in.
        approval: bool,
        /// Ways without any login, in words.
        without_login: Vec<String>,
    },
    /// The configuration says what cannot be.
    #[error("{why}")]
    Configuration {
        /// What.
        why: String,
        /// The key to correct, below the account or its server.
        key: &'static str,
    },
    /// The server leads to another authorization server than before, which would get the client of the configuration.
    #[error(
        "the server names another authorization server now: {now}, before it was {before}; `auth.oauth.client_id` is not sent there"
    )]
    OtherIssuer {
        /// Whom it names.
        now: String,
        /// Who gave the last grant.
        before: String,
    },
    /// What the registered client proves itself with is not there.
    #[error("{0}")]
    NoCredential(NoCredential),

    // Who runs the server or the provider.
    /// The server itself does not answer now, so that nobody knows where people log in to it.
    #[error("the server cannot be reached, so who logs people in to it is not known: {0}")]
    NoServer(String),
    /// The server has no authorization server, or describes it wrongly.
    #[error("{0}")]
    Server(String),
    /// What it describes is a risk that nobody took.
    #[error("{why}")]
    Risk {
        /// What is missing or wrong.
        why: String,
        /// The key that takes the risk.
        key: &'static str,
    },
    /// The provider refused.
    #[error("{host} refused: {why}")]
    Provider {
        /// The provider.
        host: String,
        /// What it said.
        why: String,
    },
    /// It does not answer now.
    #[error("{0}")]
    Unreachable(String),

    // Janus.
    /// What the login needs or brought could not be kept.
    #[error("{0}")]
    NotKept(Refused),
    /// A defect.
    #[error("{0}")]
    Janus(String),
}

impl LoginFailed {
    /// The word for it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "login_denied",
            Self::NotTheAnswer(_) => "not_the_answer",
            Self::TooLate => "login_expired",
            Self::NotRegistered { .. } => "not_registered",
            Self::Configuration { .. } => "bad_configuration",
            Self::OtherIssuer { .. } => "other_authorization_server",
            Self::NoCredential(why) => why.code(),
            Self::NoServer(_) => "unavailable",
            Self::Server(_) => "no_authorization_server",
            Self::Risk { .. } => "unsafe_authorization_server",
            Self::Provider { .. } => "provider_refused",
            Self::Unreachable(_) => "provider_unreachable",
            Self::NotKept(_) => "not_kept",
            Self::Janus(_) => "internal",
        }
    }

    /// The commands or lines that mend it, at most three.
    pub fn help(&self, account: &AccountId) -> Vec<String> {
        let again = || format!("janus login {account}");
        match self {
            Self::Denied { .. } | Self::TooLate | Self::Unreachable(_) | Self::Janus(_) => {
                vec![again()]
            }
            Self::NoServer(_) => vec![
                format!("janus logs --server {}", account.server()),
                "is it the right address?  janus config show".to_owned(),
                format!("when it is there again:  janus login {account}"),
            ],
            Self::NotTheAnswer(_) => vec![
                "open the newest link, and give the whole address that the browser ends on"
                    .to_owned(),
                again(),
            ],
            Self::NotRegistered {
                register_at,
                redirect_uri,
                approval,
                without_login,
                ..
            } => registering(
                account,
                register_at.as_deref(),
                redirect_uri,
                (*approval, without_login),
            ),
            Self::Configuration { key, .. } => vec![
                format!("correct `{key}` of {account} in the configuration"),
                again(),
            ],
            Self::OtherIssuer { now, .. } => vec![
                format!(
                    "only if that is right, write to the configuration:\n\
                     servers:\n  {}:\n    auth:\n      oauth:\n        issuer: {now:?}",
                    account.server()
                ),
                again(),
            ],
            Self::NoCredential(why) => vec![why.help(account), again()],
            Self::Server(_) => vec![
                format!("a fixed token, if it takes one: write `auth: {{ bearer: vault:NAME }}` at {account}, then: janus secret set NAME"),
                "or give `auth.oauth.issuer` or the endpoints by hand; those who run the server know them"
                    .to_owned(),
            ],
            Self::Risk { key, .. } => vec![format!(
                "ask those who run the server, or take the risk: auth: {{ oauth: {{ {key}: true }} }}"
            )],
            Self::Provider { .. } => vec![
                again(),
                format!("janus login {account} --fresh-client, if the provider forgot this client"),
            ],
            Self::NotKept(why) => {
                let help = why.help();
                if help.is_empty() { vec![again()] } else { help }
            }
        }
    }

    /// Whether the same may go well a moment later, without anybody's doing.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NoServer(_))
    }

    pub(super) fn of_client(why: NoClient) -> Self {
        match why {
            NoClient::NoProof(why) => Self::NoCredential(why),
            NoClient::Gone(why) => Self::Configuration {
                why: why.to_owned(),
                key: "auth.oauth.client_id",
            },
            NoClient::Configuration { why, key } => Self::Configuration { why, key },
            NoClient::Closed(why) => Self::Janus(why),
        }
    }

    pub(super) fn of_network(error: NetworkError) -> Self {
        match error {
            NetworkError::Refused(why) => Self::Risk {
                why,
                key: "allow_private_addresses",
            },
            NetworkError::Unreachable { why, .. } | NetworkError::Tls(why) => {
                Self::Unreachable(why)
            }
            NetworkError::BadAnswer(why) => Self::Server(why),
        }
    }
}

/// How a person gets an application, and what to write then.
fn registering(
    account: &AccountId,
    register_at: Option<&str>,
    redirect_uri: &str,
    (approval, without_login): (bool, &[String]),
) -> Vec<String> {
    let place = register_at.unwrap_or("the provider");
    let approved = if approval {
        " (it admits only applications that it approved)"
    } else {
        ""
    };
    let server = account.server();
    let back = if redirect_uri.is_empty() {
        String::new()
    } else {
        format!("; its redirect URI: {redirect_uri}")
    };
    // On one line, so that it can be copied out of whatever shows it.
    let mut lines = vec![
        format!("register an application: {place}{approved}{back}"),
        format!(
            "write at {account}: auth: {{ oauth: {{ client_id: THE-ID-YOU-GOT, client_secret: vault:{server}_client }} }}    # then: janus secret set {server}_client"
        ),
    ];
    if let Some(way) = without_login.first() {
        lines.push(format!("or without a login: {way}"));
    } else {
        lines.push(format!("then: janus login {account}"));
    }
    lines
}

/// A text of somebody else on one line, cleaned and cut.
pub(super) fn foreign(text: &str) -> String {
    let clean = Zeroizing::new(
        text.chars()
            .map(|c| if c.is_whitespace() { ' ' } else { c })
            .filter(|c| !c.is_control())
            .collect::<String>(),
    );
    // First what is secret, then the rest: half a secret is one too.
    redact(clean.trim()).chars().take(LONGEST).collect()
}

/// The host of a URL, for people.
pub(super) fn host_of(url: &str) -> String {
    let read: Option<String> = url
        .parse::<Uri>()
        .ok()
        .and_then(|url| url.host().map(str::to_owned));
    read.unwrap_or_else(|| foreign(url))
}

/// What an error response says (RFC 6749, section 5.2; RFC 7591, section 3.2.2), and its code.
pub(super) fn said(status: u16, body: &[u8]) -> (Option<String>, String) {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let text = |member: &str| {
        let text = json.as_ref()?.get(member)?.as_str()?;
        (!text.is_empty()).then_some(text)
    };
    let described = text("error_description").or_else(|| text("message"));
    let (code, why) = worded(
        text("error").unwrap_or_default(),
        described.unwrap_or_default(),
    );
    let why = match (&code, why) {
        (Some(_), why) => why,
        (None, why) if why.is_empty() => format!("HTTP {status}"),
        (None, why) => format!("HTTP {status}: {why}"),
    };
    (code, why)
}

/// A code and the words beside it as people read them, and the code if it is one.
pub(super) fn worded(code: &str, words: &str) -> (Option<String>, String) {
    let (code, words) = (foreign(code), foreign(words));
    let text = match (code.is_empty(), words.is_empty()) {
        (false, false) => format!("{code}: {words}"),
        (false, true) => code.clone(),
        (true, _) => words,
    };
    ((!code.is_empty()).then_some(code), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountName, ServerName};

    fn account() -> AccountId {
        AccountId::new(
            ServerName::new("github").unwrap(),
            AccountName::new("client_a").unwrap(),
        )
    }

    #[test]
    fn the_lines_to_fill_in_are_a_configuration() {
        let failed = LoginFailed::NotRegistered {
            host: "github.com".to_owned(),
            register_at: Some("GitHub: settings, developer settings".to_owned()),
            redirect_uri: "http://127.0.0.1:7334/callback".to_owned(),
            approval: false,
            without_login: vec!["a personal access token".to_owned()],
        };
        let help = failed.help(&account());
        assert_eq!(help.len(), 3);
        assert!(help[0].contains("GitHub: settings"), "{help:?}");
        assert!(
            help[0].contains("http://127.0.0.1:7334/callback"),
            "{help:?}"
        );
        let yaml = help[1].strip_prefix("write at github/client_a: ").unwrap();
        let read: serde_yaml::Value = serde_yaml::from_str(yaml).unwrap();
        let oauth = &read["auth"]["oauth"];
        assert_eq!(oauth["client_id"].as_str(), Some("THE-ID-YOU-GOT"));
        assert_eq!(oauth["client_secret"].as_str(), Some("vault:github_client"));
        assert!(help[2].contains("personal access token"), "{help:?}");
    }

    #[test]
    fn of_a_foreign_text_a_line_is_shown() {
        let long = format!("a\u{1b}[31m\r\nb {}", "x".repeat(1000));
        let shown = foreign(&long);
        assert!(shown.starts_with("a[31m  b x"), "{shown}");
        assert_eq!(shown.chars().count(), LONGEST);
        let (code, why) = said(
            400,
            br#"{"error":"invalid_client","error_description":"no\nsuch"}"#,
        );
        assert_eq!(code.as_deref(), Some("invalid_client"));
        assert_eq!(why, "invalid_client: no such");
        assert_eq!(said(502, b"<html>").1, "HTTP 502");
    }
}
