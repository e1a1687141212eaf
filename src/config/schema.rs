//! The JSON Schema of the configuration, for editors. It is made of the file's types.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::file::Document;
use super::settings::{PROCESS_KEYS, REMOTE_KEYS};

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

/// A server is of one kind, with the keys of that kind.
pub(super) fn one_kind(schema: &mut Schema) {
    let kind = |key: &str, others: &[&str]| {
        let others: serde_json::Map<String, Value> = others
            .iter()
            .map(|other| ((*other).to_owned(), json!(false)))
            .collect();
        json!({ "required": [key], "properties": others })
    };
    let kinds = json!([kind("url", &PROCESS_KEYS), kind("command", &REMOTE_KEYS)]);
    schema.insert("oneOf".to_owned(), kinds);
}
