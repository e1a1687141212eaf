//! The daemon ends, or goes on as another program: in both, nothing new is taken, streams end, and what was asked is
//! answered first.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::bind::Sockets;
use super::run::Stopped;
use super::start::Daemon;
use super::systemd::keep_waiting;
use crate::handover::Program;

/// Calls in flight and children get this long: shorter than `TimeoutStopSec=` of the unit, so that Janus ends by itself.
/// The listeners' own limit is within it.
const GRACE: Duration = Duration::from_secs(15);
/// Then what is known is written and the database closed: a slow disk needs longer than the service manager allows
/// without a word.
const LAST: Duration = Duration::from_secs(15);

/// Why the daemon serves no more.
pub(super) enum Why {
    /// It was asked to stop.
    Asked,
    /// A task it cannot be without ended.
    VitalTask,
    /// It goes on as this program.
    GoesOn(Program),
}

impl Daemon {
    /// Ends it in order. For another program, everything that goes along is packed.
    ///
    /// # Errors
    /// What goes along cannot be packed.
    pub(super) async fn end(mut self, why: Why) -> anyhow::Result<Stopped> {
        let stays = matches!(why, Why::Asked | Why::VitalTask);
        let mut along = if stays {
            self.manager.stopping();
            tracing::info!("stopping");
            // What clients have sent is answered here, as nobody else will.
            self.composed.downstream.open_intake();
            // From now on a client that comes is refused, and does not wait in vain.
            drop(self.along);
            None
        } else {
            self.manager.going_on();
            self.composed.downstream.leave();
            Some(self.along)
        };
        self.alive.spawn(keep_waiting(self.manager, GRACE + LAST));
        // Nothing new is taken and streams end; the servers are let go when the calls in flight are done.
        self.stopping.cancel();
        let (upstream, by) = (&self.composed.upstream, Instant::now() + GRACE);
        let served = async { while self.vital.join_next().await.is_some() {} };
        let mut in_time = timeout_at(by, served).await.is_ok();
        match &mut along {
            // It has limits of its own; one from outside would lose what was given so far.
            Some(along) => {
                along.children = upstream.give(&mut along.luggage).await;
                along.printed = upstream.printed();
            }
            None => in_time &= timeout_at(by, upstream.shutdown()).await.is_ok(),
        }
        self.tasks.close();
        in_time &= timeout_at(by, self.tasks.wait()).await.is_ok();
        if !in_time {
            tracing::warn!("what still ran after {} s was cut off", GRACE.as_secs());
        }
        self.composed.downstream.keep_streams().await;
        self.composed.store.close().await;
        if stays {
            Sockets::remove(&self.own);
        }
        Ok(match (why, along) {
            (Why::GoesOn(program), Some(along)) => {
                let downstream = &self.composed.downstream;
                let leaving = along.pack(program, self.lives, downstream)?;
                Stopped::Leaving(Box::new(leaving))
            }
            (Why::VitalTask, _) => Stopped::VitalTask,
            (Why::Asked | Why::GoesOn(_), _) => Stopped::Asked,
        })
    }
}
