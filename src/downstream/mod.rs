//! Bytes to requests and back: the listeners, HTTP in both eras, standard input and output.
//!
//! Invariants:
//! - Nothing of a request is looked at before its Host and Origin are.
//! - Both eras on one URL, decided for each message by itself; no connection is ever locked to one.
//! - Network input never panics and costs bounded memory.
//! - A slow reader slows its own stream and nobody else's.

mod adapt;
mod call;
mod conversation;
mod guard;
mod legacy;
mod listener;
mod modern;
mod post;
mod reply;
mod respond;
mod service;
mod stdio;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::binding::Binding;
use crate::gateway::Gateway;

pub use listener::Listener;

/// The programs in front of Janus.
#[derive(Debug, Clone)]
pub struct Downstream {
    gateway: Arc<Gateway>,
    binding: Arc<Binding>,
    sessions: Arc<legacy::Sessions>,
    /// What outlives its request.
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Downstream {
    /// Serves this gateway. A session nobody used for `session_idle` ends.
    pub fn new(
        gateway: Arc<Gateway>,
        binding: Binding,
        session_idle: Duration,
        tasks: TaskTracker,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            gateway,
            binding: Arc::new(binding),
            sessions: Arc::new(legacy::Sessions::new(session_idle)),
            tasks,
            stopping,
        }
    }

    /// Tells sessions what changes behind Janus, until it stops: a vital task.
    pub fn hub(&self) -> impl Future<Output = ()> + Send + 'static {
        legacy::run_hub(
            Arc::clone(&self.gateway),
            Arc::clone(&self.sessions),
            self.stopping.clone(),
        )
    }
}
