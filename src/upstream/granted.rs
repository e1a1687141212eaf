//! What a login, a logout, or the end of a grant means for the connections of its account.
//!
//! Invariants:
//! - No connection that somebody's token opened serves after that somebody is gone: the server may hold something of
//!   them in its session.
//! - A token that was merely renewed changes nothing: servers look at the token of each request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use super::account::Account;
use super::change::State;
use crate::credential::oauth::{Grant, GrantState, Identity};

/// Where a grant is there and yet none was to be had, it is tried again no sooner than this.
const MOMENT: Duration = Duration::from_secs(1);

/// What of a grant the connections depend on.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    has: Has,
    who: Option<Identity>,
    scopes: Vec<String>,
}

/// Whether there is something to prove the account with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Has {
    /// Nobody has logged in, and nobody need have.
    Nothing,
    /// A token, or what gets one.
    Token,
    /// A person must act first.
    Lacks,
}

impl Standing {
    fn of(grant: &Grant) -> Self {
        let status = grant.status();
        Self {
            has: Has::of(&status.state),
            who: status.verified_as,
            scopes: status.scopes,
        }
    }
}

impl Has {
    fn of(state: &GrantState) -> Self {
        match state {
            GrantState::Absent => Self::Nothing,
            GrantState::Fresh | GrantState::Due | GrantState::Expired => Self::Token,
            GrantState::NeedsLogin(_) | GrantState::Sealed => Self::Lacks,
        }
    }
}

impl Account {
    /// Keeps the connections in line with the grant until the account ends. `identities` counts how often it changed
    /// who the account is.
    pub(super) async fn follow_grant(self: Arc<Self>, identities: Arc<AtomicU64>) {
        let Some(grant) = self.dial.credential.grant().cloned() else {
            return;
        };
        let mut changes = grant.watch();
        let mut before = Standing::of(&grant);
        loop {
            changes.mark_unchanged();
            let now = Standing::of(&grant);
            if now.who != before.who {
                identities.fetch_add(1, Ordering::Relaxed);
            }
            let was_or_is = [before.has, now.has].contains(&Has::Token);
            if was_or_is && (now.has != before.has || now.who != before.who) {
                self.connect_anew();
            } else if now.scopes != before.scopes {
                // It may be what the server did not let in before.
                self.begin(&self.shared());
            }
            if now.has == Has::Token {
                self.has_token_again();
            }
            before = now;
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                changed = changes.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }

    /// Other connections take the place of all that stand, and the shared one is made where there was none.
    fn connect_anew(self: &Arc<Self>) {
        for slot in self.slots() {
            if let Some(connection) = slot.standing() {
                let superseding = Arc::clone(self).supersede(slot, connection);
                self.tasks.spawn(superseding);
            }
        }
        self.begin_for_login();
    }

    /// Connects because there may be something to prove the account with: whoever asks for lists that were never read waits
    /// for them once more.
    pub(super) fn begin_for_login(self: &Arc<Self>) {
        if self.listing.borrow().server.is_none() {
            self.settled.send_replace(false);
        }
        self.begin(&self.shared());
    }

    /// The connection that stands is of use again: what it lacked is there.
    fn has_token_again(&self) {
        let Some(connection) = self.shared().standing() else {
            return;
        };
        let revision = connection.facts.revision;
        self.state.send_if_modified(|state| {
            let lacked = matches!(state, State::NoCredential(_));
            if lacked {
                *state = State::Ready {
                    era: revision.era(),
                    revision,
                };
            }
            lacked
        });
    }

    /// Resolves when there is something to prove the account with: a person may have acted while it was being found
    /// that somebody must.
    pub(super) async fn granted_at_last(&self) {
        let Some(grant) = self.dial.credential.grant() else {
            return std::future::pending().await;
        };
        sleep(MOMENT).await;
        let mut changes = grant.watch();
        loop {
            changes.mark_unchanged();
            if Has::of(&grant.status().state) == Has::Token {
                return;
            }
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}
