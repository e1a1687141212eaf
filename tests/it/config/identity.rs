//! Accounts, profiles, bindings and clients: what the keys become.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use janus::config::{self, Environment};
use janus::model::{
    Account, AccountName, Colour, Endpoint, Identity, Profile, ProfileName, Switching, Written,
};
use proptest::prelude::*;

use super::{environment, parse};

fn identity(text: &str) -> Identity {
    parse(text).unwrap().settings.identity
}

/// What an account is reached by: arguments and variables, or headers.
fn own(account: &Account) -> String {
    let pairs = |pairs: Vec<(&str, &str)>| {
        let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.join(" ")
    };
    match &account.endpoint {
        Endpoint::Process(command) => {
            let env = command
                .env
                .iter()
                .map(|(k, v)| (k.as_str(), super::written(v)));
            format!("{} | {}", command.args.join(" "), pairs(env.collect()))
        }
        Endpoint::Http(remote) => {
            let headers = remote.headers.iter();
            pairs(
                headers
                    .map(|(k, v)| (k.as_str(), super::written(v)))
                    .collect(),
            )
        }
    }
}

#[test]
fn what_stands_at_an_account_wins() {
    let text = "
servers:
  local:
    command: [npx, -y]
    args: [--one, --two]
    env: { A: s, B: s, C: s }
    accounts:
      plain:
      own: { args: [--mine], env: { B: o, D: o }, label: 'Mine!', color: magenta }
      none: { args: [] }
    default: own
  remote:
    url: https://h.example/mcp
    headers: { X-A: s, X-B: s }
    accounts: { plain: {}, own: { headers: { x-b: o, X-C: o } } }
";
    let servers = parse(text).unwrap().settings.servers;
    let shown = |server: usize| {
        let accounts = servers[server].accounts.iter();
        let lines = accounts.map(|one| format!("{}: {}", one.name, own(one)));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(
        shown(0),
        [
            "plain: -y --one --two | A=s B=s C=s",
            "own: -y --mine | A=s B=o C=s D=o",
            "none: -y | A=s B=s C=s",
        ]
    );
    assert_eq!(shown(1), ["plain: x-a=s x-b=s", "own: x-a=s x-b=o x-c=o"]);
    let own = &servers[0].accounts[1];
    assert_eq!(
        (own.label.as_deref(), own.color),
        (Some("Mine!"), Some(Colour::Magenta))
    );
    assert_eq!(own.written, Written::new(9, "servers.local.accounts.own"));
    let (name, written) = servers[0].default.as_ref().unwrap();
    assert_eq!(
        (name.as_str(), written),
        ("own", &Written::new(11, "servers.local.default"))
    );
}

#[test]
fn without_accounts_there_is_one_and_without_profiles_too() {
    for text in [
        "servers: { a: { command: [x] }, b: { command: [x], enabled: false } }",
        "servers: { a: { command: [x], accounts: }, b: { command: [x], enabled: false } }\nprofiles:\n",
    ] {
        let settings = parse(text).unwrap().settings;
        assert_eq!(settings.servers[0].accounts[0].name.as_str(), "default");
        let [profile] = &settings.identity.profiles[..] else {
            panic!()
        };
        assert_eq!(
            (profile.name.as_str(), reach(profile).as_str()),
            ("default", "a: default")
        );
        assert_eq!(profile.written, Written::nowhere());
        assert_eq!(settings.identity.clients, None);
    }
    let locked = identity("identity: { switching: off }");
    assert_eq!(
        (locked.switching, locked.profiles[0].switching),
        (Switching::Off, Switching::Off)
    );
}

/// `a: x, y (ordered)`, in the order of the servers.
fn reach(profile: &Profile) -> String {
    let reach = profile.reach.iter().map(|reach| {
        let names: Vec<&str> = reach.accounts.iter().map(AccountName::as_str).collect();
        let ordered = if reach.ordered { " in order" } else { "" };
        format!("{}: {}{ordered}", reach.server, names.join(" "))
    });
    reach.collect::<Vec<_>>().join(", ")
}

const SERVERS: &str = "
servers:
  z: { command: [x], accounts: { one: , two: , three: } }
  a: { command: [x], accounts: { one: , two: } }
  off: { command: [x], enabled: false }
  m: { command: [x] }
";

#[test]
fn a_profile_reaches_what_it_lists_in_the_order_of_the_servers() {
    let text = format!(
        "{SERVERS}
profiles:
  listed: {{ accounts: {{ m: default, off: default, a: [two, one], z: '*' }} }}
  whole: {{ servers: [m, a], accounts: {{ z: three }}, guarded: true, switching: off }}
  off: {{ servers: [off] }}
default_profile: listed
identity: {{ switching: global }}
"
    );
    let loaded = parse(&text).unwrap();
    let profiles = &loaded.settings.identity.profiles;
    assert_eq!(
        profiles.iter().map(reach).collect::<Vec<_>>(),
        [
            "z: one two three, a: two one in order, m: default in order",
            "z: three in order, a: one two, m: default",
            "",
        ]
    );
    let switching = profiles.iter().map(|one| (one.guarded, one.switching));
    assert_eq!(
        switching.collect::<Vec<_>>(),
        [
            (false, Switching::Global),
            (true, Switching::Off),
            (false, Switching::Global)
        ]
    );
    let [first, ..] = &profiles[0].reach[..] else {
        panic!()
    };
    assert_eq!(first.written, Written::new(9, "profiles.listed.accounts.z"));
    assert_eq!(
        profiles[1].reach[2].written,
        Written::new(10, "profiles.whole.servers[0]")
    );
    assert_eq!(profiles[2].written, Written::new(11, "profiles.off"));
    let (name, written) = loaded.settings.identity.default_profile.as_ref().unwrap();
    assert_eq!(
        (name.as_str(), written),
        ("listed", &Written::new(12, "default_profile"))
    );
    assert_eq!(
        reach(&loaded.written.profiles[2]),
        "off: default",
        "what is written names disabled servers"
    );
}

#[test]
fn clients_and_bindings_become_rules() {
    let text = "
profiles: { p: { servers: [a] }, q: { servers: [a] } }
servers: { a: { command: [x] } }
clients:
  free:
  one: { profile: q, expires: 2027-03-01 }
  both: { profiles: [q, p], expires: '2027-03-01T00:00:01Z' }
bindings:
  - { client: free, profile: p }
  - directory: ~/nowhere/./deep/
    profile: q
";
    let identity = identity(text);
    let clients = identity.clients.unwrap();
    let tied = clients.iter().map(|client| {
        let names: Vec<&str> = client.profiles.iter().map(ProfileName::as_str).collect();
        let seconds = client
            .expires
            .map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs());
        (client.id.as_str(), names.join(" "), seconds)
    });
    assert_eq!(
        tied.collect::<Vec<_>>(),
        [
            ("free", String::new(), None),
            ("one", "q".to_owned(), Some(1_803_859_200)),
            ("both", "q p".to_owned(), Some(1_803_859_201)),
        ]
    );
    assert_eq!(clients[0].written, Written::new(5, "clients.free"));
    let [by_client, by_directory] = &identity.bindings[..] else {
        panic!()
    };
    assert_eq!(by_client.written, Written::new(9, "bindings[0]"));
    assert_eq!(by_client.client, Some(clients[0].id.clone()));
    assert_eq!(
        by_directory.directory.as_deref(),
        Some(Path::new("/home/ana/nowhere/deep"))
    );
    assert_eq!(by_directory.written, Written::new(10, "bindings[1]"));
    // The section alone asks for keys.
    assert_eq!(self::identity("clients:").clients, Some(Vec::new()));
}

#[test]
fn a_directory_is_what_the_kernel_calls_it() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    std::fs::create_dir(root.join("real")).unwrap();
    std::os::unix::fs::symlink("real", root.join("link")).unwrap();
    let environment = Environment::new([("HOME", &root)], 1000);
    let text = "bindings: [ { directory: ~/link/, profile: default }, { directory: ~/link/new, profile: default } ]";
    let loaded = config::parse(text, Path::new("/c.yaml"), &environment).unwrap();
    let rules = loaded.settings.identity.bindings.iter();
    let directories: Vec<&Path> = rules.filter_map(|rule| rule.directory.as_deref()).collect();
    assert_eq!(directories, [root.join("real"), root.join("real/new")]);
    let messages: Vec<&str> = loaded
        .warnings
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    assert_eq!(messages, ["this directory does not exist"]);
}

#[test]
fn what_is_shown_of_accounts_is_merged_masked_and_a_configuration() {
    // What is not enabled is shown last, so it is written last.
    let off = "  off: { command: [x], enabled: false }\n";
    let servers = SERVERS.replace(off, "");
    let text = format!(
        "{servers}
  r: {{ url: 'https://h/?CANARY', headers: {{ X-A: CANARY }}, accounts: {{ a: {{ headers: {{ X-B: CANARY }}, label: L }}, b: }}, default: a }}
  p: {{ command: [x, -y], args: [--a=CANARY], env: {{ A: CANARY }}, accounts: {{ own: {{ args: [--b, --c=CANARY], env: {{ B: CANARY }} }}, plain: , default: {{ color: red }} }} }}
{off}profiles:
  p: {{ accounts: {{ z: one, a: [two, one] }}, servers: [r, p, m, off] }}
  off: {{ servers: [off], guarded: true, switching: global }}
default_profile: p
bindings: [ {{ directory: /nowhere, client: c, profile: p }} ]
identity: {{ switching: off }}
clients: {{ c: , d: {{ profile: p, expires: 2027-03-01 }}, e: {{ profiles: [p, off], expires: '2027-03-01T01:02:03.04Z' }} }}
"
    );
    let loaded = parse(&text).unwrap();
    let shown = config::effective(&loaded);
    let yaml = serde_yaml::to_string(&shown).unwrap();
    assert!(!yaml.contains("CANARY"), "{yaml}");
    insta::assert_snapshot!(serde_yaml::to_string(&shown["servers"]["p"]).unwrap(), @r#"
    command:
    - x
    - -y
    idle: 10m
    accounts:
      own:
        args:
        - --b
        - --c=****
        env:
          A: '****'
          B: '****'
      plain:
        args:
        - --a=****
        env:
          A: '****'
      default:
        args:
        - --a=****
        env:
          A: '****'
        color: red
    timeout: 60s
    sharing: auto
    era: auto
    tools:
      include:
      - '*'
      exclude: []
    enabled: true
    "#);
    insta::assert_snapshot!(serde_yaml::to_string(&shown["servers"]["r"]).unwrap(), @r#"
    url: https://h/?****
    transport: auto
    accounts:
      a:
        headers:
          x-a: '****'
          x-b: '****'
        label: L
      b:
        headers:
          x-a: '****'
    default: a
    timeout: 60s
    sharing: auto
    era: auto
    tools:
      include:
      - '*'
      exclude: []
    enabled: true
    "#);
    let again = parse(&yaml).unwrap();
    assert_eq!(config::effective(&again), shown, "shown again");
    let names = |identity: &Identity| {
        let profiles = identity.profiles.iter();
        let profiles =
            profiles.map(|one| (one.name.clone(), reach(one), one.guarded, one.switching));
        profiles.collect::<Vec<_>>()
    };
    assert_eq!(names(&again.written), names(&loaded.written));
    let clients = |identity: &Identity| {
        let clients = identity.clients.clone().unwrap().into_iter();
        clients
            .map(|one| (one.id, one.profiles, one.expires))
            .collect::<Vec<_>>()
    };
    let (clients, shown) = (clients(&loaded.written), clients(&again.written));
    assert_eq!(shown, clients);
    let fraction = Duration::from_millis(40);
    assert!(clients[2].2.unwrap() > UNIX_EPOCH + fraction);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What is not listed is out of reach, what is listed is in reach, and nothing is there twice.
    #[test]
    fn a_profile_reaches_exactly_what_it_lists(
        choices in proptest::collection::vec((0usize..4, proptest::sample::subsequence(vec!["x", "y", "z"], 1..=3)), 1..6)
    ) {
        let (mut servers, mut accounts) = (Vec::new(), Vec::new());
        let (mut whole, mut expected) = (Vec::new(), Vec::new());
        for (at, (kind, names)) in choices.iter().enumerate() {
            servers.push(format!("  s{at}: {{ command: [x], accounts: {{ x: , y: , z: }} }}"));
            match kind {
                0 => accounts.push(format!("      s{at}: [{}]", names.join(", "))),
                1 => accounts.push(format!("      s{at}: '*'")),
                2 => whole.push(format!("s{at}")),
                _ => continue,
            }
            let list = if *kind == 0 { format!("{} in order", names.join(" ")) } else { "x y z".to_owned() };
            expected.push(format!("s{at}: {list}"));
        }
        let text = format!(
            "servers:\n{}\nprofiles:\n  p:\n    accounts:\n{}\n    servers: [{}]\n",
            servers.join("\n"),
            accounts.join("\n"),
            whole.join(", "),
        );
        match config::parse(&text, Path::new("/c.yaml"), &environment()) {
            Ok(loaded) => prop_assert_eq!(reach(&loaded.settings.identity.profiles[0]), expected.join(", ")),
            Err(_) => prop_assert!(expected.is_empty(), "{text}"),
        }
    }
}
