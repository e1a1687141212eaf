//! Every kind of credential, as the server sees it, and where none may go.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Gate, Home, Janus, until};

use super::{call, document, home, run, script, set, state, succeeded};

fn serve(home: Home) -> Janus {
    Janus::start_in(home, |command| {
        command.env("FROM_ENV", "env-value-123");
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_is_sent_as_its_scheme_says() {
    let gate = Gate::start().await;
    let url = gate.url();
    let home = home(&format!(
        "bearer: {{ url: \"{url}\", auth: {{ bearer: vault:b }} }}
basic: {{ url: \"{url}\", auth: {{ basic: ana@example.org, password: vault:b }} }}
header: {{ url: \"{url}\", auth: {{ header: X-Api-Key, value: env:FROM_ENV, prefix: \"k:\" }} }}
query: {{ url: \"{url}?a=1\", auth: {{ query: api key, value: vault:odd }} }}
file: {{ url: \"{url}\", headers: {{ X-File: file:~/token }} }}
cmd: {{ url: \"{url}\", auth: {{ bearer: 'cmd:printf \"%s-%s\" from cmd' }} }}
helper: {{ url: \"{url}\", auth: {{ command: [printf, helper-token], header: X-Token }} }}
none: {{ url: \"{url}\", auth: none }}
",
    ));
    succeeded(&set(&home, "b", "bearer-value"));
    succeeded(&set(&home, "odd", "a&b=c d"));
    let token = home.path().join("home/token");
    fs::write(&token, "file-value\n").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let janus = serve(home);
    for (server, header, value, query) in [
        ("bearer", "authorization", "Bearer bearer-value", ""),
        // ana@example.org:bearer-value
        (
            "basic",
            "authorization",
            "Basic YW5hQGV4YW1wbGUub3JnOmJlYXJlci12YWx1ZQ==",
            "",
        ),
        ("header", "x-api-key", "k:env-value-123", ""),
        ("query", "authorization", "", "a=1&api%20key=a%26b%3Dc%20d"),
        ("file", "x-file", "file-value", ""),
        ("cmd", "authorization", "Bearer from-cmd", ""),
        ("helper", "x-token", "helper-token", ""),
        ("none", "authorization", "", ""),
    ] {
        gate.forget();
        let result = call(&janus, &format!("{server}__whoami")).await;
        assert_ne!(result["isError"], true, "{server}: {result}");
        let seen = gate.seen();
        let calls: Vec<_> = seen
            .iter()
            .filter(|one| one.method == "tools/call")
            .collect();
        assert_eq!(calls.len(), 1, "{server}");
        let given = calls[0]
            .headers
            .get(header)
            .map_or("", |value| value.to_str().unwrap());
        assert_eq!((given, calls[0].query.as_str()), (value, query), "{server}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_follows_no_redirect_to_another_origin() {
    let (gate, other) = (Gate::start().await, Gate::start().await);
    let away = gate.url_that_leads_to(&other.url());
    let within = Gate::start().await;
    let stays = within.url_that_leads_to("/mcp");
    let home = home(&format!(
        "away: {{ url: \"{away}\", auth: {{ bearer: vault:b }} }}\nstays: {{ url: \"{stays}\", auth: {{ query: key, value: vault:b }} }}\n"
    ));
    succeeded(&set(&home, "b", "bearer-value"));
    let janus = serve(home);
    let result = call(&janus, "stays__whoami").await;
    assert_ne!(result["isError"], true, "{result}");
    assert!(
        within
            .seen()
            .iter()
            .all(|seen| seen.query == "key=bearer-value")
    );
    let ended = run(janus.home(), &["account", "verify", "away"]);
    assert!(ended.stderr.contains("another origin"), "{}", ended.stderr);
    assert!(other.seen().is_empty(), "{:?}", other.seen());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_says_so_and_what_to_do_and_then_works_without_a_restart() {
    let gate = Gate::start().await;
    gate.accept_authorization("Bearer good-value");
    let home = home(&format!(
        "s: {{ url: \"{0}\", auth: {{ bearer: vault:later }} }}\nodd: {{ url: \"{0}\", auth: {{ bearer: vault:odd }} }}\nunset: {{ url: \"{0}\", auth: {{ bearer: env:NOT_SET }} }}\n",
        gate.url()
    ));
    succeeded(&set(&home, "odd", "two\nlines"));
    let janus = serve(home);
    let result = call(&janus, "janus_list_accounts").await;
    assert_ne!(result["isError"], true, "{result}");
    let ended = run(janus.home(), &["account", "verify", "s"]);
    assert_eq!(ended.status.code(), Some(4), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("error[needs_secret]"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("janus secret set later"),
        "{}",
        ended.stderr
    );
    for (account, word) in [
        ("s/default", "needs_secret"),
        ("odd/default", "bad_secret"),
        ("unset/default", "needs_secret"),
    ] {
        run(janus.home(), &["account", "verify", account]);
        assert_eq!(state(janus.home(), account), word);
    }
    let checked = run(janus.home(), &["secret", "check"]);
    assert_eq!(checked.status.code(), Some(4), "{}", checked.stdout);
    assert!(
        checked.stdout.contains("✘ vault:later"),
        "{}",
        checked.stdout
    );
    assert!(
        checked.stdout.contains("several lines"),
        "{}",
        checked.stdout
    );
    assert!(gate.seen().is_empty(), "nothing was sent");

    succeeded(&set(janus.home(), "later", "good-value"));
    let verified = run(janus.home(), &["account", "verify", "s"]);
    assert!(
        verified
            .stdout
            .contains("ana@example.org   (by its tool `whoami`)"),
        "{}{}",
        verified.stdout,
        verified.stderr
    );
    let result = call(&janus, "s__whoami").await;
    assert_ne!(result["isError"], true, "{result}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_value_is_answered_locally_until_there_is_another() {
    let gate = Gate::start().await;
    gate.accept_authorization("Bearer second-value");
    let home = home(&format!(
        "s: {{ url: \"{}\", auth: {{ bearer: vault:b }} }}\n",
        gate.url()
    ));
    succeeded(&set(&home, "b", "first-value"));
    let janus = serve(home);
    let ended = run(janus.home(), &["account", "verify", "s"]);
    assert!(ended.stderr.contains("rejected"), "{}", ended.stderr);
    assert_eq!(state(janus.home(), "s/default"), "rejected");
    let sent = gate.seen().len();
    for _ in 0..20 {
        run(janus.home(), &["tool", "call", "s__whoami"]);
    }
    assert_eq!(gate.seen().len(), sent, "nothing more was sent");
    succeeded(&set(janus.home(), "b", "second-value"));
    let verified = run(janus.home(), &["account", "verify", "s"]);
    succeeded(&verified);
    assert_eq!(state(janus.home(), "s/default"), "ready");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_program_renews_is_read_again() {
    let gate = Gate::start().await;
    gate.accept_authorization("Bearer file-1");
    let home = home(&format!(
        "s: {{ url: \"{}\", auth: {{ bearer: file:~/token }} }}\n",
        gate.url()
    ));
    let token = home.path().join("home/token");
    let renew = |value: &str| {
        let new = token.with_extension("new");
        fs::write(&new, value).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&new, &token).unwrap();
    };
    renew("file-1");
    let janus = serve(home);
    assert_ne!(call(&janus, "s__whoami").await["isError"], true);
    // The old one is refused before anybody has looked at the file again: then it is looked at.
    renew("file-2");
    gate.accept_authorization("Bearer file-2");
    let result = call(&janus, "s__whoami").await;
    assert_ne!(result["isError"], true, "{result}");
    // A session that was opened with the old value is replaced once, and no more.
    gate.accept(|_, _| 200);
    gate.forget();
    renew("file-3");
    let opened = || {
        let seen = gate.seen();
        let opened = seen.iter().filter(|seen| seen.method == "initialize");
        let values = opened.map(|seen| seen.headers["authorization"].to_str().unwrap().to_owned());
        values.collect::<Vec<_>>()
    };
    until("a session with the new value", || !opened().is_empty());
    for _ in 0..20 {
        let result = call(&janus, "s__whoami").await;
        assert_ne!(result["isError"], true, "{result}");
    }
    assert_eq!(opened(), ["Bearer file-3"]);
    let last = gate.seen().pop().unwrap();
    assert_eq!(last.headers["authorization"], "Bearer file-3");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let ended = run(janus.home(), &["secret", "check"]);
    assert!(ended.stdout.contains("others can read"), "{}", ended.stdout);
}

#[test]
fn status_has_a_column_for_the_credential() {
    let home = home(
        "s: { command: [cat], env: { TOKEN: vault:t } }\nh: { url: \"http://127.0.0.1:9/mcp\", auth: { command: [echo, token-value], ttl: 5m } }\n",
    );
    script(home.path(), "unused", "");
    let janus = Janus::start_in(home, |_| {});
    run(janus.home(), &["account", "verify", "h"]);
    let status = run(janus.home(), &["status"]);
    assert!(status.stdout.contains("CREDENTIAL"), "{}", status.stdout);
    assert!(
        status.stdout.contains("`echo`: 4 min left")
            || status.stdout.contains("`echo`: 5 min left"),
        "{}",
        status.stdout
    );
    let rows = document(janus.home(), &["status"]);
    let kinds: Vec<_> = rows["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["credential"]["from"][0].clone())
        .collect();
    assert_eq!(kinds, ["vault:t", "`echo`"]);
}
