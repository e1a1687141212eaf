//! From tokens to a grant: who that is, whether it is who was meant, and then everybody may use it.
//!
//! Invariant: until the identity is judged nobody but the check itself uses the tokens, and tokens of somebody else are
//! given back to the provider.

use std::sync::Arc;

use super::entry::Entry;
use super::identity::{self, Known};
use super::{LoggedIn, Logins, NotLoggedIn};
use crate::credential::oauth::{Grant, Granted, Identity, NotTold, told};
use crate::model::{AccountId, Ask, Whoami};
use crate::telemetry::{learn, redact};
use crate::upstream::Failure;

/// Whether the same question may have an answer in a moment.
fn may_pass(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Unreachable { .. } | Failure::TimedOut { .. } | Failure::Interrupted { .. }
    )
}

impl Logins {
    /// Makes the grant of what a login brought, if it may.
    pub(super) async fn settle(
        &self,
        entry: &Arc<Entry>,
        grant: &Grant,
        mut granted: Granted,
    ) -> Result<LoggedIn, NotLoggedIn> {
        let account = &entry.account;
        learn(&granted.tokens.access);
        let settings = grant.settings();
        if granted.verified_as.is_none()
            && let Some(whoami) = &settings.whoami
            && let Ask::Tool(tool) = &whoami.ask
        {
            granted.verified_as = self.told_by(grant, whoami, tool, &granted).await;
        }
        let _one_at_a_time = self.0.settling.lock().await;
        // Asking may have taken minutes, and what is required may be other by now.
        let settings = grant.settings();
        let earlier = grant.status().known_as;
        let known = Known {
            account,
            expect: settings.expect.as_deref(),
            earlier: earlier.as_ref(),
            siblings: &self.siblings(account),
        };
        let wanted = entry.wanted();
        let judged = match entry.end_wanted() {
            Some(why) => Err(why),
            None => identity::judge(granted.verified_as.as_ref(), known, &wanted),
        };
        if let Err(why) = judged {
            self.give_back(grant, &granted).await;
            return Err(why);
        }
        let logged_in = LoggedIn {
            account: account.clone(),
            verified_as: granted.verified_as.clone(),
            scopes: granted.scopes.clone(),
        };
        // One login of which nothing is learnt, or no workspace, does not let in somebody else by the next.
        let is_all_known = granted
            .verified_as
            .as_ref()
            .is_some_and(|who| who.workspace.is_some());
        if !is_all_known && !wanted.replace {
            granted.known_as = earlier;
        }
        let unused = granted.clone();
        if let Err(why) = grant.begin(granted).await {
            // What is not kept is lost with this process, and would live on at the provider.
            self.give_back(grant, &unused).await;
            return Err(why.into());
        }
        self.0.upstream.look_again(account);
        Ok(logged_in)
    }

    /// Whom the server's own tool takes the new token for. One that does not answer is asked again for a while; one that
    /// answers something else cannot say.
    async fn told_by(
        &self,
        grant: &Grant,
        whoami: &Whoami,
        tool: &str,
        granted: &Granted,
    ) -> Option<Identity> {
        let account = grant.account();
        let token = (&granted.tokens.access, granted.server.as_str());
        let ask = || async move {
            if grant.policy().origin() != granted.server {
                let why = "another server is configured since the login began";
                return Err(NotTold::Never(why.to_owned()));
            }
            let asked = self.0.upstream.asked_with(account, token, tool);
            let result = Box::pin(asked).await.map_err(|failure| {
                let why = failure.to_string();
                if may_pass(&failure) {
                    NotTold::Passing(why)
                } else {
                    NotTold::Never(why)
                }
            })?;
            let identity = Identity::of_result(&result, whoami);
            identity.map_err(|why| NotTold::Never(format!("tool `{tool}`: {why}")))
        };
        let told = told(self.0.grants.clock(), ask).await;
        told.inspect_err(|why| {
            tracing::warn!(%account, "`auth.oauth.whoami` does not say who logged in: {}", redact(why));
        })
        .ok()
    }

    /// Who the other accounts of the same server are.
    fn siblings(&self, account: &AccountId) -> Vec<(AccountId, Identity)> {
        let ids = self.0.upstream.accounts_of(account.server());
        let others = ids.into_iter().filter(|id| id != account);
        let known = others.filter_map(|id| {
            let grant = self.0.grants.find(&id)?;
            Some((id, grant.status().known_as?))
        });
        known.collect()
    }
}
