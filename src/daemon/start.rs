//! The daemon begins: takes what it was handed, builds everything, serves.

use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bind::{Own, Sockets};
use super::compose::Composed;
use super::desktop::Desktop;
use super::hand_over::{Along, Came};
use super::run::{Handed, Ready};
use super::systemd::{Manager, Standing, watchdog};
use crate::downstream::control::{About, GoOn, Reload};
use crate::downstream::{Listener, Resumed};
use crate::model::Settings;
use crate::process::{raise_descriptor_limit, with_signals_held};
use crate::store::{InstallationKey, StateDirectory, Store};

/// One step of a migration at most: it rewrites a table, and the file is small.
const MIGRATION: Duration = Duration::from_mins(2);

/// What is asked of the daemon by its own control socket.
pub(super) struct Asks {
    pub(super) reload: Option<mpsc::Sender<Reload>>,
    pub(super) go_on: Option<mpsc::Sender<GoOn>>,
}

/// A daemon that serves.
pub(super) struct Daemon {
    pub(super) composed: Composed,
    pub(super) manager: Manager,
    pub(super) standing: Standing,
    /// It cannot be without them.
    pub(super) vital: JoinSet<()>,
    /// Shows that it is alive, also while calls end.
    pub(super) alive: JoinSet<()>,
    pub(super) tasks: TaskTracker,
    pub(super) stopping: CancellationToken,
    /// Its lock, until the end.
    pub(super) _state: StateDirectory,
    pub(super) own: Vec<Own>,
    /// For the program that it may go on as.
    pub(super) along: Along,
    pub(super) lives: u64,
}

impl Daemon {
    /// Starts it.
    ///
    /// # Errors
    /// The state directory is not usable or another Janus has it; a socket is taken.
    pub(super) async fn start(
        settings: Settings,
        handed: Handed,
        asks: Asks,
        on_ready: impl FnOnce(&Ready),
    ) -> anyhow::Result<Self> {
        let (manager, mut came) = (handed.manager, handed.came);
        raise_descriptor_limit(came.as_ref().and_then(Came::limit));
        let (state, key) = locked(&settings, came.as_mut())?;
        // What may fail of what came along fails before the database is brought to this version: then the program
        // before still reads it.
        let handed_over = came.as_mut().map(Came::sockets).transpose()?;
        let open = || Store::open_telling(&state, || manager.extend(MIGRATION));
        let opened = with_signals_held(open)?;
        let sockets = match handed_over {
            Some(sockets) => sockets,
            None => Sockets::open(handed.inherited, &settings.listen).await?,
        };
        let started = came.as_ref().map_or_else(SystemTime::now, Came::started);
        let (own, along) = (sockets.own(), Along::of(&sockets, &state, started)?);
        let ready = Ready {
            http: sockets.http,
            listening: sockets.listening.clone(),
        };
        let about = About {
            started,
            listening: ready.listening.clone(),
            held: sockets.held,
            pages: ready.http.map(|http| format!("http://{http}")),
            reload: asks.reload,
            go_on: asks.go_on,
            lives: handed.lives,
            not_replaced: handed.not_replaced,
        };
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        let mut composed = Composed::new(
            settings,
            &key,
            opened,
            about,
            handed.clock,
            (&tasks, &stopping),
        );
        let by_a_connection = sockets.held && came.is_none();
        // Nothing fails any more: from here on there is no way back to an earlier program.
        let resumed = resume(came, &composed).await;
        let vital = serving(&mut composed, sockets.listeners, resumed);
        let desktop = Desktop::new(composed.settings());
        tasks.spawn(desktop.tell(composed.logins.clone(), stopping.clone()));
        let upstream = composed.upstream.clone();
        let standing = Standing::new(place(&ready), upstream, composed.settings());
        let mut alive = JoinSet::new();
        let (downstream, store) = (composed.downstream.clone(), composed.store.clone());
        alive.spawn(watchdog(manager.clone(), downstream, store));
        // Nothing upstream delays it.
        manager.ready(&standing.line());
        on_ready(&ready);
        composed.start(by_a_connection, &tasks, stopping.clone());
        let told = standing.clone();
        tasks.spawn(told.tell(manager.clone(), composed.logins.clone(), stopping.clone()));
        Ok(Self {
            composed,
            manager,
            standing,
            vital,
            alive,
            tasks,
            stopping,
            _state: state,
            own,
            along,
            lives: handed.lives,
        })
    }
}

/// The state directory, which nobody else has now.
fn locked(
    settings: &Settings,
    came: Option<&mut Came>,
) -> anyhow::Result<(StateDirectory, InstallationKey)> {
    let path = &settings.state_directory;
    let state = match came {
        Some(came) => came.state(path)?,
        None => StateDirectory::open(path)?,
    };
    let key = InstallationKey::of(&state)?;
    Ok((state, key))
}

/// Where it is reached, in a few words.
fn place(ready: &Ready) -> String {
    let http = ready.http.map(|http| http.to_string());
    let place = http.or_else(|| ready.listening.first().cloned());
    place.unwrap_or_default()
}

/// Goes on with the processes of an earlier program, and gives its clients' connections.
async fn resume(came: Option<Came>, composed: &Composed) -> Vec<Resumed> {
    let Some(mut came) = came else {
        return Vec::new();
    };
    came.resume_log();
    let children = came.children(&composed.upstream).await;
    let clients = came.clients();
    tracing::info!(
        event = "went_on",
        processes = children,
        connections = clients.len(),
        "went on as another program"
    );
    clients
}

/// The tasks that the daemon cannot be without.
fn serving(
    composed: &mut Composed,
    listeners: Vec<Listener>,
    resumed: Vec<Resumed>,
) -> JoinSet<()> {
    let mut vital = JoinSet::new();
    let downstream = &composed.downstream;
    vital.spawn(downstream.hub());
    let (mut tcp, mut unix): (Vec<_>, Vec<_>) = resumed.into_iter().partition(Resumed::is_tcp);
    for listener in listeners {
        let resumed = match &listener {
            Listener::Tcp(_) => std::mem::take(&mut tcp),
            Listener::Unix(_) => std::mem::take(&mut unix),
            Listener::Control(_) => Vec::new(),
        };
        vital.spawn(downstream.clone().listen(listener, resumed));
    }
    if let Some(doors) = composed.doors.take() {
        vital.spawn(composed.downstream.clone().answer_doors(doors));
    }
    vital
}
