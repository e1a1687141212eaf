//! The one task that tells all sessions what changed behind Janus.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

use crate::gateway::{COALESCE, Gateway, until};

use super::Sessions;
use crate::downstream::reach::Reach;

/// Runs until `ended`, and tells what came before that.
pub(in crate::downstream) async fn run(
    gateway: Arc<Gateway>,
    sessions: Arc<Sessions>,
    reach: Arc<Reach>,
    ended: impl Future<Output = ()>,
) {
    let mut changes = gateway.changes();
    let mut ended = std::pin::pin!(ended);
    let mut sweep = Instant::now();
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            () = sleep_until(sweep) => {
                sessions.sweep(&gateway);
                sweep = Instant::now() + sessions.pause();
            }
            () = until(due) => {
                due = None;
                for session in sessions.all() {
                    session.tell_due(&gateway, &reach);
                }
            }
            change = changes.recv() => {
                let waits = match change {
                    Ok(change) => {
                        sessions.note(&change);
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
            // Last: nothing that came before it is left.
            () = &mut ended => {
                for session in sessions.all() {
                    session.tell_due(&gateway, &reach);
                }
                sessions.sweep(&gateway);
                return;
            }
        }
    }
}
