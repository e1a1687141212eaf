//! Janus as an MCP client: the connections behind it.
//!
//! Two doors and no third: [`Upstream::forward`] for what a caller asked, and what Janus does for itself (handshake,
//! lists, shared listen, ping, idle stop), which happens inside this module only.
//!
//! Invariants:
//! - Connecting is single flight; calls wait for a ready connection with a deadline and never meet a dead one.
//! - `tools/call` is never sent again after it may have run.
//! - Nothing is keyed by less than the account.

mod failure;
mod stdio;
mod wire;

pub use failure::Failure;
