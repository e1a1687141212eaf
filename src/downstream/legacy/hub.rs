//! The one task that tells all sessions what changed behind Janus.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::gateway::{COALESCE, Gateway, until};

use super::Sessions;
use crate::downstream::reach::Reach;

/// How often idle sessions are looked for; the limit is hours.
const SWEEP: Duration = Duration::from_secs(30);

/// Runs until Janus stops.
pub(in crate::downstream) async fn run(
    gateway: Arc<Gateway>,
    sessions: Arc<Sessions>,
    reach: Arc<Reach>,
    stopping: CancellationToken,
) {
    let mut changes = gateway.changes();
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            () = stopping.cancelled() => {
                sessions.sweep(&gateway);
                return;
            }
            _ = sweep.tick() => sessions.sweep(&gateway),
            () = until(due) => {
                due = None;
                for session in sessions.all() {
                    session.tell_due(&gateway, &reach);
                }
            }
            change = changes.recv() => {
                let waits = match change {
                    Ok(change) => {
                        let waiting = sessions.all().into_iter().filter(|session| session.changed(&gateway, &reach, &change));
                        // Counted to the end: every session is told.
                        waiting.count() > 0
                    }
                    Err(RecvError::Closed) => return,
                    Err(RecvError::Lagged(_)) => {
                        sessions.all().iter().for_each(|session| session.look_again());
                        true
                    }
                };
                if waits && due.is_none() {
                    due = Some(Instant::now() + COALESCE);
                }
            }
        }
    }
}
