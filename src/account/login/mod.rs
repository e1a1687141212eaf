//! Logins as people see them: one at a time for each account, begun from anywhere, waited for from anywhere.
//!
//! Invariants:
//! - A state is good for one callback, for ten minutes, and for the account it was made for.
//! - No link, code or token is in an answer that the person who began the login did not ask for.
//! - A login as somebody else than before, or than was expected, is not saved.

use std::time::Duration;

use crate::credential::oauth::{Identity, Options};
use crate::model::AccountId;

/// All logins that are under way. Clones are the same.
#[derive(Debug, Clone)]
pub struct Logins {}

/// A login that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// What people call it by: short, and no secret.
    pub id: String,
    /// Whose.
    pub account: AccountId,
    /// The page of the provider.
    pub url: String,
    /// The page of Janus that leads there.
    pub page: String,
    /// The provider's host.
    pub host: String,
    /// Who should log in, if that is known.
    pub expected: Option<String>,
    /// What is asked for, and what of it is new.
    pub scopes: Vec<String>,
    /// Those that are neither configured nor were granted before.
    pub new_scopes: Vec<String>,
    /// Where the browser comes back to.
    pub redirect_uri: String,
    /// The code to type on another device, and where.
    pub device: Option<(String, String)>,
    /// How long it is good for.
    pub left: Duration,
}

/// Who began a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initiator {
    /// A person at the command line.
    Person,
    /// A call of a client, or a model.
    Client,
}

/// A login that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedIn {
    /// Whose.
    pub account: AccountId,
    /// Who that is; `None`: it could not be learnt.
    pub verified_as: Option<Identity>,
}

/// What a person wants of a login, beside what the flow needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// For the flow.
    pub options: Options,
    /// Who must log in (`--expect`).
    pub expect: Option<String>,
    /// Somebody else than before is meant (`--replace`).
    pub replace: bool,
    /// The same person at another account is meant (`--same-identity`).
    pub same_identity: bool,
}
