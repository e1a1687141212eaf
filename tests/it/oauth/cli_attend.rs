//! What ends `janus login` before somebody is logged in: the time it is given, and the daemon.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::cli_login::{begin, rig};
use super::rig::{Rig, call, clicked, link, provider_link, status};
use crate::support::authorization::{Endpoint, land};
use crate::support::{Ended, Era, Janus, Output};

/// The error of a command with `--json`.
fn error(ended: &Ended) -> Value {
    let last = ended.stderr.lines().last().unwrap_or_default();
    let said: Value = serde_json::from_str(last).unwrap_or_else(|why| panic!("{why}: {last}"));
    said["error"].clone()
}

fn help(error: &Value) -> String {
    error["help"].to_string()
}

#[tokio::test]
async fn the_time_of_the_command_is_over_and_the_login_goes_on() {
    let rig = rig().await;
    let begun = Instant::now();
    let arguments = ["login", "s", "--timeout", "1s", "--json"];
    let ended = rig.janus.home().run(&arguments);
    assert!(begun.elapsed() < Duration::from_secs(30), "{begun:?}");
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let error = error(&ended);
    assert_eq!(error["code"], "timed_out", "{error}");
    let waiting = status(&rig.janus)["logins"][0].clone();
    let id = waiting["login"].as_str().expect("the login goes on");
    let attend = format!("janus login --wait {id}");
    assert!(help(&error).contains(&attend), "{error}");

    // Whoever takes it up gets as long as they say, too.
    let again = ["login", "--wait", id, "--timeout", "1s"];
    let ended = rig.janus.home().run(&again);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let mut login = begin(&rig.janus, &["login", "--wait", id, "--timeout", "1m"]);
    land(&rig.authority.follow(&provider_link(&mut login)).await).await;
    let ended = login.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(rig.authority.count(Endpoint::Register), 1);
    rig.assert_clean();
}

#[tokio::test]
async fn a_daemon_that_ends_in_the_middle_of_a_login_is_told_of_with_what_to_run_again() {
    for killed in [true, false] {
        let rig = rig().await;
        let mut login = begin(&rig.janus, &["login", "s", "--paste"]);
        provider_link(&mut login);
        let Rig {
            janus,
            authority,
            server,
        } = rig;
        let home = if killed { janus.kill() } else { janus.stop().1 };
        login.line(Output::Stderr, |line| {
            line.starts_with("the daemon stops").then_some(())
        });
        let janus = Janus::start_in(home, |_| {});
        let ended = login.finish();
        assert_eq!(ended.status.code(), Some(4), "{}", ended.stderr);
        let said = "error[login_lost]: the daemon was restarted, and the login of s/default ended";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        let again = "log in again:  janus login s/default --paste";
        assert!(ended.stderr.contains(again), "{}", ended.stderr);
        drop((janus, authority, server));
    }
}

#[tokio::test]
async fn an_upgrade_waits_for_a_login_that_a_person_has_to_do_with_and_says_how_to_end_it() {
    let rig = rig().await;
    let upgrade = || rig.janus.home().run(&["reexec", "--json"]);
    // A call made a link, and nobody has opened it.
    let mut client = rig.client(Era::Modern).await;
    let page = link(&call(&mut client, "s__who").await);
    assert!(page.starts_with(&rig.janus.url("/login/")), "{page}");
    let ended = upgrade();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);

    // Another call, another link; somebody sees where it leads.
    let mut client = rig.client(Era::Modern).await;
    let page = link(&call(&mut client, "s__who").await);
    clicked(&page).await;
    let id = page.rsplit('/').next().unwrap();
    let ended = upgrade();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stdout);
    let failed = error(&ended);
    assert_eq!(failed["code"], "deferred", "{failed}");
    let said = failed["message"].as_str().unwrap();
    let named = format!("a login is under way: s/default ({id})");
    assert!(said.contains(&named), "{said}");
    let end = "janus login s/default --cancel";
    assert!(help(&failed).contains(end), "{failed}");
    let ended = rig.janus.home().run(&["login", "s/default", "--cancel"]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);

    // One that a person began holds it up from the beginning.
    let begun = rig.janus.home().run(&["login", "s", "--no-wait"]);
    assert_eq!(begun.status.code(), Some(0), "{}", begun.stderr);
    assert_eq!(upgrade().status.code(), Some(1));
    rig.assert_clean();
}
