//! Disks that are full, read-only or broken: what was there stays, what was not saved is not acknowledged, and afterwards
//! it works again without a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Home, Janus, Process, skip, until};

use super::{document, home, run, set, succeeded};

/// Runs a script in a mount namespace of its own, where `$STATE` is a small file system.
fn in_a_small_world(name: &str, home: &Home, script: &str) -> Option<String> {
    let possible = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"])
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        skip(
            name,
            "only root with the right to mount can have a file system of its own",
        );
        return None;
    }
    let state = home.path().join("state/janus");
    fs::create_dir_all(&state).unwrap();
    let head = "set -u; mount -t tmpfs -o size=400k,mode=700 none \"$STATE\"\n\
        secret() { \"$JANUS\" secret \"$@\" --config \"$CONFIG\" 2>&1; echo \"status $?\"; }\n\
        daemon() { \"$JANUS\" serve --config \"$CONFIG\" 2>\"$LOG\" & PID=$!; until grep -q ready \"$LOG\" 2>/dev/null; do kill -0 $PID || exit 9; sleep 0.05; done; }\n";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &format!("{head}{script}")])
        .envs(
            home.command(&[])
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("STATE", &state)
        .env("JANUS", env!("CARGO_BIN_EXE_janus"))
        .env("CONFIG", home.config())
        .env("LOG", home.path().join("log"));
    let ended = Process::run("a small world", &mut command);
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    Some(ended.stdout)
}

#[test]
fn a_full_disk_is_told_and_costs_nothing_that_was_there() {
    let home = home("s: { command: [cat], env: { A: vault:a } }\n");
    let script = r#"
        daemon
        echo kept | secret set a
        dd if=/dev/zero of="$STATE/filler" bs=1k 2>/dev/null
        head -c 60000 /dev/zero | tr '\0' x | secret set big
        rm "$STATE/filler"
        echo later | secret set b
        kill $PID; wait $PID
        secret list
        secret remove b
    "#;
    let Some(said) = in_a_small_world("a full disk", &home, script) else {
        return;
    };
    let (before, after) = said.split_once("status 0").unwrap();
    assert!(before.contains("`a` is in the vault"), "{said}");
    assert!(
        after.contains("the disk of") && after.contains("is full") && after.contains("status 1"),
        "{said}"
    );
    assert!(
        after.contains("`b` is in the vault") && after.contains("`b` is removed"),
        "{said}"
    );
    assert!(!after.contains("big  "), "{said}");
}

#[test]
fn a_read_only_disk_is_told_and_later_it_works_again() {
    let home = home("s: { command: [cat], env: { A: vault:a } }\n");
    let script = r#"
        echo kept | secret set a
        mount -o remount,ro "$STATE" || exit 8
        echo refused | secret set b
        mount -o remount,rw "$STATE"
        echo later | secret set c
        secret list
    "#;
    let Some(said) = in_a_small_world("a read-only disk", &home, script) else {
        return;
    };
    assert!(
        said.contains("`a` is in the vault") && said.contains("`c` is in the vault"),
        "{said}"
    );
    assert!(
        !said.contains("`b` is in the vault") && said.contains("Read-only file system"),
        "{said}"
    );
}

/// A library that has every write and sync below a directory fail, as long as a file is there.
fn broken_disk(home: &Path) -> Option<PathBuf> {
    let (source, library) = (home.join("eio.c"), home.join("eio.so"));
    let text = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>
static int broken(void) { const char *flag = getenv("EIO_FLAG"); return flag && access(flag, F_OK) == 0; }
static int of_the_database(int fd) {
    char link[64], path[4096]; int i = 0; ssize_t n;
    char digits[16]; int d = 0; int v = fd; do { digits[d++] = '0' + v % 10; v /= 10; } while (v);
    const char *head = "/proc/self/fd/"; while (head[i]) { link[i] = head[i]; i++; }
    while (d) link[i++] = digits[--d]; link[i] = 0;
    n = readlink(link, path, sizeof path - 1); if (n < 0) return 0; path[n] = 0;
    for (char *p = path; *p; p++) if (p[0]=='j'&&p[1]=='a'&&p[2]=='n'&&p[3]=='u'&&p[4]=='s'&&p[5]=='.'&&p[6]=='d'&&p[7]=='b') return 1;
    return 0; }
#define FAIL(fd) if (broken() && of_the_database(fd)) { errno = EIO; return -1; }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { FAIL(fd) return ((ssize_t(*)(int,const void*,size_t,off64_t))dlsym(RTLD_NEXT,"pwrite64"))(fd,b,n,o); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { FAIL(fd) return ((ssize_t(*)(int,const void*,size_t,off_t))dlsym(RTLD_NEXT,"pwrite"))(fd,b,n,o); }
ssize_t write(int fd, const void *b, size_t n) { FAIL(fd) return ((ssize_t(*)(int,const void*,size_t))dlsym(RTLD_NEXT,"write"))(fd,b,n); }
int fsync(int fd) { FAIL(fd) return ((int(*)(int))dlsym(RTLD_NEXT,"fsync"))(fd); }
int fdatasync(int fd) { FAIL(fd) return ((int(*)(int))dlsym(RTLD_NEXT,"fdatasync"))(fd); }
"#;
    fs::write(&source, text).unwrap();
    let mut command = Command::new("cc");
    command
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl");
    match command.output() {
        Ok(made) if made.status.success() => Some(library),
        other => {
            skip(
                "a broken disk",
                &format!("cc does not make a library: {other:?}"),
            );
            None
        }
    }
}

#[test]
fn a_broken_disk_acknowledges_nothing_and_a_mended_one_does_again() {
    let home = home("s: { command: [cat], env: { A: vault:a } }\n");
    let Some(library) = broken_disk(home.path()) else {
        return;
    };
    let flag = home.path().join("broken");
    let janus = Janus::start_in(home, |command| {
        command.env("LD_PRELOAD", &library).env("EIO_FLAG", &flag);
    });
    succeeded(&set(janus.home(), "a", "kept"));
    fs::write(&flag, "").unwrap();
    for _ in 0..3 {
        let refused = set(janus.home(), "b", "lost");
        assert_eq!(
            refused.status.code(),
            Some(1),
            "{}{}",
            refused.stdout,
            refused.stderr
        );
        assert!(
            refused.stderr.contains("could not be saved"),
            "{}",
            refused.stderr
        );
    }
    let names = |janus: &Janus| {
        document(janus.home(), &["secret", "list"])["secrets"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(names(&janus), 1);
    fs::remove_file(&flag).unwrap();
    until("a disk that works", || {
        set(janus.home(), "c", "later").status.success()
    });
    let home = janus.kill();
    let listed = run(&home, &["secret", "list"]);
    assert!(
        listed.stdout.contains("a  ") && listed.stdout.contains("c  "),
        "{}",
        listed.stdout
    );
    succeeded(&set(&home, "a", "newer"));
}
