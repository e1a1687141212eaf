//! Who logs in by `janus login`, and who was meant.

use serde_json::{Value, json};

use super::cli_login::{begin, failure, json_of, log_in, rig, run};
use super::rig::{Rig, known, provider_link, status};
use crate::support::authorization::{Behaviour, Endpoint, Protection, land};

#[tokio::test]
async fn a_login_as_somebody_else_is_not_saved_and_both_are_named() {
    let rig = rig().await;
    let ended = log_in(&rig, &["login", "s"], "ana").await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let revoked = rig.authority.count(Endpoint::Revoke);

    let ended = log_in(&rig, &["login", "s", "--json"], "ben").await;
    assert_eq!(ended.status.code(), Some(5), "{}", ended.stderr);
    let (code, message) = failure(&ended);
    assert_eq!(code, "wrong_identity");
    assert_eq!(
        message,
        "you logged in as ben@example.org, s/default is ana@example.org"
    );
    assert!(ended.stderr.contains("--replace"), "{}", ended.stderr);
    assert!(
        rig.authority.count(Endpoint::Revoke) > revoked,
        "what came is given back"
    );
    let row = status(&rig.janus)["accounts"][0].clone();
    assert_eq!(
        (&row["verified_as"], &row["grant"]["state"]),
        (&json!("ana@example.org"), &json!("fresh"))
    );

    // `--expect` of a person counts as much.
    let expected = log_in(
        &rig,
        &["login", "s", "--replace", "--expect", "carol", "--json"],
        "ben",
    );
    let ended = expected.await;
    assert_eq!(
        failure(&ended).1,
        "you logged in as ben@example.org, s/default is carol"
    );
    let ended = log_in(&rig, &["login", "s", "--replace"], "ben").await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(
        status(&rig.janus)["accounts"][0]["verified_as"],
        "ben@example.org"
    );
    rig.assert_clean();
}

#[tokio::test]
async fn somebody_unknown_is_refused_where_somebody_is_expected() {
    let rig = Rig::start(Behaviour::default(), Protection::default(), "").await;
    let expecting = ["login", "s", "--expect", "ana", "--json"];
    let ended = log_in(&rig, &expecting, "ana").await;
    assert_eq!(ended.status.code(), Some(5), "{}", ended.stderr);
    let (code, message) = failure(&ended);
    assert_eq!(code, "wrong_identity");
    assert!(message.contains("could not be learnt"), "{message}");
    assert!(ended.stderr.contains("leave out"), "{}", ended.stderr);
    assert!(
        rig.authority.count(Endpoint::Revoke) > 0,
        "it is given back"
    );
    let row = status(&rig.janus)["accounts"][0].clone();
    assert_eq!(row["grant"]["reason"], "never", "{row}");
    let ended = log_in(&rig, &["login", "s"], "ana").await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let verified = run(&rig.janus, &["account", "verify", "s"]);
    for said in [ended.stdout, verified.stdout] {
        assert!(
            said.contains("unverified") && said.contains("`auth.oauth.whoami`"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_login_that_could_not_be_learnt_is_shown_as_such_and_lets_in_nobody_else_by_the_next() {
    let rig = rig().await;
    log_in(&rig, &["login", "s"], "ana").await;
    rig.authority.behave(|behaviour| behaviour.openid = false);
    let ended = log_in(&rig, &["login", "s", "--json"], "ben").await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(json_of(&ended)["verified_as"], Value::Null);
    let now = status(&rig.janus)["accounts"][0].clone();
    assert_eq!(
        (&now["verified_as"], &now["grant"]["state"]),
        (&Value::Null, &json!("fresh")),
        "{now}"
    );

    rig.authority.behave(|behaviour| behaviour.openid = true);
    let ended = log_in(&rig, &["login", "s", "--json"], "ben").await;
    assert_eq!(
        failure(&ended).1,
        "you logged in as ben@example.org, s/default is ana@example.org"
    );
    let ended = log_in(&rig, &["login", "s"], "ana").await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let now = status(&rig.janus)["accounts"][0].clone();
    assert_eq!(now["verified_as"], "ana@example.org");
}

#[tokio::test]
async fn one_person_at_two_accounts_must_be_meant_and_all_are_logged_in_by_one_command() {
    let rig = Rig::two_accounts().await;
    let ambiguous = run(&rig.janus, &["login", "s", "--no-wait", "--json"]);
    assert_eq!(ambiguous.status.code(), Some(2));
    assert_eq!(failure(&ambiguous).0, "ambiguous_account");
    assert!(
        ambiguous.stderr.contains("such as `s/one`"),
        "{}",
        ambiguous.stderr
    );
    let slip = run(&rig.janus, &["login", "s/tow", "--json"]);
    assert_eq!(failure(&slip).0, "unknown_account");
    assert!(
        slip.stderr.contains("did you mean `s/two`?"),
        "{}",
        slip.stderr
    );

    // One document tells of all, also of those that fail.
    rig.authority.behave(|behaviour| {
        behaviour.consent = crate::support::authorization::Consent::Refused("access_denied");
    });
    let mut all = begin(&rig.janus, &["login", "--all", "--json"]);
    for _ in 0..2 {
        land(&rig.authority.follow(&provider_link(&mut all)).await).await;
    }
    let ended = all.finish();
    assert_eq!(ended.status.code(), Some(5), "{}", ended.stderr);
    let document = json_of(&ended);
    assert_eq!(document["logins"], json!([]), "{document}");
    for (at, account) in ["s/one", "s/two"].into_iter().enumerate() {
        let failed = &document["failed"][at];
        assert_eq!(
            (&failed["account"], &failed["error"]["code"]),
            (&json!(account), &json!("login_denied")),
            "{document}"
        );
    }
    assert!(!ended.stderr.contains("\"error\""), "{}", ended.stderr);
    rig.authority.behave(|behaviour| {
        behaviour.consent = crate::support::authorization::Consent::Given;
    });

    let mut all = begin(&rig.janus, &["login", "--all"]);
    rig.authority.log_in_as("ana");
    land(&rig.authority.follow(&provider_link(&mut all)).await).await;
    rig.authority.log_in_as("ben");
    land(&rig.authority.follow(&provider_link(&mut all)).await).await;
    let ended = all.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, "2 of 2 accounts are logged in\n");
    for nothing in [&["login", "--all"] as &[&str], &["login"]] {
        let none = run(&rig.janus, nothing);
        assert_eq!(none.status.code(), Some(0), "{}", none.stderr);
        assert_eq!(
            none.stdout,
            "no account needs a login; to log in again, name one:  janus login ACCOUNT\n"
        );
    }

    let ended = log_in(&rig, &["login", "s/two", "--replace", "--json"], "ana").await;
    assert_eq!(ended.status.code(), Some(5), "{}", ended.stderr);
    let (code, message) = failure(&ended);
    assert_eq!(code, "wrong_identity");
    assert_eq!(
        message,
        "you logged in as ana@example.org, who is s/one already; s/two would be the same"
    );
    let meant = ["login", "s/two", "--replace", "--same-identity"];
    let ended = log_in(&rig, &meant, "ana").await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn who_the_configuration_expects_is_corrected_there_and_replaced_by_no_flag() {
    let rig = Rig::start(
        known(),
        Protection::default(),
        "auth: { oauth: { expect: ana@example.org } }",
    )
    .await;
    let ended = log_in(&rig, &["login", "s", "--json"], "ben").await;
    assert_eq!(failure(&ended).0, "wrong_identity", "{}", ended.stderr);
    assert!(!ended.stderr.contains("--replace"), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("correct `auth.oauth.expect` of s/default"),
        "{}",
        ended.stderr
    );
    let file = rig.janus.home().config();
    assert!(
        ended
            .stderr
            .contains(&format!("\"where\":\"{}\"", file.display())),
        "{}",
        ended.stderr
    );
    let ended = log_in(&rig, &["login", "s", "--expect", "carol", "--json"], "ben").await;
    assert!(
        ended
            .stderr
            .contains("janus login s/default --expect=ben@example.org"),
        "{}",
        ended.stderr
    );
}
