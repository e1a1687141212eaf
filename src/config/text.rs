//! The bytes of the file, bounded, as text.

use std::fs::File;
use std::io::{ErrorKind, Read};

use super::problem::{ConfigError, Position};
use super::{Location, Named};

/// Far above any configuration, far below what would hurt.
const LARGEST: u64 = 1024 * 1024;

/// The text of the configuration; `None` where nobody named a file and none is there.
pub(super) fn read(location: &Location) -> Result<Option<String>, ConfigError> {
    let path = || location.path.clone();
    let unreadable = |source| ConfigError::Unreadable {
        path: path(),
        source,
    };
    let file = match File::open(&location.path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return match location.named {
                Named::Default => Ok(None),
                named => Err(ConfigError::NotFound {
                    path: path(),
                    named,
                }),
            };
        }
        opened => opened.map_err(unreadable)?,
    };
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(ConfigError::Directory { path: path() });
    }
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that fits from one that does not, whatever its metadata says.
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(ConfigError::TooLarge { path: path() });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => Err(ConfigError::NotText {
            path: path(),
            position: end_of(error.utf8_error().valid_up_to(), error.as_bytes()),
        }),
    }
}

/// The position after the first `length` bytes, which are valid UTF-8.
fn end_of(length: usize, bytes: &[u8]) -> Position {
    let text = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default());
    let last = text.rsplit('\n').next().unwrap_or_default();
    Position {
        line: text.matches('\n').count() + 1,
        column: last.chars().count() + 1,
    }
}
