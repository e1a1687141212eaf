//! Exactly one account and what is wanted of it.

use crate::model::{AccountId, Subject};

use super::{Chosen, ResolvedFrom};

/// Exactly one account and what is wanted of it, in the server's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    chosen: Chosen,
    subject: Subject,
}

impl Chosen {
    /// The route to `subject` there.
    pub fn route(self, subject: Subject) -> Route {
        Route {
            chosen: self,
            subject,
        }
    }
}

impl Route {
    /// The account it goes to.
    pub fn account(&self) -> &AccountId {
        self.chosen.account()
    }

    /// Which rule chose the account.
    pub fn from(&self) -> ResolvedFrom {
        self.chosen.from()
    }

    /// What is wanted.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }
}
