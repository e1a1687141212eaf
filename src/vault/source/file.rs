//! A key in a file, by explicit choice: it lies beside what it protects.
//!
//! Invariants:
//! - A file that is a link, somebody else's or open to others is refused.
//! - A key is never written over: one that is taken over from `FILE.new` opens the vault, the other one does not.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::store::private;
use crate::vault::error::{Refused, Sealed};
use crate::vault::key::VaultKey;

/// Longer than a key in any of its forms.
const LONGEST: u64 = 4096;

pub(super) fn read(path: &Path) -> Result<VaultKey, Sealed> {
    let unusable = |why: String| Sealed::Unusable(format!("`{}` {why}", path.display()));
    let file = match private::open(path) {
        Ok(file) => file,
        Err(private::NotPrivate::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Sealed::NoKey(format!(
                "`{}` is not there and",
                path.display()
            )));
        }
        Err(error) => return Err(unusable(error.to_string())),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LONGEST)
        .read_to_end(&mut bytes)
        .map_err(|error| unusable(format!("cannot be read: {error}")))?;
    VaultKey::read(&bytes)
        .ok_or_else(|| unusable("is not a key: 32 bytes, raw, hexadecimal or base64".to_owned()))
}

/// Writes a key where there is none.
pub(super) fn make(path: &Path, key: &VaultKey) -> Result<(), Refused> {
    let not_kept = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Refused::Exists(path.to_owned()),
        _ => Refused::NotKept {
            place: format!("`{}`", path.display()),
            why: error.to_string(),
        },
    };
    if let Some(directory) = path.parent() {
        private::make_directory(directory).map_err(not_kept)?;
    }
    let mut file = private::create(path).map_err(not_kept)?;
    let written = file
        .write_all(key.text().as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| sync(path)) {
        // Half a key is none.
        std::fs::remove_file(path).ok();
        return Err(not_kept(error));
    }
    Ok(())
}

/// Where the next key is written before the vault is sealed with it.
pub(in crate::vault) fn next(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Puts the next key in the place of the one that opens nothing any more.
pub(in crate::vault) fn succeed(path: &Path) -> std::io::Result<()> {
    std::fs::rename(next(path), path)?;
    sync(path)
}

fn sync(path: &Path) -> std::io::Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
}
