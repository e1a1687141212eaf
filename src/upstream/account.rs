//! Everything Janus knows and holds of one account: its connections, its lists, its state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::change::{Change, State};
use super::connect::Slot;
use super::connection::{Connection, Use};
use super::dial::Dial;
use super::key::{Habits, Key};
use super::refresh::Wanted;
use crate::model::AccountId;
use crate::protocol::{ClientFacts, Era, Listing, Request};
use crate::store::Store;

/// One identity at one server.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) dial: Dial,
    pool: Mutex<BTreeMap<Key, Arc<Slot>>>,
    asking: Mutex<Asking>,
    pub(super) wanted: Wanted,
    pub(super) listing: watch::Sender<Arc<Listing>>,
    /// The digest of the snapshot that is in the store.
    saved: Mutex<Option<[u8; 32]>>,
    pub(super) store: Store,
    pub(super) state: watch::Sender<State>,
    /// Whether it was listed or failed once in this life of Janus.
    pub(super) settled: watch::Sender<bool>,
    pub(super) changes: broadcast::Sender<Change>,
    /// Counts how often it became worthwhile to try again.
    pub(super) stirred: watch::Sender<u64>,
    pub(super) tasks: TaskTracker,
    /// Ends what goes on in the background; connections that stand go on serving.
    pub(super) shutdown: CancellationToken,
}

/// What is known of a server's questions.
#[derive(Debug, Default)]
struct Asking {
    asked: bool,
    /// The session that alone waited when the first question came: the shared process may hold something of it.
    keeper: Option<Arc<str>>,
    /// The sessions whose calls run on the shared connection.
    running: Vec<Option<Arc<str>>>,
    /// The lanes on which a call runs.
    lanes: BTreeSet<u8>,
}

/// More than people start at once; each is a process.
const LANES: u8 = 16;

/// The connection that a call takes, and what it holds of it while it runs.
pub(super) struct Place<'a> {
    pub(super) slot: Arc<Slot>,
    #[expect(dead_code, reason = "gives the lane back when it goes")]
    lane: Option<Lane<'a>>,
}

/// A lane that is taken.
struct Lane<'a> {
    account: &'a Account,
    number: u8,
}

/// A call on the shared connection, for as long as it runs.
pub(super) struct Running<'a> {
    account: &'a Account,
    session: Option<Arc<str>>,
}

impl Account {
    pub(super) fn new(
        dial: Dial,
        store: Store,
        changes: broadcast::Sender<Change>,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            dial,
            pool: Mutex::default(),
            asking: Mutex::default(),
            wanted: Wanted::default(),
            listing: watch::Sender::new(Arc::default()),
            saved: Mutex::default(),
            store,
            state: watch::Sender::new(State::Idle),
            settled: watch::Sender::new(false),
            changes,
            stirred: watch::Sender::new(0),
            tasks,
            shutdown,
        }
    }

    pub(super) fn id(&self) -> &AccountId {
        &self.dial.account
    }

    /// The connection that Janus's own requests take.
    pub(super) fn shared(&self) -> Arc<Slot> {
        self.slot(Key::Shared)
    }

    /// The connection that a request takes.
    pub(super) fn place_for(&self, request: &Request) -> Place<'_> {
        // What is said in somebody's name, who only listens, is said on the connection that all share.
        if request.holder.is_some() {
            return Place {
                slot: self.shared(),
                lane: None,
            };
        }
        let key = self.key_for(&request.client);
        let lane = match key {
            Key::Lane(number, _) => Some(number),
            _ => None,
        };
        Place {
            slot: self.slot(key),
            lane: lane.map(|number| Lane {
                account: self,
                number,
            }),
        }
    }

    /// The connection that a session's notifications take: the one of its calls.
    pub(super) fn slot_of_session(&self, client: &ClientFacts) -> Option<Arc<Slot>> {
        client.session.as_ref()?;
        Some(self.slot(self.key_for(client)))
    }

    /// Where a client's call goes. A lane is taken with it.
    fn key_for(&self, client: &ClientFacts) -> Key {
        if let Some(shared) = self.shared().standing() {
            self.notice(&shared);
        }
        let mut asking = self.asking();
        let habits = Habits {
            sharing: self.dial.server.sharing,
            era: self.dial.era(),
            pipe: self.dial.is_one_stream(),
            asked: asking.asked,
            keeper: asking.keeper.as_deref(),
            lane: (0..LANES).find(|lane| !asking.lanes.contains(lane)),
        };
        let key = Key::of(habits, client);
        if let Key::Lane(lane, _) = &key {
            asking.lanes.insert(*lane);
        }
        key
    }

    /// The place of a connection.
    pub(super) fn slot(&self, key: Key) -> Arc<Slot> {
        let mut pool = self.pool();
        let slot = pool
            .entry(key.clone())
            .or_insert_with(|| Arc::new(Slot::new(key)));
        Arc::clone(slot)
    }

    /// Every slot there is.
    pub(super) fn slots(&self) -> Vec<Arc<Slot>> {
        self.pool().values().cloned().collect()
    }

    /// Takes out the slots of a session.
    pub(super) fn remove(&self, session: &Arc<str>) -> Vec<Arc<Slot>> {
        let mut asking = self.asking();
        if asking.keeper.as_ref() == Some(session) {
            asking.keeper = None;
        }
        drop(asking);
        let mut removed = Vec::new();
        self.pool().retain(|key, slot| {
            let keep = key.session() != Some(session);
            if !keep {
                removed.push(Arc::clone(slot));
            }
            keep
        });
        removed
    }

    /// Whether the shared process is one session's own.
    pub(super) fn is_keeper(&self, session: &Arc<str>) -> bool {
        self.asking().keeper.as_ref() == Some(session)
    }

    /// The session that the shared process belongs to, if it does.
    pub(super) fn keeper(&self) -> Option<String> {
        self.asking().keeper.as_deref().map(str::to_owned)
    }

    /// What an earlier program of this process knew: the server asks, and who keeps the shared process.
    pub(super) fn go_on_asked(&self, keeper: Option<Arc<str>>) {
        let mut asking = self.asking();
        asking.asked = true;
        asking.keeper = keeper;
    }

    /// Marks a call as running, where that tells whom a question concerns.
    pub(super) fn run(&self, used: &Use, client: &ClientFacts) -> Option<Running<'_>> {
        if used.key != Key::Shared || used.facts.revision.era() == Era::Modern {
            return None;
        }
        let session = client.session.clone();
        self.asking().running.push(session.clone());
        Some(Running {
            account: self,
            session,
        })
    }

    /// Looks whether the server has begun to ask.
    pub(super) fn notice(&self, connection: &Connection) {
        if !connection.leg.asked() {
            return;
        }
        let mut asking = self.asking();
        if asking.asked {
            return;
        }
        asking.asked = true;
        let mut running = asking.running.iter();
        if let Some(Some(first)) = running.next().cloned()
            && running.all(|other| other.as_ref() == Some(&first))
        {
            asking.keeper = Some(first);
        }
        drop(asking);
        tracing::info!(account = %self.id(), "the server asks its client; sessions part where it cannot tell them apart");
    }

    /// Tells those who listen. Nobody may.
    pub(super) fn tell(&self, change: Change) {
        self.changes.send(change).ok();
    }

    pub(super) fn saved(&self) -> MutexGuard<'_, Option<[u8; 32]>> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asking(&self) -> MutexGuard<'_, Asking> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Slot>>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.account.asking().lanes.remove(&self.number);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut asking = self.account.asking();
        let at = asking.running.iter().position(|one| *one == self.session);
        if let Some(at) = at {
            asking.running.swap_remove(at);
        }
    }
}
