//! The life of the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::binding::Binding;
use crate::downstream::{Downstream, Listener};
use crate::gateway::Gateway;
use crate::model::Settings;
use crate::store::{InstallationKey, StateDirectory};
use crate::upstream::Upstream;

use super::bind;

/// Where Janus can be reached.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The TCP address, with the port the system chose where none was asked for.
    pub http: SocketAddr,
    /// The unix socket.
    pub socket: PathBuf,
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

/// Serves until `stop` ends, a signal asks for it, or a vital task ends.
///
/// # Errors
/// The state directory is not usable or another Janus has it; a socket is taken.
pub async fn run(
    settings: Settings,
    on_ready: impl FnOnce(&Ready),
    stop: CancellationToken,
) -> anyhow::Result<Stopped> {
    raise_descriptor_limit();
    let state = StateDirectory::open(&settings.state_directory)?;
    let key = InstallationKey::of(&state)?;
    let http = bind::tcp(settings.listen.http).await?;
    let unix = bind::unix(&settings.listen.socket)?;
    let ready = Ready {
        http: http.local_addr().context("the listener has no address")?,
        socket: settings.listen.socket.clone(),
    };

    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let (upstream, downstream) = compose(&settings, &key, &tasks, &stopping);
    let mut vital = JoinSet::new();
    vital.spawn(downstream.hub());
    vital.spawn(downstream.clone().listen(Listener::Tcp(http)));
    vital.spawn(downstream.listen(Listener::Unix(unix)));
    upstream.start();
    on_ready(&ready);

    let stopped = tokio::select! {
        () = stop.cancelled() => Stopped::Asked,
        asked = asked_to_stop() => asked.map(|()| Stopped::Asked)?,
        _ = vital.join_next() => Stopped::VitalTask,
    };
    tracing::info!("stopping");
    // Nothing new is taken and streams end; the servers are let go when the calls in flight are done.
    stopping.cancel();
    let drained = tokio::time::timeout(GRACE, async {
        while vital.join_next().await.is_some() {}
        upstream.shutdown().await;
        tasks.close();
        tasks.wait().await;
    });
    if drained.await.is_err() {
        tracing::warn!("what still ran after {} s was cut off", GRACE.as_secs());
    }
    // A socket that nobody listens on would only make clients wait; if it is gone already, so much the better.
    drop(std::fs::remove_file(&ready.socket));
    Ok(stopped)
}

/// Everything between the sockets and the servers.
pub(super) fn compose(
    settings: &Settings,
    key: &InstallationKey,
    tasks: &TaskTracker,
    stopping: &CancellationToken,
) -> (Upstream, Downstream) {
    let upstream = Upstream::new(settings, tasks.clone(), stopping.clone());
    let gateway = Arc::new(Gateway::new(
        &settings.servers,
        upstream.clone(),
        key.expose(),
        stopping.clone(),
    ));
    let binding = Binding::new(&settings.identity, &settings.servers);
    let downstream = Downstream::new(
        gateway,
        binding,
        settings.listen.session_idle,
        tasks.clone(),
        stopping.clone(),
    );
    (upstream, downstream)
}

pub(super) async fn asked_to_stop() -> anyhow::Result<()> {
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
