//! Why something could not be saved, in words a person can act on.

use std::sync::Arc;

use rusqlite::ErrorCode;

/// Nothing of the change was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSaved {
    /// A person must make room.
    #[error("nothing can be saved: the disk of {0} is full")]
    DiskFull(Arc<str>),
    /// A person must give the permission back, or mount the disk for writing.
    #[error("nothing can be saved: {0} is read-only")]
    ReadOnly(Arc<str>),
    /// A person must stop the program that holds it.
    #[error("nothing can be saved: another program holds {0}")]
    Held(Arc<str>),
    /// A person must look: restore a copy, or move the file away and begin anew.
    #[error(
        "nothing can be saved: {0} is damaged; stop Janus and restore it from a copy, or move it away to begin anew"
    )]
    Damaged(Arc<str>),
    /// The system refused in another way.
    #[error("nothing can be saved: {database} cannot be written ({reason})")]
    Failed {
        /// The database.
        database: Arc<str>,
        /// SQLite's words.
        reason: String,
    },
    /// What it is about has ended meanwhile, or exists already.
    #[error("this cannot be saved: what it is about has ended or exists already")]
    Contradiction,
    /// It came too late.
    #[error("nothing can be saved any more: Janus is stopping")]
    Stopping,
}

impl NotSaved {
    pub(super) fn of(error: &rusqlite::Error, database: &Arc<str>) -> Self {
        let database = Arc::clone(database);
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull(database),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly(database),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Held(database),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(database),
            Some(ErrorCode::ConstraintViolation) => Self::Contradiction,
            _ => Self::Failed {
                database,
                reason: error.to_string(),
            },
        }
    }
}
