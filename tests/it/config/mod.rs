//! The configuration: what is read, what is refused, and that no message holds a secret.

mod example;
mod identity;
mod names;
mod oauth;
mod schema;
mod templates;
mod warnings;

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
    let text = "version: 2
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
";
    insta::assert_snapshot!(mistakes(text), @r#"
    1:10 version [bad_value] expected `1` | this Janus reads version 1 of the format
    2:1 servrs [unknown_key] unknown key `servrs` | did you mean `servers`?
    4:3 servers [bad_value] expected a name of 1 to 32 characters: a-z, 0-9, `-` and single `_`, with a letter or a digit at both ends
    8:14 servers.github.timeout [wrong_type] expected a duration such as `500ms`, `60s`, `10m` or `24h`, found a number | write the unit too
    9:10 servers.github.era [wrong_type] expected `auto`, `legacy` or `modern`, found another word | did you mean `legacy`?
    10:5 servers.github.tol [unknown_key] unknown key `tol` | the keys here are `template`, `params`, `url`, `command`, `args`, `env`, `headers`, `auth`, `accounts`, `default`, `description`, `timeout`, `idle`, `sharing`, `era`, `transport`, `tls`, `tools` and `enabled`
    12:14 servers.local.command [wrong_type] expected a list, found text | write a list: `[first, second]`, or one `- item` a line
    15:5 servers.both.env [does_not_fit] `env` belongs to a local process, and this server has `url` | fixed values go to a remote server in `headers`
    16:27 servers.both.tools.include[1] [wrong_type] expected text, found a number | put it in quotes
    19:5 servers.local2.headers [does_not_fit] `headers` belongs to a remote server, and this server has `command` | values go to a process in `env`
    20:14 servers.local2.enabled [wrong_type] expected `true` or `false`, found text
    21:3 servers.empty [missing_key] missing `url` or `command` | write `url: https://…` for a remote server, `command: [program, argument]` for a local process
    23:9 listen.http [does_not_fit] not a loopback address: whoever reached it could use every account | use 127.0.0.1 or [::1], and ssh -L from other machines
    24:17 listen.session_idle [bad_value] expected a duration longer than zero
    25:3 listen.http [duplicate_key] duplicate key `http`, first in line 23 | keep one of them
    "#);
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
    insta::assert_snapshot!(texts.map(report).concat(), @r#"
    --- "servers: ["
    2:1  [syntax] this is not YAML: while parsing a node, did not find expected node content
    --- "servers:\n\ta: 1"
    2:2  [syntax] this is not YAML: tabs disallowed within this context (block indentation) | indent with spaces
    --- "a: b: c"
    1:5  [syntax] this is not YAML: mapping values are not allowed in this context
    --- "- a\n- b"
    1:1  [wrong_type] expected a map, found a list
    --- "just text"
    1:1  [wrong_type] expected a map, found text
    --- "version: 1\n---\nversion: 1"
    2:1  [syntax] a second document; a configuration is one | remove the line `---`
    --- "servers: {a: &x {command: [a]}, b: {<<: *x}}"
    1:37  [syntax] merge keys (`<<`) are not supported | repeat the keys, or share a whole value with `&name` and `*name`
    --- "? [a]\n: b"
    1:3  [syntax] a list or map as a key; keys are text
    --- "version: !!int 1"
    1:10  [syntax] tags such as `!!str` have no meaning here | write it without the tag, in quotes if it is text
    --- "listen: &a [*a]"
    1:13  [syntax] an alias inside of what it stands for
    --- "listen: *nowhere"
    1:9  [syntax] this is not YAML: while parsing node, found unknown anchor
    --- "version: 1\0"
    1:11  [syntax] a control character, which YAML does not allow
    "#);
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

#[test]
fn keys_become_settings_with_their_defaults() {
    let text = "
servers:
  far: { url: 'https://h.example/mcp?k=${TOKEN}', headers: { X-A: '$$${TOKEN}' }, era: legacy, idle: 0 }
";
    assert!(mistakes(text).contains("`idle` belongs to a local process"));
    let loaded = parse(&text.replace(", idle: 0", "")).unwrap();
    let server = &loaded.settings.servers[0];
    assert_eq!(server.era, EraChoice::Legacy);
    assert_eq!(server.timeout.as_secs(), 60);
    let Endpoint::Http(remote) = &server.accounts[0].endpoint else {
        panic!()
    };
    assert_eq!(remote.url, "https://h.example/mcp?k=CANARY-environment");
    assert_eq!(written(&remote.headers[0].1), "$CANARY-environment");

    let text = "
servers:
  z: { command: [npx, -y], args: [p], env: { B: '1', A: '2' }, sharing: per-session, timeout: '${WAIT}' }
  a: { command: [x], enabled: false, idle: 0 }
listen: { socket: ~/s }
";
    let loaded = parse(text).unwrap();
    let server = &loaded.settings.servers[0];
    assert_eq!(server.sharing, Sharing::PerSession);
    assert_eq!(
        (server.timeout.as_secs(), server.idle.unwrap().as_secs()),
        (5, 600)
    );
    let Endpoint::Process(process) = &server.accounts[0].endpoint else {
        panic!()
    };
    assert_eq!(
        (process.program.as_str(), process.args.join(" ")),
        ("npx", "-y p".to_owned())
    );
    assert_eq!(
        process
            .env
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<String>(),
        "BA"
    );
    assert_eq!(loaded.settings.servers.len(), 1);
    assert_eq!(
        (loaded.disabled[0].name.as_str(), loaded.disabled[0].idle),
        ("a", None)
    );
    assert_eq!(loaded.settings.listen.socket, Path::new("/home/ana/s"));
}

#[test]
fn values_that_cannot_be_used_are_refused() {
    let long = format!("listen: {{ socket: /{} }}", "x".repeat(107));
    let texts = [
        "servers: { a: { command: [x], env: { A: '${ABSENT}' } } }",
        "servers: { a: { command: ['${A-B}'] } }",
        "servers: { a: { command: [] } }",
        "servers: { a: { command: [''] } }",
        "servers: { a: { command: [\"x\\0\"] } }",
        "servers: { a: { url: 'https://h', headers: { Host: x, X-A: a, x-a: b, X-B: \"a\\nb\" } } }",
        "servers: { a: { url: 'https://', timeout: 99999h } }",
        "servers: { a: { url: x, headers: { Host: x } } }",
        "servers: { a: { <<: {} } }",
        "servers: { a: { command: [x], command: [y] }, b: { env: { A: 1, A: 2 }, command: [x] } }",
        "listen: { http: '0.0.0.0:1', allow_remote: true }",
        "servers: { a: { command: [x], env: { TOKEN=ghp_x, ghp_y } } }",
        &long,
    ];
    let report = |text: &str| {
        format!(
            "--- {}\n{}\n",
            text.split_at(text.len().min(60)).0,
            mistakes(text)
        )
    };
    insta::assert_snapshot!(texts.map(report).concat(), @r#"
    --- servers: { a: { command: [x], env: { A: '${ABSENT}' } } }
    1:41 servers.a.env.A [unset_variable] the environment variable `ABSENT` is not set | set it where Janus is started; `$$` is a dollar sign
    --- servers: { a: { command: ['${A-B}'] } }
    1:27 servers.a.command[0] [bad_reference] expected the name of an environment variable and `}` after `${` | write `$$` for a dollar sign
    --- servers: { a: { command: [] } }
    1:26 servers.a.command [bad_value] expected a list that begins with the program
    --- servers: { a: { command: [''] } }
    1:26 servers.a.command [bad_value] expected a list that begins with the program
    --- servers: { a: { command: ["x\0"] } }
    1:27 servers.a.command[0] [bad_value] expected text without a NUL character
    --- servers: { a: { url: 'https://h', headers: { Host: x, X-A: a
    1:46 servers.a.headers.Host [does_not_fit] Janus sets the header `host` itself | remove it
    1:63 servers.a.headers.x-a [does_not_fit] the header `x-a` is there twice; upper and lower case are the same | keep one of them
    1:71 servers.a.headers.X-B [bad_value] expected visible ASCII characters, as in every HTTP header
    --- servers: { a: { url: 'https://', timeout: 99999h } }
    1:22 servers.a.url [bad_value] expected an absolute URL such as `https://mcp.example.com/mcp`
    1:43 servers.a.timeout [bad_value] expected a duration such as `500ms`, `60s`, `10m` or `24h`
    --- servers: { a: { url: x, headers: { Host: x } } }
    1:22 servers.a.url [bad_value] expected an absolute URL such as `https://mcp.example.com/mcp`
    1:36 servers.a.headers.Host [does_not_fit] Janus sets the header `host` itself | remove it
    --- servers: { a: { <<: {} } }
    1:17  [syntax] merge keys (`<<`) are not supported | repeat the keys, or share a whole value with `&name` and `*name`
    --- servers: { a: { command: [x], command: [y] }, b: { env: { A:
    1:31 servers.a.command [duplicate_key] duplicate key `command`, first in line 1 | keep one of them
    1:62 servers.b.env.A [wrong_type] expected text, found a number | put it in quotes
    1:65 servers.b.env.A [duplicate_key] duplicate key `A`, first in line 1 | keep one of them
    --- listen: { http: '0.0.0.0:1', allow_remote: true }
    1:17 listen.http [does_not_fit] not a loopback address, and `allow_remote` cannot help: client keys and TLS do not exist yet | use 127.0.0.1 or [::1], and ssh -L from other machines
    --- servers: { a: { command: [x], env: { TOKEN=ghp_x, ghp_y } } 
    1:38 servers.a.env [bad_value] expected the name of a variable: letters, digits and `_`
    1:51 servers.a.env [wrong_type] expected a name with a value, found a word alone | write `NAME: value`
    --- listen: { socket: /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    1:19 listen.socket [bad_value] expected a path of at most 107 bytes, the limit of unix sockets
    "#);
}

#[test]
fn no_message_and_no_view_holds_a_value() {
    let wrong = "
version: CANARY-0
CANARY-1ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1: x
servers:
  a:
    url: https://CANARY-2:CANARY-3@h.example/mcp?key=CANARY-4
    headers: { Authorization: [CANARY-5], X-A: { b: CANARY-6 }, \"X Bad CANARY-24\": CANARY-25, X-N: \"CANARY-26\\n\" }
    timeout: CANARY-7
    era: CANARY-8
    enabled: CANARY-9
    idle: CANARY-10
    tls: CANARY-11
    tools: CANARY-12
  b:
    command: CANARY-13
    args: CANARY-14
    env: [TOKEN=CANARY-15]
  c:
    command: [[CANARY-16], { a: CANARY-17 }]
    env: { A: [CANARY-18], \"B=CANARY-19\", ghp_CANARY20, C: '${CANARY-21' }
  d: CANARY-22
  e: { url: 'CANARY-27://CANARY' }
  f: { url: 'https://h/#CANARY-28' }
listen: { http: CANARY-23, socket: CANARY-29 }
";
    let error = parse(wrong).unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("CANARY"),
        "{}",
        mistakes(wrong)
    );
    for broken in [
        "a: [CANARY",
        "a: 'CANARY",
        "a: *CANARY",
        "a: !CANARY b",
        "%CANARY\n---\na",
        "a: CANARY: b",
        "a: |CANARY\n b",
        "a: &CANARY",
        "@CANARY",
        "\"\\CANARY\"",
        "{CANARY: b, CANARY: c, ? [CANARY] : d}",
    ] {
        if let Err(error) = parse(broken) {
            assert!(
                !format!("{error:?}").contains("CANARY") || broken.starts_with('{'),
                "{error:?}"
            );
        }
    }
    let right = "
servers:
  a: { url: 'https://h.example/mcp?key=CANARY-1', headers: { X-A: CANARY-2 } }
  b: { command: [x, CANARY-3, --t=CANARY-4], args: [-pCANARY-5], env: { A: CANARY-6, B: '${TOKEN}' }, enabled: false }
";
    let loaded = parse(right).unwrap();
    let shown = serde_yaml::to_string(&config::effective(&loaded)).unwrap();
    assert!(
        !format!("{loaded:?} {shown} {:?}", environment()).contains("CANARY"),
        "{shown}"
    );
    assert!(
        shown.contains("X-A: '****'") || shown.contains("x-a: '****'"),
        "{shown}"
    );
    assert_eq!(
        mistakes(&shown),
        "none",
        "what is shown is itself a configuration"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let environment = environment();
        let location = config::locate(Some(file.path()), &environment).unwrap();
        drop(config::load(&location, &environment));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        drop(parse(&text));
    }

    #[test]
    fn no_yaml_makes_the_reader_panic(
        words in proptest::collection::vec(
            prop_oneof![
                Just("servers:"), Just("listen:"), Just("a:"), Just("\n"), Just("\n  "), Just("\n    "), Just("- "),
                Just("["), Just("]"), Just("{"), Just("}"), Just(","), Just(": "), Just("&a "), Just("*a "), Just("|"),
                Just("'"), Just("\""), Just("#"), Just("? "), Just("---"), Just("!!str "), Just("${WAIT}"), Just("${"),
                Just("url: "), Just("command: "), Just("<<: "), Just("\t"), Just("\r"), Just("%YAML 1.2\n"), Just("é"),
            ],
            0..40,
        )
    ) {
        drop(parse(&words.concat()));
    }

    #[test]
    fn reader_and_yaml_library_agree_on_valid_text(names in proptest::collection::vec("[ -~é]{0,12}", 1..6)) {
        let value = serde_json::json!({ "servers": { "a": { "command": ["x"], "args": names } } });
        let text = serde_yaml::to_string(&value).unwrap().replace('$', "$$");
        let loaded = parse(&text).unwrap();
        let Endpoint::Process(process) = &loaded.settings.servers[0].accounts[0].endpoint else { panic!() };
        prop_assert_eq!(&process.args, &names);
    }
}

/// A value that is written out.
fn written(value: &janus::model::SecretValue) -> &str {
    match value {
        janus::model::SecretValue::Literal(secret) => secret.expose(),
        janus::model::SecretValue::Reference(reference) => panic!("{reference} is not written out"),
    }
}
