//! Logins as people see them: one at a time for each account, begun from anywhere, waited for from anywhere.
//!
//! [`Logins::start`] begins one, or joins the one that waits. From there it runs by itself (`run`): a `door` is opened
//! for the browser, the flow of [`crate::credential::oauth`] finds the provider and makes the link, and whoever brings
//! the answer, the browser ([`Logins::arrive`]) or a person who pastes it ([`Logins::paste`]), ends the wait. `settle`
//! learns who that is, refuses somebody else, and makes the grant. `entry` is what all of them know of one login.
//!
//! Invariants:
//! - A state is good for one answer, for ten minutes, and for the account it was made for.
//! - No link, code or token is in an answer that the person who began the login did not ask for.
//! - A login as somebody else than before, or than was expected, is not saved.
//! - A login runs detached: whoever asked for it may go away and come back.

mod door;
mod entry;
mod error;
mod held;
mod id;
mod identity;
mod logout;
mod pasted;
mod run;
mod settle;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::door::Doors;
use self::entry::Entry;
use self::held::Held;
use crate::credential::oauth::{Callback, Grants, Identity, Options};
use crate::model::{AccountId, GrantKind, OpenBrowser};
use crate::store::Store;
use crate::upstream::Upstream;

pub use self::door::Door;
pub use self::entry::Progress;
pub use self::error::{Meant, NotLoggedIn};
pub use self::logout::LoggedOut;

/// More than a person keeps apart; a client that asks for everything stops here.
const AT_ONCE: usize = 20;
/// A link is good for this long.
const LIFE: Duration = Duration::from_mins(10);
/// Whoever opened the link is back by then, unless the provider refused them: some do so on their page alone.
const SILENT: Duration = Duration::from_mins(5);
/// So many logins that ended are told of.
const REMEMBERED: usize = 64;
/// Events that a slow listener may be behind.
const EVENTS: usize = 64;

/// All logins that are under way. Clones are the same.
#[derive(Debug, Clone)]
pub struct Logins(Arc<Inner>);

/// What logins stand on.
#[derive(Debug)]
pub struct Parts {
    /// What comes of them.
    pub grants: Grants,
    /// Who uses it.
    pub upstream: Upstream,
    /// Where the port is kept.
    pub store: Store,
    /// The port of an earlier life.
    pub port: Option<u16>,
    /// Where Janus's own pages are, such as `http://127.0.0.1:7332`; `None`: nowhere.
    pub pages: Option<String>,
    /// Where they run.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stopping: CancellationToken,
}

#[derive(Debug)]
struct Inner {
    grants: Grants,
    upstream: Upstream,
    doors: Doors,
    pages: Option<String>,
    /// Those that wait and those that ended, in the order in which they began.
    known: Mutex<VecDeque<Arc<Entry>>>,
    /// One at a time is held against what others are: two accounts of one person are noticed.
    settling: tokio::sync::Mutex<()>,
    /// Which failures are not tried again at once.
    held: Held,
    events: broadcast::Sender<Event>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// What happened, for those who tell people.
#[derive(Debug, Clone)]
pub enum Event {
    /// A login waits for a person.
    Waits {
        /// Which.
        pending: Arc<Pending>,
        /// Who began it.
        by: Initiator,
    },
    /// Somebody logged in.
    LoggedIn(LoggedIn),
}

/// A login that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// What people call it by: short, and no secret.
    pub id: String,
    /// Whose.
    pub account: AccountId,
    /// The page of the provider.
    pub url: String,
    /// The page of Janus that leads there; the provider's own where Janus has none ([`Self::own_page`]).
    pub page: String,
    /// The provider's host.
    pub host: String,
    /// Whether that host is neither the authorization server's nor the server's: a person looks at it first.
    pub foreign: bool,
    /// The authorization server now, and before, where the server has another one now: a person looks at it first.
    pub moved: Option<(String, String)>,
    /// Who should log in, if that is known.
    pub expected: Option<String>,
    /// What is asked for, and what of it is new.
    pub scopes: Vec<String>,
    /// Those that are neither configured nor were granted before.
    pub new_scopes: Vec<String>,
    /// Whether a person has said yes to what must be asked first.
    pub agreed: bool,
    /// Whether somebody had logged in before.
    pub again: bool,
    /// Where the browser comes back to; `None`: it does not.
    pub redirect_uri: Option<String>,
    /// The code to type on another device, and where.
    pub device: Option<(String, String)>,
    /// How a browser is opened for it.
    pub open_browser: OpenBrowser,
    /// With which command.
    pub browser_command: Option<Vec<String>>,
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
    /// What was granted.
    pub scopes: Vec<String>,
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
    /// Whatever must be asked first is agreed to (`--yes`).
    pub yes: bool,
}

/// What came of an answer that a browser brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// It was a login's, and somebody is logged in.
    LoggedIn,
    /// It was a login's, and nobody is logged in.
    NotLoggedIn,
    /// It was a login's, and what came of it is not known yet.
    Underway,
    /// Nothing waits there.
    Nowhere,
    /// It belongs to no login that waits.
    Stranger,
}

impl Pending {
    /// The link for people: Janus's page, where one more click is needed; the provider's own where no browser is opened
    /// here and nothing must be asked first. `None`: something must be asked, and only `janus login` can.
    pub fn link(&self) -> Option<&str> {
        match self.own_page() {
            Some(page) if self.asks_first() || self.open_browser != OpenBrowser::Never => {
                Some(page)
            }
            None if self.asks_first() => None,
            _ => Some(&self.url),
        }
    }

    /// The code for another device and where it is typed, where nothing must be asked before.
    pub fn code(&self) -> Option<&(String, String)> {
        self.device.as_ref().filter(|_| !self.asks_first())
    }

    /// Janus's own page of it; `None`: Janus has no pages.
    pub fn own_page(&self) -> Option<&str> {
        (self.page != self.url).then_some(self.page.as_str())
    }

    /// Whether a person must say yes to something before they see where it leads.
    pub fn asks_first(&self) -> bool {
        self.needs_yes() || self.foreign || self.moved.is_some()
    }

    /// Whether nobody came back for so long that the provider may have refused somebody and told only them.
    pub fn is_silent(&self) -> bool {
        self.device.is_none() && self.left + SILENT <= LIFE
    }

    /// Whether a person must say yes to more than was granted before.
    pub fn needs_yes(&self) -> bool {
        self.again && !self.new_scopes.is_empty()
    }
}

impl Logins {
    /// Nothing waits yet. Whoever speaks HTTP serves the doors.
    pub fn new(parts: Parts) -> (Self, mpsc::Receiver<Door>) {
        let (doors, opened) = Doors::new(parts.store, parts.port);
        let (events, _) = broadcast::channel(EVENTS);
        let held = Held::new(parts.grants.clock().clone());
        let inner = Inner {
            grants: parts.grants,
            upstream: parts.upstream,
            doors,
            pages: parts.pages,
            known: Mutex::default(),
            settling: tokio::sync::Mutex::default(),
            held,
            events,
            tasks: parts.tasks,
            stopping: parts.stopping,
        };
        (Self(Arc::new(inner)), opened)
    }

    /// Begins a login of an account, or joins the one that waits, and gives its link. A person's wishes replace those of
    /// the login that is joined; where they need another link, another login takes its place.
    ///
    /// Whoever goes away ends nothing.
    ///
    /// # Errors
    /// Why nobody can log in.
    pub async fn start(
        &self,
        account: &AccountId,
        wanted: Wanted,
        by: Initiator,
    ) -> Result<Pending, NotLoggedIn> {
        self.begun(account, wanted, by)?.pending().await
    }

    /// The login of an account that waits, if its link is there.
    pub fn pending(&self, account: &AccountId) -> Option<Pending> {
        let known = self.known();
        let entry = known.iter().find(|entry| entry.waits_for(account))?;
        entry.shown()
    }

    /// The id of the login of an account that is under way, if one is.
    pub fn waiting(&self, account: &AccountId) -> Option<String> {
        let known = self.known();
        let entry = known.iter().find(|entry| entry.waits_for(account))?;
        Some(entry.id.clone())
    }

    /// All that wait, in the order in which they began.
    pub fn list(&self) -> Vec<Pending> {
        let known = self.known();
        let waiting = known.iter().filter(|entry| entry.is_open());
        waiting.filter_map(|entry| entry.shown()).collect()
    }

    /// How a login stands, also for a while after it ended.
    pub fn progress(&self, id: &str) -> Option<Progress> {
        Some(self.find(id)?.progress())
    }

    /// Those that a person has to do with, in the order in which they began: their id and account.
    pub fn attended(&self) -> Vec<(String, AccountId)> {
        let known = self.known();
        let open = known.iter().filter(|entry| entry.is_open());
        open.filter(|entry| entry.is_attended())
            .map(|entry| (entry.id.clone(), entry.account.clone()))
            .collect()
    }

    /// What the page of a login shows, and what its form proves itself with.
    pub fn page(&self, id: &str) -> Option<(Option<Pending>, String, Progress)> {
        let entry = self.find(id)?;
        entry.see();
        Some((entry.shown(), entry.token.clone(), entry.progress()))
    }

    /// Waits until a login has ended, but no longer than `within`.
    ///
    /// # Errors
    /// There is no such login.
    pub async fn wait(&self, id: &str, within: Duration) -> Result<Progress, NotLoggedIn> {
        let unknown = || NotLoggedIn::Unknown(cut(id));
        let entry = self.find(id).ok_or_else(unknown)?;
        Ok(entry.ended(within).await)
    }

    /// The account of a login.
    pub fn account_of(&self, id: &str) -> Option<AccountId> {
        Some(self.find(id)?.account.clone())
    }

    /// Takes what a browser brought to `http://HOST PATH?QUERY`, and waits a moment for what comes of it. What belongs to
    /// no login changes nothing.
    pub async fn arrive(&self, host: &str, path: &str, query: &str, moment: Duration) -> Arrived {
        let waiting: Vec<Arc<Entry>> = {
            let known = self.known();
            let waiting = known.iter().filter(|entry| entry.is_open());
            waiting
                .filter(|entry| entry.comes_back_to(host, path))
                .cloned()
                .collect()
        };
        if waiting.is_empty() {
            return Arrived::Nowhere;
        }
        let Ok(callback) = Callback::read(query) else {
            return Arrived::Stranger;
        };
        let meant = waiting
            .iter()
            .find(|entry| entry.has_state(&callback.state));
        let Some(entry) = meant.filter(|entry| entry.answer(callback)) else {
            return Arrived::Stranger;
        };
        match entry.ended(moment).await {
            Progress::LoggedIn(_) => Arrived::LoggedIn,
            Progress::NotLoggedIn(_) => Arrived::NotLoggedIn,
            Progress::Preparing | Progress::Waiting | Progress::Finishing => Arrived::Underway,
        }
    }

    /// Ends a login without an answer. Whether there was one that waited.
    pub fn cancel(&self, id: &str) -> bool {
        self.find(id)
            .is_some_and(|entry| entry.give_up(NotLoggedIn::Cancelled))
    }

    /// The configuration is another one: logins of accounts that are not in it any more end.
    pub fn configured(&self) {
        let open: Vec<Arc<Entry>> = {
            let known = self.known();
            known.iter().filter(|it| it.is_open()).cloned().collect()
        };
        for entry in open {
            if self.0.upstream.credential(&entry.account).is_none() {
                entry.give_up(NotLoggedIn::Gone(entry.account.clone()));
            }
        }
    }

    /// What happens from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    /// Whether a person logs in to this account: by a browser or another device.
    pub fn is_interactive(&self, account: &AccountId) -> bool {
        let grant = self.0.grants.find(account);
        grant.is_some_and(|grant| grant.settings().grant != GrantKind::ClientCredentials)
    }

    /// What accounts were granted.
    pub fn grants(&self) -> &Grants {
        &self.0.grants
    }

    /// The login that waits, or a new one that runs.
    fn begun(
        &self,
        account: &AccountId,
        wanted: Wanted,
        by: Initiator,
    ) -> Result<Arc<Entry>, NotLoggedIn> {
        let mut known = self.known();
        let open = known.iter().filter(|entry| entry.is_open());
        if let Some(entry) = open.clone().find(|entry| entry.account == *account) {
            if entry.join(&wanted, by) {
                return Ok(Arc::clone(entry));
            }
            entry.give_up(NotLoggedIn::Replaced);
        }
        if by == Initiator::Client
            && let Some(grant) = self.0.grants.find(account)
            && let Some(why) = self.0.held.why(account, &grant.settings())
        {
            return Err(why);
        }
        if open.clone().count() >= AT_ONCE {
            // Clients do not lock a person out: the oldest of theirs makes room.
            let mut theirs = open.filter(|entry| entry.makes_room());
            let oldest = theirs.next().filter(|_| by == Initiator::Person);
            let oldest = oldest.ok_or(NotLoggedIn::TooMany(AT_ONCE))?;
            oldest.give_up(NotLoggedIn::TooMany(AT_ONCE));
        }
        let clock = self.0.grants.clock();
        let entry = Entry::new(account.clone(), wanted, by, clock, |id| {
            known.iter().any(|entry| entry.id == id)
        });
        let entry = Arc::new(entry.ok_or(NotLoggedIn::Stopping)?);
        while known.len() >= REMEMBERED {
            let Some(at) = known.iter().position(|entry| !entry.is_open()) else {
                break;
            };
            known.remove(at);
        }
        known.push_back(Arc::clone(&entry));
        drop(known);
        let (logins, running) = (self.clone(), Arc::clone(&entry));
        self.0
            .tasks
            .spawn(async move { logins.run(&running).await });
        Ok(entry)
    }

    fn find(&self, id: &str) -> Option<Arc<Entry>> {
        self.known().iter().find(|entry| entry.id == id).cloned()
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<Arc<Entry>>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What somebody sent as an id, for a message.
fn cut(id: &str) -> String {
    id.chars().filter(|c| !c.is_control()).take(20).collect()
}
