//! The disk of a running daemon fails while a provider answers a renewal: a real file system that is full, or broken.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::rig::{called, home, provider_link};
use crate::secrets::document;
use crate::support::authorization::{
    AuthorizationServer, Behaviour, Endpoint, Hold, ProtectedServer, Protection, land,
};
use crate::support::{Client, Disk, Era, Home, Janus, Process, until};

/// What was granted, for people and for programs.
fn grant(home: &Home) -> (Value, String) {
    let document = document(home, &["status"]);
    let shown = home.run(&["status"]).stdout;
    (document["accounts"][0]["grant"].clone(), shown)
}

fn is_unpersisted(home: &Home) -> bool {
    grant(home).0["unpersisted"] == true
}

fn start(home: Home, disk: &Disk) -> Janus {
    Janus::start_in(home, |command| *command = disk.enter(command))
}

async fn call(janus: &Janus) {
    let mut client = Client::open(janus.http(), "/mcp", Era::Modern).await;
    called(&mut client, "s__whoami").await;
}

/// A daemon whose state is on a disk that fails (`fails`) while a renewal is under way and is well again (`mended`) before
/// the next daemon is started.
async fn survives(
    make: impl FnOnce(&Home) -> Option<Disk>,
    fails: impl FnOnce(&Disk),
    mended: impl FnOnce(&Disk),
) {
    let behaviour = Behaviour {
        access_life: Duration::from_secs(1),
        ..Behaviour::default()
    };
    let authority = AuthorizationServer::start(behaviour).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let servers = format!("  s: {{ url: \"{}\", auth: oauth }}\n", server.url());
    let home = home(&servers, "");
    let Some(disk) = make(&home) else {
        return;
    };
    let janus = start(home, &disk);
    let mut login = Process::start("janus login", &mut janus.home().command(&["login", "s"]));
    let url = provider_link(&mut login);
    let (status, page) = land(&authority.follow(&url).await).await;
    assert_eq!(status, 200, "{page}");
    assert_eq!(login.finish().status.code(), Some(0));
    call(&janus).await;

    authority.hold(Endpoint::Token, Hold::After);
    // The token lives a second, so that this call or the one that comes by itself has it renewed.
    let before = authority.refreshes();
    authority.held(Endpoint::Token, 1).await;
    fails(&disk);
    // What is renewed after this one is good for long.
    authority.behave(|behaviour| behaviour.access_life = Duration::from_hours(1));
    authority.release(Endpoint::Token);
    call(&janus).await;
    until("what is not on the disk", || is_unpersisted(janus.home()));
    let (_, shown) = grant(janus.home());
    assert!(shown.contains("degraded: unpersisted"), "{shown}");
    call(&janus).await;
    // Nothing is under way any more: its answer would be lost with the process.
    until("the last renewal", || {
        let renewed = authority.refreshes();
        renewed > before + 1 && grant(janus.home()).0["generation"] == 1 + renewed
    });

    // The next one finds beside the disk what the disk does not have, and saves it.
    let home = janus.kill();
    mended(&disk);
    let janus = start(home, &disk);
    call(&janus).await;
    until("what is on the disk", || !is_unpersisted(janus.home()));
    let janus = start(janus.kill(), &disk);
    call(&janus).await;
    assert!(!is_unpersisted(janus.home()));
    assert_eq!(authority.count(Endpoint::Authorize), 1, "a login was lost");
    assert_eq!(authority.reuse(), 0);
    assert_eq!(authority.violations(), [""; 0]);
    assert_eq!(server.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_in_the_middle_of_a_renewal_loses_nothing() {
    let name = "a_full_disk_in_the_middle_of_a_renewal_loses_nothing";
    let make = |home: &Home| Disk::in_memory(name, &home.path().join("state"), 4096);
    survives(make, Disk::fill, Disk::make_room).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_and_read_only_disk_in_the_middle_of_a_renewal_loses_nothing() {
    let name = "a_broken_and_read_only_disk_in_the_middle_of_a_renewal_loses_nothing";
    let make = |home: &Home| {
        let image = home.path().join("disk");
        Disk::in_a_file(name, &home.path().join("state"), &image)
    };
    survives(make, Disk::fail, Disk::mend).await;
}

/// All that is below a directory.
fn below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            below(&path, found);
        }
        found.push(path);
    }
}

#[tokio::test]
async fn whatever_the_umask_is_nobody_else_reads_what_is_kept() {
    let authority = AuthorizationServer::start(Behaviour::default()).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let servers = format!("  s: {{ url: \"{}\", auth: oauth }}\n", server.url());
    let janus = Janus::start_in(home(&servers, ""), |command| {
        let mut open = std::process::Command::new("sh");
        open.args(["-c", "umask 0; exec \"$0\" \"$@\""])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .current_dir(command.get_current_dir().unwrap());
        *command = open;
    });
    let mut login = Process::start("janus login", &mut janus.home().command(&["login", "s"]));
    land(&authority.follow(&provider_link(&mut login)).await).await;
    assert_eq!(login.finish().status.code(), Some(0));
    let closed = |home: &Home| {
        let (state, run) = (
            home.path().join("state/janus"),
            home.path().join("run/janus"),
        );
        let mut found = vec![state.clone(), run.clone()];
        below(&state, &mut found);
        below(&run, &mut found);
        for path in &found {
            let mode = fs::symlink_metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
        }
        let key = home.path().join("home/vault.key");
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o077, 0);
        found
    };
    assert!(closed(janus.home()).len() > 4);
    // Killed, it leaves nothing that was on its way.
    let home = janus.kill();
    for path in closed(&home) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.contains("tmp") && !name.starts_with(".#"), "{name}");
    }
    drop((server, authority));
}
