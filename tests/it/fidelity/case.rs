//! What a message of the table is: a request as a client writes it, and what the server does then.
//!
//! All texts are templates: `$ID`, `$NAME` and `$TOKEN` stand for what each side of Janus calls the request, the tool and
//! the progress token. The same template with the values of the one side is sent, and with those of the other side it is
//! what must arrive.

use super::expect::Sides;
use super::text::{Members, decoded};
use crate::support::Era;

/// One message, or one call with all that is said in it.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// What it is about, and the name of its tool, prompt or resource.
    pub(super) name: String,
    /// The client's id, as it writes it.
    pub(super) id: &'static str,
    /// The client's progress token, as it writes it.
    pub(super) token: &'static str,
    pub(super) request: String,
    pub(super) script: Vec<Step>,
    /// The only era of the client or the server in which it is legal.
    pub(super) client: Option<Era>,
    pub(super) server: Option<Era>,
    /// A merged view has it too.
    pub(super) merged: bool,
}

/// What the server does.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// It sends a notification or the response.
    Say(String),
    /// It asks, under an id of its own, and waits for the answer. `$QUESTION` is the id.
    Ask {
        id: &'static str,
        question: String,
        answer: String,
    },
}

/// What the placeholders of a template stand for on one side.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    pub(super) id: String,
    pub(super) token: String,
    /// What the names begin with in a view.
    pub(super) prefix: &'static str,
    /// What stands for `$META`: the keys every modern request has.
    pub(super) meta: &'static str,
    pub(super) question: String,
    /// `$STATE`: what a modern server wants back with the answers to its questions.
    pub(super) state: String,
}

/// The keys of a modern request.
pub(super) const MODERN_META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"experimental":{"x":1.0}},"io.modelcontextprotocol/logLevel":"debug""#;

/// The response of calls whose response is not the point.
const PLAIN: &str = r#"{"jsonrpc":"2.0","id":$ID,"result":{"content":[]}}"#;

impl Case {
    fn new(name: &str, request: &str) -> Self {
        Self {
            name: name.to_owned(),
            id: "7",
            token: "\"t\"",
            request: request.to_owned(),
            script: vec![Step::Say(PLAIN.to_owned())],
            client: None,
            server: None,
            merged: true,
        }
    }

    /// An odd request, whole.
    pub(super) fn request(name: &str, request: &str) -> Self {
        Self::new(name, request)
    }

    /// A call with odd arguments.
    pub(super) fn arguments(name: &str, arguments: &str) -> Self {
        let request = r#"{"jsonrpc":"2.0","id":$ID,"method":"tools/call","params":{"name":$NAME,"arguments":$ARGUMENTS,"_meta":{$META}}}"#;
        Self::new(name, &request.replace("$ARGUMENTS", arguments))
    }

    /// A call whose response is odd, as a whole.
    pub(super) fn response(name: &str, response: &str) -> Self {
        Self::in_call(name, [Step::Say(response.to_owned())])
    }

    /// A call whose result is odd.
    pub(super) fn result(name: &str, result: &str) -> Self {
        let response = r#"{"jsonrpc":"2.0","id":$ID,"result":$RESULT}"#;
        Self::response(name, &response.replace("$RESULT", result))
    }

    /// A call that is plain itself, with these steps.
    pub(super) fn in_call(name: &str, script: impl IntoIterator<Item = Step>) -> Self {
        let request = r#"{"jsonrpc":"2.0","id":$ID,"method":"tools/call","params":{"name":$NAME,"arguments":{},"_meta":{$META,"progressToken":$TOKEN}}}"#;
        Self {
            script: script.into_iter().collect(),
            ..Self::new(name, request)
        }
    }

    /// A call during which the server says something, before a plain response.
    pub(super) fn mid_call(name: &str, message: &str) -> Self {
        let say = |text: &str| Step::Say(text.to_owned());
        Self::in_call(name, [say(message), say(PLAIN)])
    }

    /// A call in which a legacy server asks, and a legacy client answers.
    pub(super) fn question(name: &str, id: &'static str, question: &str, answer: &str) -> Self {
        let ask = Step::Ask {
            id,
            question: question.to_owned(),
            answer: answer.to_owned(),
        };
        Self::in_call(name, [ask, Step::Say(PLAIN.to_owned())]).between(Era::Legacy)
    }

    pub(super) fn id(self, id: &'static str) -> Self {
        Self { id, ..self }
    }

    pub(super) fn token(self, token: &'static str) -> Self {
        Self { token, ..self }
    }

    /// Legal only where both sides speak this era.
    pub(super) fn between(self, era: Era) -> Self {
        Self {
            client: Some(era),
            server: Some(era),
            ..self
        }
    }

    /// Legal only for a client of this era.
    pub(super) fn from(self, era: Era) -> Self {
        Self {
            client: Some(era),
            ..self
        }
    }

    /// Only the transparent view has such a method.
    pub(super) fn transparent(self) -> Self {
        Self {
            merged: false,
            ..self
        }
    }

    pub(super) fn answered(self, response: &str) -> Self {
        Self {
            script: vec![Step::Say(response.to_owned())],
            ..self
        }
    }

    /// Whether it is legal between these sides and in this view.
    pub(super) fn fits(&self, sides: Sides, view: &str) -> bool {
        self.client.is_none_or(|only| only == sides.client)
            && self.server.is_none_or(|only| only == sides.server)
            && (self.merged || view != "/mcp")
    }

    /// A template with the values of one side.
    pub(super) fn render(&self, template: &str, values: &Values) -> String {
        let separator = if values.meta.is_empty() { "" } else { "," };
        template
            .replace("$META,", &format!("{}{separator}", values.meta))
            .replace("$META", values.meta)
            .replace("$NAME", &format!("\"$PREFIX{}\"", self.name))
            .replace("$PREFIX", values.prefix)
            .replace("$QUESTION", &values.question)
            .replace("$STATE", &values.state)
            .replace("$TOKEN", &values.token)
            .replace("$ID", &values.id)
    }

    /// The method of the request, and what a modern client repeats of it in `Mcp-Name`.
    pub(super) fn headers(request: &str) -> (String, Option<String>) {
        let request = Members::of(request);
        let method = request.get("method").and_then(decoded).unwrap_or_default();
        let params = request.get("params").and_then(Members::try_of);
        let name = params.and_then(|params| {
            let named = params.get("name").or_else(|| params.get("uri"))?;
            decoded(named)
        });
        (method, name)
    }
}

/// What a request is about, for the server that gets it: the name of its case.
pub(super) fn subject(request: &Members) -> String {
    let params = request.get("params").and_then(Members::try_of);
    let named = params.as_ref().and_then(|params| {
        let reference = params.get("ref").and_then(Members::try_of);
        let named = params
            .get("name")
            .or_else(|| params.get("uri"))
            .map(str::to_owned);
        named.or_else(|| reference?.get("name").map(str::to_owned))
    });
    let named = named.or_else(|| request.get("method").map(str::to_owned));
    let name = named.and_then(|named| decoded(&named)).unwrap_or_default();
    let again = if params.is_some_and(|params| params.get("requestState").is_some()) {
        "-again"
    } else {
        ""
    };
    format!("{}{again}", name.trim_start_matches("odd://"))
}
