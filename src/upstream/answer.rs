//! The answers to Janus's own requests.

use crate::model::AccountId;
use crate::protocol::{Body, Envelope, Json, Relayed};

use super::Failure;

/// The whole message of an answer to a request of Janus's own: those are never streamed.
pub(super) fn message(account: &AccountId, relayed: Relayed) -> Result<Envelope, Failure> {
    let bad = |reason: &str| Failure::BadAnswer {
        account: account.clone(),
        reason: reason.to_owned(),
    };
    match relayed.body {
        Body::Whole(text) => Envelope::of(&text).map_err(|refused| bad(&refused.error.message)),
        Body::Stream(_) => Err(bad("it is too long")),
    }
}

/// The result of an answer; `None` for an error.
pub(super) fn result(account: &AccountId, relayed: Relayed) -> Result<Option<Json>, Failure> {
    Ok(message(account, relayed)?.result())
}
