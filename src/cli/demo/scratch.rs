//! A directory that is nobody else's and does not stay.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::cli::{Exit, Failure};

/// Removed when dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes it where the environment has things that do not last: `$XDG_RUNTIME_DIR`, `$TMPDIR`, `/tmp`.
    pub(super) fn make(environment: &[(String, OsString)]) -> Result<Self, Failure> {
        let named = ["XDG_RUNTIME_DIR", "TMPDIR"]
            .into_iter()
            .filter_map(|wanted| {
                let (_, value) = environment.iter().find(|(name, _)| name == wanted)?;
                Some(PathBuf::from(value)).filter(|path| path.is_absolute())
            });
        let mut failure = Failure::new(
            Exit::Failed,
            "failed",
            "there is no directory for what the demo writes",
        );
        for parent in named.chain([PathBuf::from("/tmp")]) {
            match Self::within(&parent) {
                Ok(made) => return Ok(made),
                Err(error) => {
                    failure = failure.because(format!("`{}`: {error}", parent.display()));
                }
            }
        }
        Err(failure.help("TMPDIR=DIR janus demo"))
    }

    /// A name that nobody can guess, and a directory that must not exist yet: what others put there in advance is not
    /// followed.
    fn within(parent: &Path) -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let path = parent.join(format!("janus-demo-{:016x}", u64::from_ne_bytes(random)));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it, and says so if that fails.
    pub(super) fn remove(self) -> Result<(), Failure> {
        fs::remove_dir_all(&self.0).map_err(|error| {
            Failure::new(
                Exit::Failed,
                "failed",
                "the demo's directory cannot be removed",
            )
            .place(self.0.display().to_string())
            .because(error.to_string())
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // After `remove` there is nothing left; on a failure, the failure is what counts.
        drop(fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_private_and_goes_away() {
        let parent = tempfile::tempdir().unwrap();
        let environment = [
            (
                "XDG_RUNTIME_DIR".to_owned(),
                OsString::from("/nowhere/at/all"),
            ),
            ("TMPDIR".to_owned(), parent.path().into()),
        ];
        let scratch = Scratch::make(&environment).unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(path.parent(), Some(parent.path()));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        fs::write(path.join("x"), "").unwrap();
        drop(scratch);
        assert!(!path.exists());

        let scratch = Scratch::make(&environment).unwrap();
        let path = scratch.path().to_owned();
        scratch.remove().unwrap();
        assert!(!path.exists());
    }
}
