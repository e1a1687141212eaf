//! The tables, as the migrations that lead to them.
//!
//! Invariants:
//! - A migration that was released is never edited.
//! - Times are nanoseconds since 1970, UTC: a time comes back as it went in.
//! - Words for kinds and eras are not checked here, so that a new word needs no new version.

use rusqlite::{Connection, TransactionBehavior};

/// `JANU`: whose database it is, for `file` and for us.
const APPLICATION: i32 = 0x4A41_4E55;

/// How many migrations have run is the version.
pub(super) const MIGRATIONS: &[&str] = &[VERSION_1, VERSION_2, VERSION_3, VERSION_4];

const VERSION_1: &str = "
CREATE TABLE session (
    id TEXT PRIMARY KEY,
    client TEXT,
    facts TEXT NOT NULL,
    opened INTEGER NOT NULL,
    used INTEGER NOT NULL
) STRICT;

-- Neither a session nor a client: everybody in the profile.
CREATE TABLE choice (
    session TEXT REFERENCES session (id) ON DELETE CASCADE,
    client TEXT,
    profile TEXT NOT NULL,
    server TEXT NOT NULL,
    account TEXT NOT NULL,
    CHECK (session IS NULL OR client IS NULL)
) STRICT;
CREATE UNIQUE INDEX one_choice ON choice (ifnull(session, ''), ifnull(client, ''), profile, server);
CREATE INDEX choices_of_session ON choice (session);

CREATE TABLE access_key (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
    id TEXT NOT NULL,
    client TEXT,
    kind TEXT NOT NULL,
    made INTEGER NOT NULL,
    used INTEGER
) STRICT;
CREATE INDEX keys_of_client ON access_key (client);

CREATE TABLE listing (
    server TEXT NOT NULL,
    account TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (server, account)
) STRICT;

CREATE TABLE era (
    server TEXT NOT NULL,
    account TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    era TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (server, account)
) STRICT;
";

/// The vault: what identifies it, and its sealed rows.
const VERSION_2: &str = "
CREATE TABLE vault_meta (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id TEXT NOT NULL,
    key_id BLOB NOT NULL,
    created INTEGER NOT NULL,
    probe BLOB NOT NULL
) STRICT;

CREATE TABLE secret (
    name TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    value BLOB NOT NULL
) STRICT;
";

/// OAuth: the clients that Janus is at authorization servers, what accounts were granted, the renewals that began,
/// and what was chosen once: the port to which browsers come back.
/// What is sealed is a `BLOB`; the `facts` are JSON, and of those who wrote them.
const VERSION_3: &str = "
CREATE TABLE oauth_registration (
    id TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    server TEXT NOT NULL,
    account TEXT,
    generation INTEGER NOT NULL,
    facts TEXT NOT NULL,
    client_id BLOB NOT NULL,
    client_secret BLOB
) STRICT;

CREATE TABLE oauth_grant (
    server TEXT NOT NULL,
    account TEXT NOT NULL,
    issuer TEXT NOT NULL,
    registration TEXT,
    generation INTEGER NOT NULL,
    facts TEXT NOT NULL,
    access_token BLOB,
    refresh_token BLOB,
    PRIMARY KEY (server, account)
) STRICT;

CREATE TABLE refresh_intent (
    server TEXT NOT NULL,
    account TEXT NOT NULL,
    generation INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    token_hash BLOB NOT NULL CHECK (length(token_hash) = 32),
    began INTEGER NOT NULL,
    PRIMARY KEY (server, account)
) STRICT;

CREATE TABLE chosen (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
";

/// What removes a registration at the authorization server (RFC 7592), where that gave it.
const VERSION_4: &str = "
ALTER TABLE oauth_registration ADD COLUMN registration_access_token BLOB;
";

/// Why a database cannot be brought to this version.
#[derive(Debug)]
pub(super) enum Stuck {
    /// A later Janus wrote it.
    Newer(i64),
    /// Another program wrote it.
    Foreign,
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Stuck {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// How many migrations have run. Reads only: a database that is not ours stays as it is.
pub(super) fn version(database: &Connection, migrations: &[&str]) -> Result<usize, Stuck> {
    let application = number(database, "application_id")?;
    let version = number(database, "user_version")?;
    let tables: i64 =
        database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let fresh = application == 0 && version == 0 && tables == 0;
    if !fresh && application != i64::from(APPLICATION) {
        return Err(Stuck::Foreign);
    }
    usize::try_from(version)
        .ok()
        .filter(|done| *done <= migrations.len())
        .ok_or(Stuck::Newer(version))
}

/// Runs the migrations that are missing.
pub(super) fn migrate(database: &mut Connection, migrations: &[&str]) -> Result<(), Stuck> {
    migrate_telling(database, migrations, || {})
}

/// The same, telling before each step.
pub(super) fn migrate_telling(
    database: &mut Connection,
    migrations: &[&str],
    mut before_a_step: impl FnMut(),
) -> Result<(), Stuck> {
    let done = version(database, migrations)?;
    for (step, at) in migrations.iter().zip(1_i64..).skip(done) {
        before_a_step();
        // The version changes with the tables or not at all.
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", at)?;
        transaction.commit()?;
    }
    Ok(())
}

fn number(database: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    database.pragma_query_value(None, pragma, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: &str = "
        ALTER TABLE session ADD COLUMN label TEXT NOT NULL DEFAULT 'none';
    ";
    const HALF: &str = "
        CREATE TABLE more (id TEXT) STRICT;
        CREATE TABLE session (id TEXT) STRICT;
    ";

    fn at(database: &Connection) -> i64 {
        number(database, "user_version").unwrap()
    }

    #[test]
    fn a_migration_keeps_what_was_there() {
        let mut database = Connection::open_in_memory().unwrap();
        migrate(&mut database, &[VERSION_1]).unwrap();
        assert_eq!(at(&database), 1);
        database
            .execute("INSERT INTO session VALUES ('s', NULL, '{}', 1, 2)", [])
            .unwrap();
        migrate(&mut database, &[VERSION_1, NEXT]).unwrap();
        assert_eq!(at(&database), 2);
        let row: (String, i64, String) = database
            .query_row("SELECT id, used, label FROM session", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(row, ("s".to_owned(), 2, "none".to_owned()));
        // A second start has nothing to do.
        migrate(&mut database, &[VERSION_1, NEXT]).unwrap();
        assert_eq!(at(&database), 2);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before() {
        let mut database = Connection::open_in_memory().unwrap();
        migrate(&mut database, &[VERSION_1]).unwrap();
        let stuck = migrate(&mut database, &[VERSION_1, HALF]).unwrap_err();
        assert!(matches!(stuck, Stuck::Sqlite(_)), "{stuck:?}");
        assert_eq!(at(&database), 1);
        let more: i64 = database
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE name = 'more'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(more, 0);
        migrate(&mut database, &[VERSION_1, NEXT]).unwrap();
    }

    #[test]
    fn a_later_version_and_a_foreign_database_are_refused() {
        let mut database = Connection::open_in_memory().unwrap();
        migrate(&mut database, &[VERSION_1, NEXT]).unwrap();
        let stuck = migrate(&mut database, &[VERSION_1]).unwrap_err();
        assert!(matches!(stuck, Stuck::Newer(2)), "{stuck:?}");
        assert_eq!(at(&database), 2);

        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE a (b)").unwrap();
        let stuck = migrate(&mut foreign, MIGRATIONS).unwrap_err();
        assert!(matches!(stuck, Stuck::Foreign), "{stuck:?}");
        assert_eq!(at(&foreign), 0);
    }
}
