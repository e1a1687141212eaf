//! What is allowed and probably not meant.

use super::parse;

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
    ].map(after).concat());
}

#[test]
fn accounts_that_are_locked_out() {
    insta::assert_snapshot!([
        "identity: { switching: off }",
        "profiles: { p: { servers: [a, b], switching: off } }",
        "profiles: { p: { accounts: { a: [two, one], b: '*' }, switching: off } }",
        "profiles: { p: { accounts: { a: two, b: two }, switching: off }, q: { servers: [a, b] } }\ndefault_profile: p",
    ].map(after).concat());
}

#[test]
fn rules_that_never_count() {
    insta::assert_snapshot!([
        "bindings: [ { directory: /, profile: default }, { directory: /., profile: default } ]",
        "clients: { c: , d: }\nbindings: [ { client: c, profile: default }, { client: d, profile: default }, { client: c, directory: /, profile: default }, { client: c, profile: default } ]",
        "bindings: [ { directory: /nowhere, profile: default }, { directory: /dev/null, profile: default } ]",
    ].map(after).concat());
}
