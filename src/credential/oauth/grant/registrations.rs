//! The clients that Janus is, as a grant's account keeps them: whole, sealed, and for one issuer each.

use std::sync::Arc;

use super::Grant;
use super::kept::RegistrationFacts;
use crate::credential::oauth::granted::Registration;
use crate::model::{AccountName, RegistrationScope, Secret};
use crate::store::RegistrationRecord;
use crate::telemetry::learn;
use crate::vault::{NotOpened, Refused, RegistrationSecrets};

/// So many registrations of one account are kept.
const MOST: usize = 8;

impl Grant {
    /// The registration that is kept for this account (or its server) at an issuer, whole and not expired.
    ///
    /// # Errors
    /// The vault is sealed.
    pub async fn registration(&self, issuer: &str) -> Result<Option<Registration>, Refused> {
        let records = self.registrations(issuer);
        if records.is_empty() {
            return Ok(None);
        }
        self.engine.means.vault.asked().await?;
        let wall = self.engine.means.clock.wall();
        // The latest that is good.
        let mut found: Option<Registration> = None;
        for record in records {
            let Some(one) = self.opened(&record)? else {
                continue;
            };
            let ended = one.secret_expires.is_some_and(|end| end <= wall);
            if !ended
                && found
                    .as_ref()
                    .is_none_or(|other| other.created < one.created)
            {
                found = Some(one);
            }
        }
        Ok(found)
    }

    /// A registration with what is sealed of it; `None` where its row is damaged.
    pub(super) fn opened(
        &self,
        record: &RegistrationRecord,
    ) -> Result<Option<Registration>, Refused> {
        let secrets = match self.engine.means.vault.open_registration(record) {
            Ok(secrets) => secrets,
            Err(NotOpened::Sealed(why)) => return Err(why.into()),
            Err(NotOpened::Damaged) => {
                tracing::warn!(id = %record.id, "a registration cannot be opened, and is not used");
                return Ok(None);
            }
        };
        let facts = RegistrationFacts::read(&record.facts);
        Ok(facts.map(|facts| facts.registration(record, &secrets)))
    }

    /// Those that count for this account at an issuer.
    pub(super) fn registrations(&self, issuer: &str) -> Vec<RegistrationRecord> {
        let by_server = self.settings().registration_scope == RegistrationScope::Server;
        let counts = |record: &RegistrationRecord| {
            record.issuer == issuer
                && record.server == *self.account.server()
                && match &record.account {
                    None => by_server,
                    Some(account) => !by_server && account == self.account.account(),
                }
        };
        let mut records = self.engine.means.vault.registrations();
        records.retain(counts);
        records
    }

    /// Sees that a registration can be kept: a client is made at nobody's that would be lost at once.
    ///
    /// # Errors
    /// There is no place for it.
    pub async fn can_keep_a_registration(&self) -> Result<(), Refused> {
        self.engine.means.vault.ensure().await
    }

    /// Keeps a registration before it is used.
    ///
    /// # Errors
    /// It could not be kept.
    pub async fn keep_registration(&self, registration: &Registration) -> Result<(), Refused> {
        let client_id = Arc::new(Secret::new(registration.client_id.as_str()));
        let secrets = RegistrationSecrets {
            id: client_id,
            secret: registration.client_secret.clone(),
            managing: registration
                .managed
                .as_ref()
                .map(|at| Arc::clone(&at.token)),
        };
        secrets.secret.iter().for_each(learn);
        secrets.managing.iter().for_each(learn);
        let record = RegistrationRecord {
            id: Arc::clone(&registration.id),
            issuer: registration.issuer.clone(),
            server: registration.server.clone(),
            account: registration.account.clone(),
            generation: 1,
            facts: RegistrationFacts::of(registration).write(),
            client_id: Vec::new(),
            client_secret: None,
            registration_access_token: None,
        };
        let vault = &self.engine.means.vault;
        let of = record.account.clone();
        vault.keep_registration(record, &secrets).await?;
        self.forget_oldest_registrations(of.as_ref()).await;
        Ok(())
    }

    /// Forgets a registration that shall be removed at its authorization server, so that no login begins with it meanwhile.
    /// Whether it can be removed; whoever does not succeed keeps it again.
    pub async fn let_go_of(&self, registration: &Registration) -> bool {
        // One of all accounts is used by others.
        if registration.managed.is_none() || registration.account.is_none() {
            return false;
        }
        let id = Arc::clone(&registration.id);
        let vault = &self.engine.means.vault;
        vault.forget_registrations(vec![id]).await.is_ok()
    }

    /// A server that names another authorization server every day leaves a few registrations, not one for each.
    async fn forget_oldest_registrations(&self, of: Option<&AccountName>) {
        let vault = &self.engine.means.vault;
        let mut records = vault.registrations();
        records.retain(|record| {
            record.server == *self.account.server() && record.account.as_ref() == of
        });
        let over = records.len().saturating_sub(MOST);
        let used: Vec<Arc<str>> = vault
            .granted()
            .iter()
            .filter_map(|account| vault.grant(account)?.registration)
            .collect();
        records.retain(|record| !used.contains(&record.id));
        records.sort_by_key(|record| {
            RegistrationFacts::read(&record.facts).map_or(0, |facts| facts.created)
        });
        let oldest = records.into_iter().take(over).map(|record| record.id);
        if let Err(why) = vault.forget_registrations(oldest.collect()).await {
            tracing::debug!(account = %self.account, "an old registration stays: {why}");
        }
    }

    /// Forgets the registration at an issuer: the next login makes another one.
    ///
    /// # Errors
    /// The store did not take it.
    pub async fn forget_registration(&self, issuer: &str) -> Result<(), Refused> {
        let records = self.registrations(issuer);
        let ids = records.into_iter().map(|record| record.id).collect();
        self.engine.means.vault.forget_registrations(ids).await
    }
}
