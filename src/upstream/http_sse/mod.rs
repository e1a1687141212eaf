//! HTTP+SSE, the remote transport of 2024-11-05: one GET whose stream says everything the server has to say, and POSTs
//! to the address that it names first.
//!
//! The conversation is a [`Duplex`]: nothing on the stream says which call it belongs to.
//!
//! Invariants:
//! - What is posted goes to the configured origin and nowhere else.
//! - A stream that ended is the end of the conversation: its address is never used again, and nothing is sent twice.
//= https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse

mod post;
mod read;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ::http::StatusCode;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Failure;
use super::duplex::{Behind, Duplex};
use super::handshake::unreachable;
use super::streamable_http::{self, Source, is_events};
use crate::model::AccountId;
use crate::protocol::Envelope;

/// Servers name their address with the head of the stream; some are far away.
const ADDRESS: Duration = Duration::from_secs(10);

/// A conversation with a server. Dropping it closes the stream.
#[derive(Debug)]
pub(crate) struct Leg {
    duplex: Duplex,
    stop: CancellationToken,
}

impl Leg {
    /// Opens the stream and waits for the address. What the server says outside of any exchange goes to `inbox`; a
    /// request may go without any sign of progress for `limit`.
    ///
    /// # Errors
    /// Why this is no such server, or none that can be reached. Nothing of a caller was sent.
    pub(crate) async fn open(
        account: AccountId,
        http: streamable_http::Leg,
        limit: Duration,
        inbox: mpsc::Sender<Envelope>,
        tasks: &TaskTracker,
    ) -> Result<Self, Failure> {
        let opened = timeout(ADDRESS, opened(&account, &http));
        let (source, address) = opened.await.unwrap_or_else(|_| {
            let reason = "its event stream names no address to post to".to_owned();
            Err(unreachable(&account, reason))
        })?;
        let stop = CancellationToken::new();
        let (duplex, behind) = Duplex::new(account, limit, inbox, tasks, stop.clone());
        let Behind {
            dispatcher,
            queue,
            end,
        } = behind;
        let stopping = stop.clone();
        let posts = tasks.clone();
        tasks.spawn(async move {
            let reason = tokio::select! {
                biased;
                () = stopping.cancelled() => "Janus ended the conversation".to_owned(),
                reason = read::all(source, &dispatcher) => reason,
                reason = post::all(queue, &http, &address, limit, &posts, &end) => reason,
            };
            end.tell(&reason);
        });
        Ok(Self { duplex, stop })
    }

    /// The conversation.
    pub(crate) fn duplex(&self) -> &Duplex {
        &self.duplex
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The stream, and the address it names.
async fn opened(
    account: &AccountId,
    http: &streamable_http::Leg,
) -> Result<(Source, ::http::Uri), Failure> {
    let response = http.get_stream().await?;
    if response.status() != StatusCode::OK {
        return Err(http.refusal(&response));
    }
    if !is_events(&response) {
        let reason = "it has no event stream of the transport of 2024-11-05".to_owned();
        return Err(unreachable(account, reason));
    }
    let mut source = Source::new(response.into_body());
    let named = read::address(&mut source).await;
    let named = named.map_err(|reason| unreachable(account, reason))?;
    let address = http
        .within(&named)
        .map_err(|reason| unreachable(account, reason))?;
    Ok((source, address))
}
