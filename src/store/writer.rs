//! The thread that owns the connection, and the handle on it.
//!
//! A sync takes milliseconds on a laptop's disk and stops the thread that asked for it, so it happens on a thread of
//! its own. What came in meanwhile shares the next one: a hundred sessions opened at once cost two syncs.
//!
//! Invariants:
//! - Changes are applied in the order they came in.
//! - Nobody is answered before the commit. If it fails, everybody in the group is told, and nothing of it stays.
//! - A change that contradicts what is there (a choice of a session that ended) fails alone.
//! - The thread ends with [`Store::close`], or with the last handle.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::apply::apply;
use super::database;
use super::directory::{StateDirectory, Unusable};
use super::read;
use super::record::{Change, Kept};
use super::schema::Stuck;
use super::unsaved::NotSaved;

/// Changes that wait for the disk. Those who must be answered wait for a place; notes go without.
const QUEUE: usize = 256;
/// Changes in one commit: what waits in a full queue.
const GROUP: usize = QUEUE;

/// The state database. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: mpsc::Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What became of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// What waited was saved, or only a person can change that it was not.
    Done,
    /// Nothing can be saved by this process any more; another one may.
    Stuck,
    /// The store is closed.
    Closed,
}

type Answer = oneshot::Sender<Result<(), NotSaved>>;

enum Message {
    /// A note has nobody to answer.
    Save(Change, Option<Answer>),
    /// Somebody wants to know whether the thread still works.
    Turn(oneshot::Sender<Turn>),
    Close(oneshot::Sender<()>),
    /// Works no more, as if the disk did not answer.
    #[cfg(debug_assertions)]
    Hang,
}

impl Store {
    /// Opens the database of a state directory, or makes it, and reads what is there.
    ///
    /// # Errors
    /// It is not ours, newer than this Janus, damaged, or the system refuses.
    pub fn open(directory: &StateDirectory) -> Result<(Self, Kept), Unusable> {
        Self::open_telling(directory, || {})
    }

    /// The same, telling before each step that brings an older database to this version: it may take long.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_telling(
        directory: &StateDirectory,
        before_a_step: impl FnMut(),
    ) -> Result<(Self, Kept), Unusable> {
        database::open(directory, before_a_step).and_then(Self::over)
    }

    /// Whether what a state directory has is of a format that this program knows. Nothing is written.
    ///
    /// # Errors
    /// It is newer, not ours, or cannot be read.
    pub fn may_open(directory: &Path) -> Result<(), Unusable> {
        database::may_open(directory)
    }

    /// Whether a state directory has anything.
    ///
    /// # Errors
    /// It cannot be seen, or is not ours alone.
    pub fn is_there(directory: &Path) -> Result<bool, Unusable> {
        database::is_there(directory)
    }

    /// What a state directory has, read beside whoever holds it. Nothing is written, and nothing is made.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn look(directory: &Path) -> Result<Kept, Unusable> {
        let (database, path) = database::look(directory)?;
        read::kept(&database).map_err(|error| database::unusable(path, Stuck::Sqlite(error)))
    }

    /// A store that ends with the process.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn in_memory() -> Result<(Self, Kept), Unusable> {
        database::in_memory().and_then(Self::over)
    }

    pub(super) fn over(
        (database, path): (Connection, std::path::PathBuf),
    ) -> Result<(Self, Kept), Unusable> {
        let kept = read::kept(&database)
            .map_err(|error| database::unusable(path.clone(), Stuck::Sqlite(error)))?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let name = format!("`{}`", path.display()).into();
        let writer = Writer {
            database,
            name,
            failing: false,
        };
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(waiting))
            .map_err(Unusable::io(&path))?;
        let thread = Mutex::new(Some(thread));
        Ok((Self(Arc::new(Inner { queue, thread })), kept))
    }

    /// Saves a change. It is committed when this returns, also when the future is dropped after it had a place.
    ///
    /// # Errors
    /// Why nothing of it was kept.
    pub async fn write(&self, change: Change) -> Result<(), NotSaved> {
        let (answer, saved) = oneshot::channel();
        let message = Message::Save(change, Some(answer));
        let queued = self.0.queue.send(message).await;
        queued.map_err(|_| NotSaved::Stopping)?;
        saved.await.unwrap_or(Err(NotSaved::Stopping))
    }

    /// Saves a change if there is room, for what costs little when it is lost. Never waits.
    pub fn note(&self, change: Change) {
        if let Err(error) = self.0.queue.try_send(Message::Save(change, None)) {
            tracing::debug!("a note is not saved: {error}");
        }
    }

    /// Waits until the thread has done with what waits now.
    pub async fn turn(&self) -> Turn {
        let (done, turned) = oneshot::channel();
        if self.0.queue.send(Message::Turn(done)).await.is_err() {
            return Turn::Closed;
        }
        turned.await.unwrap_or(Turn::Closed)
    }

    /// From here on the thread does nothing, for tests of what happens then.
    #[cfg(debug_assertions)]
    pub async fn hang(&self) {
        drop(self.0.queue.send(Message::Hang).await);
    }

    /// Saves what waits, and ends the thread. What comes later is refused.
    pub async fn close(&self) {
        let (done, ended) = oneshot::channel();
        if self.0.queue.send(Message::Close(done)).await.is_ok() {
            // A thread that is gone without an answer has nothing left to save.
            ended.await.ok();
        }
        let thread = self.0.thread.lock();
        let thread = thread.unwrap_or_else(PoisonError::into_inner).take();
        // It has done everything but end, so this does not stop the caller's thread.
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the state database panicked");
        }
    }
}

struct Writer {
    database: Connection,
    /// For messages.
    name: Arc<str>,
    /// Whether the last group was lost: said once, not for each.
    failing: bool,
}

impl Writer {
    fn run(mut self, mut waiting: mpsc::Receiver<Message>) {
        let mut closers = Vec::new();
        while let Some(first) = waiting.blocking_recv() {
            let (mut group, mut turns) = (Vec::new(), Vec::new());
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Save(change, answer) => group.push((change, answer)),
                    Message::Turn(done) => turns.push(done),
                    #[cfg(debug_assertions)]
                    Message::Hang => loop {
                        thread::park();
                    },
                    Message::Close(done) => {
                        closers.push(done);
                        // What is in the queue already is saved; nothing comes in any more.
                        waiting.close();
                    }
                }
                next = (group.len() < GROUP)
                    .then(|| waiting.try_recv().ok())
                    .flatten();
            }
            self.save(group);
            if !turns.is_empty() {
                let turned = self.turn();
                for turn in turns {
                    // Whoever asked may have stopped waiting.
                    turn.send(turned).ok();
                }
            }
        }
        // The log is copied into the database here, so that the next start finds one file.
        if let Err((_, error)) = self.database.close() {
            tracing::warn!("{} is not closed in order: {error}", self.name);
        }
        for closer in closers {
            // Whoever asked may have stopped waiting.
            closer.send(()).ok();
        }
    }

    /// After a commit that failed, it is tried whether another one would too: nobody may write anything for hours.
    fn turn(&mut self) -> Turn {
        if !self.failing {
            return Turn::Done;
        }
        match probe(&mut self.database) {
            Err(error) if may_be_over_in_another_process(&error) => Turn::Stuck,
            _ => Turn::Done,
        }
    }

    fn save(&mut self, group: Vec<(Change, Option<Answer>)>) {
        if group.is_empty() {
            return;
        }
        let (changes, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let outcomes = match commit(&mut self.database, &changes) {
            Ok(outcomes) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("{} can be written again", self.name);
                }
                outcomes
            }
            Err(error) => {
                let unsaved = NotSaved::of(&error, &self.name);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!("{unsaved}");
                }
                vec![Err(unsaved); answers.len()]
            }
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            match (answer, outcome) {
                // Whoever asked may have stopped waiting.
                (Some(answer), outcome) => drop(answer.send(outcome)),
                (None, Err(unsaved)) => tracing::debug!("a note is not saved: {unsaved}"),
                (None, Ok(())) => {}
            }
        }
    }
}

/// All changes in one transaction, or none; but a contradiction fails alone.
fn commit(
    database: &mut Connection,
    changes: &[Change],
) -> rusqlite::Result<Vec<Result<(), NotSaved>>> {
    let mut transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut outcomes = Vec::with_capacity(changes.len());
    for change in changes {
        let savepoint = transaction.savepoint()?;
        let outcome = match apply(&savepoint, change) {
            Ok(()) => {
                savepoint.commit()?;
                Ok(())
            }
            Err(error) if contradicts(&error) => {
                // Dropping it undoes what the change did so far.
                savepoint.finish()?;
                Err(NotSaved::Contradiction)
            }
            Err(error) => return Err(error),
        };
        outcomes.push(outcome);
    }
    transaction.commit()?;
    Ok(outcomes)
}

/// Writes what is there already.
fn probe(database: &mut Connection) -> rusqlite::Result<()> {
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

/// Whether opening the database anew may help. A full disk, a missing permission, another program's lock and damage are
/// there after a new start too.
fn may_be_over_in_another_process(error: &rusqlite::Error) -> bool {
    !matches!(
        NotSaved::of(error, &"".into()),
        NotSaved::DiskFull(_)
            | NotSaved::ReadOnly(_)
            | NotSaved::Held(_)
            | NotSaved::Damaged(_)
            | NotSaved::Contradiction
    )
}

fn contradicts(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn what_only_a_person_mends_is_no_reason_to_start_anew() {
        for (code, helps) in [
            (ffi::SQLITE_FULL, false),
            (ffi::SQLITE_READONLY, false),
            (ffi::SQLITE_BUSY, false),
            (ffi::SQLITE_CORRUPT, false),
            (ffi::SQLITE_IOERR_WRITE, true),
            (ffi::SQLITE_NOMEM, true),
            (ffi::SQLITE_CANTOPEN, true),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(may_be_over_in_another_process(&error), helps, "{code}");
        }
    }

    #[test]
    fn what_is_tried_is_a_write() {
        let directory = tempfile::tempdir().unwrap();
        let mut database = Connection::open(directory.path().join("db")).unwrap();
        database.pragma_update(None, "user_version", 7).unwrap();
        probe(&mut database).unwrap();
        database.pragma_update(None, "query_only", true).unwrap();
        let error = probe(&mut database).unwrap_err();
        assert_eq!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::ReadOnly)
        );
    }
}
