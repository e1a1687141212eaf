//! Calls of modern clients that wait for an answer: the response asked, the exchange is still running.
//!
//! It goes on when its client repeats the request with the state that the response gave. Nothing else is kept for a
//! modern client, and nothing is lost silently: whoever comes too late, twice, or after a restart is told to call again.
//!
//! Invariants:
//! - A state opens one call once, for the caller, the path and the request it was made for, and for a limited time.
//! - Nobody else's call is touched by a state that does not open.
//! - Bounded: [`EACH`] for one caller, [`ALL`] together; the oldest goes first. What goes is cancelled at its server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::binding::Scope;
use crate::downstream::adapt::Response;
use crate::downstream::conversation::Conversation;
use crate::gateway::Gateway;
use crate::model::ClientId;
use crate::protocol::{Envelope, Request, RpcError, code};

use super::asking::{Wanted, check};

/// Calls that one caller has waiting.
const EACH: usize = 32;
/// Calls that wait for all callers together.
const ALL: usize = 512;

/// What a time that no clock can reach becomes.
const FAR: Duration = Duration::from_hours(24 * 365);

/// The calls that wait.
#[derive(Debug)]
pub(in crate::downstream) struct Parking {
    gateway: Arc<Gateway>,
    tasks: TaskTracker,
    stopping: CancellationToken,
    parked: Mutex<BTreeMap<u64, Parked>>,
}

/// A call that waits. Dropping it cancels the call.
struct Parked {
    scope: Arc<Scope>,
    asked: Vec<Wanted>,
    since: Instant,
    take: oneshot::Sender<oneshot::Sender<Conversation>>,
}

impl std::fmt::Debug for Parked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parked")
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

impl Parking {
    pub(in crate::downstream) fn new(
        gateway: Arc<Gateway>,
        tasks: TaskTracker,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            gateway,
            tasks,
            stopping,
            parked: Mutex::default(),
        }
    }

    /// Parks a conversation; gives the response that asks its client. It is held by a task, because its server may
    /// want something of it while the client thinks.
    pub(in crate::downstream) fn park(
        self: &Arc<Self>,
        mut conversation: Conversation,
    ) -> Option<Response> {
        let (asking, asked) = conversation.asking()?;
        let number = getrandom::u64().unwrap_or_default();
        let request = Envelope::of(&asking.request).ok()?;
        let life = self.gateway.parked_for();
        // What no clock can reach ends with this process anyway.
        let ends = SystemTime::now().checked_add(life);
        let ends = ends.unwrap_or_else(|| SystemTime::now() + FAR);
        let state = self
            .gateway
            .seal_parked(&asking.scope, &request, number, ends);
        let response = asked.input_required(asking.requests(), &state);
        let (take, taken) = oneshot::channel();
        self.enter(
            number,
            Parked {
                scope: Arc::clone(&asking.scope),
                asked: asking.wanted(),
                since: Instant::now(),
                take,
            },
        );
        let (parking, stopping) = (Arc::clone(self), self.stopping.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stopping.cancelled() => {}
                () = hold(conversation, taken, life) => {}
            }
            // It is there still where its time was over, or where Janus stops.
            parking.parked().remove(&number);
        });
        Some(response)
    }

    /// Gives up what waits for a client that is nobody any more.
    pub(in crate::downstream) fn give_up(&self, client: &ClientId) {
        self.parked()
            .retain(|_, call| call.scope.client() != Some(client));
    }

    /// The conversation that a request goes on with, whose state opened to this number.
    ///
    /// # Errors
    /// What the client must do instead: the call is over, or the answers cannot be taken. The latter leaves the call
    /// where it is.
    pub(in crate::downstream) async fn resume(
        &self,
        number: u64,
        scope: &Scope,
        request: &Request,
        cancel: CancellationToken,
    ) -> Result<Conversation, RpcError> {
        let (give, given) = oneshot::channel();
        // The one who takes it out goes on with it, whoever else comes with the same state.
        let parked = self.take(number, scope, request)?;
        drop(parked.take.send(give));
        let mut conversation = given.await.map_err(|_| over(OVER))?;
        if let Some((asking, _)) = conversation.asking() {
            asking.answer(request);
        }
        conversation.resume(request, cancel);
        Ok(conversation)
    }

    fn take(&self, number: u64, scope: &Scope, request: &Request) -> Result<Parked, RpcError> {
        let mut parked = self.parked();
        let found = parked.get(&number).ok_or_else(|| over(OVER))?;
        let same = *found.scope == *scope;
        if same {
            check(&found.asked, request)?;
        }
        let found = parked.remove(&number).filter(|_| same);
        found.ok_or_else(|| over(ELSEWHERE))
    }

    fn enter(&self, number: u64, call: Parked) {
        let mut parked = self.parked();
        let of_client = |other: &Parked| other.scope.client() == call.scope.client();
        let oldest = |parked: &BTreeMap<u64, Parked>, of: &dyn Fn(&Parked) -> bool, most: usize| {
            let waiting = || parked.iter().filter(|(_, other)| of(other));
            let oldest = waiting().min_by_key(|(_, other)| other.since)?.0;
            (waiting().count() >= most).then_some(*oldest)
        };
        let too_many =
            oldest(&parked, &of_client, EACH).or_else(|| oldest(&parked, &|_| true, ALL));
        if let Some(oldest) = too_many {
            tracing::info!(
                "a call that waits for its client's answer is given up: too many of them wait"
            );
            parked.remove(&oldest);
        }
        parked.insert(number, call);
    }

    fn parked(&self) -> MutexGuard<'_, BTreeMap<u64, Parked>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const OVER: &str = "the call that this goes on with is over: its time ended, it was answered before, or Janus was restarted. Call again without `requestState` and `inputResponses`";
const ELSEWHERE: &str = "what is in reach here has changed since the call began, so it was cancelled. Call again without `requestState` and `inputResponses`";

fn over(why: &str) -> RpcError {
    RpcError::new(code::INVALID_PARAMS, why)
}

/// Carries a conversation on until somebody takes it, or its time is over and it is dropped.
async fn hold(
    mut conversation: Conversation,
    taken: oneshot::Receiver<oneshot::Sender<Conversation>>,
    life: Duration,
) {
    let carried = async {
        conversation.run().await;
        std::future::pending::<()>().await;
    };
    let taken = tokio::select! {
        biased;
        taken = taken => taken.ok(),
        () = sleep(life) => None,
        () = carried => None,
    };
    if let Some(give) = taken {
        // Whoever wanted it may just have gone: then it is dropped, as any call whose client is gone.
        drop(give.send(conversation));
    }
}
