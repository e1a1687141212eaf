//! Results added to a configuration that exists: it keeps every character, and means what it meant and what was added.

use super::{corpus, read, validated};
use janus::import::{Merged, NotMerged, merge, references};

const OLD: &str = "\
# Mine.
version: 1
servers:          # what I use
  # The first one
  github:
    url: https://api.githubcopilot.com/mcp/   # official
    headers: { Authorization: \"Bearer ${GITHUB_TOKEN}\" }

  notes:
    command: [notes-server]
    # the end of notes

# Where it listens
listen:
  session_idle: 12h
";

const NEW: &str = r#"{"mcpServers": {
    "github": {"url": "https://other.example/mcp"},
    "metrics": {"url": "https://metrics.example/mcp", "headers": {"X-Key": "hunter2"}}
}}"#;

fn merged(old: &str, new: &str) -> Result<Merged, NotMerged> {
    merge(old, &read(new).unwrap())
}

#[test]
fn a_commented_file_keeps_every_character_and_gets_the_new_servers() {
    let merged = merged(OLD, NEW).unwrap();
    insta::assert_snapshot!(merged.text, @r#"
    # Mine.
    version: 1
    servers:          # what I use
      # The first one
      github:
        url: https://api.githubcopilot.com/mcp/   # official
        headers: { Authorization: "Bearer ${GITHUB_TOKEN}" }

      notes:
        command: [notes-server]
        # the end of notes
      metrics:
        url: https://metrics.example/mcp
        headers:
          X-Key: "vault:metrics_default_key"

    # Where it listens
    listen:
      session_idle: 12h
    "#);
    insta::assert_snapshot!(merged.notes.join("\n"), @r#"
    the server `github` exists already and stays as it is; the one of the file is left out
    "#);
}

#[test]
fn line_ends_and_a_missing_last_one_are_kept() {
    let crlf = OLD.replace('\n', "\r\n");
    let text = merged(&crlf, NEW).unwrap().text;
    assert!(!text.replace("\r\n", "").contains('\n'), "{text:?}");
    assert!(text.contains("\r\n  metrics:\r\n"));

    let text = merged("servers:\n  a:\n    url: https://a.example/", NEW)
        .unwrap()
        .text;
    assert!(
        text.starts_with("servers:\n  a:\n    url: https://a.example/\n  github:\n"),
        "{text}"
    );
}

#[test]
fn sections_that_are_missing_come_at_the_end_and_indentation_is_followed() {
    for (old, expected) in [
        ("", "servers:\n  github:\n"),
        ("# only words\n", "# only words\n\nservers:\n  github:\n"),
        (
            "listen: { session_idle: 1h }\n",
            "listen: { session_idle: 1h }\n\nservers:\n",
        ),
        ("servers:\n", "servers:\n  github:\n"),
        (
            "servers:\n    a:\n        url: https://a.example/\n",
            "servers:\n    a:\n        url: https://a.example/\n    github:\n      url: https://other.example/mcp\n",
        ),
    ] {
        let text = merged(old, NEW).unwrap().text;
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn forms_that_lines_cannot_be_added_to_are_refused_with_the_lines_to_paste() {
    for old in [
        "servers: { a: { url: \"https://a.example/\" } }\n",
        "{ servers: { a: { url: \"https://a.example/\" } } }\n",
        "servers: &all\n  a:\n    url: https://a.example/\n",
        "\"servers\":\n  a:\n    url: https://a.example/\n",
        "version: 1\n...\n",
    ] {
        match merged(old, NEW) {
            Err(NotMerged::Form { paste }) => {
                assert!(
                    paste.starts_with("servers:\n  github:\n    url: https://other.example/mcp\n"),
                    "{paste}"
                );
                assert!(!paste.contains("hunter2"));
            }
            Ok(merged) => panic!("{}", merged.text),
            Err(NotMerged::Unreadable) => panic!("{old}"),
        }
    }
    assert_eq!(merged("- a\n", NEW), Err(NotMerged::Unreadable));
    assert_eq!(merged("a: [\n", NEW), Err(NotMerged::Unreadable));
    assert_eq!(merged("a: b\n---\nc: d\n", NEW), Err(NotMerged::Unreadable));
}

#[test]
fn nobody_gets_another_profile_than_before() {
    let janusmcp = r#"{"bindingMode": "locked", "defaultAccount": "a", "accounts": [
        {"id": "a", "service": "s", "command": "x", "env": {"T_TOKEN": "hunter2"}},
        {"id": "b", "service": "s", "command": "x", "env": {"T_TOKEN": "hunter3"}}
    ], "profiles": {"p": ["a"]}}"#;
    let old = "servers:\n  old:\n    url: https://a.example/\n";
    insta::assert_snapshot!(merged(old, janusmcp).unwrap().text, @r#"
    servers:
      old:
        url: https://a.example/
      s:
        command: [x]
        accounts:
          a:
            env:
              T_TOKEN: "vault:s_a_t_token"
          b:
            env:
              T_TOKEN: "vault:s_b_t_token"
        default: a

    profiles:
      p:
        accounts:
          s: a
      default:
        servers: [old, s]

    default_profile: default
    "#);
    let profiled = format!("{old}profiles:\n  mine:\n    servers: [old]\n");
    insta::assert_snapshot!(merged(&profiled, janusmcp).unwrap().text, @r#"
    servers:
      old:
        url: https://a.example/
      s:
        command: [x]
        accounts:
          a:
            env:
              T_TOKEN: "vault:s_a_t_token"
          b:
            env:
              T_TOKEN: "vault:s_b_t_token"
        default: a
    profiles:
      mine:
        servers: [old]
      p:
        accounts:
          s: a
      imported:
        servers: [s]

    default_profile: mine
    "#);
    let merged = merged(&profiled, janusmcp).unwrap();
    insta::assert_snapshot!(merged.notes.join("\n"), @r#"
    `identity.switching` stays `session`; the file asks for `off`
    the new servers are in no profile that exists; the profile `imported` reaches them
    there are several profiles now; `mine` stays the one that counts without a name
    "#);
}

#[test]
fn every_file_of_the_corpus_can_be_added_to_a_configuration_and_twice() {
    for (name, _, text) in corpus() {
        let imported = janus::import::read(&text, None, &references(OLD)).unwrap();
        let first = merge(OLD, &imported).unwrap();
        validated(&first.text, &imported)
            .unwrap_or_else(|error| panic!("{name}: {error:?}\n{}", first.text));
        for line in OLD.lines() {
            assert!(
                first.text.lines().any(|other| other == line),
                "{name}: {line}"
            );
        }
        let second = merge(&first.text, &imported).unwrap();
        assert!(second.added.is_empty(), "{name}: {:?}", second.added);
        assert_eq!(second.text, first.text, "{name}");
    }
}
