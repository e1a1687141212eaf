//! Bytes to requests and back: the listeners, HTTP in both eras, standard input and output.
//!
//! Invariants:
//! - Nothing of a request is looked at before its Host and Origin are.
//! - Both eras on one URL, decided for each message by itself; no connection is ever locked to one.
//! - Network input never panics and costs bounded memory.
//! - A slow reader slows its own stream and nobody else's.

mod adapt;
mod batch;
mod call;
mod connection;
pub mod control;
mod conversation;
mod guard;
mod hand_over;
mod intake;
mod legacy;
mod lines;
mod listener;
mod login;
mod modern;
mod passing;
mod post;
mod pulse;
mod reach;
mod refusal;
mod reply;
mod respond;
mod resume;
mod service;
mod stdio;
mod stream;
mod unready;
mod upgrade;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::login::Logins;
use crate::authn::Authn;
use crate::binding::Binding;
use crate::gateway::Gateway;
use crate::model::ClientId;
use crate::store::{SessionRecord, Store};
use crate::vault::Vault;

pub use hand_over::{ClientRecord, Resumed};
pub use listener::Listener;
pub use unready::{Unready, refuse};

/// The programs in front of Janus.
#[derive(Debug, Clone)]
pub struct Downstream {
    gateway: Arc<Gateway>,
    authn: Arc<Authn>,
    reach: Arc<reach::Reach>,
    sessions: Arc<legacy::Sessions>,
    parking: Arc<modern::Parking>,
    about: Arc<control::About>,
    vault: Vault,
    logins: Logins,
    pulse: pulse::Pulse,
    intake: intake::Intake,
    /// Connections at rest when Janus stopped, for the next program.
    rested: Arc<hand_over::Rested>,
    /// Somebody was answered.
    answered: Arc<SetOnce<()>>,
    /// All connections of clients and commands.
    open: TaskTracker,
    /// What outlives its request.
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// What it is made of.
#[derive(Debug)]
pub struct Parts {
    /// What it serves.
    pub gateway: Arc<Gateway>,
    /// Who may come in.
    pub authn: Arc<Authn>,
    /// What they reach.
    pub binding: Binding,
    /// The file that the rules come from.
    pub file: Option<PathBuf>,
    /// Where sessions are kept.
    pub store: Store,
    /// The sessions of an earlier life.
    pub sessions: Vec<SessionRecord>,
    /// A session nobody used for this long ends.
    pub session_idle: Duration,
    /// Where secrets rest.
    pub vault: Vault,
    /// Who logs in.
    pub logins: Logins,
    /// What the daemon knows of itself.
    pub about: control::About,
}

impl Downstream {
    /// Serves this gateway to whoever `authn` and `binding` let in.
    pub fn new(parts: Parts, tasks: TaskTracker, stopping: CancellationToken) -> Self {
        let sessions = legacy::Sessions::new(parts.store, parts.sessions, parts.session_idle);
        let gateway = Arc::clone(&parts.gateway);
        let parking = modern::Parking::new(gateway, tasks.clone(), stopping.clone());
        Self {
            gateway: parts.gateway,
            authn: parts.authn,
            reach: Arc::new(reach::Reach::new(parts.binding, parts.file.as_deref())),
            sessions: Arc::new(sessions),
            parking: Arc::new(parking),
            about: Arc::new(parts.about),
            vault: parts.vault,
            logins: parts.logins,
            pulse: pulse::Pulse::default(),
            intake: intake::Intake::default(),
            rested: Arc::default(),
            answered: Arc::default(),
            open: TaskTracker::new(),
            tasks,
            stopping,
        }
    }

    /// Waits until every listener has done a turn; for ever if there is none, unless Janus stops.
    pub async fn turn(&self) {
        self.pulse.felt(&self.stopping).await;
    }

    /// Whether the service manager holds the sockets.
    pub fn is_held(&self) -> bool {
        self.about.held
    }

    /// Waits until somebody was answered for the first time.
    pub async fn answered(&self) {
        self.answered.wait().await;
    }

    /// Goes on with another configuration. Sessions stay; what they reach is looked at anew.
    pub fn configure(&self, binding: Binding, file: Option<&Path>, session_idle: Duration) {
        self.reach.configure(binding, file);
        self.sessions.configure(session_idle);
        for session in self.sessions.all() {
            session.look_again();
            session.tell_due(&self.gateway, &self.reach);
        }
        self.gateway.end_listens();
    }

    /// The configuration was read again and is wrong: the earlier one stays in force.
    pub fn refuse(&self, mistakes: &[String]) {
        self.reach.refuse(mistakes);
    }

    /// Writes down what streams hold, when nothing is said any more: clients take them up again in the next process.
    pub async fn keep_streams(&self) {
        self.sessions.keep_streams().await;
    }

    /// Ends the streams and connections of a client's sessions, or of all: they go on once they prove who they are.
    pub fn prove_again(&self, client: Option<&ClientId>) {
        for session in self.sessions.all() {
            if client.is_none() || session.client() == client {
                drop(session.take_reader(&self.stopping));
            }
        }
        if let Some(client) = client {
            self.parking.give_up(client);
        }
        self.gateway.end_listens();
    }

    /// Tells sessions what changes behind Janus, until it stops and the calls in flight have ended, since they change
    /// things too: a vital task.
    pub fn hub(&self) -> impl Future<Output = ()> + Send + 'static {
        let (stopping, pulse) = (self.stopping.clone(), self.pulse.clone());
        legacy::run_hub(
            Arc::clone(&self.gateway),
            Arc::clone(&self.sessions),
            Arc::clone(&self.reach),
            async move {
                stopping.cancelled().await;
                pulse.ended().await;
            },
        )
    }
}
