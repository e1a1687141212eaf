//! Notices that the machine slept, or that its network changed, and has the connections and the grants look again.
//!
//! Invariants:
//! - It costs nothing while nothing happens but a look at two clocks, [four times a minute](suspend).
//! - However often a link flaps, everything looks again once in a few seconds at most.
//! - Where the system tells none of it, everything goes on by its own timers as it does anyway.

mod netlink;
mod network;
mod suspend;

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio_util::sync::CancellationToken;

use self::network::Network;
use self::suspend::Suspend;
use crate::credential::Clock;
use crate::credential::oauth::Grants;
use crate::model::Surroundings;
use crate::upstream::Upstream;

/// Until Janus stops.
pub(super) async fn watch(
    clock: Clock,
    upstream: Upstream,
    grants: Grants,
    stopping: CancellationToken,
) {
    let mut suspend = Suspend::new(clock);
    let mut network = Network::open();
    loop {
        let change = tokio::select! {
            () = stopping.cancelled() => return,
            slept = suspend.woken() => {
                tracing::info!("the machine slept for {} s; everything is looked at", slept.as_secs());
                Surroundings::Slept
            }
            change = network.changed() => {
                tracing::info!("{}", told(&change));
                change
            }
        };
        upstream.heed(&change);
        if !matches!(change, Surroundings::Lost(_)) {
            grants.look_again();
        }
    }
}

/// A descriptor that is waited for until there is something to read.
#[expect(
    deprecated,
    reason = "unsound only for what does not own its descriptor; the function that replaces it is `unsafe`"
)]
fn readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}

fn told(change: &Surroundings) -> &'static str {
    match change {
        Surroundings::Lost(_) => "the machine lost a network; its connections are looked at",
        _ => "the machine has a network that it had not; what waits is tried now",
    }
}
