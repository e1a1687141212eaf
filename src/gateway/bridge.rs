//! Questions across the eras, where the answer to a call is a question: the client is asked, and the call is sent
//! again with what it said.
//!
//! - A modern server ends its response with `input_required`, which a legacy client does not know.
//! - A legacy server refuses a call until a link was opened (-32042), which a modern client does not know.
//!
//! Invariants:
//! - Nothing is sent again that may have run: both answers say that the server waits for another call.
//! - Every loop ends: after [`ROUNDS`] questions, or [`WAITS`] times of waiting for what happens behind a link.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::binding::{Route, Scope};
use crate::model::AccountId;
use crate::policy::Permitted;
use crate::protocol::{
    Body, Completion, Edit, Envelope, Era, Events, Json, Object, Outcome, Question, QuestionKind,
    Relayed, Request, code,
};

use super::{Gateway, error};

/// How often one call may ask.
const ROUNDS: usize = 32;
/// How often a server is asked whether a person is done behind a link: two minutes in all.
const WAITS: u32 = 8;
/// Between two of these times at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A client has as many questions of one call at once.
const AT_ONCE: usize = 8;
/// More at once are no questions to a person.
const MOST_QUESTIONS: usize = 64;

/// Whether an answer is a question in the other era's words.
pub(super) fn is_asked(relayed: &Relayed, request: &Request) -> bool {
    matches!(
        (relayed.completion, relayed.era, request.client.era()),
        (Completion::InputRequired, Era::Modern, Era::Legacy)
            | (
                Completion::Error(code::URL_ELICITATION_REQUIRED),
                Era::Legacy,
                Era::Modern
            )
    )
}

/// A call whose answer is a question.
pub(super) struct Asked<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) scope: &'a Scope,
    pub(super) permitted: &'a Permitted<Route>,
    pub(super) request: &'a Request,
    pub(super) identity: Option<&'a Json>,
    pub(super) events: &'a Events,
}

/// What a server asks in one round.
struct Round {
    questions: Vec<(String, Question)>,
    state: Option<String>,
}

/// The links that the person agreed to open, by their URLs: what the client knows each one by, and how often it was
/// waited for.
type Opened = BTreeMap<String, String>;

impl Asked<'_> {
    /// The outcome of the call, after everything that was asked.
    pub(super) async fn answered(&self, relayed: Relayed) -> Outcome {
        let ended = match relayed.era {
            Era::Modern => self.rounds(relayed).await,
            Era::Legacy => self.links(relayed).await,
        };
        match ended {
            Ok(relayed) => {
                let account = self.account();
                self.gateway
                    .returned(self.scope, account, self.request, relayed, self.events)
            }
            Err(outcome) => outcome,
        }
    }

    /// A modern server, until it asks no more.
    async fn rounds(&self, mut relayed: Relayed) -> Result<Relayed, Outcome> {
        let mut opened = Opened::new();
        let mut waits = 0;
        for _ in 0..ROUNDS {
            if relayed.completion != Completion::InputRequired {
                self.tell_completed(&opened).await;
                return Ok(relayed);
            }
            let round = Round::of(&relayed).ok_or_else(|| self.unanswered(UNREADABLE))?;
            if round
                .questions
                .iter()
                .all(|(_, question)| is_open(&opened, question))
            {
                if waits == WAITS {
                    return Err(self.unanswered("it still waits for what happens behind the link"));
                }
                tokio::time::sleep(pause(waits)).await;
                waits += 1;
            }
            let responses = self.responses(&round, &mut opened).await?;
            relayed = self
                .again(&round.repeated(self.request, &responses)?)
                .await?;
        }
        Err(self.unanswered("it asks without end"))
    }

    /// The answers of one round, in the order of the questions.
    async fn responses(&self, round: &Round, opened: &mut Opened) -> Result<Json, Outcome> {
        let mut edits = Vec::new();
        for together in round.questions.chunks(AT_ONCE) {
            let asking = together
                .iter()
                .map(|(_, question)| self.answer(question, opened));
            for ((key, question), answer) in together.iter().zip(join_all(asking).await) {
                let (answer, name) = answer?;
                if let (Some(url), Some(name)) = (question.url(), name)
                    && is_accepted(&answer)
                {
                    opened.insert(url, name);
                }
                edits.push(Edit::Set(key, answer));
            }
        }
        Ok(Object::empty().edited(&edits))
    }

    /// The answer to one question, and the name under which the client knows the link.
    async fn answer(
        &self,
        question: &Question,
        opened: &Opened,
    ) -> Result<(Json, Option<String>), Outcome> {
        if !question.suits(&self.request.client) {
            let what = question.kind.method();
            return Err(self.unanswered(&format!(
                "the client did not declare that it can answer this `{what}`"
            )));
        }
        let Some(url) = question.url() else {
            let answer = self.events.ask(question.clone()).await;
            return answer
                .result()
                .map(|answer| (answer, None))
                .map_err(|why| self.unanswered(&why));
        };
        if opened.contains_key(&url) {
            return Ok((Json::literal(r#"{"action":"accept"}"#), None));
        }
        let name = unique_name();
        let answer = self.events.ask(named(question, &name)).await;
        let answer = answer.result().map_err(|why| self.unanswered(&why))?;
        Ok((answer, Some(name)))
    }

    /// 2025-11-25, client/elicitation, "Completion Notifications for URL Mode Elicitation".
    async fn tell_completed(&self, opened: &Opened) {
        for name in opened.values() {
            let params = json!({"elicitationId": name});
            let told = Envelope::notification("notifications/elicitation/complete", &params);
            self.events.notify(told).await;
        }
    }

    /// A legacy server that wants links opened first, until it wants none.
    async fn links(&self, mut relayed: Relayed) -> Result<Relayed, Outcome> {
        for _ in 0..WAITS {
            if relayed.completion != Completion::Error(code::URL_ELICITATION_REQUIRED) {
                return Ok(relayed);
            }
            let links = links(&relayed);
            if links.is_empty() {
                return Err(self.unanswered(UNREADABLE));
            }
            for (url, message) in &links {
                let question =
                    Question::open(url, message).ok_or_else(|| self.unanswered(UNREADABLE))?;
                if !question.suits(&self.request.client) {
                    return Err(error::link(
                        self.request.method(),
                        self.account(),
                        url,
                        message,
                    ));
                }
                let answer = self.events.ask(question).await;
                if !answer.result().is_ok_and(|answer| is_accepted(&answer)) {
                    return Err(self.unanswered("the link was not opened"));
                }
            }
            relayed = self.again(self.request).await?;
        }
        Err(self.unanswered("it still waits for what happens behind the link"))
    }

    async fn again(&self, request: &Request) -> Result<Relayed, Outcome> {
        let upstream = &self.gateway.upstream;
        let forwarded = upstream.forward(self.permitted, request, self.identity, self.events);
        match forwarded.await {
            Ok(relayed) => Ok(relayed),
            Err(failure) => {
                let subject = self.permitted.get().subject();
                let failed = self
                    .gateway
                    .failed(self.scope, subject, self.request, &failure);
                Err(Box::pin(failed).await)
            }
        }
    }

    fn account(&self) -> &AccountId {
        self.permitted.get().account()
    }

    fn unanswered(&self, why: &str) -> Outcome {
        error::unanswered(self.request.method(), self.account(), why)
    }
}

const UNREADABLE: &str = "what it asks cannot be read";

impl Round {
    /// What an `input_required` asks. An entry that is no question makes all of it unreadable: the server would wait
    /// for its answer.
    fn of(relayed: &Relayed) -> Option<Self> {
        let Body::Whole(text) = &relayed.body else {
            return None;
        };
        let result = text.object()?.object("result")?;
        let said = |member: &str| result.get(member).filter(|value| !value.is_null());
        let state = match said("requestState") {
            None => None,
            Some(state) => Some(state.as_text()?.into_owned()),
        };
        let asked = match said("inputRequests") {
            None => Object::empty(),
            Some(asked) => asked.object()?,
        };
        let mut questions = Vec::new();
        for (key, request) in asked.iter().take(MOST_QUESTIONS + 1) {
            let request = request.object()?;
            let kind = QuestionKind::of_method(&request.text("method")?)?;
            let question = Question::new(kind, request.get("params").as_ref())?;
            questions.push((key.into_owned(), question));
        }
        (questions.len() <= MOST_QUESTIONS && (state.is_some() || !questions.is_empty()))
            .then_some(Self { questions, state })
    }

    /// The call with the answers, and with the state just as the server wrote it.
    fn repeated(&self, request: &Request, responses: &Json) -> Result<Request, Outcome> {
        let mut edits = Vec::new();
        if !self.questions.is_empty() {
            edits.push(Edit::Set("inputResponses", responses.clone()));
        }
        let state = self.state.as_deref().map(Json::string);
        edits.extend(state.map(|state| Edit::Set("requestState", state)));
        let text = request.message.with_params(request.params().edited(&edits));
        let message = Envelope::of(&text).map_err(|refused| Outcome::Error(refused.error))?;
        Ok(Request {
            message,
            ..request.clone()
        })
    }
}

/// `inputRequests` whose texts say who asks. What is no question stays as it is.
pub(super) fn spoken(asked: &Object, speaker: &str) -> Json {
    let named = asked.iter().filter_map(|(key, request)| {
        let request = request.object()?;
        let kind = QuestionKind::of_method(&request.text("method")?)?;
        let question = Question::new(kind, request.get("params").as_ref())?;
        let params = question.asked_by(Some(speaker)).message.params()?;
        let params = Edit::Set("params", params.json().clone());
        Some((key.into_owned(), request.edited(&[params])))
    });
    let named: Vec<(String, Json)> = named.take(MOST_QUESTIONS).collect();
    let edits: Vec<Edit<'_>> = named
        .iter()
        .map(|(key, request)| Edit::Set(key, request.clone()))
        .collect();
    asked.edited(&edits)
}

fn is_open(opened: &Opened, question: &Question) -> bool {
    question.url().is_some_and(|url| opened.contains_key(&url))
}

/// A name for a link that no other one has.
pub(super) fn unique_name() -> String {
    format!("janus-{:016x}", getrandom::u64().unwrap_or_default())
}

pub(super) fn is_accepted(answer: &Json) -> bool {
    let action = answer.object().and_then(|answer| answer.text("action"));
    action.as_deref() == Some("accept")
}

/// A link as the legacy era knows it: by a name.
pub(super) fn named(question: &Question, name: &str) -> Question {
    let params = question
        .params()
        .edited(&[Edit::Set("elicitationId", Json::string(name))]);
    Question::new(question.kind, Some(&params)).unwrap_or_else(|| question.clone())
}

fn pause(waits: u32) -> Duration {
    Duration::from_secs(1)
        .saturating_mul(1 << waits.min(16))
        .min(LONGEST_WAIT)
}

/// The links of a -32042, and why they shall be opened
/// (2025-11-25, client/elicitation, "URL Elicitation Required Error").
fn links(relayed: &Relayed) -> Vec<(String, String)> {
    let Body::Whole(text) = &relayed.body else {
        return Vec::new();
    };
    let asked = text.object().and_then(|message| {
        message
            .object("error")?
            .object("data")?
            .get("elicitations")?
            .elements()
    });
    let link = |asked: &Json| {
        let asked = asked.object()?;
        Some((
            asked.text("url")?,
            asked.text("message").unwrap_or_default(),
        ))
    };
    let links = asked.unwrap_or_default();
    links.iter().filter_map(link).take(AT_ONCE).collect()
}
