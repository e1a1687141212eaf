//! What the file may say: every key, once. Reader and JSON Schema come from these definitions.
//!
//! These are not the types the rest of Janus uses: `settings` checks how the keys fit together and fills in defaults.
//! The comments on the keys are what `janus config schema` says about them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::expand::is_variable_name;
use super::problem::{Mistake, Path};
use super::read::{At, Field, List, Read, Reader, section};
use super::schema::one_kind;
use super::settings::defaults;
use super::tree::{Key, Node};
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

/// A map whose keys are names, in the order of the file.
pub(super) struct Map<K, V>(pub(super) Vec<(At<K>, At<V>)>);

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Name, V: Read> Read for Map<K, V> {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        let entries = reader.map(node, path, K::EXPECTED)?;
        // Every entry is read, so that every mistake is noted; one that is wrong is left out.
        let read = entries
            .iter()
            .filter_map(|(key, node)| entry(key, node, path, reader));
        Some(Self(read.collect()))
    }
}

fn entry<K: Name, V: Read>(
    key: &Key,
    node: &Node,
    path: &Path,
    reader: &mut Reader<'_>,
) -> Option<(At<K>, At<V>)> {
    let Some(name) = K::of(&key.text) else {
        let expected = K::RULE.to_owned();
        let mistake = Mistake::BadValue { expected };
        reader.problems.add(&path.at(key.at), mistake);
        // What it holds is read for its own mistakes; of a key alone there is nothing more to say.
        if !node.is_nothing() {
            V::read(node, &path.key(&key.text), reader);
        }
        return None;
    };
    if K::HIDES && node.is_nothing() {
        // `env: { ghp_… }` is a key without a value, and a secret: then not even the key is shown.
        let mistake = Mistake::wrong_type("a name with a value", "a word alone");
        let help = "write `NAME: value`";
        reader
            .problems
            .add_with_help(&path.at(key.at), mistake, help);
        return None;
    }
    let within = path.key(&key.text);
    let value = V::read(node, &within, reader);
    let place = within.at(key.at);
    let name = At {
        place: place.clone(),
        value: name,
    };
    Some((
        name,
        At {
            place,
            value: value?,
        },
    ))
}

impl<K: Name, V: JsonSchema> JsonSchema for Map<K, V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Map of {}", V::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<V>();
        json_schema!({
            "type": ["object", "null"],
            "propertyNames": K::schema(),
            "additionalProperties": values,
        })
    }
}

/// The keys of a map.
pub(super) trait Name: Sized {
    /// What the map is, in a message.
    const EXPECTED: &'static str;
    /// What a key must be.
    const RULE: &'static str;
    /// Whether a key without a value may be a secret.
    const HIDES: bool;

    fn of(text: &str) -> Option<Self>;
    /// The rule as a schema.
    fn schema() -> Value;
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
