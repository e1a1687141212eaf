//! The values of `auth.oauth`: how each is written, and its part of the JSON Schema.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use crate::config::auth::in_the_clear;
use crate::config::container::Name;
use crate::config::node::{Node, Value};
use crate::config::problem::{Mistake, Path};
use crate::config::read::{Form, Read, Reader};
use crate::config::value::{inline_schema, or_variable};
use crate::model::{OWN_PARAMETERS, OpenBrowser, Resource};

/// One scope (RFC 6749, section 3.3).
pub(in crate::config) struct Scope(pub(in crate::config) String);

impl Read for Scope {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        const FORM: Form<'_> = Form {
            what: "a scope",
            unquoted: Some("put it in quotes"),
        };
        reader.scalar(node, path, FORM, |text| {
            let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
            if !text.is_empty() && text.chars().all(allowed) {
                Ok(Self(text.to_owned()))
            } else {
                Err("one scope: visible ASCII without spaces, quotes and backslashes".to_owned())
            }
        })
    }
}
inline_schema!(Scope, "Scope", {
    "type": "string", "pattern": or_variable(r"[!#-\[\]-~]+")
});

/// A URL that a login goes to, exactly as it is written: `https`, or `http` within this machine.
pub(in crate::config) struct WebUrl(pub(in crate::config) String);

impl Read for WebUrl {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        const EXPECTED: &str = "an absolute `https` URL";
        reader.scalar(node, path, Form::of(EXPECTED), |text| {
            web_url(text).map(|()| Self(text.to_owned()))
        })
    }
}
inline_schema!(WebUrl, "Web URL", {
    "type": "string", "pattern": or_variable("[Hh][Tt][Tt][Pp][Ss]?://[^@#/?]+([/?][^#]*)?")
});

/// Whether a login may go to this URL; else what it should be.
pub(in crate::config) fn web_url(text: &str) -> Result<(), String> {
    let url = crate::config::value::url(text)?;
    if in_the_clear(&url) {
        return Err("an `https` URL; `http` is for this machine only".to_owned());
    }
    Ok(())
}

/// What `resource` says (RFC 8707).
pub(in crate::config) struct Sent(pub(in crate::config) Resource);

impl Read for Sent {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        const EXPECTED: &str = "`auto`, `omit` or an absolute URI without a fragment";
        reader.scalar(node, path, Form::of(EXPECTED), |text| match text {
            "auto" => Ok(Self(Resource::Auto)),
            "omit" => Ok(Self(Resource::Omit)),
            uri => {
                // RFC 8707, section 2: an absolute URI, no fragment.
                let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
                let legal = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
                let begins = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
                let whole = uri.chars().all(|c| c.is_ascii_graphic() && c != '#');
                let rest = uri.len() > scheme.len() + 1;
                if begins && scheme.chars().all(legal) && whole && rest {
                    Ok(Self(Resource::Is(uri.to_owned())))
                } else {
                    Err(EXPECTED.to_owned())
                }
            }
        })
    }
}
inline_schema!(Sent, "Resource", {
    "type": "string", "pattern": or_variable("auto|omit|[A-Za-z][A-Za-z0-9+.-]*:[!\"$-~]+")
});

/// A port, or 0.
pub(in crate::config) struct Port(pub(in crate::config) Option<u16>);

impl Read for Port {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        let port = node.plain().and_then(|text| text.parse::<u16>().ok());
        if let Some(port) = port {
            return Some(Self(Some(port).filter(|port| *port > 0)));
        }
        let expected = Mistake::bad_value("a port from 1 to 65535, or `0`");
        reader.problems.add(&path.at(node.at), expected);
        None
    }
}
inline_schema!(Port, "Port", { "type": "integer", "minimum": 0, "maximum": 65535 });

/// The path of a redirect.
pub(in crate::config) struct Directory(pub(in crate::config) String);

impl Read for Directory {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        const EXPECTED: &str = "a path that begins with `/`, such as `/callback`";
        reader.scalar(node, path, Form::of(EXPECTED), |text| {
            let legal = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
            if text.starts_with('/') && text.chars().all(legal) {
                Ok(Self(text.to_owned()))
            } else {
                Err(EXPECTED.to_owned())
            }
        })
    }
}
inline_schema!(Directory, "Redirect path", {
    "type": "string", "pattern": or_variable("/[A-Za-z0-9/._~-]*")
});

/// A JSON pointer (RFC 6901).
pub(in crate::config) struct Pointer(pub(in crate::config) String);

impl Read for Pointer {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        const EXPECTED: &str = "a JSON pointer such as `/login`";
        reader.scalar(node, path, Form::of(EXPECTED), |text| {
            if text.starts_with('/') {
                Ok(Self(text.to_owned()))
            } else {
                Err(EXPECTED.to_owned())
            }
        })
    }
}
inline_schema!(Pointer, "JSON pointer", { "type": "string", "pattern": or_variable("/.*") });

/// Whether a browser is opened: a word or a boolean.
pub(in crate::config) struct BrowserAt(pub(in crate::config) OpenBrowser);

impl Read for BrowserAt {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        match node.plain() {
            Some("true" | "True" | "TRUE") => return Some(Self(OpenBrowser::Always)),
            Some("false" | "False" | "FALSE") => return Some(Self(OpenBrowser::Never)),
            _ => {}
        }
        if matches!(&node.value, Value::Scalar { text, .. } if text == "auto") {
            return Some(Self(OpenBrowser::Auto));
        }
        reader.wrong_type(node, path, Form::of("`auto`, `true` or `false`"));
        None
    }
}
inline_schema!(BrowserAt, "Open browser", { "anyOf": [{ "type": "boolean" }, { "const": "auto" }] });

/// What of a login the journal may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Journal {
    /// The provider's link too.
    Full,
    /// Only what leads to this machine.
    Local,
}

/// A parameter of the authorization URL.
pub(in crate::config) struct Parameter(pub(in crate::config) String);

impl Name for Parameter {
    const EXPECTED: &'static str = "a map from parameters to text";
    const RULE: &'static str = "the name of a parameter: letters, digits, `_`, `-` and `.`";
    const HIDES: bool = true;

    fn of(text: &str) -> Option<Self> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        (!text.is_empty() && text.chars().all(legal)).then(|| Self(text.to_owned()))
    }

    fn schema() -> serde_json::Value {
        json!({ "pattern": "^[A-Za-z0-9_.-]+$", "not": { "enum": OWN_PARAMETERS } })
    }
}

/// A tool or a URL, and where the answer says who.
pub(super) fn one_ask(schema: &mut Schema) {
    let of = |key: &str, other: &str| {
        let without = json!({ other: false });
        json!({ "type": "object", "required": [key, "subject"], "properties": without })
    };
    schema.insert(
        "oneOf".to_owned(),
        json!([of("tool", "url"), of("url", "tool")]),
    );
}
