//! Templates: every built-in one, what a server gets of one, a person's own files, and the mistakes.

use janus::config::{self, CatalogEntry, ConfigError, Loaded, Location, Named};
use janus::model::{Auth, Authentication, Endpoint, OAuth, Resource};

use super::{environment, mistakes, parse};
use crate::support::Home;

fn nowhere() -> Location {
    Location {
        path: "/nowhere/config.yaml".into(),
        named: Named::Default,
    }
}

fn built_in() -> Vec<CatalogEntry> {
    config::catalog(&nowhere(), &environment()).unwrap()
}

fn read(text: &str) -> Loaded {
    parse(text).unwrap_or_else(|error| panic!("{error:?}\n{text}"))
}

fn urls(loaded: &Loaded) -> Vec<String> {
    let accounts = loaded
        .settings
        .servers
        .iter()
        .flat_map(|server| &server.accounts);
    accounts
        .map(|account| match &account.endpoint {
            Endpoint::Http(remote) => remote.url.to_string(),
            Endpoint::Process(command) => command.args.join(" "),
        })
        .collect()
}

fn login(auth: &Authentication) -> &OAuth {
    match &auth.how {
        Auth::OAuth(oauth) => oauth,
        other => panic!("{other:?}"),
    }
}

/// What a person copies is a configuration, for every template, and so is each way without a login.
#[test]
fn the_lines_to_copy_of_every_template_load() {
    let entries = built_in();
    assert!(entries.len() >= 29, "{}", entries.len());
    let schema = jsonschema::validator_for(&config::schema()).unwrap();
    for entry in entries {
        let loaded = read(&entry.lines);
        let server = &loaded.settings.servers[0];
        assert_eq!(server.name.as_str(), entry.name);
        let document: serde_json::Value = serde_yaml::from_str(&entry.lines).unwrap();
        assert!(schema.is_valid(&document), "{}", entry.lines);
        let others = entry.lines.lines().filter_map(|line| {
            let line = line.trim_start().strip_prefix("# ")?;
            line.starts_with("auth: ").then(|| line.to_owned())
        });
        for other in others {
            let kept = entry
                .lines
                .lines()
                .take_while(|line| !line.trim_start().starts_with("auth:"));
            let text = format!("{}\n    {other}\n", kept.collect::<Vec<_>>().join("\n"));
            assert_eq!(mistakes(&text), "none", "{text}");
        }
        for key in ["title", "verified"] {
            assert!(entry.about[key].is_string(), "{}: {key}", entry.name);
        }
        let sources = entry.about["sources"].as_array().map_or(0, Vec::len);
        assert!(
            entry.verified == "built-in" || sources > 0,
            "{}: no source, no fact",
            entry.name
        );
    }
}

#[test]
fn a_server_gets_what_is_known_of_its_provider() {
    let loaded = read(
        "
servers:
  github:
    template: github
    accounts:
      mine: { auth: { oauth: { client_id: i, client_secret: 'vault:s', login_hint: ana } } }
      narrow: { params: { toolset: issues, readonly: true }, auth: { oauth: { authorize_params: { prompt: consent }, issuer: 'https://other.example' } } }
      token: { auth: { bearer: 'vault:t' } }
  left: { template: google-gmail }
  own: { template: azure-devops, auth: { oauth: { scopes_limit: [a], resource: auto } } }
",
    );
    let github = &loaded.settings.servers[0].accounts;
    let mine = login(&github[0].auth);
    assert_eq!(
        mine.issuer.as_deref(),
        Some("https://github.com/login/oauth")
    );
    assert_eq!(
        mine.endpoints.token.as_deref(),
        Some("https://github.com/login/oauth/access_token")
    );
    assert_eq!(
        mine.choose_account,
        [("prompt".to_owned(), "select_account".to_owned())]
    );
    assert_eq!(mine.login_hint_param.as_deref(), Some("login"));
    assert_eq!(mine.client.as_ref().unwrap().id, "i");
    let provider = mine.provider.as_ref().unwrap();
    assert_eq!(
        (
            provider.template.as_str(),
            provider.dynamic_registration,
            provider.max_idle_days
        ),
        ("github", Some(false), Some(180))
    );
    assert!(provider.register_at.as_ref().unwrap().contains("OAuth App"));
    assert_eq!(
        provider.without_login,
        ["a personal access token: auth: { bearer: vault:NAME }"]
    );

    let narrow = login(&github[1].auth);
    assert!(
        narrow.choose_account.is_empty(),
        "what a person wrote stands instead"
    );
    assert_eq!(
        narrow.endpoints.token, None,
        "another issuer has other endpoints"
    );
    assert_eq!(github[2].auth.how.word(), "bearer");
    assert_eq!(
        urls(&loaded)[..3],
        [
            "https://api.githubcopilot.com/mcp/",
            "https://api.githubcopilot.com/mcp/x/issues/readonly",
            "https://api.githubcopilot.com/mcp/",
        ]
    );
    let left = login(&loaded.settings.servers[1].accounts[0].auth);
    assert_eq!(
        left.scopes.as_ref().unwrap().len(),
        2,
        "a template with a login means one"
    );
    assert_eq!(
        left.authorize_params,
        [("access_type".to_owned(), "offline".to_owned())]
    );
    let own = login(&loaded.settings.servers[2].accounts[0].auth);
    assert_eq!(own.resource, Resource::Auto);
}

#[test]
fn parameters_go_where_they_belong() {
    let loaded = read(
        "
servers:
  a: { template: sentry, params: { org: 'client a', project: p }, auth: oauth }
  b: { template: supabase, params: { read_only: true, features: 'docs,a&b' }, accounts: { x: { params: { project_ref: 7, features: f } }, y: } }
  c: { template: dataverse, params: { org: client-a }, auth: { bearer: 'vault:t' } }
  d: { template: intercom, params: { region: eu } }
  e: { template: supabase-pat, accounts: { x: { params: { project_ref: px } }, y: { params: { project_ref: py }, args: [--more], env: { SUPABASE_ACCESS_TOKEN: 'vault:other' } } } }
  f: { template: http-oauth, url: 'https://h.example/mcp' }
  g: { template: stdio, command: [x, --flag] }
",
    );
    insta::assert_snapshot!(urls(&loaded).join("\n"), @"
    https://mcp.sentry.dev/mcp/client%20a/p
    https://mcp.supabase.com/mcp?project_ref=7&read_only=true&features=f
    https://mcp.supabase.com/mcp?read_only=true&features=docs,a%26b
    https://client-a.crm.dynamics.com/api/mcp
    https://mcp.eu.intercom.com/mcp
    -y @supabase/mcp-server-supabase@latest --read-only --project-ref=px
    -y @supabase/mcp-server-supabase@latest --read-only --project-ref=py --more
    https://h.example/mcp
    --flag
    ");
    let pat = &loaded.settings.servers[4];
    let references = pat
        .accounts
        .iter()
        .flat_map(janus::model::Account::references);
    let references: Vec<String> = references.map(ToString::to_string).collect();
    assert_eq!(references, ["vault:supabase_x", "vault:other"]);

    // What is shown says the same.
    let shown = serde_yaml::to_string(&config::effective(&loaded)).unwrap();
    let again = read(&shown);
    assert_eq!(urls(&again), urls(&loaded), "{shown}");
    assert!(
        shown.contains("template: supabase-pat") && !shown.contains("crm.dynamics"),
        "{shown}"
    );
    assert_eq!(config::effective(&again), config::effective(&loaded));
}

#[test]
fn every_mistake_names_what_mends_it() {
    let report = |text: &str| {
        format!(
            "--- {text}\n{}\n",
            mistakes(&format!("servers: {{ a: {{ {text} }} }}"))
        )
    };
    insta::assert_snapshot!([
        "template: githib",
        "template: nothing-like-it, auth: oauth",
        "template: 7",
        "template: dataverse",
        "template: dataverse, params: { org: 'evil.example/x' }",
        "template: dataverse, params: { orgg: a, org: a }",
        "template: sentry, params: { project: p }",
        "template: github, params: { readonly: maybe, toolset: .. }",
        "template: supabase, params: { project_ref: 'vault:x' }",
        "template: supabase, params: { project_ref: }",
        "template: intercom, params: { region: au }",
        "template: linear, params: { region: eu }",
        "url: 'https://h', params: { a: b }",
        "url: 'https://h', accounts: { x: { params: { a: b } } }",
        "template: sentry, url: 'https://h', params: { org: b }",
        "template: sentry, command: [x]",
        "template: supabase-pat, url: 'https://h'",
        "template: supabase-pat, params: { project_ref: p }, headers: { X-A: b }",
        "template: sentry, accounts: { x: { args: [a] } }",
        "template: http-oauth",
        "template: supabase-pat, accounts: { x: , y: }",
    ].map(report).concat(), @"
    --- template: githib
    1:27 servers.a.template [unknown_name] no template has this name | did you mean `github`?  All of them:  janus catalog
    --- template: nothing-like-it, auth: oauth
    1:27 servers.a.template [unknown_name] no template has this name | see which there are:  janus catalog
    --- template: 7
    1:27 servers.a.template [wrong_type] expected a name, found a number | put it in quotes
    --- template: dataverse
    1:27 servers.a.template [missing_key] missing the parameter `org` of the template `dataverse`: the name of the environment | write `params: { org: … }` at the server or the account
    --- template: dataverse, params: { org: 'evil.example/x' }
    1:48 servers.a.params.org [bad_value] expected a part of a host name: letters, digits, `-` and `.`
    --- template: dataverse, params: { orgg: a, org: a }
    1:48 servers.a.params.orgg [unknown_name] no parameter of the template `dataverse` has this name | did you mean `org`?
    --- template: sentry, params: { project: p }
    1:45 servers.a.params.project [missing_key] missing the parameter `org`, which `project` needs
    --- template: github, params: { readonly: maybe, toolset: .. }
    1:45 servers.a.params.readonly [bad_value] expected `true` or `false`
    1:62 servers.a.params.toolset [bad_value] expected a part of a path
    --- template: supabase, params: { project_ref: 'vault:x' }
    1:60 servers.a.params.project_ref [does_not_fit] a parameter is public, and a reference in it would be sent as it is written | secrets belong in `auth`, `env` or `headers`
    --- template: supabase, params: { project_ref: }
    1:58 servers.a.params.project_ref [wrong_type] expected text, a number or a boolean, found nothing
    --- template: intercom, params: { region: au }
    1:47 servers.a.params.region [unknown_name] no region of the template `intercom` has this name | did you mean `eu`?
    --- template: linear, params: { region: eu }
    1:45 servers.a.params.region [unknown_name] no parameter of the template `linear` has this name | there are no parameters of `linear`
    --- url: 'https://h', params: { a: b }
    1:35 servers.a.params [does_not_fit] `params` fill in a template, and this server names none | write `template: NAME`, or remove them
    --- url: 'https://h', accounts: { x: { params: { a: b } } }
    1:52 servers.a.accounts.x.params [does_not_fit] `params` fill in a template, and this server names none | write `template: NAME`, or remove them
    --- template: sentry, url: 'https://h', params: { org: b }
    1:53 servers.a.params [does_not_fit] `params` fill in the address that a template has, and this server has its own | remove the server's `url` or `command`, or the `params`
    --- template: sentry, command: [x]
    1:35 servers.a.command [does_not_fit] the template of this server is of a remote server | remove one of them
    --- template: supabase-pat, url: 'https://h'
    1:41 servers.a.url [does_not_fit] the template of this server is of a local process | remove one of them
    --- template: supabase-pat, params: { project_ref: p }, headers: { X-A: b }
    1:69 servers.a.headers [does_not_fit] `headers` belongs to a remote server, and this server has `command` | values go to a process in `env`
    --- template: sentry, accounts: { x: { args: [a] } }
    1:52 servers.a.accounts.x.args [does_not_fit] `args` belongs to a local process, and this server has `url` | remove it
    --- template: http-oauth
    1:12 servers.a [missing_key] missing `url` or `command` | write `url: https://…` for a remote server, `command: [program, argument]` for a local process
    --- template: supabase-pat, accounts: { x: , y: }
    1:27 servers.a.template [missing_key] missing the parameter `project_ref` of the template `supabase-pat`: one project | write `params: { project_ref: … }` at the server or the account
    ");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_persons_own_files_win_and_are_checked_with_their_lines() {
    let home = Home::new("");
    let directory = home.path().join("templates");
    std::fs::create_dir(&directory).unwrap();
    let file = home.path().join("config.yaml");
    let load = |text: &str| config::parse(text, &file, &environment());
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    write(
        "mine.yaml",
        "
templates:
  github: { extends: github, title: Mine, url: 'https://ghe.example/mcp', scopes: [repo], register_at: unknown }
  corp: { title: Corp, url: 'https://{team}.corp.example/{room}', registration: [dcr],
          params: { team: { in: host, required: true }, room: { in: path, required: true, meaning: a room }, },
          whoami: { url: 'https://id.corp.example/me', subject: /mail } }
  bare: { title: Bare, url: 'https://bare.example/mcp', whoami: { tool: who, subject: /name } }
",
    );
    write("ignored.yml", "nonsense");
    let bare = load("servers: { a: { template: bare } }").unwrap();
    let whoami = login(&bare.settings.servers[0].accounts[0].auth)
        .whoami
        .clone();
    assert_eq!(
        whoami.unwrap().subject,
        "/name",
        "nothing else is known of its login"
    );
    let loaded = load("servers: { a: { template: github }, b: { template: corp, params: { team: t, room: 'a/b' } } }").unwrap();
    assert_eq!(
        urls(&loaded),
        ["https://ghe.example/mcp", "https://t.corp.example/a%2Fb"]
    );
    let github = login(&loaded.settings.servers[0].accounts[0].auth);
    assert_eq!(github.scopes.as_deref(), Some(&["repo".to_owned()][..]));
    assert_eq!(
        github.token_auth_method.unwrap().word(),
        "client_secret_post",
        "of the built-in one"
    );
    assert_eq!(github.provider.as_ref().unwrap().register_at, None);
    let location = Location {
        path: file.clone(),
        named: Named::Flag,
    };
    let entries = config::catalog(&location, &environment()).unwrap();
    let own: Vec<&str> = entries
        .iter()
        .filter(|one| one.file.is_some())
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(own, ["bare", "corp", "github"]);

    let wrong = |text: &str| {
        write("mine.yaml", text);
        let error = load("servers: { a: { template: linear } }").unwrap_err();
        let ConfigError::Wrong { file, problems, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(file, directory.join("mine.yaml"));
        let lines = problems.iter().map(|one| {
            format!(
                "{} {} {}{}",
                one.place.position,
                one.place.path,
                one.mistake,
                one.help
                    .as_ref()
                    .map(|help| format!(" | {help}"))
                    .unwrap_or_default()
            )
        });
        format!("--- {text}\n{}\n", lines.collect::<Vec<_>>().join("\n"))
    };
    insta::assert_snapshot!([
        "templates: [",
        "templates: { a: { titel: x } }",
        "templates: { a: { url: 'https://h' } }",
        "templates: { a: { title: A, url: 'http://h.example' } }",
        "templates: { a: { title: A, url: 'https://{b}.example', command: [x] } }",
        "templates: { a: { title: A, url: 'https://{b}.example' } }",
        "templates: { a: { title: A, url: 'https://h', params: { b: { in: host }, c: { required: true }, d: { in: suffix }, e: { in: path, after: f }, region: { in: query } } } }",
        "templates: { a: { title: A, url: 'https://{b}.example', params: { b: { in: host } } } }",
        "templates: { a: { title: A, extends: linaer } }",
        "templates: { a: { title: A, extends: b }, b: { title: B, extends: a } }",
        "templates: { a: { title: A, whoami: { subject: /x }, registration: [sometimes], redirect: { port: 8080 } } }",
        "templates: { a: { title: A, refresh: { max_idle_days: 0 } } }",
        "templates: { a: { title: A, url: 'https://h', client_id: mine } }",
    ].map(wrong).concat(), @"
    --- templates: [
    2:1  this is not YAML: while parsing a node, did not find expected node content
    --- templates: { a: { titel: x } }
    1:19 templates.a.titel unknown key `titel` | did you mean `title`?
    --- templates: { a: { url: 'https://h' } }
    1:14 templates.a missing `title`
    --- templates: { a: { title: A, url: 'http://h.example' } }
    1:34 templates.a.url expected an `https` URL; `http` is for this machine only
    --- templates: { a: { title: A, url: 'https://{b}.example', command: [x] } }
    1:14 templates.a a template has `url` or `command`, not both | make two of it
    --- templates: { a: { title: A, url: 'https://{b}.example' } }
    1:14 templates.a missing a parameter for `{b}`
    1:34 templates.a.url expected an absolute URL such as `https://mcp.example.com/mcp`
    --- templates: { a: { title: A, url: 'https://h', params: { b: { in: host }, c: { required: true }, d: { in: suffix }, e: { in: path, after: f }, region: { in: query } } } }
    1:14 templates.a missing `{b}`, where the parameter goes
    1:74 templates.a.params.c missing `in`: where the parameter goes
    1:97 templates.a.params.d missing `write`: what stands at the end of the path
    1:138 templates.a.params.e.after no parameter before this one has this name
    1:143 templates.a.params.region `region` is the parameter that chooses among `region_variants` | name it differently
    --- templates: { a: { title: A, url: 'https://{b}.example', params: { b: { in: host } } } }
    1:14 templates.a missing `required: true` of `b`, which stands within a text
    --- templates: { a: { title: A, extends: linaer } }
    1:38 templates.a.extends no template has this name | did you mean `linear`?
    --- templates: { a: { title: A, extends: b }, b: { title: B, extends: a } }
    1:38 templates.a.extends this leads back to itself, or through more templates than anybody can follow | extend a template that extends none
    --- templates: { a: { title: A, whoami: { subject: /x }, registration: [sometimes], redirect: { port: 8080 } } }
    1:69 templates.a.registration[0] expected `preregistered`, `cimd`, `dcr` or `none`, found another word
    1:99 templates.a.redirect.port expected `fixed` or `ephemeral`, found a number
    --- templates: { a: { title: A, refresh: { max_idle_days: 0 } } }
    1:55 templates.a.refresh.max_idle_days expected a whole number of days, at least 1
    --- templates: { a: { title: A, url: 'https://h', client_id: mine } }
    1:47 templates.a.client_id unknown key `client_id` | the keys here are `title`, `url`, `command`, `env`, `transport`, `params`, `region_variants`, `status`, `extends`, `registration`, `register_at`, `requires_vendor_approval`, `issuer`, `endpoints`, `redirect`, `token_auth_method`, `resource`, `scopes`, `allow_unadvertised_pkce`, `extra_authorize_params`, `header_auth`, `helper`, `client_credentials`, `device_code`, `whoami`, `expected_access_ttl`, `refresh`, `account_is`, `notes`, `verified`, `verified_on` and `sources`
    ");
    write("mine.yaml", "templates: { a: { title: A } }");
    write("other.yaml", "templates:\n  a: { title: B }");
    let error = load("servers: { a: { template: linear } }").unwrap_err();
    assert!(
        matches!(&error, ConfigError::Wrong { file, problems, .. }
        if file.ends_with("other.yaml") && problems[0].place.position.line == 2),
        "{error:?}"
    );
    assert!(
        load("servers: { a: { command: [x] } }").is_ok(),
        "nobody takes a template"
    );
}

#[test]
fn a_url_is_only_offered_its_template() {
    let text = "servers: { a: { url: 'https://mcp.sentry.dev/mcp/client' }, b: { url: 'https://mcp.sentry.dev.example/mcp' }, c: { template: sentry }, d: { url: 'https://MCP.linear.app/mcp' }, e: { url: 'https://mcp.linear.app/mcpx' }, f: { command: [x] } }";
    let loaded = read(text);
    assert_eq!(loaded.settings.servers[0].accounts[0].auth.how, Auth::Left);
    let offers = config::offers(&loaded, &nowhere(), &environment()).unwrap();
    let offers: Vec<String> = offers
        .iter()
        .map(|(server, template)| format!("{server} {template}"))
        .collect();
    assert_eq!(offers, ["a sentry", "d linear"]);
}

#[test]
fn a_provider_that_has_a_name_for_the_workspace_is_told_it_by_that() {
    let loaded = read(
        "
servers:
  slack:
    template: slack
    auth: { oauth: { client_id: i } }
  github:
    template: github
    auth: { oauth: { client_id: i, client_secret: 'vault:s' } }
",
    );
    let param = |at: usize| {
        let server: &janus::model::Server = &loaded.settings.servers[at];
        login(&server.accounts[0].auth).workspace_param.clone()
    };
    assert_eq!(param(0).as_deref(), Some("team"));
    assert_eq!(param(1), None);
}
