//! Names that lead nowhere, keys that do not belong together: each with its message and its line.

use super::mistakes;

const SERVERS: &str = "servers:
  github: { url: 'https://h', accounts: { personal: , client_a: } }
  files: { command: [x] }
profiles:
  home: { accounts: { github: personal }, servers: [files] }
  work: { accounts: { github: client_a }, guarded: true }
clients: { desktop: , ci-bot: }
";

/// The mistakes of the sections above with these lines after them, which begin with line 8.
fn after(lines: &str) -> String {
    let report = mistakes(&format!("{SERVERS}{lines}"));
    format!("--- {lines}\n{report}\n")
}

/// The mistakes of a text by itself.
fn of(text: &str) -> String {
    format!("--- {text}\n{}\n", mistakes(text))
}

#[test]
fn accounts_have_keys_of_their_servers_kind() {
    insta::assert_snapshot!([
        "servers: { a: { url: 'https://h', accounts: { x: { args: [a], env: { A: b } } } } }",
        "servers: { a: { command: [x], accounts: { x: { headers: { X-A: b }, tls: {} } } } }",
        "servers: { a: { url: 'https://h', accounts: { x: { headers: { Host: b, X-A: a, x-a: b } } } } }",
        "servers: { a: { command: [x], accounts: { Client-A: , b__c: {}, x: { color: pink, label: [l] } } } }",
        "servers: { a: { command: [x], accounts: { personal: , client_a: }, default: persnal } }",
        "servers: { a: { command: [x], accounts: { '1': , x: 7 }, default: 1 } }",
        "servers: { a: { command: [x], default: x } }",
        "servers: { a: { command: [x], accounts: [x] } }",
        "servers: { a: { accounts: { x: { args: [a] } } } }",
    ].map(of).concat());
}

#[test]
fn profiles_list_what_exists_and_each_once() {
    insta::assert_snapshot!(
        [
            "  p: { accounts: { githb: personal } }",
            "  p: { accounts: { slack: personal } }",
            "  p: { accounts: { github: client_b } }",
            "  p: { accounts: { github: [personal, clientela], files: main } }",
            "  p: { accounts: { github: [personal, client_a, personal] } }",
            "  p: { accounts: { github: [] } }",
            "  p: { accounts: { github: { x: y } } }",
            "  p: { accounts: { github: 1 } }",
            "  p: { accounts: { github: } }",
            "  p: { accounts: { github: [personal, Client A] } }",
            "  p: { accounts: [github] }",
            "  p: { accounts: { github: personal }, servers: [github, files, files] }",
            "  p: { servers: [file, slack] }",
            "  p: { servers: files }",
            "  p: { guarded: true }",
            "  p: { accounts: {}, servers: [] }",
            "  p:",
            "  p: { servers: [files], switching: false }",
            "  p: { servers: [files], switching: true }",
            "  p: { servers: [files], switching: sesion }",
            "  p: { servers: [files], guarded: yes, policy: careful }",
            "  P: { servers: [files] }",
        ]
        .map(|line| {
            let text = SERVERS.replace("clients: { desktop: , ci-bot: }\n", line);
            format!("--- {line}\n{}\n", mistakes(&text))
        })
        .concat()
    );
}

#[test]
fn a_star_without_quotes_is_explained() {
    insta::assert_snapshot!(
        [
            "profiles: { p: { accounts: { github: * } } }",
            "profiles:\n  p:\n    accounts:\n      github: *\n",
        ]
        .map(of)
        .concat()
    );
}

#[test]
fn bindings_and_clients_name_what_exists() {
    insta::assert_snapshot!([
        "default_profile: hom",
        "default_profile: work",
        "default_profile: [home]",
        "default_profile:",
        "bindings: [ { directory: /x, profile: hme } ]",
        "bindings: [ { directory: /x } ]",
        "bindings: [ { profile: home } ]",
        "bindings: [ { client: desktp, profile: home } ]",
        "bindings: [ { client: else, profile: home } ]",
        "bindings: [ { directory: src, profile: home }, { directory: ../x, profile: home } ]",
        "bindings: [ { directory: /x/../y, profile: home }, { directory: ~ana, profile: home } ]",
        "bindings: [ 7, { directory: /x, client: Desk Top, profil: home } ]",
        "bindings: { directory: /x, profile: home }",
        "identity: { switching: never, confirm_after_switch: 5m }",
        "identity: off",
    ].map(after).concat());
    insta::assert_snapshot!(
        [
            "clients: { a: { profile: defult } }",
            "clients: { a: { profile: default, profiles: [default] } }",
            "clients: { a: { profiles: [default, default, other] } }",
            "clients: { a: { profiles: [] } }",
            "clients: { a: { expires: 2027-02-29 } }",
            "clients: { a: { expires: 2027 } }",
            "clients: { a: { expires: '2027-03-01T00:00:00+01:00' } }",
            "clients: { a: { policy: read-only, url_elicitation: true } }",
            "clients: { claude code: {} }",
            "bindings: [ { client: a, profile: default } ]",
            "clients:\nbindings: [ { client: a, profile: default } ]",
        ]
        .map(of)
        .concat()
    );
}

/// One mistake is one mistake: what names something that is wrong itself is not reported again.
#[test]
fn a_name_that_was_left_out_is_not_missed() {
    for (text, count) in [
        ("servers: { a: 7 }\nprofiles: { p: { servers: [a] } }", 1),
        (
            "servers: { a: { comand: [x] } }\nprofiles: { p: { accounts: { a: x } } }",
            3,
        ),
        (
            "servers: { a: { command: [x], accounts: { x: 7 } } }\nprofiles: { p: { accounts: { a: x } } }",
            1,
        ),
        ("servers: [a]\nprofiles: { p: { servers: [a] } }", 1),
        ("profiles: { p: 7 }\ndefault_profile: p", 1),
        (
            "clients: 7\nbindings: [ { client: a, profile: default } ]",
            1,
        ),
    ] {
        let report = mistakes(text);
        assert_eq!(report.lines().count(), count, "{text}\n{report}");
    }
}

#[test]
fn no_message_holds_a_name_that_leads_nowhere() {
    let report = mistakes(&format!(
        "{SERVERS}default_profile: canary1
bindings: [ {{ client: canary2, profile: canary3 }}, {{ directory: /canary4/.., profile: CANARY5 }} ]
identity: {{ switching: canary6 }}
"
    ));
    assert_eq!(report.lines().count(), 6, "{report}");
    assert!(!report.to_lowercase().contains("canary"), "{report}");
}
