//! The file `janus.db`: checked, opened, and set up so that what is committed stays.
//!
//! Invariants:
//! - The file exists, 0600, before SQLite sees it; SQLite gives the files beside it the same mode.
//! - A new file is whole before it has its name.
//! - A commit has reached the disk: a write-ahead log with `synchronous=FULL`.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::directory::{StateDirectory, Unusable, check_owner};
use super::schema::{MIGRATIONS, Stuck, migrate, migrate_telling, version};

/// Somebody who looks into it with `sqlite3` holds it for moments, not for longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Checking every page reads the whole file. Up to here that takes a few hundredths of a second; a file of the usual
/// size has a hundredth of it.
const CHECKED: u64 = 16 * 1024 * 1024;
/// What SQLite keeps beside the file.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Opens the database of a state directory, or makes it.
pub(super) fn open(
    directory: &StateDirectory,
    before_a_step: impl FnMut(),
) -> Result<(Connection, PathBuf), Unusable> {
    let path = directory.path().join("janus.db");
    prepare(&path)?;
    // No link is followed, wherever it comes from; hence a path in which there is none.
    let whole = fs::canonicalize(&path).map_err(Unusable::io(&path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let size = fs::metadata(&path).map_err(Unusable::io(&path))?.len();
    let opened = Connection::open_with_flags(&whole, flags)
        .map_err(Stuck::Sqlite)
        .and_then(|mut database| {
            database.busy_timeout(PATIENCE)?;
            // Reads only, up to here: what is not ours, or damaged, is not touched.
            version(&database, MIGRATIONS)?;
            if size <= CHECKED {
                check(&database)?;
            }
            set_up(&database)?;
            migrate_telling(&mut database, MIGRATIONS, before_a_step)?;
            Ok(database)
        });
    match opened {
        Ok(database) => Ok((database, path)),
        Err(stuck) => Err(unusable(path, stuck)),
    }
}

/// Whether [`open`] would find a format that it knows. Nothing is changed.
pub(super) fn may_open(directory: &Path) -> Result<(), Unusable> {
    if look_at(&directory.join("janus.db"))? {
        look(directory)?;
    }
    Ok(())
}

/// Whether a state directory has a database.
pub(super) fn is_there(directory: &Path) -> Result<bool, Unusable> {
    look_at(&directory.join("janus.db"))
}

/// Opens the database of a state directory for reading only. Its version must be this one.
pub(super) fn look(directory: &Path) -> Result<(Connection, PathBuf), Unusable> {
    let path = directory.join("janus.db");
    if !look_at(&path)? {
        return Err(Unusable::NotOurs {
            path,
            reason: "is not there: nothing was ever kept",
        });
    }
    let whole = fs::canonicalize(&path).map_err(Unusable::io(&path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let opened = Connection::open_with_flags(&whole, flags)
        .map_err(Stuck::Sqlite)
        .and_then(|database| {
            database.busy_timeout(PATIENCE)?;
            version(&database, MIGRATIONS)?;
            Ok(database)
        });
    match opened {
        Ok(database) => Ok((database, path)),
        Err(stuck) => Err(unusable(path, stuck)),
    }
}

/// A database that ends with the process.
pub(super) fn in_memory() -> Result<(Connection, PathBuf), Unusable> {
    let opened = Connection::open_in_memory()
        .map_err(Stuck::Sqlite)
        .and_then(|mut database| {
            set_up(&database)?;
            migrate(&mut database, MIGRATIONS)?;
            Ok(database)
        });
    let path = PathBuf::from(":memory:");
    match opened {
        Ok(database) => Ok((database, path)),
        Err(stuck) => Err(unusable(path, stuck)),
    }
}

/// Makes the file where it is missing; where it is there, it must be ours, and so must what is beside it.
fn prepare(path: &Path) -> Result<(), Unusable> {
    let beside = BESIDE.map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    });
    if look_at(path)? {
        for file in &beside {
            look_at(file)?;
        }
        return Ok(());
    }
    // The log of a database that is gone: SQLite would drop it as well, but nobody should have to know.
    for file in &beside {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Unusable::io(file)(error));
            }
            _ => {}
        }
    }
    make(path)
}

/// Makes a database beside its place and moves it there when it is whole and on the disk: two syncs instead of the
/// eight that SQLite needs step by step, and what a crash leaves is not in the way.
fn make(path: &Path) -> Result<(), Unusable> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Unusable::io(&new)(error));
        }
        _ => {}
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(Unusable::io(&new))?;
    fill(&new).map_err(|stuck| unusable(new.clone(), stuck))?;
    let moved = file.sync_all().and_then(|()| fs::rename(&new, path));
    let directory = path.parent().unwrap_or(path);
    moved
        .and_then(|()| fs::File::open(directory)?.sync_all())
        .map_err(Unusable::io(path))
}

/// Brings an empty file to this version. Nobody else sees it, and it is thrown away where this does not come to its
/// end, so it needs no journal.
fn fill(new: &Path) -> Result<(), Stuck> {
    let whole = fs::canonicalize(new).unwrap_or_else(|_| new.to_owned());
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut database = Connection::open_with_flags(whole, flags)?;
    database.pragma_update(None, "synchronous", "OFF")?;
    database.pragma_update_and_check(None, "journal_mode", "MEMORY", |_| Ok(()))?;
    migrate(&mut database, MIGRATIONS)?;
    // It is in the file's head from now on.
    database.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    database.close().map_err(|(_, error)| Stuck::Sqlite(error))
}

/// Whether a file is there, and only ours.
fn look_at(path: &Path) -> Result<bool, Unusable> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Unusable::io(path)(error)),
    };
    check_owner(path, &metadata)?;
    let reason = if !metadata.is_file() {
        "is not a file"
    } else if metadata.permissions().mode() & 0o077 != 0 {
        "can be read by others; if you trust what is in it, `chmod 600` it"
    } else {
        return Ok(true);
    };
    Err(Unusable::NotOurs {
        path: path.to_owned(),
        reason,
    })
}

fn set_up(database: &Connection) -> rusqlite::Result<()> {
    // Answers with the mode it is in now: `memory` for a database in memory. Where a file system has no shared memory
    // it stays with the journal it had, which is slower and as durable.
    let mode: String =
        database.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    tracing::debug!(mode, "the state database is open");
    database.pragma_update(None, "synchronous", "FULL")?;
    // What is deleted is overwritten: a sealed secret that was removed is gone from the file.
    database.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    // On macOS a plain sync stops at the drive's own memory.
    database.pragma_update(None, "fullfsync", true)?;
    database.pragma_update(None, "checkpoint_fullfsync", true)?;
    database.pragma_update(None, "foreign_keys", true)
}

fn check(database: &Connection) -> Result<(), Stuck> {
    let found: String = database.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    tracing::error!("the state database is damaged: {found}");
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(Stuck::Sqlite(rusqlite::Error::SqliteFailure(
        code,
        Some(found),
    )))
}

pub(super) fn unusable(path: PathBuf, stuck: Stuck) -> Unusable {
    let known = MIGRATIONS.len();
    let error = match stuck {
        Stuck::Newer(version) => {
            return Unusable::Newer {
                path,
                version,
                known,
            };
        }
        Stuck::Foreign => {
            return Unusable::NotOurs {
                path,
                reason: "is the database of another program",
            };
        }
        Stuck::Sqlite(error) => error,
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Unusable::Damaged {
            path,
            source: error,
        },
        _ => Unusable::Database {
            path,
            source: error,
        },
    }
}
