//! One change, as statements. Whoever calls holds the transaction.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Result, params};

use super::oauth;
use super::record::{
    CALLBACK_PORT, Change, EraRecord, Holder, ISSUER_OF, KeyRecord, ListingRecord, SecretRecord,
    SessionRecord, VaultRecord,
};
use crate::model::{AccountId, AccountName, ClientId, ProfileName, ServerName};

pub(super) fn apply(database: &Connection, change: &Change) -> Result<()> {
    match change {
        Change::SessionOpened(session) => open_session(database, session),
        Change::SessionsUsed(used) => used.iter().try_for_each(|(id, at)| {
            // Notes may overtake each other; the last use is the latest.
            let sql = "UPDATE session SET used = max(used, ?2) WHERE id = ?1";
            run(database, sql, params![id, nanoseconds(*at)])
        }),
        Change::SessionFacts { id, facts } => {
            let sql = "UPDATE session SET facts = ?2 WHERE id = ?1";
            run(database, sql, params![id, facts])
        }
        Change::SessionEnded(id) => run(database, "DELETE FROM session WHERE id = ?1", params![id]),
        Change::Chosen {
            holder,
            profile,
            server,
            account,
        } => choose(database, holder, profile, server, Some(account)),
        Change::Unchosen {
            holder,
            profile,
            server,
        } => choose(database, holder, profile, server, None),
        Change::KeyMade(key) => make_key(database, key),
        Change::KeysReplaced { client, key } => {
            end_keys(database, client)?;
            make_key(database, key)
        }
        Change::KeysEnded { client } => end_keys(database, client),
        Change::KeyEnded { hash } => {
            let sql = "DELETE FROM access_key WHERE hash = ?1";
            run(database, sql, params![hash])
        }
        Change::KeysUsed(used) => used.iter().try_for_each(|(hash, at)| {
            let sql = "UPDATE access_key SET used = max(ifnull(used, ?2), ?2) WHERE hash = ?1";
            run(database, sql, params![hash, nanoseconds(*at)])
        }),
        Change::Listed(listing) => list(database, listing),
        Change::EraFound(era) => find_era(database, era),
        Change::EraForgotten(account) => forget(database, "era", account),
        Change::AccountGone(account) => {
            forget(database, "listing", account)?;
            forget(database, "era", account)
        }
        Change::VaultMade(vault) => make_vault(database, vault),
        Change::SecretsSaved(secrets) => secrets
            .iter()
            .try_for_each(|one| save_secret(database, one)),
        Change::SecretRemoved(name) => {
            let sql = "DELETE FROM secret WHERE name = ?1";
            run(database, sql, params![name.as_str()])
        }
        Change::Rekeyed {
            vault,
            secrets,
            registrations,
            grants,
        } => {
            run(database, "DELETE FROM vault_meta", params![])?;
            make_vault(database, vault)?;
            secrets
                .iter()
                .try_for_each(|one| save_secret(database, one))?;
            registrations
                .iter()
                .try_for_each(|one| oauth::keep_registration(database, one))?;
            grants
                .iter()
                .try_for_each(|one| oauth::change_grant(database, one.generation, one))
        }
        Change::RegistrationKept(registration) => oauth::keep_registration(database, registration),
        Change::RegistrationsGone(ids) => ids.iter().try_for_each(|id| {
            let sql = "DELETE FROM oauth_registration WHERE id = ?1";
            run(database, sql, params![id])
        }),
        Change::GrantBegun(grant) => {
            forget(database, "refresh_intent", &grant.account)?;
            oauth::begin_grant(database, grant)
        }
        Change::GrantChanged { was, grant } => {
            forget(database, "refresh_intent", &grant.account)?;
            oauth::change_grant(database, *was, grant)
        }
        Change::GrantEnded(account) => {
            forget(database, "refresh_intent", account)?;
            forget(database, "oauth_grant", account)?;
            let sql = "DELETE FROM chosen WHERE name = ?1";
            run(database, sql, params![format!("{ISSUER_OF}{account}")])
        }
        Change::RefreshIntended(intent) => oauth::intend(database, intent),
        Change::RefreshOver(account) => forget(database, "refresh_intent", account),
        Change::CallbackPort(port) => choose_once(database, CALLBACK_PORT, &port.to_string()),
        Change::IssuerTrusted { account, issuer } => {
            choose_once(database, &format!("{ISSUER_OF}{account}"), issuer)
        }
    }
}

fn choose_once(database: &Connection, name: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO chosen (name, value) VALUES (?1, ?2)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    run(database, sql, params![name, value])
}

/// A second vault contradicts the first.
fn make_vault(database: &Connection, vault: &VaultRecord) -> Result<()> {
    let sql =
        "INSERT INTO vault_meta (only, id, key_id, created, probe) VALUES (1, ?1, ?2, ?3, ?4)";
    let created = nanoseconds(vault.created);
    run(
        database,
        sql,
        params![vault.id, vault.key_id, created, vault.probe],
    )
}

fn save_secret(database: &Connection, secret: &SecretRecord) -> Result<()> {
    let sql = "INSERT INTO secret (name, generation, updated, value) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (name) DO UPDATE SET generation = excluded.generation,
            updated = excluded.updated, value = excluded.value";
    let generation = i64::try_from(secret.generation).unwrap_or(i64::MAX);
    let (name, updated) = (secret.name.as_str(), nanoseconds(secret.updated));
    run(
        database,
        sql,
        params![name, generation, updated, secret.value],
    )
}

/// `REPLACE` would delete the row first, and the session's choices with it.
fn open_session(database: &Connection, session: &SessionRecord) -> Result<()> {
    let sql = "INSERT INTO session (id, client, facts, opened, used) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (id) DO UPDATE SET client = excluded.client, facts = excluded.facts,
            opened = excluded.opened, used = excluded.used";
    let client = session.client.as_ref().map(ClientId::as_str);
    let (opened, used) = (nanoseconds(session.opened), nanoseconds(session.used));
    run(
        database,
        sql,
        params![session.id, client, session.facts, opened, used],
    )
}

fn choose(
    database: &Connection,
    holder: &Holder,
    profile: &ProfileName,
    server: &ServerName,
    account: Option<&AccountName>,
) -> Result<()> {
    let (session, client) = match holder {
        Holder::Session(id) => (Some(&**id), None),
        Holder::Client(client) => (None, Some(client.as_str())),
        Holder::Everybody => (None, None),
    };
    let (profile, server) = (profile.as_str(), server.as_str());
    let sql = "DELETE FROM choice
        WHERE session IS ?1 AND client IS ?2 AND profile = ?3 AND server = ?4";
    run(database, sql, params![session, client, profile, server])?;
    let Some(account) = account else {
        return Ok(());
    };
    let sql = "INSERT INTO choice (session, client, profile, server, account)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    let account = account.as_str();
    run(
        database,
        sql,
        params![session, client, profile, server, account],
    )
}

fn make_key(database: &Connection, key: &KeyRecord) -> Result<()> {
    let sql = "INSERT INTO access_key (hash, id, client, kind, made, used)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let client = key.client.as_ref().map(ClientId::as_str);
    let (made, used) = (nanoseconds(key.made), key.used.map(nanoseconds));
    run(
        database,
        sql,
        params![key.hash, key.id, client, key.kind.word(), made, used],
    )
}

fn end_keys(database: &Connection, client: &ClientId) -> Result<()> {
    let sql = "DELETE FROM access_key WHERE client = ?1";
    run(database, sql, params![client.as_str()])
}

fn list(database: &Connection, listing: &ListingRecord) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO listing (server, account, fingerprint, facts)
        VALUES (?1, ?2, ?3, ?4)";
    let (server, account) = names(&listing.account);
    run(
        database,
        sql,
        params![server, account, listing.fingerprint, listing.facts],
    )
}

fn find_era(database: &Connection, era: &EraRecord) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO era (server, account, fingerprint, era, since)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    let (server, account) = names(&era.account);
    let since = nanoseconds(era.since);
    run(
        database,
        sql,
        params![server, account, era.fingerprint, era.era.word(), since],
    )
}

/// `table` is one of ours, never a word from outside.
fn forget(database: &Connection, table: &'static str, account: &AccountId) -> Result<()> {
    let sql = format!("DELETE FROM {table} WHERE server = ?1 AND account = ?2");
    let (server, account) = names(account);
    run(database, &sql, params![server, account])
}

pub(super) fn names(account: &AccountId) -> (&str, &str) {
    (account.server().as_str(), account.account().as_str())
}

/// How many rows it touched is nobody's business: what is gone already need not go again.
pub(super) fn run(database: &Connection, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<()> {
    database.execute(sql, values).map(drop)
}

/// A time before 1970 or after 2262 is a clock set wrong: the nearest one that fits is as good.
pub(super) fn nanoseconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}
