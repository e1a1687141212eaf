//! What is known of a request from the moment it is sent to its response, and what becomes of it if nobody waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::Inner;
use crate::protocol::{ClientFacts, Envelope, Era, Events, Json};
use crate::upstream::wire::Outgoing;

/// A caller whose call is in flight.
#[derive(Debug)]
pub(super) struct CallerOf {
    pub(super) id: u64,
    pub(super) client: Arc<ClientFacts>,
    pub(super) token: Option<Json>,
    pub(super) events: Events,
    /// Ends with the call: what it was asked is then asked in vain.
    pub(super) over: CancellationToken,
}

/// Counts a request, or a response that is still streaming, as in flight. A subscription, which has no end of its own,
/// does not count.
#[derive(Debug)]
pub(super) struct InFlight {
    leg: Arc<Inner>,
    counts: bool,
}

impl InFlight {
    pub(super) fn new(leg: &Arc<Inner>, counts: bool) -> Self {
        leg.in_flight
            .fetch_add(usize::from(counts), Ordering::Relaxed);
        Self {
            leg: Arc::clone(leg),
            counts,
        }
    }

    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.leg.tasks
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.leg
            .in_flight
            .fetch_sub(usize::from(self.counts), Ordering::Relaxed);
    }
}

/// A request without its response. Dropped like that, a legacy server is told that nobody waits any more.
#[derive(Debug)]
pub(super) struct Underway {
    in_flight: InFlight,
    id: u64,
    caller: bool,
    #[expect(dead_code, reason = "ends the questions of the call when it goes")]
    over: DropGuard,
    cancel: bool,
}

impl Underway {
    pub(super) fn begin(
        leg: &Arc<Inner>,
        outgoing: &Outgoing,
        client: Option<&Arc<ClientFacts>>,
        era: Era,
        events: &Events,
    ) -> Self {
        let caller = client.filter(|_| era == Era::Legacy);
        let over = CancellationToken::new();
        if let Some(client) = caller {
            leg.callers().push(CallerOf {
                id: outgoing.id,
                client: Arc::clone(client),
                token: outgoing.token.clone(),
                events: events.clone(),
                over: over.clone(),
            });
        }
        Self {
            in_flight: InFlight::new(leg, !outgoing.is_listen()),
            id: outgoing.id,
            caller: caller.is_some(),
            over: over.drop_guard(),
            //= https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/cancellation#behavior-requirements
            //# The `initialize` request **MUST NOT** be cancelled by clients
            cancel: era == Era::Legacy && outgoing.method != "initialize",
        }
    }

    /// The server has spoken its last word on the request, or never had it.
    pub(super) fn settled(&mut self) {
        self.cancel = false;
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let leg = &self.in_flight.leg;
        if self.caller {
            leg.callers().retain(|caller| caller.id != self.id);
        }
        // Without a runtime the process is ending, and the connection with it.
        if self.cancel
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let params = json!({"requestId": self.id});
            let notice = Envelope::notification("notifications/cancelled", &params);
            let leg = Arc::clone(leg);
            let tasks = leg.tasks.clone();
            let telling = async move {
                if let Err(error) = leg.deliver(notice.json().clone()).await {
                    tracing::debug!(%error, "a request could not be cancelled");
                }
            };
            tasks.spawn_on(telling, &runtime);
        }
    }
}
