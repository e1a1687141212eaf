//! What is sent: one POST for each message, in order.
//!
//! Invariant: a request that could not be posted fails at once, and whether the server may have seen it is known.

use std::time::Duration;

use ::http::Uri;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::super::streamable_http::{Leg, drain};
use crate::protocol::{Envelope, Json, Kind};
use crate::upstream::Failure;
use crate::upstream::duplex::End;

/// Posts what is in the queue; gives why nothing can be posted any more.
pub(super) async fn all(
    mut queue: mpsc::Receiver<Json>,
    http: &Leg,
    address: &Uri,
    limit: Duration,
    tasks: &TaskTracker,
    end: &End,
) -> String {
    while let Some(message) = queue.recv().await {
        let posted = timeout(limit, http.post_to(address, message.bytes().clone())).await;
        let failure = match posted {
            Ok(Ok(response)) if response.status().is_success() => {
                // 202 is what the specification wants; some answer here what they say on the stream.
                drain(tasks, response.into_body());
                continue;
            }
            Ok(Ok(response)) => http.refusal(&response),
            Ok(Err(failure)) => failure,
            Err(_) => http.silent(),
        };
        let request = request_of(&message);
        tracing::debug!("a message was not taken: {failure}");
        // An address that is not known any more is that of a stream that the server has given up.
        if let Failure::SessionUnknown { .. } = failure {
            if let Some(id) = request {
                end.fail(id, failure);
            }
            return "it has forgotten the stream".to_owned();
        }
        if let Some(id) = request {
            end.fail(id, failure);
        }
    }
    "nothing more is to be sent".to_owned()
}

/// The id of a request of ours.
fn request_of(message: &Json) -> Option<u64> {
    let message = Envelope::of(message).ok()?;
    (message.kind() == Kind::Request).then(|| message.id()?.read())?
}
