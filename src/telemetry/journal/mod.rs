//! The journal of systemd: each record with its fields, so that `journalctl --user JANUS_ACCOUNT=github/work` finds it,
//! and with the id of what happened, so that `journalctl -x` explains it.
//!
//! A record has the fields of an entry and no others; what else an event carries is in its text, where people read it.
//! `sender` is the thread that talks to journald, whose socket blocks.
//!
//! Invariants:
//! - What reaches journald was redacted.
//! - Nobody waits for journald: what is too much for it is left out, counted and said. The end waits for it a moment.

mod sender;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::entry::Entry;

/// So many records wait for journald: more than it takes of a service in its interval of 30 s.
const WAITING: usize = 16 * 1024;
/// The last words arrive within moments, or journald hangs and takes none.
const LAST_WORDS: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(10);

/// Whether this process logs there.
static IN_USE: AtomicBool = AtomicBool::new(false);

/// Sends what is logged to journald.
#[derive(Debug)]
pub struct Journal {
    entries: SyncSender<Option<Entry>>,
    left_out: Arc<AtomicU64>,
}

/// Ends the sender; dropped last, so that the last words arrive.
#[derive(Debug)]
pub struct Flushed {
    stop: SyncSender<Option<Entry>>,
    /// Ends with the sender.
    ended: Receiver<()>,
}

impl Journal {
    /// Connects to journald, for what is at least so bad.
    ///
    /// # Errors
    /// It is not there.
    pub fn connect(level: LevelFilter) -> io::Result<(Self, Flushed)> {
        let journald = tracing_journald::layer()?
            .with_field_prefix(None)
            .with_syslog_identifier("janus".to_owned());
        let (entries, received) = sync_channel(WAITING);
        let left_out = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&left_out);
        let (ends, ended) = sync_channel(0);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                let _ends: SyncSender<()> = ends;
                sender::run(journald, level, &received, &counted);
            })?;
        IN_USE.store(true, Ordering::Relaxed);
        let flushed = Flushed {
            stop: entries.clone(),
            ended,
        };
        Ok((Self { entries, left_out }, flushed))
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if self.entries.try_send(Some(Entry::of(event))).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Flushed {
    fn drop(&mut self) {
        let end = Instant::now() + LAST_WORDS;
        // The layer lives as long as the process, so that the channel does not end by itself.
        while let Err(TrySendError::Full(_)) = self.stop.try_send(None)
            && Instant::now() < end
        {
            std::thread::park_timeout(AGAIN);
        }
        let left = end.saturating_duration_since(Instant::now());
        // It never says anything: it ends, or the time does.
        self.ended.recv_timeout(left).ok();
    }
}

/// Whether this process logs to the journal.
pub fn is_in_use() -> bool {
    IN_USE.load(Ordering::Relaxed)
}

/// Whether standard error goes to journald (`systemd.exec(5)`, `JOURNAL_STREAM`): the device and inode that the manager
/// named are those of the descriptor.
pub fn is_stream(named: Option<&str>) -> bool {
    let Some((device, inode)) = named.and_then(|named| named.split_once(':')) else {
        return false;
    };
    rustix::fs::fstat(io::stderr())
        .is_ok_and(|stat| device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_does_not_wait_for_a_journald_that_hangs() {
        let (stop, received) = sync_channel(1);
        stop.send(None).unwrap();
        let (ends, ended) = sync_channel(0);
        let begun = Instant::now();
        // Nobody receives, and nothing ends.
        drop(Flushed { stop, ended });
        assert!(begun.elapsed() < 5 * LAST_WORDS);
        drop((received, ends));
    }

    #[test]
    fn another_descriptor_is_not_the_journal() {
        let stat = rustix::fs::fstat(io::stderr()).unwrap();
        assert!(is_stream(Some(&format!("{}:{}", stat.st_dev, stat.st_ino))));
        let other = format!("{}:{}", stat.st_dev, stat.st_ino + 1);
        for named in [None, Some(""), Some("1"), Some("a:b"), Some(other.as_str())] {
            assert!(!is_stream(named), "{named:?}");
        }
    }
}
