//! The gateway inside one process, for one client on standard input and output: containers and CI. It binds nothing
//! and keeps no state.

use std::time::Duration;

use tokio::io::BufReader;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::model::Settings;
use crate::store::InstallationKey;

use super::run::{asked_to_stop, compose};

/// Children get this long to end after the client is gone.
const GRACE: Duration = Duration::from_secs(8);

/// Serves the client until its input ends or a signal asks for the end.
///
/// # Errors
/// `path` names no view.
pub async fn standalone(settings: Settings, path: &str) -> anyhow::Result<()> {
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let (upstream, downstream) =
        compose(&settings, &InstallationKey::ephemeral(), &tasks, &stopping);
    tasks.spawn(downstream.hub());
    upstream.start();
    let mut serving = std::pin::pin!(downstream.stdio(
        path,
        BufReader::new(tokio::io::stdin()),
        tokio::io::stdout()
    ));
    let served = tokio::select! {
        served = &mut serving => served,
        asked = asked_to_stop() => {
            asked?;
            // The client's process ends us: what it still waits for is let go in order.
            stopping.cancel();
            serving.await
        }
    };
    stopping.cancel();
    let ended = tokio::time::timeout(GRACE, async {
        upstream.shutdown().await;
        tasks.close();
        tasks.wait().await;
    });
    if ended.await.is_err() {
        tracing::warn!("what still ran after {} s was cut off", GRACE.as_secs());
    }
    Ok(served?)
}
