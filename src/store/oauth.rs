//! The rows of OAuth, as statements and back.
//!
//! Invariant: a grant is changed by who names the generation that is there, and by nobody else.

use rusqlite::{Connection, Error, Result, Row, ffi, params};

use super::apply::{names, nanoseconds, run};
use super::read::{Odd, account, text, time};
use super::record::{GrantRecord, IntentRecord, RegistrationRecord};
use crate::model::{AccountName, ServerName};

pub(super) const REGISTRATIONS: &str = "SELECT id, issuer, server, account, generation, facts,
    client_id, client_secret, registration_access_token FROM oauth_registration ORDER BY id";
pub(super) const GRANTS: &str = "SELECT server, account, issuer, registration, generation, facts,
    access_token, refresh_token FROM oauth_grant ORDER BY server, account";
pub(super) const INTENTS: &str = "SELECT server, account, generation, attempt, token_hash, began
    FROM refresh_intent ORDER BY server, account";

pub(super) fn keep_registration(database: &Connection, one: &RegistrationRecord) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO oauth_registration (id, issuer, server, account, generation,
        facts, client_id, client_secret, registration_access_token)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    run(
        database,
        sql,
        params![
            one.id,
            one.issuer,
            one.server.as_str(),
            one.account.as_ref().map(AccountName::as_str),
            number(one.generation),
            one.facts,
            one.client_id,
            one.client_secret,
            one.registration_access_token
        ],
    )
}

pub(super) fn begin_grant(database: &Connection, grant: &GrantRecord) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO oauth_grant (server, account, issuer, registration,
        generation, facts, access_token, refresh_token)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let (server, account) = names(&grant.account);
    run(
        database,
        sql,
        params![
            server,
            account,
            grant.issuer,
            grant.registration,
            number(grant.generation),
            grant.facts,
            grant.access_token,
            grant.refresh_token
        ],
    )
}

pub(super) fn change_grant(database: &Connection, was: u64, grant: &GrantRecord) -> Result<()> {
    let sql = "UPDATE oauth_grant SET issuer = ?4, registration = ?5, generation = ?6, facts = ?7,
        access_token = ?8, refresh_token = ?9
        WHERE server = ?1 AND account = ?2 AND generation = ?3";
    let (server, account) = names(&grant.account);
    let changed = database.execute(
        sql,
        params![
            server,
            account,
            number(was),
            grant.issuer,
            grant.registration,
            number(grant.generation),
            grant.facts,
            grant.access_token,
            grant.refresh_token
        ],
    )?;
    if changed == 1 {
        return Ok(());
    }
    // Said as the database says it of other contradictions.
    let code = ffi::Error::new(ffi::SQLITE_CONSTRAINT);
    Err(Error::SqliteFailure(code, None))
}

pub(super) fn intend(database: &Connection, intent: &IntentRecord) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO refresh_intent (server, account, generation, attempt,
        token_hash, began) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (server, account) = names(&intent.account);
    run(
        database,
        sql,
        params![
            server,
            account,
            number(intent.generation),
            intent.attempt,
            intent.token_hash,
            nanoseconds(intent.began)
        ],
    )
}

pub(super) fn registration(row: &Row<'_>) -> std::result::Result<RegistrationRecord, Odd> {
    let account: Option<String> = row.get(3)?;
    Ok(RegistrationRecord {
        id: row.get(0)?,
        issuer: row.get(1)?,
        server: ServerName::new(&text(row, 2)?)?,
        account: account.as_deref().map(AccountName::new).transpose()?,
        generation: counted(row, 4)?,
        facts: row.get(5)?,
        client_id: row.get(6)?,
        client_secret: row.get(7)?,
        registration_access_token: row.get(8)?,
    })
}

pub(super) fn grant(row: &Row<'_>) -> std::result::Result<GrantRecord, Odd> {
    Ok(GrantRecord {
        account: account(row)?,
        issuer: row.get(2)?,
        registration: row.get(3)?,
        generation: counted(row, 4)?,
        facts: row.get(5)?,
        access_token: row.get(6)?,
        refresh_token: row.get(7)?,
    })
}

pub(super) fn intent(row: &Row<'_>) -> std::result::Result<IntentRecord, Odd> {
    Ok(IntentRecord {
        account: account(row)?,
        generation: counted(row, 2)?,
        attempt: row.get(3)?,
        token_hash: row.get(4)?,
        began: time(row.get(5)?),
    })
}

/// The database counts with a sign.
fn number(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}

fn counted(row: &Row<'_>, column: usize) -> std::result::Result<u64, Odd> {
    let generation: i64 = row.get(column)?;
    u64::try_from(generation).map_err(|_| Odd::Word)
}
