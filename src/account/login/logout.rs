//! The end of a grant: here always, at the provider as far as it lets itself be told.

use crate::credential::oauth::{Grant, Granted, Registration, Source, Tokens, remove, revoke};
use crate::model::AccountId;
use crate::telemetry::let_go;
use crate::vault::Refused;

use super::{Logins, NotLoggedIn};

/// What a logout did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedOut {
    /// Whose grant ended.
    pub account: AccountId,
    /// Whether there was one; nothing ended where there was none.
    pub had: bool,
    /// Whether a login that waited ended.
    pub cancelled: bool,
    /// Whether the provider ended it too; `None`: it was not asked.
    pub revoked: Option<bool>,
    /// Whether the provider removed the client that Janus had registered there; `None`: it was not asked, or gave no means.
    pub removed: Option<bool>,
}

impl Logins {
    /// Ends the grant of an account, and a login of it that waits. `local`: the provider is not told. It happens whole,
    /// also where the caller goes away.
    ///
    /// # Errors
    /// There is no such grant, or the store did not take it: after a restart it would be there again.
    pub async fn logout(&self, account: &AccountId, local: bool) -> Result<LoggedOut, NotLoggedIn> {
        let grant = match self.grant(account) {
            Ok(grant) => grant,
            Err(NotLoggedIn::Gone(_)) if self.0.grants.granted().contains(account) => {
                let forgotten = self.0.grants.forget(account).await;
                forgotten.map_err(|why| not_forgotten(&why))?;
                return Ok(LoggedOut {
                    account: account.clone(),
                    had: true,
                    cancelled: false,
                    revoked: None,
                    removed: None,
                });
            }
            Err(why) => return Err(why),
        };
        let waiting = {
            let known = self.known();
            known.iter().find(|entry| entry.waits_for(account)).cloned()
        };
        let cancelled = waiting.is_some_and(|entry| entry.give_up(NotLoggedIn::Cancelled));
        let (logins, account) = (self.clone(), account.clone());
        let ending = self.0.tasks.spawn(async move {
            let mut out = LoggedOut {
                account,
                had: false,
                cancelled,
                revoked: None,
                removed: None,
            };
            logins.end(&grant, local, &mut out).await?;
            Ok(out)
        });
        ending.await.unwrap_or(Err(NotLoggedIn::Stopping))
    }

    async fn end(
        &self,
        grant: &Grant,
        local: bool,
        out: &mut LoggedOut,
    ) -> Result<(), NotLoggedIn> {
        let account = grant.account();
        // A login that is about to make a grant sees that it shall not, or has made it.
        let turn = self.0.settling.lock().await;
        // One for another server is as good as none, but for this.
        out.had = grant.status().issuer.is_some() || self.0.grants.granted().contains(account);
        if !out.had {
            return Ok(());
        }
        let (ended, stored) = grant.end().await;
        let ended = ended.filter(|_| !local);
        let goes = match &ended {
            Some(ended) => grant.let_go_of(&ended.registration).await,
            None => false,
        };
        drop(turn);
        if let Some(ended) = ended {
            if let Some(tokens) = &ended.tokens {
                let revoked = self.revoked(grant, &ended.registration, &ended.source, tokens);
                out.revoked = Some(revoked.await);
            }
            if goes {
                out.removed = Some(self.removed(grant, &ended.registration).await);
            }
        }
        let_go();
        // Only now: what the store still has is of less use to anybody once the provider has ended it.
        stored.map_err(|why| not_forgotten(&why))?;
        tracing::info!(event = "logged_out", %account, "logged out: {account}");
        Ok(())
    }

    /// Has the provider remove the client that nobody uses now. It is kept for the next login where that fails.
    async fn removed(&self, grant: &Grant, registration: &Registration) -> bool {
        let removed = remove(self.0.grants.network(), grant, registration).await;
        if !removed && let Err(why) = grant.keep_registration(registration).await {
            let account = grant.account();
            tracing::info!(%account, "its client at the provider stays there, and is not known here any more: {why}");
        }
        removed
    }

    /// Tells the provider that nobody will use these.
    pub(super) async fn give_back(&self, grant: &Grant, granted: &Granted) {
        let given = self.revoked(
            grant,
            &granted.registration,
            &granted.source,
            &granted.tokens,
        );
        if !given.await {
            let account = grant.account();
            tracing::info!(%account, "the provider did not take back what was granted; it ends by itself");
        }
    }

    async fn revoked(
        &self,
        grant: &Grant,
        registration: &Registration,
        source: &Source,
        tokens: &Tokens,
    ) -> bool {
        let network = self.0.grants.network();
        revoke(network, grant, registration, source, tokens).await
    }
}

fn not_forgotten(why: &Refused) -> NotLoggedIn {
    NotLoggedIn::NotForgotten(why.to_string())
}
