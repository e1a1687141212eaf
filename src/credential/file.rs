//! A secret in a file: a systemd credential, a container's secret, something that another program renews.
//!
//! Links are followed, because container runtimes and `kubelet` renew by them; what counts is the file they lead to.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::error::NoCredential;
use crate::model::Reference;

/// A certificate chain with its key is shorter.
const LONGEST: u64 = 64 * 1024;

/// Which version of a file was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    device: u64,
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
    changed: (i64, i64),
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: metadata.modified().ok(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// That of the file there now.
    pub(super) fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path)
            .ok()
            .map(|metadata| Self::of(&metadata))
    }
}

/// The text of a file that others can neither read nor change.
pub(super) fn read(path: &Path) -> Result<(Zeroizing<String>, Version), NoCredential> {
    let reference = || Reference::File(path.to_owned());
    let bad = |why: &str| NoCredential::Bad {
        reference: reference(),
        why: why.to_owned(),
    };
    // Whatever waits there (a pipe, a terminal) does not hold us up.
    let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC)
        .bits()
        .cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file: File = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(NoCredential::Missing {
                reference: reference(),
                why: "the file does not exist".to_owned(),
            });
        }
        Err(error) => return Err(bad(&format!("the file cannot be read: {error}"))),
    };
    let metadata = file.metadata().map_err(|error| bad(&error.to_string()))?;
    if !metadata.is_file() {
        return Err(bad("it is not a file"));
    }
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(bad("it belongs to another user"));
    }
    // The group may read it: so does systemd hand out credentials, and container runtimes their secrets.
    if metadata.mode() & 0o027 != 0 {
        return Err(bad(&format!(
            "others can read or change it; `chmod 600 {}` mends that",
            path.display()
        )));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| bad(&format!("it cannot be read: {error}")))?;
    if bytes.len() as u64 > LONGEST {
        return Err(bad("it is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| bad("it is not text"))?;
    Ok((Zeroizing::new(text.to_owned()), Version::of(&metadata)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_read_if_nobody_else_could_have_written_it() {
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join("token"), home.path().join("link"));
        fs::write(&file, "value\n").unwrap();
        for (mode, is_fine) in [
            (0o600, true),
            (0o400, true),
            (0o640, true),
            (0o660, false),
            (0o604, false),
        ] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&file).is_ok(), is_fine, "{mode:o}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let (text, version) = read(&link).unwrap();
        assert_eq!(
            (text.as_str(), Version::at(&file)),
            ("value\n", Some(version.clone()))
        );
        fs::write(home.path().join("new"), "value 2\n").unwrap();
        fs::rename(home.path().join("new"), &file).unwrap();
        assert_ne!(Version::at(&file), Some(version));
        assert!(matches!(
            read(&home.path().join("absent")),
            Err(NoCredential::Missing { .. })
        ));
        assert!(matches!(read(home.path()), Err(NoCredential::Bad { .. })));
    }
}
