//! How things stand, in the one line that `systemctl status` shows.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{FutureExt as _, select_all};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Manager;
use crate::account::login::Logins;
use crate::account::{LoginNeed, login_need, state};
use crate::model::{AccountId, Settings};
use crate::upstream::Upstream;

/// Accounts that come up together are told of together.
const PAUSE: Duration = Duration::from_millis(100);
/// A line that nobody reads to its end says nothing.
const NAMED: usize = 3;

/// What is told of.
#[derive(Debug, Clone)]
pub(in crate::daemon) struct Standing {
    /// Where Janus is reached.
    place: String,
    upstream: Upstream,
    told: watch::Sender<Told>,
}

/// What a reload changes.
#[derive(Debug, Clone, Default)]
struct Told {
    accounts: Vec<AccountId>,
    /// Why the file is not in force.
    refused: Option<String>,
}

impl Standing {
    pub(in crate::daemon) fn new(place: String, upstream: Upstream, settings: &Settings) -> Self {
        let (told, _) = watch::channel(Told::default());
        let standing = Self {
            place,
            upstream,
            told,
        };
        standing.configured(settings);
        standing
    }

    /// These settings are in force.
    pub(in crate::daemon) fn configured(&self, settings: &Settings) {
        let accounts = settings
            .servers
            .iter()
            .flat_map(|server| server.account_ids());
        self.told.send_replace(Told {
            accounts: accounts.collect(),
            refused: None,
        });
    }

    /// The file is wrong, and the earlier settings stay in force.
    pub(in crate::daemon) fn refused(&self, mistakes: &[String]) {
        let first = mistakes.first().cloned().unwrap_or_default();
        self.told.send_modify(|told| told.refused = Some(first));
    }

    /// The line.
    pub(in crate::daemon) fn line(&self) -> String {
        let told = self.told.borrow();
        let stand = told.accounts.iter().map(|id| (self.word(id), id));
        let mut line = format!("serving {}; {}", self.place, summary(stand));
        if let Some(why) = &told.refused {
            line.push_str("; the configuration was refused, the earlier one stays in force: ");
            line.push_str(why);
        }
        line
    }

    fn word(&self, id: &AccountId) -> &'static str {
        match login_need(&self.upstream, id) {
            LoginNeed::Login(_) => "needs_login",
            LoginNeed::Unlock => "sealed",
            LoginNeed::Nothing | LoginNeed::Unknown => state(&self.upstream.state(id).borrow()),
        }
    }

    /// Tells the manager whenever it changes, until Janus stops.
    pub(in crate::daemon) async fn tell(
        self,
        manager: Manager,
        logins: Logins,
        stopping: CancellationToken,
    ) {
        let (mut notices, mut events) = (logins.grants().notices(), logins.events());
        let mut told = self.told.subscribe();
        let mut last = String::new();
        loop {
            // What changes from here on is seen below.
            told.mark_unchanged();
            let mut states: Vec<_> = told
                .borrow()
                .accounts
                .iter()
                .map(|id| self.upstream.state(id))
                .collect();
            let line = self.line();
            if line != last {
                manager.status(&line);
                last = line;
            }
            let changes = states.iter_mut().map(|state| state.changed().boxed());
            // One that never comes, so that there is one.
            let changes = changes.chain([std::future::pending().boxed()]);
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                _ = select_all(changes) => {}
                Ok(()) = told.changed() => {}
                () = happens(&mut notices) => {}
                () = happens(&mut events) => {}
            }
            // The end is told of once, and nothing after it.
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                () = sleep(PAUSE) => {}
            }
        }
    }
}

/// Something happened, whatever it is.
async fn happens<T: Clone>(what: &mut broadcast::Receiver<T>) {
    if matches!(what.recv().await, Err(RecvError::Closed)) {
        std::future::pending::<()>().await;
    }
}

/// `4 accounts ready, 1 needs a login: github/work`
fn summary<'a>(stand: impl Iterator<Item = (&'static str, &'a AccountId)>) -> String {
    let mut by_word: BTreeMap<(usize, &str), Vec<&AccountId>> = BTreeMap::new();
    for (word, id) in stand {
        by_word.entry((rank(word), word)).or_default().push(id);
    }
    if by_word.is_empty() {
        return "no servers are configured".to_owned();
    }
    let mut first = true;
    let parts = by_word.into_iter().map(|((_, word), ids)| {
        let (count, one) = (ids.len(), ids.len() == 1);
        let noun = match (std::mem::take(&mut first), one) {
            (false, _) => "",
            (true, true) => " account",
            (true, false) => " accounts",
        };
        if rank(word) < TROUBLE {
            return format!("{count}{noun} {}", said(word, one));
        }
        let mut names: Vec<String> = ids.iter().take(NAMED).map(ToString::to_string).collect();
        if count > NAMED {
            names.push(format!("{} more", count - NAMED));
        }
        format!("{count}{noun} {}: {}", said(word, one), names.join(", "))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// From here on somebody must act, or wait.
const TROUBLE: usize = 3;

fn rank(word: &str) -> usize {
    ["ready", "idle", "connecting"]
        .iter()
        .position(|known| *known == word)
        .unwrap_or(TROUBLE)
}

fn said(word: &'static str, one: bool) -> &'static str {
    match (word, one) {
        ("needs_login", true) => "needs a login",
        ("needs_login", false) => "need a login",
        ("needs_secret", true) => "needs a secret",
        ("needs_secret", false) => "need a secret",
        ("bad_secret", true) => "has a bad secret",
        ("bad_secret", false) => "have a bad secret",
        ("sealed", true) => "waits for the vault",
        ("sealed", false) => "wait for the vault",
        ("backoff", _) => "unreachable",
        (word, _) => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountName, ServerName};

    #[test]
    fn the_line_says_who_needs_what() {
        let of = |stand: &[(&'static str, &str)]| {
            let ids: Vec<(&'static str, AccountId)> = stand
                .iter()
                .map(|(word, id)| {
                    let (server, account) = id.split_once('/').unwrap();
                    let server = ServerName::new(server).unwrap();
                    (
                        *word,
                        AccountId::new(server, AccountName::new(account).unwrap()),
                    )
                })
                .collect();
            summary(ids.iter().map(|(word, id)| (*word, id)))
        };
        assert_eq!(of(&[]), "no servers are configured");
        assert_eq!(of(&[("ready", "a/b")]), "1 account ready");
        assert_eq!(
            of(&[
                ("ready", "a/b"),
                ("needs_login", "github/work"),
                ("ready", "c/d")
            ]),
            "2 accounts ready, 1 needs a login: github/work"
        );
        let many = ["a/a", "a/b", "a/c", "a/d", "a/e"].map(|id| ("backoff", id));
        assert_eq!(
            of(&[&many[..], &[("idle", "x/y")]].concat()),
            "1 account idle, 5 unreachable: a/a, a/b, a/c, 2 more"
        );
    }
}
