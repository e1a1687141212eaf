//! `resources/subscribe` of a legacy client at a modern server: the server is listened to instead
//! (2026-07-28, basic/patterns/subscriptions), on the one stream that tells of everything that is held.
//!
//! Invariant: a client is told that it is subscribed only after the server acknowledged it, or was given
//! [`ACKNOWLEDGE`] to do so.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::account::Account;
use super::connect::Slot;
use crate::model::Subject;
use crate::protocol::{Body, Completion, Envelope, Era, Object, Relayed, Request, RpcError, code};

/// How long a server has before the client is told without it.
pub(super) const ACKNOWLEDGE: Duration = Duration::from_secs(2);

impl Account {
    /// The answer to a subscription at a modern server; `None` if the request is none.
    pub(super) async fn watched(
        &self,
        slot: &Arc<Slot>,
        subject: &Subject,
        request: &Request,
    ) -> Option<Relayed> {
        let Subject::Resource(uri) = subject else {
            return None;
        };
        let holder = request.held_by();
        match request.method() {
            "resources/subscribe" => {
                let version = slot.held.hold(uri, holder);
                if is_announced(slot, uri, version).await {
                    return Some(done(request));
                }
                slot.held.let_go(uri, holder);
                Some(refused(request))
            }
            "resources/unsubscribe" => {
                slot.held.let_go(uri, holder);
                Some(done(request))
            }
            _ => None,
        }
    }
}

/// Whether the server announces changes of this resource, or has not said that it does not.
async fn is_announced(slot: &Slot, uri: &str, version: u64) -> bool {
    let mut announced = slot.held.announced();
    let said = announced.wait_for(|announced| announced.version >= version);
    match timeout(ACKNOWLEDGE, said).await {
        Ok(Ok(announced)) => announced.uris.iter().any(|announced| announced == uri),
        Ok(Err(_)) | Err(_) => true,
    }
}

fn done(request: &Request) -> Relayed {
    let text = Envelope::result_text(&request.id(), Object::empty().json());
    Relayed {
        body: Body::Whole(text),
        era: Era::Legacy,
        completion: Completion::Complete,
    }
}

fn refused(request: &Request) -> Relayed {
    let error = RpcError::new(
        code::INVALID_PARAMS,
        "the server does not tell of changes of this resource",
    );
    Relayed {
        body: Body::Whole(error.text(Some(&request.id()))),
        era: Era::Legacy,
        completion: Completion::Error(error.code),
    }
}
