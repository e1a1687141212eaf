//! What must arrive: the very text that was sent, but for the members that Janus is there to edit.
//!
//! Every edit that is allowed is here. One that is not here is a bug.

use super::case::{Case, Step, Values};
use super::client::{ASKABLE, CLIENT_INFO};
use super::text::{Members, decoded};
use crate::support::Era;

/// The eras of both sides of Janus.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides {
    pub(super) client: Era,
    pub(super) server: Era,
}

/// What only modern requests say, in `_meta`.
const MODERN_KEYS: [&str; 4] = [
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/logLevel",
];
/// What only modern results say.
const MODERN_RESULT: [&str; 3] = ["resultType", "ttlMs", "cacheScope"];

/// The request as the server must get it. `sent` has the client's values, `received` the server's id and token.
pub(super) fn request(case: &Case, sent: &Values, received: &Values, sides: Sides) -> String {
    let values = Values {
        prefix: "",
        meta: sent.meta,
        ..received.clone()
    };
    let text = case.render(&case.request, &values);
    let mut message = Members::of(&text);
    if !sent.prefix.is_empty() || case.request.contains("resources/read") {
        message.change("params", |params| {
            // A name that lost its prefix is Janus's to spell.
            if let Some(name) = params.get("name").and_then(decoded) {
                params.set("name", &format!("\"{name}\""));
            }
        });
    }
    match (sides.client, sides.server) {
        (Era::Modern, Era::Legacy) => message.change("params", |params| {
            params.change("_meta", |meta| {
                for key in &MODERN_KEYS {
                    meta.remove(key);
                }
            });
        }),
        (Era::Legacy, Era::Modern) => message.change("params", |params| {
            params.change("_meta", |meta| {
                meta.set(MODERN_KEYS[0], "\"2026-07-28\"");
                meta.set(MODERN_KEYS[1], ASKABLE);
                meta.set(MODERN_KEYS[2], CLIENT_INFO);
                meta.set(MODERN_KEYS[3], "\"info\"");
            });
        }),
        _ => {}
    }
    message.text()
}

/// What the client must get for a step of the script.
pub(super) fn step(case: &Case, step: &Step, sent: &Values, sides: Sides) -> String {
    match step {
        Step::Ask { question, .. } => asked(&case.render(question, sent), sent),
        Step::Say(text) => {
            let mut text = case.render(text, sent);
            if text.contains("inputRequests") && !sent.prefix.is_empty() {
                text = text.replace("\"message\":\"", "\"message\":\"[raw/default] ");
            }
            let message = Members::of(&text);
            if message.get("result").is_some() {
                response(case, message, sent, sides)
            } else {
                text
            }
        }
    }
}

/// In a view of several servers the text of a question says who asks; the rest of it is the server's own spelling.
fn asked(question: &str, sent: &Values) -> String {
    let mut message = Members::of(question);
    if sent.prefix.is_empty() || !question.contains("elicitation") {
        return question.to_owned();
    }
    message.change("params", |params| {
        let said = params.get("message").unwrap().strip_prefix('"').unwrap();
        params.set("message", &format!("\"[raw/default] {said}"));
    });
    message.text()
}

/// Only the members of one era come and go, what the other era has no form for, and who answered.
pub(super) fn response(case: &Case, message: Members, sent: &Values, sides: Sides) -> String {
    let mut message = identified(case, message, sent);
    match (sides.server, sides.client) {
        (Era::Legacy, Era::Modern) => message.change("result", |result| {
            for key in &MODERN_RESULT {
                result.remove(key);
            }
            // What a legacy server says nothing about is stale at once.
            if case.request.contains("resources/read") || case.request.contains("/list") {
                result.put_first("cacheScope", "\"private\"");
                result.put_first("ttlMs", "0");
            }
            result.put_first("resultType", "\"complete\"");
        }),
        (Era::Modern, Era::Legacy) => message.change("result", |result| {
            for key in &MODERN_RESULT {
                result.remove(key);
            }
            let structured = result.get("structuredContent");
            if structured.is_some_and(|value| Members::try_of(value).is_none()) {
                result.remove("structuredContent");
            }
        }),
        _ => {}
    }
    message.text()
}

/// A result that is an object says in its `_meta` who answered, and the server has no say in it.
fn identified(case: &Case, mut message: Members, sent: &Values) -> Members {
    // A resource is found by its address, a tool by the account that is left to choose.
    let from = if sent.prefix.is_empty() || case.request.contains("resources/read") {
        "path"
    } else {
        "only_account"
    };
    let identity = format!(
        r#"{{"profile":"default","server":"raw","account":"default","label":null,"verified_as":null,"resolved_from":"{from}"}}"#
    );
    let about = |meta: &str| {
        let mut meta = Members::try_of(meta).unwrap_or_default();
        meta.remove("dev.janus/identity");
        meta.set("dev.janus/identity", &identity);
        meta.text()
    };
    if let Some(mut result) = message.get("result").and_then(Members::try_of) {
        if !result.change_each("_meta", about) {
            result.set("_meta", &about("{}"));
        }
        message.set("result", &result.text());
    }
    message
}
