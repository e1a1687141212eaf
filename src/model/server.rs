//! A server as the configuration describes it, checked and with its defaults filled in.

use std::path::PathBuf;
use std::time::Duration;

use super::{Secret, ServerName};

/// Something Janus talks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The head of its tools' names.
    pub name: ServerName,
    /// Where it is and how to reach it.
    pub endpoint: Endpoint,
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
    /// The tools people want to see of it.
    pub tools: ToolFilter,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A local process that speaks on its standard input and output.
    Process(Command),
    /// A URL of Streamable HTTP.
    Http(HttpEndpoint),
}

/// A process to start. No shell is involved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// A path, or a name to find on PATH.
    pub program: String,
    /// Its arguments: those of `command`, then those of `args`.
    pub args: Vec<String>,
    /// What it gets beside the minimal environment, in the order of the file.
    pub env: Vec<(String, Secret)>,
}

/// A remote server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpEndpoint {
    /// An absolute `http` or `https` URL without a fragment or user information.
    pub url: http::Uri,
    /// Fixed headers, sent to this origin only.
    pub headers: Vec<(http::HeaderName, Secret)>,
    /// A PEM file of certificate authorities to trust beside the system's.
    pub ca: Option<PathBuf>,
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
