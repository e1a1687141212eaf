//! From a scope to exactly one account.

use crate::model::{AccountId, Subject};

use super::Scope;

/// Exactly one account and what is wanted of it, in the server's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    account: AccountId,
    subject: Subject,
}

impl Scope {
    /// The route to `subject` at `account`; `None` if the account is not in this scope.
    pub fn route(&self, account: &AccountId, subject: Subject) -> Option<Route> {
        self.accounts().contains(account).then(|| Route {
            account: account.clone(),
            subject,
        })
    }
}

impl Route {
    /// The account it goes to.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// What is wanted.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }
}
