//! The gateway inside one process, for one client on standard input and output: containers and CI. It binds nothing
//! and keeps no state.

use std::time::Duration;

use tokio::io::BufReader;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::credential::{Clock, stand_alone};
use crate::downstream::control::About;
use crate::model::Settings;
use crate::store::{InstallationKey, Store};

use super::compose::Composed;
use super::run::asked_to_stop;

/// Children get this long to end after the client is gone.
const GRACE: Duration = Duration::from_secs(8);

/// Serves the client until its input ends or a signal asks for the end.
///
/// # Errors
/// `path` names no view.
pub async fn standalone(settings: Settings, path: &str) -> anyhow::Result<()> {
    stand_alone();
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let opened = Store::in_memory()?;
    let key = InstallationKey::ephemeral();
    let mut composed = Composed::new(
        settings,
        &key,
        opened,
        About::default(),
        Clock::default(),
        (&tasks, &stopping),
    );
    tasks.spawn(composed.downstream.hub());
    if let Some(doors) = composed.doors.take() {
        tasks.spawn(composed.downstream.clone().answer_doors(doors));
    }
    composed.upstream.start();
    let mut serving = std::pin::pin!(composed.downstream.clone().stdio(
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
        composed.upstream.shutdown().await;
        tasks.close();
        tasks.wait().await;
    });
    if ended.await.is_err() {
        tracing::warn!("what still ran after {} s was cut off", GRACE.as_secs());
    }
    composed.store.close().await;
    Ok(served?)
}
