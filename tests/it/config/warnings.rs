//! What is allowed and probably not meant.

use super::parse;
use crate::support::{Home, Janus};

/// All warnings of a text, one a line, as people read them.
fn warnings(text: &str) -> String {
    let loaded = match parse(text) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error:?}"),
    };
    let line = |one: &janus::config::Warning| {
        let help = one.help.as_deref().unwrap_or_default();
        format!(
            "{} {} {} | {help}",
            one.place.position, one.place.path, one.message
        )
    };
    let lines: Vec<String> = loaded.warnings.iter().map(line).collect();
    if lines.is_empty() {
        "none".to_owned()
    } else {
        lines.join("\n")
    }
}

/// With two servers of two accounts each before it; these lines begin with line 4.
fn after(lines: &str) -> String {
    let text = format!(
        "servers:
  a: {{ command: [x], accounts: {{ one: , two: }}, default: one }}
  b: {{ command: [x], accounts: {{ one: , two: }} }}
{lines}"
    );
    format!("--- {lines}\n{}\n", warnings(&text))
}

#[test]
fn accounts_and_profiles_that_nobody_reaches() {
    insta::assert_snapshot!([
        "profiles: { p: { servers: [a, b] } }",
        "profiles: { p: { accounts: { a: one } } }",
        "profiles: { p: { servers: [a, b], guarded: true } }",
        "profiles: { p: { servers: [a, b], guarded: true } }\nbindings: [ { directory: /, profile: p } ]",
        "profiles: { p: { servers: [a, b], guarded: true } }\nclients: { c: { profile: p } }",
        "profiles: { p: { servers: [a, b] }, q: { servers: [a, b] } }\ndefault_profile: p\nclients: { c: { profile: p } }",
        "profiles: { p: { servers: [a, b] }, q: { servers: [a, b], guarded: true } }\ndefault_profile: p\nclients: { c: { profile: p }, d: , }\nbindings: [ { client: c, profile: q } ]",
        "profiles: { p: { servers: [a, b] }, q: { servers: [a] } }",
        "profiles: { p: { servers: [a, b] }, q: { servers: [a] } }\nclients: { c: { profile: p }, d: { profile: q } }",
        "clients:",
        "  off: { command: [x], enabled: false }\nprofiles: { p: { servers: [off] }, q: { servers: [a, b] } }\ndefault_profile: q",
    ].map(after).concat(), @r#"
    --- profiles: { p: { servers: [a, b] } }
    none
    --- profiles: { p: { accounts: { a: one } } }
    2:41 servers.a.accounts.two no profile reaches this account | list it in a profile, or remove it
    3:3 servers.b no profile reaches this server | list it in a profile, or remove it
    --- profiles: { p: { servers: [a, b], guarded: true } }
    4:13 profiles.p nothing leads to this profile: it is guarded, and no client and no binding gives it | bind a directory to it, tie a client's key to it, or remove `guarded`
    --- profiles: { p: { servers: [a, b], guarded: true } }
    bindings: [ { directory: /, profile: p } ]
    none
    --- profiles: { p: { servers: [a, b], guarded: true } }
    clients: { c: { profile: p } }
    none
    --- profiles: { p: { servers: [a, b] }, q: { servers: [a, b] } }
    default_profile: p
    clients: { c: { profile: p } }
    4:37 profiles.q nothing leads to this profile: the keys of all clients are tied to others | tie a client's key to it, or remove it
    --- profiles: { p: { servers: [a, b] }, q: { servers: [a, b], guarded: true } }
    default_profile: p
    clients: { c: { profile: p }, d: , }
    bindings: [ { client: c, profile: q } ]
    4:37 profiles.q nothing leads to this profile: it is guarded, and no client and no binding gives it | bind a directory to it, tie a client's key to it, or remove `guarded`
    7:13 bindings[0] this rule gives no profile: the client's key is tied to others | add the profile to the client's `profiles`, or remove the rule
    --- profiles: { p: { servers: [a, b] }, q: { servers: [a] } }
    4:1 profiles several profiles and no `default_profile`: a request that no key and no binding gives one must name it | name one, unless this is meant: `default_profile: NAME`
    --- profiles: { p: { servers: [a, b] }, q: { servers: [a] } }
    clients: { c: { profile: p }, d: { profile: q } }
    none
    --- clients:
    4:1 clients no client is listed, so that nothing can connect | list the clients, or remove the section: then no key is needed
    ---   off: { command: [x], enabled: false }
    profiles: { p: { servers: [off] }, q: { servers: [a, b] } }
    default_profile: q
    5:13 profiles.p this profile reaches nothing: none of its servers is enabled | enable one of them
    "#);
}

#[test]
fn accounts_that_are_locked_out() {
    insta::assert_snapshot!([
        "identity: { switching: off }",
        "profiles: { p: { servers: [a, b], switching: off } }",
        "profiles: { p: { accounts: { a: [two, one], b: '*' }, switching: off } }",
        "profiles: { p: { accounts: { a: two, b: two }, switching: off }, q: { servers: [a, b] } }\ndefault_profile: p",
    ].map(after).concat(), @r#"
    --- identity: { switching: off }
    4:13 identity.switching switching is `off`, so that of the accounts of `a` only `one` is used | list that one alone, or allow switching
    4:13 identity.switching calls to `b` are refused: of several accounts none is first or `default`, and switching is `off` | list the accounts in order, name a `default` at the server, or allow switching
    --- profiles: { p: { servers: [a, b], switching: off } }
    4:28 profiles.p.servers[0] switching is `off`, so that of the accounts of `a` only `one` is used | list that one alone, or allow switching
    4:31 profiles.p.servers[1] calls to `b` are refused: of several accounts none is first or `default`, and switching is `off` | list the accounts in order, name a `default` at the server, or allow switching
    --- profiles: { p: { accounts: { a: [two, one], b: '*' }, switching: off } }
    4:30 profiles.p.accounts.a switching is `off`, so that of the accounts of `a` only `two` is used | list that one alone, or allow switching
    4:45 profiles.p.accounts.b calls to `b` are refused: of several accounts none is first or `default`, and switching is `off` | list the accounts in order, name a `default` at the server, or allow switching
    --- profiles: { p: { accounts: { a: two, b: two }, switching: off }, q: { servers: [a, b] } }
    default_profile: p
    none
    "#);
}

#[test]
fn rules_that_never_count() {
    insta::assert_snapshot!([
        "bindings: [ { directory: /, profile: default }, { directory: /., profile: default } ]",
        "clients: { c: , d: }\nbindings: [ { client: c, profile: default }, { client: d, profile: default }, { client: c, directory: /, profile: default }, { client: c, profile: default } ]",
        "bindings: [ { directory: /nowhere, profile: default }, { directory: /dev/null, profile: default } ]",
    ].map(after).concat(), @r#"
    --- bindings: [ { directory: /, profile: default }, { directory: /., profile: default } ]
    4:49 bindings[1] this rule never counts: the one in line 4 matches the same requests first | remove one of them
    --- clients: { c: , d: }
    bindings: [ { client: c, profile: default }, { client: d, profile: default }, { client: c, directory: /, profile: default }, { client: c, profile: default } ]
    5:126 bindings[3] this rule never counts: the one in line 5 matches the same requests first | remove one of them
    --- bindings: [ { directory: /nowhere, profile: default }, { directory: /dev/null, profile: default } ]
    4:26 bindings[0].directory this directory does not exist | correct it, or create the directory
    4:69 bindings[1].directory this is no directory | correct it, or create the directory
    "#);
}

#[test]
fn the_daemon_says_at_its_start_what_is_strange() {
    let home = Home::new("notes: { command: [x] }");
    let mut file = std::fs::read_to_string(home.config()).unwrap();
    file.push_str("bindings: [ { directory: /nowhere, profile: default } ]\n");
    std::fs::write(home.config(), file).unwrap();
    let mut janus = Janus::start_in(home, |_| {});
    let said = janus.stderr().lines().find(|line| line.contains("WARN"));
    let said = said.unwrap_or_default();
    assert!(said.contains("this directory does not exist"), "{said}");
    assert!(
        said.contains("janus.yaml:4:26 (bindings[0].directory)"),
        "{said}"
    );
}

/// What may be a secret, and what was meant as the place of one.
#[test]
fn secrets_and_what_is_almost_a_reference() {
    let of = |line: &str| {
        let text = format!("servers: {{ s: {{ {line} }} }}");
        match parse(&text) {
            Ok(_) => warnings(&text),
            Err(_) => super::mistakes(&text),
        }
    };
    for (line, expected) in [
        (
            "url: 'https://h/', headers: { X-Key: abc }",
            "this looks like a secret",
        ),
        (
            "command: [x], env: { DB_PASSWORD: hunter2 }",
            "this looks like a secret",
        ),
        (
            "command: [x], env: { URL: 'postgres://me:hunter2@h/db' }",
            "this looks like a secret",
        ),
        ("command: [x], env: { LOG_KEYS: debug }", "none"),
        ("command: [x], env: { TOKEN_FILE: /run/token }", "none"),
        (
            "command: [x], env: { DATABASE_URL: 'file:./dev.db' }",
            "none",
        ),
        (
            "command: [x], env: { A: 'valt:a' }",
            "did you mean `vault:`?",
        ),
        (
            "url: 'https://h/', auth: { bearer: 'valt:a' }",
            "did you mean `vault:`?",
        ),
        (
            "url: 'https://h/', auth: { bearer: 'file:rel/x' }",
            "absolute path",
        ),
        (
            "url: 'https://h/', auth: { bearer: '${HOME}' }",
            "migrate-secrets",
        ),
        (
            "url: 'https://h/', headers: { A: 'Bearer vault:a' }",
            "a reference is a whole value",
        ),
        ("url: 'https://h/?key=vault:a'", "a reference within a URL"),
        (
            "command: [x, --api-key, ghp_16C7e42F292c6912E7710c838347Ae178B4a]",
            "arguments are public",
        ),
        (
            "command: [x], args: ['--token=vault:a']",
            "arguments are public",
        ),
        (
            "url: 'http://h/', auth: { bearer: vault:a }",
            "everybody on the way",
        ),
        (
            "url: 'https://h/', auth: { bearer: vault:a, value: vault:b }",
            "does not belong to `bearer`",
        ),
        (
            "url: 'https://h/', auth: { into: A }",
            "missing a key that says the kind",
        ),
        ("command: [x], auth: { bearer: vault:a }", "missing `into`"),
        (
            "url: 'https://h/', auth: { query: k, value: vault:a }",
            "URLs end in other people's logs",
        ),
    ] {
        let said = of(line);
        assert!(said.contains(expected), "{line}: {said}");
        assert!(
            !said.contains("hunter2") && !said.contains("ghp_"),
            "{said}"
        );
    }
}
