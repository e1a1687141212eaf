//! Refusals that are decided before any message is looked at: who calls, and what it may reach.
//!
//! 401 where a key would help, 404 where nothing of that name exists, 403 where something exists and is out of reach.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use super::reach::Reach;
use super::reply::Reply;
use super::service::rpc_error;
use crate::authn::NotAuthenticated;
use crate::binding::Refused;
use crate::protocol::{RpcError, code};

/// The challenge of a missing key. It names no authorization server, because there is none: keys come from
/// `janus client add` (RFC 6750, 3).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"janus\"");

/// Somebody who is nobody to us.
pub(super) fn stranger(why: &NotAuthenticated) -> Response<Reply> {
    let error = RpcError::new(code::INVALID_REQUEST, why.to_string())
        .with_data(&json!({"code": why.code(), "sent": false}));
    if !matches!(why, NotAuthenticated::KeyRequired) {
        return rpc_error(StatusCode::FORBIDDEN, None, &error);
    }
    let mut response = rpc_error(StatusCode::UNAUTHORIZED, None, &error);
    response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
    response
}

/// Somebody who reaches nothing here.
pub(super) fn outside(why: &Refused, reach: &Reach) -> Response<Reply> {
    let status = if why.is_unknown() {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::FORBIDDEN
    };
    rpc_error(status, None, &explained(why, reach))
}

/// The same as an error of JSON-RPC, for a session that learns late that it reaches nothing.
pub(super) fn explained(why: &Refused, reach: &Reach) -> RpcError {
    let place = why.written().map(|written| reach.place(written.line));
    let text = match &place {
        Some(place) => format!("{why} ({place})"),
        None => why.to_string(),
    };
    RpcError::new(code::INVALID_REQUEST, text)
        .with_data(&json!({"code": why.code(), "sent": false, "where": place}))
}
