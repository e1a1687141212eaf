//! The end of tokens at the provider (RFC 7009).

use super::granted::{Registration, Source, Tokens};
use super::network::{Network, Policy};

/// Tells the provider that nobody will use these tokens any more: the refresh token, then the access token. Whether it
/// took both back; best effort, and no longer than a few seconds.
#[expect(
    clippy::unused_async,
    clippy::todo,
    reason = "filled in with the rest of the flow"
)]
pub async fn revoke(
    _network: &Network,
    _policy: &Policy,
    _registration: &Registration,
    _source: &Source,
    _tokens: &Tokens,
) -> bool {
    todo!()
}
