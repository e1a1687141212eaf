//! Logging of the commands that stay: to systemd's journal where standard error leads there, else to standard error as
//! text. The last records stay in memory for `janus logs`.

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::{Context, Exit, Failure};
use crate::telemetry::{Damping, Flushed, Journal, Recent, Redacting, is_stream};

/// Below a warning, these log what they carry: messages, headers. Not even `JANUS_LOG` raises them.
const CARRIERS: [&str; 4] = ["rmcp", "hyper", "hyper_util", "rustls"];

/// What logging needs until the program ends.
#[derive(Debug)]
#[must_use = "what was logged last arrives when this is dropped"]
pub struct Logging {
    flushed: Option<Flushed>,
}

impl Logging {
    /// Whether it goes to systemd's journal.
    pub(super) fn is_journal(&self) -> bool {
        self.flushed.is_some()
    }
}

/// Starts logging. `-q`, `-v` and `-vv` decide how much; without them `JANUS_LOG`, in the form `janus=debug`.
pub fn start_logging(context: &Context) -> Result<Logging, Failure> {
    start_logging_from(context, "warn,janus=info")
}

/// The same with another default.
pub(super) fn start_logging_from(context: &Context, default: &str) -> Result<Logging, Failure> {
    let filter = filter(context, default)?;
    let is_journal = context.environment.logs_to(is_stream);
    // A filter that does not say its level lets everything through.
    let level = filter.max_level_hint().unwrap_or(LevelFilter::TRACE);
    // Without journald the manager takes standard error as it is.
    let journal = is_journal
        .then(|| Journal::connect(level))
        .and_then(Result::ok);
    let (layer, flushed) = journal.unzip();
    let text = layer
        .is_none()
        .then_some(std::io::stderr as fn() -> std::io::Stderr);
    let started = subscriber(filter, text).with(layer).with(Recent).try_init();
    started.map_err(|error| {
        Failure::new(Exit::Failed, "log", "cannot start logging").because(error.to_string())
    })?;
    Ok(Logging { flushed })
}

/// What is logged, and as text where there is somebody to read it.
fn subscriber<W>(
    filter: EnvFilter,
    writer: Option<W>,
) -> impl tracing::Subscriber + for<'s> LookupSpan<'s> + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::registry()
        .with(filter)
        .with(FilterFn::new(allowed).with_max_level_hint(LevelFilter::TRACE))
        .with(Damping::default())
        .with(
            writer
                .map(|writer| tracing_subscriber::fmt::layer().with_writer(Redacting::new(writer))),
        )
}

fn filter(context: &Context, default: &str) -> Result<EnvFilter, Failure> {
    let directives = match (context.global.quiet, context.global.verbose) {
        (true, _) => "error".to_owned(),
        (false, 0) => context
            .environment
            .log_filter()
            .unwrap_or_else(|| default.to_owned()),
        (false, 1) => "info,janus=debug".to_owned(),
        (false, _) => "debug,janus=trace".to_owned(),
    };
    EnvFilter::builder().parse(&directives).map_err(|error| {
        Failure::new(Exit::Usage, "usage", "`JANUS_LOG` cannot be read")
            .because(error.to_string())
            .help("write it like this:  JANUS_LOG=warn,janus=debug janus serve")
    })
}

fn allowed(metadata: &Metadata<'_>) -> bool {
    let source = metadata.target().split("::").next().unwrap_or_default();
    !CARRIERS.contains(&source) || *metadata.level() <= tracing::Level::WARN
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn not_even_an_explicit_filter_logs_what_messages_carry() {
        let log = Log::default();
        let writer = log.clone();
        let filter = EnvFilter::builder()
            .parse("trace,rmcp::transport=trace")
            .unwrap();
        tracing::subscriber::with_default(subscriber(filter, Some(move || writer.clone())), || {
            tracing::info!(target: "rmcp::transport", "CANARY");
            tracing::trace!(target: "hyper_util::client", "CANARY");
            tracing::warn!(target: "rmcp::transport", "closed");
            tracing::debug!(target: "janus::config", "read");
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("CANARY"), "{text}");
        assert!(text.contains("closed") && text.contains("read"), "{text}");
    }
}
