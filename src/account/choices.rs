//! What sessions, clients and people chose, in memory and in the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::TaskTracker;

use crate::binding::{Chosen, NoChoice, Scope, Wish};
use crate::model::{AccountId, AccountName, ClientId, ProfileName, ServerName};
use crate::store::{Change, ChoiceRecord, Holder, NotSaved, Store};

/// Every choice that holds.
#[derive(Debug)]
pub struct Choices {
    made: Mutex<BTreeMap<Holder, Made>>,
    store: Store,
    /// One change at a time: what is in memory follows the order of the store.
    changing: tokio::sync::Mutex<()>,
    changes: TaskTracker,
}

type Made = BTreeMap<(ProfileName, ServerName), AccountName>;

/// Whose choices count for a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holders<'a> {
    /// Its session.
    pub session: Option<&'a Arc<str>>,
    /// Its client.
    pub client: Option<&'a ClientId>,
}

/// A choice to be made.
#[derive(Debug, Clone)]
pub struct Switch {
    /// For whom.
    pub holder: Holder,
    /// The server.
    pub server: ServerName,
    /// The account; `None` takes the choice back.
    pub account: Option<AccountName>,
}

/// What a choice changed for the request that made it: the account of a call that says nothing, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    /// Before.
    pub was: Option<AccountId>,
    /// After.
    pub active: Option<AccountId>,
}

impl Choices {
    /// The choices of an earlier life.
    pub fn new(store: Store, kept: Vec<ChoiceRecord>) -> Self {
        let mut made: BTreeMap<Holder, Made> = BTreeMap::new();
        for choice in kept {
            let of_holder = made.entry(choice.holder).or_default();
            of_holder.insert((choice.profile, choice.server), choice.account);
        }
        Self {
            made: Mutex::new(made),
            store,
            changing: tokio::sync::Mutex::default(),
            changes: TaskTracker::new(),
        }
    }

    /// The account of `server` that a request goes to.
    ///
    /// # Errors
    /// Why there is none.
    pub fn choose(
        &self,
        scope: &Scope,
        server: &ServerName,
        named: Option<&str>,
        holders: Holders<'_>,
    ) -> Result<Chosen, NoChoice> {
        if named.is_some() {
            let wish = Wish {
                named,
                ..Wish::default()
            };
            return scope.choose(server, &wish);
        }
        let made = self.made();
        let of = |holder: &Holder| {
            let key = (scope.profile().clone(), server.clone());
            made.get(holder)?.get(&key)
        };
        let session = holders
            .session
            .map(|session| Holder::Session(Arc::clone(session)));
        let client = holders.client.map(|client| Holder::Client(client.clone()));
        let wish = Wish {
            named: None,
            session: session.as_ref().and_then(of),
            client: client.as_ref().and_then(of),
            global: of(&Holder::Everybody),
        };
        scope.choose(server, &wish)
    }

    /// Makes a choice in the scope's profile, or takes one back. It holds, here and after a restart, when this returns.
    /// A caller that goes away leaves it whole: in the store and in memory, or in neither.
    ///
    /// # Errors
    /// It could not be saved; nothing changed.
    pub async fn switch(
        self: &Arc<Self>,
        scope: &Scope,
        switch: Switch,
        holders: Holders<'_>,
    ) -> Result<Switched, NotSaved> {
        let server = switch.server.clone();
        let active = || {
            let chosen = self.choose(scope, &server, None, holders).ok()?;
            Some(chosen.account().clone())
        };
        let (choices, profile) = (Arc::clone(self), scope.profile().clone());
        let was = active();
        let changing = self.changes.spawn(async move {
            let _one_at_a_time = choices.changing.lock().await;
            choices.store.write(change(&profile, &switch)).await?;
            choices.remember(&profile, &switch);
            Ok(())
        });
        // It is cut off only where the runtime ends.
        changing.await.unwrap_or(Err(NotSaved::Stopping))?;
        Ok(Switched {
            was,
            active: active(),
        })
    }

    fn remember(&self, profile: &ProfileName, switch: &Switch) {
        let mut made = self.made();
        let of_holder = made.entry(switch.holder.clone()).or_default();
        let key = (profile.clone(), switch.server.clone());
        match &switch.account {
            Some(account) => drop(of_holder.insert(key, account.clone())),
            None => drop(of_holder.remove(&key)),
        }
        if of_holder.is_empty() {
            made.remove(&switch.holder);
        }
    }

    /// Forgets what a session chose: it has ended, in the store too.
    pub fn forget(self: &Arc<Self>, session: &Arc<str>) {
        let holder = Holder::Session(Arc::clone(session));
        self.made().remove(&holder);
        // A choice that is on its way comes to memory after this, and goes again in its turn.
        if self.changing.try_lock().is_ok() {
            return;
        }
        let choices = Arc::clone(self);
        self.changes.spawn(async move {
            let _turn = choices.changing.lock().await;
            choices.made().remove(&holder);
        });
    }

    /// The choices of one holder, for people.
    pub fn of(&self, holder: &Holder) -> Vec<(ProfileName, AccountId)> {
        let made = self.made();
        let of_holder = made.get(holder).into_iter().flatten();
        let choice = |((profile, server), account): (&(ProfileName, ServerName), &AccountName)| {
            let account = AccountId::new(server.clone(), account.clone());
            (profile.clone(), account)
        };
        of_holder.map(choice).collect()
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<Holder, Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn change(profile: &ProfileName, switch: &Switch) -> Change {
    let (holder, profile, server) = (
        switch.holder.clone(),
        profile.clone(),
        switch.server.clone(),
    );
    match switch.account.clone() {
        Some(account) => Change::Chosen {
            holder,
            profile,
            server,
            account,
        },
        None => Change::Unchosen {
            holder,
            profile,
            server,
        },
    }
}
