//! The README promises only what works: its YAML loads, its commands exist.

use std::path::Path;
use std::process::Command;

use janus::config::{self, Environment};

use crate::conformance::{LEGACY, MODERN, Quadrant};
use crate::support::Era;

const README: &str = include_str!("../../README.md");

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    README
        .split(&fence)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_yaml_block_loads_and_holds_to_the_schema() {
    let environment = Environment::new([("HOME", "/home/ana")], 1000);
    let schema = jsonschema::validator_for(&config::schema()).unwrap();
    let blocks = blocks("yaml");
    assert!(blocks.len() >= 2);
    for block in blocks {
        let loaded = config::parse(&block, Path::new("/README.md"), &environment);
        assert!(
            loaded.is_ok_and(|loaded| !loaded.settings.servers.is_empty()),
            "{block}"
        );
        let document: serde_json::Value = serde_yaml::from_str(&block).unwrap();
        assert!(schema.is_valid(&document), "{block}");
    }
}

#[test]
fn every_command_of_janus_exists() {
    let commands: Vec<Vec<String>> = blocks("sh")
        .iter()
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| {
            line.split(" #")
                .next()
                .unwrap()
                .trim()
                .strip_prefix("janus ")
                .map(str::to_owned)
        })
        .map(|line| {
            line.split_whitespace()
                .take_while(|word| !word.contains('='))
                .map(str::to_owned)
                .collect()
        })
        .collect();
    assert!(commands.len() >= 3, "{commands:?}");
    for words in commands {
        let asked = Command::new(env!("CARGO_BIN_EXE_janus"))
            .args(&words)
            .arg("--help")
            .output()
            .unwrap();
        assert!(
            asked.status.success(),
            "janus {}: {}",
            words.join(" "),
            String::from_utf8_lossy(&asked.stderr)
        );
    }
}

#[test]
fn its_table_of_conformance_is_what_the_tests_hold_janus_to() {
    let table = README.lines().filter(|line| line.contains("| client of "));
    let table: Vec<&str> = table.map(str::trim).collect();
    let expected = [LEGACY, MODERN].map(|client| {
        let [legacy, modern] = [Era::Legacy, Era::Modern].map(|server| {
            let passed = Quadrant { client, server }.passed();
            format!("{passed}/{}", client.checks)
        });
        format!("| client of {} | {legacy} | {modern} |", client.revision)
    });
    assert_eq!(table, expected);
}

#[test]
fn it_names_the_command_that_runs_and_the_one_that_tests() {
    assert!(README.contains("cargo run --release -- demo"));
    for command in ["tests/run", "tests/matrix"] {
        assert!(README.contains(&format!("\n{command} ")), "{command}");
        assert!(
            Path::new(env!("CARGO_MANIFEST_DIR")).join(command).exists(),
            "{command}"
        );
    }
    assert!(
        README.contains(
            "claude mcp add --scope user --transport http janus http://127.0.0.1:7332/mcp"
        )
    );
}
