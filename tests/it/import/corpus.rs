//! Each file of the corpus: what is made of it, and that it is a configuration.

use std::fmt::Write as _;

use super::{CANARY, corpus, read, validated};
use janus::import::document;

#[test]
fn every_file_becomes_a_configuration_that_loads_and_holds_to_the_schema() {
    let schema = jsonschema::validator_for(&janus::config::schema()).unwrap();
    let corpus = corpus();
    assert!(corpus.len() >= 11);
    for (name, _, text) in corpus {
        let imported = read(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let config = document(&imported);
        let loaded = validated(&config, &imported)
            .unwrap_or_else(|error| panic!("{name}: {error:?}\n{config}"));
        assert!(
            loaded.settings.servers.len() + loaded.disabled.len() >= 2,
            "{name}"
        );
        let value: serde_json::Value = serde_yaml::from_str(&config).unwrap();
        assert!(
            schema.is_valid(&value),
            "{name}: {:?}",
            schema.iter_errors(&value).next()
        );

        let mut shown = config;
        for set in &imported.to_set {
            let known = if set.known { " (known)" } else { "" };
            let place = if set.in_vault { "vault:" } else { "" };
            writeln!(
                shown,
                "set {place}{}{known}: {}: {}",
                set.variable, set.owner, set.what
            )
            .unwrap();
        }
        for note in &imported.notes {
            writeln!(shown, "note: {note}").unwrap();
        }
        assert!(!shown.contains(CANARY), "{name}: {shown}");
        insta::assert_snapshot!(name, shown);
    }
}
