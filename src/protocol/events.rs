//! What is said while an exchange goes on: notifications and questions, from whoever handles it to its edge.
//!
//! Invariants:
//! - Events leave in the order they entered, the outcome comes last, nothing comes after it.
//! - The queue is bounded: when it is full, progress is coalesced and log messages are dropped and counted;
//!   questions and outcomes never are.
//! - Every question ends: by its answer, by its time, or with whoever asked.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::model::QUESTION_TIMEOUT;

use super::question::{Answer, Asker, Question};
use super::{Envelope, Era};

/// What a handler may emit while it works.
#[derive(Debug)]
pub enum Event {
    /// Progress, a log message, a subscribed change: forwarded in order.
    Notify(Envelope),
    /// A server of this era answers with a stream, of which nothing is there yet: the client gets one too, and a
    /// legacy one learns how to resume it before anything else (SEP-1699).
    Opened(Era),
    /// A server, or Janus itself, asks in mid-call. Dropping the asker means that nobody can answer.
    Ask(Question, Asker),
    /// The question with this number is answered too late from now on: its time is over, or its server took it back.
    Withdrawn(u64),
}

/// Enough for the bursts of real servers (200 progress notifications), little enough for a thousand slow clients.
const QUEUE: usize = 256;
/// Where even what is neither progress nor log is dropped.
const HARD_LIMIT: usize = 4 * QUEUE;

#[derive(Default)]
struct Shared {
    queue: Mutex<VecDeque<Event>>,
    consumer: AtomicWaker,
    space: Notify,
    dropped: AtomicU64,
    questions: AtomicU64,
    /// Who asks, as the text of a question names it; `None` where there is only one who could.
    speaker: Mutex<Option<Arc<str>>>,
    /// How long a question may stay open.
    patience: Duration,
}

impl Shared {
    fn speaker(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.speaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handler's end of an exchange's events.
#[derive(Clone)]
pub struct Events {
    shared: Arc<Shared>,
}

/// The edge's end of an exchange's events.
pub struct EventQueue(Arc<Shared>);

impl Events {
    /// A queue and its two ends.
    pub fn channel() -> (Self, EventQueue) {
        Self::channel_with(QUESTION_TIMEOUT)
    }

    /// The same, whose questions end without an answer after `patience`.
    pub fn channel_with(patience: Duration) -> (Self, EventQueue) {
        let shared = Arc::new(Shared {
            patience,
            ..Shared::default()
        });
        let events = Self {
            shared: Arc::clone(&shared),
        };
        (events, EventQueue(shared))
    }

    /// From now on questions are in the name of this account, and say so.
    pub fn speak_for(&self, speaker: Option<Arc<str>>) {
        *self.shared.speaker() = speaker;
    }

    /// Who asks, as far as that must be said.
    pub fn speaker(&self) -> Option<Arc<str>> {
        self.shared.speaker().clone()
    }

    /// Puts a notification in, waiting for room: for a source that can wait with us.
    pub async fn notify(&self, message: Envelope) {
        let mut message = Some(message);
        loop {
            // Registered before the look, so that room made in between is not missed.
            let room = self.shared.space.notified();
            if self.shared.queue().len() < QUEUE {
                break;
            }
            room.await;
        }
        if let Some(message) = message.take() {
            self.push(Event::Notify(message));
        }
    }

    /// Puts a notification in without waiting: for a source that others share. Returns whether the queue is
    /// filling, so that the source can let its readers run.
    pub fn offer(&self, message: Envelope) -> bool {
        let mut queue = self.shared.queue();
        if queue.len() >= QUEUE && !make_room(&mut queue, &message) {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let filling = queue.len() >= QUEUE / 2;
        queue.push_back(Event::Notify(message));
        drop(queue);
        self.shared.consumer.wake();
        filling
    }

    /// Asks the client. [`Answer::Refused`] where nobody can be asked, [`Answer::Expired`] where nobody answers in
    /// time. Whoever shows the question is told when nobody waits for its answer any more.
    pub async fn ask(&self, question: Question) -> Answer {
        let question = question.asked_by(self.speaker().as_deref());
        let kind = question.kind;
        let number = self.shared.questions.fetch_add(1, Ordering::Relaxed);
        let (asker, answer) = Asker::new(number);
        self.push(Event::Ask(question, asker));
        let mut open = Open {
            events: self,
            number,
            answered: false,
        };
        let answer = timeout(self.shared.patience, answer).await;
        open.answered = answer.is_ok();
        match answer {
            Ok(answer) => answer.unwrap_or(Answer::Refused),
            Err(_) => Answer::Expired(kind),
        }
    }

    /// The answer of a server of this era is a stream.
    pub fn opened(&self, era: Era) {
        self.push(Event::Opened(era));
    }

    /// How many notifications found no room.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    fn push(&self, event: Event) {
        self.shared.queue().push_back(event);
        self.shared.consumer.wake();
    }
}

/// A question that waits for its answer.
struct Open<'a> {
    events: &'a Events,
    number: u64,
    answered: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let mut queue = self.events.shared.queue();
        let unseen = queue.iter().position(
            |event| matches!(event, Event::Ask(_, asker) if asker.number() == self.number),
        );
        // One that nobody has seen leaves no trace, so that a server that asks in vain fills no queue.
        match unseen {
            Some(at) => drop(queue.remove(at)),
            None => queue.push_back(Event::Withdrawn(self.number)),
        }
        drop(queue);
        self.events.shared.consumer.wake();
    }
}

/// Whether `message` may enter a full queue: newer progress replaces older, anything but a log message still fits
/// below the hard limit.
fn make_room(queue: &mut VecDeque<Event>, message: &Envelope) -> bool {
    match message.method() {
        "notifications/message" => false,
        "notifications/progress" => {
            let older = queue.iter().rposition(|event| matches!(event, Event::Notify(old) if old.method() == "notifications/progress"));
            if let Some(at) = older {
                queue.remove(at);
            }
            older.is_some()
        }
        _ => queue.len() < HARD_LIMIT,
    }
}

impl EventQueue {
    /// The next event. Pending while there is none: whether the exchange has ended, its outcome says.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(event) = self.try_next() {
            return Poll::Ready(event);
        }
        self.0.consumer.register(cx.waker());
        self.try_next().map_or(Poll::Pending, Poll::Ready)
    }

    /// The next event, if one is there.
    pub fn try_next(&self) -> Option<Event> {
        let event = self.0.queue().pop_front();
        if event.is_some() {
            self.0.space.notify_waiters();
        }
        event
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Events({} waiting)", self.shared.queue().len())
    }
}

impl fmt::Debug for EventQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventQueue({} waiting)", self.0.queue().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Json, QuestionKind};

    fn note(method: &str, n: usize) -> Envelope {
        Envelope::notification(method, &serde_json::json!({"n": n}))
    }

    #[test]
    fn a_full_queue_keeps_the_newest_progress_and_drops_log_messages() {
        let (events, queue) = Events::channel();
        for n in 0..QUEUE {
            events.offer(note("notifications/progress", n));
        }
        events.offer(note("notifications/progress", 999));
        events.offer(note("notifications/message", 1));
        events.offer(note("notifications/resources/updated", 2));
        let mut seen = Vec::new();
        while let Some(Event::Notify(message)) = queue.try_next() {
            seen.push((
                message.method().to_owned(),
                message.params().and_then(|p| p.get("n")?.read::<usize>()),
            ));
        }
        assert_eq!(seen.len(), QUEUE + 1);
        assert_eq!(
            seen[QUEUE - 1],
            ("notifications/progress".to_owned(), Some(999))
        );
        assert_eq!(seen[QUEUE].0, "notifications/resources/updated");
        assert_eq!(events.dropped(), 1);
    }

    #[tokio::test]
    async fn a_question_nobody_takes_is_refused() {
        let (events, queue) = Events::channel();
        let asked = tokio::join!(events.ask(question()), async {
            drop(std::future::poll_fn(|cx| queue.poll_next(cx)).await);
        });
        assert!(matches!(asked.0, Answer::Refused));
    }

    fn question() -> Question {
        let text =
            r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"m"}}"#;
        Question::of(Envelope::parse(text.into()).unwrap()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_nobody_answers_ends_and_is_taken_back() {
        let (events, queue) = Events::channel();
        let began = tokio::time::Instant::now();
        let (answer, asker) = tokio::join!(events.ask(question()), async {
            match std::future::poll_fn(|cx| queue.poll_next(cx)).await {
                Event::Ask(_, asker) => asker,
                other => panic!("{other:?}"),
            }
        });
        assert!(matches!(answer, Answer::Expired(QuestionKind::Elicit)));
        assert_eq!(began.elapsed(), QUESTION_TIMEOUT);
        let Some(Event::Withdrawn(number)) = queue.try_next() else {
            panic!("taken back");
        };
        assert!(asker.number() == number && asker.is_gone());
        // One that nobody saw is simply gone.
        drop(events.ask(question()).await);
        assert!(queue.try_next().is_none());
    }

    #[tokio::test]
    async fn a_question_in_the_name_of_an_account_says_so() {
        let (events, queue) = Events::channel();
        events.speak_for(Some("a/b".into()));
        let answered = async {
            let Event::Ask(question, asker) = std::future::poll_fn(|cx| queue.poll_next(cx)).await
            else {
                panic!("a question");
            };
            let params = question.message.params().unwrap();
            assert_eq!(params.text("message").as_deref(), Some("[a/b] m"));
            asker.answer(Answer::Result(Json::literal(r#"{"action":"accept"}"#)));
        };
        let (answer, ()) = tokio::join!(events.ask(question()), answered);
        let text = answer.text(&Json::of(&7));
        assert_eq!(
            text.as_str(),
            r#"{"jsonrpc":"2.0","id":7,"result":{"action":"accept"}}"#
        );
        assert!(queue.try_next().is_none());
    }
}
