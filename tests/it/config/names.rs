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
    ].map(of).concat(), @r#"
    --- servers: { a: { url: 'https://h', accounts: { x: { args: [a], env: { A: b } } } } }
    1:52 servers.a.accounts.x.args [does_not_fit] `args` belongs to a local process, and this server has `url` | remove it
    1:63 servers.a.accounts.x.env [does_not_fit] `env` belongs to a local process, and this server has `url` | fixed values go to a remote server in `headers`
    --- servers: { a: { command: [x], accounts: { x: { headers: { X-A: b }, tls: {} } } } }
    1:48 servers.a.accounts.x.headers [does_not_fit] `headers` belongs to a remote server, and this server has `command` | values go to a process in `env`
    1:69 servers.a.accounts.x.tls [unknown_key] unknown key `tls` | the keys here are `params`, `args`, `env`, `headers`, `auth`, `label` and `color`
    --- servers: { a: { url: 'https://h', accounts: { x: { headers: { Host: b, X-A: a, x-a: b } } } } }
    1:63 servers.a.accounts.x.headers.Host [does_not_fit] Janus sets the header `host` itself | remove it
    1:80 servers.a.accounts.x.headers.x-a [does_not_fit] the header `x-a` is there twice; upper and lower case are the same | keep one of them
    --- servers: { a: { command: [x], accounts: { Client-A: , b__c: {}, x: { color: pink, label: [l] } } } }
    1:43 servers.a.accounts [bad_value] expected a name of 1 to 32 characters: a-z, 0-9, `-` and single `_`, with a letter or a digit at both ends
    1:55 servers.a.accounts [bad_value] expected a name of 1 to 32 characters: a-z, 0-9, `-` and single `_`, with a letter or a digit at both ends
    1:77 servers.a.accounts.x.color [wrong_type] expected `red`, `yellow`, `green`, `blue`, `magenta` or `cyan`, found another word
    1:90 servers.a.accounts.x.label [wrong_type] expected text, found a list
    --- servers: { a: { command: [x], accounts: { personal: , client_a: }, default: persnal } }
    1:77 servers.a.default [unknown_name] no account of `a` has this name | did you mean `personal`?
    --- servers: { a: { command: [x], accounts: { '1': , x: 7 }, default: 1 } }
    1:53 servers.a.accounts.x [wrong_type] expected a map, found a number
    1:67 servers.a.default [wrong_type] expected a name, found a number | put it in quotes
    --- servers: { a: { command: [x], default: x } }
    1:31 servers.a.default [does_not_fit] `default` is one of several accounts, and this server lists none | list them under `accounts`, or remove `default`
    --- servers: { a: { command: [x], accounts: [x] } }
    1:41 servers.a.accounts [wrong_type] expected a map from names to accounts, found a list
    --- servers: { a: { accounts: { x: { args: [a] } } } }
    1:12 servers.a [missing_key] missing `url` or `command` | write `url: https://…` for a remote server, `command: [program, argument]` for a local process
    "#);
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
        .concat(), @r#"
    ---   p: { accounts: { githb: personal } }
    7:20 profiles.p.accounts.githb [unknown_name] no server has this name | did you mean `github`?
    ---   p: { accounts: { slack: personal } }
    7:20 profiles.p.accounts.slack [unknown_name] no server has this name | the servers are `github` and `files`
    ---   p: { accounts: { github: client_b } }
    7:28 profiles.p.accounts.github [unknown_name] no account of `github` has this name | did you mean `client_a`?
    ---   p: { accounts: { github: [personal, clientela], files: main } }
    7:39 profiles.p.accounts.github[1] [unknown_name] no account of `github` has this name | did you mean `client_a`?
    7:58 profiles.p.accounts.files [unknown_name] no account of `files` has this name | there is only `default`
    ---   p: { accounts: { github: [personal, client_a, personal] } }
    7:49 profiles.p.accounts.github[2] [does_not_fit] this account is in the list twice | keep one of them
    ---   p: { accounts: { github: [] } }
    7:28 profiles.p.accounts.github [bad_value] expected at least one account | name one, or leave the server out
    ---   p: { accounts: { github: { x: y } } }
    7:28 profiles.p.accounts.github [wrong_type] expected an account, a list of accounts, or `"*"` for all, found a map
    ---   p: { accounts: { github: 1 } }
    7:28 profiles.p.accounts.github [wrong_type] expected an account, a list of accounts, or `"*"` for all, found a number | put it in quotes
    ---   p: { accounts: { github: } }
    7:26 profiles.p.accounts.github [wrong_type] expected an account, a list of accounts, or `"*"` for all, found nothing
    ---   p: { accounts: { github: [personal, Client A] } }
    7:39 profiles.p.accounts.github[1] [bad_value] expected a name of 1 to 32 characters: a-z, 0-9, `-` and single `_`, with a letter or a digit at both ends
    ---   p: { accounts: [github] }
    7:18 profiles.p.accounts [wrong_type] expected a map from servers to their accounts, found a list
    ---   p: { accounts: { github: personal }, servers: [github, files, files] }
    7:50 profiles.p.servers[0] [does_not_fit] this server is under `accounts` and `servers` | keep it under `accounts` for some of its accounts, under `servers` for all
    7:65 profiles.p.servers[2] [does_not_fit] this server is in the list twice | keep one of them
    ---   p: { servers: [file, slack] }
    7:18 profiles.p.servers[0] [unknown_name] no server has this name | did you mean `files`?
    7:24 profiles.p.servers[1] [unknown_name] no server has this name | the servers are `github` and `files`
    ---   p: { servers: files }
    7:17 profiles.p.servers [wrong_type] expected a list, found text | write a list: `[first, second]`, or one `- item` a line
    ---   p: { guarded: true }
    7:3 profiles.p [missing_key] missing `accounts` or `servers` | list what it reaches: without them that is nothing
    ---   p: { accounts: {}, servers: [] }
    7:3 profiles.p [missing_key] missing `accounts` or `servers` | list what it reaches: without them that is nothing
    ---   p:
    7:3 profiles.p [missing_key] missing `accounts` or `servers` | list what it reaches: without them that is nothing
    ---   p: { servers: [files], switching: false }
    7:37 profiles.p.switching [wrong_type] expected `off`, `session` or `global`, found a boolean | write `off`, which is a word here
    ---   p: { servers: [files], switching: true }
    7:37 profiles.p.switching [wrong_type] expected `off`, `session` or `global`, found a boolean | write `session` or `global`
    ---   p: { servers: [files], switching: sesion }
    7:37 profiles.p.switching [wrong_type] expected `off`, `session` or `global`, found another word | did you mean `session`?
    ---   p: { servers: [files], guarded: yes, policy: careful }
    7:35 profiles.p.guarded [wrong_type] expected `true` or `false`, found text
    7:40 profiles.p.policy [unknown_key] unknown key `policy` | the keys here are `accounts`, `servers`, `guarded` and `switching`
    ---   P: { servers: [files] }
    7:3 profiles [bad_value] expected a name of 1 to 32 characters: a-z, 0-9, `-` and single `_`, with a letter or a digit at both ends
    "#);
}

#[test]
fn a_star_without_quotes_is_explained() {
    insta::assert_snapshot!(
        [
            "profiles: { p: { accounts: { github: * } } }",
            "profiles:\n  p:\n    accounts:\n      github: *\n",
        ]
        .map(of)
        .concat(), @r#"
    --- profiles: { p: { accounts: { github: * } } }
    1:38  [syntax] this is not YAML: while scanning an anchor or alias, did not find expected alphabetic or numeric character | put a `*` or `&` in quotes: `"*"`
    --- profiles:
      p:
        accounts:
          github: *

    4:15  [syntax] this is not YAML: while scanning an anchor or alias, did not find expected alphabetic or numeric character | put a `*` or `&` in quotes: `"*"`
    "#);
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
    ].map(after).concat(), @r#"
    --- default_profile: hom
    8:18 default_profile [unknown_name] no profile has this name | did you mean `home`?
    --- default_profile: work
    8:18 default_profile [does_not_fit] this profile is guarded, and a default would give it to everybody | take another, or lead to it with a binding or a key
    --- default_profile: [home]
    8:18 default_profile [wrong_type] expected a name, found a list
    --- default_profile:
    8:16 default_profile [wrong_type] expected a name, found nothing
    --- bindings: [ { directory: /x, profile: hme } ]
    8:39 bindings[0].profile [unknown_name] no profile has this name | did you mean `home`?
    --- bindings: [ { directory: /x } ]
    8:13 bindings[0] [missing_key] missing `profile`
    --- bindings: [ { profile: home } ]
    8:13 bindings[0] [missing_key] missing `directory` or `client` | a rule for everybody is `default_profile`
    --- bindings: [ { client: desktp, profile: home } ]
    8:23 bindings[0].client [unknown_name] no client has this name | did you mean `desktop`?
    --- bindings: [ { client: else, profile: home } ]
    8:23 bindings[0].client [unknown_name] no client has this name | the clients are `desktop` and `ci-bot`
    --- bindings: [ { directory: src, profile: home }, { directory: ../x, profile: home } ]
    8:26 bindings[0].directory [bad_value] expected an absolute path, or one that begins with `~/`
    8:61 bindings[1].directory [bad_value] expected an absolute path, or one that begins with `~/`
    --- bindings: [ { directory: /x/../y, profile: home }, { directory: ~ana, profile: home } ]
    8:26 bindings[0].directory [bad_value] expected a path without `..` | write where it leads
    8:65 bindings[1].directory [bad_value] expected an absolute path, or one that begins with `~/`
    --- bindings: [ 7, { directory: /x, client: Desk Top, profil: home } ]
    8:13 bindings[0] [wrong_type] expected a map, found a number
    8:16 bindings[1] [missing_key] missing `profile`
    8:41 bindings[1].client [bad_value] expected a name of 1 to 32 characters: a-z, 0-9, `-` and single `_`, with a letter or a digit at both ends
    8:51 bindings[1].profil [unknown_key] unknown key `profil` | did you mean `profile`?
    --- bindings: { directory: /x, profile: home }
    8:11 bindings [wrong_type] expected a list, found a map
    --- identity: { switching: never, confirm_after_switch: 5m }
    8:24 identity.switching [wrong_type] expected `off`, `session` or `global`, found another word
    8:31 identity.confirm_after_switch [unknown_key] unknown key `confirm_after_switch` | the only key here is `switching`
    --- identity: off
    8:11 identity [wrong_type] expected a map, found text
    "#);
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
        .concat(), @r#"
    --- clients: { a: { profile: defult } }
    1:26 clients.a.profile [unknown_name] no profile has this name | did you mean `default`?
    --- clients: { a: { profile: default, profiles: [default] } }
    1:35 clients.a.profiles [does_not_fit] a client has `profile` or `profiles`, not both | keep one of them
    --- clients: { a: { profiles: [default, default, other] } }
    1:37 clients.a.profiles[1] [does_not_fit] this profile is in the list twice | keep one of them
    1:46 clients.a.profiles[2] [unknown_name] no profile has this name | there is only `default`
    --- clients: { a: { profiles: [] } }
    1:27 clients.a.profiles [bad_value] expected at least one profile | name one, or remove the key: then the client is tied to none
    --- clients: { a: { expires: 2027-02-29 } }
    1:26 clients.a.expires [bad_value] expected a date such as `2027-03-01`, or a time such as `2027-03-01T18:00:00Z`
    --- clients: { a: { expires: 2027 } }
    1:26 clients.a.expires [wrong_type] expected a date such as `2027-03-01`, or a time such as `2027-03-01T18:00:00Z`, found a number
    --- clients: { a: { expires: '2027-03-01T00:00:00+01:00' } }
    1:26 clients.a.expires [bad_value] expected a date such as `2027-03-01`, or a time such as `2027-03-01T18:00:00Z`
    --- clients: { a: { policy: read-only, url_elicitation: true } }
    1:17 clients.a.policy [unknown_key] unknown key `policy` | the keys here are `profile`, `profiles`, `expires` and `url_elicitation`
    --- clients: { claude code: {} }
    1:12 clients [bad_value] expected a name of 1 to 32 characters: a-z, 0-9, `-` and single `_`, with a letter or a digit at both ends
    --- bindings: [ { client: a, profile: default } ]
    1:23 bindings[0].client [does_not_fit] a client is proved by its key, and without `clients` there are no keys | list it under `clients`, or bind a directory
    --- clients:
    bindings: [ { client: a, profile: default } ]
    2:23 bindings[0].client [unknown_name] no client has this name | there are no clients
    "#);
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
