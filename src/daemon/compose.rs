//! Everything between the sockets and the servers: built once, and brought in line with another configuration.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::Choices;
use crate::account::login::{self, Door, Logins};
use crate::authn::Authn;
use crate::binding::Binding;
use crate::credential::{self, Clock};
use crate::downstream::control::{About, Reloaded};
use crate::downstream::{Downstream, Parts};
use crate::gateway::Gateway;
use crate::model::{Settings, Surroundings};
use crate::store::{InstallationKey, Kept, Store};
use crate::upstream::Upstream;
use crate::vault::{OAuthRows, Vault};

use super::wake;

/// The first answer comes within a fiftieth of this.
const FIRST_ANSWER: Duration = Duration::from_secs(3);

/// The parts that live as long as the process.
#[derive(Debug)]
pub(super) struct Composed {
    pub(super) upstream: Upstream,
    pub(super) downstream: Downstream,
    pub(super) store: Store,
    pub(super) logins: Logins,
    /// Where browsers come back to, until somebody serves it.
    pub(super) doors: Option<mpsc::Receiver<Door>>,
    vault: Vault,
    gateway: Arc<Gateway>,
    authn: Arc<Authn>,
    settings: Settings,
}

impl Composed {
    /// Builds them; nothing is contacted yet.
    pub(super) fn new(
        settings: Settings,
        key: &InstallationKey,
        (store, mut kept): (Store, Kept),
        about: About,
        clock: Clock,
        (tasks, stopping): (&TaskTracker, &CancellationToken),
    ) -> Self {
        let oauth = OAuthRows::of(&mut kept);
        let vault = Vault::new(&store, &settings.vault, kept.vault, kept.secrets).with_oauth(oauth);
        let ground = credential::Ground::new(
            &settings,
            vault.clone(),
            clock.clone(),
            (tasks.clone(), stopping.clone()),
        );
        let grants = ground.grants.clone();
        let upstream = Upstream::new(
            &settings,
            &store,
            kept.listings,
            kept.eras,
            ground,
            stopping.clone(),
        );
        let (logins, doors) = Logins::new(login::Parts {
            grants,
            upstream: upstream.clone(),
            store: store.clone(),
            port: kept.callback_port,
            pages: about.pages.clone(),
            tasks: tasks.clone(),
            stopping: stopping.clone(),
        });
        tasks.spawn(vault.clone().watch(stopping.clone()));
        tasks.spawn(wake::watch(
            clock,
            upstream.clone(),
            logins.grants().clone(),
            stopping.clone(),
        ));
        let gateway = Arc::new(Gateway::new(
            &settings,
            upstream.clone(),
            Arc::new(Choices::new(store.clone(), kept.choices)),
            logins.clone(),
            key.expose(),
            stopping.clone(),
        ));
        let authn = Arc::new(Authn::new(
            key.expose(),
            store.clone(),
            kept.keys,
            &settings.identity,
            settings.listen.session_idle,
        ));
        let parts = Parts {
            gateway: Arc::clone(&gateway),
            authn: Arc::clone(&authn),
            binding: Binding::new(&settings.identity, &settings.servers),
            file: settings.file.clone(),
            store: store.clone(),
            vault: vault.clone(),
            logins: logins.clone(),
            sessions: kept.sessions,
            session_idle: settings.listen.session_idle,
            about,
        };
        Self {
            downstream: Downstream::new(parts, tasks.clone(), stopping.clone()),
            doors: Some(doors),
            logins,
            upstream,
            store,
            vault,
            gateway,
            authn,
            settings,
        }
    }

    /// Begins to connect. Where a connection started this process, whoever made it is answered first: a hundred servers
    /// take their share of the processor.
    pub(super) fn start(
        &self,
        by_a_connection: bool,
        tasks: &TaskTracker,
        stopping: CancellationToken,
    ) {
        if !by_a_connection {
            return self.upstream.start();
        }
        let (upstream, downstream) = (self.upstream.clone(), self.downstream.clone());
        tasks.spawn(async move {
            // It may have been started without one, too.
            let first = timeout(FIRST_ANSWER, downstream.answered());
            // The end waits for this task.
            if stopping.run_until_cancelled(first).await.is_some() {
                upstream.start();
            }
        });
    }

    /// What it was built by.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What another configuration does not change while this process lives, and what does.
    pub(super) fn stays(&self, settings: &Settings) -> Option<String> {
        let (now, then) = (&self.settings.listen, &settings.listen);
        if now.http == then.http && now.socket == then.socket {
            return None;
        }
        let helps = if self.downstream.is_held() {
            "systemd holds the sockets: another address is a drop-in of theirs, systemctl --user edit janus.socket, and then systemctl --user restart janus.socket"
        } else {
            "the addresses change with the next start"
        };
        Some(format!("`listen` changed: {helps}"))
    }

    /// Goes on with another configuration: what is the same in both is not touched.
    pub(super) fn reload(&mut self, settings: Settings) -> Reloaded {
        let mut notes: Vec<String> = self.stays(&settings).into_iter().collect();
        self.vault.configure(&settings.vault);
        notes.extend(self.upstream.configure(&settings));
        self.logins.configured();
        self.gateway.configure(&settings);
        let idle = settings.listen.session_idle;
        self.authn.configure(&settings.identity, idle);
        let binding = Binding::new(&settings.identity, &settings.servers);
        self.downstream
            .configure(binding, settings.file.as_deref(), idle);
        if settings.identity.clients != self.settings.identity.clients {
            self.downstream.prove_again(None);
        }
        self.settings = settings;
        // Whoever asks for this may have mended what an account waits for.
        self.upstream.heed(&Surroundings::Reachable);
        self.logins.grants().look_again();
        tracing::info!("the configuration was read again");
        Reloaded { notes }
    }
}
