//! The thread that talks to journald. `tracing-journald` makes a record of an event, so that each entry is an event of
//! this thread's own subscriber, whose fields are those of the journal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

use crate::telemetry::entry::{Entry, Fields};

/// What this thread's events are told by.
const TARGET: &str = "janus-journal";

/// What the journal's layer stands on.
type Own = Layered<Targets, Registry>;

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

/// Sends what comes, until nothing does. `level` is what the program logs at most: it is not asked for here, because this
/// thread may begin before the program has said it.
pub(super) fn run(
    journald: impl Layer<Own> + Send + Sync + 'static,
    level: LevelFilter,
    entries: &Receiver<Option<Entry>>,
    left_out: &AtomicU64,
) {
    // No other event of the program becomes interesting by this subscriber's being there.
    let own = Targets::new().with_target(TARGET, level);
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel, sync_channel};

    use tracing::{Event, Subscriber};
    use tracing_subscriber::layer::Context;

    use super::*;
    use crate::telemetry::FIELDS;

    /// In the place of journald: the level and the fields of what reached it.
    struct Reached(Sender<(Level, Vec<&'static str>)>);

    impl<S: Subscriber> Layer<S> for Reached {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let metadata = event.metadata();
            let fields = metadata.fields().iter().map(|field| field.name());
            self.0.send((*metadata.level(), fields.collect())).unwrap();
        }
    }

    #[test]
    fn a_sender_that_begins_before_the_program_logs_sends_what_comes_later() {
        let (entries, received) = sync_channel(8);
        let (reached, said) = channel();
        let (begun, begins) = channel();
        let sender = std::thread::spawn(move || {
            begun.send(LevelFilter::current()).unwrap();
            run(
                Reached(reached),
                LevelFilter::INFO,
                &received,
                &AtomicU64::new(0),
            );
        });
        assert_eq!(begins.recv().unwrap(), LevelFilter::OFF);
        for level in [Level::ERROR, Level::INFO, Level::DEBUG] {
            let entry = Entry {
                time: std::time::SystemTime::now(),
                level,
                message: "m".to_owned(),
                fields: Fields::default(),
            };
            entries.send(Some(entry)).unwrap();
        }
        drop(entries);
        sender.join().unwrap();
        let (levels, fields): (Vec<Level>, Vec<_>) = said.iter().unzip();
        assert_eq!(levels, [Level::ERROR, Level::INFO]);
        // Each field is there, under the name that readers know.
        let named = FIELDS.map(|name| format!("janus_{name}"));
        let mut expected = vec!["message_id"];
        expected.extend(named.iter().map(String::as_str));
        expected.push("message");
        let sorted = |mut names: Vec<&str>| {
            names.sort_unstable();
            names.join(" ")
        };
        for fields in fields {
            assert_eq!(sorted(fields), sorted(expected.clone()));
        }
    }
}
