//! The sealed columns of a row of OAuth, and back.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::model::Secret;
use crate::store::{GrantRecord, RegistrationRecord};
use crate::telemetry::learn;
use crate::vault::error::Sealed;
use crate::vault::key::VaultKey;
use crate::vault::seal::{Row, open, seal};

const GRANT: &str = "oauth_grant";
const REGISTRATION: &str = "oauth_registration";
const ACCESS: &str = "access_token";
const REFRESH: &str = "refresh_token";
const CLIENT: &str = "client_id";
const SECRET: &str = "client_secret";
const MANAGING: &str = "registration_access_token";

/// What is sealed of a grant.
#[derive(Debug, Clone, Default)]
pub struct GrantSecrets {
    /// The access token.
    pub access: Option<Arc<Secret>>,
    /// The refresh token.
    pub refresh: Option<Arc<Secret>>,
}

/// What is sealed of a registration.
#[derive(Debug, Clone)]
pub struct RegistrationSecrets {
    /// `client_id`
    pub id: Arc<Secret>,
    /// `client_secret`
    pub secret: Option<Arc<Secret>>,
    /// `registration_access_token`
    pub managing: Option<Arc<Secret>>,
}

/// Why a row is not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// The vault is closed.
    #[error("the vault is sealed: {0}")]
    Sealed(Sealed),
    /// The row is damaged, or was put there by somebody who has not the key.
    #[error("its row is damaged or was changed from outside")]
    Damaged,
}

impl GrantSecrets {
    pub(super) fn open(key: &VaultKey, grant: &GrantRecord) -> Result<Self, NotOpened> {
        let id = grant.account.to_string();
        let row = |column| Row::new(GRANT, &id, column, grant.generation);
        Ok(Self {
            access: opened(key, row(ACCESS), grant.access_token.as_deref())?,
            refresh: opened(key, row(REFRESH), grant.refresh_token.as_deref())?,
        })
    }

    /// The record with these in it.
    pub(super) fn seal(
        &self,
        key: &VaultKey,
        grant: GrantRecord,
    ) -> Result<GrantRecord, getrandom::Error> {
        let id = grant.account.to_string();
        let row = |column| Row::new(GRANT, &id, column, grant.generation);
        Ok(GrantRecord {
            access_token: sealed(key, row(ACCESS), self.access.as_ref())?,
            refresh_token: sealed(key, row(REFRESH), self.refresh.as_ref())?,
            ..grant
        })
    }
}

impl RegistrationSecrets {
    pub(super) fn open(key: &VaultKey, one: &RegistrationRecord) -> Result<Self, NotOpened> {
        let row = |column| Row::new(REGISTRATION, &one.id, column, one.generation);
        Ok(Self {
            // It is no secret (RFC 6749, section 2.2), and stands in the link that people open.
            id: unsealed(key, row(CLIENT), Some(&one.client_id))?.ok_or(NotOpened::Damaged)?,
            secret: opened(key, row(SECRET), one.client_secret.as_deref())?,
            managing: opened(key, row(MANAGING), one.registration_access_token.as_deref())?,
        })
    }

    /// The record with these in it.
    pub(super) fn seal(
        &self,
        key: &VaultKey,
        one: RegistrationRecord,
    ) -> Result<RegistrationRecord, getrandom::Error> {
        let id = Arc::clone(&one.id);
        let row = |column| Row::new(REGISTRATION, &id, column, one.generation);
        Ok(RegistrationRecord {
            client_id: sealed(key, row(CLIENT), Some(&self.id))?.unwrap_or_default(),
            client_secret: sealed(key, row(SECRET), self.secret.as_ref())?,
            registration_access_token: sealed(key, row(MANAGING), self.managing.as_ref())?,
            ..one
        })
    }
}

/// Of one key, sealed with another.
pub(super) fn grant_again(
    one: &GrantRecord,
    (old, new): (&VaultKey, &VaultKey),
) -> Result<GrantRecord, getrandom::Error> {
    let id = one.account.to_string();
    let row = |column| Row::new(GRANT, &id, column, one.generation);
    let again = |column, value: &Option<Vec<u8>>| again((old, new), row(column), value.as_deref());
    Ok(GrantRecord {
        access_token: again(ACCESS, &one.access_token)?,
        refresh_token: again(REFRESH, &one.refresh_token)?,
        ..one.clone()
    })
}

/// Of one key, sealed with another.
pub(super) fn registration_again(
    one: &RegistrationRecord,
    (old, new): (&VaultKey, &VaultKey),
) -> Result<RegistrationRecord, getrandom::Error> {
    let row = |column| Row::new(REGISTRATION, &one.id, column, one.generation);
    let again = |column, value: Option<&[u8]>| again((old, new), row(column), value);
    Ok(RegistrationRecord {
        client_id: again(CLIENT, Some(&one.client_id))?.unwrap_or_default(),
        client_secret: again(SECRET, one.client_secret.as_deref())?,
        registration_access_token: again(MANAGING, one.registration_access_token.as_deref())?,
        ..one.clone()
    })
}

/// A column that does not open is damaged, and stays as it is: it costs its own account a login.
fn again(
    (old, new): (&VaultKey, &VaultKey),
    row: Row<'_>,
    value: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, getrandom::Error> {
    let Some(value) = value else {
        return Ok(None);
    };
    match open(old, row, value) {
        Some(text) => seal(new, row, &text).map(Some),
        None => Ok(Some(value.to_vec())),
    }
}

/// What is kept out of the log from here on.
fn opened(
    key: &VaultKey,
    row: Row<'_>,
    value: Option<&[u8]>,
) -> Result<Option<Arc<Secret>>, NotOpened> {
    let secret = unsealed(key, row, value)?;
    secret.iter().for_each(learn);
    Ok(secret)
}

fn unsealed(
    key: &VaultKey,
    row: Row<'_>,
    value: Option<&[u8]>,
) -> Result<Option<Arc<Secret>>, NotOpened> {
    let Some(value) = value else {
        return Ok(None);
    };
    let text = open(key, row, value).ok_or(NotOpened::Damaged)?;
    let text = std::str::from_utf8(&text).map_err(|_| NotOpened::Damaged)?;
    Ok(Some(Arc::new(Secret::new(text))))
}

fn sealed(
    key: &VaultKey,
    row: Row<'_>,
    secret: Option<&Arc<Secret>>,
) -> Result<Option<Vec<u8>>, getrandom::Error> {
    let Some(secret) = secret else {
        return Ok(None);
    };
    let text = Zeroizing::new(secret.expose().as_bytes().to_vec());
    seal(key, row, &text).map(Some)
}
