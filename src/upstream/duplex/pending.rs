//! The exchanges that wait for an answer.
//!
//! Invariants:
//! - An exchange leaves the table exactly once: answered, given up, or because the connection ended. Who takes it out
//!   is the one who says how it ended.
//! - After the connection ended nothing enters.
//! - The lock is held for look-ups only, never across a wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::protocol::{ClientFacts, Era, Events, Json, Relayed};
use crate::upstream::Failure;

/// A server asks one thing after the other; a call with more open questions is stuck.
const OPEN_QUESTIONS: usize = 8;
/// What a timeout that no clock can reach becomes.
const FAR: Duration = Duration::from_hours(24 * 365);

/// How an exchange ends.
pub(super) type Ending = Result<Relayed, Failure>;

/// One exchange, by its id on the wire.
#[derive(Debug)]
pub(super) struct Pending {
    /// What the response's id becomes.
    pub(super) client_id: Json,
    /// What the result's `_meta` says of who answered.
    pub(super) identity: Option<Json>,
    /// What the token of its progress becomes; `None` if the client asked for none.
    pub(super) token: Option<Json>,
    /// The era its server speaks.
    pub(super) era: Era,
    /// Whose it is; `None` for Janus's own.
    pub(super) client: Option<Arc<ClientFacts>>,
    /// It stays open and is no call: nothing without a mark belongs to it.
    pub(super) listen: bool,
    /// Where its notifications go.
    pub(super) events: Events,
    /// Where its end goes.
    pub(super) ending: oneshot::Sender<Ending>,
}

struct Entry {
    pending: Pending,
    last_sign: Instant,
    /// The server's ids of its open questions. A value that is sent takes the question back; one that is dropped, with
    /// the entry, says that the exchange is over.
    questions: BTreeMap<String, oneshot::Sender<()>>,
}

/// Where a notification goes, and what it must say there.
#[derive(Debug)]
pub(super) struct Addressee {
    pub(super) events: Events,
    pub(super) client_id: Json,
    pub(super) token: Option<Json>,
    pub(super) listen: bool,
}

/// Whom a question on the pipe may be for.
#[derive(Debug)]
pub(super) enum Asked {
    /// No client waits for anything.
    Nobody,
    /// Several do, and the pipe does not say which of them is meant.
    Unclear,
    /// The one whose call it must belong to.
    Client {
        exchange: u64,
        client: Arc<ClientFacts>,
        events: Events,
    },
}

/// Whether an exchange may go on waiting.
#[derive(Debug)]
pub(super) enum Patience {
    /// Until then at least.
    Until(Instant),
    /// The server gave no sign for too long.
    Over,
    /// It has ended already.
    Ended,
}

/// The table, shared by the handle and the reader.
#[derive(Default)]
pub(super) struct Table {
    state: Mutex<State>,
    asked: AtomicBool,
}

#[derive(Default)]
struct State {
    open: BTreeMap<u64, Entry>,
    ended: Option<Arc<str>>,
}

impl Table {
    /// Enters an exchange, before its request is sent. The reason, if the connection has ended.
    pub(super) fn enter(&self, id: u64, pending: Pending) -> Result<(), Arc<str>> {
        let mut state = self.state();
        if let Some(reason) = &state.ended {
            return Err(Arc::clone(reason));
        }
        let entry = Entry {
            pending,
            last_sign: Instant::now(),
            questions: BTreeMap::new(),
        };
        state.open.insert(id, entry);
        Ok(())
    }

    /// Takes an exchange out.
    pub(super) fn take(&self, id: u64) -> Option<Pending> {
        self.state().open.remove(&id).map(|entry| entry.pending)
    }

    /// Ends the connection: what waited is given back.
    pub(super) fn end(&self, reason: &Arc<str>) -> Vec<Pending> {
        let mut state = self.state();
        state.ended.get_or_insert_with(|| Arc::clone(reason));
        let open = std::mem::take(&mut state.open);
        open.into_values().map(|entry| entry.pending).collect()
    }

    /// Why the connection ended, if it did.
    pub(super) fn ended(&self) -> Option<Arc<str>> {
        self.state().ended.clone()
    }

    /// The addressee of a notification that names its exchange.
    pub(super) fn addressee(&self, id: u64) -> Option<Addressee> {
        self.state().open.get_mut(&id).map(Entry::addressee)
    }

    /// The only call a client waits for; `None` if there are none or several.
    pub(super) fn only_call(&self) -> Option<Addressee> {
        let mut state = self.state();
        let mut calls = state.open.values_mut().filter(|entry| entry.is_call());
        let only = calls.next()?;
        calls.next().is_none().then(|| only.addressee())
    }

    /// Whom a question is for: the client whose calls are the only ones that wait.
    pub(super) fn whom_to_ask(&self) -> Asked {
        self.note_asked();
        let state = self.state();
        let mut calls = state.open.iter().rev().filter(|(_, entry)| entry.is_call());
        // Ids are given out in order: the last one is the most recent.
        let Some((&exchange, last)) = calls.next() else {
            return Asked::Nobody;
        };
        let Some(client) = &last.pending.client else {
            return Asked::Nobody;
        };
        if !calls.all(|(_, entry)| same_session(entry, client)) {
            return Asked::Unclear;
        }
        Asked::Client {
            exchange,
            client: Arc::clone(client),
            events: last.pending.events.clone(),
        }
    }

    /// Opens a question of an exchange. The receiver gets a value if the server takes it back, and an error if the
    /// exchange ends. `None` if it has too many, or is over.
    pub(super) fn ask(&self, exchange: u64, question: &str) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state();
        let entry = state.open.get_mut(&exchange)?;
        if entry.questions.len() == OPEN_QUESTIONS || entry.questions.contains_key(question) {
            return None;
        }
        let (withdraw, withdrawn) = oneshot::channel();
        entry.questions.insert(question.to_owned(), withdraw);
        entry.last_sign = Instant::now();
        Some(withdrawn)
    }

    /// Closes a question. The server's time runs again.
    pub(super) fn answered(&self, exchange: u64, question: &str) {
        if let Some(entry) = self.state().open.get_mut(&exchange) {
            entry.questions.remove(question);
            entry.last_sign = Instant::now();
        }
    }

    /// The server takes a question back. Whether there is such a question.
    pub(super) fn withdraw(&self, question: &str) -> bool {
        let mut state = self.state();
        let withdrawn = state
            .open
            .values_mut()
            .find_map(|entry| entry.questions.remove(question));
        withdrawn.is_some_and(|withdrawn| {
            // Its task may just have got the answer, and then nothing is to be taken back.
            withdrawn.send(()).ok();
            true
        })
    }

    /// Whether an exchange may wait on, `timeout` after the last sign of it. While the server waits for an answer of
    /// ours it is not the server that is silent.
    pub(super) fn patience(&self, id: u64, timeout: Duration) -> Patience {
        let state = self.state();
        let Some(entry) = state.open.get(&id) else {
            return Patience::Ended;
        };
        let now = Instant::now();
        let from = if entry.questions.is_empty() {
            entry.last_sign
        } else {
            now
        };
        let until = after(from, timeout);
        if until > now {
            Patience::Until(until)
        } else {
            Patience::Over
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.state().open.len()
    }

    /// How many of them are calls of clients.
    pub(super) fn calls(&self) -> usize {
        let state = self.state();
        state.open.values().filter(|entry| entry.is_call()).count()
    }

    /// The server has asked something.
    pub(super) fn note_asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether the server ever asked something.
    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_call(&self) -> bool {
        self.pending.client.is_some() && !self.pending.listen
    }

    fn addressee(&mut self) -> Addressee {
        self.last_sign = Instant::now();
        Addressee {
            events: self.pending.events.clone(),
            client_id: self.pending.client_id.clone(),
            token: self.pending.token.clone(),
            listen: self.pending.listen,
        }
    }
}

/// Clients without a session are strangers to each other.
fn same_session(entry: &Entry, client: &ClientFacts) -> bool {
    let session = entry
        .pending
        .client
        .as_ref()
        .and_then(|client| client.session.as_ref());
    session.is_some() && session == client.session.as_ref()
}

/// A moment, however long the time.
pub(super) fn after(from: Instant, time: Duration) -> Instant {
    from.checked_add(time).unwrap_or_else(|| from + FAR)
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({} waiting)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn pending() -> (Pending, oneshot::Receiver<Ending>) {
        let (ending, ended) = oneshot::channel();
        let pending = Pending {
            client_id: Json::of(&1),
            identity: None,
            token: None,
            era: Era::Legacy,
            client: None,
            listen: false,
            events: Events::channel().0,
            ending,
        };
        (pending, ended)
    }

    fn waits(table: &Table) -> bool {
        matches!(table.patience(7, TIMEOUT), Patience::Until(_))
    }

    #[tokio::test(start_paused = true)]
    async fn every_sign_of_the_server_renews_its_time() {
        let table = Table::default();
        table.enter(7, pending().0).unwrap();
        tokio::time::advance(TIMEOUT / 2).await;
        assert!(table.addressee(7).is_some() && table.addressee(8).is_none());
        tokio::time::advance(TIMEOUT / 2).await;
        assert!(waits(&table));
        tokio::time::advance(TIMEOUT / 2).await;
        assert!(!waits(&table));
        table.take(7);
        assert!(matches!(table.patience(7, TIMEOUT), Patience::Ended));
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_person_thinks_the_server_is_not_silent() {
        let table = Table::default();
        table.enter(7, pending().0).unwrap();
        let withdrawn = table.ask(7, "\"q\"").unwrap();
        assert!(table.ask(7, "\"q\"").is_none());
        tokio::time::advance(20 * TIMEOUT).await;
        assert!(waits(&table));
        table.answered(7, "\"q\"");
        assert!(waits(&table) && withdrawn.await.is_err());
        tokio::time::advance(TIMEOUT).await;
        assert!(!waits(&table));
    }

    #[tokio::test]
    async fn nothing_enters_after_the_end() {
        let table = Table::default();
        table.enter(7, pending().0).unwrap();
        assert_eq!((table.end(&"first".into()).len(), table.len()), (1, 0));
        assert_eq!(table.end(&"second".into()).len(), 0);
        assert_eq!(&*table.enter(8, pending().0).unwrap_err(), "first");
    }

    #[test]
    fn no_timeout_is_too_long() {
        assert!(after(Instant::now(), Duration::MAX) > Instant::now());
    }
}
