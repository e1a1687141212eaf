//! The modern era towards clients: every request says everything, and its headers repeat it.
//!
//! Whoever reads the body must hold the headers to it, since others may have routed by them
//! (2026-07-28, basic/transports/streamable-http, "Server Validation").

mod asking;
mod parking;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use crate::protocol::{
    ClientFacts, Envelope, Era, Object, Request, Revision, RpcError, code, header, meta,
};

pub(super) use asking::Asking;
pub(super) use parking::Parking;

/// Whether a message says that it is of the modern era.
pub(super) fn declared_version(message: &Envelope) -> Option<String> {
    let meta = message.params()?.object("_meta")?;
    // A version that is no string is one nobody knows.
    meta.get(meta::PROTOCOL_VERSION).map(|version| {
        version
            .as_text()
            .map_or_else(|| version.as_str().to_owned(), std::borrow::Cow::into_owned)
    })
}

/// A date of the legacy era inside a session is a client's slip: the message belongs to the session.
pub(super) fn is_slip(version: &str, in_session: bool) -> bool {
    in_session && Revision::named(version).is_some_and(|revision| revision.era() == Era::Legacy)
}

/// A modern request, checked against its headers where the transport has any.
pub(super) fn request(
    message: Envelope,
    version: &str,
    headers: Option<&HeaderMap>,
) -> Result<Request, RpcError> {
    if let Some(headers) = headers {
        check_headers(&message, version, headers)?;
    }
    let revision = Revision::named(version)
        .filter(|revision| revision.era() == Era::Modern)
        .ok_or_else(|| unsupported(version))?;
    let meta = message
        .params()
        .and_then(|params| params.object("_meta"))
        .unwrap_or_else(Object::empty);
    let Some(capabilities) = meta.object(meta::CLIENT_CAPABILITIES) else {
        return Err(RpcError::new(
            code::INVALID_PARAMS,
            format!(
                "`_meta` must hold an object `{}`",
                meta::CLIENT_CAPABILITIES
            ),
        ));
    };
    let client = ClientFacts {
        revision,
        capabilities,
        info: meta.get(meta::CLIENT_INFO),
        session: None,
    };
    let param_headers = headers.map(param_headers).unwrap_or_default();
    Ok(Request {
        message,
        client: Arc::new(client),
        param_headers,
        over_http: headers.is_some(),
        log_level: None,
        holder: None,
    })
}

/// A revision that is not served, and those that are.
pub(super) fn unsupported(version: &str) -> RpcError {
    let requested: String = version.chars().take(64).collect();
    RpcError::new(
        code::UNSUPPORTED_VERSION,
        "this revision of MCP is not served",
    )
    .with_data(&json!({"supported": Revision::ALL.map(Revision::as_str), "requested": requested}))
}

fn check_headers(message: &Envelope, version: &str, headers: &HeaderMap) -> Result<(), RpcError> {
    same(headers, &header::PROTOCOL_VERSION, version, false)?;
    same(headers, &header::METHOD, message.method(), false)?;
    match named_by(message) {
        Some(name) => same(headers, &header::NAME, &name, true),
        None => Ok(()),
    }
}

/// What `Mcp-Name` must repeat, for the methods that need it.
fn named_by(message: &Envelope) -> Option<String> {
    let params = message.params()?;
    match message.method() {
        "tools/call" | "prompts/get" => params.text("name"),
        "resources/read" => params.text("uri"),
        // SEP-2663
        "tasks/get" | "tasks/update" | "tasks/cancel" => params.text("taskId"),
        _ => None,
    }
}

fn same(headers: &HeaderMap, name: &HeaderName, body: &str, encoded: bool) -> Result<(), RpcError> {
    let mismatch = |why: &str| {
        RpcError::new(
            code::HEADER_MISMATCH,
            format!("header mismatch: `{name}` {why}"),
        )
    };
    let mut values = headers.get_all(name).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(mismatch("is missing")),
        (Some(value), None) => value
            .to_str()
            .map_err(|_| mismatch("has characters that a header may not have"))?,
        (Some(_), Some(_)) => return Err(mismatch("appears twice")),
    };
    let value = if encoded {
        header::decode(value)
    } else {
        Some(value.trim_matches([' ', '\t']).to_owned())
    };
    match value {
        Some(value) if value == body => Ok(()),
        Some(_) => Err(mismatch("does not say what the body says")),
        None => Err(mismatch("is not the base64 it claims to be")),
    }
}

fn param_headers(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let of_param =
        |(name, _): &(&HeaderName, &HeaderValue)| name.as_str().starts_with(header::PARAM_PREFIX);
    headers
        .iter()
        .filter(of_param)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
