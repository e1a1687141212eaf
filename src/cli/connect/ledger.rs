//! Who waits for what: the client's lines that are not sent yet, its requests that are not answered yet. No I/O.
//!
//! Invariants:
//! - A request leaves the ledger with exactly one answer: the daemon's, or an error that says what is known.
//! - What may have run is not sent again, unless its method changes nothing.
//! - What was chosen in a session that is gone is not replaced by a default without a word: the first call after it is
//!   refused.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;

use super::entry::{
    Entry, What, acts_as, changes_nothing, outcome_unknown, session_lost, too_much,
};
use super::session::{Session, line};
use crate::protocol::{Envelope, Json, Kind, LONGEST_MESSAGE, RpcError, meta};

/// Lines that wait for the daemon. A client that says more while it is away is not read.
const WAITING: usize = 1024;
/// Their bytes: two of the longest messages.
const WAITING_BYTES: usize = 2 * LONGEST_MESSAGE;
/// Requests without an answer. No client has as many; one that has is not read until some are answered.
const IN_FLIGHT: usize = 4096;
/// The lines of requests in flight are kept, to be sent again where that is safe; not beyond this.
const KEPT_BYTES: usize = 2 * LONGEST_MESSAGE;
/// Questions to the client that are open at once; the oldest of more are those whose call has ended.
const QUESTIONS: usize = 256;

/// What is on its way.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    waiting: VecDeque<Entry>,
    waiting_bytes: usize,
    in_flight: VecDeque<Entry>,
    kept_bytes: usize,
    /// What the daemon asked the client.
    questions: Vec<Json>,
    session: Session,
    /// The session is gone, and no call was told so yet.
    lost: bool,
}

impl Ledger {
    /// Whether the client may go on.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING
            && self.waiting_bytes < WAITING_BYTES
            && self.in_flight.len() < IN_FLIGHT
    }

    /// Whether something waits to be sent, and since when.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.waiting.front().map(|entry| entry.since)
    }

    /// Whether the client has a session that a new connection must belong to.
    pub(super) fn has_session(&self) -> bool {
        self.session.exists()
    }

    /// A line of the client. Returns what it is told at once.
    pub(super) fn said(&mut self, line: Bytes, now: Instant) -> Vec<Bytes> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Vec::new();
        }
        let elements = self.elements(&line);
        if elements.is_empty() {
            self.one(line, now);
        }
        for element in elements {
            self.one(element, now);
        }
        self.refuse_lost()
    }

    /// The daemon does not know the session any more: another one begins. Returns what the client is told.
    pub(super) fn lost(&mut self) -> Vec<Bytes> {
        self.lost = self.session.exists();
        self.refuse_lost()
    }

    /// Answers the calls that wait, if a session was lost: they may have meant what was chosen in it.
    fn refuse_lost(&mut self) -> Vec<Bytes> {
        let acts = |entry: &Entry| matches!(&entry.what, What::Request { method, own: false, .. } if acts_as(method));
        if !self.lost || !self.waiting.iter().any(acts) {
            return Vec::new();
        }
        self.lost = false;
        let (error, waiting) = (session_lost(), std::mem::take(&mut self.waiting));
        let (refused, waiting): (VecDeque<Entry>, _) = waiting.into_iter().partition(acts);
        self.waiting = waiting;
        self.waiting_bytes = self.waiting.iter().map(|entry| entry.line.len()).sum();
        let told = refused.iter().filter_map(|entry| entry.refused(&error));
        told.collect()
    }

    fn one(&mut self, line: Bytes, now: Instant) {
        match Envelope::parse(line.clone()) {
            Ok(message) => self.message(line, &message, now),
            // The daemon says what is wrong with it.
            Err(refused) => {
                let what = refused.id.map_or(What::Other, |id| What::request(id, ""));
                let since = now;
                self.wait(Entry { line, what, since });
            }
        }
    }

    fn message(&mut self, line: Bytes, message: &Envelope, now: Instant) {
        let id = message.id().cloned();
        let what = match (message.kind(), id) {
            (Kind::Request, Some(id)) => What::request(id, message.method()),
            (Kind::Result | Kind::Error, Some(id)) => {
                let Some(open) = self.questions.iter().position(|question| *question == id) else {
                    // Whoever asked is gone.
                    return;
                };
                self.questions.remove(open);
                What::Other
            }
            (Kind::Notification, _) if message.method() == "notifications/cancelled" => {
                let named = message.params().and_then(|params| params.get("requestId"));
                if named.is_some_and(|id| self.cancelled(&id)) {
                    return;
                }
                What::Other
            }
            (Kind::Notification, _) if message.method() == "notifications/initialized" => {
                What::Initialized
            }
            _ => What::Other,
        };
        self.wait(Entry {
            line,
            what,
            since: now,
        });
    }

    /// The messages of an array, each as a line, where the session's revision has arrays.
    fn elements(&self, text: &Bytes) -> Vec<Bytes> {
        let is_array = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        if !is_array || !self.session.takes_arrays() {
            return Vec::new();
        }
        let array = Json::parse(text.clone()).ok();
        let elements = array.and_then(|array| array.elements()).unwrap_or_default();
        elements.iter().map(line).collect()
    }

    fn wait(&mut self, entry: Entry) {
        self.waiting_bytes += entry.line.len();
        self.waiting.push_back(entry);
    }

    /// The client cancelled a request: nobody waits for an answer. Returns whether it was not even sent.
    fn cancelled(&mut self, id: &Json) -> bool {
        if let Some(at) = self.waiting.iter().position(|entry| entry.asks(id)) {
            if let Some(entry) = self.waiting.remove(at) {
                self.waiting_bytes -= entry.line.len();
            }
            return true;
        }
        self.answered(id);
        false
    }

    fn answered(&mut self, id: &Json) -> Option<Entry> {
        let at = self.in_flight.iter().position(|entry| entry.is(id))?;
        let entry = self.in_flight.remove(at)?;
        self.kept_bytes -= entry.line.len();
        Some(entry)
    }

    /// The next line to send.
    pub(super) fn next(&mut self) -> Option<Entry> {
        let entry = self.waiting.pop_front()?;
        self.waiting_bytes -= entry.line.len();
        Some(entry)
    }

    /// Nothing of this line could be sent.
    pub(super) fn unsent(&mut self, entry: Entry) {
        self.waiting_bytes += entry.line.len();
        self.waiting.push_front(entry);
    }

    /// This line was begun to be sent: from now on it may have arrived.
    pub(super) fn sent(&mut self, mut entry: Entry) {
        match &entry.what {
            What::Request { .. } => {
                if self.kept_bytes + entry.line.len() > KEPT_BYTES {
                    entry.line = Bytes::new();
                }
                self.kept_bytes += entry.line.len();
                self.in_flight.push_back(entry);
            }
            What::Initialized => self.session.initialized(&entry.line),
            What::Other => {}
        }
    }

    /// A line of the daemon. Returns whether the client gets it.
    pub(super) fn heard(&mut self, line: &Bytes) -> bool {
        let Ok(message) = Envelope::parse(line.clone()) else {
            // What is odd is the client's to judge, what was cut off is not.
            return Json::parse(line.clone()).is_ok();
        };
        let Some(id) = message.id() else {
            return !self.is_told_again(&message);
        };
        match message.kind() {
            Kind::Request => {
                if self.questions.len() >= QUESTIONS {
                    self.questions.remove(0);
                }
                self.questions.push(id.clone());
                true
            }
            Kind::Notification => true,
            Kind::Result | Kind::Error if id.is_null() => true,
            Kind::Result | Kind::Error => {
                let Some(entry) = self.answered(id) else {
                    return false;
                };
                let What::Request { own, method, .. } = &entry.what else {
                    return false;
                };
                if *own {
                    return false;
                }
                self.session.answered(&entry.line, method, &message);
                true
            }
        }
    }

    /// Whether this acknowledges a subscription that was acknowledged on the connection before.
    fn is_told_again(&self, message: &Envelope) -> bool {
        if message.method() != "notifications/subscriptions/acknowledged" {
            return false;
        }
        let said = message.params().and_then(|params| params.object("_meta"));
        let id = said.and_then(|said| said.get(meta::SUBSCRIPTION_ID));
        let mut again = self
            .in_flight
            .iter()
            .filter(|entry| matches!(entry.what, What::Request { again: true, .. }));
        id.is_some_and(|id| again.any(|entry| entry.asks(&id)))
    }

    /// There is a new connection, which belongs to the client's session or not: what makes the session comes first.
    pub(super) fn opened(&mut self, resumed: bool, now: Instant) {
        for (line, id) in self.session.again(resumed).into_iter().rev() {
            let what = id.map_or(What::Other, |id| What::Request {
                id,
                method: "".into(),
                own: true,
                again: false,
            });
            self.unsent(Entry {
                line,
                what,
                since: now,
            });
        }
    }

    /// The connection is gone. What was sent and not answered is sent again, if `begun` says that the daemon had begun
    /// nothing of it or if that changes nothing; all else is answered here. Returns what the client is told.
    pub(super) fn broken(&mut self, begun: bool, now: Instant) -> Vec<Bytes> {
        let mut answers = Vec::new();
        self.waiting.retain(|entry| !entry.is_own());
        self.kept_bytes = 0;
        for mut entry in std::mem::take(&mut self.in_flight).into_iter().rev() {
            let What::Request {
                id,
                method,
                own,
                again,
            } = &mut entry.what
            else {
                continue;
            };
            if *own {
                continue;
            }
            if !entry.line.is_empty() && (!begun || changes_nothing(method)) {
                *again = true;
                entry.since = now;
                self.waiting.push_front(entry);
            } else {
                answers.push(line(
                    &if begun { outcome_unknown() } else { too_much() }.text(Some(id)),
                ));
            }
        }
        self.waiting_bytes = self.waiting.iter().map(|entry| entry.line.len()).sum();
        let mut told = self.withdraw();
        told.extend(answers.into_iter().rev());
        told
    }

    /// The client is told that what it was asked needs no answer any more.
    fn withdraw(&mut self) -> Vec<Bytes> {
        let cancelled = |id: Json| {
            let id: serde_json::Value = id.read().unwrap_or_default();
            let params = json!({"requestId": id, "reason": "the connection to Janus is gone"});
            line(Envelope::notification("notifications/cancelled", &params).json())
        };
        std::mem::take(&mut self.questions)
            .into_iter()
            .map(cancelled)
            .collect()
    }

    /// Gives up the lines that began to wait before this; returns what the client is told of the requests among them.
    pub(super) fn give_up(&mut self, before: Instant, error: &RpcError) -> Vec<Bytes> {
        let mut told = Vec::new();
        while self
            .waiting
            .front()
            .is_some_and(|entry| entry.since <= before)
        {
            let entry = self.next();
            told.extend(entry.and_then(|entry| entry.refused(error)));
        }
        told
    }

    /// The client leaves, and so does the daemon: what is still in flight is answered. Streams have no other end.
    pub(super) fn leave(&mut self) -> Vec<Bytes> {
        self.kept_bytes = 0;
        let in_flight = std::mem::take(&mut self.in_flight);
        let unknown = outcome_unknown();
        in_flight
            .iter()
            .filter(|entry| !entry.listens())
            .filter_map(|entry| entry.refused(&unknown))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: u32, method: &str) -> Bytes {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\"}}\n").into()
    }

    #[test]
    fn the_first_call_after_a_lost_session_is_refused_and_no_list() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        assert!(ledger.lost().is_empty(), "there was none");
        ledger.said(request(1, "initialize"), now);
        let entry = ledger.next().unwrap();
        ledger.sent(entry);
        assert!(ledger.heard(&result("1", r#"{"protocolVersion":"2025-11-25"}"#)));
        assert!(ledger.lost().is_empty());
        assert!(ledger.said(request(2, "tools/list"), now).is_empty());
        let told = ledger.said(request(3, "tools/call"), now);
        let told = String::from_utf8(told.concat()).unwrap();
        assert!(
            told.contains("session_unknown") && told.contains("\"id\":3"),
            "{told}"
        );
        assert!(ledger.said(request(4, "tools/call"), now).is_empty());
        let sent: Vec<Entry> = std::iter::from_fn(|| ledger.next()).collect();
        assert_eq!(sent.len(), 2, "{sent:?}");
    }

    fn result(id: &str, result: &str) -> Bytes {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n").into()
    }

    fn send_all(ledger: &mut Ledger) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(entry) = ledger.next() {
            sent.push(String::from_utf8(entry.line.to_vec()).unwrap());
            ledger.sent(entry);
        }
        sent
    }

    /// The id and `data.code` of each error.
    fn codes(told: &[Bytes]) -> Vec<(String, String)> {
        let read = |line: &Bytes| {
            let message = Envelope::parse(line.clone()).unwrap();
            let data = message.error().unwrap().object("data").unwrap();
            let id = message.id().unwrap().as_str().to_owned();
            (id, data.text("code").unwrap())
        };
        told.iter().map(read).collect()
    }

    #[test]
    fn what_changes_nothing_is_sent_again_in_order_and_the_rest_is_unknown() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        for (id, method) in [
            (1, "tools/list"),
            (2, "tools/call"),
            (3, "ping"),
            (4, "tools/call"),
        ] {
            ledger.said(request(id, method), now);
        }
        send_all(&mut ledger);
        assert!(ledger.heard(&result("4", "{}")));
        // It has not been sent.
        ledger.said(request(5, "tools/call"), now);
        let told = ledger.broken(true, now);
        assert_eq!(
            codes(&told),
            [("2".to_owned(), "outcome_unknown".to_owned())]
        );
        ledger.opened(false, now);
        let again = [
            request(1, "tools/list"),
            request(3, "ping"),
            request(5, "tools/call"),
        ];
        assert_eq!(send_all(&mut ledger), again);
        // Late, and twice.
        assert!(!ledger.heard(&result("2", "{}")));
        assert!(ledger.heard(&result("3", "{}")));
        assert!(!ledger.heard(&result("3", "{}")));
    }

    #[test]
    fn what_the_daemon_had_not_begun_is_sent_again_whatever_it_is() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.said(request(1, "tools/call"), now);
        let sent = send_all(&mut ledger);
        assert!(ledger.broken(false, now).is_empty());
        assert_eq!(send_all(&mut ledger), sent);
    }

    #[test]
    fn a_session_that_is_lost_is_opened_again_without_the_client() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.said(request(1, "initialize"), now);
        ledger.said(
            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n".into(),
            now,
        );
        let first = send_all(&mut ledger);
        assert!(!ledger.has_session());
        assert!(ledger.heard(&result("1", "{\"protocolVersion\":\"2025-11-25\"}")));
        assert!(ledger.has_session());
        ledger.said(request(2, "tools/call"), now);
        for expected in ["\"janus-connect-1\"", "\"janus-connect-2\""] {
            assert!(ledger.broken(true, now).is_empty());
            ledger.opened(false, now);
            let again = send_all(&mut ledger);
            assert_eq!(again[0], first[0].replace(":1,", &format!(":{expected},")));
            assert_eq!(again[1], first[1]);
            assert!(!ledger.heard(&result(expected, "{}")));
            if let Some(call) = again.get(2) {
                assert_eq!(*call, request(2, "tools/call"));
                assert!(ledger.heard(&result("2", "{}")));
            }
        }
        assert!(ledger.broken(true, now).is_empty());
        ledger.opened(true, now);
        assert!(send_all(&mut ledger).is_empty());
    }

    #[test]
    fn whoever_waits_too_long_is_told_and_a_cancelled_request_is_not() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        for id in [1, 2] {
            ledger.said(request(id, "tools/call"), now);
        }
        let cancel = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}\n";
        ledger.said(cancel.into(), now);
        let later = now + std::time::Duration::from_secs(1);
        ledger.said(request(3, "ping"), later);
        let told = ledger.give_up(now, &too_much());
        assert_eq!(codes(&told), [("2".to_owned(), "unavailable".to_owned())]);
        assert_eq!(ledger.waiting_since(), Some(later));
    }

    #[test]
    fn a_client_that_says_more_than_can_be_held_is_not_read() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        let mut count = 0;
        while ledger.has_room() {
            ledger.said(request(count, "tools/call"), now);
            count += 1;
        }
        assert_eq!(count, 1024);
        send_all(&mut ledger);
        assert!(ledger.has_room());
    }

    #[test]
    fn what_was_cut_off_never_reaches_the_client() {
        let mut ledger = Ledger::default();
        for (line, passes) in [
            (
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n",
                true,
            ),
            (
                "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"m\"}}\n",
                true,
            ),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n", false),
            ("{\"jsonrpc\":\"2.0\",\"method\":\"notifica\n", false),
            ("\n", false),
            ("", false),
        ] {
            assert_eq!(ledger.heard(&line.into()), passes, "{line}");
        }
    }
}
