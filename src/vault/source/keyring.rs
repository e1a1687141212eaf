//! The Secret Service: the keyring of the desktop, or a headless one, over D-Bus
//! (<https://specifications.freedesktop.org/secret-service/latest/>).
//!
//! Invariants:
//! - Every step has an end: a service that hangs costs seconds, and nobody but who asked.
//! - Only [`unlock`] may show a prompt.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, select};
use secret_service::{EncryptionType, SecretService};
use tokio::time::timeout;
use zbus::{Connection, MatchRule, MessageStream};
use zeroize::Zeroizing;

use crate::vault::error::{Refused, Sealed};
use crate::vault::key::VaultKey;

/// For one step. The service answers from memory.
const STEP: Duration = Duration::from_secs(5);
/// For a person who types a password.
const PERSON: Duration = Duration::from_mins(3);
const SERVICE: &str = "org.freedesktop.secrets";

fn attributes(vault: &str) -> HashMap<&str, &str> {
    HashMap::from([
        ("application", "janus"),
        ("item", "vault-key"),
        ("vault", vault),
    ])
}

pub(super) async fn find(bus: &str, vault: &str) -> Result<VaultKey, Sealed> {
    let service = connect(bus).await?;
    let found = step(service.search_items(attributes(vault))).await?;
    if let Some(item) = found.unlocked.first() {
        let secret = Zeroizing::new(step(item.get_secret()).await?);
        return VaultKey::read(&secret).ok_or_else(|| {
            Sealed::Unusable("the item in the Secret Service is no key".to_owned())
        });
    }
    if !found.locked.is_empty() {
        return Err(Sealed::Locked);
    }
    // A locked collection may keep even from us what is in it.
    let collection = step(service.get_default_collection()).await?;
    if step(collection.is_locked()).await? {
        return Err(Sealed::Locked);
    }
    Err(Sealed::NoKey("the Secret Service".to_owned()))
}

pub(super) async fn keep(bus: &str, vault: &str, key: &VaultKey) -> Result<(), Refused> {
    let service = connect(bus).await?;
    let collection = step(service.get_default_collection()).await?;
    if step(collection.is_locked()).await? {
        return Err(Sealed::Locked.into());
    }
    let text = key.text();
    let label = "Janus: the key of the vault";
    let made = collection.create_item(
        label,
        attributes(vault),
        text.as_bytes(),
        true,
        "text/plain",
    );
    step(made).await?;
    Ok(())
}

pub(super) async fn forget(bus: &str, vault: &str) {
    let forgotten = async {
        let service = connect(bus).await?;
        let found = step(service.search_items(attributes(vault))).await?;
        for item in found.unlocked {
            step(item.delete()).await?;
        }
        Ok::<_, Sealed>(())
    };
    if let Err(why) = forgotten.await {
        tracing::debug!("an old key stays in the Secret Service: {why}");
    }
}

pub(super) async fn unlock(bus: &str) -> Result<(), Sealed> {
    let service = connect(bus).await?;
    let collection = step(service.get_default_collection()).await?;
    if !step(collection.is_locked()).await? {
        return Ok(());
    }
    match timeout(PERSON, collection.unlock()).await {
        Ok(Ok(())) => {}
        Ok(Err(secret_service::Error::Prompt)) => {
            return Err(Sealed::Absent(
                "nothing here can ask for its password; unlock it where you log in".to_owned(),
            ));
        }
        Ok(Err(error)) => return Err(sealed(error)),
        Err(_) => return Err(Sealed::Locked),
    }
    if step(collection.is_locked()).await? {
        Err(Sealed::Locked)
    } else {
        Ok(())
    }
}

async fn connect(bus: &str) -> Result<SecretService<'static>, Sealed> {
    let connection = connection(bus).await?;
    step(SecretService::connect_with_existing(
        EncryptionType::Dh,
        connection,
    ))
    .await
}

async fn connection(bus: &str) -> Result<Connection, Sealed> {
    let builder = zbus::connection::Builder::address(bus)
        .map_err(|_| Sealed::Absent("the address of the session bus cannot be read".to_owned()))?;
    match timeout(STEP, builder.build()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(_)) => Err(Sealed::Absent("the session bus does not answer".to_owned())),
        Err(_) => Err(slow()),
    }
}

async fn step<T>(
    step: impl Future<Output = Result<T, secret_service::Error>>,
) -> Result<T, Sealed> {
    match timeout(STEP, step).await {
        Ok(done) => done.map_err(sealed),
        Err(_) => Err(slow()),
    }
}

fn slow() -> Sealed {
    Sealed::Absent(format!(
        "the Secret Service did not answer within {} s",
        STEP.as_secs()
    ))
}

/// What the errors of the crate mean, as they were seen with gnome-keyring.
fn sealed(error: secret_service::Error) -> Sealed {
    use secret_service::Error;
    match error {
        Error::Locked | Error::Prompt => Sealed::Locked,
        Error::NoResult => Sealed::Absent(
            "the Secret Service has no collection to keep it in; log in at the desktop once, or make one".to_owned(),
        ),
        Error::Unavailable | Error::PromptDisconnected => Sealed::Absent("no Secret Service answers".to_owned()),
        Error::Zbus(zbus::Error::MethodError(name, ..)) => method(name.as_str()),
        Error::ZbusFdo(zbus::fdo::Error::ServiceUnknown(_)) => {
            method("org.freedesktop.DBus.Error.ServiceUnknown")
        }
        other => Sealed::Absent(format!("the Secret Service failed: {other}")),
    }
}

fn method(name: &str) -> Sealed {
    match name {
        "org.freedesktop.Secret.Error.IsLocked" => Sealed::Locked,
        "org.freedesktop.DBus.Error.ServiceUnknown"
        | "org.freedesktop.DBus.Error.NameHasNoOwner" => {
            Sealed::Absent("no Secret Service is on the session bus".to_owned())
        }
        other => Sealed::Absent(format!("the Secret Service answers {other}")),
    }
}

/// Hears when something about the Secret Service changes: it comes or goes, it is locked or unlocked.
pub(in crate::vault) struct Watch {
    signals: BoxStream<'static, ()>,
}

impl Watch {
    /// `None` where there is no bus to listen to.
    pub(in crate::vault) async fn new(bus: &str) -> Option<Self> {
        let connection = connection(bus).await.ok()?;
        let comes = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .interface("org.freedesktop.DBus")
            .ok()?
            .member("NameOwnerChanged")
            .ok()?
            .arg(0, SERVICE)
            .ok()?
            .build();
        let changes = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .path_namespace("/org/freedesktop/secrets")
            .ok()?
            .build();
        let listen = |rule| {
            timeout(
                STEP,
                MessageStream::for_match_rule(rule, &connection, Some(64)),
            )
        };
        let comes = listen(comes).await.ok()?.ok()?;
        let changes = listen(changes).await.ok()?.ok()?;
        let signals = select(comes, changes).map(|_| ()).boxed();
        Some(Self { signals })
    }

    /// The next change; `None` when the bus is gone.
    pub(in crate::vault) async fn changed(&mut self) -> Option<()> {
        self.signals.next().await
    }
}
