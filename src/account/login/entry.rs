//! One login: what everybody who has to do with it knows of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::{Initiator, LoggedIn, NotLoggedIn, Pending, Wanted, id};
use crate::credential::oauth::{Callback, Expected, Options};
use crate::credential::{Clock, Moment};
use crate::model::AccountId;

/// How a login stands.
#[derive(Debug, Clone)]
pub enum Progress {
    /// The provider is looked for.
    Preparing,
    /// A person must act.
    Waiting,
    /// A person did: the tokens come, and who that is.
    Finishing,
    /// Somebody is logged in.
    LoggedIn(LoggedIn),
    /// Nobody is.
    NotLoggedIn(Arc<NotLoggedIn>),
}

/// One login.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) account: AccountId,
    pub(super) by: Initiator,
    clock: Clock,
    /// What the form of its page proves itself with.
    pub(super) token: String,
    wanted: Mutex<Wanted>,
    /// Whether a person began it, or joined it.
    personal: AtomicBool,
    /// Whether somebody has seen its page, or attends it.
    seen: AtomicBool,
    link: OnceLock<Link>,
    /// Who brings the answer takes it: a state is good once.
    answer: Mutex<Option<oneshot::Sender<Callback>>>,
    /// Taken by whoever runs it.
    answered: Mutex<Option<oneshot::Receiver<Callback>>>,
    /// Why it shall end before it has an answer.
    given_up: watch::Sender<Option<NotLoggedIn>>,
    progress: watch::Sender<Progress>,
}

/// What a person needs to log in.
#[derive(Debug)]
struct Link {
    pending: Pending,
    /// Which answer is its own; `None`: a device flow has none.
    expected: Option<Expected>,
    ends: Moment,
}

impl Progress {
    /// Whether nothing changes any more.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::LoggedIn(_) | Self::NotLoggedIn(_))
    }
}

impl Entry {
    /// One that is under way; `None` where the system has no randomness. `taken` tells which ids are others'.
    pub(super) fn new(
        account: AccountId,
        wanted: Wanted,
        by: Initiator,
        clock: &Clock,
        taken: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let id = loop {
            let id = id::short()?;
            if !taken(&id) {
                break id;
            }
        };
        let (answer, answered) = oneshot::channel();
        Some(Self {
            id,
            account,
            by,
            clock: clock.clone(),
            token: id::token()?,
            wanted: Mutex::new(wanted),
            personal: AtomicBool::new(by == Initiator::Person),
            seen: AtomicBool::new(false),
            link: OnceLock::new(),
            answer: Mutex::new(Some(answer)),
            answered: Mutex::new(Some(answered)),
            given_up: watch::Sender::new(None),
            progress: watch::Sender::new(Progress::Preparing),
        })
    }

    /// Whether it has not ended, and shall not: from the moment it was given up, or its time was over, it is nobody's to
    /// join or answer.
    pub(super) fn is_open(&self) -> bool {
        let over = match &*self.progress.borrow() {
            // Whoever runs it may see that later: timers do not count the machine's sleep.
            Progress::Waiting => self.left().is_some_and(|left| left.is_zero()),
            progress => progress.is_over(),
        };
        self.given_up.borrow().is_none() && !over
    }

    /// How long its link is good for.
    fn left(&self) -> Option<Duration> {
        let link = self.link.get()?;
        Some(link.ends.from(self.clock.now()))
    }

    pub(super) fn waits_for(&self, account: &AccountId) -> bool {
        self.account == *account && self.is_open()
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// What is wanted by now.
    pub(super) fn wanted(&self) -> Wanted {
        self.wishes().clone()
    }

    /// Somebody else wants a login of the same account. Whether this one will do.
    pub(super) fn join(&self, wanted: &Wanted, by: Initiator) -> bool {
        if by == Initiator::Client {
            return true;
        }
        let mut wishes = self.wishes();
        // The link is made for these; one that was answered already is not thrown away for another.
        let needs_another = wanted.options != Options::default()
            && wanted.options != wishes.options
            && !matches!(&*self.progress.borrow(), Progress::Finishing);
        if needs_another {
            return false;
        }
        self.personal.store(true, Ordering::Relaxed);
        if wanted.expect.is_some() {
            wishes.expect.clone_from(&wanted.expect);
        }
        wishes.replace |= wanted.replace;
        wishes.same_identity |= wanted.same_identity;
        wishes.yes |= wanted.yes;
        true
    }

    /// Whether it may end for a person's: it is a client's alone, and nobody has answered it.
    pub(super) fn makes_room(&self) -> bool {
        !self.personal.load(Ordering::Relaxed)
            && !matches!(&*self.progress.borrow(), Progress::Finishing)
    }

    /// Somebody sees its page, or waits for it.
    pub(super) fn see(&self) {
        self.seen.store(true, Ordering::Relaxed);
    }

    /// Whether a person has to do with it by now: began it, has its page, was given the provider's own link, which is opened
    /// without Janus, or has answered. What only a client was told is no loss: its next call begins another.
    pub(super) fn is_attended(&self) -> bool {
        let link = self.link.get().map(|link| &link.pending);
        let elsewhere = |it: &Pending| it.code().is_some() || it.link() == Some(it.url.as_str());
        self.personal.load(Ordering::Relaxed)
            || self.seen.load(Ordering::Relaxed)
            || link.is_some_and(elsewhere)
            || matches!(&*self.progress.borrow(), Progress::Finishing)
    }

    /// The link is there: a person can act.
    pub(super) fn show(&self, pending: Pending, expected: Option<Expected>, ends: Moment) {
        let link = Link {
            pending,
            expected,
            ends,
        };
        if self.link.set(link).is_ok() {
            self.go_on(Progress::Waiting);
        }
    }

    /// What a person needs, with the time that is left.
    pub(super) fn shown(&self) -> Option<Pending> {
        let link = self.link.get()?;
        let wishes = self.wanted();
        Some(Pending {
            expected: wishes.expect.or_else(|| link.pending.expected.clone()),
            agreed: wishes.yes,
            left: link.ends.from(self.clock.now()),
            ..link.pending.clone()
        })
    }

    /// The same, as soon as it is there.
    pub(super) async fn pending(&self) -> Result<Pending, NotLoggedIn> {
        let mut progress = self.progress.subscribe();
        let begun = progress
            .wait_for(|progress| !matches!(progress, Progress::Preparing))
            .await
            .map(|progress| progress.clone());
        match (self.shown(), begun) {
            (_, Ok(Progress::NotLoggedIn(why))) => Err(NotLoggedIn::clone(&why)),
            (Some(pending), _) => Ok(pending),
            (None, _) => Err(NotLoggedIn::Stopping),
        }
    }

    /// How it stands when it has ended, or after this long.
    pub(super) async fn ended(&self, within: Duration) -> Progress {
        let mut progress = self.progress.subscribe();
        let over = progress.wait_for(Progress::is_over);
        match timeout(within, over).await {
            Ok(Ok(over)) => over.clone(),
            _ => self.progress(),
        }
    }

    /// Whether a browser comes back for it to this host, as it is written there, and this path.
    pub(super) fn comes_back_to(&self, host: &str, path: &str) -> bool {
        let link = self.link.get();
        let uri = link.and_then(|link| link.pending.redirect_uri.as_deref());
        let place = uri.and_then(|uri| uri.strip_prefix("http://"));
        let there = place.and_then(|place| place.find('/').map(|at| place.split_at(at)));
        there == Some((host, path))
    }

    pub(super) fn has_state(&self, state: &str) -> bool {
        self.had_state(state) && self.is_open()
    }

    /// Whether an answer of this state is its own, also when it has ended.
    pub(super) fn had_state(&self, state: &str) -> bool {
        self.expected().is_some_and(|own| own.state == state)
    }

    /// What to say where this is its answer, without the end.
    pub(super) fn cut_off(&self, text: &str) -> Option<&'static str> {
        self.expected()?.cut_off(text)
    }

    fn expected(&self) -> Option<&Expected> {
        self.link.get()?.expected.as_ref()
    }

    /// Brings the answer. Whether it is the first.
    pub(super) fn answer(&self, callback: Callback) -> bool {
        let answer = lock(&self.answer).take();
        answer.is_some_and(|answer| answer.send(callback).is_ok())
    }

    /// What the one who runs it waits for.
    pub(super) fn take_answered(&self) -> Option<oneshot::Receiver<Callback>> {
        lock(&self.answered).take()
    }

    /// Ends it, also where the answer is there and not used yet, or its time is over and whoever runs it has not seen
    /// that: an answer that comes first counts. Whether it had not ended.
    pub(super) fn give_up(&self, why: NotLoggedIn) -> bool {
        if self.progress.borrow().is_over() {
            return false;
        }
        self.given_up.send_if_modified(|given_up| {
            let is_first = given_up.is_none();
            given_up.get_or_insert(why);
            is_first
        })
    }

    /// Why it shall end, if it shall.
    pub(super) fn end_wanted(&self) -> Option<NotLoggedIn> {
        self.given_up.borrow().clone()
    }

    /// Resolves when it shall end.
    pub(super) async fn given_up(&self) -> NotLoggedIn {
        let mut given_up = self.given_up.subscribe();
        let why = given_up.wait_for(Option::is_some).await;
        why.ok()
            .and_then(|why| why.clone())
            .unwrap_or(NotLoggedIn::Stopping)
    }

    pub(super) fn go_on(&self, progress: Progress) {
        self.progress.send_replace(progress);
    }

    fn wishes(&self) -> MutexGuard<'_, Wanted> {
        lock(&self.wanted)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountName, OpenBrowser, ServerName};

    fn entry(by: Initiator, clock: &Clock) -> Entry {
        let account = AccountId::new(
            ServerName::new("linear").unwrap(),
            AccountName::new("default").unwrap(),
        );
        Entry::new(account, Wanted::default(), by, clock, |_| false).unwrap()
    }

    fn shown(entry: &Entry, life: Duration) {
        let pending = Pending {
            id: entry.id.clone(),
            account: entry.account.clone(),
            url: "https://as.example/authorize".to_owned(),
            page: "http://127.0.0.1:7332/login/abc234".to_owned(),
            host: "as.example".to_owned(),
            foreign: false,
            moved: None,
            expected: None,
            scopes: Vec::new(),
            new_scopes: Vec::new(),
            agreed: false,
            again: false,
            redirect_uri: Some("http://127.0.0.1:7334/callback".to_owned()),
            device: None,
            open_browser: OpenBrowser::Auto,
            browser_command: None,
            left: life,
        };
        let ends = entry.clock.now().after(life);
        let expected = Expected {
            state: "s".to_owned(),
            issuer: "https://as.example".to_owned(),
            names_issuer: true,
        };
        entry.show(pending, Some(expected), ends);
    }

    #[tokio::test]
    async fn whoever_joins_waits_for_the_same_link_and_sees_what_is_left() {
        let clock = Clock::movable();
        let entry = entry(Initiator::Client, &clock);
        let (first, ()) = tokio::join!(entry.pending(), async {
            shown(&entry, Duration::from_mins(10));
        });
        assert_eq!(first.unwrap().left.as_secs().div_ceil(60), 10);
        clock.suspend(Duration::from_secs(90));
        let left = entry.pending().await.unwrap().left;
        assert!(left <= Duration::from_secs(510), "{left:?}");
        assert!(left > Duration::from_secs(450), "{left:?}");
        assert!(entry.comes_back_to("127.0.0.1:7334", "/callback"));
        for (host, path) in [
            ("localhost:7334", "/callback"),
            ("127.0.0.1", "/callback"),
            ("127.0.0.1:7335", "/callback"),
            ("127.0.0.1:7334", "/callback/"),
            ("127.0.0.1:7334", "/"),
            ("127.0.0.1:7334/callback", ""),
        ] {
            assert!(!entry.comes_back_to(host, path), "{host} {path}");
        }
        assert!(entry.has_state("s"));
        assert!(!entry.has_state("S"));
        assert!(matches!(
            entry.ended(Duration::ZERO).await,
            Progress::Waiting
        ));
        entry.go_on(Progress::NotLoggedIn(Arc::new(NotLoggedIn::Cancelled)));
        assert!(!entry.has_state("s"), "a login that ended has no state");
        entry.pending().await.unwrap_err();
    }

    #[test]
    fn a_link_is_good_no_longer_where_the_machine_slept_meanwhile() {
        let clock = Clock::movable();
        let entry = entry(Initiator::Person, &clock);
        shown(&entry, Duration::from_mins(10));
        clock.suspend(Duration::from_mins(9));
        assert!(entry.is_open() && entry.has_state("s"));
        clock.suspend(Duration::from_mins(2));
        assert!(!entry.is_open() && !entry.has_state("s"));
        // One that was answered in time is finished, however long that takes.
        entry.go_on(Progress::Finishing);
        assert!(entry.is_open());
    }

    #[test]
    fn a_login_whose_time_is_over_is_given_up_also_for_an_answer_that_is_there() {
        let clock = Clock::movable();
        let entry = entry(Initiator::Person, &clock);
        shown(&entry, Duration::from_mins(10));
        clock.suspend(Duration::from_mins(11));
        assert!(entry.give_up(NotLoggedIn::Cancelled));
        assert!(!entry.give_up(NotLoggedIn::Stopping), "it was given up");
        entry.go_on(Progress::Finishing);
        assert!(!entry.is_open());
        assert!(matches!(entry.end_wanted(), Some(NotLoggedIn::Cancelled)));
        entry.go_on(Progress::NotLoggedIn(Arc::new(NotLoggedIn::Cancelled)));
        assert!(!entry.give_up(NotLoggedIn::Cancelled), "it has ended");
    }

    #[test]
    fn a_persons_wishes_are_heard_and_another_link_is_another_login() {
        let entry = entry(Initiator::Client, &Clock::movable());
        let wanted = Wanted {
            expect: Some("ana".to_owned()),
            replace: true,
            ..Wanted::default()
        };
        assert!(entry.join(&wanted, Initiator::Client));
        assert_eq!(entry.wanted(), Wanted::default(), "a client has none");
        assert!(entry.makes_room());
        assert!(entry.join(&wanted, Initiator::Person));
        assert!(!entry.makes_room(), "a person waits for it");
        assert_eq!(entry.wanted(), wanted);
        let device = Wanted {
            options: Options {
                device: true,
                ..Options::default()
            },
            ..Wanted::default()
        };
        assert!(!entry.join(&device, Initiator::Person));
        assert!(entry.join(&device, Initiator::Client));
        assert_eq!(entry.wanted(), wanted);
    }
}
