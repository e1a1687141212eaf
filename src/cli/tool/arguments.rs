//! The arguments of a call, from the command line to JSON: `KEY=TEXT` by the tool's schema, `KEY:=JSON` as it is.

use std::collections::BTreeSet;
use std::io::Read;

use crate::cli::{Exit, Failure};
use crate::protocol::{Edit, Json, LONGEST_MESSAGE, Object};

/// A schema that refers to itself is not followed for ever.
const DEEPEST: usize = 8;

/// What was given, before the tool's schema is known.
#[derive(Debug)]
pub(super) struct Given {
    /// `--args`
    whole: Object,
    /// In the order of the command line.
    single: Vec<(String, Value)>,
}

#[derive(Debug)]
enum Value {
    Text(String),
    Json(Json),
}

impl Given {
    pub(super) fn of(single: &[String], whole: Option<&str>) -> Result<Self, Failure> {
        let mut given = Self {
            whole: whole.map_or_else(|| Ok(Object::empty()), read_whole)?,
            single: Vec::new(),
        };
        for argument in single {
            let (key, value) = read_single(argument)?;
            if given.single.iter().any(|(known, _)| *known == key) {
                return Err(wrong(format!("`{key}` is given twice"))
                    .help(format!("a list is JSON:  {key}:='[1, 2]'")));
            }
            given.single.push((key, value));
        }
        Ok(given)
    }

    /// The arguments for a tool with this schema. Single ones win over `--args`.
    pub(super) fn object(&self, schema: &Object) -> Result<Object, Failure> {
        let properties = schema.object("properties").unwrap_or_else(Object::empty);
        let closed = schema
            .get("additionalProperties")
            .is_some_and(|additional| additional.as_str() == "false");
        let mut edits = Vec::new();
        for (key, value) in &self.single {
            let property = properties.get(key);
            if property.is_none() && closed {
                return Err(no_such(key, &properties));
            }
            let value = match value {
                Value::Json(json) => json.clone(),
                Value::Text(text) => {
                    let kinds = property
                        .map_or_else(BTreeSet::new, |property| kinds(&property, schema, DEEPEST));
                    converted(text, &kinds).ok_or_else(|| misfit(key, &kinds))?
                }
            };
            edits.push(Edit::Set(key, value));
        }
        let arguments = self.whole.edited(&edits);
        Ok(arguments.object().unwrap_or_else(Object::empty))
    }
}

fn read_single(argument: &str) -> Result<(String, Value), Failure> {
    let unreadable = || {
        wrong(format!("`{argument}` is not an argument for the tool"))
            .help("text, a number, true or false:  KEY=TEXT")
            .help("JSON:  KEY:='[1, 2]'")
    };
    let (key, text) = argument.split_once('=').ok_or_else(unreadable)?;
    let (key, value) = match key.strip_suffix(':') {
        None => (key, Value::Text(text.to_owned())),
        Some(key) => {
            let json = Json::parse(text.to_owned().into()).map_err(|error| {
                wrong(format!(
                    "the value of `{key}` must be JSON, because of `:=`"
                ))
                .because(error.to_string())
                .help(format!("for text:  {key}=TEXT"))
            })?;
            (key, Value::Json(json))
        }
    };
    if key.is_empty() {
        return Err(unreadable());
    }
    Ok((key.to_owned(), value))
}

/// `--args`: the object itself, a file, or `-`.
fn read_whole(given: &str) -> Result<Object, Failure> {
    let expected = "`--args` takes a JSON object, the file that holds one, or - for standard input";
    let text = if given.trim_start().starts_with(['{', '[', '"']) {
        given.to_owned()
    } else {
        read_text(given).map_err(|error| wrong(expected).because(error.to_string()))?
    };
    let json = Json::parse(text.into())
        .map_err(|error| wrong("the text of `--args` is not JSON").because(error.reason))?;
    json.object().ok_or_else(|| wrong(expected))
}

fn read_text(given: &str) -> std::io::Result<String> {
    let mut text = String::new();
    // One byte more than a message may have: what is too long shows.
    let most = u64::try_from(LONGEST_MESSAGE).unwrap_or(u64::MAX);
    if given == "-" {
        std::io::stdin().take(most + 1).read_to_string(&mut text)?;
    } else {
        let file = std::fs::File::open(given)
            .map_err(|error| std::io::Error::new(error.kind(), format!("`{given}`: {error}")))?;
        file.take(most + 1).read_to_string(&mut text)?;
    }
    if text.len() > LONGEST_MESSAGE {
        return Err(std::io::Error::other("a message has at most 16 MiB"));
    }
    Ok(text)
}

/// The kinds of JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Integer,
    Number,
    Boolean,
    Array,
    Object,
    Null,
    Text,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "array" => Self::Array,
            "object" => Self::Object,
            "null" => Self::Null,
            "string" => Self::Text,
            _ => return None,
        })
    }

    fn of(value: &Json) -> Self {
        let text = value.as_str();
        match text.bytes().next() {
            Some(b'"') => Self::Text,
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') => Self::Null,
            _ if text.contains(['.', 'e', 'E']) => Self::Number,
            _ => Self::Integer,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Array => "a JSON array",
            Self::Object => "a JSON object",
            Self::Null => "null",
            Self::Text => "text",
        }
    }
}

/// The kinds of values a schema allows; none where it does not say.
fn kinds(schema: &Json, root: &Object, depth: usize) -> BTreeSet<Kind> {
    let Some((schema, depth)) = schema.object().zip(depth.checked_sub(1)) else {
        return BTreeSet::new();
    };
    if let Some(target) = schema.text("$ref").and_then(|path| referred(root, &path)) {
        return kinds(&target, root, depth);
    }
    if let Some(named) = schema.get("type") {
        let one = |name: &Json| name.as_text().and_then(|name| Kind::named(&name));
        return match named.elements() {
            Some(names) => names.iter().filter_map(one).collect(),
            None => one(&named).into_iter().collect(),
        };
    }
    if let Some(values) = schema.get("enum").and_then(|values| values.elements()) {
        return values.iter().map(Kind::of).collect();
    }
    if let Some(value) = schema.get("const") {
        return BTreeSet::from([Kind::of(&value)]);
    }
    let branches = ["anyOf", "oneOf", "allOf"].into_iter();
    branches
        .filter_map(|key| schema.get(key)?.elements())
        .flatten()
        .flat_map(|branch| kinds(&branch, root, depth))
        .collect()
}

/// What a reference within the schema stands for.
fn referred(root: &Object, path: &str) -> Option<Json> {
    let mut found = root.json().clone();
    for step in path.strip_prefix("#/")?.split('/') {
        let key = step.replace("~1", "/").replace("~0", "~");
        found = found.object()?.get(&key)?;
    }
    Some(found)
}

/// The text as a value of one of these kinds; `None` if it is none. Where text is allowed, text it is.
fn converted(text: &str, kinds: &BTreeSet<Kind>) -> Option<Json> {
    if kinds.is_empty() || kinds.contains(&Kind::Text) {
        return Some(Json::string(text));
    }
    let value = Json::parse(text.to_owned().into()).ok()?;
    let kind = Kind::of(&value);
    let fits = kinds.contains(&kind) || kind == Kind::Integer && kinds.contains(&Kind::Number);
    fits.then_some(value)
}

fn misfit(key: &str, kinds: &BTreeSet<Kind>) -> Failure {
    let expected: Vec<&str> = kinds.iter().map(|kind| kind.expected()).collect();
    let failure = wrong(format!("`{key}` must be {}", expected.join(" or ")));
    match kinds.first() {
        Some(Kind::Integer) => failure.help(format!("such as  {key}=7")),
        Some(Kind::Number) => failure.help(format!("such as  {key}=0.5")),
        Some(Kind::Array) => failure.help(format!("such as  {key}='[\"a\", \"b\"]'")),
        Some(Kind::Object) => failure.help(format!("such as  {key}='{{\"a\": 1}}'")),
        _ => failure,
    }
}

fn no_such(key: &str, properties: &Object) -> Failure {
    let known: Vec<String> = properties.iter().map(|(name, _)| name.into()).collect();
    let failure = wrong(format!("the tool has no argument `{key}`"));
    let near = known
        .iter()
        .find(|name| strsim::damerau_levenshtein(name, key) <= 2);
    match near {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => failure.help("it takes none"),
        None => failure.help(format!("it takes {}", known.join(", "))),
    }
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, "usage", message).sent("nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r##"{
        "type": "object",
        "properties": {
            "text": {"type": "string"}, "count": {"type": "integer"}, "ratio": {"type": "number"},
            "all": {"type": "boolean"}, "labels": {"type": "array"}, "filter": {"type": "object"},
            "maybe": {"type": ["integer", "null"]}, "either": {"anyOf": [{"type": "boolean"}, {"type": "number"}]},
            "or_text": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
            "level": {"$ref": "#/$defs/Level"}, "state": {"enum": ["on", "off"]}, "three": {"const": 3},
            "loop": {"$ref": "#/properties/loop"}, "free": {}, "any": true
        },
        "$defs": {"Level": {"type": "string", "enum": ["1", "2"]}}
    }"##;

    fn schema(text: &str) -> Object {
        Json::parse(text.to_owned().into())
            .unwrap()
            .object()
            .unwrap()
    }

    fn object(single: &[&str], whole: Option<&str>, schema: &Object) -> Result<String, Failure> {
        let single: Vec<String> = single.iter().map(|text| (*text).to_owned()).collect();
        let object = Given::of(&single, whole)?.object(schema)?;
        Ok(object.json().as_str().to_owned())
    }

    #[test]
    fn text_becomes_what_the_schema_asks_for() {
        for (argument, expected) in [
            ("text=5", r#"{"text":"5"}"#),
            ("text=", r#"{"text":""}"#),
            ("text=a=b:=c", r#"{"text":"a=b:=c"}"#),
            ("text=größe \"x\"\n", r#"{"text":"größe \"x\"\n"}"#),
            ("count=-7", r#"{"count":-7}"#),
            (
                "count=99999999999999999999",
                r#"{"count":99999999999999999999}"#,
            ),
            ("ratio=1.50", r#"{"ratio":1.50}"#),
            ("ratio=2", r#"{"ratio":2}"#),
            ("all=true", r#"{"all":true}"#),
            (r#"labels=["a", 1]"#, r#"{"labels":["a", 1]}"#),
            (r#"filter={"a":1}"#, r#"{"filter":{"a":1}}"#),
            ("maybe=null", r#"{"maybe":null}"#),
            ("maybe=3", r#"{"maybe":3}"#),
            ("either=false", r#"{"either":false}"#),
            ("either=1e3", r#"{"either":1e3}"#),
            ("or_text=3", r#"{"or_text":"3"}"#),
            ("level=1", r#"{"level":"1"}"#),
            ("state=on", r#"{"state":"on"}"#),
            ("three=3", r#"{"three":3}"#),
            ("loop=1", r#"{"loop":"1"}"#),
            ("free=1", r#"{"free":"1"}"#),
            ("any=1", r#"{"any":"1"}"#),
            ("unknown=1", r#"{"unknown":"1"}"#),
            ("text:=[1]", r#"{"text":[1]}"#),
            ("unknown:=null", r#"{"unknown":null}"#),
        ] {
            assert_eq!(
                object(&[argument], None, &schema(SCHEMA)).as_deref(),
                Ok(expected),
                "{argument}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_a_usage_error_that_says_what_would() {
        for (argument, expected) in [
            ("count=1.5", "`count` must be an integer"),
            ("count=", "`count` must be an integer"),
            ("ratio=much", "`ratio` must be a number"),
            ("all=yes", "`all` must be true or false"),
            ("labels=a,b", "`labels` must be a JSON array"),
            ("filter=[1]", "`filter` must be a JSON object"),
            ("maybe=x", "`maybe` must be an integer or null"),
            ("either=x", "`either` must be a number or true or false"),
            (
                "count:=1.",
                "the value of `count` must be JSON, because of `:=`",
            ),
            ("count", "`count` is not an argument for the tool"),
            ("=1", "`=1` is not an argument for the tool"),
            (":=1", "`:=1` is not an argument for the tool"),
        ] {
            let failure = object(&[argument], None, &schema(SCHEMA)).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage, "{argument}");
            assert_eq!(failure.parts().message, expected, "{argument}");
        }
        let twice = object(&["text=a", "text=b"], None, &schema(SCHEMA)).unwrap_err();
        assert_eq!(twice.parts().message, "`text` is given twice");
    }

    #[test]
    fn a_closed_schema_knows_its_arguments() {
        let closed = schema(r#"{"properties": {"text": {}}, "additionalProperties": false}"#);
        let failure = object(&["txt=a"], None, &closed).unwrap_err();
        assert_eq!(failure.parts().message, "the tool has no argument `txt`");
        assert_eq!(failure.parts().help, ["did you mean `text`?"]);
    }

    #[test]
    fn the_whole_object_is_kept_as_written_and_single_arguments_win() {
        let whole = r#" {"count": 1.0, "x": 1e400, "text": "a"}"#;
        assert_eq!(
            object(&["text=b"], Some(whole), &schema(SCHEMA)).as_deref(),
            Ok(r#"{"count":1.0,"x":1e400,"text":"b"}"#)
        );
        for wrong in ["[1]", "{", "/nowhere.json", "\"a\""] {
            let failure = object(&[], Some(wrong), &schema(SCHEMA)).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage, "{wrong}");
        }
    }
}
