//! What the disk does not take, beside it: a file in the run-time directory, which is another file system.
//!
//! Invariants:
//! - It holds what a row would: sealed tokens, and what is known of them.
//! - It is 0600, whole, and of one account.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::model::{AccountId, hex};
use crate::store::{GrantRecord, private};

/// Two tokens of 16 KiB and what is known of them.
const LONGEST: u64 = 256 * 1024;

#[derive(Serialize, Deserialize)]
struct File {
    account: String,
    issuer: String,
    registration: Option<String>,
    generation: u64,
    facts: String,
    access_token: Option<String>,
    refresh_token: Option<String>,
}

/// Keeps a sealed record.
pub(super) fn write(directory: &Path, record: &GrantRecord) -> io::Result<()> {
    let encoded = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
    let file = File {
        account: record.account.to_string(),
        issuer: record.issuer.clone(),
        registration: record.registration.as_deref().map(str::to_owned),
        generation: record.generation,
        facts: record.facts.clone(),
        access_token: encoded(&record.access_token),
        refresh_token: encoded(&record.refresh_token),
    };
    let text = serde_json::to_vec(&file).map_err(io::Error::other)?;
    private::make_directory(directory)?;
    let path = path(directory, &record.account);
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private::create(&draft)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&draft, &path)
}

/// Something is there that cannot be trusted or read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// What was kept for an account.
pub(super) fn read(directory: &Path, account: &AccountId) -> Result<Option<GrantRecord>, Damaged> {
    let path = path(directory, account);
    let opened = match private::open(&path) {
        Ok(opened) => opened,
        Err(private::NotPrivate::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(why) => {
            tracing::warn!("`{}` {why}, and is not used", path.display());
            return Err(Damaged);
        }
    };
    let mut text = Vec::new();
    let whole = opened.take(LONGEST).read_to_end(&mut text);
    whole.map_err(|_| Damaged)?;
    parsed(&text, account).map(Some).ok_or(Damaged)
}

fn parsed(text: &[u8], account: &AccountId) -> Option<GrantRecord> {
    let file: File = serde_json::from_slice(text).ok()?;
    let decoded = |text: &Option<String>| match text {
        None => Some(None),
        Some(text) => STANDARD.decode(text).ok().map(Some),
    };
    (file.account == account.to_string()).then_some(())?;
    Some(GrantRecord {
        account: account.clone(),
        access_token: decoded(&file.access_token)?,
        refresh_token: decoded(&file.refresh_token)?,
        issuer: file.issuer,
        registration: file.registration.map(Arc::from),
        generation: file.generation,
        facts: file.facts,
    })
}

/// It is on the disk, or of no use.
pub(super) fn forget(directory: &Path, account: &AccountId) {
    let path = path(directory, account);
    for path in [path.with_extension("new"), path] {
        match fs::remove_file(&path) {
            // Most accounts never had one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(why) => tracing::warn!(%account, "`{}` cannot be removed: {why}", path.display()),
            Ok(()) => {}
        }
    }
}

/// A name that no account can lead elsewhere.
fn path(directory: &Path, account: &AccountId) -> PathBuf {
    directory.join(format!("{}.json", hex(account.to_string().as_bytes())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::model::{AccountName, ServerName};

    #[test]
    fn what_is_kept_comes_back_and_is_private() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("rescue");
        let account = AccountId::new(
            ServerName::new("s").unwrap(),
            AccountName::new("a").unwrap(),
        );
        assert_eq!(read(&directory, &account), Ok(None));
        let record = GrantRecord {
            account: account.clone(),
            issuer: "https://as.example".to_owned(),
            registration: Some("r".into()),
            generation: 7,
            facts: "{}".to_owned(),
            access_token: Some(vec![1, 2]),
            refresh_token: None,
        };
        write(&directory, &record).unwrap();
        write(&directory, &record).unwrap();
        assert_eq!(read(&directory, &account), Ok(Some(record)));
        let path = path(&directory, &account);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&directory)), (0o600, 0o700));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&directory, &account), Err(Damaged));
        forget(&directory, &account);
        assert!(!path.exists());
    }
}
