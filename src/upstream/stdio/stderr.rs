//! What a child says on its standard error: logged, never interpreted.
//!
//! Invariants:
//! - It is always read, whatever the log does with it, so that the child is never held up.
//! - Lines are cut, floods are damped, and the values that the configuration gave the child do not show.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::model::{AccountId, Secret};
use crate::telemetry::{SHORTEST, redact_cut};

/// Longer lines are dumps; their beginning says what they are.
const LONGEST_LINE: usize = 8 * 1024;
/// More lines than a person reads; a server that logs each call stays below.
const LINES_PER_SECOND: u32 = 100;
const SECOND: Duration = Duration::from_secs(1);
/// A stack trace's last lines hold its message.
const LAST_LINES: usize = 5;
/// In a message to people, a line is at most this many characters.
const LAST_LINE_LENGTH: usize = 240;

/// The last lines a child wrote, for the message about its end.
#[derive(Debug, Default)]
pub(super) struct LastWords(Mutex<VecDeque<String>>);

impl LastWords {
    fn add(&self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line.chars().take(LAST_LINE_LENGTH).collect());
    }

    /// `; it last wrote: …`, or nothing.
    pub(super) fn told(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            return String::new();
        }
        let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
        format!("; it last wrote: {}", lines.join(" | "))
    }
}

/// Reads to the end of the stream, or until `leaving`; then gives it back.
pub(super) async fn follow<R: AsyncRead + Unpin>(
    mut stderr: R,
    account: AccountId,
    secrets: Vec<Arc<Secret>>,
    last_words: Arc<LastWords>,
    leaving: CancellationToken,
) -> R {
    let mut speaker = Speaker {
        account,
        secrets,
        last_words,
        flood: Flood::default(),
    };
    let mut chunk = vec![0; LONGEST_LINE];
    let mut line = Vec::new();
    loop {
        let report_at = speaker.flood.report_at();
        let reading = leaving.run_until_cancelled(stderr.read(&mut chunk));
        let read = match report_at {
            None => reading.await,
            Some(at) => {
                let Ok(read) = timeout_at(at, reading).await else {
                    speaker.tell_dropped();
                    continue;
                };
                read
            }
        };
        // A pipe that cannot be read has ended as well.
        let Some(text) = read
            .and_then(Result::ok)
            .and_then(|read| chunk.get(..read))
            .filter(|text| !text.is_empty())
        else {
            break;
        };
        for piece in text.split_inclusive(|&byte| byte == b'\n') {
            let (piece, ended) = match piece.split_last() {
                Some((b'\n', piece)) => (piece, true),
                _ => (piece, false),
            };
            let room = LONGEST_LINE - line.len();
            line.extend_from_slice(piece.get(..room).unwrap_or(piece));
            if ended {
                speaker.say(&line);
                line.clear();
            }
        }
    }
    if !line.is_empty() {
        speaker.say(&line);
    }
    speaker.tell_dropped();
    stderr
}

struct Speaker {
    account: AccountId,
    secrets: Vec<Arc<Secret>>,
    last_words: Arc<LastWords>,
    flood: Flood,
}

impl Speaker {
    fn say(&mut self, line: &[u8]) {
        let line = readable(line, &self.secrets);
        self.last_words.add(&line);
        if self.flood.may_pass(Instant::now()) {
            if self.flood.dropped_before > 0 {
                self.tell_dropped();
            }
            tracing::info!(target: "janus::server", account = %self.account, "{line}");
        }
    }

    fn tell_dropped(&mut self) {
        let dropped = self.flood.take_dropped();
        if dropped > 0 {
            tracing::info!(target: "janus::server", account = %self.account, "{dropped} lines were left out: the server writes more than {LINES_PER_SECOND} lines a second");
        }
    }
}

/// How many lines passed in this second, and how many did not.
#[derive(Debug, Default)]
struct Flood {
    since: Option<Instant>,
    passed: u32,
    dropped: u64,
    /// Of an earlier second, not yet told.
    dropped_before: u64,
}

impl Flood {
    fn may_pass(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now >= since + SECOND) {
            self.since = Some(now);
            self.passed = 0;
            self.dropped_before += std::mem::take(&mut self.dropped);
        }
        if self.passed == LINES_PER_SECOND {
            self.dropped += 1;
            return false;
        }
        self.passed += 1;
        true
    }

    /// When to tell of dropped lines, though no further line comes.
    fn report_at(&self) -> Option<Instant> {
        self.since
            .filter(|_| self.dropped > 0)
            .map(|since| since + SECOND)
    }

    fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped) + std::mem::take(&mut self.dropped_before)
    }
}

/// The line as text that may be shown: no secrets, no control sequences.
fn readable(line: &[u8], secrets: &[Arc<Secret>]) -> String {
    let shown = plain(&String::from_utf8_lossy(line));
    // After that: a control character within a secret hides it from nobody else. A line may be cut at its length, or
    // by the end of its writer.
    let mut text = redact_cut(&shown).into_owned();
    for secret in secrets {
        if secret.expose().len() >= SHORTEST {
            text = text.replace(secret.expose(), "****");
        }
    }
    text
}

/// The text without control sequences.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.trim_end().chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // The colours of a terminal: ESC [ parameters letter.
            '\u{1b}' => {
                if characters.next_if_eq(&'[').is_some() {
                    while characters.next_if(|c| !c.is_ascii_alphabetic()).is_some() {}
                    characters.next();
                }
            }
            '\t' => shown.push(' '),
            _ if character.is_control() => {}
            _ => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServerName;

    #[test]
    fn a_flood_is_damped_and_told() {
        let mut flood = Flood::default();
        let start = Instant::now();
        let passed = (0..1000).filter(|_| flood.may_pass(start)).count();
        assert_eq!((passed, flood.report_at()), (100, Some(start + SECOND)));
        assert!(flood.may_pass(start + SECOND));
        assert_eq!(flood.dropped_before, 900);
        assert_eq!((flood.take_dropped(), flood.take_dropped()), (900, 0));
    }

    #[test]
    fn what_is_shown_holds_no_secrets_and_no_control_sequences() {
        let secrets = [Secret::new("canary-token"), Secret::new("1")].map(Arc::new);
        assert_eq!(
            readable(
                b"\x1b[31;1merror\x1b[0m 1:\tcanary-token\x07 \xff\r",
                &secrets
            ),
            "error 1: **** \u{fffd}"
        );
    }

    #[tokio::test]
    async fn the_last_words_are_few_and_short() {
        let mut text = (0..100).fold(String::new(), |text, n| format!("{text}line {n}\n"));
        text.push_str(&"x".repeat(5 * LONGEST_LINE));
        text.push_str("\n\nthe end");
        let last_words = Arc::new(LastWords::default());
        let account = AccountId::default_of(&ServerName::new("s").unwrap());
        follow(
            text.as_bytes(),
            account,
            Vec::new(),
            Arc::clone(&last_words),
            CancellationToken::new(),
        )
        .await;
        assert_eq!(
            last_words.told(),
            format!(
                "; it last wrote: line 97 | line 98 | line 99 | {} | the end",
                "x".repeat(LAST_LINE_LENGTH)
            )
        );
    }
}
