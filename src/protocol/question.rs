//! What a server, or Janus itself, asks a client in the middle of an exchange, and what comes back.

use tokio::sync::oneshot;

use super::{ClientFacts, Edit, Envelope, Json, Object, RpcError, code};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// Which of the three.
    pub kind: QuestionKind,
    /// The request as its author wrote it.
    pub message: Envelope,
}

/// The questions of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionKind {
    /// `elicitation/create`
    Elicit,
    /// `sampling/createMessage`
    Sample,
    /// `roots/list`
    Roots,
}

impl QuestionKind {
    /// The kind of a server's request, if it is a question at all.
    pub fn of_method(method: &str) -> Option<Self> {
        match method {
            "elicitation/create" => Some(Self::Elicit),
            "sampling/createMessage" => Some(Self::Sample),
            "roots/list" => Some(Self::Roots),
            _ => None,
        }
    }

    /// The method that asks it.
    pub fn method(self) -> &'static str {
        match self {
            Self::Elicit => "elicitation/create",
            Self::Sample => "sampling/createMessage",
            Self::Roots => "roots/list",
        }
    }

    /// The capability a client declares to be asked it.
    pub fn capability(self) -> &'static str {
        match self {
            Self::Elicit => "elicitation",
            Self::Sample => "sampling",
            Self::Roots => "roots",
        }
    }
}

impl Question {
    /// The question that a request asks, if it asks one.
    pub fn of(message: Envelope) -> Option<Self> {
        let kind = QuestionKind::of_method(message.method())?;
        Some(Self { kind, message })
    }

    /// A question with these parameters. Its id means nothing: each edge gives its own.
    pub fn new(kind: QuestionKind, params: Option<&Json>) -> Option<Self> {
        let text = Envelope::request_text(&Json::literal("0"), kind.method(), params);
        let message = Envelope::of(&text).ok()?;
        Some(Self { kind, message })
    }

    /// Asks a person to open a link: what happens there is between them and whoever is behind it.
    pub fn open(url: &str, message: &str) -> Option<Self> {
        let params = serde_json::json!({"mode": "url", "message": message, "url": url});
        Self::new(QuestionKind::Elicit, Some(&Json::of(&params)))
    }

    /// The parameters; empty where there are none.
    pub fn params(&self) -> Object {
        self.message.params().unwrap_or_else(Object::empty)
    }

    /// The link that a person is asked to open, if that is what is asked.
    pub fn url(&self) -> Option<String> {
        let params = self.params();
        let is_url = self.kind == QuestionKind::Elicit && params.text("mode")? == "url";
        is_url.then(|| params.text("url"))?
    }

    /// Whether a client declared that it can be asked this. What it declared decides, not the revision: some declare
    /// links in a revision that has none.
    pub fn suits(&self, client: &ClientFacts) -> bool {
        let Some(declared) = client.capabilities.get(self.kind.capability()) else {
            return false;
        };
        let has = |part: &str| declared.object().is_some_and(|declared| declared.has(part));
        match self.kind {
            _ if declared.is_null() => false,
            QuestionKind::Elicit if self.params().text("mode").as_deref() == Some("url") => {
                has("url")
            }
            // An empty `elicitation` means forms (2025-11-25, client/elicitation, "Capabilities").
            QuestionKind::Elicit => has("form") || !has("url"),
            // 2025-11-25, client/sampling, "Capabilities": tools need their own word.
            QuestionKind::Sample => has("tools") || !self.params().has("tools"),
            QuestionKind::Roots => true,
        }
    }

    /// The same, whose text for people says which account asks: a person shall know whom the answer goes to. Sampling
    /// and roots have no such text.
    #[must_use]
    pub fn asked_by(self, account: Option<&str>) -> Self {
        let (Some(account), QuestionKind::Elicit) = (account, self.kind) else {
            return self;
        };
        let params = self.params();
        let Some(text) = params
            .get("message")
            .and_then(|text| prefixed(account, &text))
        else {
            return self;
        };
        let edited = params.edited(&[Edit::Set("message", text)]);
        match Envelope::of(&self.message.with_params(edited)) {
            Ok(message) => Self { message, ..self },
            Err(_) => self,
        }
    }
}

/// The text after the name of an account. What the server wrote stays as it spelled it.
fn prefixed(account: &str, text: &Json) -> Option<Json> {
    let rest = text.as_str().strip_prefix('"')?;
    let named = Json::string(&format!("[{account}] "));
    let named = named.as_str().strip_suffix('"')?;
    Json::parse(format!("{named}{rest}").into()).ok()
}

/// Who waits for an answer. Dropping it means that nobody can give one.
#[derive(Debug)]
pub struct Asker {
    number: u64,
    answer: oneshot::Sender<Answer>,
}

impl Asker {
    pub(super) fn new(number: u64) -> (Self, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        (Self { number, answer }, answered)
    }

    /// The number of the question, among those of its exchange.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether nobody waits any more.
    pub fn is_gone(&self) -> bool {
        self.answer.is_closed()
    }

    /// Gives the answer. Whoever asked may have gone; then it is nobody's.
    pub fn answer(self, answer: Answer) {
        drop(self.answer.send(answer));
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A legacy client's response as it wrote it, a result or an error.
    Response(Envelope),
    /// A modern client's result as it wrote it.
    Result(Json),
    /// Nobody could be asked: the capability is missing, the client is gone.
    Refused,
    /// Nobody answered in time.
    Expired(QuestionKind),
}

impl Answer {
    /// What the server is told that asked under this id, on one line.
    pub fn text(&self, id: &Json) -> Json {
        match self {
            Self::Response(response) => response
                .edited(&[Edit::Set("id", id.clone())])
                .on_one_line(),
            Self::Result(result) => Envelope::result_text(id, result).on_one_line(),
            Self::Refused => {
                RpcError::new(code::METHOD_NOT_FOUND, "the client cannot be asked").text(Some(id))
            }
            Self::Expired(QuestionKind::Elicit) => Envelope::result_text(id, &cancelled()),
            Self::Expired(_) => RpcError::new(code::INTERNAL_ERROR, NOBODY).text(Some(id)),
        }
    }

    /// The result, for a server that takes nothing but results.
    ///
    /// # Errors
    /// What the client said instead.
    pub fn result(&self) -> Result<Json, String> {
        match self {
            Self::Response(response) => response.result().ok_or_else(|| {
                let said = response.error().and_then(|error| error.text("message"));
                said.unwrap_or_else(|| "no reason was given".to_owned())
            }),
            Self::Result(result) => Ok(result.clone()),
            Self::Refused => Err("the client cannot be asked".to_owned()),
            Self::Expired(QuestionKind::Elicit) => Ok(cancelled()),
            Self::Expired(_) => Err(NOBODY.to_owned()),
        }
    }
}

const NOBODY: &str = "nobody answered in time";

/// 2025-11-25, client/elicitation, "Response Actions": dismissed without a choice.
fn cancelled() -> Json {
    Json::literal(r#"{"action":"cancel"}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Revision;

    #[test]
    fn a_client_is_asked_what_it_said_it_can_answer() {
        let form = r#"{"message":"m","requestedSchema":{}}"#;
        let url = r#"{"message":"m","mode":"url","url":"https://e.example/"}"#;
        let (elicit, sample, roots) = (
            QuestionKind::Elicit,
            QuestionKind::Sample,
            QuestionKind::Roots,
        );
        for (declared, kind, params, expected) in [
            (r"{}", elicit, form, false),
            (r#"{"elicitation":null}"#, elicit, form, false),
            (r#"{"elicitation":{}}"#, elicit, form, true),
            (r#"{"elicitation":{}}"#, elicit, url, false),
            (r#"{"elicitation":{"url":{}}}"#, elicit, form, false),
            (r#"{"elicitation":{"url":{}}}"#, elicit, url, true),
            (
                r#"{"elicitation":{"form":{},"url":{}}}"#,
                elicit,
                form,
                true,
            ),
            (r#"{"sampling":{}}"#, sample, r#"{"messages":[]}"#, true),
            (r#"{"sampling":{}}"#, sample, r#"{"tools":[]}"#, false),
            (
                r#"{"sampling":{"tools":{}}}"#,
                sample,
                r#"{"tools":[]}"#,
                true,
            ),
            (r#"{"roots":{}}"#, roots, r"{}", true),
        ] {
            let capabilities = Json::parse(declared.into()).unwrap().object().unwrap();
            let client = ClientFacts {
                revision: Revision::V2025_06_18,
                capabilities,
                info: None,
                session: None,
            };
            let params = Json::parse(params.into()).unwrap();
            let question = Question::new(kind, Some(&params)).unwrap();
            assert_eq!(question.suits(&client), expected, "{declared} {params:?}");
        }
    }

    #[test]
    fn whoever_takes_results_only_gets_one_or_a_reason() {
        let response = |text: &'static str| Answer::Response(Envelope::parse(text.into()).unwrap());
        let ok = response(r#"{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}"#);
        assert_eq!(ok.result().unwrap().as_str(), r#"{"roots":[]}"#);
        let no = response(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}"#);
        assert_eq!(no.result().unwrap_err(), "no");
        assert!(Answer::Refused.result().is_err());
        assert!(Answer::Expired(QuestionKind::Sample).result().is_err());
        let late = Answer::Expired(QuestionKind::Elicit);
        assert_eq!(late.result().unwrap().as_str(), r#"{"action":"cancel"}"#);
        assert!(
            late.text(&Json::of(&1))
                .as_str()
                .contains(r#""action":"cancel""#)
        );
    }
}
