//! How an account proves who it is.

use std::sync::Arc;
use std::time::Duration;

use super::{OAuth, Reference, Secret};

/// `auth` of an account: what proves it, and where that goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authentication {
    /// What it is.
    pub how: Auth,
    /// The variable of a process that gets the value.
    pub into: Option<String>,
}

/// What proves an account to its server. Secrets are references, never written out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Auth {
    /// Nothing is configured: nothing is sent beside the fixed headers, until a remote server wants a login (a 401 that
    /// names an authorization server); then it is as `oauth` without a word more.
    #[default]
    Left,
    /// Nothing is sent, and that is meant: a 401 starts no login.
    None,
    /// `Authorization: Bearer VALUE`
    Bearer(Reference),
    /// `Authorization: Basic base64(USER:VALUE)` (RFC 7617)
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Reference,
    },
    /// Any header.
    Header {
        /// Its name.
        name: http::HeaderName,
        /// Its value.
        value: Reference,
        /// What stands before the value.
        prefix: String,
    },
    /// `NAME=VALUE` in the query of each request, where nothing else works.
    Query {
        /// The parameter.
        name: String,
        /// Its value.
        value: Reference,
    },
    /// What a command prints that holds a login of its own.
    Helper {
        /// The command.
        helper: Arc<Helper>,
        /// The header that gets the token.
        header: http::HeaderName,
        /// What stands before the token.
        prefix: String,
    },
    /// A token that an authorization server gave.
    OAuth(Arc<OAuth>),
}

/// A command that prints a token. It runs without a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helper {
    /// The program and its arguments. They are public: any user sees them in the process list.
    pub argv: Vec<String>,
    /// How its output is read.
    pub format: Format,
    /// How long a token without an end of its own is used; zero: once.
    pub ttl: Duration,
    /// Where the token is, as a JSON pointer (RFC 6901).
    pub pointer: Option<String>,
    /// Where its end is.
    pub expiry_pointer: Option<String>,
    /// It is ended when it takes longer.
    pub timeout: Duration,
    /// Variables of the daemon that it gets beside the usual ones.
    pub pass_env: Vec<(String, Arc<Secret>)>,
    /// What it reads on its standard input: for `docker`, the server's URL.
    pub input: String,
}

/// How the output of a helper is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// A JSON object of a known form, a JWT, or one line.
    #[default]
    Auto,
    /// One line of visible ASCII.
    Raw,
    /// The same in three parts, whose payload names its end (RFC 7519).
    Jwt,
    /// An `ExecCredential` of Kubernetes.
    ExecCredential,
    /// The response of a token endpoint (RFC 6749, section 5.1).
    OAuth,
    /// `az account get-access-token -o json`
    Az,
    /// The `credential_process` of AWS.
    Aws,
    /// A credential helper of git.
    Git,
    /// A credential helper of Docker.
    Docker,
    /// Any JSON object, with pointers.
    Json,
}

impl Auth {
    /// The word for its kind, as the configuration has it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Left => "-",
            Self::None => "none",
            Self::Bearer(_) => "bearer",
            Self::Basic { .. } => "basic",
            Self::Header { .. } => "header",
            Self::Query { .. } => "query",
            Self::Helper { .. } => "command",
            Self::OAuth(_) => "oauth",
        }
    }

    /// Where its secret is, if that is written down.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Bearer(value)
            | Self::Basic {
                password: value, ..
            }
            | Self::Header { value, .. }
            | Self::Query { value, .. } => Some(value),
            Self::OAuth(oauth) => oauth.client.as_ref()?.reference(),
            Self::Left | Self::None | Self::Helper { .. } => None,
        }
    }
}

impl Helper {
    /// A command with nothing said about it but how long its token is used, and how long it may take.
    pub fn plain(argv: Vec<String>, ttl: Duration, timeout: Duration) -> Self {
        Self {
            argv,
            format: Format::Auto,
            ttl,
            pointer: None,
            expiry_pointer: None,
            timeout,
            pass_env: Vec::new(),
            input: String::new(),
        }
    }
}

impl Format {
    /// As the configuration writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Raw => "raw",
            Self::Jwt => "jwt",
            Self::ExecCredential => "execcredential",
            Self::OAuth => "oauth",
            Self::Az => "az",
            Self::Aws => "aws",
            Self::Git => "git",
            Self::Docker => "docker",
            Self::Json => "json",
        }
    }
}
