//! From a caller and a path to the accounts in reach.

use std::sync::Arc;

use crate::authn::Caller;
use crate::model::{AccountId, ProfileName, ServerName};

/// The accounts there are, and who may reach which.
#[derive(Debug)]
pub struct Binding {
    /// In the order of the configuration.
    accounts: Arc<[AccountId]>,
}

/// Which accounts a request may reach, and how they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    caller: Caller,
    profile: ProfileName,
    view: View,
    accounts: Arc<[AccountId]>,
}

/// How the accounts of a scope are shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    /// `/mcp`: everything in scope, merged, names prefixed.
    Profile,
    /// `/mcp/@SERVER`: one account, as if Janus were not there.
    Transparent(AccountId),
}

/// A path that leads nowhere: HTTP 404.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// `/mcp/@SERVER`
    #[error("there is no server `{0}`")]
    Server(String),
    /// Not one of our paths at all.
    #[error("there is nothing at this path; MCP is served at /mcp and /mcp/@SERVER")]
    Path,
}

impl Binding {
    /// Servers in the order of the configuration; each has one account.
    pub fn new<'a>(servers: impl IntoIterator<Item = &'a ServerName>) -> Self {
        Self {
            accounts: servers.into_iter().map(AccountId::default_of).collect(),
        }
    }

    /// The scope that a URL path gives this caller.
    pub fn scope(&self, caller: &Caller, path: &str) -> Result<Scope, Unknown> {
        let rest = path.strip_prefix("/mcp").ok_or(Unknown::Path)?;
        match rest.strip_suffix('/').unwrap_or(rest) {
            "" => Ok(self.in_view(caller, View::Profile, Arc::clone(&self.accounts))),
            named => self.transparent(caller, named.strip_prefix("/@").ok_or(Unknown::Path)?),
        }
    }

    fn transparent(&self, caller: &Caller, server: &str) -> Result<Scope, Unknown> {
        let account = self
            .accounts
            .iter()
            .find(|account| account.server().as_str() == server);
        let account = account.ok_or_else(|| Unknown::Server(server.chars().take(64).collect()))?;
        Ok(self.in_view(
            caller,
            View::Transparent(account.clone()),
            [account.clone()].into(),
        ))
    }

    #[expect(clippy::unused_self, reason = "profiles will come from here")]
    fn in_view(&self, caller: &Caller, view: View, accounts: Arc<[AccountId]>) -> Scope {
        Scope {
            caller: caller.clone(),
            profile: ProfileName::default_profile(),
            view,
            accounts,
        }
    }
}

impl Scope {
    /// Who is calling.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The profile the request lives in.
    pub fn profile(&self) -> &ProfileName {
        &self.profile
    }

    /// How the accounts are shown.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The accounts in reach, in the order of the configuration.
    pub fn accounts(&self) -> &[AccountId] {
        &self.accounts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_what_it_names_or_nowhere() {
        let names = [ServerName::new("a").unwrap(), ServerName::new("b").unwrap()];
        let binding = Binding::new(&names);
        let scope = |path| binding.scope(&Caller::from_stdio(), path);
        assert_eq!(scope("/mcp").unwrap().accounts().len(), 2);
        assert_eq!(scope("/mcp/").unwrap().view(), &View::Profile);
        assert_eq!(
            scope("/mcp/@b").unwrap().view(),
            &View::Transparent(AccountId::default_of(&names[1]))
        );
        assert_eq!(
            scope("/mcp/@b").unwrap().accounts(),
            &[AccountId::default_of(&names[1])]
        );
        assert_eq!(scope("/mcp/@c"), Err(Unknown::Server("c".into())));
        for path in [
            "/",
            "/mcpx",
            "/mcp/b",
            "/mcp/@",
            "/mcp/@a/default/x",
            "/mcp//",
            "/other",
        ] {
            assert!(scope(path).is_err(), "{path}");
        }
    }
}
