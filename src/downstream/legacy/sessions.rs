//! All sessions: those in use, and those of an earlier life that nobody has taken up yet.
//!
//! A session is in the store before its client learns its id. What is learned later (its last use, its roots) follows;
//! to lose it costs nothing that was promised.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::record::{Kept, Record};
use super::{Opened, Session};
use crate::binding::{Entry, Scope};
use crate::gateway::Gateway;
use crate::model::hex;
use crate::store::{Change, SessionRecord, Store};
use crate::upstream;

/// Sessions at once: beyond that the one that was idle longest ends. Some clients open one for every request.
const SESSIONS: usize = 10_000;

/// How often idle sessions are looked for, at most and at least.
const SWEEPS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// All sessions, by id.
#[derive(Debug)]
pub(in crate::downstream) struct Sessions {
    known: Mutex<Known>,
    store: Store,
}

/// A session that was asked for.
pub(in crate::downstream) enum Found {
    /// It is in use.
    InUse(Arc<Session>),
    /// It is of an earlier life, and goes on from now.
    Again {
        session: Arc<Session>,
        /// The store has streams of it, which are here from now on.
        streams: bool,
    },
}

/// Sessions and when they were last used.
type Uses = Vec<(Arc<str>, SystemTime)>;

#[derive(Debug)]
struct Known {
    by_id: BTreeMap<Arc<str>, Arc<Session>>,
    /// Not used since this process began.
    dormant: BTreeMap<Arc<str>, SessionRecord>,
    /// Some list is another one than when this process began: those sessions were not told.
    lists_changed: bool,
    idle: Duration,
    /// When last uses were written.
    swept: SystemTime,
}

impl Sessions {
    /// Those of an earlier life. One that nobody used for `idle` ends.
    pub(in crate::downstream) fn new(
        store: Store,
        kept: Vec<SessionRecord>,
        idle: Duration,
    ) -> Self {
        let dormant = kept
            .into_iter()
            .map(|record| (Arc::clone(&record.id), record));
        Self {
            known: Mutex::new(Known {
                by_id: BTreeMap::new(),
                dormant: dormant.collect(),
                lists_changed: false,
                idle,
                swept: SystemTime::now(),
            }),
            store,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a change for the sessions that cannot be told of it yet.
    pub(super) fn note(&self, change: &upstream::Change) {
        if let upstream::Change::Listed {
            identical: false, ..
        } = change
        {
            self.known().lists_changed = true;
        }
    }

    /// Another limit from now on.
    pub(in crate::downstream) fn configure(&self, idle: Duration) {
        self.known().idle = idle;
    }

    /// Until idle sessions are looked for again: a session ends soon after its time, however short that is.
    pub(super) fn pause(&self) -> Duration {
        let (shortest, longest) = SWEEPS;
        self.known().idle.clamp(shortest, longest)
    }

    /// For tests of what happens when the store does not answer any more.
    #[cfg(debug_assertions)]
    pub(in crate::downstream) async fn hang_store(&self) {
        self.store.hang().await;
    }

    /// Opens a session, which acts as `scope` as far as that is known. It is in the store when this returns.
    pub(in crate::downstream) async fn open(
        &self,
        gateway: &Gateway,
        entry: Entry,
        opened: Opened,
        scope: Option<&Scope>,
    ) -> Arc<Session> {
        self.begin(random_id(), gateway, (entry, scope), opened)
            .await
    }

    /// Opens a session under an id that was given out for it.
    pub(in crate::downstream) async fn open_as(
        &self,
        id: Arc<str>,
        gateway: &Gateway,
        entry: Entry,
        opened: Opened,
        scope: Option<&Scope>,
    ) -> Arc<Session> {
        // What was chosen in an earlier session of this id is not for this one.
        self.store.note(Change::SessionEnded(Arc::clone(&id)));
        self.begin(id, gateway, (entry, scope), opened).await
    }

    async fn begin(
        &self,
        id: Arc<str>,
        gateway: &Gateway,
        (entry, scope): (Entry, Option<&Scope>),
        opened: Opened,
    ) -> Arc<Session> {
        let kept = Kept::default();
        let profile = scope.map(|scope| scope.profile().as_str().to_owned());
        let now = SystemTime::now();
        let record = SessionRecord {
            id: Arc::clone(&id),
            client: entry.caller.client().cloned(),
            facts: Record::of(&entry, &opened, &kept, profile).text(),
            opened: now,
            used: now,
        };
        if let Err(not_saved) = self.store.write(Change::SessionOpened(record)).await {
            // To refuse it would leave the client with nothing; so it only loses its session with this process.
            tracing::warn!(%not_saved, "a session could not be saved and ends with this process");
        }
        let session = Arc::new(Session::new(id, entry, opened, kept));
        let crowded = {
            let mut known = self.known();
            known
                .by_id
                .insert(Arc::clone(&session.id), Arc::clone(&session));
            (known.by_id.len() + known.dormant.len() > SESSIONS).then(|| {
                let oldest = known.dormant.values().min_by_key(|record| record.used);
                if let Some(oldest) = oldest {
                    return Some(Arc::clone(&oldest.id));
                }
                let others = known.by_id.values().filter(|other| other.id != session.id);
                let idlest = others.max_by_key(|session| session.idle_for());
                idlest.map(|session| Arc::clone(&session.id))
            })
        };
        if let Some(idlest) = crowded.flatten() {
            self.close(gateway, &idlest);
        }
        session
    }

    /// The session of that id, for whoever comes as it was opened. To anybody else it does not exist.
    pub(in crate::downstream) fn find(&self, id: &str, entry: &Entry) -> Option<Found> {
        let mut known = self.known();
        let Some(session) = known.by_id.get(id).map(Arc::clone) else {
            return known.revive(id, entry);
        };
        drop(known);
        (session.entry() == entry).then(|| {
            session.touch();
            Found::InUse(session)
        })
    }

    /// Ends a session because somebody wants it to: it does not come back, not even after a kill.
    pub(in crate::downstream) async fn end(&self, gateway: &Gateway, id: &Arc<str>) {
        let ended = self.store.write(Change::SessionEnded(Arc::clone(id))).await;
        if let Err(not_saved) = ended {
            tracing::warn!(%not_saved, "the end of a session could not be saved; it may be there after a restart");
        }
        self.close(gateway, id);
    }

    /// Ends a session; false if there is none.
    pub(in crate::downstream) fn close(&self, gateway: &Gateway, id: &Arc<str>) -> bool {
        let (live, dormant) = {
            let mut known = self.known();
            (known.by_id.remove(id), known.dormant.remove(id))
        };
        if live.is_none() && dormant.is_none() {
            return false;
        }
        if let Some(session) = live {
            session.end();
        }
        gateway.release(id);
        self.store.note(Change::SessionEnded(Arc::clone(id)));
        true
    }

    /// Ends the sessions that nobody used for too long, and writes down when the others were used.
    pub(in crate::downstream) fn sweep(&self, gateway: &Gateway) {
        let (expired, used) = self.known().swept();
        for id in expired {
            self.close(gateway, &id);
        }
        if !used.is_empty() {
            self.store.note(Change::SessionsUsed(used));
        }
        for session in self.all() {
            session.forget_stale();
        }
    }

    /// Writes down what a session gathered since it was opened, if there is anything new. It is in the store when this
    /// returns.
    pub(in crate::downstream) async fn keep(&self, session: &Session) {
        let mut saved = session.saved.lock().await;
        let kept = session.kept();
        if saved.as_ref() == Some(&kept) {
            return;
        }
        match self.store.write(session.facts(&kept)).await {
            Ok(()) => *saved = Some(kept),
            Err(not_saved) => {
                tracing::warn!(%not_saved, "what a session asked for could not be saved, and is forgotten with this process");
            }
        }
    }

    /// Writes down what the streams of all sessions hold, so that they can be taken up again after this process.
    pub(in crate::downstream) async fn keep_streams(&self) {
        let sessions = self.all();
        let frozen = sessions.iter().map(|session| (session, session.frozen()));
        let facts = frozen.filter(|(_, kept)| !kept.streams.is_empty());
        let writing = facts.map(|(session, kept)| self.store.write(session.facts(&kept)));
        let lost = futures_util::future::join_all(writing).await;
        if let Some(not_saved) = lost.into_iter().find_map(Result::err) {
            tracing::warn!(%not_saved, "streams could not be saved and cannot be taken up again");
        }
    }

    /// Those in use.
    pub(in crate::downstream) fn all(&self) -> Vec<Arc<Session>> {
        self.known().by_id.values().cloned().collect()
    }

    /// Those of an earlier life that nobody has taken up.
    pub(in crate::downstream) fn dormant(&self) -> Vec<SessionRecord> {
        self.known().dormant.values().cloned().collect()
    }
}

impl Known {
    /// Takes up a session of an earlier life, for whoever opened it.
    fn revive(&mut self, id: &str, entry: &Entry) -> Option<Found> {
        let dormant = self.dormant.get(id)?;
        let record = Record::read(&dormant.facts)?;
        // One whose end could not be written any more stays ended.
        if self.is_over(dormant.used) || !record.is_of(entry) {
            return None;
        }
        let profile = record.profile();
        let (opened, kept) = record.into_parts()?;
        let streams = !kept.streams.is_empty();
        let (id, _) = self.dormant.remove_entry(id)?;
        let session = Arc::new(Session::new(Arc::clone(&id), entry.clone(), opened, kept));
        session.acted_as(profile);
        if self.lists_changed {
            session.missed_lists();
        }
        self.by_id.insert(id, Arc::clone(&session));
        Some(Found::Again { session, streams })
    }

    /// Whether a session of an earlier life that was last used then is over.
    fn is_over(&self, used: SystemTime) -> bool {
        let idle = SystemTime::now().duration_since(used);
        idle.is_ok_and(|idle| idle > self.idle)
    }

    /// The sessions that are over, and the last uses that are not written yet.
    fn swept(&mut self) -> (Vec<Arc<str>>, Uses) {
        let now = SystemTime::now();
        let live = self
            .by_id
            .values()
            .filter(|session| session.idle_for() > self.idle);
        let dormant = self
            .dormant
            .values()
            .filter(|record| self.is_over(record.used));
        let expired = live.map(|session| Arc::clone(&session.id));
        let expired = expired
            .chain(dormant.map(|record| Arc::clone(&record.id)))
            .collect();
        let since = std::mem::replace(&mut self.swept, now);
        let used = self.by_id.values().filter_map(|session| {
            let last = session.used();
            (last >= since).then(|| (Arc::clone(&session.id), last))
        });
        (expired, used.collect())
    }
}

/// 128 random bits, visible ASCII (2025-11-25, basic/transports, "Session Management").
#[expect(
    clippy::expect_used,
    reason = "the system's generator never fails once it has started"
)]
pub(in crate::downstream) fn random_id() -> Arc<str> {
    let mut bits = [0_u8; 16];
    getrandom::fill(&mut bits).expect("the system has random numbers");
    hex(&bits).into()
}
