//! Which program the units start: this one, by the name that stays when it is upgraded.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::cli::Context;

/// What the kernel writes behind the path of a program whose file was replaced (`proc_pid_exe(5)`).
const DELETED: &[u8] = b" (deleted)";

/// This program, as a person calls it.
pub(super) fn program(context: &Context) -> std::io::Result<PathBuf> {
    let called = std::env::args_os().next().unwrap_or_default();
    let path = context.environment.child_environment();
    let path = path.into_iter().find(|(name, _)| name == "PATH");
    let path = path.map(|(_, path)| path).unwrap_or_default();
    Ok(named(&std::env::current_exe()?, &called, &path))
}

/// Whether both are the same file, now.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// The kernel knows the file behind all links, which may lie in a directory of its version. The name by which it was
/// called, or found on the PATH, is the one that the next version has too.
fn named(running: &Path, called: &OsStr, path: &OsStr) -> PathBuf {
    let running = match running.as_os_str().as_bytes().strip_suffix(DELETED) {
        Some(before) => PathBuf::from(OsString::from_vec(before.to_vec())),
        None => running.to_owned(),
    };
    let called = Path::new(called);
    let plain = called
        .parent()
        .is_some_and(|parent| parent.as_os_str().is_empty());
    let found = std::env::split_paths(path)
        .map(|directory| directory.join(called))
        .filter(|_| plain);
    let mut names = std::iter::once(called.to_owned()).chain(found);
    let stays = names.find(|name| name.is_absolute() && is_same(name, &running));
    stays.unwrap_or(running)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_name_that_stays_is_taken() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let version = home.join("janus-1.2/janus");
        for directory in ["janus-1.2", "bin", "other"] {
            fs::create_dir(home.join(directory)).unwrap();
        }
        for program in [&version, &home.join("other/janus")] {
            fs::write(program, "").unwrap();
        }
        let link = home.join("bin/janus");
        symlink(&version, &link).unwrap();
        let path = std::env::join_paths([home.join("other"), home.join("bin")]).unwrap();
        let of = |called: &OsStr| named(&version, called, &path);
        // Another one of that name is before it on the PATH.
        assert_eq!(of("janus".as_ref()), link);
        assert_eq!(of(link.as_os_str()), link);
        assert_eq!(of(version.as_os_str()), version);
        // Somebody else's name for it, or one that means something only here.
        for called in ["/bin/sh", "bin/janus", ""] {
            assert_eq!(of(called.as_ref()), version);
        }
        // It was replaced while it runs.
        let gone = home.join("janus-1.2/janus (deleted)");
        assert_eq!(named(&gone, "janus".as_ref(), &path), link);
        assert_eq!(named(&gone, "x".as_ref(), &path), version);
    }
}
