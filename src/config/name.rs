//! Names in the file: as keys of maps, and where one section names what another lists.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::container::{At, List, Name};
use super::expand::is_variable_name;
use super::node::{Node, Value as NodeValue};
use super::problem::{Mistake, Path};
use super::read::{Form, Read, Reader};
use crate::model::{AccountName, ClientId, ProfileName, Secret, ServerName};

/// What every name of ours is.
const RULE: &str = "a name of 1 to 32 characters: a-z, 0-9, `-` and single `_`, with a letter or a digit at both ends";

/// The same as a pattern: no `_` beside another, a letter or digit at both ends.
const PATTERN: &str = "^[a-z0-9]((_?[a-z0-9-])*_?[a-z0-9])?$";

/// The longest of them.
const LONGEST: usize = 32;

/// A name that another section lists. It holds no variable: a rule must not depend on where Janus was started.
macro_rules! names {
    ($($name:ident: $expected:literal,)*) => {$(
        impl Name for $name {
            const EXPECTED: &'static str = $expected;
            const RULE: &'static str = RULE;
            const HIDES: bool = false;

            fn of(text: &str) -> Option<Self> {
                Self::new(text).ok()
            }

            fn schema() -> Value {
                json!({ "pattern": PATTERN, "maxLength": LONGEST })
            }
        }

        impl Read for $name {
            fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
                const NAME: Form<'_> = Form {
                    what: "a name",
                    unquoted: Some("put it in quotes"),
                };
                let text = reader.literal(node, path, NAME)?;
                let name = Self::new(text).ok();
                if name.is_none() {
                    reader.problems.add(&path.at(node.at), Mistake::bad_value(RULE));
                }
                name
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": PATTERN, "maxLength": LONGEST })
            }
        }
    )*};
}

names! {
    ServerName: "a map from names to servers",
    AccountName: "a map from names to accounts",
    ProfileName: "a map from names to profiles",
    ClientId: "a map from names to clients",
    TemplateName: "a map from names to templates",
}

/// The name of a template.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TemplateName(pub(super) String);

impl TemplateName {
    fn new(text: &str) -> Result<Self, crate::model::BadName> {
        ServerName::new(text).map(|name| Self(name.to_string()))
    }
}

/// The server whose accounts a profile lists.
pub(super) struct ReachedServer(pub(super) ServerName);

impl Name for ReachedServer {
    const EXPECTED: &'static str = "a map from servers to their accounts";
    const RULE: &'static str = RULE;
    const HIDES: bool = false;

    fn of(text: &str) -> Option<Self> {
        ServerName::new(text).ok().map(Self)
    }

    fn schema() -> Value {
        <ServerName as Name>::schema()
    }
}

/// The accounts of one server that a profile reaches.
pub(super) enum Accounts {
    /// One, or a list in order.
    Listed(Vec<At<AccountName>>),
    /// `"*"`
    All,
}

impl Read for Accounts {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        const EXPECTED: Form<'_> = Form {
            what: "an account, a list of accounts, or `\"*\"` for all",
            unquoted: Some("put it in quotes"),
        };
        match &node.value {
            NodeValue::List(items) if items.is_empty() => {
                let mistake = Mistake::bad_value("at least one account");
                let help = "name one, or leave the server out";
                reader
                    .problems
                    .add_with_help(&path.at(node.at), mistake, help);
                None
            }
            NodeValue::List(_) => List::read(node, path, reader).map(|list| Self::Listed(list.0)),
            NodeValue::Scalar { text, .. } if text == "*" => Some(Self::All),
            NodeValue::Scalar { .. } if node.found() == "text" => {
                let value = AccountName::read(node, path, reader)?;
                let place = path.at(node.at);
                Some(Self::Listed(vec![At { place, value }]))
            }
            _ => {
                reader.wrong_type(node, path, EXPECTED);
                None
            }
        }
    }
}

impl JsonSchema for Accounts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Accounts".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<AccountName>();
        json_schema!({ "anyOf": [
            name,
            { "const": "*" },
            { "type": "array", "items": name, "minItems": 1, "uniqueItems": true },
        ] })
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

/// The name of an environment variable, as a value.
pub(super) struct VariableText(pub(super) String);

impl Read for VariableText {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.literal(node, path, Form::of("the name of a variable"))?;
        if is_variable_name(text) {
            return Some(Self(text.to_owned()));
        }
        let mistake = Mistake::bad_value(<VariableName as Name>::RULE);
        reader.problems.add(&path.at(node.at), mistake);
        None
    }
}

impl JsonSchema for VariableText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Variable".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })
    }
}

/// What Janus's own environment has and a command does not get: these tell who the daemon is to systemd.
const NEVER_PASSED: [&str; 3] = ["NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "LISTEN_FDS"];

/// A variable of the daemon that a command gets, with what it held at the start.
pub(super) struct PassedVariable {
    pub(super) name: String,
    pub(super) value: Option<Arc<Secret>>,
}

impl Read for PassedVariable {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        let name = VariableText::read(node, path, reader)?.0;
        if NEVER_PASSED.contains(&name.as_str()) || name.starts_with("LISTEN_") {
            let why = "what systemd tells the daemon is for the daemon alone";
            reader
                .problems
                .add(&path.at(node.at), Mistake::does_not_fit(why));
            return None;
        }
        let value = reader
            .environment
            .variable(&name)
            .and_then(std::ffi::OsStr::to_str);
        let value = value.map(|value| Arc::new(Secret::new(value)));
        Some(Self { name, value })
    }
}

impl JsonSchema for PassedVariable {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        VariableText::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        VariableText::json_schema(generator)
    }
}

/// The name of an HTTP header, as a value.
pub(super) struct HeaderText(pub(super) http::HeaderName);

impl Read for HeaderText {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.literal(node, path, Form::of("the name of a header"))?;
        if let Ok(name) = text.parse() {
            return Some(Self(name));
        }
        let mistake = Mistake::bad_value(<HeaderName as Name>::RULE);
        reader.problems.add(&path.at(node.at), mistake);
        None
    }
}

impl JsonSchema for HeaderText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Header name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$" })
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
