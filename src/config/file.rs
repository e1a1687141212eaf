//! What the file may say: every key, once. Reader and JSON Schema come from these definitions.
//!
//! These are not the types the rest of Janus uses: `settings` checks how the keys fit together and fills in defaults.
//! The comments on the keys are what `janus config schema` says about them.

use serde_json::{Value, json};

use super::container::{List, Map, Name};
use super::expand::is_variable_name;
use super::node::Node;
use super::problem::Path;
use super::read::{Form, Read, Reader, section};
use super::schema::one_kind;
use super::settings::defaults;
use super::value::{Address, FilePath, Switch, Text, Url, Version, Wait, WaitOrNever, spelled};
use crate::model::{EraChoice, ServerName, Sharing};

section! {
    /// The configuration of Janus.
    #[schemars(title = "Janus configuration")]
    Document {
        /// The version of this format.
        #[expect(dead_code, reason = "reading it is the check: there is one version")]
        version: Version,
        /// What Janus talks to. A name is the head of its tools' names: `SERVER__TOOL`.
        servers: Map<ServerName, Server>,
        /// Where Janus listens.
        listen: Listen,
    }
}

section! {
    /// An MCP server: a remote one has `url`, a local process has `command`.
    #[schemars(transform = one_kind)]
    Server {
        /// The URL of a remote server (Streamable HTTP).
        url: Url,
        /// The program to start and its first arguments, as a list. No shell is involved.
        command: List<Text>,
        /// Further arguments of the program.
        args: List<Text>,
        /// Variables of the process, beside PATH, HOME, the locale and XDG_*.
        env: Map<VariableName, Text>,
        /// Fixed headers, sent to this server only.
        headers: Map<HeaderName, Text>,
        /// Shown to the model before each tool of this server.
        description: Text,
        /// How long a request may go without any sign of progress.
        #[schemars(extend("default" = spelled(defaults::TIMEOUT)))]
        timeout: Wait,
        /// A process nobody used for this long is stopped; 0 is never.
        #[schemars(extend("default" = spelled(defaults::IDLE)))]
        idle: WaitOrNever,
        /// Whether clients share one connection to this server.
        #[schemars(extend("default" = "auto"))]
        sharing: Sharing,
        /// The era of the protocol this server speaks.
        #[schemars(extend("default" = "auto"))]
        era: EraChoice,
        /// How to trust a remote server.
        tls: Tls,
        /// Which of its tools are visible.
        tools: Tools,
        /// Whether Janus uses this server.
        #[schemars(extend("default" = true))]
        enabled: Switch,
    }
}

section! {
    /// How to trust a remote server.
    Tls {
        /// A PEM file of certificate authorities, trusted beside the system's.
        ca: FilePath,
    }
}

section! {
    /// Globs over the server's own tool names.
    Tools {
        /// At least one must match.
        #[schemars(extend("default" = ["*"]))]
        include: List<Text>,
        /// None may match; this wins.
        exclude: List<Text>,
    }
}

section! {
    /// Where Janus listens.
    Listen {
        /// The address of the HTTP endpoint, loopback.
        #[schemars(extend("default" = defaults::HTTP.to_string()))]
        http: Address,
        /// The unix socket; without this, `mcp.sock` in `$XDG_RUNTIME_DIR/janus` or `$JANUS_RUNTIME_DIR`.
        socket: FilePath,
        /// A session nobody used for this long ends.
        #[schemars(extend("default" = spelled(defaults::SESSION_IDLE)))]
        session_idle: Wait,
        /// Reserved for addresses that are not loopback: they are refused until there are client keys and TLS.
        #[schemars(extend("default" = false))]
        allow_remote: Switch,
    }
}

impl Name for ServerName {
    const EXPECTED: &'static str = "a map from names to servers";
    const RULE: &'static str = "a name of 1 to 32 characters: a-z, 0-9, `-` and single `_`, with a letter or a digit at both ends";
    const HIDES: bool = false;

    fn of(text: &str) -> Option<Self> {
        Self::new(text).ok()
    }

    fn schema() -> Value {
        // No `_` beside another, a letter or digit at both ends.
        json!({ "pattern": "^[a-z0-9]((_?[a-z0-9-])*_?[a-z0-9])?$", "maxLength": 32 })
    }
}

/// The name of an environment variable.
pub(super) struct VariableName(pub(super) String);

impl Name for VariableName {
    const EXPECTED: &'static str = "a map from variables to text";
    const RULE: &'static str = "the name of a variable: letters, digits and `_`";
    const HIDES: bool = true;

    fn of(text: &str) -> Option<Self> {
        is_variable_name(text).then(|| Self(text.to_owned()))
    }

    fn schema() -> Value {
        json!({ "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })
    }
}

/// The name of an HTTP header.
pub(super) struct HeaderName(pub(super) http::HeaderName);

impl Name for HeaderName {
    const EXPECTED: &'static str = "a map from header names to text";
    const RULE: &'static str = "the name of an HTTP header, such as `X-Team`";
    const HIDES: bool = true;

    fn of(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    fn schema() -> Value {
        json!({ "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$" })
    }
}
