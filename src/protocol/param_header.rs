//! `x-mcp-header`: arguments of a tool that its server wants repeated in HTTP headers.
//!
//! A tool whose annotations break the rules is invalid as a whole, and is left out alone. Only chains of `properties`
//! lead to an annotated property; an annotation anywhere else breaks the rules, too.
//= https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#custom-headers-from-tool-parameters

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::header::{PARAM_PREFIX, decode, encode};
use super::{Json, Object};

/// A property that is repeated in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Annotated {
    header: HeaderName,
    path: Vec<String>,
}

/// Annotations that break the rules: the tool must not be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`x-mcp-header` of `{property}` {reason}")]
pub struct Invalid {
    /// The property, as a path.
    pub property: String,
    /// Which rule it breaks.
    pub reason: &'static str,
}

/// A header that does not say what the arguments say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header mismatch: `{header}` {reason}")]
pub struct Mismatch {
    /// The header.
    pub header: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

const KEYWORD: &str = "x-mcp-header";

/// Checks the annotations of an input schema.
pub fn validate(schema: &Json) -> Result<(), Invalid> {
    if !may_annotate(schema) {
        return Ok(());
    }
    annotated(&schema.read().unwrap_or(Value::Null)).map(drop)
}

/// The headers that repeat these arguments. None for invalid annotations.
pub fn headers(schema: &Json, arguments: &Object) -> Vec<(HeaderName, HeaderValue)> {
    let Some((annotated, arguments)) = both(schema, arguments) else {
        return Vec::new();
    };
    let header = |one: &Annotated| {
        let value = written(at(&arguments, &one.path)?)?;
        Some((
            one.header.clone(),
            HeaderValue::from_str(&encode(&value)).ok()?,
        ))
    };
    annotated.iter().filter_map(header).collect()
}

/// Holds the headers of a request to its arguments. Headers that the schema does not name are nobody's business.
pub fn check(
    schema: &Json,
    arguments: &Object,
    headers: &[(HeaderName, HeaderValue)],
) -> Result<(), Mismatch> {
    let Some((annotated, arguments)) = both(schema, arguments) else {
        return Ok(());
    };
    for one in annotated {
        let mismatch = |reason| {
            Err(Mismatch {
                header: one.header.to_string(),
                reason,
            })
        };
        let mut sent = headers
            .iter()
            .filter(|(name, _)| *name == one.header)
            .map(|(_, value)| value);
        let expected = at(&arguments, &one.path).filter(|value| !value.is_null());
        match (sent.next(), sent.next(), expected) {
            (None, _, None) => {}
            (None, _, Some(_)) => return mismatch("is missing"),
            (Some(_), _, None) => return mismatch("repeats an argument that is not there"),
            (Some(_), Some(_), _) => return mismatch("appears twice"),
            (Some(value), None, Some(expected)) => {
                let Some(value) = value.to_str().ok().and_then(decode) else {
                    return mismatch(
                        "has characters that it may not have, or is not the base64 it claims to be",
                    );
                };
                if !same(&value, expected) {
                    return mismatch("does not say what the arguments say");
                }
            }
        }
    }
    Ok(())
}

/// Most schemas have no annotation: that costs one search.
fn may_annotate(schema: &Json) -> bool {
    memchr::memmem::find(schema.bytes(), KEYWORD.as_bytes()).is_some()
}

fn both(schema: &Json, arguments: &Object) -> Option<(Vec<Annotated>, Value)> {
    if !may_annotate(schema) {
        return None;
    }
    let annotated = annotated(&schema.read()?).ok()?;
    Some((annotated, arguments.json().read()?))
}

fn annotated(schema: &Value) -> Result<Vec<Annotated>, Invalid> {
    let mut found = Vec::new();
    properties(schema, &mut Vec::new(), &mut found)?;
    let mut names = BTreeSet::new();
    for one in &found {
        if !names.insert(one.header.as_str().to_owned()) {
            return Err(invalid(
                &one.path,
                "names a header that another property has",
            ));
        }
    }
    Ok(found)
}

/// The annotated properties of an object schema, and of the objects in it.
fn properties(
    schema: &Value,
    path: &mut Vec<String>,
    found: &mut Vec<Annotated>,
) -> Result<(), Invalid> {
    let Some(members) = schema.as_object() else {
        return Ok(());
    };
    for (key, value) in members {
        if key == "properties" {
            for (name, property) in value.as_object().into_iter().flatten() {
                path.push(name.clone());
                if let Some(header) = property.get(KEYWORD) {
                    found.push(Annotated {
                        header: header_name(header, property, path)?,
                        path: path.clone(),
                    });
                }
                properties(property, path, found)?;
                path.pop();
            }
        } else if key != KEYWORD && !is_data(key) && mentions(value) {
            return Err(invalid(
                path,
                "stands where no property is reached by `properties` alone",
            ));
        }
    }
    Ok(())
}

/// Members of a schema that hold data, not schemas: the word means nothing there.
fn is_data(key: &str) -> bool {
    matches!(
        key,
        "default" | "const" | "enum" | "examples" | "description" | "title"
    )
}

/// Whether a schema that may not have annotations has one.
fn mentions(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(key, value)| {
            (key == KEYWORD && value.is_string()) || (!is_data(key) && mentions(value))
        }),
        Value::Array(items) => items.iter().any(mentions),
        _ => false,
    }
}

fn header_name(name: &Value, property: &Value, path: &[String]) -> Result<HeaderName, Invalid> {
    let Some(name) = name.as_str() else {
        return Err(invalid(path, "is not text"));
    };
    if name.is_empty() {
        return Err(invalid(path, "is empty"));
    }
    if !matches!(
        property.get("type").and_then(Value::as_str),
        Some("string" | "integer" | "boolean")
    ) {
        return Err(invalid(
            path,
            "is on a property that is no string, integer or boolean",
        ));
    }
    HeaderName::from_bytes(format!("{PARAM_PREFIX}{name}").as_bytes())
        .map_err(|_| invalid(path, "is not a header name"))
}

fn invalid(path: &[String], reason: &'static str) -> Invalid {
    Invalid {
        property: path.join("."),
        reason,
    }
}

fn at<'v>(arguments: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter()
        .try_fold(arguments, |value, name| value.get(name))
}

/// The value as a header has it; null is left out.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) => Some(value.to_string()),
        Value::Number(number) => Some(
            number
                .as_f64()
                .filter(|float| float.fract() == 0.0 && float.abs() < 9e15)
                .map_or_else(|| number.to_string(), |float| format!("{float:.0}")),
        ),
        _ => None,
    }
}

/// Integers are compared as numbers: `42.0` is `42`.
fn same(header: &str, expected: &Value) -> bool {
    match expected {
        Value::Number(number) => {
            let (sent, expected) = (header.parse::<f64>().ok(), number.as_f64());
            sent.is_some() && sent == expected
        }
        other => written(other).as_deref() == Some(header),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema(value: &Value) -> Json {
        Json::of(value)
    }

    fn sent(pairs: &[(&str, &str)]) -> Vec<(HeaderName, HeaderValue)> {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn arguments_are_repeated_and_held_to_their_headers() {
        let schema = schema(&json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"type": "object", "properties": {"n": {"type": "integer", "x-mcp-header": "N"}}},
            "on": {"type": "boolean", "x-mcp-header": "On"},
        }}));
        let arguments = Json::of(&json!({"region": "größe", "deep": {"n": 42}, "on": null}))
            .object()
            .unwrap();
        let made = headers(&schema, &arguments);
        assert_eq!(
            made,
            sent(&[
                ("mcp-param-region", "=?base64?Z3LDtsOfZQ==?="),
                ("mcp-param-n", "42")
            ])
        );
        assert_eq!(check(&schema, &arguments, &made), Ok(()));
        let numeric = sent(&[
            ("mcp-param-region", "=?base64?Z3LDtsOfZQ==?="),
            ("mcp-param-n", "42.0"),
            ("mcp-param-other", "x"),
        ]);
        assert_eq!(check(&schema, &arguments, &numeric), Ok(()));
        for wrong in [
            sent(&[("mcp-param-n", "42")]),
            sent(&[("mcp-param-region", "other"), ("mcp-param-n", "42")]),
            sent(&[("mcp-param-region", "=?base64?%?="), ("mcp-param-n", "42")]),
            sent(&[
                ("mcp-param-region", "=?base64?Z3LDtsOfZQ==?="),
                ("mcp-param-n", "42"),
                ("mcp-param-on", "true"),
            ]),
        ] {
            assert!(check(&schema, &arguments, &wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn annotations_that_break_a_rule_make_the_tool_invalid() {
        let text = |name: &str| json!({"type": "string", "x-mcp-header": name});
        for (schema_value, valid) in [
            (json!({"properties": {"a": text("A")}}), true),
            (
                json!({"properties": {"x-mcp-header": {"type": "string"}}}),
                true,
            ),
            (
                json!({"properties": {"a": {"type": "string", "default": {"x-mcp-header": "A"}}}}),
                true,
            ),
            (json!({"properties": {"a": text("")}}), false),
            (json!({"properties": {"a": text("a b")}}), false),
            (json!({"properties": {"a": text("a\r\n")}}), false),
            (
                json!({"properties": {"a": text("X"), "b": text("x")}}),
                false,
            ),
            (
                json!({"properties": {"a": {"type": "number", "x-mcp-header": "A"}}}),
                false,
            ),
            (
                json!({"properties": {"a": {"type": "object", "x-mcp-header": "A"}}}),
                false,
            ),
            (
                json!({"properties": {"a": {"type": "array", "items": text("A")}}}),
                false,
            ),
            (json!({"properties": {"a": {"oneOf": [text("A")]}}}), false),
            (json!({"anyOf": [{"properties": {"a": text("A")}}]}), false),
            (json!({"$defs": {"a": text("A")}, "properties": {}}), false),
        ] {
            assert_eq!(
                validate(&schema(&schema_value)).is_ok(),
                valid,
                "{schema_value}"
            );
        }
    }
}
