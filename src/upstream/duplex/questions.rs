//! What a server asks in mid-call.
//!
//! Invariants:
//! - A question reaches a client only if that client's calls are the only ones that wait, and only if it declared that
//!   it can be asked. Everything else is declined.
//! - Every request of the server is answered exactly once, unless the server takes it back.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;

use super::dispatch::Dispatcher;
use super::outbox::Outbox;
use super::pending::{Asked, Table};
use crate::protocol::{
    Answer, Envelope, Events, Json, Object, Question, QuestionKind, RpcError, code,
};

const NOBODY: &str = "no client waits for anything, so there is nobody to ask";
const UNCLEAR: &str =
    "several clients wait, and a question on this pipe does not say which of them it is for";
const TOO_MANY: &str = "the call this belongs to has too many open questions, or one with this id";
const OVER: &str = "the call this belongs to has ended";

impl Dispatcher {
    /// A request of the server.
    pub(super) async fn request(&self, message: &Envelope) {
        let Some(id) = message.id() else {
            return;
        };
        let method = message.method();
        if method == "ping" {
            return self.reply(Envelope::result_text(id, Object::empty().json()));
        }
        let Some(question) = Question::of(message.clone()) else {
            return self.decline(id, &format!("`{method}` is not served to servers"));
        };
        match self.table.whom_to_ask() {
            // Many servers ask for roots as soon as they are up.
            Asked::Nobody if question.kind == QuestionKind::Roots => {
                self.reply(Envelope::result_text(id, &Json::literal("{\"roots\":[]}")));
            }
            Asked::Nobody => self.decline(id, NOBODY),
            Asked::Unclear => self.decline(id, UNCLEAR),
            Asked::Client { client, .. } if !question.suits(&client) => self.decline(
                id,
                &format!("the client did not declare that it can answer this `{method}`"),
            ),
            Asked::Client {
                exchange, events, ..
            } => {
                self.ask(exchange, id.clone(), events, question).await;
            }
        }
    }

    async fn ask(&self, exchange: u64, id: Json, events: Events, question: Question) {
        let Some(withdrawn) = self.table.ask(exchange, id.as_str()) else {
            return self.decline(&id, TOO_MANY);
        };
        let mut answer: Answering = Box::pin(async move { events.ask(question).await });
        // The first poll puts the question in its place among the notifications; the answer may take minutes.
        let first = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
        let open = Open {
            exchange,
            id,
            table: Arc::clone(&self.table),
            outbox: self.outbox.clone(),
        };
        self.tasks.spawn(async move {
            match first {
                Poll::Ready(answer) => open.close(&answer).await,
                Poll::Pending => open.wait(answer, withdrawn).await,
            }
        });
    }

    fn decline(&self, id: &Json, why: &str) {
        self.reply(RpcError::new(code::METHOD_NOT_FOUND, why).text(Some(id)));
    }
}

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A question that a client has.
struct Open {
    exchange: u64,
    /// The server's own.
    id: Json,
    table: Arc<Table>,
    outbox: Outbox,
}

impl Open {
    async fn wait(self, answer: Answering, withdrawn: oneshot::Receiver<()>) {
        tokio::select! {
            biased;
            answer = answer => self.close(&answer).await,
            withdrawn = withdrawn => if withdrawn.is_err() {
                self.send(RpcError::new(code::INTERNAL_ERROR, OVER).text(Some(&self.id))).await;
            },
        }
    }

    async fn close(&self, answer: &Answer) {
        self.table.answered(self.exchange, self.id.as_str());
        self.send(answer.text(&self.id)).await;
    }

    async fn send(&self, line: Json) {
        // A child that is gone waits for no answer.
        if let Ok(room) = self.outbox.room().await {
            room.send(line);
        }
    }
}
