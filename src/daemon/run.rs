//! The life of the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::downstream::Listener;
use crate::downstream::control::{About, Reload, Reloaded};
use crate::model::Settings;
use crate::store::{InstallationKey, StateDirectory, Store};

use super::bind;
use super::compose::Composed;
use super::desktop::Desktop;
use super::hygiene::keep_memory_private;

/// Where Janus can be reached.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The TCP address, with the port the system chose where none was asked for.
    pub http: SocketAddr,
    /// The unix socket.
    pub socket: PathBuf,
    /// The control socket.
    pub control: PathBuf,
}

/// Why the daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It was asked to.
    Asked,
    /// A task it cannot be without ended, which is a defect.
    VitalTask,
}

/// Calls in flight and children get this long: shorter than any service manager's stop timeout, so that Janus ends by
/// itself. The listeners' own limit is within it.
const GRACE: Duration = Duration::from_secs(20);

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
    on_ready: impl FnOnce(&Ready),
    stop: CancellationToken,
) -> anyhow::Result<Stopped> {
    keep_memory_private();
    raise_descriptor_limit();
    let state = StateDirectory::open(&settings.state_directory)?;
    let key = InstallationKey::of(&state)?;
    let (store, kept) = Store::open(&state)?;
    let http = bind::tcp(settings.listen.http).await?;
    let unix = bind::unix(&settings.listen.socket)?;
    let control = bind::unix(&settings.listen.control)?;
    let ready = Ready {
        http: http.local_addr().context("the listener has no address")?,
        socket: settings.listen.socket.clone(),
        control: settings.listen.control.clone(),
    };

    let (reload, mut reloads) = mpsc::channel(RELOADS);
    let about = About {
        started: SystemTime::now(),
        listening: vec![
            format!("http://{}/mcp", ready.http),
            format!("unix:{}", ready.socket.display()),
        ],
        pages: Some(format!("http://{}", ready.http)),
        reload: read.is_some().then_some(reload),
    };
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let mut composed = Composed::new(settings, &key, (store, kept), about, (&tasks, &stopping));
    let downstream = &composed.downstream;
    let mut vital = JoinSet::new();
    vital.spawn(downstream.hub());
    for listener in [
        Listener::Tcp(http),
        Listener::Unix(unix),
        Listener::Control(control),
    ] {
        vital.spawn(downstream.clone().listen(listener));
    }
    if let Some(doors) = composed.doors.take() {
        vital.spawn(downstream.clone().answer_doors(doors));
    }
    let desktop = Desktop::new(composed.settings());
    tasks.spawn(desktop.tell(composed.logins.clone(), stopping.clone()));
    composed.upstream.start();
    on_ready(&ready);

    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be waited for")?;
    let mut asked = std::pin::pin!(asked_to_stop());
    let stopped = loop {
        tokio::select! {
            () = stop.cancelled() => break Stopped::Asked,
            asked = &mut asked => break asked.map(|()| Stopped::Asked)?,
            _ = vital.join_next() => break Stopped::VitalTask,
            // What service managers and people send to say the same as `janus config reload`.
            Some(()) = hangup.recv() => {
                // What is wrong with it was logged.
                reloaded(read.as_ref(), &mut composed).ok();
            }
            Some(Reload(answer)) = reloads.recv() => {
                // Whoever asked may not wait any more.
                drop(answer.send(reloaded(read.as_ref(), &mut composed)));
            }
        }
    };
    tracing::info!("stopping");
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
    // Sockets that nobody listens on would only make clients wait; if they are gone already, so much the better.
    drop(std::fs::remove_file(&ready.socket));
    drop(std::fs::remove_file(&ready.control));
    Ok(stopped)
}

fn reloaded(read: Option<&Read>, composed: &mut Composed) -> Result<Reloaded, Vec<String>> {
    let Some(read) = read else {
        return Err(Vec::new());
    };
    let reloaded = read().map(|settings| composed.reload(settings));
    if let Err(mistakes) = &reloaded {
        tracing::error!(
            event = "configuration_refused",
            "the configuration is wrong, and the earlier one stays in force: {}",
            mistakes.join("; ")
        );
    }
    reloaded
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

/// A thousand sessions need more descriptors than the usual soft limit of 1024; the hard limit is meant for those who
/// do not use `select`.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    ) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
