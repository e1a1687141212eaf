//! A server as the configuration describes it, checked and with its defaults filled in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{
    AccountId, AccountName, Auth, Authentication, GrantKind, Reference, SecretValue, ServerName,
    Written,
};

/// Something Janus talks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The head of its tools' names.
    pub name: ServerName,
    /// In the order of the file; never empty. Without `accounts:` there is one, `default`.
    pub accounts: Vec<Account>,
    /// The account that is meant where nothing else decides.
    pub default: Option<(AccountName, Written)>,
    /// Shown to the model before each of its tools.
    pub description: Option<String>,
    /// How long a request may go without any sign of progress.
    pub timeout: Duration,
    /// A process nobody used for this long is stopped; `None`: never.
    pub idle: Option<Duration>,
    /// Whether clients share one connection.
    pub sharing: Sharing,
    /// The era of the protocol it speaks.
    pub era: EraChoice,
    /// How a remote server is spoken to.
    pub transport: Transport,
    /// The tools people want to see of it.
    pub tools: ToolFilter,
}

/// One identity at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: AccountName,
    /// Where the server is for this account and how to reach it: the server's keys with the account's own over them.
    pub endpoint: Endpoint,
    /// How it proves who it is.
    pub auth: Authentication,
    /// What people call it.
    pub label: Option<String>,
    /// Shown beside its name, never instead of it.
    pub color: Option<Colour>,
    /// Where it is written.
    pub written: Written,
}

/// The colour of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// `red`
    Red,
    /// `yellow`
    Yellow,
    /// `green`
    Green,
    /// `blue`
    Blue,
    /// `magenta`
    Magenta,
    /// `cyan`
    Cyan,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A local process that speaks on its standard input and output.
    Process(Command),
    /// A URL of Streamable HTTP.
    Http(HttpEndpoint),
}

/// A process to start. No shell is involved. `Debug` shows of the arguments what [`Command::shown`] does.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    /// A path, or a name to find on PATH.
    pub program: String,
    /// Its arguments: those of `command`, then those of `args`.
    pub args: Vec<String>,
    /// What it gets beside the minimal environment, in the order of the file.
    pub env: Vec<(String, SecretValue)>,
}

/// The headers that belong to the transport. A fixed value would break it, so no configuration has one.
pub const OWNED_HEADERS: [&str; 14] = [
    "accept",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A remote server. `Debug` shows of the URL what [`HttpEndpoint::shown`] does.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpEndpoint {
    /// An absolute `http` or `https` URL without a fragment or user information.
    pub url: http::Uri,
    /// Fixed headers, sent to this origin only.
    pub headers: Vec<(http::HeaderName, SecretValue)>,
    /// A PEM file of certificate authorities to trust beside the system's.
    pub ca: Option<PathBuf>,
}

impl Server {
    /// Its accounts by their full names, in the order of the file.
    pub fn account_ids(&self) -> impl Iterator<Item = AccountId> {
        self.accounts
            .iter()
            .map(|account| AccountId::new(self.name.clone(), account.name.clone()))
    }

    /// One of its accounts.
    pub fn account(&self, name: &AccountName) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == *name)
    }
}

impl Colour {
    /// As the configuration writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Magenta => "magenta",
            Self::Cyan => "cyan",
        }
    }
}

impl Account {
    /// Where its secrets are: those of `auth`, then those of variables and headers.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let (env, headers) = match &self.endpoint {
            Endpoint::Process(command) => (command.env.as_slice(), &[][..]),
            Endpoint::Http(http) => (&[][..], http.headers.as_slice()),
        };
        let env = env.iter().map(|(_, value)| value);
        let headers = headers.iter().map(|(_, value)| value);
        let others = env.chain(headers).filter_map(SecretValue::reference);
        self.auth.how.reference().into_iter().chain(others)
    }

    /// Whether a person logs in for it, or would if its server wanted that: nothing else is configured that would prove
    /// it to a remote server.
    pub fn logs_in(&self) -> bool {
        match (&self.auth.how, &self.endpoint) {
            (Auth::OAuth(oauth), _) => oauth.grant != GrantKind::ClientCredentials,
            (Auth::Left, Endpoint::Http(http)) => {
                let mut headers = http.headers.iter();
                !headers.any(|(name, _)| name == http::header::AUTHORIZATION)
            }
            _ => false,
        }
    }

    /// The account of a server that lists none.
    pub fn only(endpoint: Endpoint) -> Self {
        Self {
            name: AccountName::default_account(),
            endpoint,
            auth: Authentication::default(),
            label: None,
            color: None,
            written: Written::nowhere(),
        }
    }
}

impl Command {
    /// The program and its arguments for people and logs: of the arguments only the names of flags,
    /// because tokens are passed as arguments too.
    pub fn shown(&self) -> Vec<String> {
        let program = std::iter::once(self.program.clone());
        program
            .chain(self.args.iter().map(|a| masked_argument(a)))
            .collect()
    }
}

/// `-y` and `--read-only` as they are, `--token=…` without its value, anything else hidden.
fn masked_argument(argument: &str) -> String {
    let (flag, value) = argument
        .split_once('=')
        .map_or((argument, ""), |(flag, _)| (flag, "=****"));
    let name = flag.trim_start_matches('-');
    let short = flag.len() == 2 && flag.starts_with('-');
    let long = flag.starts_with("--") && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    if short || long {
        format!("{flag}{value}")
    } else {
        "****".to_owned()
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("command", &self.shown())
            .field("env", &self.env)
            .finish_non_exhaustive()
    }
}

impl HttpEndpoint {
    /// The URL for people and logs: without its query, and without parts of the path that look like a token.
    pub fn shown(&self) -> String {
        let scheme = self.url.scheme_str().unwrap_or("http");
        let authority = self
            .url
            .authority()
            .map_or("", http::uri::Authority::as_str);
        let path: Vec<&str> = self
            .url
            .path()
            .split('/')
            .map(|part| {
                if super::looks_secret(part) {
                    "****"
                } else {
                    part
                }
            })
            .collect();
        let query = if self.url.query().is_some() {
            "?****"
        } else {
            ""
        };
        format!("{scheme}://{authority}{}{query}", path.join("/"))
    }
}

impl fmt::Debug for HttpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpEndpoint")
            .field("url", &self.shown())
            .field("headers", &self.headers)
            .field("ca", &self.ca)
            .finish()
    }
}

/// Whether clients share one connection to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Shared until the server asks its client something over a pipe that cannot tell its callers apart.
    #[default]
    Auto,
    /// One connection for everybody.
    Shared,
    /// One connection for each session.
    PerSession,
}

/// How a remote server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Streamable HTTP, and HTTP+SSE where the server refuses that.
    #[default]
    Auto,
    /// Streamable HTTP.
    StreamableHttp,
    /// HTTP+SSE, the transport of 2024-11-05.
    Sse,
}

/// The era of the protocol a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EraChoice {
    /// Found out by `server/discover`, and remembered.
    #[default]
    Auto,
    /// Revisions up to 2025-11-25: `initialize` and sessions.
    Legacy,
    /// 2026-07-28: stateless.
    Modern,
}

/// `tools.include` and `tools.exclude`: globs over the server's own tool names. Exclude wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFilter {
    /// At least one must match.
    pub include: Vec<String>,
    /// None may match.
    pub exclude: Vec<String>,
}

impl Default for ToolFilter {
    fn default() -> Self {
        Self {
            include: vec!["*".to_owned()],
            exclude: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_server_holds_no_token() {
        let endpoint = HttpEndpoint {
            url: http::Uri::from_static(
                "https://h.example:8443/s/9f86d081884c7d659a2feaa0c55ad015/mcp?key=CANARY",
            ),
            headers: vec![(
                http::HeaderName::from_static("x-key"),
                SecretValue::literal("CANARY"),
            )],
            ca: None,
        };
        assert_eq!(endpoint.shown(), "https://h.example:8443/s/****/mcp?****");
        assert!(!format!("{endpoint:?}").contains("CANARY"));

        let args = [
            "-y",
            "--read-only",
            "--token=CANARY",
            "-pCANARY",
            "CANARY",
            "--CANARY",
        ];
        let command = Command {
            program: "npx".to_owned(),
            args: args.map(str::to_owned).to_vec(),
            env: vec![("TOKEN".to_owned(), SecretValue::literal("CANARY"))],
        };
        let shown = [
            "npx",
            "-y",
            "--read-only",
            "--token=****",
            "****",
            "****",
            "****",
        ];
        assert_eq!(command.shown(), shown);
        assert!(!format!("{command:?}").contains("CANARY"));
    }
}
