//! Janus as an MCP server: one file for each family of methods.
//!
//! Invariants:
//! - `gateway` knows no HTTP and no session beyond its name.
//! - Lists and calls go through the same view: what is listed can be called, what is not listed cannot.
//! - One place, `error`, turns failures into what a client reads.

mod bridge;
mod changes;
mod choice;
mod completion;
mod control;
mod error;
mod identity;
mod lifecycle;
mod listen;
mod lists;
mod logging;
mod login;
mod noted;
mod prompts;
mod relay;
mod resources;
mod sealed;
mod tools;
mod transparent;
mod view;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::account::login::Logins;
use crate::account::{Choices, Labels};
use crate::binding::{Scope, View};
use crate::model::{ClientId, Server, Settings};
use crate::policy::Policy;
use crate::protocol::{
    ClientFacts, Envelope, EventQueue, Events, Json, ListKind, Outcome, Request, Revision, Sealer,
};
use crate::upstream::{Change, Upstream};

pub use changes::{COALESCE, Pending, is_below, until};
pub use error::explain;

/// Janus as an MCP server.
#[derive(Debug)]
pub struct Gateway {
    upstream: Upstream,
    known: RwLock<Arc<Known>>,
    /// Milliseconds; read with every call.
    question_timeout: AtomicU64,
    choices: Arc<Choices>,
    logins: Logins,
    answers: login::Answers,
    views: view::Cache,
    levels: logging::Levels,
    states: Sealer,
    parked: Sealer,
    tasks: Sealer,
    /// Janus is stopping: streams that would stay open end.
    stopping: CancellationToken,
    /// Another configuration holds: what was permitted under the earlier one is asked for again.
    configured: watch::Sender<()>,
}

/// What of the configuration a request is held to: replaced as a whole when it is read again.
#[derive(Debug)]
struct Known {
    policy: Policy,
    servers: Labels,
    identities: identity::Cache,
    /// The clients that can show links though they do not say so.
    links: BTreeSet<ClientId>,
}

impl Known {
    fn of(settings: &Settings) -> Arc<Self> {
        let named = |server: &Arc<Server>| (server.name.clone(), Arc::clone(server));
        let clients = settings.identity.clients.iter().flatten();
        let links = clients.filter(|client| client.url_elicitation);
        Arc::new(Self {
            policy: Policy::new(settings.servers.iter().map(AsRef::as_ref)),
            servers: settings.servers.iter().map(named).collect(),
            identities: identity::Cache::default(),
            links: links.map(|client| client.id.clone()).collect(),
        })
    }
}

impl Gateway {
    /// A gateway to the servers of the settings. The installation key seals what clients hold for it.
    pub fn new(
        settings: &Settings,
        upstream: Upstream,
        choices: Arc<Choices>,
        logins: Logins,
        installation_key: &[u8; 32],
        stopping: CancellationToken,
    ) -> Self {
        Self {
            upstream,
            known: RwLock::new(Known::of(settings)),
            question_timeout: AtomicU64::new(millis(settings.listen.question_timeout)),
            choices,
            logins,
            answers: login::Answers::default(),
            views: view::Cache::default(),
            levels: logging::Levels::default(),
            states: Sealer::new(installation_key, "request state"),
            parked: Sealer::new(installation_key, "parked call"),
            tasks: Sealer::new(installation_key, "task id"),
            stopping,
            configured: watch::Sender::new(()),
        }
    }

    /// Goes on with another configuration. Calls that were sent end as they began; streams of changes end, so that their
    /// clients ask again.
    pub fn configure(&self, settings: &Settings) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known::of(settings);
        self.question_timeout
            .store(millis(settings.listen.question_timeout), Ordering::Relaxed);
        self.views.clear();
    }

    /// Ends the streams of changes: who listens shall say anew who it is, and is judged by the rules that hold now.
    pub fn end_listens(&self) {
        self.configured.send_replace(());
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What people call the accounts.
    pub fn labels(&self) -> Labels {
        self.known().servers.clone()
    }

    /// The connections behind it, for reports.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// What was chosen.
    pub fn choices(&self) -> &Arc<Choices> {
        &self.choices
    }

    /// The events of an exchange that begins.
    pub fn events(&self) -> (Events, EventQueue) {
        Events::channel_with(self.question_timeout())
    }

    /// How long a call waits for the answers of a modern client: a question that ends by itself leaves time to tell
    /// what became of the call.
    pub fn parked_for(&self) -> Duration {
        self.question_timeout().saturating_mul(2)
    }

    fn question_timeout(&self) -> Duration {
        Duration::from_millis(self.question_timeout.load(Ordering::Relaxed))
    }

    /// Serves one request. Dropping the future cancels it.
    pub async fn handle(&self, scope: &Scope, request: Request, events: &Events) -> Outcome {
        match scope.view() {
            View::Transparent(account) => self.transparent(scope, account, request, events).await,
            View::Profile => self.profile(scope, request, events).await,
        }
    }

    async fn profile(&self, scope: &Scope, request: Request, events: &Events) -> Outcome {
        if let Some(kind) = ListKind::of_method(request.method()) {
            return self.list(scope, kind, &request).await;
        }
        match request.method() {
            "ping" => lifecycle::pong(&request),
            "server/discover" => self.discover(scope, &request).await,
            "tools/call" => self.call_tool(scope, request, events).await,
            "prompts/get" => self.get_prompt(scope, request, events).await,
            "resources/read" => self.read_resource(scope, request, events).await,
            "resources/subscribe" | "resources/unsubscribe" => {
                self.subscribe(scope, request, events).await
            }
            "completion/complete" => self.complete(scope, request, events).await,
            "logging/setLevel" => self.set_level(scope, request, events).await,
            "subscriptions/listen" => self.listen(scope, request, events).await,
            "tasks/get" | "tasks/update" | "tasks/cancel" => {
                self.task(scope, request, events).await
            }
            method => Outcome::Error(error::method_not_found(method)),
        }
    }

    /// The result of `initialize`: what this view is. `None`: what it will be is not known yet.
    pub async fn initialize(&self, scope: Option<&Scope>, revision: Revision) -> Json {
        self.initialized(scope, revision).await
    }

    /// A client's notification that is nobody's business here: passed on where a view has one server.
    pub async fn notified(&self, scope: &Scope, client: &ClientFacts, message: &Envelope) {
        self.pass_notification(scope, client, message).await;
    }

    /// The changes behind Janus, for [`Self::announce`].
    pub fn changes(&self) -> tokio::sync::broadcast::Receiver<Change> {
        self.upstream.changes()
    }

    /// A session ended: what was held for it is let go.
    pub fn release(&self, session: &Arc<str>) {
        self.levels.forget(session);
        self.choices.forget(session);
        self.upstream.release(session);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// `serverInfo` of Janus itself.
fn janus_info() -> serde_json::Value {
    serde_json::json!({"name": "janus", "title": "Janus", "version": env!("CARGO_PKG_VERSION")})
}
