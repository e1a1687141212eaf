//! Logging of the commands that stay: to standard error, where systemd's journal takes it.

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::{Context, Exit, Failure};
use crate::telemetry::Redacting;

/// Below a warning, these log what they carry: messages, headers. Not even `JANUS_LOG` raises them.
const CARRIERS: [&str; 4] = ["rmcp", "hyper", "hyper_util", "rustls"];

/// Starts logging. `-q`, `-v` and `-vv` decide how much; without them `JANUS_LOG`, in the form `janus=debug`.
pub fn start_logging(context: &Context) -> Result<(), Failure> {
    start_logging_from(context, "warn,janus=info")
}

/// The same with another default.
pub(super) fn start_logging_from(context: &Context, default: &str) -> Result<(), Failure> {
    let started = subscriber(filter(context, default)?, std::io::stderr).try_init();
    started.map_err(|error| {
        Failure::new(Exit::Failed, "log", "cannot start logging").because(error.to_string())
    })
}

fn subscriber<W>(filter: EnvFilter, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::registry()
        .with(filter)
        .with(FilterFn::new(allowed).with_max_level_hint(LevelFilter::TRACE))
        .with(tracing_subscriber::fmt::layer().with_writer(Redacting::new(writer)))
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
            .help("JANUS_LOG=warn,janus=debug")
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
        tracing::subscriber::with_default(subscriber(filter, move || writer.clone()), || {
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
