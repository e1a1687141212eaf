//! The installation key: seals what clients hold for Janus, so that it still opens after a restart.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::directory::{StateDirectory, Unusable};
use super::private::{self, NotPrivate};

/// 32 random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct InstallationKey([u8; 32]);

impl InstallationKey {
    /// Reads the key of this installation, or makes it on the first start.
    pub fn of(directory: &StateDirectory) -> Result<Self, Unusable> {
        let path = directory.path().join("installation.key");
        match private::open(&path) {
            Ok(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(Unusable::io(&path))?;
                bytes.try_into().map(Self).map_err(|_| Unusable::NotOurs {
                    path,
                    reason: "is not a key of 32 bytes; remove it, and a new one is made",
                })
            }
            Err(NotPrivate::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                Self::make(&path)
            }
            Err(NotPrivate::Io(source)) => Err(Unusable::Io { path, source }),
            Err(not_private) => Err(Unusable::NotOurs {
                path,
                reason: match not_private {
                    NotPrivate::Link => "is a symbolic link",
                    NotPrivate::Foreign => "belongs to another user",
                    NotPrivate::NoFile | NotPrivate::Io(_) => "is not a file",
                    NotPrivate::Open => "can be read by others; remove it, and a new key is made",
                },
            }),
        }
    }

    /// A key for one process: for a gateway whose clients end with it.
    ///
    /// # Panics
    /// Never: the system has random numbers once it has started.
    #[expect(
        clippy::expect_used,
        reason = "the system's generator never fails once it has started"
    )]
    pub fn ephemeral() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the system has random numbers");
        Self(key)
    }

    /// Written whole under another name first: a crash leaves no half key.
    fn make(path: &Path) -> Result<Self, Unusable> {
        let key = Self::ephemeral();
        let draft = path.with_extension("new");
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&draft)?;
            file.write_all(&key.0)?;
            file.sync_all()?;
            fs::rename(&draft, path)
        };
        write().map_err(Unusable::io(path))?;
        Ok(key)
    }

    /// The key itself, for the one who seals.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for InstallationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_kept_to_oneself() {
        let home = tempfile::tempdir().unwrap();
        let directory = StateDirectory::open(home.path()).unwrap();
        let key = InstallationKey::of(&directory).unwrap();
        assert_eq!(InstallationKey::of(&directory).unwrap(), key);
        let path = home.path().join("installation.key");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            InstallationKey::of(&directory),
            Err(Unusable::NotOurs { .. })
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"short").unwrap();
        assert!(matches!(
            InstallationKey::of(&directory),
            Err(Unusable::NotOurs { .. })
        ));
    }
}
