//! The five rules and the nine rules, row by row, and what holds for every configuration and every request.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Binding, Given, NoChoice, Refused, ResolvedFrom, Rule, Scope, View, Wish};
use crate::authn::Directory;
use crate::model::{
    Account, AccountName, BindingRule, Client, ClientId, Command, Endpoint, EraChoice, Identity,
    Profile, ProfileName, Reach, Server, ServerName, Sharing, Switching, ToolFilter, Written,
};

fn profile_name(name: &str) -> ProfileName {
    ProfileName::new(name).unwrap()
}

fn account_name(name: &str) -> AccountName {
    AccountName::new(name).unwrap()
}

fn server_name(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

fn at(line: usize) -> Written {
    Written::new(line, "key")
}

fn server(name: &str, accounts: &[&str], default: Option<&str>) -> Arc<Server> {
    let account = |name: &&str| Account {
        name: account_name(name),
        ..Account::only(Endpoint::Process(Command {
            program: "x".into(),
            args: vec![],
            env: vec![],
        }))
    };
    Arc::new(Server {
        name: server_name(name),
        accounts: accounts.iter().map(account).collect(),
        default: default.map(|default| (account_name(default), at(9))),
        description: None,
        timeout: std::time::Duration::from_mins(1),
        idle: None,
        sharing: Sharing::Auto,
        era: EraChoice::Auto,
        transport: crate::model::Transport::Auto,
        tools: ToolFilter::default(),
    })
}

fn reach(server: &str, accounts: &[&str], ordered: bool) -> Reach {
    Reach {
        server: server_name(server),
        accounts: accounts.iter().map(|name| account_name(name)).collect(),
        ordered,
        written: at(20),
    }
}

fn profile(name: &str, reach: Vec<Reach>, guarded: bool, switching: Switching) -> Profile {
    Profile {
        name: profile_name(name),
        reach,
        guarded,
        switching,
        written: at(30),
    }
}

/// The world of the tables: three customers, one of them guarded, one locked.
fn world() -> Binding {
    let servers = [
        server("github", &["own", "a", "b"], Some("own")),
        server("stripe", &["test", "live"], None),
        server("notes", &["default"], None),
    ];
    let tied = |id: &str, profiles: &[&str]| Client {
        id: ClientId::new(id).unwrap(),
        profiles: profiles.iter().map(|name| profile_name(name)).collect(),
        expires: None,
        url_elicitation: false,
        written: at(40),
    };
    let bound = |directory: Option<&str>, client: Option<&str>, profile: &str, line| BindingRule {
        directory: directory.map(PathBuf::from),
        client: client.map(|id| ClientId::new(id).unwrap()),
        profile: profile_name(profile),
        written: at(line),
    };
    let identity = Identity {
        profiles: vec![
            profile(
                "own",
                vec![
                    reach("github", &["own", "a", "b"], false),
                    reach("stripe", &["test", "live"], false),
                    reach("notes", &["default"], false),
                ],
                false,
                Switching::Session,
            ),
            profile(
                "a",
                vec![reach("github", &["a", "own"], true)],
                true,
                Switching::Session,
            ),
            profile(
                "b",
                vec![reach("github", &["b", "own"], true)],
                false,
                Switching::Off,
            ),
        ],
        default_profile: Some((profile_name("own"), at(50))),
        bindings: vec![
            bound(Some("/src"), None, "own", 60),
            bound(Some("/src/a"), None, "a", 61),
            bound(Some("/src/b"), Some("bot"), "b", 62),
            bound(None, Some("desk"), "b", 63),
        ],
        switching: Switching::Session,
        clients: Some(vec![
            tied("one", &["b"]),
            tied("two", &["own", "b"]),
            tied("bot", &[]),
            tied("desk", &[]),
        ]),
    };
    Binding::new(&identity, &servers)
}

struct Asked<'a> {
    client: Option<&'a str>,
    directory: Option<&'a str>,
    path: &'a str,
    header: Option<&'a str>,
}

fn resolve(binding: &Binding, asked: &Asked<'_>) -> Result<Scope, Refused> {
    let client = asked.client.map(|id| ClientId::new(id).unwrap());
    let directory = asked.directory.map(|path| Directory::supposed(path.into()));
    let given = Given {
        client: client.as_ref(),
        directory: directory.as_ref(),
        path: asked.path,
        profile: asked.header,
    };
    let explained = binding.explain(&given);
    if let Ok(scope) = &explained.outcome {
        let deciding = explained.steps.iter().find(|step| step.decides).unwrap();
        assert_eq!(
            deciding.rule,
            scope.decided().rule,
            "the steps say what decided"
        );
    }
    explained.outcome
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_row_of_the_five_rules() {
    let binding = world();
    let ok = |profile: &'static str, rule| Ok((profile, rule));
    // client, directory, path, Janus-Profile
    for (client, directory, path, header, expected) in [
        // 1: a key tied to one profile, confirmed or refused, wherever it is.
        (Some("one"), None, "/mcp", None, ok("b", Rule::ClientKey)),
        (
            Some("one"),
            Some("/src/a"),
            "/mcp",
            None,
            ok("b", Rule::ClientKey),
        ),
        (
            Some("one"),
            None,
            "/mcp/b",
            Some("b"),
            ok("b", Rule::ClientKey),
        ),
        (Some("one"), None, "/mcp/own", None, Err("profile_refused")),
        (
            Some("one"),
            None,
            "/mcp",
            Some("own"),
            Err("profile_refused"),
        ),
        // 1: whose client is not written any more.
        (Some("gone"), None, "/mcp", None, Err("unknown_client")),
        (
            Some("gone"),
            Some("/src/a"),
            "/mcp",
            None,
            Err("unknown_client"),
        ),
        // 1: a key tied to several, one of them named; the others are out of reach.
        (Some("two"), None, "/mcp/b", None, ok("b", Rule::ClientKey)),
        (
            Some("two"),
            None,
            "/mcp",
            Some("own"),
            ok("own", Rule::ClientKey),
        ),
        (Some("two"), None, "/mcp/a", None, Err("profile_refused")),
        (Some("two"), None, "/mcp", None, ok("own", Rule::Default)),
        (
            Some("two"),
            Some("/src/x"),
            "/mcp",
            None,
            ok("own", Rule::Binding),
        ),
        (
            Some("two"),
            Some("/src/a"),
            "/mcp",
            None,
            Err("profile_refused"),
        ),
        // 2: the longest directory, then a client alone, then the order of the file.
        (
            None,
            Some("/src/a/deep"),
            "/mcp",
            None,
            ok("a", Rule::Binding),
        ),
        (
            None,
            Some("/src/ab"),
            "/mcp",
            None,
            ok("own", Rule::Binding),
        ),
        (
            Some("bot"),
            Some("/src/b"),
            "/mcp",
            None,
            ok("b", Rule::Binding),
        ),
        (None, Some("/src/b"), "/mcp", None, ok("own", Rule::Binding)),
        (
            Some("desk"),
            Some("/src/a"),
            "/mcp",
            None,
            ok("a", Rule::Binding),
        ),
        (
            Some("desk"),
            Some("/tmp"),
            "/mcp",
            None,
            ok("b", Rule::Binding),
        ),
        (None, Some("/src/a"), "/mcp/a", None, ok("a", Rule::Binding)),
        (
            None,
            Some("/src/a"),
            "/mcp/own",
            None,
            Err("profile_refused"),
        ),
        (
            None,
            Some("/src/a"),
            "/mcp",
            Some("b"),
            Err("profile_refused"),
        ),
        // 3: named, unless it is guarded or unknown.
        (None, None, "/mcp/b", None, ok("b", Rule::Named)),
        (None, Some("/tmp"), "/mcp", Some("b"), ok("b", Rule::Named)),
        (None, None, "/mcp/a", None, Err("profile_refused")),
        (None, None, "/mcp", Some("a"), Err("profile_refused")),
        (None, None, "/mcp/c", None, Err("profile_unknown")),
        (None, None, "/mcp", Some("c"), Err("profile_unknown")),
        (None, None, "/mcp", Some(""), Err("profile_unknown")),
        (None, None, "/mcp/B", None, Err("profile_unknown")),
        (Some("one"), None, "/mcp/c", None, Err("profile_unknown")),
        (None, None, "/mcp/b", Some("own"), Err("profile_refused")),
        // 4
        (None, None, "/mcp", None, ok("own", Rule::Default)),
        (
            Some("bot"),
            Some("/tmp"),
            "/mcp",
            None,
            ok("own", Rule::Default),
        ),
    ] {
        let asked = Asked {
            client,
            directory,
            path,
            header,
        };
        let resolved = resolve(&binding, &asked);
        let got = resolved
            .as_ref()
            .map(|scope| (scope.profile().as_str(), scope.decided().rule))
            .map_err(Refused::code);
        assert_eq!(got, expected, "{client:?} {directory:?} {path} {header:?}");
    }
}

#[test]
fn with_several_profiles_and_no_default_the_refusal_names_those_that_can_be_named() {
    let mut identity = world().identity().clone();
    identity.default_profile = None;
    identity.bindings.clear();
    let binding = Binding::new(&identity, &[]);
    let asked = Asked {
        client: None,
        directory: None,
        path: "/mcp",
        header: None,
    };
    let refused = resolve(&binding, &asked).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no profile is chosen; there are `own`, `b`. Name one in the path, as in /mcp/own, or bind this directory to one in `bindings:`"
    );
    let named = Asked {
        path: "/mcp/b",
        ..asked
    };
    assert_eq!(resolve(&binding, &named).unwrap().profile().as_str(), "b");
}

#[test]
fn a_transparent_path_shows_one_account_of_the_scope_that_naming_cannot_change() {
    let binding = world();
    for (client, directory, path, header, expected) in [
        (None, None, "/mcp/@github/a", None, Ok("github/a")),
        (None, None, "/mcp/@github", None, Ok("github/own")),
        (None, None, "/mcp/@notes", None, Ok("notes/default")),
        (None, None, "/mcp/@stripe", None, Err("ambiguous_account")),
        (None, None, "/mcp/@stripe/live", None, Ok("stripe/live")),
        (None, None, "/mcp/@github/zzz", None, Err("unknown_account")),
        (None, None, "/mcp/@GitHub", None, Err("unknown_account")),
        (None, Some("/src/a"), "/mcp/@github", None, Ok("github/a")),
        (
            None,
            Some("/src/a"),
            "/mcp/@github/b",
            None,
            Err("profile_refused"),
        ),
        (
            None,
            Some("/src/a"),
            "/mcp/@notes",
            None,
            Err("profile_refused"),
        ),
        // Naming a profile does not open it for a transparent path; confirming it is fine.
        (
            None,
            None,
            "/mcp/@github",
            Some("b"),
            Err("profile_refused"),
        ),
        (None, None, "/mcp/@github", Some("own"), Ok("github/own")),
        // Locked: the path confirms what people chose, and changes nothing.
        (Some("one"), None, "/mcp/@github", None, Ok("github/b")),
        (Some("one"), None, "/mcp/@github/b", None, Ok("github/b")),
        (
            Some("one"),
            None,
            "/mcp/@github/own",
            None,
            Err("switching_off"),
        ),
    ] {
        let asked = Asked {
            client,
            directory,
            path,
            header,
        };
        let shown = resolve(&binding, &asked).map(|scope| {
            let View::Transparent(account) = scope.view() else {
                panic!("{path}")
            };
            assert_eq!(scope.accounts(), std::slice::from_ref(account));
            account.to_string()
        });
        let shown = shown.as_deref().map_err(Refused::code);
        assert_eq!(
            shown, expected,
            "{client:?} {directory:?} {path} {header:?}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_row_of_the_nine_rules() {
    use ResolvedFrom::{Argument, Client, Default, OnlyAccount, Path, Profile, Session};
    let binding = world();
    let scope = |client, path| {
        let asked = Asked {
            client,
            directory: None,
            path,
            header: None,
        };
        resolve(&binding, &asked).unwrap()
    };
    let (open, locked) = (scope(None, "/mcp"), scope(Some("one"), "/mcp"));
    let shown = scope(None, "/mcp/@github/a");
    let (a, gone) = (account_name("a"), account_name("gone"));
    let none = Wish::default();
    let named = |named| Wish {
        named: Some(named),
        ..none
    };
    let session = |account| Wish {
        session: Some(account),
        ..none
    };
    let client = Wish {
        client: Some(&a),
        ..none
    };
    let global = Wish {
        global: Some(&a),
        ..none
    };
    for (scope, server, wish, expected) in [
        (&shown, "github", none, Ok(("a", Path))),
        (
            &shown,
            "github",
            session(&account_name("b")),
            Ok(("a", Path)),
        ),
        (&shown, "github", named("b"), Err("unknown")),
        (&shown, "notes", none, Err("out of scope")),
        (&open, "notes", none, Ok(("default", OnlyAccount))),
        (
            &open,
            "notes",
            session(&account_name("default")),
            Ok(("default", OnlyAccount)),
        ),
        // What was chosen is not replaced by what is left.
        (&open, "notes", session(&gone), Err("stale")),
        (&open, "notes", named("default"), Ok(("default", Argument))),
        (&open, "notes", named("other"), Err("unknown")),
        (&open, "github", named("a"), Ok(("a", Argument))),
        (&open, "github", named("github/a"), Ok(("a", Argument))),
        (&open, "github", named("stripe/a"), Err("unknown")),
        (&open, "github", named("A"), Err("unknown")),
        (&open, "github", named(""), Err("unknown")),
        (&open, "github", session(&a), Ok(("a", Session))),
        (
            &open,
            "github",
            Wish {
                named: Some("b"),
                ..session(&a)
            },
            Ok(("b", Argument)),
        ),
        (&open, "github", session(&gone), Err("stale")),
        (&open, "github", client, Ok(("a", Client))),
        (
            &open,
            "github",
            Wish {
                session: Some(&a),
                client: Some(&gone),
                ..none
            },
            Ok(("a", Session)),
        ),
        // Only with `switching: global`.
        (&open, "github", global, Ok(("own", Default))),
        (&open, "github", none, Ok(("own", Default))),
        (&open, "stripe", none, Err("ambiguous")),
        (&open, "nothing", none, Err("out of scope")),
        (&locked, "github", none, Ok(("b", Profile))),
        (&locked, "github", named("b"), Err("off")),
        (&locked, "github", named("own"), Err("off")),
        (
            &locked,
            "github",
            session(&account_name("own")),
            Ok(("b", Profile)),
        ),
        (&locked, "github", client, Ok(("b", Profile))),
        (&locked, "github", global, Ok(("b", Profile))),
    ] {
        let chosen = scope.choose(&server_name(server), &wish);
        let got = chosen
            .as_ref()
            .map(|chosen| (chosen.account().account().as_str(), chosen.from()))
            .map_err(|why| match why {
                NoChoice::OutOfScope(_) => "out of scope",
                NoChoice::Ambiguous { .. } => "ambiguous",
                NoChoice::Unknown { .. } => "unknown",
                NoChoice::Off { .. } => "off",
                NoChoice::Stale { .. } => "stale",
            });
        assert_eq!(got, expected, "{server} {wish:?}");
    }
}

/// Any configuration of these few names: three servers with up to three accounts, three profiles.
fn any_identity() -> impl Strategy<Value = (Identity, Vec<Arc<Server>>)> {
    let names = ["x", "y", "z"];
    let accounts = prop::collection::vec(1..=3_usize, 3);
    let defaults = prop::collection::vec(prop::option::of(0..3_usize), 3);
    let profiles = prop::collection::vec(
        (
            prop::collection::vec((0..8_u8, any::<bool>()), 3),
            any::<bool>(),
            0..3_u8,
        ),
        1..=3,
    );
    let bindings = prop::collection::vec(
        (
            prop::option::of(0..4_usize),
            prop::option::of(0..2_usize),
            0..3_usize,
        ),
        0..4,
    );
    let clients = prop::option::of(prop::collection::vec(
        prop::collection::vec(0..3_usize, 0..3),
        2,
    ));
    let default_profile = prop::option::of(0..3_usize);
    (
        accounts,
        defaults,
        profiles,
        bindings,
        clients,
        default_profile,
    )
        .prop_map(
            move |(counts, defaults, profiles, bindings, clients, default_profile)| {
                let servers: Vec<Arc<Server>> = (0..3)
                    .map(|n| {
                        let accounts = &names[..counts[n]];
                        let default = defaults[n].filter(|at| *at < counts[n]).map(|at| names[at]);
                        server(&format!("s{n}"), accounts, default)
                    })
                    .collect();
                let count = profiles.len();
                let profile_of = |n: usize| profile_name(&format!("p{}", n % count));
                let profiles: Vec<Profile> = profiles
                    .iter()
                    .enumerate()
                    .map(|(n, (reached, guarded, switching))| {
                        let reach =
                            reached
                                .iter()
                                .enumerate()
                                .filter_map(|(s, (mask, ordered))| {
                                    let taken: Vec<&str> = (0..counts[s])
                                        .filter(|at| mask >> at & 1 == 1)
                                        .map(|at| names[at])
                                        .collect();
                                    (!taken.is_empty())
                                        .then(|| reach(&format!("s{s}"), &taken, *ordered))
                                });
                        let switching = [Switching::Off, Switching::Session, Switching::Global]
                            [usize::from(*switching)];
                        profile(&format!("p{n}"), reach.collect(), *guarded, switching)
                    })
                    .collect();
                let open = default_profile.map(profile_of).filter(|name| {
                    profiles
                        .iter()
                        .any(|profile| profile.name == *name && !profile.guarded)
                });
                let client = |n: usize| ClientId::new(&format!("c{n}")).unwrap();
                let directories = ["/d", "/d/e", "/d/e/f", "/g"];
                let identity = Identity {
                    bindings: bindings
                        .into_iter()
                        .filter(|(directory, by, _)| directory.is_some() || by.is_some())
                        .map(|(directory, by, to)| BindingRule {
                            directory: directory.map(|at| PathBuf::from(directories[at])),
                            client: by.map(client),
                            profile: profile_of(to),
                            written: at(1),
                        })
                        .collect(),
                    clients: clients.map(|clients| {
                        let tied = clients.into_iter().enumerate().map(|(n, tied)| Client {
                            id: client(n),
                            profiles: tied.into_iter().map(profile_of).collect(),
                            expires: None,
                            url_elicitation: false,
                            written: at(1),
                        });
                        tied.collect()
                    }),
                    default_profile: open.map(|name| (name, at(1))),
                    profiles,
                    switching: Switching::Session,
                };
                (identity, servers)
            },
        )
}

fn any_request() -> impl Strategy<Value = (Option<usize>, Option<usize>, usize, Option<usize>)> {
    (
        prop::option::of(0..3_usize),
        prop::option::of(0..6_usize),
        0..10_usize,
        prop::option::of(0..4_usize),
    )
}

const DIRECTORIES: [&str; 6] = ["/d", "/d/e", "/d/e/f/g", "/g", "/gg", "/"];
const PATHS: [&str; 10] = [
    "/mcp",
    "/mcp/p0",
    "/mcp/p1",
    "/mcp/p2",
    "/mcp/p9",
    "/mcp/@s0",
    "/mcp/@s1/x",
    "/mcp/@s2/z",
    "/mcp/@s9",
    "/x",
];
const HEADERS: [&str; 4] = ["p0", "p1", "p2", "p9"];

fn asked(
    request: (Option<usize>, Option<usize>, usize, Option<usize>),
    named: bool,
) -> (Option<String>, Asked<'static>) {
    let (client, directory, path, header) = request;
    let path = if named || path > 4 {
        PATHS[path]
    } else {
        PATHS[0]
    };
    let client = client.map(|n| format!("c{n}"));
    let asked = Asked {
        client: None,
        directory: directory.map(|at| DIRECTORIES[at]),
        path,
        header: header.filter(|_| named).map(|at| HEADERS[at]),
    };
    (client, asked)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Property 6, and rule 3's word: a path or header narrows or confirms, never widens.
    #[test]
    fn a_name_is_followed_exactly_or_refused((identity, servers) in any_identity(), request in any_request()) {
        let binding = Binding::new(&identity, &servers);
        let (client, with_names) = asked(request, true);
        let with_names = Asked { client: client.as_deref(), ..with_names };
        let (_, without) = asked(request, false);
        let without = Asked { client: client.as_deref(), ..without };
        let plain = resolve(&binding, &without);
        let named = resolve(&binding, &with_names);
        if let Ok(scope) = &named {
            let in_path = with_names.path.strip_prefix("/mcp/").filter(|name| !name.starts_with('@'));
            for name in [in_path, with_names.header].into_iter().flatten() {
                prop_assert_eq!(scope.profile().as_str(), name);
            }
            if let Ok(plain) = &plain
                && matches!(plain.decided().rule, Rule::ClientKey | Rule::Binding)
                && scope.decided().rule != Rule::ClientKey
            {
                prop_assert_eq!(plain.profile(), scope.profile());
            }
            let guarded = identity.profiles.iter().any(|one| one.guarded && one.name == *scope.profile());
            if guarded {
                prop_assert!(matches!(scope.decided().rule, Rule::ClientKey | Rule::Binding));
            }
            let tied = identity.clients.iter().flatten().find(|one| Some(one.id.as_str()) == client.as_deref());
            if let Some(tied) = tied && !tied.profiles.is_empty() {
                prop_assert!(tied.profiles.contains(scope.profile()));
            }
        }
    }

    /// Property 3, and that what is chosen is in scope and is what was asked for.
    #[test]
    fn locked_is_locked_and_a_choice_is_followed_exactly_or_refused(
        (identity, servers) in any_identity(),
        request in any_request(),
        wishes in prop::collection::vec((prop::option::of(0..4_usize), prop::option::of(0..4_usize), prop::option::of(0..4_usize), prop::option::of(0..4_usize)), 4),
    ) {
        let binding = Binding::new(&identity, &servers);
        let (client, request) = asked(request, true);
        let request = Asked { client: client.as_deref(), ..request };
        let Ok(scope) = resolve(&binding, &request) else { return Ok(()) };
        let names = ["x", "y", "z", "nobody"];
        let all: Vec<AccountName> = names.iter().map(|name| account_name(name)).collect();
        for server in servers.iter().map(|server| &server.name) {
            let unsaid = scope.choose(server, &Wish::default());
            for (named, session, by_client, global) in &wishes {
                let wish = Wish {
                    named: named.map(|at| names[at]),
                    session: session.map(|at| &all[at]),
                    client: by_client.map(|at| &all[at]),
                    global: global.map(|at| &all[at]),
                };
                let chosen = scope.choose(server, &wish);
                if let Ok(chosen) = &chosen {
                    prop_assert!(scope.accounts().contains(chosen.account()), "outside the scope");
                    prop_assert_eq!(chosen.account().server(), server);
                    let account = chosen.account().account().as_str();
                    match chosen.from() {
                        ResolvedFrom::Argument => prop_assert_eq!(Some(account), wish.named),
                        ResolvedFrom::Session => prop_assert_eq!(Some(account), wish.session.map(AccountName::as_str)),
                        ResolvedFrom::Client => prop_assert_eq!(Some(account), wish.client.map(AccountName::as_str)),
                        ResolvedFrom::Global => {
                            prop_assert_eq!(scope.switching(), Switching::Global);
                            prop_assert_eq!(Some(account), wish.global.map(AccountName::as_str));
                        }
                        _ => prop_assert_eq!(unsaid.as_ref().ok(), Some(chosen)),
                    }
                    if let Some(named) = wish.named {
                        prop_assert_eq!(named, account, "what was named was not used");
                    }
                }
                if scope.switching() == Switching::Off && scope.view() == &View::Profile {
                    match (&chosen, &unsaid) {
                        (Ok(chosen), Ok(unsaid)) => prop_assert_eq!(chosen, unsaid),
                        (Ok(chosen), Err(_)) => prop_assert!(false, "a word opened {:?}", chosen),
                        (Err(_), _) => {}
                    }
                }
            }
        }
    }

    /// Property 1 at its root: a server is in the lists exactly if some call to it is not out of scope.
    #[test]
    fn what_is_listed_can_be_chosen((identity, servers) in any_identity(), request in any_request()) {
        let binding = Binding::new(&identity, &servers);
        let (client, request) = asked(request, true);
        let request = Asked { client: client.as_deref(), ..request };
        let Ok(scope) = resolve(&binding, &request) else { return Ok(()) };
        for server in servers.iter().map(|server| &server.name) {
            let listed = scope.accounts().iter().any(|account| account.server() == server);
            let in_scope = !matches!(scope.choose(server, &Wish::default()), Err(NoChoice::OutOfScope(_)));
            prop_assert_eq!(listed, in_scope);
        }
    }
}
