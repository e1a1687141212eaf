//! The vault, for `janus secret` and `janus vault`. A value comes in and never goes out: what leaves is names, and an
//! encrypted file.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use super::{Answer, Problem, read, seconds};
use crate::model::{AccountId, KeySource, Reference, Secret, SecretName, Server};
use crate::vault::{NotThere, Refused, Sealed, Vault};

/// The vault and who uses it.
#[derive(Debug, Clone, Copy)]
pub struct Secrets<'a> {
    /// The vault.
    pub vault: &'a Vault,
    /// The servers, whose accounts name its secrets.
    pub servers: &'a [Arc<Server>],
    /// Where changes run to their end, also when nobody waits for them any more: store and memory change together.
    pub tasks: &'a TaskTracker,
}

/// What is set. No `Debug`: it holds the value.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealing {
    passphrase: String,
    #[serde(default)]
    file: String,
    #[serde(default)]
    replace: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    to: String,
    #[serde(default)]
    key_file: Option<PathBuf>,
}

impl Secrets<'_> {
    /// Whether a path is one of these.
    pub(super) fn serves(path: &str) -> bool {
        path.starts_with("/secret") || path.starts_with("/vault")
    }

    pub(super) async fn answer(&self, method: &Method, path: &str, text: &[u8]) -> Answer {
        match (method, path) {
            (&Method::GET, "/secrets") => Ok(self.list()),
            (&Method::POST, "/secret/set") => self.set(read(text)?).await,
            (&Method::POST, "/secret/remove") => self.remove(&read(text)?).await,
            (&Method::POST, "/secret/export") => self.export(read(text)?).await,
            (&Method::POST, "/secret/import") => self.import(read(text)?).await,
            (&Method::GET, "/vault") => {
                // What the next start would find, whatever is open now.
                let amiss = self.vault.check_place().await.err();
                Ok(self.status(amiss.as_ref()))
            }
            (&Method::POST, "/vault/unlock") => self.unlock().await,
            (&Method::POST, "/vault/rekey") => {
                let vault = self.vault.clone();
                let count = self.whole(async move { vault.rekey().await }).await?;
                Ok(json!({"rekeyed": count, "vault": self.status(None)}))
            }
            (&Method::POST, "/vault/move") => self.keep_also(read(text)?).await,
            _ => Err(Problem::unknown(
                "unknown_request",
                "this daemon does not know the request",
            )),
        }
    }

    /// Runs a change to its end, whoever waits for it.
    async fn whole<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, Refused>> + Send + 'static,
    ) -> Result<T, Problem> {
        match self.tasks.spawn(change).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unavailable",
                "it was cut off, and whether it was done is not known",
            )),
        }
    }

    fn list(&self) -> Value {
        let rows = self.vault.list();
        let rows = rows.iter().map(|row| {
            json!({
                "name": row.name.as_str(),
                "updated": seconds(row.updated),
                "used_by": self.users(&row.name),
            })
        });
        let rows: Vec<Value> = rows.collect();
        json!({"vault": self.status(None), "secrets": rows, "missing": self.missing()})
    }

    /// The accounts whose configuration names a secret.
    fn users(&self, name: &SecretName) -> Vec<String> {
        let users = self.references().filter(|(_, used)| *used == name);
        let mut users: Vec<String> = users.map(|(account, _)| account.to_string()).collect();
        users.dedup();
        users
    }

    /// The names that the configuration has and the vault has not.
    fn missing(&self) -> Vec<Value> {
        let mut names: Vec<&SecretName> = self.references().map(|(_, name)| name).collect();
        names.sort();
        names.dedup();
        let names = names.into_iter().filter(|name| !self.vault.has(name));
        names
            .map(|name| json!({"name": name.as_str(), "used_by": self.users(name)}))
            .collect()
    }

    fn references(&self) -> impl Iterator<Item = (AccountId, &SecretName)> {
        self.servers.iter().flat_map(|server| {
            server.accounts.iter().flat_map(move |account| {
                let id = AccountId::new(server.name.clone(), account.name.clone());
                account
                    .references()
                    .filter_map(move |reference| match reference {
                        Reference::Vault(name) => Some((id.clone(), name)),
                        _ => None,
                    })
            })
        })
    }

    /// How the vault stands; `amiss` is what the next start would meet.
    fn status(&self, amiss: Option<&Sealed>) -> Value {
        let status = self.vault.status();
        let (because, help) = match (&status.sealed, amiss) {
            (Some(why), _) => (Some(why), Some(why.help())),
            (None, Some(why)) => (Some(why), Some("janus config path        # vault.key")),
            (None, None) => (None, None),
        };
        json!({
            "state": status.word,
            "because": because.map(ToString::to_string),
            "help": help,
            "key": status.key,
            "place": status.place,
            "id": status.id,
            "created": status.created.map(seconds),
            "secrets": status.secrets,
        })
    }

    async fn set(&self, set: Set) -> Answer {
        let name = name(&set.name)?;
        let is_new = !self.vault.has(&name);
        let (vault, key) = (self.vault.clone(), name.clone());
        let value = Arc::new(Secret::new(set.value));
        self.whole(async move { vault.set(&key, &value).await })
            .await?;
        Ok(json!({"name": name.as_str(), "new": is_new, "used_by": self.users(&name)}))
    }

    async fn remove(&self, named: &Named) -> Answer {
        let name = name(&named.name)?;
        let (vault, key) = (self.vault.clone(), name.clone());
        self.whole(async move { vault.remove(&key).await }).await?;
        Ok(json!({"name": name.as_str(), "used_by": self.users(&name)}))
    }

    async fn export(&self, sealing: Sealing) -> Answer {
        let file = self.vault.export(&Secret::new(sealing.passphrase)).await?;
        Ok(json!({"secrets": self.vault.list().len(), "file": STANDARD.encode(file)}))
    }

    async fn import(&self, sealing: Sealing) -> Answer {
        let file = STANDARD.decode(sealing.file).map_err(|_| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "the file did not arrive whole",
            )
        })?;
        let passphrase = Secret::new(sealing.passphrase);
        let (vault, replace) = (self.vault.clone(), sealing.replace);
        let importing = async move { vault.import(file, &passphrase, replace).await };
        let imported = self.whole(importing).await?;
        let names =
            |names: &[SecretName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        Ok(json!({"set": names(&imported.set), "kept": names(&imported.kept)}))
    }

    /// The keyring was unlocked by who asks; what it has is looked at now.
    async fn unlock(&self) -> Answer {
        self.vault.open().await.map_err(Refused::from)?;
        Ok(self.status(None))
    }

    async fn keep_also(&self, to: Move) -> Answer {
        let mut sources = [KeySource::SecretService, KeySource::File].into_iter();
        let source = sources.find(|source| source.word() == to.to);
        let source = source.ok_or_else(|| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "usage",
                "a key moves to `secret-service` or to `file`",
            )
        })?;
        let before = self.status(None);
        let vault = self.vault.clone();
        let keeping = async move { vault.keep_also(source, to.key_file).await };
        let place = self.whole(keeping).await?;
        Ok(json!({"place": place, "key": source.word(), "before": before}))
    }
}

fn name(text: &str) -> Result<SecretName, Problem> {
    SecretName::new(text)
        .map_err(|bad| Problem::new(StatusCode::BAD_REQUEST, "usage", bad.to_string()))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let (text, help) = (refused.to_string(), refused.help());
        let problem = match refused {
            Refused::Sealed(_) | Refused::NotThere(NotThere::Sealed(_)) => {
                Self::new(StatusCode::CONFLICT, "sealed", text)
            }
            Refused::NoPlace(_) => Self::new(StatusCode::CONFLICT, "no_key", text),
            Refused::NotThere(NotThere::Missing(_)) => Self::unknown("unknown_secret", text),
            Refused::NotThere(NotThere::Damaged(_)) => {
                Self::new(StatusCode::CONFLICT, "bad_secret", text)
            }
            Refused::BadValue | Refused::NotImported(_) | Refused::NoPassphrase => {
                Self::new(StatusCode::BAD_REQUEST, "usage", text)
            }
            Refused::NotSaved(not_saved) => not_saved.into(),
            Refused::NotKept { .. }
            | Refused::Exists(_)
            | Refused::Unsettled
            | Refused::NoRandomness => Self::new(StatusCode::CONFLICT, "unavailable", text),
        };
        help.into_iter().fold(problem, Self::help)
    }
}
