//! Any map of servers gives a configuration that loads, or a refusal; and no secret is in either.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{CANARY, read, validated};
use janus::import::{document, merge};

/// Texts with everything that means something to one of the languages on the way.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,8}",
        "[ -~]{0,12}",
        any::<String>(),
        "(\\$\\{[A-Z:a-z-]{0,6}\\}?|\\$[A-Z]{1,3}|\\{env:X\\}|://|[?&=#@/%]|--token|a|\\.){0,8}",
        Just("https://a.example/mcp".to_owned()),
        Just("https://b.example/mcp?token=x".to_owned()),
        Just("npx".to_owned()),
        Just("-y".to_owned()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9_.@/ -]{0,40}",
        "(gh|GH)[-_ ][a-c]",
        any::<String>()
    ]
}

/// A value in a place that makes it a secret: the canary with anything around it.
fn secret() -> impl Strategy<Value = String> {
    ("(Bearer |\\$\\{A\\}|)", "[!-~]{0,6}").prop_map(|(head, tail)| format!("{head}{CANARY}{tail}"))
}

fn map(key: &'static str, secret_key: &'static str) -> impl Strategy<Value = Value> {
    let plain = proptest::collection::vec((name(), text()), 0..3);
    (
        plain,
        proptest::option::of(secret()),
        Just((key, secret_key)),
    )
        .prop_map(|(plain, secret, (key, secret_key))| {
            let mut map: Map<String, Value> = plain
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect();
            map.insert(key.to_owned(), "x".into());
            if let Some(secret) = secret {
                map.insert(secret_key.to_owned(), secret.into());
            }
            map.into()
        })
}

fn server() -> impl Strategy<Value = Value> {
    let remote = (text(), map("X-Team", "Authorization"), text()).prop_map(|(url, headers, description)| {
        json!({ "url": url, "headers": headers, "description": description })
    });
    let query = secret().prop_map(|secret| {
        let plain: String = secret.chars().filter(char::is_ascii_alphanumeric).collect();
        json!({ "url": format!("https://u:{plain}@c.example/?api_key={plain}") })
    });
    let args = (
        proptest::collection::vec(text(), 0..5),
        proptest::option::of(secret()),
        map("MODE", "API_TOKEN"),
        any::<bool>(),
    );
    let process = args.prop_map(|(mut args, secret, env, disabled)| {
        if let Some(secret) = secret {
            args.push(format!("--password={secret}"));
        }
        json!({ "command": "npx", "args": args, "env": env, "disabled": disabled })
    });
    prop_oneof![remote, query, process]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_map_of_servers_loads_or_is_refused_and_keeps_its_secrets(
        servers in proptest::collection::vec((name(), server()), 0..6),
    ) {
        let map: Map<String, Value> = servers.into_iter().collect();
        let text = json!({ "mcpServers": map }).to_string();
        match read(&text) {
            Err(error) => prop_assert!(!error.to_string().contains(CANARY)),
            Ok(imported) => {
                let config = document(&imported);
                let loaded = validated(&config, &imported);
                prop_assert!(loaded.is_ok(), "{:?}\n{}", loaded.err(), config);
                let said = format!("{config}{:?}{:?}", imported.to_set, imported.notes);
                prop_assert!(!said.contains(CANARY), "{}", said);
                let old = "servers:\n  old:\n    url: https://a.example/\n";
                let merged = merge(old, &imported).map(|merged| merged.text);
                prop_assert!(merged.is_ok(), "{:?}", merged);
            }
        }
    }
}
