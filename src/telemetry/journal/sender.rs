//! The thread that talks to journald. `tracing-journald` makes a record of an event, so that each entry is an event of
//! this thread's own subscriber, whose fields are those of the journal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::telemetry::entry::{Entry, Fields};

/// What this thread's events are told by.
const TARGET: &str = "janus-journal";

macro_rules! say {
    ($level:expr, $message:expr, $fields:expr) => {
        tracing::event!(
            target: TARGET,
            $level,
            message_id = $fields.message_id,
            janus_event = $fields.event.as_deref(),
            janus_server = $fields.server.as_deref(),
            janus_account = $fields.account.as_deref(),
            janus_profile = $fields.profile.as_deref(),
            janus_client = $fields.client.as_deref(),
            janus_tool = $fields.tool.as_deref(),
            janus_login = $fields.login.as_deref(),
            janus_code = $fields.code.as_deref(),
            "{}",
            $message
        )
    };
}

/// Sends what comes, until nothing does.
pub(super) fn run(
    journald: tracing_journald::Layer,
    entries: &Receiver<Option<Entry>>,
    left_out: &AtomicU64,
) {
    // No other event of the program becomes interesting by this subscriber's being there.
    let own = Targets::new().with_target(TARGET, LevelFilter::current());
    let subscriber = tracing_subscriber::registry().with(own).with(journald);
    tracing::subscriber::with_default(subscriber, || {
        while let Ok(entry) = entries.recv() {
            let lost = left_out.swap(0, Ordering::Relaxed);
            if lost > 0 {
                let message =
                    format!("{lost} records were left out: more came than journald takes");
                say!(Level::WARN, message, Fields::default());
            }
            let Some(entry) = entry else { return };
            send(&entry);
        }
    });
}

fn send(entry: &Entry) {
    let Entry {
        level,
        message,
        fields,
        ..
    } = entry;
    match *level {
        Level::ERROR => say!(Level::ERROR, message, fields),
        Level::WARN => say!(Level::WARN, message, fields),
        Level::INFO => say!(Level::INFO, message, fields),
        Level::DEBUG => say!(Level::DEBUG, message, fields),
        Level::TRACE => say!(Level::TRACE, message, fields),
    }
}
