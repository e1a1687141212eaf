//! All secrets in one file, encrypted with a passphrase in the format of age (<https://age-encryption.org/v1>), so that
//! other tools open it too.

use std::io::{Read, Write};
use std::sync::Arc;

use age::secrecy::SecretString;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::error::Refused;
use super::open::Vault;
use crate::model::{Secret, SecretName};

/// What the file says it is.
const FORMAT: &str = "janus/secrets/1";
/// Far above any vault.
const LONGEST: u64 = 64 * 1024 * 1024;
/// The work factor is 2 to this; age itself aims at a second, and one of a strange file may not take minutes.
const MOST_WORK: u8 = 20;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What was set.
    pub set: Vec<SecretName>,
    /// What was there already and stayed as it was.
    pub kept: Vec<SecretName>,
}

impl Vault {
    /// Everything, encrypted.
    ///
    /// # Errors
    /// It is sealed, or a row is damaged.
    pub async fn export(&self, passphrase: &Secret) -> Result<Vec<u8>, Refused> {
        if passphrase.expose().is_empty() {
            return Err(Refused::NoPassphrase);
        }
        self.open().await?;
        let text = {
            let mut state = self.state();
            let names: Vec<SecretName> = state.rows.keys().cloned().collect();
            let mut secrets = Vec::new();
            for name in names {
                let value = state.value(&name)?;
                secrets.push(json!({"name": name.as_str(), "value": value.expose()}));
            }
            Zeroizing::new(json!({"format": FORMAT, "secrets": secrets}).to_string())
        };
        let passphrase = SecretString::from(passphrase.expose().to_owned());
        aside(move || encrypt(&text, passphrase)).await
    }

    /// Takes in what [`Vault::export`] wrote. A secret that is there already stays, unless `replace`.
    ///
    /// # Errors
    /// It is no export, the passphrase is another one, or the vault does not take it; then nothing changed.
    pub async fn import(
        &self,
        file: Vec<u8>,
        passphrase: &Secret,
        replace: bool,
    ) -> Result<Imported, Refused> {
        let passphrase = SecretString::from(passphrase.expose().to_owned());
        let text = aside(move || decrypt(&file, passphrase)).await?;
        let secrets = parse(&text)?;
        let _turn = self.0.turn.lock().await;
        let (kept, new): (Vec<_>, Vec<_>) = secrets
            .into_iter()
            .partition(|(name, _)| !replace && self.has(name));
        if !new.is_empty() {
            self.save(&new).await?;
        }
        let names = |secrets: Vec<(SecretName, Arc<Secret>)>| {
            secrets.into_iter().map(|(name, _)| name).collect()
        };
        Ok(Imported {
            set: names(new),
            kept: names(kept),
        })
    }
}

/// Beside the thread that serves: a passphrase is meant to take a second.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(Refused::NotImported(
        "the work on the file was cut off",
    )))
}

fn encrypt(text: &str, passphrase: SecretString) -> Result<Vec<u8>, Refused> {
    let failed = |_| Refused::NotImported("the secrets cannot be encrypted");
    let encryptor = age::Encryptor::with_user_passphrase(passphrase);
    let mut file = Vec::new();
    let mut writer = encryptor.wrap_output(&mut file).map_err(failed)?;
    writer.write_all(text.as_bytes()).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}

fn decrypt(file: &[u8], passphrase: SecretString) -> Result<Zeroizing<String>, Refused> {
    let decryptor =
        age::Decryptor::new(file).map_err(|_| Refused::NotImported("this is not a file of age"))?;
    if !decryptor.is_scrypt() {
        return Err(Refused::NotImported(
            "this file is not encrypted with a passphrase",
        ));
    }
    let mut identity = age::scrypt::Identity::new(passphrase);
    identity.set_max_work_factor(MOST_WORK);
    let identities = std::iter::once(&identity as &dyn age::Identity);
    let reader = decryptor
        .decrypt(identities)
        .map_err(|_| Refused::NotImported("the passphrase is not the one it was written with"))?;
    let mut text = Zeroizing::new(String::new());
    let read = reader.take(LONGEST).read_to_string(&mut text);
    read.map_err(|_| Refused::NotImported("the file is damaged"))?;
    Ok(text)
}

fn parse(text: &str) -> Result<Vec<(SecretName, Arc<Secret>)>, Refused> {
    let strange = || Refused::NotImported("the file holds no secrets of Janus");
    let document: Value = serde_json::from_str(text).map_err(|_| strange())?;
    if document.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(strange());
    }
    let secrets = document
        .get("secrets")
        .and_then(Value::as_array)
        .ok_or_else(strange)?;
    let secret = |one: &Value| {
        let name = SecretName::new(one.get("name")?.as_str()?).ok()?;
        Some((name, Arc::new(Secret::new(one.get("value")?.as_str()?))))
    };
    secrets
        .iter()
        .map(|one| secret(one).ok_or_else(strange))
        .collect()
}
