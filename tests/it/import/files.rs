//! The command: what it reads and refuses, what it shows, what it writes, and that no secret is anywhere.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{CANARY, corpus};
use crate::secrets;
use crate::support::{Ended, Home, Janus};

/// A home without a configuration, and the place of one.
fn empty() -> (Home, PathBuf) {
    let home = Home::new("");
    fs::remove_file(home.config()).unwrap();
    let config = home.path().join("config/janus/config.yaml");
    (home, config)
}

fn code(ended: &Ended) -> Option<i32> {
    ended.status.code()
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn no_secret_of_any_file_reaches_an_output_or_a_file() {
    for (name, path, _) in corpus() {
        let (home, config) = empty();
        let file = path.to_str().unwrap();
        for arguments in [
            &["import", file, "--dry-run"] as &[&str],
            &["import", file, "--json", "-vv"],
            &["import", file, "--yes"],
            &["import", file, "--merge", "--yes"],
        ] {
            let ended = home.run(arguments);
            assert_eq!(
                code(&ended),
                Some(0),
                "{name} {arguments:?}: {}",
                ended.stderr
            );
            assert!(
                !ended.stdout.contains(CANARY) && !ended.stderr.contains(CANARY),
                "{name}"
            );
        }
        assert!(config.exists(), "{name}");
        for written in files(home.path()) {
            assert!(
                !fs::read_to_string(&written).unwrap().contains(CANARY),
                "{}",
                written.display()
            );
        }
    }
}

#[test]
fn the_preview_is_a_diff_and_nothing_is_written_without_a_yes() {
    let (home, config) = empty();
    let file = home.path().join("mcp.json");
    fs::write(
        &file,
        r#"{"servers": {"a": {"url": "https://a.example/", "headers": {"X-Key": "hunter2"}}}}"#,
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let preview = home.run(&["import", file]);
    assert_eq!(code(&preview), Some(0));
    let place = config.display().to_string();
    insta::assert_snapshot!(preview.stdout.replace(&place, "CONFIG"), @r#"
    --- /dev/null
    +++ CONFIG
    @@ -0,0 +1,8 @@
    +# Made by `janus import` from a client's list of MCP servers.
    +version: 1
    +
    +servers:
    +  a:
    +    url: https://a.example/
    +    headers:
    +      X-Key: "vault:a_default_key"
    "#);
    insta::assert_snapshot!(preview.stderr, @r#"
    to set in the vault, now or later:
      janus secret set a_default_key    # a/default: the header `X-Key`
    nothing was written, as nobody can be asked here; --yes writes
    "#);
    assert!(!config.exists());

    let written = home.run(&["import", file, "--yes"]);
    assert_eq!(written.stdout, preview.stdout);
    let text = fs::read_to_string(&config).unwrap();
    let added: Vec<&str> = preview
        .stdout
        .lines()
        .skip(3)
        .map(|line| line.strip_prefix('+').unwrap())
        .collect();
    assert_eq!(text, added.join("\n") + "\n");
    assert_eq!(
        fs::metadata(&config).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(files(config.parent().unwrap()), [config]);
}

#[test]
fn one_document_for_scripts() {
    let (home, config) = empty();
    let file = home.path().join("mcp.json");
    fs::write(&file, r#"{"mcpServers": {"a": {"url": "https://a.example/", "headers": {"X-Key": "hunter2", "Authorization": "Bearer hunter3"}, "x": 1}}}"#).unwrap();
    let ended = home.run(&["import", file.to_str().unwrap(), "--json", "--yes"]);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["schema"], "janus/import/1");
    assert_eq!(document["config"], fs::read_to_string(&config).unwrap());
    assert_eq!(document["set"][0]["secret"], "a_default_key");
    assert_eq!(document["set"][1]["secret"], "a_default_token");
    // It loads before they are there.
    let validated = home.run(&["config", "validate"]);
    assert_eq!(code(&validated), Some(0), "{}", validated.stderr);
    assert_eq!(
        document["notes"][0],
        "`mcpServers.a`: no counterpart for `x`"
    );
    assert_eq!(
        (&document["written"], &document["backup"]),
        (&Value::Bool(true), &Value::Null)
    );
}

#[test]
fn an_existing_configuration_needs_merge_and_is_kept_beside() {
    let (home, config) = empty();
    fs::create_dir(config.parent().unwrap()).unwrap();
    let real = home.path().join("real.yaml");
    let old = "# mine\nservers:\n  old:\n    url: https://a.example/?key=SECRET-OF-MINE\n";
    fs::write(&real, old).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, &config).unwrap();
    let file = home.path().join("mcp.json");
    fs::write(
        &file,
        r#"{"mcpServers": {"new": {"url": "https://b.example/"}}}"#,
    )
    .unwrap();
    let file = file.to_str().unwrap();

    // What is not there is said of what is not there.
    let missing = home.run(&["import", "no-such-file.json", "--yes"]);
    assert!(
        missing
            .stderr
            .starts_with("error[unreadable]: cannot read no-such-file.json"),
        "{}",
        missing.stderr
    );
    let refused = home.run(&["import", file, "--yes"]);
    assert_eq!(code(&refused), Some(1));
    assert!(
        refused.stderr.contains("error[exists]") && refused.stderr.contains("--merge"),
        "{}",
        refused.stderr
    );
    assert_eq!(fs::read_to_string(&real).unwrap(), old);

    let merged = home.run(&["import", file, "--merge", "--yes"]);
    assert_eq!(code(&merged), Some(0), "{}", merged.stderr);
    // The old lines may hold secrets, and are not shown.
    assert!(
        !merged.stdout.contains("SECRET-OF-MINE"),
        "{}",
        merged.stdout
    );
    let text = fs::read_to_string(&real).unwrap();
    assert_eq!(text, format!("{old}  new:\n    url: https://b.example/\n"));
    assert!(fs::symlink_metadata(&config).unwrap().is_symlink());
    let backup = home.path().join("real.yaml.backup-1");
    assert!(
        merged.stderr.contains(backup.to_str().unwrap()),
        "{}",
        merged.stderr
    );
    assert_eq!(fs::read_to_string(&backup).unwrap(), old);
    for path in [&real, &backup] {
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o640
        );
    }

    let again = home.run(&["import", file, "--merge", "--yes"]);
    assert!(
        again.stderr.contains("there is nothing to add"),
        "{}",
        again.stderr
    );
    assert!(!home.path().join("real.yaml.backup-2").exists());
}

#[test]
fn a_configuration_with_mistakes_is_not_added_to() {
    let (home, config) = empty();
    fs::create_dir(config.parent().unwrap()).unwrap();
    fs::write(&config, "servers:\n  old:\n    urll: https://a.example/\n").unwrap();
    let file = home.path().join("mcp.json");
    fs::write(
        &file,
        r#"{"mcpServers": {"new": {"url": "https://b.example/"}}}"#,
    )
    .unwrap();
    let ended = home.run(&["import", file.to_str().unwrap(), "--merge", "--yes"]);
    assert_eq!(code(&ended), Some(78));
    assert!(ended.stderr.contains("unknown_key"), "{}", ended.stderr);
    assert_eq!(files(config.parent().unwrap()), [config]);
}

#[test]
fn lines_to_paste_are_printed_where_they_cannot_be_added() {
    let (home, config) = empty();
    fs::create_dir(config.parent().unwrap()).unwrap();
    fs::write(
        &config,
        "servers: { old: { url: \"https://a.example/\" } }\n",
    )
    .unwrap();
    let file = home.path().join("mcp.json");
    fs::write(
        &file,
        r#"{"mcpServers": {"new": {"url": "https://b.example/"}}}"#,
    )
    .unwrap();
    let ended = home.run(&["import", file.to_str().unwrap(), "--merge", "--yes"]);
    assert_eq!(code(&ended), Some(1));
    assert_eq!(
        ended.stdout,
        "servers:\n  new:\n    url: https://b.example/\n"
    );
    assert!(
        ended.stderr.contains("error[not_merged]"),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_cannot_be_imported_is_refused_with_its_reason() {
    let (home, config) = empty();
    let directory = home.path().join("in");
    fs::create_dir(&directory).unwrap();
    let huge = format!(
        "{{\"mcpServers\": {{}}, \"x\": \"{}\"}}",
        "x".repeat(16 * 1024 * 1024)
    );
    for (name, text, expected) in [
        ("empty.json", "", "the file is empty"),
        ("space.json", " \n# x\n", "the file is empty"),
        (
            "broken.json",
            "{\"mcpServers\": {\"a\": hunter2}}",
            "line 1, column 22: expected value",
        ),
        (
            "words.txt",
            "hunter2",
            "`the file` is text, where a map belongs",
        ),
        (
            "list.json",
            "[\"hunter2\"]",
            "`the file` is a list, where a map belongs",
        ),
        (
            "none.json",
            "{\"theme\": \"hunter2\"}",
            "there are no MCP servers in it",
        ),
        (
            "null.json",
            "{\"mcpServers\": {}}",
            "there are no MCP servers in it",
        ),
        (
            "text.json",
            "{\"mcpServers\": {\"a\": \"hunter2\"}}",
            "`mcpServers.a` is text, where a map belongs",
        ),
        (
            "args.json",
            "{\"mcpServers\": {\"a\": {\"command\": \"x\", \"args\": \"hunter2\"}}}",
            "`mcpServers.a.args` is text, where a list belongs",
        ),
        (
            "twice.json",
            "{\"mcpServers\": {\"a\": {}, \"a\": {}}}",
            "the key `a` is there twice",
        ),
        (
            "ids.json",
            "{\"accounts\": [{\"id\": \"a\", \"command\": \"x\"}, {\"id\": \"a\", \"command\": \"y\"}]}",
            "the name `a` is there twice in `accounts`",
        ),
        (
            "names.yaml",
            "backends:\n- { name: a, command: [x] }\n- { name: a, command: [y] }\n",
            "the name `a` is there twice in `backends`",
        ),
        (
            "codex.toml",
            "[mcp_servers.a]\ncommand = \"hunter2\"\n",
            "this looks like TOML",
        ),
        ("huge.json", huge.as_str(), "is larger than 16 MiB"),
    ] {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        let ended = home.run(&["import", path.to_str().unwrap(), "--yes"]);
        assert_eq!(code(&ended), Some(1), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{name}: {}", ended.stderr);
        assert!(
            !ended.stderr.contains("hunter2") && ended.stdout.is_empty(),
            "{name}: {}",
            ended.stderr
        );
    }
    fs::write(directory.join("latin1.json"), b"{\"a\": \"\xe9\"}").unwrap();
    for (path, expected) in [
        ("in", "is a directory, not a file"),
        ("in/absent.json", "cannot read"),
        ("in/latin1.json", "is not UTF-8 text"),
    ] {
        let ended = home.run(&["import", path]);
        assert_eq!(code(&ended), Some(1));
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
    assert!(!config.exists());
}

#[test]
fn the_kind_of_file_can_be_named() {
    let (home, _) = empty();
    let file = home.path().join("both.json");
    let text =
        r#"{"accounts": [{"id": "a", "command": "x"}], "mcpServers": {"b": {"command": "y"}}}"#;
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let guessed = home.run(&["import", file]).stdout;
    assert!(
        guessed.contains("from a JanusMCP configuration") && guessed.contains("+  a:"),
        "{guessed}"
    );
    let named = home.run(&["import", file, "--from", "mcp-servers"]).stdout;
    assert!(
        named.contains("+  b:") && !named.contains("+  a:"),
        "{named}"
    );
    let wrong = home.run(&["import", file, "--from", "mcpmux"]);
    assert!(
        wrong.stderr.contains("a list below `backends`"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_new_server_gets_no_secret_of_an_earlier_one_of_its_name() {
    let file = r#"{"mcpServers": {"a": {"url": "https://new.example/", "headers": {"Authorization": "Bearer hunter2"}}}}"#;
    let written = |home: &Home| {
        let path = home.path().join("mcp.json");
        fs::write(&path, file).unwrap();
        let arguments = ["import", path.to_str().unwrap(), "--merge", "--yes"];
        let ended = secrets::run(home, &arguments);
        assert_eq!(code(&ended), Some(0), "{}", ended.stderr);
        let set = "janus secret set a_default_token_2 ";
        assert!(ended.stderr.contains(set), "{}", ended.stderr);
        let text = fs::read_to_string(home.config()).unwrap();
        assert!(text.contains("vault:a_default_token_2"), "{text}");
    };
    // Without a daemon, and with one.
    let home = secrets::home("other:\n  command: [sh, -c, \"exit 3\"]\n");
    let set = secrets::set(&home, "a_default_token", "old");
    assert_eq!(code(&set), Some(0), "{}", set.stderr);
    let before = fs::read_to_string(home.config()).unwrap();
    written(&home);
    fs::write(home.config(), before).unwrap();
    let janus = Janus::start_in(home, |_| {});
    written(janus.home());
}
