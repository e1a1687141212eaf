//! Which client a grant was given to, with what proves it.

use std::sync::Arc;
use std::time::SystemTime;

use super::Grant;
use super::kept::RegistrationFacts;
use crate::credential::NoCredential;
use crate::credential::oauth::client_authentication::method_of;
use crate::credential::oauth::discovery::{discover, is_described};
use crate::credential::oauth::failed::foreign;
use crate::credential::oauth::granted::{Registration, RegistrationKind, Source};
use crate::credential::oauth::metadata::is_same_issuer;
use crate::credential::proof::Origin;
use crate::credential::resolve::Resolver;
use crate::model::{
    ClientAuthentication, OAuth, PreRegistered, Reference, RegistrationScope, Secret,
};

/// Why there is no client to ask with.
#[derive(Debug)]
pub(in crate::credential::oauth) enum NoClient {
    /// It is gone: only a login makes another one.
    Gone(&'static str),
    /// The configuration has another one, or says too little: who wrote it mends it, and nothing is forgotten.
    Configuration { why: String, key: &'static str },
    /// What proves it cannot be had now.
    NoProof(NoCredential),
    /// The vault is closed, or the row is damaged.
    Closed(String),
}

impl Grant {
    /// The client that this grant was given to.
    pub(super) async fn client(&self) -> Result<Registration, NoClient> {
        let (id, client, source) = {
            let inner = self.inner();
            let source = inner.facts.source();
            (
                inner.registration.clone(),
                inner.facts.client.clone(),
                source,
            )
        };
        if let Some(id) = id {
            return self.registered(&id, &source.issuer);
        }
        let client = client.ok_or(NoClient::Gone(
            "it is not known which client it was given to",
        ))?;
        if client.kind() == RegistrationKind::MetadataDocument {
            return Ok(Registration {
                client_id: client.id,
                redirect_uri: client.redirect_uri,
                ..self.nobody(&source.issuer, RegistrationKind::MetadataDocument)
            });
        }
        let settings = self.settings();
        let configured = settings.client.as_ref();
        let configured = configured
            .filter(|configured| configured.id == client.id)
            .ok_or_else(|| NoClient::Configuration {
                why: "`auth.oauth.client_id` is another one than at the last login; correct it, or log in again"
                    .to_owned(),
                key: "auth.oauth.client_id",
            })?;
        let mut registration = self.configured_client(configured, &source).await?;
        registration.redirect_uri = client.redirect_uri;
        Ok(registration)
    }

    /// Who gave tokens to this account before; also where the vault is sealed.
    pub(in crate::credential::oauth) fn earlier_issuer(&self) -> Option<String> {
        let vault = &self.engine.means.vault;
        let source = self.source().map(|source| source.issuer);
        source
            .or_else(|| vault.grant(&self.account).map(|record| record.issuer))
            .or_else(|| vault.issuer(&self.account))
            .filter(|issuer| !issuer.is_empty())
    }

    /// Whether a machine account may ask there: its server may name anybody, and its secret goes to whom it first went,
    /// or to whom a person named.
    pub(super) async fn trust(&self, settings: &OAuth, source: &Source) -> Result<(), NoClient> {
        let vault = &self.engine.means.vault;
        let before = vault.issuer(&self.account);
        if let Some(before) = &before
            && !is_same_issuer(before, &source.issuer)
            && !is_described(settings)
        {
            let (now, before) = (foreign(&source.issuer), foreign(before));
            return Err(NoClient::Configuration {
                why: format!(
                    "the server names another authorization server now: {now}, before it was {before}; \
                     `auth.oauth.client_id` is not sent there; only if that is right, write `auth.oauth.issuer`: {now}"
                ),
                key: "auth.oauth.issuer",
            });
        }
        if before.as_ref() != Some(&source.issuer)
            && let Err(why) = vault.trust_issuer(&self.account, &source.issuer).await
        {
            // A full disk must not end the service: until the next start it is known.
            tracing::warn!(account = %self.account, "its authorization server could not be written down: {why}");
        }
        Ok(())
    }

    /// A client that the configuration has, at this authorization server.
    pub(super) async fn configured_client(
        &self,
        client: &PreRegistered,
        source: &Source,
    ) -> Result<Registration, NoClient> {
        let settings = self.settings();
        let client_secret = match &client.secret {
            Some(reference) => {
                let secret = self.secret(reference).await;
                Some(secret.map_err(NoClient::NoProof)?)
            }
            None => None,
        };
        Ok(Registration {
            client_id: client.id.clone(),
            client_secret,
            signing_key: client.key.clone(),
            method: method_of(client, settings.token_auth_method, &source.methods),
            ..self.nobody(&source.issuer, RegistrationKind::PreRegistered)
        })
    }

    /// The client of a login that a person registered, with its secret; `None`: the configuration has none.
    pub(in crate::credential::oauth) async fn preregistered(
        &self,
        source: &Source,
        redirect_uri: &str,
    ) -> Result<Option<Registration>, NoClient> {
        let settings = self.settings();
        let Some(configured) = &settings.client else {
            return Ok(None);
        };
        let client = self.configured_client(configured, source).await?;
        Ok(Some(Registration {
            redirect_uri: redirect_uri.to_owned(),
            ..client
        }))
    }

    /// The text of the key that a client signs with.
    pub(in crate::credential::oauth) async fn signing_key(
        &self,
        client: &Registration,
    ) -> Result<Option<Arc<Secret>>, NoClient> {
        let Some(key) = &client.signing_key else {
            return Ok(None);
        };
        let text = self.key_text(&key.key).await;
        text.map(Some).map_err(NoClient::NoProof)
    }

    /// Tries what the client of the configuration proves itself with: where it is, and what came of it.
    pub(in crate::credential) async fn client_tried(
        &self,
    ) -> Option<(String, Result<(), NoCredential>)> {
        let settings = self.settings();
        let client = settings.client.as_ref()?;
        let reference = client.reference()?;
        let tried = match &client.key {
            Some(_) => self.key_text(reference).await,
            None => self.secret(reference).await,
        };
        let origin = Origin::referred(reference, &self.engine.means);
        Some((origin.name()?, tried.map(drop)))
    }

    async fn key_text(&self, reference: &Reference) -> Result<Arc<Secret>, NoCredential> {
        match reference {
            // What a command prints has one line.
            Reference::Command(_) => self.secret(reference).await,
            reference => {
                let resolver = Resolver::new(reference, &self.engine.means.vault);
                resolver.text().await
            }
        }
    }

    async fn secret(&self, reference: &Reference) -> Result<Arc<Secret>, NoCredential> {
        let origin = Origin::referred(reference, &self.engine.means);
        origin.value().await
    }

    fn registered(&self, id: &Arc<str>, issuer: &str) -> Result<Registration, NoClient> {
        let vault = &self.engine.means.vault;
        let records = vault.registrations();
        let record = records
            .iter()
            .find(|record| record.id == *id)
            .ok_or(NoClient::Gone("its registration was forgotten"))?;
        if record.issuer != issuer {
            return Err(NoClient::Gone(
                "its registration is one of another authorization server",
            ));
        }
        let secrets = vault.open_registration(record);
        let secrets = secrets.map_err(|why| NoClient::Closed(why.to_string()))?;
        let facts = RegistrationFacts::read(&record.facts)
            .ok_or(NoClient::Gone("its registration cannot be read"))?;
        // Its secret may have ended. The clock may be wrong too, so that the authorization server says that.
        Ok(facts.registration(record, &secrets))
    }

    /// From where the tokens of a machine account come.
    pub(super) async fn found(&self) -> Result<(Source, Vec<String>), String> {
        let found = Box::pin(discover(self, &self.engine.network)).await;
        found.map_err(|why| why.to_string())
    }

    /// Where tokens come from by now, if the same authorization server says so.
    pub(super) async fn found_anew(&self, before: &Source) -> Option<Source> {
        let (found, _) = self.found().await.ok()?;
        let moved = found.issuer == before.issuer && found.token_endpoint != before.token_endpoint;
        // What was granted was granted for this.
        moved.then(|| Source {
            resource: before.resource.clone(),
            ..found
        })
    }

    fn nobody(&self, issuer: &str, kind: RegistrationKind) -> Registration {
        let by_server = self.settings().registration_scope == RegistrationScope::Server;
        Registration {
            id: "".into(),
            issuer: issuer.to_owned(),
            server: self.account.server().clone(),
            account: (!by_server).then(|| self.account.account().clone()),
            kind,
            client_id: String::new(),
            client_secret: None,
            signing_key: None,
            method: ClientAuthentication::None,
            secret_expires: None,
            managed: None,
            redirect_uri: String::new(),
            created: SystemTime::UNIX_EPOCH,
        }
    }
}
