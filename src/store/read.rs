//! Everything that is kept, read once at the start.
//!
//! Invariant: a row that makes no sense costs itself and a warning, never the start. Pages that cannot be read do.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Result, Row};

use super::oauth;
use super::record::{
    CALLBACK_PORT, ChoiceRecord, EraRecord, Holder, ISSUER_OF, Kept, KeyKind, KeyRecord,
    ListingRecord, SecretRecord, SessionRecord, StoredEra, VaultRecord,
};
use crate::model::{
    AccountId, AccountName, BadName, ClientId, ProfileName, SecretName, ServerName,
};

/// Why a row is skipped.
#[derive(Debug, thiserror::Error)]
pub(super) enum Odd {
    #[error("{0}")]
    Name(#[from] BadName),
    #[error("a column holds something unexpected")]
    Column(#[from] rusqlite::Error),
    #[error("a word is not known")]
    Word,
}

pub(super) fn kept(database: &Connection) -> Result<Kept> {
    let chosen = rows(
        database,
        "chosen",
        "SELECT name, value FROM chosen ORDER BY name",
        chosen,
    )?;
    Ok(Kept {
        sessions: rows(
            database,
            "session",
            "SELECT id, client, facts, opened, used FROM session ORDER BY id",
            session,
        )?,
        choices: rows(
            database,
            "choice",
            "SELECT session, client, profile, server, account FROM choice
                ORDER BY session, client, profile, server",
            choice,
        )?,
        keys: rows(
            database,
            "access_key",
            "SELECT hash, id, client, kind, made, used FROM access_key ORDER BY made, hash",
            key,
        )?,
        listings: rows(
            database,
            "listing",
            "SELECT server, account, fingerprint, facts FROM listing ORDER BY server, account",
            listing,
        )?,
        eras: rows(
            database,
            "era",
            "SELECT server, account, fingerprint, era, since FROM era ORDER BY server, account",
            era,
        )?,
        vault: rows(
            database,
            "vault_meta",
            "SELECT id, key_id, created, probe FROM vault_meta",
            vault,
        )?
        .pop(),
        secrets: rows(
            database,
            "secret",
            "SELECT name, generation, updated, value FROM secret ORDER BY name",
            secret,
        )?,
        registrations: rows(
            database,
            "oauth_registration",
            oauth::REGISTRATIONS,
            oauth::registration,
        )?,
        grants: rows(database, "oauth_grant", oauth::GRANTS, oauth::grant)?,
        intents: rows(database, "refresh_intent", oauth::INTENTS, oauth::intent)?,
        callback_port: chosen
            .iter()
            .find(|(name, _)| name == CALLBACK_PORT)
            .and_then(|(_, value)| value.parse().ok()),
        issuers: chosen.into_iter().filter_map(issuer).collect(),
    })
}

fn issuer((name, issuer): (String, String)) -> Option<(AccountId, String)> {
    let (server, account) = name.strip_prefix(ISSUER_OF)?.split_once('/')?;
    let account = AccountId::new(
        ServerName::new(server).ok()?,
        AccountName::new(account).ok()?,
    );
    Some((account, issuer))
}

fn chosen(row: &Row<'_>) -> std::result::Result<(String, String), Odd> {
    Ok((text(row, 0)?, text(row, 1)?))
}

fn rows<T>(
    database: &Connection,
    table: &'static str,
    sql: &str,
    read: fn(&Row<'_>) -> std::result::Result<T, Odd>,
) -> Result<Vec<T>> {
    let mut statement = database.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        match read(row) {
            Ok(record) => records.push(record),
            Err(odd) => tracing::warn!(table, "a row of the state database is skipped: {odd}"),
        }
    }
    Ok(records)
}

fn session(row: &Row<'_>) -> std::result::Result<SessionRecord, Odd> {
    Ok(SessionRecord {
        id: row.get(0)?,
        client: client(row, 1)?,
        facts: row.get(2)?,
        opened: time(row.get(3)?),
        used: time(row.get(4)?),
    })
}

fn choice(row: &Row<'_>) -> std::result::Result<ChoiceRecord, Odd> {
    let session: Option<Arc<str>> = row.get(0)?;
    let holder = match (session, client(row, 1)?) {
        (Some(id), _) => Holder::Session(id),
        (None, Some(client)) => Holder::Client(client),
        (None, None) => Holder::Everybody,
    };
    Ok(ChoiceRecord {
        holder,
        profile: ProfileName::new(&text(row, 2)?)?,
        server: ServerName::new(&text(row, 3)?)?,
        account: AccountName::new(&text(row, 4)?)?,
    })
}

fn key(row: &Row<'_>) -> std::result::Result<KeyRecord, Odd> {
    let used: Option<i64> = row.get(5)?;
    Ok(KeyRecord {
        hash: row.get(0)?,
        id: row.get(1)?,
        client: client(row, 2)?,
        kind: KeyKind::of_word(&text(row, 3)?).ok_or(Odd::Word)?,
        made: time(row.get(4)?),
        used: used.map(time),
    })
}

fn listing(row: &Row<'_>) -> std::result::Result<ListingRecord, Odd> {
    Ok(ListingRecord {
        account: account(row)?,
        fingerprint: row.get(2)?,
        facts: row.get(3)?,
    })
}

fn era(row: &Row<'_>) -> std::result::Result<EraRecord, Odd> {
    Ok(EraRecord {
        account: account(row)?,
        fingerprint: row.get(2)?,
        era: StoredEra::of_word(&text(row, 3)?).ok_or(Odd::Word)?,
        since: time(row.get(4)?),
    })
}

fn vault(row: &Row<'_>) -> std::result::Result<VaultRecord, Odd> {
    Ok(VaultRecord {
        id: row.get(0)?,
        key_id: row.get(1)?,
        created: time(row.get(2)?),
        probe: row.get(3)?,
    })
}

fn secret(row: &Row<'_>) -> std::result::Result<SecretRecord, Odd> {
    let generation: i64 = row.get(1)?;
    Ok(SecretRecord {
        name: SecretName::new(&text(row, 0)?).map_err(|_| Odd::Word)?,
        generation: u64::try_from(generation).map_err(|_| Odd::Word)?,
        updated: time(row.get(2)?),
        value: row.get(3)?,
    })
}

pub(super) fn account(row: &Row<'_>) -> std::result::Result<AccountId, Odd> {
    Ok(AccountId::new(
        ServerName::new(&text(row, 0)?)?,
        AccountName::new(&text(row, 1)?)?,
    ))
}

fn client(row: &Row<'_>, column: usize) -> std::result::Result<Option<ClientId>, Odd> {
    let name: Option<String> = row.get(column)?;
    Ok(name.as_deref().map(ClientId::new).transpose()?)
}

pub(super) fn text(row: &Row<'_>, column: usize) -> Result<String> {
    row.get(column)
}

pub(super) fn time(nanoseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}
