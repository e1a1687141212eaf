//! The JSON Schema of the configuration, for editors. It is made of the file's types.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::file::Document;
use super::server::{OWN_PROCESS_KEYS, OWN_REMOTE_KEYS, PROCESS_KEYS, REMOTE_KEYS};

/// The schema of the whole file, JSON Schema 2020-12.
pub fn schema() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Document>()
        .to_value()
}

/// A section may be there without a value, as when all of its keys are commented out.
pub(super) fn or_nothing(schema: &mut Schema) {
    schema.insert("type".to_owned(), json!(["object", "null"]));
}

/// A server is of one kind, with the keys of that kind, and so are its accounts. A default is one of several.
pub(super) fn one_kind(schema: &mut Schema) {
    let without = |keys: &[&str]| -> serde_json::Map<String, Value> {
        let pairs = keys.iter().map(|key| ((*key).to_owned(), json!(false)));
        pairs.collect()
    };
    let kind = |key: &str, others: &[&str], own: &[&str]| {
        let mut properties = without(others);
        let accounts = json!({ "additionalProperties": { "properties": without(own) } });
        properties.insert("accounts".to_owned(), accounts);
        json!({ "required": [key], "properties": properties })
    };
    // Which kind a template is of, the schema cannot know.
    let open = json!({ "required": ["template"], "properties": without(&["url", "command"]) });
    let kinds = json!([
        kind("url", &PROCESS_KEYS, &OWN_PROCESS_KEYS),
        kind("command", &REMOTE_KEYS, &OWN_REMOTE_KEYS),
        open,
    ]);
    schema.insert("oneOf".to_owned(), kinds);
    let with = json!({ "default": ["accounts"] });
    schema.insert("dependentRequired".to_owned(), with);
}

/// A rule says whom it binds, and to what. With the type, because `required` says nothing about what is no object.
pub(super) fn bound(schema: &mut Schema) {
    let whom = |key: &str| json!({ "type": "object", "required": [key, "profile"] });
    let either = json!([whom("directory"), whom("client")]);
    schema.insert("anyOf".to_owned(), either);
}

/// A key is tied in one of two ways, or not at all.
pub(super) fn tied(schema: &mut Schema) {
    // With the type again: a client without a value does not have both.
    let both = json!({ "type": "object", "required": ["profile", "profiles"] });
    schema.insert("not".to_owned(), both);
    let some = json!({ "profiles": { "type": "array", "minItems": 1, "uniqueItems": true } });
    schema.insert("allOf".to_owned(), json!([{ "properties": some }]));
}
