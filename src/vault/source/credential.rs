//! A key that systemd hands to the service: `LoadCredential=janus-vault-key:PATH` (`systemd.exec(5)`, "Credentials").

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::vault::error::Sealed;
use crate::vault::key::VaultKey;

/// Its name among the credentials.
const NAME: &str = "janus-vault-key";

pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// systemd owns the directory and its modes, so that there is nothing to check.
pub(super) fn read(path: &Path) -> Result<VaultKey, Sealed> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Sealed::Unusable(format!(
                "the service has no credential `{NAME}`"
            )));
        }
        Err(error) => {
            return Err(Sealed::Unusable(format!(
                "the credential `{NAME}`: {error}"
            )));
        }
    };
    VaultKey::read(&bytes).ok_or_else(|| {
        Sealed::Unusable(format!(
            "the credential `{NAME}` is not 32 bytes, raw, hexadecimal or base64"
        ))
    })
}
