//! What the reader takes, the schema takes, and nothing else.

use janus::config;

use super::mistakes;

/// Reader and schema agree on these; each is one server's body or one `listen`.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn reader_and_schema_agree() {
    let validator = jsonschema::validator_for(&config::schema()).unwrap();
    let server = |body: &str| format!("servers: {{ a: {{ {body} }} }}");
    let good = [
        "version: 1".to_owned(),
        server("template: linear"),
        server("template: dataverse, params: { org: 7 }, accounts: { x: { params: { org: a } } }"),
        server("template: supabase-pat, params: { project_ref: p }, args: [a], env: { A: b }"),
        server("template: linear, auth: { oauth: { open_browser: false } }, headers: { X-A: b }"),
        server("url: 'https://h', auth: oauth, accounts: { x: { auth: { oauth: } } }"),
        "servers:".to_owned(),
        "listen: { socket: ~/x, http: '[::1]:1', session_idle: 1ms, allow_remote: true }"
            .to_owned(),
        server("command: [x], args: [], env: { A_1: b }, idle: 0, timeout: '${WAIT}'"),
        server(
            "command: [x], idle: '0', args: null, env: ~, tools: { include: [], exclude: null }, enabled: false",
        ),
        "servers:
  a: { url: 'http://h', accounts: { x: } }
  b: { command: [z], accounts: { y: ~, z: { args: [], env: {}, label: l, color: cyan } }, default: y }
  c: { command: [c] }
  d: { command: [d] }
profiles:
  p: { accounts: { a: x, b: [y, z], c: '*' }, servers: [d], guarded: true, switching: off }
"
        .to_owned(),
        "profiles:".to_owned(),
        "clients: { a: { url_elicitation: true } }".to_owned(),
        "default_profile: default".to_owned(),
        "identity: { switching: global }".to_owned(),
        "bindings:".to_owned(),
        "clients: { a: , b: { profile: default, expires: 2027-03-01 }, c: { profiles: [default], expires: '2027-03-01T00:00:00.5Z' } }".to_owned(),
        "clients: { a: }
bindings: [ { client: a, profile: default }, { directory: ~/x, profile: default } ]"
            .to_owned(),
        server(
            "url: 'http://h', headers: { X-A: b }, tls: { ca: /x }, era: modern, sharing: per-session, transport: streamable_http",
        ),
    ];
    let bad = [
        server("template: x, url: 'https://h', command: [x]"),
        server("template: x, params: [a]"),
        server("template: X"),
        server("url: 'https://h', auth: outh"),
        server("url: 'https://h', auth: { oauth: { scops: [a] } }"),
        server(
            "url: 'https://h', auth: { oauth: { whoami: { tool: t, url: 'https://h', subject: /a } } }",
        ),
        server("url: 'https://h', auth: { oauth: { authorize_params: { state: x } } }"),
        server("url: 'https://h', auth: { oauth: { callback_port: '1' } }"),
        server("url: 'https://h', auth: { oauth: , bearer: 'vault:a' }"),
        "version: 2".to_owned(),
        "version: '1'".to_owned(),
        "nothing: 1".to_owned(),
        "servers: { a__b: { command: [x] } }".to_owned(),
        "servers: { A: { command: [x] } }".to_owned(),
        "servers: { a: null }".to_owned(),
        "servers: []".to_owned(),
        "listen: { http: localhost }".to_owned(),
        "listen: { socket: x }".to_owned(),
        "listen: { session_idle: 0s }".to_owned(),
        "listen: { session_idle: null }".to_owned(),
        server("timeout: 1s"),
        server("url: 'https://h', command: [x]"),
        server("url: 'https://h', env: {}"),
        server("url: 'https://h', idle: 1s"),
        server("command: [x], headers: {}"),
        server("command: x"),
        server("command: [1]"),
        server("command: [x], timeout: 60"),
        server("command: [x], timeout: 1d"),
        server("command: [x], enabled: 'true'"),
        server("command: [x], env: { 1A: x }"),
        server("command: [x], sharing: sometimes"),
        server("command: [x], tools: { only: [] }"),
        server("url: ftp://h"),
        server("url: 'https://h', transport: websocket"),
        server("command: [x], transport: sse"),
        server("url: 'https://u:p@h'"),
        server("url: 'https://h#f'"),
        server("url: 'https://h', tls: { ca: x }"),
        server("url: 'https://h', accounts: { x: { args: [] } }"),
        server("url: 'https://h', accounts: { x: { env: {} } }"),
        server("command: [x], accounts: { x: { headers: {} } }"),
        server("command: [x], accounts: { X: }"),
        server("command: [x], accounts: { x: { url: 'https://h' } }"),
        server("command: [x], accounts: { x: { color: pink } }"),
        server("command: [x], default: x"),
        server("command: [x], accounts: { '1': }, default: 1"),
        "profiles: { p: { accounts: { a: [] } } }".to_owned(),
        "profiles: { p: { accounts: { a: '**' } } }".to_owned(),
        "identity: { switching: false }".to_owned(),
        "identity: { switching: 'Off' }".to_owned(),
        "identity: { confirm_after_switch: 5m }".to_owned(),
        "bindings: [ { profile: default } ]".to_owned(),
        "bindings: [ { directory: /x } ]".to_owned(),
        "bindings: [ { directory: x, profile: default } ]".to_owned(),
        "bindings: [ null ]".to_owned(),
        "clients: { a: { profile: default, profiles: [default] } }".to_owned(),
        "clients: { a: { profiles: [] } }".to_owned(),
        "clients: { a: { profiles: } }".to_owned(),
        "clients: { a: { expires: tomorrow } }".to_owned(),
        "clients: { a: { policy: p } }".to_owned(),
        "clients: { a: { url_elicitation: 'yes' } }".to_owned(),
    ];
    for (texts, fits) in [(good.as_slice(), true), (bad.as_slice(), false)] {
        for text in texts {
            let document: serde_json::Value = serde_yaml::from_str(text).unwrap();
            assert_eq!(
                mistakes(text) == "none",
                fits,
                "reader: {text}\n{}",
                mistakes(text)
            );
            assert_eq!(validator.is_valid(&document), fits, "schema: {text}");
        }
    }
}
