//! The example beside the program: read, by the schema, complete, and without what it warns of.

use janus::config;
use serde_json::Value;

use super::{mistakes, parse};

/// With the keys that are comments there: a default is better, or another key excludes them.
fn example() -> String {
    include_str!("../../../janus.example.yaml")
        .replace("# socket:", "socket:")
        .replace("key: auto", "key: file")
        .replace("# key_file:", "key_file:")
        .replace("scopes: [read, write]", "# scopes")
        .replace("# scopes_limit:", "scopes_limit:")
}

#[test]
fn the_example_holds_to_reader_and_schema() {
    assert_eq!(mistakes(&example()), "none");
    let loaded = parse(&example()).unwrap();
    assert_eq!(loaded.settings.servers.len(), 9);
    assert_eq!(loaded.settings.identity.profiles.len(), 3);
    let validator = jsonschema::validator_for(&config::schema()).unwrap();
    let document: Value = serde_yaml::from_str(&example()).unwrap();
    validator.validate(&document).unwrap();
}

/// What is shown at last is what the example says of itself.
#[test]
fn the_example_warns_of_what_it_cannot_know_and_explains() {
    let loaded = parse(&example()).unwrap();
    let messages: Vec<&str> = loaded
        .warnings
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    assert_eq!(
        messages,
        [
            "a secret in the query of a URL: URLs end in other people's logs",
            "switching is `off`, so that of the accounts of `issues` only `client_a` is used",
            "this directory does not exist",
        ]
    );
}

#[test]
fn the_example_has_every_key_of_the_schema() {
    let schema = config::schema();
    let document: Value = serde_yaml::from_str(&example()).unwrap();
    let definitions = schema["$defs"].as_object().unwrap().values();
    let mut keys = 0;
    for definition in definitions.chain([&schema]) {
        for (key, about) in definition["properties"].as_object().unwrap() {
            // Excluded by `scopes_limit`, which is looked at here.
            assert!(
                key == "scopes" || has_key(&document, key),
                "the example lacks `{key}`"
            );
            assert!(about["description"].is_string(), "`{key}` is not explained");
            keys += 1;
        }
    }
    assert!(keys > 40, "only {keys} keys were looked at");
}

fn has_key(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(map) => {
            map.contains_key(key) || map.values().any(|value| has_key(value, key))
        }
        Value::Array(list) => list.iter().any(|value| has_key(value, key)),
        _ => false,
    }
}
