//! What an exchange asks its modern client, until the client answers with another request.
//!
//! Invariants:
//! - Only the methods that may ask do, and what nobody can answer is refused at once.
//! - A question is asked again until it is answered or taken back, under the same key.
//! - An answer of the wrong shape changes nothing: the client is told which one, and may answer again.
//= https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

use crate::binding::Scope;
use crate::downstream::conversation::{log_level, requested_level};
use crate::protocol::{
    Answer, Asker, Edit, Envelope, Era, Json, LogLevel, Object, Question, QuestionKind, Request,
    RpcError, code, meta,
};

/// Servers that ask several things at once send them one after the other.
const TOGETHER: Duration = Duration::from_millis(20);

/// The methods whose response may ask (2026-07-28, basic/patterns/mrtr, "Supported Requests").
const MAY_ASK: [&str; 3] = ["tools/call", "prompts/get", "resources/read"];

/// A modern edge: what it asks, and what it lets through.
pub(in crate::downstream) struct Asking {
    pub(super) scope: Arc<Scope>,
    /// The first request, which a later one repeats.
    pub(super) request: Json,
    level: Option<LogLevel>,
    may_ask: bool,
    open: Vec<Open>,
    due: Option<Pin<Box<Sleep>>>,
    token: Token,
    /// A legacy server answered with a stream.
    streams: bool,
}

/// What progress is marked with.
enum Token {
    /// As the first request said.
    First,
    /// As the one that goes on with it says, if it wants any.
    Later(Option<Json>),
}

struct Open {
    key: String,
    question: Question,
    asker: Asker,
}

impl Asking {
    /// The edge of a request that acts in this scope.
    pub(in crate::downstream) fn of(request: &Request, scope: Arc<Scope>) -> Self {
        Self {
            scope,
            request: request.message.json().clone(),
            level: requested_level(request),
            may_ask: MAY_ASK.contains(&request.method()),
            open: Vec::new(),
            due: None,
            token: Token::First,
            streams: false,
        }
    }

    /// Another request goes on with the exchange.
    pub(in crate::downstream) fn go_on(&mut self, request: &Request) {
        self.level = requested_level(request);
        self.token = Token::Later(request.meta().get(meta::PROGRESS_TOKEN));
        self.due = None;
        // What it did not answer is asked again at once.
        if !self.open.is_empty() {
            self.due = Some(Box::pin(tokio::time::sleep(Duration::ZERO)));
        }
    }

    /// A notification as this client gets it, if it does: log messages by the request's level, progress under the
    /// request's token.
    pub(in crate::downstream) fn passed(&self, message: Envelope) -> Option<Envelope> {
        match message.method() {
            // Links have no names in this era.
            "notifications/elicitation/complete" => return None,
            "notifications/progress" => {
                let Token::Later(token) = &self.token else {
                    return Some(message);
                };
                let set = [Edit::Set(meta::PROGRESS_TOKEN, token.clone()?)];
                let params = message.params()?.edited(&set);
                return Envelope::of(&message.with_params(params)).ok();
            }
            _ => {}
        }
        let wanted = log_level(&message)
            .is_none_or(|of_message| self.level.is_some_and(|level| of_message >= level));
        wanted.then_some(message)
    }

    /// The server answers with a stream; gives whether the response may begin as one now. Between the eras its status
    /// follows from what comes.
    pub(in crate::downstream) fn opened(&mut self, server: Era) -> bool {
        self.streams = true;
        server == Era::Modern
    }

    /// Whether the server answered with a stream.
    pub(in crate::downstream) fn streams(&self) -> bool {
        self.streams
    }

    /// Takes a question. Its client is asked soon.
    pub(in crate::downstream) fn ask(&mut self, question: Question, asker: Asker) {
        if !self.may_ask {
            return;
        }
        self.open.push(Open {
            key: format!("janus-{}", asker.number()),
            question,
            asker,
        });
        self.due
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(TOGETHER)));
    }

    /// A question need not be answered any more.
    pub(in crate::downstream) fn withdraw(&mut self, number: u64) {
        self.open.retain(|open| open.asker.number() != number);
    }

    /// Ready when the client shall be asked.
    pub(in crate::downstream) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = &mut self.due else {
            return Poll::Pending;
        };
        ready!(due.as_mut().poll(cx));
        self.due = None;
        self.open.retain(|open| !open.asker.is_gone());
        if self.open.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// `inputRequests`.
    pub(super) fn requests(&self) -> Json {
        let request = |open: &Open| {
            let mut edits = vec![Edit::Set(
                "method",
                Json::string(open.question.kind.method()),
            )];
            if open.question.message.params().is_some() {
                // What a link was called in the legacy era.
                let params = open
                    .question
                    .params()
                    .edited(&[Edit::Remove("elicitationId")]);
                edits.push(Edit::Set("params", params));
            }
            Object::empty().edited(&edits)
        };
        let requests: Vec<Json> = self.open.iter().map(request).collect();
        let named = self.open.iter().zip(requests);
        let edits: Vec<Edit<'_>> = named
            .map(|(open, request)| Edit::Set(&open.key, request))
            .collect();
        Object::empty().edited(&edits)
    }

    /// What it waits for.
    pub(super) fn wanted(&self) -> Vec<Wanted> {
        let wanted = |open: &Open| (open.key.clone(), open.question.kind);
        self.open.iter().map(wanted).collect()
    }

    /// Gives the answers of a request to those who asked.
    pub(super) fn answer(&mut self, request: &Request) {
        let responses = request.params().object("inputResponses");
        let responses = responses.unwrap_or_else(Object::empty);
        for open in std::mem::take(&mut self.open) {
            match responses.get(&open.key) {
                Some(answer) => open.asker.answer(Answer::Result(answer)),
                None => self.open.push(open),
            }
        }
    }
}

/// A key, and what its answer must be the result of.
pub(super) type Wanted = (String, QuestionKind);

/// Whether a request's answers can be taken. One that is missing is asked for again.
///
/// # Errors
/// The one that cannot.
pub(super) fn check(wanted: &[Wanted], request: &Request) -> Result<(), RpcError> {
    let Some(responses) = request.params().get("inputResponses") else {
        return Ok(());
    };
    let wrong = |what: &str| RpcError::new(code::INVALID_PARAMS, what);
    let Some(responses) = responses.object() else {
        return Err(wrong(
            "`inputResponses` is an object with one answer for each key",
        ));
    };
    for (key, kind) in wanted {
        if responses.repeated(&[key]).is_some() {
            return Err(wrong(&format!("`inputResponses` has `{key}` twice")));
        }
        let answer = responses.get(key);
        let fits = |answer: Json| {
            answer
                .object()
                .is_some_and(|answer| has_shape(*kind, &answer))
        };
        if !answer.is_none_or(fits) {
            let method = kind.method();
            return Err(wrong(&format!(
                "`inputResponses.{key}` is no result of `{method}`"
            )));
        }
    }
    Ok(())
}

fn has_shape(kind: QuestionKind, answer: &Object) -> bool {
    match kind {
        QuestionKind::Elicit => answer.text("action").is_some(),
        QuestionKind::Sample => answer.has("role") && answer.has("content"),
        QuestionKind::Roots => answer
            .get("roots")
            .is_some_and(|roots| roots.elements().is_some()),
    }
}
