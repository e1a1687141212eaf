//! Arguments that are repeated in `Mcp-Param-…` headers because the tool's schema says so. Pure.
//!
//! Invariant: a schema with one bad annotation has none that is followed; the tool is not offered over HTTP at all.
//= https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#custom-headers-from-tool-parameters

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::{Json, header};

/// The annotation inside a property's schema.
const ANNOTATION: &str = "x-mcp-header";
/// Keywords whose value is data or text: what looks like an annotation in there is none.
const DATA: [&str; 4] = ["default", "const", "enum", "examples"];
/// Keywords whose members are named by the author: a name is not a keyword.
const NAMED: [&str; 5] = [
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
];
/// JavaScript's largest safe integer, 2^53 - 1: numbers beyond it are not the same for everybody.
const SAFE: f64 = 9_007_199_254_740_991.0;

/// A property that is repeated in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotated {
    /// `mcp-param-…`
    pub header: HeaderName,
    /// The names that lead to the value in the arguments.
    pub path: Vec<String>,
    /// What the value is.
    pub kind: ParamType,
}

/// The types a repeated property may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    /// `string`
    String,
    /// `integer`
    Integer,
    /// `boolean`
    Boolean,
}

/// An annotation that makes its tool unusable over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Empty, not a string, or not a header name.
    #[error("an `x-mcp-header` is not a header name")]
    Name,
    /// Two annotations that differ in case at most.
    #[error("two `x-mcp-header` have the same name")]
    Repeated,
    /// An object, an array, a `number`, several types or none.
    #[error("an `x-mcp-header` is on a property that is no string, integer or boolean")]
    Type,
    /// Not on a property that a chain of `properties` leads to.
    #[error("an `x-mcp-header` is where `properties` alone do not lead")]
    Unreachable,
}

/// A header and the argument it repeats differ: -32020.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The argument is there, the header is not.
    #[error("the header `{0}` is missing")]
    Missing(HeaderName),
    /// The header is there, the argument is not.
    #[error("the header `{0}` repeats an argument that is not there")]
    Unexpected(HeaderName),
    /// Both are there.
    #[error("the header `{0}` does not match the argument")]
    Different(HeaderName),
}

/// The properties of a tool's `inputSchema` that are repeated in headers.
pub fn annotated(schema: &Json) -> Result<Vec<Annotated>, Invalid> {
    let text = schema.as_str();
    // Most schemas have none, and an escape is how a key could be spelled otherwise.
    if !text.contains(ANNOTATION) && !text.contains("\\u") {
        return Ok(Vec::new());
    }
    let Some(schema) = schema.read::<Value>() else {
        // Nested deeper than anybody reads.
        return Err(Invalid::Unreachable);
    };
    let mut found = Vec::new();
    walk(&schema, Some(&[]), &mut found)?;
    Ok(found)
}

/// The headers that go with these arguments; none for a schema with a bad annotation.
pub fn headers(schema: &Json, arguments: &Json) -> Vec<(HeaderName, HeaderValue)> {
    let annotated = annotated(schema).unwrap_or_default();
    annotated
        .into_iter()
        .filter_map(|property| {
            let value = written(&value_at(arguments, &property.path)?)?;
            Some((
                property.header,
                HeaderValue::from_str(&header::encode(&value)).ok()?,
            ))
        })
        .collect()
}

/// Whether the headers of a request repeat its arguments as the schema wants it.
pub fn check(
    schema: &Json,
    arguments: &Json,
    headers: &[(HeaderName, HeaderValue)],
) -> Result<(), Mismatch> {
    for property in annotated(schema).unwrap_or_default() {
        let name = property.header;
        let mut sent = headers.iter().filter(|(header, _)| *header == name);
        let value = value_at(arguments, &property.path).and_then(|value| written(&value));
        match (sent.next(), value) {
            (None, None) => {}
            (None, Some(_)) => return Err(Mismatch::Missing(name)),
            (Some(_), None) => return Err(Mismatch::Unexpected(name)),
            (Some((_, header)), Some(value)) => {
                let same = sent.next().is_none()
                    && header
                        .to_str()
                        .ok()
                        .and_then(header::decode)
                        .is_some_and(|header| match property.kind {
                            ParamType::Integer => same_number(&header, &value),
                            ParamType::String | ParamType::Boolean => header == value,
                        });
                if !same {
                    return Err(Mismatch::Different(name));
                }
            }
        }
    }
    Ok(())
}

/// Looks for annotations. `path` leads here from the root by `properties` alone, or is `None`.
fn walk(
    schema: &Value,
    path: Option<&[String]>,
    found: &mut Vec<Annotated>,
) -> Result<(), Invalid> {
    let members = match schema {
        Value::Object(members) => members,
        Value::Array(elements) => {
            return elements
                .iter()
                .try_for_each(|element| walk(element, None, found));
        }
        _ => return Ok(()),
    };
    if let Some(name) = members.get(ANNOTATION) {
        let path = path
            .filter(|path| !path.is_empty())
            .ok_or(Invalid::Unreachable)?;
        let property = annotation(name, members, path)?;
        if found.iter().any(|other| other.header == property.header) {
            return Err(Invalid::Repeated);
        }
        found.push(property);
    }
    for (key, value) in members {
        match value {
            _ if DATA.contains(&key.as_str()) || key == ANNOTATION => {}
            Value::Object(named) if NAMED.contains(&key.as_str()) => {
                for (name, schema) in named {
                    let path = path.filter(|_| key == "properties").map(|path| {
                        let mut longer = path.to_vec();
                        longer.push(name.clone());
                        longer
                    });
                    walk(schema, path.as_deref(), found)?;
                }
            }
            other => walk(other, None, found)?,
        }
    }
    Ok(())
}

fn annotation(
    name: &Value,
    schema: &Map<String, Value>,
    path: &[String],
) -> Result<Annotated, Invalid> {
    let name = name
        .as_str()
        .filter(|name| !name.is_empty())
        .ok_or(Invalid::Name)?;
    let header = format!("{}{name}", header::PARAM_PREFIX);
    Ok(Annotated {
        header: HeaderName::from_bytes(header.as_bytes()).map_err(|_| Invalid::Name)?,
        path: path.to_vec(),
        kind: kind(schema.get("type")).ok_or(Invalid::Type)?,
    })
}

/// One type; `null` beside it is what an absent argument is anyway.
fn kind(declared: Option<&Value>) -> Option<ParamType> {
    let named = |name: &str| match name {
        "string" => Some(ParamType::String),
        "integer" => Some(ParamType::Integer),
        "boolean" => Some(ParamType::Boolean),
        _ => None,
    };
    match declared? {
        Value::String(name) => named(name),
        Value::Array(names) => {
            let mut names = names.iter().filter(|name| *name != "null");
            let first = named(names.next()?.as_str()?)?;
            names.next().is_none().then_some(first)
        }
        _ => None,
    }
}

fn value_at(arguments: &Json, path: &[String]) -> Option<Json> {
    let mut value = arguments.clone();
    for name in path {
        value = value.object()?.get(name)?;
    }
    Some(value)
}

/// The value as a header says it; `None` for `null` and for what no header can say.
fn written(value: &Json) -> Option<String> {
    match value.bytes().first()? {
        b'"' => value.as_text().map(std::borrow::Cow::into_owned),
        b't' | b'f' => Some(value.as_str().to_owned()),
        b'-' | b'0'..=b'9' => {
            let text = value.as_str();
            Some(whole(text).map_or_else(|| text.to_owned(), |number| number.to_string()))
        }
        _ => None,
    }
}

/// The integer that a spelling means: `42`, `42.0` and `4.2e1` are one.
fn whole(text: &str) -> Option<i128> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and within the safe range"
    )]
    (number.fract() == 0.0 && number.abs() <= SAFE).then_some(number as i128)
}

fn same_number(header: &str, value: &str) -> bool {
    match (whole(header), whole(value)) {
        (Some(header), Some(value)) => header == value,
        _ => header == value,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn names(schema: &Value) -> Result<Vec<String>, Invalid> {
        let found = annotated(&Json::of(schema))?;
        let name = |one: Annotated| format!("{}={}", one.header, one.path.join("."));
        Ok(found.into_iter().map(name).collect())
    }

    fn with(annotation: impl Into<Value>, kind: impl Into<Value>) -> Value {
        json!({"properties": {"a": {"type": kind.into(), "x-mcp-header": annotation.into()}}})
    }

    #[test]
    fn every_rule_for_annotations_is_held() {
        let deep = json!({"properties": {"o": {"type": "object", "properties": {"a": {"type": "boolean", "x-mcp-header": "B"}}}}});
        let twice = json!({"properties": {
            "a": {"type": "string", "x-mcp-header": "R"}, "b": {"type": "string", "x-mcp-header": "r"}}});
        let named = json!({"properties": {"x-mcp-header": {"type": "string"}}});
        let data =
            json!({"properties": {"a": {"type": "object", "default": {"x-mcp-header": "A"}}}});
        for (schema, expected) in [
            (with(json!("A"), json!("string")), Ok(vec!["mcp-param-a=a"])),
            (
                with(json!("A"), json!(["null", "integer"])),
                Ok(vec!["mcp-param-a=a"]),
            ),
            (deep, Ok(vec!["mcp-param-b=o.a"])),
            (named, Ok(vec![])),
            (data, Ok(vec![])),
            (with(json!(""), json!("string")), Err(Invalid::Name)),
            (with(json!(1), json!("string")), Err(Invalid::Name)),
            (with(json!("a b"), json!("string")), Err(Invalid::Name)),
            (with(json!("a\r\nb"), json!("string")), Err(Invalid::Name)),
            (with(json!("ä"), json!("string")), Err(Invalid::Name)),
            (with(json!("A"), json!("number")), Err(Invalid::Type)),
            (with(json!("A"), json!("object")), Err(Invalid::Type)),
            (
                with(json!("A"), json!(["string", "integer"])),
                Err(Invalid::Type),
            ),
            (twice, Err(Invalid::Repeated)),
            (
                json!({"type": "string", "x-mcp-header": "A"}),
                Err(Invalid::Unreachable),
            ),
            (
                json!({"properties": {"a": {"type": "array", "items": {"type": "string", "x-mcp-header": "A"}}}}),
                Err(Invalid::Unreachable),
            ),
            (
                json!({"oneOf": [with(json!("A"), json!("string"))]}),
                Err(Invalid::Unreachable),
            ),
            (
                json!({"if": with(json!("A"), json!("string"))}),
                Err(Invalid::Unreachable),
            ),
            (
                json!({"$defs": {"d": with(json!("A"), json!("string"))}}),
                Err(Invalid::Unreachable),
            ),
        ] {
            let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect());
            assert_eq!(names(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn headers_repeat_the_arguments_and_nothing_that_is_not_there() {
        let schema = Json::of(&json!({"properties": {
            "s": {"type": "string", "x-mcp-header": "S"}, "i": {"type": "integer", "x-mcp-header": "I"},
            "b": {"type": "boolean", "x-mcp-header": "B"}, "n": {"type": "string", "x-mcp-header": "N"}}}));
        let arguments = Json::of(&json!({"s": " größe", "i": 42.0, "b": true, "n": null}));
        let made = headers(&schema, &arguments);
        let text: Vec<_> = made
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(
            text,
            [
                "mcp-param-s: =?base64?IGdyw7bDn2U=?=",
                "mcp-param-i: 42",
                "mcp-param-b: true"
            ]
        );
        assert_eq!(check(&schema, &arguments, &made), Ok(()));
        let name = |name| HeaderName::from_static(name);
        assert_eq!(
            check(&schema, &arguments, &made[1..]),
            Err(Mismatch::Missing(name("mcp-param-s")))
        );
        let mut wrong = made;
        wrong[1].1 = HeaderValue::from_static("43");
        assert_eq!(
            check(&schema, &arguments, &wrong),
            Err(Mismatch::Different(name("mcp-param-i")))
        );
        wrong[1].1 = HeaderValue::from_static("4.20e1");
        assert_eq!(check(&schema, &arguments, &wrong), Ok(()));
        wrong.push((name("mcp-param-n"), HeaderValue::from_static("x")));
        assert_eq!(
            check(&schema, &arguments, &wrong),
            Err(Mismatch::Unexpected(name("mcp-param-n")))
        );
    }

    proptest! {
        #[test]
        fn what_headers_writes_check_accepts(text in ".*", number in any::<i64>(), flag in any::<bool>()) {
            let schema = Json::of(&json!({"properties": {
                "s": {"type": "string", "x-mcp-header": "S"}, "i": {"type": "integer", "x-mcp-header": "I"},
                "b": {"type": "boolean", "x-mcp-header": "B"}}}));
            let arguments = Json::of(&json!({"s": text, "i": number, "b": flag}));
            let made = headers(&schema, &arguments);
            prop_assert_eq!(made.len(), 3);
            prop_assert_eq!(check(&schema, &arguments, &made), Ok(()));
        }
    }
}
