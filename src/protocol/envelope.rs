//! A JSON-RPC message in transit: what Janus must look at is found, the rest stays as it arrived.

use bytes::Bytes;
use serde::Serialize;

use super::object::Members;
use super::outcome::Place;
use super::scan::{each_member, means, skip_value};
use super::{Edit, Json, Object, Splice, code};

/// One JSON-RPC message.
#[derive(Debug, Clone)]
pub struct Envelope {
    object: Object,
    kind: Kind,
    id: Option<Json>,
    method: Option<Box<str>>,
    params: Option<Object>,
    /// Where things are in a result that is an object.
    result: Option<Place>,
}

/// What a message is, by the members it has (JSON-RPC 2.0, sections 4 and 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `method` and `id`.
    Request,
    /// `method` alone.
    Notification,
    /// `result`.
    Result,
    /// `error`.
    Error,
}

/// A message that cannot be taken, with what its sender is answered.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The id to answer with, where one could be found.
    pub id: Option<Json>,
    /// The answer.
    pub error: RpcError,
}

/// A JSON-RPC error that Janus authors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    /// One of [`code`].
    pub code: i64,
    /// For people.
    pub message: String,
    /// For programs.
    pub data: Option<Json>,
}

/// The members of a message whose repetition would let two readers see two messages.
const READ: [&str; 5] = ["id", "method", "params", "result", "error"];
/// The same for what is read inside `params`.
const READ_IN_PARAMS: [&str; 9] = [
    "name",
    "uri",
    "arguments",
    "_meta",
    "cursor",
    "ref",
    "taskId",
    "requestState",
    "protocolVersion",
];

impl Envelope {
    /// Reads one message from the network.
    ///
    /// # Errors
    /// -32700 where the text is no JSON, -32600 where it is not one JSON-RPC message: invalid UTF-8, a repeated
    /// member that Janus reads, both `result` and `error`, a null id.
    pub fn parse(text: Bytes) -> Result<Self, Refused> {
        let json = Json::parse(text).map_err(|error| Refused {
            id: None,
            error: RpcError::new(code::PARSE_ERROR, format!("the message is {error}")),
        })?;
        Self::of(&json)
    }

    /// The same for text that is already known to be JSON.
    pub fn of(json: &Json) -> Result<Self, Refused> {
        if !json.is_object() {
            return Err(refuse(None, "a message is a JSON object"));
        }
        let Parts {
            object,
            params,
            result,
        } = Parts::of(json);
        let id = object.get("id");
        if let Some(key) = object.repeated(&READ) {
            return Err(refuse(None, &format!("the member `{key}` appears twice")));
        }
        let usable = id.clone().filter(is_id);
        if object.text("jsonrpc").as_deref() != Some("2.0") {
            return Err(refuse(usable, "the member `jsonrpc` must be \"2.0\""));
        }
        let kind = kind_of(&object, id.is_some()).map_err(|why| refuse(usable.clone(), why))?;
        if kind == Kind::Request && usable.is_none() {
            return Err(refuse(None, "an id is a string or a number"));
        }
        let method = object.get("method").and_then(|method| {
            method
                .as_text()
                .map(|text| text.into_owned().into_boxed_str())
        });
        let mut read = None;
        if matches!(kind, Kind::Request | Kind::Notification) {
            if method.is_none() {
                return Err(refuse(usable, "the member `method` must be a string"));
            }
            read = read_params(&object, params).map_err(|why| refuse(usable, &why))?;
        }
        Ok(Self {
            object,
            kind,
            id,
            method,
            params: read,
            result: result.filter(|_| kind == Kind::Result),
        })
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The id, in its own spelling. A request always has one.
    pub fn id(&self) -> Option<&Json> {
        self.id.as_ref()
    }

    /// The method of a request or notification; empty for a response.
    pub fn method(&self) -> &str {
        self.method.as_deref().unwrap_or_default()
    }

    /// The parameters, where there are any.
    pub fn params(&self) -> Option<Object> {
        self.params.clone()
    }

    /// The result of a response.
    pub fn result(&self) -> Option<Json> {
        self.object.get("result")
    }

    /// The `resultType` of a result.
    pub fn result_type(&self) -> Option<Json> {
        let place = self.result.as_ref()?;
        Some(self.json().part(place.kind.clone()?))
    }

    /// The response as its client gets it: under the client's own id, and a result says in its `_meta` who answered,
    /// whatever the server says there. See [`Splice::identity`].
    #[must_use]
    pub fn answered(&self, id: &Json, identity: Option<&Json>) -> Json {
        let (Some(identity), Some(place)) = (identity, &self.result) else {
            return self.edited(&[Edit::Set("id", id.clone())]);
        };
        if place.has_meta {
            let mut splice = Splice::id(id.clone()).identity(Some(identity.clone()));
            return Json::spliced(splice.push(self.json().bytes()));
        }
        // A result has exactly one id.
        let old = self.object.place("id").unwrap_or(0..0);
        place.identified(self.json().bytes(), (old, id), identity)
    }

    /// The error of a response.
    pub fn error(&self) -> Option<Object> {
        self.object.object("error")
    }

    /// The code of an error response.
    pub fn error_code(&self) -> Option<i64> {
        self.error().and_then(|error| error.get("code")?.read())
    }

    /// The whole message.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// The whole message as text.
    pub fn json(&self) -> &Json {
        self.object.json()
    }

    /// The message with some members changed.
    #[must_use]
    pub fn edited(&self, edits: &[Edit<'_>]) -> Json {
        self.object.edited(edits)
    }

    /// The message with changed parameters.
    #[must_use]
    pub fn with_params(&self, params: Json) -> Json {
        self.object.edited(&[Edit::Set("params", params)])
    }

    /// A notification that Janus authors.
    pub fn notification(method: &str, params: &impl Serialize) -> Self {
        let params = Json::of(params);
        let object = Object::empty()
            .edited(&[
                Edit::Set("jsonrpc", Json::literal("\"2.0\"")),
                Edit::Set("method", Json::string(method)),
                Edit::Set("params", params.clone()),
            ])
            .object();
        Self {
            object: object.unwrap_or_else(Object::empty),
            kind: Kind::Notification,
            id: None,
            method: Some(method.into()),
            params: params.object(),
            result: None,
        }
    }

    /// The text of a request that Janus authors.
    pub fn request_text(id: &Json, method: &str, params: Option<&Json>) -> Json {
        let mut out = Vec::with_capacity(96 + params.map_or(0, |params| params.bytes().len()));
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        out.extend_from_slice(id.bytes());
        out.extend_from_slice(b",\"method\":");
        out.extend_from_slice(Json::string(method).bytes());
        if let Some(params) = params {
            out.extend_from_slice(b",\"params\":");
            out.extend_from_slice(params.bytes());
        }
        out.push(b'}');
        Json::composed(out)
    }

    /// The text of a response with a result.
    pub fn result_text(id: &Json, result: &Json) -> Json {
        let mut out = Vec::with_capacity(48 + result.bytes().len());
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        out.extend_from_slice(id.bytes());
        out.extend_from_slice(b",\"result\":");
        out.extend_from_slice(result.bytes());
        out.push(b'}');
        Json::composed(out)
    }
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The same with data.
    #[must_use]
    pub fn with_data(mut self, data: &impl Serialize) -> Self {
        self.data = Some(Json::of(data));
        self
    }

    /// The text of the response. Without an id it is `null`, as JSON-RPC 2.0 section 5 wants it.
    pub fn text(&self, id: Option<&Json>) -> Json {
        let null = Json::literal("null");
        let mut error = Object::empty().edited(&[
            Edit::Set("code", Json::of(&self.code)),
            Edit::Set("message", Json::string(&self.message)),
        ]);
        if let (Some(data), Some(object)) = (&self.data, error.object()) {
            error = object.edited(&[Edit::Set("data", data.clone())]);
        }
        Object::empty().edited(&[
            Edit::Set("jsonrpc", Json::literal("\"2.0\"")),
            Edit::Set("id", id.unwrap_or(&null).clone()),
            Edit::Set("error", error),
        ])
    }
}

fn kind_of(object: &Object, has_id: bool) -> Result<Kind, &'static str> {
    match (
        object.has("method"),
        object.has("result"),
        object.has("error"),
    ) {
        (true, false, false) if has_id => Ok(Kind::Request),
        (true, false, false) => Ok(Kind::Notification),
        (false, true, false) if has_id => Ok(Kind::Result),
        (false, false, true) => Ok(Kind::Error),
        (false, true, false) => Err("a result needs an id"),
        (false, true, true) => Err("a response has a result or an error, not both"),
        (true, _, _) => Err("a message has a method or a response, not both"),
        (false, false, false) => Err("the message has no method, no result and no error"),
    }
}

/// A message, and what was found of its parameters and its result on the same way through its text.
struct Parts {
    object: Object,
    params: Option<Members>,
    result: Option<Place>,
}

impl Parts {
    /// Those of a message that is an object.
    fn of(json: &Json) -> Self {
        let text = json.bytes();
        let (mut members, mut params, mut result) = (Members::none(), None, None);
        each_member(text, 0, |key, value| {
            let written = text.get(key.clone()).unwrap_or_default();
            let end = if text.get(value) != Some(&b'{') {
                skip_value(text, value)
            } else if means(written, "params") {
                let (found, end) = Members::at(text, value);
                params = Some(found);
                end
            } else if means(written, "result") {
                let (found, end) = Place::of(text, value);
                result = Some(found);
                end
            } else {
                skip_value(text, value)
            };
            members.push(key, value..end);
            end
        });
        Self {
            object: Object::with(json.clone(), members),
            params,
            result,
        }
    }
}

/// The parameters, where there are any that can be read in one way only.
fn read_params(object: &Object, found: Option<Members>) -> Result<Option<Object>, String> {
    let Some(params) = object.get("params") else {
        return Ok(None);
    };
    let (true, Some(found)) = (params.is_object(), found) else {
        // MCP has named parameters only; a null is what some clients write for none.
        return if params.is_null() {
            Ok(None)
        } else {
            Err("`params` must be an object".to_owned())
        };
    };
    let params = Object::with(params, found);
    match params.repeated(&READ_IN_PARAMS) {
        Some(key) => Err(format!("the member `{key}` of `params` appears twice")),
        None => Ok(Some(params)),
    }
}

fn is_id(id: &Json) -> bool {
    matches!(id.bytes().first(), Some(b'"' | b'-' | b'0'..=b'9'))
}

fn refuse(id: Option<Json>, why: &str) -> Refused {
    Refused {
        id,
        error: RpcError::new(code::INVALID_REQUEST, why),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<Envelope, Refused> {
        Envelope::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn messages_are_told_apart_by_their_members_in_any_order() {
        for (text, kind) in [
            (
                r#"{"params":{},"method":"x","id":1,"jsonrpc":"2.0"}"#,
                Kind::Request,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"x","extra":[]}"#,
                Kind::Notification,
            ),
            (r#"{"result":{},"jsonrpc":"2.0","id":"a"}"#, Kind::Result),
            (
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":""}}"#,
                Kind::Error,
            ),
        ] {
            assert_eq!(parse(text).unwrap().kind(), kind, "{text}");
        }
    }

    #[test]
    fn a_message_that_two_readers_may_read_in_two_ways_is_refused() {
        for (text, id, expected) in [
            ("{", None, code::PARSE_ERROR),
            ("[]", None, code::INVALID_REQUEST),
            (r#"{"id":1,"method":"x"}"#, Some("1"), code::INVALID_REQUEST),
            (
                r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#,
                None,
                code::INVALID_REQUEST,
            ),
            (
                r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#,
                None,
                code::INVALID_REQUEST,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
                Some("1"),
                code::INVALID_REQUEST,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[]}"#,
                Some("1"),
                code::INVALID_REQUEST,
            ),
            (
                r#"{"jsonrpc":"2.0","id":"a","method":"x","params":{"name":"a","n\u0061me":"b"}}"#,
                Some("\"a\""),
                code::INVALID_REQUEST,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
                Some("1"),
                code::INVALID_REQUEST,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1}"#,
                Some("1"),
                code::INVALID_REQUEST,
            ),
        ] {
            let refused = parse(text).unwrap_err();
            assert_eq!(
                (refused.error.code, refused.id.as_ref().map(Json::as_str)),
                (expected, id),
                "{text}"
            );
        }
    }

    #[test]
    fn an_error_repeats_the_id_in_its_own_type() {
        let error = RpcError::new(-32602, "no such \"tool\"").with_data(&json!({"a": 1}));
        assert_eq!(
            error.text(Some(&Json::string("7"))).as_str(),
            r#"{"jsonrpc":"2.0","id":"7","error":{"code":-32602,"message":"no such \"tool\"","data":{"a":1}}}"#
        );
    }
}
