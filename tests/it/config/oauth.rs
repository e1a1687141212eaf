//! `auth: oauth`: what each key becomes, which layer wins, and what each mistake says.

use janus::config;
use janus::model::{Auth, Authentication, GrantKind, OAuth, OpenBrowser, Resource};

use super::{mistakes, parse};

/// How the accounts of the first server prove who they are.
fn proofs(text: &str) -> Vec<Authentication> {
    let loaded = parse(text).unwrap_or_else(|_| panic!("{}", mistakes(text)));
    let accounts = loaded.settings.servers[0].accounts.iter();
    accounts.map(|account| account.auth.clone()).collect()
}

/// The login of a server with this `auth`.
fn login(auth: &str) -> OAuth {
    let text = format!("servers: {{ a: {{ url: 'https://h.example/mcp', auth: {auth} }} }}");
    match proofs(&text).remove(0).how {
        Auth::OAuth(oauth) => OAuth::clone(&oauth),
        other => panic!("{other:?}"),
    }
}

/// The mistakes of a remote server with these keys under `auth.oauth`.
fn wrong(keys: &str) -> String {
    let text = format!(
        "servers: {{ a: {{ url: 'https://h.example/mcp', auth: {{ oauth: {{ {keys} }} }} }} }}"
    );
    let said = mistakes(&text).replace("servers.a.auth.oauth", "…");
    format!("--- {keys}\n{said}\n")
}

#[test]
fn a_word_is_a_login_with_nothing_said() {
    for auth in ["oauth", "{ oauth: }", "{ oauth: {} }"] {
        assert_eq!(login(auth), OAuth::default(), "{auth}");
    }
    let left = proofs("servers: { a: { url: 'https://h.example/mcp' } }");
    assert_eq!(left[0].how, Auth::Left, "discovered");
}

#[test]
#[expect(clippy::too_many_lines, reason = "one key after the other")]
fn every_key_arrives() {
    let all = "{ oauth: {
        grant: device_code, scopes: [a, 'b:c/d'], client_id: id, private_key: 'file:/k.pem', key_id: k1, alg: ES384,
        token_auth_method: private_key_jwt, registration_scope: server, resource: 'https://h.example', login_hint: me,
        expect: 'me@x', whoami: { url: 'https://H.example:443/me', subject: /a/b, workspace: /w }, open_browser: false,
        browser_command: [ff, -P], journal_url: local, issuer: 'https://as.example/', token_endpoint: 'https://as.example/t',
        authorization_endpoint: 'https://as.example/a', device_authorization_endpoint: 'https://as.example/d',
        revocation_endpoint: 'http://127.0.0.1:1/r', client_name: Mine, client_metadata_url: 'https://me.example/c.json',
        allow_legacy_endpoints: true, allow_private_addresses: true } }";
    insta::assert_debug_snapshot!(login(all), @r#"
    OAuth {
        grant: DeviceCode,
        client: Some(
            PreRegistered {
                id: "id",
                secret: None,
                key: Some(
                    SigningKey {
                        key: File(
                            "/k.pem",
                        ),
                        id: Some(
                            "k1",
                        ),
                        algorithm: Es384,
                    },
                ),
            },
        ),
        token_auth_method: Some(
            PrivateKeyJwt,
        ),
        scopes: Some(
            [
                "a",
                "b:c/d",
            ],
        ),
        scopes_limit: None,
        registration_scope: Server,
        resource: Is(
            "https://h.example",
        ),
        redirect: Redirect {
            host: Address,
            port: None,
            path: "/callback",
        },
        login_hint: Some(
            "me",
        ),
        expect: Some(
            "me@x",
        ),
        whoami: Some(
            Whoami {
                ask: Url(
                    "https://H.example:443/me",
                ),
                subject: "/a/b",
                workspace: Some(
                    "/w",
                ),
            },
        ),
        authorize_params: [],
        choose_account: [],
        login_hint_param: None,
        workspace_param: None,
        browser: Browser {
            open: Never,
            command: Some(
                [
                    "ff",
                    "-P",
                ],
            ),
            local_journal: true,
        },
        issuer: Some(
            "https://as.example/",
        ),
        endpoints: Endpoints {
            authorization: Some(
                "https://as.example/a",
            ),
            token: Some(
                "https://as.example/t",
            ),
            device_authorization: Some(
                "https://as.example/d",
            ),
            revocation: Some(
                "http://127.0.0.1:1/r",
            ),
        },
        client_name: "Mine",
        client_metadata_url: Some(
            "https://me.example/c.json",
        ),
        risks: Risks {
            unadvertised_pkce: false,
            legacy_endpoints: true,
            private_addresses: true,
        },
        provider: None,
    }
    "#);
    let browser = login(
        "{ oauth: { redirect_host: localhost, callback_port: 8080, redirect_path: /cb, scopes_limit: [a],
           authorize_params: { prompt: consent, team: T1 }, open_browser: true, allow_unadvertised_pkce: true, client_id: i, client_secret: 'vault:s', resource: omit } }",
    );
    assert_eq!(browser.redirect.host.word(), "localhost");
    assert_eq!(
        (browser.redirect.port, browser.redirect.path.as_str()),
        (Some(8080), "/cb")
    );
    assert_eq!(browser.scopes_limit.as_deref(), Some(&["a".to_owned()][..]));
    assert_eq!(browser.authorize_params.len(), 2);
    assert_eq!(browser.browser.open, OpenBrowser::Always);
    assert_eq!(browser.resource, Resource::Omit);
    assert!(browser.risks.unadvertised_pkce && !browser.risks.legacy_endpoints);
    assert_eq!(
        browser.client.unwrap().secret.unwrap().to_string(),
        "vault:s"
    );
}

#[test]
fn an_account_wins_key_by_key() {
    let accounts = proofs(
        "
servers:
  a:
    url: https://h.example/mcp
    auth: { oauth: { scopes: [a], client_id: one, client_secret: 'vault:one', login_hint: all, issuer: 'https://one.example',
                     token_endpoint: 'https://one.example/t', authorize_params: { prompt: login, team: T1 } } }
    accounts:
      word: { auth: oauth }
      left: {}
      hint: { auth: { oauth: { login_hint: me, scopes_limit: [b], authorize_params: { team: T2 } } } }
      client: { auth: { oauth: { client_id: two, issuer: 'https://two.example' } } }
      keyed: { auth: { oauth: { private_key: 'vault:key' } } }
      fixed: { auth: { bearer: 'vault:t' } }
      none: { auth: none }
",
    );
    let of = |index: usize| match &accounts[index].how {
        Auth::OAuth(oauth) => OAuth::clone(oauth),
        other => panic!("{other:?}"),
    };
    let base = of(0);
    assert_eq!(base, of(1), "a word says nothing more than the server");
    assert_eq!(base.scopes.as_deref(), Some(&["a".to_owned()][..]));

    let hint = of(2);
    assert_eq!(hint.login_hint.as_deref(), Some("me"));
    assert_eq!(
        hint.scopes, None,
        "the limit of the account excludes the scopes of its server"
    );
    assert_eq!(hint.client, base.client);
    let params: Vec<String> = hint
        .authorize_params
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(params, ["prompt=login", "team=T2"]);

    let client = of(3);
    let two = client.client.unwrap();
    assert_eq!(
        (two.id.as_str(), two.secret),
        ("two", None),
        "the secret is the other client's"
    );
    assert_eq!(
        client.endpoints.token, None,
        "the endpoint is the other issuer's"
    );

    let keyed = of(4).client.unwrap();
    assert_eq!(
        (
            keyed.id.as_str(),
            keyed.secret.is_none(),
            keyed.key.is_some()
        ),
        ("one", true, true)
    );
    assert_eq!(accounts[5].how.word(), "bearer");
    assert_eq!(accounts[6].how, Auth::None);
}

#[test]
fn a_process_gets_the_token_and_names_where_it_comes_from() {
    let process = |auth: &str| format!("servers: {{ a: {{ command: [x], auth: {auth} }} }}");
    let proof = proofs(&process(
        "{ oauth: { authorization_endpoint: 'https://as.example/a', token_endpoint: 'https://as.example/t', client_id: i }, into: TOKEN }",
    ));
    assert_eq!(proof[0].into.as_deref(), Some("TOKEN"));
    let machine = proofs(&process(
        "{ oauth: { grant: client_credentials, token_endpoint: 'https://as.example/t', client_id: i, client_secret: 'env:S' }, into: TOKEN }",
    ));
    assert_eq!(machine[0].how.reference().unwrap().to_string(), "env:S");
    let inherits = "
servers:
  a:
    command: [x]
    auth: { oauth: { authorization_endpoint: 'https://as.example/a', token_endpoint: 'https://as.example/t', client_id: i }, into: TOKEN }
    accounts: { x: { auth: oauth }, y: { auth: { oauth: { login_hint: y } } } }
";
    assert!(
        proofs(inherits)
            .iter()
            .all(|proof| proof.into.as_deref() == Some("TOKEN"))
    );
    let report = |text: &str| format!("--- {text}\n{}\n", mistakes(&process(text)));
    insta::assert_snapshot!([
        "oauth",
        "{ oauth: { grant: device_code, token_endpoint: 'https://as.example/t' }, into: T }",
        "{ oauth: { grant: client_credentials, client_id: i, client_secret: 'vault:s' }, into: T }",
        "{ oauth: { token_endpoint: 'https://as.example/t', authorization_endpoint: 'https://as.example/a', whoami: { url: 'https://as.example/me', subject: /s } }, into: T }",
    ].map(report).concat(), @"
    --- oauth
    1:37 servers.a.auth [missing_key] missing `into`: the variable of the process that gets the token | write `into: NAME` beside `oauth`
    1:37 servers.a.auth [missing_key] missing `authorization_endpoint` and `token_endpoint`: a local process has no URL at which they are found | write them under `oauth`, or name a `template` that has them
    --- { oauth: { grant: device_code, token_endpoint: 'https://as.example/t' }, into: T }
    1:37 servers.a.auth [missing_key] missing `device_authorization_endpoint` and `token_endpoint`: a local process has no URL at which they are found | write them under `oauth`, or name a `template` that has them
    --- { oauth: { grant: client_credentials, client_id: i, client_secret: 'vault:s' }, into: T }
    1:37 servers.a.auth [missing_key] missing `token_endpoint`: a local process has no URL at which they are found | write them under `oauth`, or name a `template` that has them
    --- { oauth: { token_endpoint: 'https://as.example/t', authorization_endpoint: 'https://as.example/a', whoami: { url: 'https://as.example/me', subject: /s } }, into: T }
    1:144 servers.a.auth.oauth.whoami [does_not_fit] a URL gets the token, and a local process has no host that it could be at | name a `tool` of the process
    ");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_mistake_says_what_mends_it() {
    insta::assert_snapshot!([
        "scops: [a]",
        "grant: implicit",
        "scopes: read",
        "scopes: ['a b', \"q\\\"\"]",
        "scopes: [a], scopes_limit: [a]",
        "client_id: i, client_secret: CANARY-ghp_secret",
        "client_id: i, client_secret: vaul:x",
        "client_id: i, client_secret: 'vault:s', private_key: 'vault:k'",
        "client_secret: 'vault:s'",
        "client_id: i, key_id: k, alg: ES256",
        "client_id: i, private_key: 'vault:k', alg: HS256",
        "token_auth_method: private_key_jwt",
        "client_id: i, token_auth_method: client_secret_post",
        "token_auth_method: client_secret_jwt",
        "registration_scope: all",
        "resource: maybe",
        "resource: 'https://h.example/#x'",
        "redirect_host: 0.0.0.0",
        "callback_port: 70000",
        "callback_port: '80'",
        "redirect_path: callback",
        "redirect_path: '/a?b'",
        "whoami: { subject: /a }",
        "whoami: { tool: t, url: 'https://h.example/me', subject: a }",
        "whoami: { tool: t }",
        "whoami: { url: 'https://other.example/me', subject: /a }",
        "authorize_params: { client_id: x, response_type: x, redirect_uri: x, state: x, code_challenge: x, code_challenge_method: x, resource: x, scope: x, 'a b': x }",
        "open_browser: sometimes",
        "browser_command: []",
        "browser_command: firefox",
        "journal_url: none",
        "issuer: as.example",
        "issuer: 'http://as.example'",
        "token_endpoint: 'ftp://as.example'",
        "authorization_endpoint: 'https://u:CANARY@as.example/'",
        "client_metadata_url: 7",
        "allow_legacy_endpoints: 'yes'",
        "grant: client_credentials",
        "grant: client_credentials, client_id: i, client_secret: 'vault:s', redirect_host: localhost, open_browser: true, login_hint: me, expect: me, whoami: { tool: t, subject: /s }",
        "grant: device_code, callback_port: 1, authorize_params: { a: b }",
    ].map(wrong).concat(), @r#"
    --- scops: [a]
    1:64 ….scops [unknown_key] unknown key `scops` | did you mean `scopes`?
    --- grant: implicit
    1:71 ….grant [wrong_type] expected `authorization_code`, `client_credentials` or `device_code`, found another word
    --- scopes: read
    1:72 ….scopes [wrong_type] expected a list, found text | write a list: `[first, second]`, or one `- item` a line
    --- scopes: ['a b', "q\""]
    1:73 ….scopes[0] [bad_value] expected one scope: visible ASCII without spaces, quotes and backslashes
    1:80 ….scopes[1] [bad_value] expected one scope: visible ASCII without spaces, quotes and backslashes
    --- scopes: [a], scopes_limit: [a]
    1:77 ….scopes_limit [does_not_fit] there is `scopes` or `scopes_limit`, not both | keep one of them
    --- client_id: i, client_secret: CANARY-ghp_secret
    1:93 ….client_secret [literal_secret] a secret is written here; a reference belongs in its place: `vault:NAME`, `env:NAME`, `file:PATH` or `cmd:COMMAND` | move it to the vault:  janus config migrate-secrets
    --- client_id: i, client_secret: vaul:x
    1:93 ….client_secret [bad_value] expected a reference: `vault:NAME`, `env:NAME`, `file:PATH` or `cmd:COMMAND` | did you mean `vault:`?
    --- client_id: i, client_secret: 'vault:s', private_key: 'vault:k'
    1:104 ….private_key [does_not_fit] there is `client_secret` or `private_key`, not both | keep one of them
    --- client_secret: 'vault:s'
    1:64 ….client_secret [missing_key] missing `client_id`: `client_secret` belongs to a client
    --- client_id: i, key_id: k, alg: ES256
    1:78 ….key_id [missing_key] missing `private_key`, which `key_id` belongs to
    1:89 ….alg [missing_key] missing `private_key`, which `alg` belongs to
    --- client_id: i, private_key: 'vault:k', alg: HS256
    1:107 ….alg [wrong_type] expected `RS256`, `RS384`, `RS512`, `ES256` or `ES384`, found another word
    --- token_auth_method: private_key_jwt
    1:64 ….token_auth_method [missing_key] missing `private_key`, which `token_auth_method: private_key_jwt` needs
    --- client_id: i, token_auth_method: client_secret_post
    1:78 ….token_auth_method [missing_key] missing `client_secret`, which `token_auth_method: client_secret_post` needs
    --- token_auth_method: client_secret_jwt
    1:83 ….token_auth_method [wrong_type] expected `none`, `client_secret_basic`, `client_secret_post` or `private_key_jwt`, found another word | did you mean `client_secret_post`?
    --- registration_scope: all
    1:84 ….registration_scope [wrong_type] expected `account` or `server`, found another word
    --- resource: maybe
    1:74 ….resource [bad_value] expected `auto`, `omit` or an absolute URI without a fragment
    --- resource: 'https://h.example/#x'
    1:74 ….resource [bad_value] expected `auto`, `omit` or an absolute URI without a fragment
    --- redirect_host: 0.0.0.0
    1:79 ….redirect_host [wrong_type] expected `127.0.0.1` or `localhost`, found another word
    --- callback_port: 70000
    1:79 ….callback_port [bad_value] expected a port from 1 to 65535, or `0`
    --- callback_port: '80'
    1:79 ….callback_port [bad_value] expected a port from 1 to 65535, or `0`
    --- redirect_path: callback
    1:79 ….redirect_path [bad_value] expected a path that begins with `/`, such as `/callback`
    --- redirect_path: '/a?b'
    1:79 ….redirect_path [bad_value] expected a path that begins with `/`, such as `/callback`
    --- whoami: { subject: /a }
    1:72 ….whoami [missing_key] missing `tool` or `url`: what is asked
    --- whoami: { tool: t, url: 'https://h.example/me', subject: a }
    1:83 ….whoami.url [does_not_fit] there is `tool` or `url`, not both | keep one of them
    1:121 ….whoami.subject [bad_value] expected a JSON pointer such as `/login`
    --- whoami: { tool: t }
    1:72 ….whoami [missing_key] missing `subject`: where the answer says who, as a JSON pointer
    --- whoami: { url: 'https://other.example/me', subject: /a }
    1:72 ….whoami [does_not_fit] this URL gets the token, and is at another host than the server | name a `tool`, or write a template of your own: it may name the provider's other hosts
    --- authorize_params: { client_id: x, response_type: x, redirect_uri: x, state: x, code_challenge: x, code_challenge_method: x, resource: x, scope: x, 'a b': x }
    1:84 ….authorize_params.client_id [does_not_fit] Janus sets the parameter `client_id` itself | write `client_id` beside `authorize_params`
    1:98 ….authorize_params.response_type [does_not_fit] Janus sets the parameter `response_type` itself | remove it
    1:116 ….authorize_params.redirect_uri [does_not_fit] Janus sets the parameter `redirect_uri` itself | see `redirect_host`, `callback_port` and `redirect_path`
    1:133 ….authorize_params.state [does_not_fit] Janus sets the parameter `state` itself | remove it
    1:143 ….authorize_params.code_challenge [does_not_fit] Janus sets the parameter `code_challenge` itself | remove it
    1:162 ….authorize_params.code_challenge_method [does_not_fit] Janus sets the parameter `code_challenge_method` itself | remove it
    1:188 ….authorize_params.resource [does_not_fit] Janus sets the parameter `resource` itself | write `resource` beside `authorize_params`
    1:201 ….authorize_params.scope [does_not_fit] Janus sets the parameter `scope` itself | write `scopes` beside `authorize_params`
    1:211 ….authorize_params [bad_value] expected the name of a parameter: letters, digits, `_`, `-` and `.`
    --- open_browser: sometimes
    1:78 ….open_browser [wrong_type] expected `auto`, `true` or `false`, found text
    --- browser_command: []
    1:81 ….browser_command [bad_value] expected a list that begins with the program
    --- browser_command: firefox
    1:81 ….browser_command [wrong_type] expected a list, found text | write a list: `[first, second]`, or one `- item` a line
    --- journal_url: none
    1:77 ….journal_url [wrong_type] expected `full` or `local`, found another word
    --- issuer: as.example
    1:72 ….issuer [bad_value] expected an absolute URL such as `https://mcp.example.com/mcp`
    --- issuer: 'http://as.example'
    1:72 ….issuer [bad_value] expected an `https` URL; `http` is for this machine only
    --- token_endpoint: 'ftp://as.example'
    1:80 ….token_endpoint [bad_value] expected an absolute URL such as `https://mcp.example.com/mcp`
    --- authorization_endpoint: 'https://u:CANARY@as.example/'
    1:88 ….authorization_endpoint [bad_value] expected a URL without a user name or password; send them in `headers`
    --- client_metadata_url: 7
    1:85 ….client_metadata_url [wrong_type] expected an absolute `https` URL, found a number
    --- allow_legacy_endpoints: 'yes'
    1:88 ….allow_legacy_endpoints [wrong_type] expected `true` or `false`, found text
    --- grant: client_credentials
    1:53 servers.a.auth [missing_key] missing `client_id`, which `grant: client_credentials` needs
    1:53 servers.a.auth [missing_key] missing `client_secret` or `private_key`, which `grant: client_credentials` needs | write `client_secret: vault:NAME`, then:  janus secret set NAME
    --- grant: client_credentials, client_id: i, client_secret: 'vault:s', redirect_host: localhost, open_browser: true, login_hint: me, expect: me, whoami: { tool: t, subject: /s }
    1:131 ….redirect_host [does_not_fit] `redirect_host` has no meaning with `grant: client_credentials`, where nobody logs in | remove it
    1:157 ….open_browser [does_not_fit] `open_browser` has no meaning with `grant: client_credentials`, where nobody logs in | remove it
    1:177 ….login_hint [does_not_fit] `login_hint` has no meaning with `grant: client_credentials`, where nobody logs in | remove it
    1:193 ….expect [does_not_fit] `expect` has no meaning with `grant: client_credentials`, where nobody logs in | remove it
    1:205 ….whoami [does_not_fit] `whoami` has no meaning with `grant: client_credentials`, where nobody logs in | remove it
    --- grant: device_code, callback_port: 1, authorize_params: { a: b }
    1:84 ….callback_port [does_not_fit] `callback_port` has no meaning with `grant: device_code`, where a person logs in on another device | remove it
    1:102 ….authorize_params [does_not_fit] `authorize_params` has no meaning with `grant: device_code`, where a person logs in on another device | remove it
    "#);
}

#[test]
fn what_accounts_share_is_wrong_once() {
    let text = "
servers:
  a:
    url: http://h.example/mcp
    auth: { oauth: { grant: client_credentials, client_id: i } }
    accounts: { x: , y: , z: { auth: { oauth: { callback_port: 1, client_secret: 'vault:z' } } }, w: { auth: oauth } }
  b: { url: 'https://h.example/mcp', auth: { oauth: , bearer: 'vault:b', into: X } }
  c: { url: 'https://h.example/mcp', auth: { oauth: , into: X } }
  d: { url: 'https://h.example/mcp', auth: outh }
";
    insta::assert_snapshot!(mistakes(text), @"
    5:11 servers.a.auth [missing_key] missing `client_secret` or `private_key`, which `grant: client_credentials` needs | write `client_secret: vault:NAME`, then:  janus secret set NAME
    5:11 servers.a.auth [does_not_fit] a token for a server that is reached by plain `http`: everybody on the way could read it | write `https://` in its `url`
    6:38 servers.a.accounts.z.auth [does_not_fit] a token for a server that is reached by plain `http`: everybody on the way could read it | write `https://` in its `url`
    6:49 servers.a.accounts.z.auth.oauth.callback_port [does_not_fit] `callback_port` has no meaning with `grant: client_credentials`, where nobody logs in | remove it
    6:110 servers.a.accounts.w.auth [missing_key] missing `client_secret` or `private_key`, which `grant: client_credentials` needs | write `client_secret: vault:NAME`, then:  janus secret set NAME
    6:110 servers.a.accounts.w.auth [does_not_fit] a token for a server that is reached by plain `http`: everybody on the way could read it | write `https://` in its `url`
    7:55 servers.b.auth.bearer [does_not_fit] `bearer` does not belong to `oauth` | remove it
    8:61 servers.c.auth.into [does_not_fit] `into` belongs to a local process, and this server has `url` | remove it
    9:44 servers.d.auth [bad_value] expected `none`, `oauth`, or a map such as `{ bearer: vault:NAME }` | write `auth: { bearer: vault:NAME }`, then:  janus secret set NAME
    ");
}

#[test]
fn risks_are_warned_of_by_name() {
    let text = "servers: { a: { url: 'https://h.example/mcp', auth: { oauth: { allow_unadvertised_pkce: true, allow_legacy_endpoints: true, allow_private_addresses: true } }, accounts: { x: , y: { auth: { oauth: { allow_private_addresses: false } } } } } }";
    let loaded = parse(text).unwrap();
    let line = |one: &config::Warning| {
        format!(
            "{} {} | {}",
            one.place.path,
            one.message,
            one.help.as_deref().unwrap_or_default()
        )
    };
    let lines: Vec<String> = loaded.warnings.iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    servers.a.auth.oauth.allow_unadvertised_pkce a risk is taken here: a code that somebody steals on its way back could be used | remove it as soon as the provider allows that
    servers.a.auth.oauth.allow_legacy_endpoints a risk is taken here: where nothing says where to log in, whatever answers at the server is believed | remove it as soon as the provider allows that
    servers.a.auth.oauth.allow_private_addresses a risk is taken here: the server can make Janus send requests into your network | remove it as soon as the provider allows that
    ");
}

/// What is shown is a configuration that says the same.
#[test]
fn what_is_shown_is_read_as_the_same() {
    let text = "
servers:
  a:
    url: https://h.example/mcp
    auth: { oauth: { scopes: [a], redirect_host: localhost, callback_port: 8080, redirect_path: /cb, client_id: i, client_secret: 'vault:s', resource: omit } }
    accounts:
      word: { auth: oauth }
      machine: { auth: { oauth: { grant: client_credentials, private_key: 'file:/k.pem', key_id: k, alg: ES256 } } }
      person: { auth: { oauth: { whoami: { tool: t, subject: /s }, authorize_params: { p: q }, open_browser: false, browser_command: [ff], journal_url: local, expect: me, login_hint: me, issuer: 'https://as.example', token_endpoint: 'https://as.example/t', revocation_endpoint: 'https://as.example/r', client_name: N, client_metadata_url: 'https://c.example', registration_scope: server, token_auth_method: client_secret_post, allow_legacy_endpoints: true } } }
  b: { url: 'https://i.example/mcp', auth: oauth }
  c: { command: [x], auth: { oauth: { grant: device_code, device_authorization_endpoint: 'https://as.example/d', token_endpoint: 'https://as.example/t', client_id: c, scopes_limit: [] }, into: TOKEN } }
";
    let loaded = parse(text).unwrap();
    let shown = serde_yaml::to_string(&config::effective(&loaded)).unwrap();
    let again = parse(&shown).unwrap_or_else(|_| panic!("{}\n{shown}", mistakes(&shown)));
    for (one, other) in loaded.settings.servers.iter().zip(&again.settings.servers) {
        for (one, other) in one.accounts.iter().zip(&other.accounts) {
            assert_eq!(one.auth, other.auth, "{shown}");
        }
    }
    let Auth::OAuth(machine) = &loaded.settings.servers[0].accounts[1].auth.how else {
        panic!()
    };
    assert_eq!(machine.grant, GrantKind::ClientCredentials);
    let validator = jsonschema::validator_for(&config::schema()).unwrap();
    for text in [text, shown.as_str()] {
        let document: serde_json::Value = serde_yaml::from_str(text).unwrap();
        assert!(validator.is_valid(&document), "{text}");
    }
}
