//! The program itself, in an environment of its own: exit codes, and what goes to which output.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn janus(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_janus"));
    command
        .env_clear()
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", "/run/x")
        .current_dir(home);
    command
}

fn run(home: &TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    parts(janus(home.path()).args(arguments).output().unwrap())
}

fn parts(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A home whose configuration, in the default place, is this text.
fn home(text: &str) -> TempDir {
    let home = TempDir::new().unwrap();
    fs::create_dir_all(home.path().join(".config/janus")).unwrap();
    fs::write(home.path().join(".config/janus/config.yaml"), text).unwrap();
    home
}

#[test]
fn mistakes_go_to_standard_error_with_exit_code_78() {
    let home = home("version: 1\nservrs: {}\nlisten:\n  http: 0.0.0.0:1\n");
    let (code, stdout, stderr) = run(&home, &["config", "validate"]);
    assert_eq!((code, stdout.as_str()), (Some(78), ""));
    insta::assert_snapshot!(stderr.replace(home.path().to_str().unwrap(), "HOME"), @"
    error[unknown_key]: unknown key `servrs`
      where: HOME/.config/janus/config.yaml:2:1 (servrs)
      help:  did you mean `servers`?
    error[does_not_fit]: not a loopback address: whoever reached it could use every account
      where: HOME/.config/janus/config.yaml:4:9 (listen.http)
      help:  use 127.0.0.1 or [::1], and ssh -L from other machines
    2 mistakes in HOME/.config/janus/config.yaml
    ");
    assert_eq!(run(&home, &["config", "show"]).0, Some(78));

    let (code, stdout, stderr) = run(&home, &["--json", "config", "validate"]);
    assert_eq!((code, stdout.as_str()), (Some(78), ""));
    let error: Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!(error["error"]["exit"], 78);
    assert_eq!(error["error"]["mistakes"][1]["code"], "does_not_fit");
}

#[test]
fn a_right_configuration_is_confirmed() {
    let home = home("servers: { a: { command: [x] }, b: { command: [x], enabled: false } }");
    let (code, stdout, stderr) = run(&home, &["config", "validate"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(
        stdout.ends_with("config.yaml\nok: 1 server, and 1 not enabled\n"),
        "{stdout}"
    );
    let (_, stdout, _) = run(&home, &["config", "validate", "--json"]);
    let document: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(document["schema"], "janus/config-validate/1");
    assert_eq!(
        (&document["servers"], &document["disabled"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn what_is_strange_is_said_and_is_no_failure() {
    let home = home(
        "servers: { a: { command: [x], accounts: { one: , two: } } }
profiles: { p: { accounts: { a: one } } }
bindings: [ { directory: /nowhere, profile: p } ]",
    );
    let (code, stdout, stderr) = run(&home, &["config", "validate"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(stdout.replace(home.path().to_str().unwrap(), "HOME"), @r"
    warning: no profile reaches this account
      where: HOME/.config/janus/config.yaml:1:50 (servers.a.accounts.two)
      help:  list it in a profile, or remove it
    warning: this directory does not exist
      where: HOME/.config/janus/config.yaml:3:26 (bindings[0].directory)
      help:  correct it, or create the directory
    ok: HOME/.config/janus/config.yaml
    ok: 1 server
    ");
    let (_, stdout, _) = run(&home, &["config", "validate", "--json"]);
    let document: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        document["warnings"][0]["message"],
        "no profile reaches this account"
    );
    let place = document["warnings"][1]["where"].as_str().unwrap();
    assert!(
        place.ends_with("config.yaml:3:26 (bindings[0].directory)"),
        "{place}"
    );
}

#[test]
fn the_file_is_the_flag_then_the_variable_then_the_default_and_never_in_the_working_directory() {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("janus.yaml"), "broken").unwrap();
    fs::write(home.path().join("config.yaml"), "broken").unwrap();
    let (code, stdout, stderr) = run(&home, &["config", "path"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        stdout,
        format!("{}/.config/janus/config.yaml\n", home.path().display())
    );
    assert_eq!(stderr, "this file does not exist\n");
    assert_eq!(run(&home, &["-q", "config", "path"]).2, "");
    assert_eq!(run(&home, &["config", "validate"]).0, Some(0));

    let variable = |arguments: &[&str]| {
        parts(
            janus(home.path())
                .env("JANUS_CONFIG", "/nowhere.yaml")
                .args(arguments)
                .output()
                .unwrap(),
        )
    };
    assert_eq!(variable(&["config", "path"]).1, "/nowhere.yaml\n");
    let (code, _, stderr) = variable(&["config", "validate"]);
    assert_eq!(code, Some(78));
    assert!(
        stderr.contains("there is no file /nowhere.yaml, which JANUS_CONFIG names"),
        "{stderr}"
    );
    assert_eq!(
        variable(&["config", "path", "--config", "/f.yaml"]).1,
        "/f.yaml\n"
    );
    assert_eq!(
        run(&home, &["--config", "config.yaml", "config", "validate"]).0,
        Some(78)
    );
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let home = TempDir::new().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("latin1"), b"version: 1\n# caf\xe9").unwrap();
    fs::write(path("large"), "#".repeat(1024 * 1024 + 1)).unwrap();
    for (name, expected) in [
        (".", "is a directory, not a file"),
        ("latin1", "is not UTF-8 text"),
        ("large", "is larger than 1 MiB"),
        ("latin1/x", "cannot read"),
    ] {
        let (code, _, stderr) = run(&home, &["config", "validate", "--config", &path(name)]);
        assert_eq!(code, Some(78), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
    let stderr = run(&home, &["config", "validate", "--config", &path("latin1")]).2;
    assert!(stderr.contains("latin1:2:6"), "{stderr}");
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let home = TempDir::new().unwrap();
    for arguments in [
        &["--nope"] as &[&str],
        &[],
        &["config"],
        &["config", "validate", "extra"],
        &["tool"],
        &["tool", "call"],
        &["demo", "extra"],
        &["version", "--timeout", "5"],
        &["version", "-q", "-v"],
        &["help", "nothing"],
    ] {
        let (code, stdout, stderr) = run(&home, arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(stderr.starts_with("error[usage]: "), "{stderr}");
    }
    let (_, _, stderr) = run(&home, &["confg"]);
    insta::assert_snapshot!(stderr, @"
    error[usage]: unrecognized subcommand `confg`
      help:  a similar subcommand exists: `config`
      help:  Usage: janus [OPTIONS] <COMMAND>
    ");
    let (code, _, stderr) = run(&home, &["config", "shw", "--json"]);
    let error: Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!((code, &error["error"]["code"]), (Some(2), &"usage".into()));
}

#[test]
fn a_command_that_lacks_its_verb_shows_which_there_are() {
    let home = TempDir::new().unwrap();
    let (code, stdout, stderr) = run(&home, &["service"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(stderr, @"
    error[usage]: a command is missing
      help:  janus service --help
    Janus as a service of the user's own systemd

    Usage: janus service [OPTIONS] <COMMAND>

    Commands:
      install  Write the units where no package has, enable the socket, and see that it answers
      remove   Stop and disable it, and delete what `install` wrote
      status   Show the units and how they stand
    ");
}

#[test]
fn every_topic_and_command_has_a_help_text() {
    let home = TempDir::new().unwrap();
    for topic in [
        "config",
        "errors",
        "exit-codes",
        "headless",
        "json",
        "version",
        "help",
        "tool",
        "demo",
    ] {
        let (code, stdout, stderr) = run(&home, &["help", topic]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{topic}");
        assert!(stdout.lines().count() > 3, "{topic}");
    }
    assert_eq!(run(&home, &["help", "config", "show"]).0, Some(0));
    assert!(!run(&home, &["help"]).1.contains("demo-server"));
    let (code, stdout, _) = run(&home, &["--version"]);
    assert_eq!((code, stdout), (Some(0), run(&home, &["version"]).1));
    insta::assert_snapshot!(run(&home, &["-h"]).1, @"
    One MCP endpoint for every server and every account

    Usage: janus [OPTIONS] <COMMAND>

    Commands:
      demo     Try Janus with two accounts and two servers that are built in
      serve    Run the daemon in the foreground
      reexec   Let the daemon go on as the installed program, without ending anything
      connect  Speak MCP on standard input and output
      status   Show the daemon, its accounts, and what this directory gets
      login    Log in to an account: by a browser here or elsewhere, or a code on another device
      logout   End what an account was granted, here and at the provider
      logs     Show what happened: from the journal, or from the daemon's memory
      whoami   Show as whom a request from here acts, and why
      use      Choose an account for a session, a client or everybody
      tool     List and call the tools of the daemon that runs
      account  The identities at the servers
      profile  The accounts that belong together
      client   The programs that connect, and their access keys
      session  The sessions of clients
      headers  Print the request headers that prove this directory
      secret   What the vault holds
      vault    Where the key of the vault is, and whether it is open
      config   Look at the configuration and check it
      catalog  What is known of servers and their providers: templates for the configuration
      import   Make servers, accounts and profiles of another program's configuration
      service  Janus as a service of the user's own systemd
      version  Print the version
      help     Explain a topic or a command

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Global options:
          --config <FILE>       The configuration to read, instead of ~/.config/janus/config.yaml
          --runtime-dir <DIR>   The directory of `mcp.sock`, where the configuration names no socket
      -p, --profile <NAME>      The profile to act in, as far as keys and bindings leave a choice
          --json                Print one JSON document
      -q, --quiet               Print errors only
      -v, --verbose...          Log more; twice for everything
          --color <WHEN>        When to use colour [default: auto] [possible values: auto, always,
                                never]
          --timeout <DURATION>  How long to wait for a server, such as 30s

    `janus help TOPIC` explains: bindings, config, errors, exit-codes, headless, json, templates
    ");
}

#[test]
fn the_runtime_directory_and_colour_follow_flag_and_environment() {
    let home = home("listen: 1");
    let shown = |arguments: &[&str]| run(&home, arguments).1;
    fs::write(home.path().join("empty.yaml"), "").unwrap();
    let show = ["config", "show", "--config", "empty.yaml", "--json"];
    let socket =
        |text: &str| serde_json::from_str::<Value>(text).unwrap()["listen"]["socket"].clone();
    assert_eq!(socket(&shown(&show)), "/run/x/janus/mcp.sock");
    assert_eq!(
        socket(&shown(
            &[&show as &[&str], &["--runtime-dir", "/r"]].concat()
        )),
        "/r/mcp.sock"
    );

    let coloured = |stderr: &str| stderr.contains('\u{1b}');
    assert!(!coloured(&run(&home, &["config", "validate"]).2));
    assert!(coloured(
        &run(&home, &["config", "validate", "--color", "always"]).2
    ));
    let forced = janus(home.path())
        .env("CLICOLOR_FORCE", "1")
        .args(["config", "validate"])
        .output()
        .unwrap();
    assert!(coloured(&parts(forced).2));
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let home = TempDir::new().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = janus(home.path());
    let output = command
        .args(["config", "schema"])
        .stdout(writer)
        .output()
        .unwrap();
    let (code, _, stderr) = parts(output);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn without_a_home_the_reason_is_given() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_janus"));
    let (code, _, stderr) = parts(
        command
            .env_clear()
            .args(["config", "path"])
            .output()
            .unwrap(),
    );
    assert_eq!(code, Some(78));
    assert!(stderr.contains("`HOME` is not set"), "{stderr}");
}

#[test]
fn the_catalogue_is_listed_and_shown() {
    let home = TempDir::new().unwrap();
    let (code, listed, _) = run(&home, &["catalog", "--auth", "none"]);
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(listed, @"
    NAME           TITLE                                           LOGIN  WITHOUT  VERIFIED
    figma-desktop  Figma (desktop app)                             -      -        reported
    stdio          Any local server                                -      -        built-in
    supabase-pat   Supabase (local, with a personal access token)  -      -        reported

    janus catalog show NAME    # what is known of it, and the lines to copy
    ");
    let (_, shown, _) = run(&home, &["catalog", "show", "sentry"]);
    insta::assert_snapshot!(shown, @"
    # sentry, built in; nobody of Janus has tried it: these are the sources' words
    # login: automatic
    title: Sentry
    url: https://mcp.sentry.dev/mcp
    params:
      org:
        in: path
        meaning: one organization
      project:
        in: path
        after: org
        meaning: one project of it
    registration:
    - dcr
    redirect:
      host: 127.0.0.1
      path: /callback
    token_auth_method: unknown
    scopes: unknown
    extra_authorize_params: unknown
    header_auth: unknown
    client_credentials: unknown
    device_code: unknown
    whoami:
      tool: whoami
      subject: /user/email
      workspace: /sessionConstraints/organizationSlug
    expected_access_ttl: unknown
    refresh: unknown
    account_is: one Sentry user; the parameters pin organization and project
    notes:
    - The authorization server is the MCP server's own, before Sentry's.
    - 'Until 2026-04-26 (PR #925) a login ended every other one of the same person and client.'
    - A life of 30 days for refresh tokens is stated there.
    verified: reported
    sources:
    - getsentry/sentry-mcp docs/specs/subpath-constraints.md
    - getsentry/sentry-mcp docs/cloudflare/oauth-architecture.md
    - getsentry/sentry-mcp packages/mcp-core/src/tools/catalog/whoami.ts
    - 'getsentry/sentry-mcp PR #925'
    - 'openbot PR #667'

    # To copy:
    servers:
      sentry:
        template: sentry
        # params: org: one organization, may be left out
        # params: project: one project of it, may be left out
        auth: oauth                # then:  janus login sentry
    ");
    let (code, _, refused) = run(&home, &["catalog", "show", "linaer"]);
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(refused, @"
    error[unknown_name]: there is no template `linaer`
      help:  did you mean `linear`?
    ");
    let (_, document, _) = run(&home, &["catalog", "--auth", "oauth", "--json"]);
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["schema"], "janus/catalog/1");
    let templates = document["templates"].as_array().unwrap();
    let github = templates
        .iter()
        .find(|one| one["name"] == "github")
        .unwrap();
    assert_eq!(github["login"], "register an application first");
    assert!(templates.iter().all(|one| one["login"].is_string()));
}
