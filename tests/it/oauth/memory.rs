//! The memory of a daemon after a logout: all that it can write to is read, and no refresh token is there.

use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use super::rig::{Rig, called, forms, provider_link};
use crate::support::authorization::{Behaviour, CANARY, Endpoint, Protection, land};
use crate::support::{Era, PATIENCE, Process, skip};

/// So much is read at once; a form that lies across an end is found by the next piece, which begins before it.
const PIECE: usize = 8 << 20;

/// The places in the memory of a process where one of these is, by mapping and with what is around it.
fn found(id: u32, forms: &[Vec<u8>]) -> Vec<String> {
    let memory = File::open(format!("/proc/{id}/mem")).unwrap();
    let maps = read_to_string(format!("/proc/{id}/maps")).unwrap();
    let longest = forms.iter().map(Vec::len).max().unwrap();
    let mut hits = Vec::new();
    let mut piece = vec![0; PIECE];
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let (mut at, end) = (address(start), address(end));
        while at < end {
            let wanted = usize::try_from(end - at).unwrap().min(PIECE);
            // What is mapped and not there (a file that was cut) cannot be read, and has nothing.
            let Ok(read) = memory.read_at(&mut piece[..wanted], at) else {
                break;
            };
            for form in forms {
                for place in memchr::memmem::find_iter(&piece[..read], form) {
                    let around = &piece[place.saturating_sub(24)..(place + 64).min(read)];
                    let around = String::from_utf8_lossy(around).into_owned();
                    hits.push(format!("{line}: {around:?}"));
                }
            }
            if read < wanted || at + read as u64 == end {
                break;
            }
            at += (read - longest) as u64;
        }
    }
    hits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_refresh_token_is_in_memory_after_a_logout() {
    let behaviour = Behaviour {
        access_life: Duration::from_secs(1),
        ..Behaviour::default()
    };
    let rig = Rig::start(behaviour, Protection::default(), "auth: oauth").await;
    let id = rig.janus.id();
    if File::open(format!("/proc/{id}/mem")).is_err() {
        skip(
            "no_refresh_token_is_in_memory_after_a_logout",
            "only root reads the memory of a daemon that closes it",
        );
        return;
    }
    let home = rig.janus.home();
    let mut login = Process::start("janus login", &mut home.command(&["login", "s"]));
    let url = provider_link(&mut login);
    let (status, page) = land(&rig.authority.follow(&url).await).await;
    assert_eq!(status, 200, "{page}");
    assert_eq!(login.finish().status.code(), Some(0));
    let mut client = rig.client(Era::Modern).await;
    while rig.authority.refreshes() < 5 {
        called(&mut client, "s__whoami").await;
    }
    drop(client);
    // How every refresh token begins.
    let forms = forms(&format!("{CANARY}-refresh."));
    assert!(
        !found(id, &forms).is_empty(),
        "a token that is in use is not found, so that none would be"
    );

    let ended = home.run(&["logout", "s"]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(rig.authority.count(Endpoint::Revoke) > 0);
    // What was under way when the person left ends by itself.
    let end = Instant::now() + PATIENCE / 4;
    loop {
        let left = found(id, &forms);
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < end, "{left:#?}");
        tokio::task::yield_now().await;
    }
    rig.assert_clean();
}
