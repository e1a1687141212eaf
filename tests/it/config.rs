//! The configuration: what is read, what is refused, and that no message holds a secret.

use std::path::Path;

use janus::config::{self, ConfigError, Environment, Loaded};
use janus::model::{Endpoint, EraChoice, Sharing};
use proptest::prelude::*;

fn environment() -> Environment {
    Environment::new(
        [
            ("HOME", "/home/ana"),
            ("XDG_RUNTIME_DIR", "/run/user/1000"),
            ("TOKEN", "CANARY-environment"),
            ("WAIT", "5s"),
        ],
        1000,
    )
}

fn parse(text: &str) -> Result<Loaded, ConfigError> {
    config::parse(text, Path::new("/c.yaml"), &environment())
}

/// All mistakes of a text, one a line, as people read them.
fn mistakes(text: &str) -> String {
    match parse(text) {
        Ok(_) => "none".to_owned(),
        Err(ConfigError::Wrong { problems, .. }) => {
            let line = |p: &config::Problem| {
                let help = p
                    .help
                    .as_ref()
                    .map(|help| format!(" | {help}"))
                    .unwrap_or_default();
                let code = p.mistake.code();
                format!(
                    "{} {} [{code}] {}{help}",
                    p.place.position, p.place.path, p.mistake
                )
            };
            problems.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn ten_mistakes_are_reported_in_one_run() {
    let text = r#"version: 2
servrs: {}
servers:
  git__hub:
    url: https://a.example/mcp
  github:
    url: https://b.example/mcp
    timeout: 60
    era: legcy
    tol: x
  local:
    command: npx server
  both:
    url: https://c.example/mcp
    env: { A: b }
    tools: { include: [a, 7] }
  local2:
    command: [x]
    headers: { X-A: b }
    enabled: yes
  empty: {}
listen:
  http: 0.0.0.0:7332
  session_idle: 0s
  http: 127.0.0.1:1
"#;
    insta::assert_snapshot!(mistakes(text), @"");
}

#[test]
fn what_is_no_configuration_is_explained() {
    let report = |text: &str| format!("--- {text:?}\n{}\n", mistakes(text));
    let texts = [
        "servers: [",
        "servers:\n\ta: 1",
        "a: b: c",
        "- a\n- b",
        "just text",
        "version: 1\n---\nversion: 1",
        "servers: {a: &x {command: [a]}, b: {<<: *x}}",
        "? [a]\n: b",
        "version: !!int 1",
        "listen: &a [*a]",
        "listen: *nowhere",
        "version: 1\u{0}",
    ];
    insta::assert_snapshot!(texts.map(report).concat(), @"");
}

#[test]
fn an_empty_file_asks_for_nothing() {
    let empty = config::parse("", Path::new("/c.yaml"), &environment()).unwrap();
    for text in [
        "# only\n# comments\n",
        "---\n",
        "{}",
        "servers:\nlisten:\n",
        "~",
        "\u{feff}version: 1",
    ] {
        assert_eq!(parse(text).unwrap(), empty, "{text:?}");
    }
    assert_eq!(empty.settings.listen.http.to_string(), "127.0.0.1:7332");
    assert_eq!(
        empty.settings.listen.socket,
        Path::new("/run/user/1000/janus/mcp.sock")
    );
    assert_eq!(
        empty.settings.state_directory,
        Path::new("/home/ana/.local/state/janus")
    );
}
