//! The life of the daemon.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::downstream::control::{About, Reload, Reloaded};
use crate::model::Settings;
use crate::process::raise_descriptor_limit;
use crate::store::{InstallationKey, StateDirectory, Store};

use super::bind::Sockets;
use super::compose::Composed;
use super::desktop::Desktop;
use super::hygiene::keep_memory_private;
use super::systemd::{Inherited, Manager, Standing, keep_waiting, watchdog};

/// Where Janus can be reached.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The TCP address, with the port the system chose where none was asked for.
    pub http: Option<SocketAddr>,
    /// Where clients reach it, as they write it.
    pub listening: Vec<String>,
}

/// What whoever started Janus has given it.
#[derive(Debug, Default)]
pub struct Handed {
    /// The sockets that are open already.
    pub inherited: Inherited,
    /// Who wants to know how things stand.
    pub manager: Manager,
}

/// Why the daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It was asked to.
    Asked,
    /// A task it cannot be without ended, which is a defect.
    VitalTask,
}

/// Calls in flight and children get this long: shorter than `TimeoutStopSec=` of the unit, so that Janus ends by itself.
/// The listeners' own limit is within it.
const GRACE: Duration = Duration::from_secs(15);
/// Then what is known is written and the database closed: a slow disk needs longer than the service manager allows
/// without a word.
const LAST: Duration = Duration::from_secs(15);

/// One step of a migration at most: it rewrites a table, and the file is small.
const MIGRATION: Duration = Duration::from_mins(2);

/// Reads the configuration again; what is wrong with it, a line for each mistake.
pub type Read = Box<dyn Fn() -> Result<Settings, Vec<String>> + Send>;

/// Reloads that wait: one runs, and whoever asks meanwhile is served by the next.
const RELOADS: usize = 4;

/// Serves until `stop` ends, a signal asks for it, or a vital task ends.
///
/// # Errors
/// The state directory is not usable or another Janus has it; a socket is taken.
pub async fn run(
    settings: Settings,
    read: Option<Read>,
    handed: Handed,
    on_ready: impl FnOnce(&Ready),
    stop: CancellationToken,
) -> anyhow::Result<Stopped> {
    let manager = handed.manager.clone();
    let ran = serve(settings, read, handed, on_ready, stop).await;
    if let Err(why) = &ran {
        manager.failed(why);
    }
    ran
}

async fn serve(
    settings: Settings,
    read: Option<Read>,
    handed: Handed,
    on_ready: impl FnOnce(&Ready),
    stop: CancellationToken,
) -> anyhow::Result<Stopped> {
    keep_memory_private();
    raise_descriptor_limit();
    // From here on a signal asks for something: before, SIGHUP would end the process in the middle of a migration.
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be waited for")?;
    let manager = handed.manager;
    let state = StateDirectory::open(&settings.state_directory)?;
    let key = InstallationKey::of(&state)?;
    let opened = Store::open_telling(&state, || manager.extend(MIGRATION))?;
    let sockets = Sockets::open(handed.inherited, &settings.listen).await?;
    let ready = Ready {
        http: sockets.http,
        listening: sockets.listening.clone(),
    };

    let (reload, mut reloads) = mpsc::channel(RELOADS);
    let about = About {
        started: SystemTime::now(),
        listening: ready.listening.clone(),
        held: sockets.held,
        pages: ready.http.map(|http| format!("http://{http}")),
        reload: read.is_some().then_some(reload),
    };
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let mut composed = Composed::new(settings, &key, opened, about, (&tasks, &stopping));
    let downstream = &composed.downstream;
    let mut vital = JoinSet::new();
    vital.spawn(downstream.hub());
    let place = ready.http.map(|http| http.to_string());
    let place = place.or_else(|| ready.listening.first().cloned());
    let own = sockets.own();
    for listener in sockets.listeners {
        vital.spawn(downstream.clone().listen(listener));
    }
    if let Some(doors) = composed.doors.take() {
        vital.spawn(downstream.clone().answer_doors(doors));
    }
    let desktop = Desktop::new(composed.settings());
    tasks.spawn(desktop.tell(composed.logins.clone(), stopping.clone()));
    let mut asked = std::pin::pin!(asked_to_stop());
    let standing = Standing::new(
        place.unwrap_or_default(),
        composed.upstream.clone(),
        composed.settings(),
    );
    // It goes on while calls end, which may take longer than the manager allows without a word.
    let mut alive = JoinSet::new();
    alive.spawn(watchdog(
        manager.clone(),
        composed.downstream.clone(),
        composed.store.clone(),
    ));
    // Nothing upstream delays it.
    manager.ready(&standing.line());
    on_ready(&ready);
    composed.upstream.start();
    let told = standing.clone();
    tasks.spawn(told.tell(manager.clone(), composed.logins.clone(), stopping.clone()));

    let stopped = loop {
        tokio::select! {
            () = stop.cancelled() => break Stopped::Asked,
            asked = &mut asked => break asked.map(|()| Stopped::Asked)?,
            _ = vital.join_next() => break Stopped::VitalTask,
            // What service managers and people send to say the same as `janus config reload`.
            Some(()) = hangup.recv() => {
                // What is wrong with it was logged.
                reloaded(read.as_ref(), &mut composed, &manager, &standing).ok();
            }
            Some(Reload(answer)) = reloads.recv() => {
                // Whoever asked may not wait any more.
                drop(answer.send(reloaded(read.as_ref(), &mut composed, &manager, &standing)));
            }
        }
    };
    manager.stopping();
    tracing::info!("stopping");
    alive.spawn(keep_waiting(manager, GRACE + LAST));
    // Nothing new is taken and streams end; the servers are let go when the calls in flight are done.
    stopping.cancel();
    let drained = tokio::time::timeout(GRACE, async {
        while vital.join_next().await.is_some() {}
        composed.upstream.shutdown().await;
        tasks.close();
        tasks.wait().await;
    });
    if drained.await.is_err() {
        tracing::warn!("what still ran after {} s was cut off", GRACE.as_secs());
    }
    composed.store.close().await;
    Sockets::remove(&own);
    Ok(stopped)
}

fn reloaded(
    read: Option<&Read>,
    composed: &mut Composed,
    manager: &Manager,
    standing: &Standing,
) -> Result<Reloaded, Vec<String>> {
    let Some(read) = read else {
        return Err(Vec::new());
    };
    manager.reloading();
    let outcome = read().map(|settings| composed.reload(settings));
    match &outcome {
        Ok(_) => standing.configured(composed.settings()),
        Err(mistakes) => {
            standing.refused(mistakes);
            tracing::error!(
                event = "configuration_refused",
                "the configuration is wrong, and the earlier one stays in force: {}",
                mistakes.join("; ")
            );
        }
    }
    manager.ready(&standing.line());
    outcome
}

/// Waits for a signal that asks for the end.
pub async fn asked_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
