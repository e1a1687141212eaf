//! Files that are this user's alone: opened without following a link, checked as opened, made with their mode.
//!
//! No umask: children would inherit it, and a mode that is asked for is only ever narrowed by one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Why a file is not taken for private.
#[derive(Debug, thiserror::Error)]
pub enum NotPrivate {
    /// The system refused.
    #[error("cannot be opened: {0}")]
    Io(#[source] io::Error),
    /// It may be swapped.
    #[error("is a symbolic link")]
    Link,
    /// Not a file.
    #[error("is not a file")]
    NoFile,
    /// It was put there.
    #[error("belongs to another user")]
    Foreign,
    /// Somebody may have read it.
    #[error("can be read or written by others; if you trust what is in it, `chmod 600` it")]
    Open,
}

/// Opens a file that nobody else could read or write.
///
/// # Errors
/// Why it is not trusted.
pub fn open(path: &Path) -> Result<File, NotPrivate> {
    // A pipe would be waited for, so that it is opened without waiting.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = opened.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
        Some(rustix::io::Errno::LOOP) => NotPrivate::Link,
        _ => NotPrivate::Io(error),
    })?;
    let metadata = file.metadata().map_err(NotPrivate::Io)?;
    if !metadata.is_file() {
        return Err(NotPrivate::NoFile);
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(NotPrivate::Foreign);
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(NotPrivate::Open);
    }
    Ok(file)
}

/// Makes a file that is not there yet, 0600.
///
/// # Errors
/// It is there, as a link perhaps, or the system refuses.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Makes a directory and those above it where they are missing, 0700.
///
/// # Errors
/// The system refuses.
pub fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn links_directories_and_open_files_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join("file"), home.path().join("link"));
        drop(create(&file).unwrap());
        open(&file).unwrap();
        assert!(create(&file).is_err());
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(matches!(open(&link), Err(NotPrivate::Link)));
        assert!(create(&link).is_err());
        assert!(matches!(open(home.path()), Err(NotPrivate::NoFile)));
        for mode in [0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(open(&file), Err(NotPrivate::Open)), "{mode:o}");
        }
    }
}
