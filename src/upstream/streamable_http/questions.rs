//! What a legacy server asks, and what it is answered. The futures live inside the one that reads the server's stream:
//! whoever drops that, drops them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::Inner;
use tokio_util::sync::CancellationToken;

use crate::protocol::{Answer, Envelope, Events, Json, Question, RpcError, code};

/// A person answers one at a time; a server with more open at once is not waiting for a person.
const MOST_OPEN: usize = 8;
/// Replies that are on their way. A server that asks faster than it takes answers is not read meanwhile.
const MOST_REPLIES: usize = 32;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The open questions of one stream.
pub(super) struct Asked {
    leg: Arc<Inner>,
    questions: Vec<Open>,
    replies: Vec<Boxed<()>>,
}

struct Open {
    /// The server's.
    id: Json,
    answer: Boxed<Answer>,
}

impl Asked {
    pub(super) fn new(leg: &Arc<Inner>) -> Self {
        Self {
            leg: Arc::clone(leg),
            questions: Vec::new(),
            replies: Vec::new(),
        }
    }

    /// Takes a request of the server. `whom` gives the caller who can be asked such a question, if there is one.
    pub(super) fn take(
        &mut self,
        request: &Envelope,
        whom: impl FnOnce(&Question) -> Option<(Events, CancellationToken)>,
    ) {
        let Some(id) = request.id().cloned() else {
            return;
        };
        let method = request.method();
        if method == "ping" {
            return self.reply(Envelope::result_text(&id, &Json::literal("{}")));
        }
        let Some(question) = Question::of(request.clone()) else {
            return self.reply(refused(&id, method));
        };
        self.leg.asked.store(true, Ordering::Relaxed);
        if self.questions.len() >= MOST_OPEN {
            let error = RpcError::new(code::INTERNAL_ERROR, "too many questions are open");
            return self.reply(error.text(Some(&id)));
        }
        let Some((events, over)) = whom(&question) else {
            return self.reply(refused(&id, method));
        };
        let answer = Box::pin(async move {
            tokio::select! {
                answer = events.ask(question) => answer,
                () = over.cancelled() => Answer::Refused,
            }
        });
        self.questions.push(Open { id, answer });
        // Its place among the events is taken at the next poll, which comes before the next event is passed on.
    }

    /// The server no longer wants to know.
    pub(super) fn withdraw(&mut self, notice: &Envelope) {
        let id = notice.params().and_then(|params| params.get("requestId"));
        self.questions.retain(|open| Some(&open.id) != id.as_ref());
    }

    /// Sends a response.
    pub(super) fn reply(&mut self, text: Json) {
        let leg = Arc::clone(&self.leg);
        self.replies.push(Box::pin(async move {
            if let Err(error) = leg.deliver(text).await {
                tracing::debug!(%error, "an answer did not reach the server");
            }
        }));
    }

    /// Whether the server waits for us or for somebody in front of us: then it is not its silence.
    pub(super) fn waits(&self) -> bool {
        !self.questions.is_empty() || !self.replies.is_empty()
    }

    /// Whether to read no further for now.
    pub(super) fn is_full(&self) -> bool {
        self.replies.len() >= MOST_REPLIES
    }

    /// Carries the questions and the answers on.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        let mut at = 0;
        while let Some(open) = self.questions.get_mut(at) {
            match open.answer.as_mut().poll(cx) {
                Poll::Pending => at += 1,
                Poll::Ready(answer) => {
                    let id = self.questions.remove(at).id;
                    self.reply(answer.text(&id));
                }
            }
        }
        self.replies
            .retain_mut(|reply| reply.as_mut().poll(cx).is_pending());
    }

    /// The stream is over: what is on its way still goes out, open questions are moot.
    pub(super) fn finish(self) {
        if !self.replies.is_empty() {
            let tasks = self.leg.tasks.clone();
            tasks.spawn(futures_util::future::join_all(self.replies));
        }
    }
}

fn refused(id: &Json, method: &str) -> Json {
    let why = format!("the client does not serve `{method}`");
    RpcError::new(code::METHOD_NOT_FOUND, why).text(Some(id))
}
