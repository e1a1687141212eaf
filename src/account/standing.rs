//! Whether a person must log in for an account, as far as is known without asking anybody.

use std::time::SystemTime;

use crate::credential::NoCredential;
use crate::credential::oauth::GrantState;
use crate::model::AccountId;
use crate::upstream::{State, Upstream};

pub use crate::credential::oauth::LoginReason;

/// What an account wants of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginNeed {
    /// Nothing: somebody is logged in, or nobody need be.
    Nothing,
    /// A login.
    Login(LoginReason),
    /// The vault is locked, so that nobody knows.
    Unlock,
    /// Its server was not reached yet, and may want one.
    Unknown,
}

/// What an account wants of people now.
pub fn login_need(upstream: &Upstream, id: &AccountId) -> LoginNeed {
    let credential = upstream.credential(id);
    let Some(grant) = credential
        .as_ref()
        .and_then(|credential| credential.grant())
    else {
        return LoginNeed::Nothing;
    };
    match grant.status().state {
        GrantState::Fresh | GrantState::Due | GrantState::Expired => LoginNeed::Nothing,
        GrantState::NeedsLogin(reason) => LoginNeed::Login(reason),
        GrantState::Sealed => LoginNeed::Unlock,
        // Nobody has logged in, and whether somebody must, the server says.
        GrantState::Absent => match &*upstream.state(id).borrow() {
            State::Ready { .. } => LoginNeed::Nothing,
            State::NoCredential(NoCredential::NeedsLogin { reason }) => LoginNeed::Login(*reason),
            _ => LoginNeed::Unknown,
        },
    }
}

/// Since when its grant stands as it does.
pub fn granted_since(upstream: &Upstream, id: &AccountId) -> Option<SystemTime> {
    let credential = upstream.credential(id)?;
    Some(credential.grant()?.status().since)
}
