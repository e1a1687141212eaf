//! The values of a template: how each is written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use crate::config::container::{Field, Name};
use crate::config::node::{Node, Value};
use crate::config::problem::{Mistake, Path};
use crate::config::read::{Form, Read, Reader};
use crate::config::value::inline_schema;
use crate::model::points;

/// A fact, or that nobody has found it out.
pub(in crate::config) enum Known<T> {
    /// A fact.
    Is(T),
    /// `unknown`
    Unknown,
}

impl<T: Read> Read for Known<T> {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        if node.plain() == Some(UNKNOWN) {
            return Some(Self::Unknown);
        }
        T::read(node, path, reader).map(Self::Is)
    }
}

/// What nobody has found out.
pub(in crate::config) const UNKNOWN: &str = "unknown";

impl<T: JsonSchema> JsonSchema for Known<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{} or unknown", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let known = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "const": UNKNOWN }, known] })
    }
}

/// The fact at a key, if there is one.
pub(in crate::config) fn fact<T>(field: &Field<Known<T>>) -> Option<&T> {
    match &field.value.as_ref()?.value {
        Known::Is(fact) => Some(fact),
        Known::Unknown => None,
    }
}

/// The name of a parameter.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::config) struct Param(pub(in crate::config) String);

/// What such a name is.
const PARAM: &str = "a name of a-z, 0-9 and `_`";

fn is_param(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (1..=32).contains(&text.len()) && text.chars().all(legal)
}

impl Name for Param {
    const EXPECTED: &'static str = "a map from parameters to their values";
    const RULE: &'static str = PARAM;
    const HIDES: bool = false;

    fn of(text: &str) -> Option<Self> {
        is_param(text).then(|| Self(text.to_owned()))
    }

    fn schema() -> serde_json::Value {
        json!({ "pattern": "^[a-z0-9_]{1,32}$" })
    }
}

impl Read for Param {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.literal(node, path, Form::of(PARAM))?;
        if is_param(text) {
            return Some(Self(text.to_owned()));
        }
        reader
            .problems
            .add(&path.at(node.at), Mistake::bad_value(PARAM));
        None
    }
}
inline_schema!(Param, "Parameter", { "type": "string", "pattern": "^[a-z0-9_]{1,32}$" });

/// The value of a parameter: text, or a number or a boolean as it is written.
pub(in crate::config) struct Filling(pub(in crate::config) String);

impl Read for Filling {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        const FORM: Form<'_> = Form::of("text, a number or a boolean");
        match &node.value {
            Value::Scalar { text, .. } if points(text) => {
                let why =
                    "a parameter is public, and a reference in it would be sent as it is written";
                let help = "secrets belong in `auth`, `env` or `headers`";
                let mistake = Mistake::does_not_fit(why);
                reader
                    .problems
                    .add_with_help(&path.at(node.at), mistake, help);
                None
            }
            Value::Scalar { text, .. } if matches!(node.found(), "a number" | "a boolean") => {
                Some(Self(text.clone()))
            }
            _ => reader.scalar(node, path, FORM, |text| {
                if text.is_empty() || text.chars().any(char::is_control) {
                    Err("text of at least one character, without control characters".to_owned())
                } else {
                    Ok(Self(text.to_owned()))
                }
            }),
        }
    }
}
inline_schema!(Filling, "Parameter value", { "type": ["string", "number", "boolean"] });

/// A number of days or seconds.
pub(in crate::config) struct Count(pub(in crate::config) u32);

impl Read for Count {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        let number = node.plain().and_then(|text| text.parse().ok());
        if number.is_none() {
            let mistake = Mistake::bad_value("a whole number");
            reader.problems.add(&path.at(node.at), mistake);
        }
        number.map(Self)
    }
}
inline_schema!(Count, "Number", { "type": "integer", "minimum": 0 });

/// Where a parameter goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Spot {
    /// In place of `{NAME}` in the host of the URL.
    Host,
    /// In place of `{NAME}` in the path of the URL, else at its end.
    Path,
    /// At the end of the path, where it is `true`.
    Suffix,
    /// In the query.
    Query,
    /// In place of `{NAME}` in an argument.
    Argument,
}

/// How Janus becomes a client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Registration {
    /// A person registers an application.
    PreRegistered,
    /// The provider reads a document about the client.
    Document,
    /// Janus registers itself (RFC 7591).
    Dynamic,
    /// There is no login.
    None,
}

/// Whether a provider compares the port of a redirect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Ports {
    /// As it was registered.
    Fixed,
    /// Any port of this machine.
    Ephemeral,
}

/// How a secret is written into a header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Encoding {
    /// As it is.
    Plain,
    /// With a user's address, as HTTP's Basic authentication.
    Basic,
}

/// Who has tried a template.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Verified {
    /// Nobody here: it is what the sources say.
    Reported,
    /// Somebody here logged in, and stayed so.
    Tested,
    /// It is a building block, with nothing to try.
    BuiltIn,
}
