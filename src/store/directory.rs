//! The state directory and the lock on it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// Files are written beside their place first.
const DRAFTS: [&str; 2] = ["janus.new", "installation.new"];

/// What a holder that was killed leaves behind is gone by then.
const LAST_MOMENT: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);

/// A state directory that is ours alone as long as this value lives.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    /// The lock goes with the descriptor, also when the process is killed.
    lock: File,
}

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A person must stop the other one, or give this one a directory of its own.
    #[error("another Janus{} uses the state directory `{}`", pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(), path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process that holds it, where it said so.
        pid: Option<u32>,
    },
    /// The directory, or a file in it, belongs to somebody else or is readable by others.
    #[error("`{}` {reason}", path.display())]
    NotOurs {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A person must start a Janus that is at least as new, or give this one a directory of its own.
    #[error("`{}` was written by a later Janus (format {version}; this one knows {known})", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// The version of its format.
        version: i64,
        /// The latest version this Janus knows.
        known: usize,
    },
    /// A person must restore a copy, or move the file away and begin anew.
    #[error("`{}` is damaged; restore it from a copy, or move it away to begin anew", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// The database cannot be opened or read.
    #[error("`{}` cannot be used", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// The system refused.
    #[error("`{}` cannot be used", path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Unusable {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

impl StateDirectory {
    /// Makes the directory if it is missing, checks it, and takes the lock.
    pub fn open(path: &Path) -> Result<Self, Unusable> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(Unusable::io(path))?;
        let metadata = fs::symlink_metadata(path).map_err(Unusable::io(path))?;
        check_owner(path, &metadata)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
                .map_err(Unusable::io(path))?;
        }
        let lock = take_lock(&path.join("lock"))?;
        for draft in DRAFTS {
            // What a crash left half done was never in its place.
            fs::remove_file(path.join(draft)).ok();
        }
        Ok(Self {
            path: path.to_owned(),
            lock,
        })
    }

    /// Goes on with the lock that an earlier program of this process took.
    ///
    /// # Errors
    /// It is not the lock of this directory.
    pub fn adopt(path: &Path, lock: Option<OwnedFd>) -> Result<Self, Unusable> {
        let not_ours = || Unusable::NotOurs {
            path: path.to_owned(),
            reason: "is not the directory that this process has locked",
        };
        let lock = File::from(lock.ok_or_else(not_ours)?);
        let held = lock.metadata().map_err(Unusable::io(path))?;
        let there = fs::metadata(path.join("lock")).map_err(Unusable::io(path))?;
        if (held.dev(), held.ino()) != (there.dev(), there.ino()) {
            return Err(not_ours());
        }
        Ok(Self {
            path: path.to_owned(),
            lock,
        })
    }

    /// The lock, for the program that this process becomes.
    ///
    /// # Errors
    /// Too many files are open.
    pub fn lock(&self) -> std::io::Result<OwnedFd> {
        self.lock.try_clone().map(OwnedFd::from)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn take_lock(path: &Path) -> Result<File, Unusable> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(Unusable::io(path))?;
    let end = Instant::now() + LAST_MOMENT;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        // The number is a courtesy: without it the message says less.
        let read = file
            .rewind()
            .and_then(|()| file.read_to_string(&mut holder));
        let pid: Option<u32> = read.ok().and_then(|_| holder.trim().parse().ok());
        // A process that it was about to start when it was killed has the lock until it becomes another program.
        if pid.is_some_and(is_gone) && Instant::now() < end {
            thread::park_timeout(LOOK);
            continue;
        }
        return Err(Unusable::InUse {
            path: path.parent().unwrap_or(path).to_owned(),
            pid,
        });
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(Unusable::io(path))?;
    Ok(file)
}

/// Whether no process has this number.
fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

/// What holds our secrets belongs to us and is no link to somewhere else.
pub(super) fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), Unusable> {
    let not_ours = |reason| {
        Err(Unusable::NotOurs {
            path: path.to_owned(),
            reason,
        })
    };
    if metadata.file_type().is_symlink() {
        return not_ours("is a symbolic link");
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return not_ours("belongs to another user");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_learns_who_the_first_is() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state/janus");
        let first = StateDirectory::open(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        let text = StateDirectory::open(&path).unwrap_err().to_string();
        assert_eq!(
            text,
            format!(
                "another Janus (process {}) uses the state directory `{}`",
                std::process::id(),
                path.display()
            )
        );
        drop(first);
        StateDirectory::open(&path).unwrap();
    }

    #[test]
    fn a_link_and_an_open_directory_are_not_trusted() {
        let home = tempfile::tempdir().unwrap();
        let (real, link) = (home.path().join("real"), home.path().join("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(matches!(
            StateDirectory::open(&link),
            Err(Unusable::NotOurs { .. })
        ));
        let target = home.path().join("target");
        std::os::unix::fs::symlink(&target, real.join("lock")).unwrap();
        assert!(StateDirectory::open(&real).is_err());
        assert!(!target.exists());
        fs::remove_file(real.join("lock")).unwrap();
        fs::write(real.join("janus.new"), "half").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o755)).unwrap();
        let opened = StateDirectory::open(&real).unwrap();
        assert!(!real.join("janus.new").exists());
        assert_eq!(
            fs::metadata(opened.path()).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
}
