//! `janus config migrate-secrets`: from a file with secrets to one without.

use std::fs;

use crate::support::Janus;

use super::{home, run, succeeded};

#[test]
fn secrets_leave_the_file_and_the_file_stays_what_it_was() {
    let home = home(
        "s:
  command: [cat]   # a comment
  env: { API_TOKEN: 'canary-of-the-file-1', LOG: debug }
  auth: { bearer: canary-of-the-file-2, into: BEARER }
",
    );
    let before = fs::read_to_string(home.config()).unwrap();
    let wrong = run(&home, &["config", "validate"]);
    assert_eq!(wrong.status.code(), Some(78));
    assert!(
        wrong.stderr.contains("janus config migrate-secrets"),
        "{}",
        wrong.stderr
    );
    assert!(!wrong.stderr.contains("canary-of"), "{}", wrong.stderr);
    let planned = run(&home, &["config", "migrate-secrets", "--dry-run"]);
    assert!(
        planned
            .stderr
            .contains("servers.s.env.API_TOKEN → vault:s_api_token"),
        "{}",
        planned.stderr
    );
    assert_eq!(fs::read_to_string(home.config()).unwrap(), before);
    let asked = run(&home, &["config", "migrate-secrets"]);
    assert_eq!(asked.status.code(), Some(2), "{}", asked.stderr);
    let moved = run(&home, &["config", "migrate-secrets", "--yes"]);
    assert!(!succeeded(&moved).stderr.contains("canary-of") && !moved.stdout.contains("canary-of"));
    let after = fs::read_to_string(home.config()).unwrap();
    assert_eq!(
        after,
        before
            .replace("'canary-of-the-file-1'", "vault:s_api_token")
            .replace("canary-of-the-file-2", "vault:s")
    );
    let again = run(&home, &["config", "migrate-secrets", "--yes"]);
    assert!(again.stdout.contains("no secrets"), "{}", again.stdout);
    let janus = Janus::start_in(home, |_| {});
    let checked = run(janus.home(), &["secret", "check"]);
    succeeded(&checked);
}
