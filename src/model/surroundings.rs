//! What happened around Janus, so that what waits is worth trying and what stands is worth a look.

use std::net::IpAddr;

/// A change of the machine that Janus runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Surroundings {
    /// It slept: what was connected may be dead, and what was waited for may be over.
    Slept,
    /// It has a way into a network that it had not: what could not be reached may be reached now.
    Reachable,
    /// These addresses are not its own any more, and no connection from them gets an answer. None: a network is out of
    /// sight, and its connections may live on.
    Lost(Vec<IpAddr>),
}
