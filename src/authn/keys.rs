//! Access keys and signed directories: what makes a caller of a peer and its headers.
//!
//! Invariants:
//! - With `clients:` in the configuration nothing but a key that counts makes a caller, except on standard input,
//!   where the peer is the process that started us. Whatever is wrong with a key, the answer is the same.
//! - Memory follows the store and never runs ahead of it; changes happen one after another, also when whoever asked
//!   for one has gone. A key that was ended is refused from then on, by this process and by the next.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio_util::task::TaskTracker;

use super::key::{self, Hash, KeyInfo, NewKey};
use super::signature::Signer;
use super::{Caller, Directory, Header, NotAuthenticated, Peer, Proof, Transport};
use crate::model::{ClientId, Identity};
use crate::store::{Change, KeyKind, KeyRecord, NotSaved, Store};

/// How exactly the last use of a key is kept: a write for each request would wear a disk out for a number that people
/// read as "today".
const NOTED_EVERY: Duration = Duration::from_mins(1);
/// Ended connection keys that one new one clears away: fewer notes than the store has room for at once.
const CLEARED_AT_ONCE: usize = 64;

/// Who calls: one for each Janus.
#[derive(Debug)]
pub struct Authn {
    signer: Signer,
    keys: Arc<Keys>,
    /// Changes of the keys.
    changes: TaskTracker,
}

#[derive(Debug)]
struct Keys {
    store: Store,
    state: Mutex<State>,
    /// Held from the store's change to memory's.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    rules: Rules,
    keys: BTreeMap<Hash, Key>,
}

/// What the configuration says of keys.
#[derive(Debug)]
struct Rules {
    /// From when on each client's keys are refused; `None` where no key is asked for.
    clients: Option<BTreeMap<ClientId, Option<SystemTime>>>,
    /// How long a connection key lasts without use.
    idle: Duration,
}

#[derive(Debug)]
struct Key {
    record: KeyRecord,
    /// The last use that the store was told of.
    noted: Option<SystemTime>,
}

impl Authn {
    /// With the keys that the store kept.
    pub fn new(
        installation_key: &[u8; 32],
        store: Store,
        keys: Vec<KeyRecord>,
        identity: &Identity,
        session_idle: Duration,
    ) -> Self {
        let state = State {
            rules: Rules::new(identity, session_idle),
            keys: keys.into_iter().map(Key::kept).collect(),
        };
        Self {
            signer: Signer::new(installation_key),
            keys: Arc::new(Keys {
                store,
                state: Mutex::new(state),
                turn: tokio::sync::Mutex::default(),
            }),
            changes: TaskTracker::new(),
        }
    }

    /// Takes a new configuration over: the next request is judged by it.
    pub fn configure(&self, identity: &Identity, session_idle: Duration) {
        self.keys.state().rules = Rules::new(identity, session_idle);
    }

    /// Whether a key is asked for: `clients:` is there.
    pub fn requires_key(&self) -> bool {
        self.keys.state().rules.clients.is_some()
    }

    /// The caller of a request, from its connection's peer and the headers `Authorization` and `Janus-Directory`.
    ///
    /// # Errors
    /// A key is required and none that counts was sent; a directory was sent that is not signed as it should be.
    pub fn caller(
        &self,
        peer: &Peer,
        authorization: Header<'_>,
        directory: Header<'_>,
    ) -> Result<Caller, NotAuthenticated> {
        self.caller_at(peer, authorization, directory, SystemTime::now())
    }

    pub(super) fn caller_at(
        &self,
        peer: &Peer,
        authorization: Header<'_>,
        directory: Header<'_>,
        now: SystemTime,
    ) -> Result<Caller, NotAuthenticated> {
        let client = self.client(peer, authorization, now)?;
        // Also where the peer's own is known and counts: a forged header never goes unnoticed.
        let signed = self.signer.verify(directory)?;
        let signed = || signed.map(|path| Directory::one(path, Proof::Signed));
        Ok(Caller {
            client,
            transport: peer.transport(),
            directory: peer.directory().cloned().or_else(signed),
        })
    }

    /// The client that the key proves; `None`: a program of this user.
    fn client(
        &self,
        peer: &Peer,
        authorization: Header<'_>,
        now: SystemTime,
    ) -> Result<Option<ClientId>, NotAuthenticated> {
        let mut state = self.keys.state();
        let State { rules, keys } = &mut *state;
        if rules.clients.is_none() {
            return Ok(None);
        }
        let hash = match authorization {
            Header::Missing if peer.transport() == Transport::Stdio => return Ok(None),
            Header::Once(value) => key::presented(value),
            Header::Missing | Header::Repeated => None,
        };
        let (hash, key) = hash
            .and_then(|hash| Some((hash, keys.get_mut(&hash)?)))
            .filter(|(_, key)| rules.allow(&key.record, now))
            .ok_or(NotAuthenticated::KeyRequired)?;
        key.record.used = Some(now);
        let client = key.record.client.clone();
        if key
            .noted
            .is_none_or(|noted| passed(noted, now) >= NOTED_EVERY)
        {
            key.noted = Some(now);
            drop(state);
            self.keys.store.note(Change::KeysUsed(vec![(hash, now)]));
        }
        Ok(client)
    }

    /// The client that this key would prove; nothing is noted as a use of it.
    ///
    /// # Errors
    /// A key is required, and this one does not count.
    pub fn client_of(
        &self,
        key: &str,
        now: SystemTime,
    ) -> Result<Option<ClientId>, NotAuthenticated> {
        let state = self.keys.state();
        if state.rules.clients.is_none() {
            return Ok(None);
        }
        let known = state.keys.get(&key::digest(key.trim().as_bytes()));
        known
            .filter(|key| state.rules.allow(&key.record, now))
            .map(|key| key.record.client.clone())
            .ok_or(NotAuthenticated::KeyRequired)
    }

    /// One more access key of this client.
    ///
    /// # Errors
    /// It was not kept, and there is none.
    pub async fn add_key(&self, client: &ClientId) -> Result<NewKey, NotSaved> {
        let (key, record) = NewKey::draw(Some(client), KeyKind::Access, SystemTime::now());
        self.change(Change::KeyMade(record.clone()), |_, state| {
            state.insert(record);
        })
        .await?;
        Ok(key)
    }

    /// All keys of this client end, also those of its connections, and one begins.
    ///
    /// # Errors
    /// It was not kept, and the old ones count as before.
    pub async fn rotate_keys(&self, client: &ClientId) -> Result<NewKey, NotSaved> {
        let (key, record) = NewKey::draw(Some(client), KeyKind::Access, SystemTime::now());
        let change = Change::KeysReplaced {
            client: client.clone(),
            key: record.clone(),
        };
        let client = client.clone();
        self.change(change, move |_, state| {
            state.remove(&client);
            state.insert(record);
        })
        .await?;
        Ok(key)
    }

    /// All keys of this client end, also those of its connections. How many there were.
    ///
    /// # Errors
    /// It was not kept, and they count as before.
    pub async fn end_keys(&self, client: &ClientId) -> Result<usize, NotSaved> {
        let change = Change::KeysEnded {
            client: client.clone(),
        };
        let client = client.clone();
        self.change(change, move |_, state| state.remove(&client))
            .await
    }

    /// A key for a program that came through the control socket, for this client or for none: the command line works
    /// where keys are in use. It ends when nobody used it for `session_idle`.
    ///
    /// # Errors
    /// It was not kept, and there is none.
    pub async fn connection_key(&self, client: Option<&ClientId>) -> Result<NewKey, NotSaved> {
        let now = SystemTime::now();
        let (key, record) = NewKey::draw(client, KeyKind::Connection, now);
        self.change(Change::KeyMade(record.clone()), move |store, state| {
            for hash in state.clear(now) {
                // One whose note is lost is cleared away again after the next start.
                store.note(Change::KeyEnded { hash });
            }
            state.insert(record);
        })
        .await?;
        Ok(key)
    }

    /// Changes the store, then memory. The change outlives the caller, as the store's part of it does.
    async fn change<T: Send + 'static>(
        &self,
        change: Change,
        apply: impl FnOnce(&Store, &mut State) -> T + Send + 'static,
    ) -> Result<T, NotSaved> {
        let keys = Arc::clone(&self.keys);
        let changed = self.changes.spawn(async move {
            let _turn = keys.turn.lock().await;
            keys.store.write(change).await?;
            Ok(apply(&keys.store, &mut keys.state()))
        });
        // It is cut off only where the runtime ends.
        changed.await.unwrap_or(Err(NotSaved::Stopping))
    }

    /// The value of `Janus-Directory` that proves this directory.
    pub fn sign(&self, directory: &Path) -> String {
        self.signer.sign(directory)
    }

    /// The keys that have not ended, by client, then by age.
    pub fn keys(&self) -> Vec<KeyInfo> {
        self.keys_at(SystemTime::now())
    }

    pub(super) fn keys_at(&self, now: SystemTime) -> Vec<KeyInfo> {
        let state = self.keys.state();
        let records = state.keys.values().map(|key| &key.record);
        let live = records.filter(|record| !state.rules.idle_too_long(record, now));
        let mut infos: Vec<_> = live.map(KeyInfo::from).collect();
        infos.sort_by(|a, b| (&a.client, a.made, &a.id).cmp(&(&b.client, b.made, &b.id)));
        infos
    }
}

impl Keys {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn insert(&mut self, record: KeyRecord) {
        self.keys.extend([Key::kept(record)]);
    }

    fn remove(&mut self, client: &ClientId) -> usize {
        let before = self.keys.len();
        self.keys
            .retain(|_, key| key.record.client.as_ref() != Some(client));
        before.saturating_sub(self.keys.len())
    }

    /// Forgets connection keys that ended.
    fn clear(&mut self, now: SystemTime) -> Vec<Hash> {
        let ended: Vec<Hash> = self
            .keys
            .iter()
            .filter(|(_, key)| self.rules.idle_too_long(&key.record, now))
            .map(|(hash, _)| *hash)
            .take(CLEARED_AT_ONCE)
            .collect();
        for hash in &ended {
            self.keys.remove(hash);
        }
        ended
    }
}

impl Rules {
    fn new(identity: &Identity, idle: Duration) -> Self {
        let clients = identity.clients.as_ref().map(|clients| {
            let expires = clients
                .iter()
                .map(|client| (client.id.clone(), client.expires));
            expires.collect()
        });
        Self { clients, idle }
    }

    /// Whether a key counts now.
    fn allow(&self, key: &KeyRecord, now: SystemTime) -> bool {
        let known = match (&key.client, key.kind) {
            (Some(client), _) => self
                .clients
                .as_ref()
                .and_then(|clients| clients.get(client))
                .is_some_and(|expires| expires.is_none_or(|expires| now < expires)),
            (None, KeyKind::Connection) => true,
            (None, KeyKind::Access) => false,
        };
        known && !self.idle_too_long(key, now)
    }

    fn idle_too_long(&self, key: &KeyRecord, now: SystemTime) -> bool {
        let used = key.used.unwrap_or(key.made);
        key.kind == KeyKind::Connection && passed(used, now) > self.idle
    }
}

impl Key {
    fn kept(record: KeyRecord) -> (Hash, Self) {
        let noted = record.used;
        (record.hash, Self { record, noted })
    }
}

/// Nothing, where the clock was put back.
fn passed(since: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}
