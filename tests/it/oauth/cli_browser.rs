//! How a person gets from `janus login` to the provider: by a browser here, or one elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::cli_login::{begin, rig};
use super::rig::provider_link;
use crate::support::authorization::land;
use crate::support::{Output, Process, env};

#[tokio::test]
async fn the_ssh_line_names_the_way_by_which_the_person_came() {
    let rig = rig().await;
    for (connection, line) in [
        ("192.0.2.7 50000 192.0.2.9 22", " ana@192.0.2.9"),
        (
            "2001:db8::7 50000 2001:db8::9 2222",
            " -p 2222 ana@2001:db8::9",
        ),
        ("nonsense; reboot", ""),
    ] {
        let mut login = rig.janus.home().command(&["login", "s"]);
        login.env("SSH_CONNECTION", connection).env("USER", "ana");
        let mut login = Process::start("janus login", &mut login);
        let forward = login.line(Output::Stderr, |line| {
            line.split_once("ssh -N -L ")
                .map(|(_, rest)| rest.to_owned())
        });
        login.kill();
        let (_, way) = forward.split_once(":127.0.0.1:").unwrap();
        let way = way.trim_start_matches(|c: char| c.is_ascii_digit());
        if line.is_empty() {
            assert!(
                !way.contains("nonsense") && !way.contains("reboot"),
                "{way}"
            );
        } else {
            assert_eq!(way, line);
        }
    }
}

#[tokio::test]
async fn a_browser_is_opened_by_its_arguments() {
    let rig = rig().await;
    let seen = rig.janus.home().path().join("seen");
    let script = format!("sh -c 'printf %s \"$1\" > {}' browser", seen.display());
    let mut login = begin(&rig.janus, &["login", "s", "--browser", &script]);
    // First it is shown, then it is opened.
    login.line(Output::Stderr, |line| {
        (line == "a browser opens:").then_some(())
    });
    let shown = login.line(Output::Stderr, |line| Some(line.trim().to_owned()));
    login.line(Output::Stderr, |line| {
        line.starts_with("waiting for the browser").then_some(())
    });
    let url = fs::read_to_string(&seen).unwrap();
    assert_eq!(shown, url);
    assert!(url.starts_with(rig.authority.issuer()), "{url}");
    land(&rig.authority.follow(&url).await).await;
    assert_eq!(login.finish().status.code(), Some(0));
}

#[tokio::test]
async fn the_browser_of_the_desktop_is_opened_only_where_there_is_a_desktop() {
    for display in [
        None,
        Some(("DISPLAY", ":0")),
        Some(("WAYLAND_DISPLAY", "w")),
    ] {
        let rig = rig().await;
        let (programs, seen) = (
            rig.janus.home().path().join("programs"),
            rig.janus.home().path().join("seen"),
        );
        fs::create_dir(&programs).unwrap();
        let opener = programs.join("xdg-open");
        let script = format!("#!/bin/sh\nprintf %s \"$1\" > {}\n", seen.display());
        fs::write(&opener, script).unwrap();
        fs::set_permissions(&opener, fs::Permissions::from_mode(0o700)).unwrap();
        let path = format!("{}:{}", programs.display(), env("PATH").unwrap());
        let mut command = rig.janus.home().command(&["login", "s"]);
        command.env("PATH", path).envs(display);
        let mut login = Process::start("janus login", &mut command);
        let url = provider_link(&mut login);
        land(&rig.authority.follow(&url).await).await;
        let ended = login.finish();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        let opened = fs::read_to_string(&seen).ok();
        assert_eq!(opened, display.map(|_| url), "{display:?}");
        assert_eq!(
            ended.stderr.contains("a browser opens:"),
            display.is_some(),
            "{}",
            ended.stderr
        );
    }
}
