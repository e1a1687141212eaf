//! From a scope to exactly one account of a server: nine rules, the first that says something wins.
//!
//! | # | source | |
//! |---|---|---|
//! | 1 | the transparent path | the path names the account |
//! | 2 | the only account in scope | unless another one was chosen |
//! | 3 | the call's own word | must be in scope; refused without switching |
//! | 4–6 | what session, client or everybody chose | not without switching; the last with `global` alone |
//! | 7 | the first account that the profile lists | |
//! | 8 | the server's `default` | |
//! | 9 | nothing | a refusal that names the choices |
//!
//! A choice that was made and is out of reach now is refused too: the next rule would be somebody else.

use crate::model::{AccountId, AccountName, ServerName, Switching};

use super::{Reachable, Scope, View};

/// Which rule gave the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResolvedFrom {
    /// The transparent path, or an address that names its account.
    Path,
    /// There is no other in scope.
    OnlyAccount,
    /// The call's own argument.
    Argument,
    /// The session's choice.
    Session,
    /// The client's choice.
    Client,
    /// Everybody's choice.
    Global,
    /// The profile lists it first.
    Profile,
    /// The server's `default`.
    Default,
}

/// What a call and those who chose before it want.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish<'a> {
    /// The call's own word: `client_a`, or `github/client_a`.
    pub named: Option<&'a str>,
    /// What the session chose.
    pub session: Option<&'a AccountName>,
    /// What the client chose.
    pub client: Option<&'a AccountName>,
    /// What was chosen for everybody.
    pub global: Option<&'a AccountName>,
}

/// Exactly one account in scope, and why this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    account: AccountId,
    from: ResolvedFrom,
}

/// Why there is no account. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoChoice {
    /// The server is not in scope at all.
    OutOfScope(ServerName),
    /// Several accounts, and nothing says which.
    Ambiguous {
        /// The server.
        server: ServerName,
        /// Its accounts in scope.
        accounts: Vec<AccountName>,
    },
    /// The call names none of the accounts in scope.
    Unknown {
        /// The server.
        server: ServerName,
        /// What was named, cut short.
        named: String,
        /// Its accounts in scope.
        accounts: Vec<AccountName>,
    },
    /// The call names an account, and switching is off.
    Off {
        /// The server.
        server: ServerName,
    },
    /// What was chosen before is out of reach now.
    Stale {
        /// The server.
        server: ServerName,
        /// The choice.
        account: AccountName,
        /// Whose it is.
        of: ResolvedFrom,
        /// The accounts in scope.
        accounts: Vec<AccountName>,
    },
}

impl ResolvedFrom {
    /// The word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::OnlyAccount => "only_account",
            Self::Argument => "argument",
            Self::Session => "session",
            Self::Client => "client",
            Self::Global => "global",
            Self::Profile => "profile",
            Self::Default => "default",
        }
    }
}

impl Chosen {
    /// The account.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Which rule gave it.
    pub fn from(&self) -> ResolvedFrom {
        self.from
    }
}

impl Scope {
    /// The account of `server` that a call goes to.
    ///
    /// # Errors
    /// Why there is none.
    pub fn choose(&self, server: &ServerName, wish: &Wish<'_>) -> Result<Chosen, NoChoice> {
        if let View::Transparent(account) = self.view() {
            return transparent(account, server, wish);
        }
        let reachable = self
            .server(server)
            .ok_or_else(|| NoChoice::OutOfScope(server.clone()))?;
        if self.switching() == Switching::Off {
            return locked(reachable, wish);
        }
        match (wish.named, reachable.accounts()) {
            (Some(named), _) => named_of(reachable, named),
            (None, [only])
                if chosen(self.switching(), wish)
                    .is_none_or(|(choice, _)| choice == only.account()) =>
            {
                Ok(Chosen::new(only, ResolvedFrom::OnlyAccount))
            }
            (None, _) => before(reachable, self.switching(), wish),
        }
    }

    /// The account itself, where an address or a seal of ours names it; `None` if it is not in reach.
    pub fn member(&self, account: &AccountId) -> Option<Chosen> {
        // Without switching an address is one more word that does not count: what people fixed is all there is.
        let locked = self.switching() == Switching::Off && self.view() == &View::Profile;
        let fixed = || self.unchosen(account.server()).as_ref() == Some(account);
        let seen = self.accounts().contains(account) && (!locked || fixed());
        seen.then(|| Chosen::new(account, ResolvedFrom::Path))
    }

    /// Whether a call may say which account of `server` it means: there are several, and switching is not off.
    pub fn is_choosable(&self, server: &ServerName) -> bool {
        self.view() == &View::Profile
            && self.switching() != Switching::Off
            && self
                .server(server)
                .is_some_and(|reachable| reachable.accounts().len() > 1)
    }
}

impl Chosen {
    pub(super) fn new(account: &AccountId, from: ResolvedFrom) -> Self {
        Self {
            account: account.clone(),
            from,
        }
    }
}

fn transparent(
    account: &AccountId,
    server: &ServerName,
    wish: &Wish<'_>,
) -> Result<Chosen, NoChoice> {
    if account.server() != server {
        return Err(NoChoice::OutOfScope(server.clone()));
    }
    match wish.named {
        Some(named) if !names(named, account) => Err(NoChoice::Unknown {
            server: server.clone(),
            named: super::refused::cut(named),
            accounts: vec![account.account().clone()],
        }),
        _ => Ok(Chosen::new(account, ResolvedFrom::Path)),
    }
}

/// Rules 2, 7, 8 and 9: what people wrote, and nothing else.
fn locked(reachable: &Reachable, wish: &Wish<'_>) -> Result<Chosen, NoChoice> {
    if wish.named.is_some() {
        return Err(NoChoice::Off {
            server: reachable.server().clone(),
        });
    }
    match (reachable.accounts(), reachable.fixed()) {
        ([only], _) => Ok(Chosen::new(only, ResolvedFrom::OnlyAccount)),
        (_, Some((account, from, _))) => Ok(Chosen::new(account, from)),
        (_, None) => Err(reachable.ambiguous()),
    }
}

/// Rule 3.
fn named_of(reachable: &Reachable, named: &str) -> Result<Chosen, NoChoice> {
    let found = reachable
        .accounts()
        .iter()
        .find(|account| names(named, account));
    found
        .map(|account| Chosen::new(account, ResolvedFrom::Argument))
        .ok_or_else(|| NoChoice::Unknown {
            server: reachable.server().clone(),
            named: super::refused::cut(named),
            accounts: reachable.names(),
        })
}

/// Rules 4 to 9.
fn before(
    reachable: &Reachable,
    switching: Switching,
    wish: &Wish<'_>,
) -> Result<Chosen, NoChoice> {
    if let Some((choice, from)) = chosen(switching, wish) {
        let mut accounts = reachable.accounts().iter();
        return match accounts.find(|account| account.account() == choice) {
            Some(account) => Ok(Chosen::new(account, from)),
            None => Err(NoChoice::Stale {
                server: reachable.server().clone(),
                account: choice.clone(),
                of: from,
                accounts: reachable.names(),
            }),
        };
    }
    match reachable.fixed() {
        Some((account, from, _)) => Ok(Chosen::new(account, from)),
        None => Err(reachable.ambiguous()),
    }
}

/// The first of the choices that count.
fn chosen<'a>(switching: Switching, wish: &Wish<'a>) -> Option<(&'a AccountName, ResolvedFrom)> {
    let global = wish.global.filter(|_| switching == Switching::Global);
    let choices = [
        (wish.session, ResolvedFrom::Session),
        (wish.client, ResolvedFrom::Client),
        (global, ResolvedFrom::Global),
    ];
    let mut made = choices.into_iter();
    made.find_map(|(choice, from)| Some((choice?, from)))
}

impl Reachable {
    fn ambiguous(&self) -> NoChoice {
        NoChoice::Ambiguous {
            server: self.server().clone(),
            accounts: self.names(),
        }
    }
}

/// Whether a word is this account's name, or its full name. Upper and lower case are different.
fn names(word: &str, account: &AccountId) -> bool {
    match word.split_once('/') {
        Some((server, name)) => {
            server == account.server().as_str() && name == account.account().as_str()
        }
        None => word == account.account().as_str(),
    }
}
