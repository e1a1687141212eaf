//! The last step of an exchange: an outcome in the words of the client's era.
//!
//! Within one era nothing is touched. Between the eras the members that only one of them has are put in or left out.
//! Questions never come here: the gateway has asked them, or the exchange is parked.

use bytes::Bytes;
use serde_json::json;

use crate::protocol::{
    Body, BodyStream, CacheHint, Completion, Edit, Envelope, Era, Json, ListKind, Object, Outcome,
    Relayed, Request, RpcError, Splice, code,
};

/// A response, ready to be sent: its text in parts, and its error code if it is an error.
pub(super) struct Response {
    pub(super) body: ResponseBody,
    pub(super) code: Option<i64>,
}

pub(super) enum ResponseBody {
    /// All of it.
    Whole(Vec<Bytes>),
    /// A long answer, handed on as it comes.
    Stream(BodyStream),
}

/// What of a request its response depends on.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) id: Json,
    pub(super) method: Box<str>,
    pub(super) era: Era,
    /// The exchange goes on under another request than the one it began with: what it says names the first.
    renamed: bool,
}

/// Modern members of a result that a legacy client does not know.
const MODERN_RESULT: &[&str] = &["resultType", "ttlMs", "cacheScope"];

impl Asked {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            id: request.id(),
            method: request.method().into(),
            era: request.client.era(),
            renamed: false,
        }
    }

    /// The exchange goes on under this request.
    pub(super) fn go_on_as(&mut self, id: Json) {
        self.id = id;
        self.renamed = true;
    }

    /// The response to this request.
    pub(super) fn response(&self, outcome: Outcome) -> Response {
        match outcome {
            Outcome::Relayed(relayed) if self.renamed => self.relayed(self.under_its_id(relayed)),
            Outcome::Result { result, cache } => self.authored(&result, cache),
            Outcome::Error(error) => self.error(&error),
            Outcome::Relayed(relayed) => self.relayed(relayed),
        }
    }

    /// A response that asks for these answers, and to be shown this state with them
    /// (2026-07-28, basic/patterns/mrtr).
    pub(super) fn input_required(&self, requests: Json, state: &str) -> Response {
        let result = Object::empty().edited(&[
            Edit::Set("resultType", Json::literal("\"input_required\"")),
            Edit::Set("inputRequests", requests),
            Edit::Set("requestState", Json::string(state)),
        ]);
        whole(Envelope::result_text(&self.id, &result), None)
    }

    fn under_its_id(&self, relayed: Relayed) -> Relayed {
        let body = match relayed.body {
            Body::Whole(text) => Body::Whole(match text.object() {
                Some(message) => message.edited(&[Edit::Set("id", self.id.clone())]),
                None => text,
            }),
            Body::Stream(stream) => {
                let mut splice = Splice::id(self.id.clone());
                Body::Stream(Box::pin(futures_util::StreamExt::map(
                    stream,
                    move |chunk| chunk.map(|chunk| splice.push(&chunk)),
                )))
            }
        };
        Relayed { body, ..relayed }
    }

    fn error(&self, error: &RpcError) -> Response {
        whole(error.text(Some(&self.id)), Some(error.code))
    }

    fn authored(&self, result: &Json, cache: Option<CacheHint>) -> Response {
        let mut head = Vec::with_capacity(128);
        head.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        head.extend_from_slice(self.id.bytes());
        head.extend_from_slice(b",\"result\":{");
        let members = result.bytes().slice(1.min(result.bytes().len())..);
        if self.era == Era::Modern {
            head.extend_from_slice(&modern_members(cache));
            if members.first() != Some(&b'}') {
                head.push(b',');
            }
        }
        Response {
            body: ResponseBody::Whole(vec![head.into(), members, Bytes::from_static(b"}")]),
            code: None,
        }
    }

    fn relayed(&self, relayed: Relayed) -> Response {
        match (relayed.era, self.era) {
            (Era::Legacy, Era::Modern) => self.legacy_for_modern(relayed),
            (Era::Modern, Era::Legacy) => self.modern_for_legacy(relayed),
            // The headers were ours: no client could mend them.
            (Era::Modern, Era::Modern)
                if relayed.completion == Completion::Error(code::HEADER_MISMATCH) =>
            {
                with_code(relayed, code::INTERNAL_ERROR)
            }
            _ => as_it_is(relayed),
        }
    }

    fn legacy_for_modern(&self, relayed: Relayed) -> Response {
        match relayed.completion {
            // A modern client must not see the legacy code (2026-07-28, server/resources, "Error Handling").
            Completion::Error(code::RESOURCE_NOT_FOUND) => with_code(relayed, code::INVALID_PARAMS),
            Completion::Error(_) => as_it_is(relayed),
            _ => {
                let cached = ListKind::of_method(&self.method).is_some()
                    || &*self.method == "resources/read";
                // What a legacy server says nothing about is stale at once.
                let hint = cached.then_some(CacheHint { ttl_ms: 0 });
                spliced(
                    relayed,
                    Splice::result(Some(modern_members(hint)), MODERN_RESULT),
                )
            }
        }
    }

    fn modern_for_legacy(&self, relayed: Relayed) -> Response {
        match relayed.completion {
            Completion::Error(code::MISSING_CAPABILITY) if &*self.method == "tools/call" => {
                let text = format!(
                    "The server needs what this client cannot do: {}. Nothing ran.",
                    required(&relayed)
                );
                self.authored(
                    &Json::of(
                        &json!({"content": [{"type": "text", "text": text}], "isError": true}),
                    ),
                    None,
                )
            }
            Completion::Error(
                code::MISSING_CAPABILITY | code::HEADER_MISMATCH | code::UNSUPPORTED_VERSION,
            ) => with_code(relayed, code::INTERNAL_ERROR),
            Completion::Error(_) => as_it_is(relayed),
            // Up to 2025-11-25 structured content is an object; the text beside it says the same.
            _ => spliced(
                relayed,
                Splice::result(None, MODERN_RESULT).object_or_nothing("structuredContent"),
            ),
        }
    }
}

/// The capabilities that a server misses (2026-07-28, basic/index, "Error Codes": `data.requiredCapabilities`).
fn required(relayed: &Relayed) -> String {
    let Body::Whole(text) = &relayed.body else {
        return "a capability".to_owned();
    };
    let data = text
        .object()
        .and_then(|message| message.object("error")?.object("data"));
    let required = data.and_then(|data| data.object("requiredCapabilities"));
    let mut names = Vec::new();
    for (name, value) in required.unwrap_or_else(Object::empty).iter() {
        match value.object() {
            Some(extensions) if name == "extensions" => {
                names.extend(extensions.iter().map(|(name, _)| name.into_owned()));
            }
            _ => names.push(name.into_owned()),
        }
    }
    if names.is_empty() {
        names.push("a capability".to_owned());
    }
    names.join(", ")
}

fn whole(text: Json, code: Option<i64>) -> Response {
    Response {
        body: ResponseBody::Whole(vec![text.into_bytes()]),
        code,
    }
}

fn as_it_is(relayed: Relayed) -> Response {
    let code = if let Completion::Error(code) = relayed.completion {
        Some(code)
    } else {
        None
    };
    match relayed.body {
        Body::Whole(text) => whole(text, code),
        Body::Stream(stream) => Response {
            body: ResponseBody::Stream(stream),
            code,
        },
    }
}

fn spliced(relayed: Relayed, mut splice: Splice) -> Response {
    match relayed.body {
        Body::Whole(text) => Response {
            body: ResponseBody::Whole(vec![splice.push(text.bytes())]),
            code: None,
        },
        Body::Stream(stream) => {
            let stream = futures_util::StreamExt::map(stream, move |chunk| {
                chunk.map(|chunk| splice.push(&chunk))
            });
            Response {
                body: ResponseBody::Stream(Box::pin(stream)),
                code: None,
            }
        }
    }
}

fn with_code(relayed: Relayed, code: i64) -> Response {
    if let Body::Whole(text) = &relayed.body
        && let Some(message) = text.object()
        && let Some(error) = message.object("error")
    {
        let error = error.edited(&[Edit::Set("code", Json::of(&code))]);
        return whole(message.edited(&[Edit::Set("error", error)]), Some(code));
    }
    as_it_is(relayed)
}

fn modern_members(cache: Option<CacheHint>) -> Bytes {
    match cache {
        None => Bytes::from_static(b"\"resultType\":\"complete\""),
        Some(CacheHint { ttl_ms }) => {
            format!("\"resultType\":\"complete\",\"ttlMs\":{ttl_ms},\"cacheScope\":\"private\"")
                .into()
        }
    }
}

/// The HTTP status of a modern response (2026-07-28, basic/transports/streamable-http and basic/index, "Error Codes").
pub(super) fn modern_status(code: Option<i64>) -> http::StatusCode {
    match code {
        Some(code::METHOD_NOT_FOUND) => http::StatusCode::NOT_FOUND,
        Some(
            code::PARSE_ERROR
            | code::INVALID_REQUEST
            | code::HEADER_MISMATCH
            | code::MISSING_CAPABILITY
            | code::UNSUPPORTED_VERSION,
        ) => http::StatusCode::BAD_REQUEST,
        _ => http::StatusCode::OK,
    }
}

/// A response's parts as one text.
pub(super) fn joined(parts: &[Bytes]) -> Bytes {
    match parts {
        [one] => one.clone(),
        several => several.concat().into(),
    }
}

/// The text of an error where no request could be read.
pub(super) fn error_text(id: Option<&Json>, error: &RpcError) -> Bytes {
    error.text(id).into_bytes()
}
