//! Logging of the commands that stay: to standard error, where systemd's journal takes it.

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::{Context, Exit, Failure};

/// Below a warning, these log what they carry: messages, headers. Not even `JANUS_LOG` raises them.
const CARRIERS: [&str; 4] = ["rmcp", "hyper", "hyper_util", "rustls"];

/// Starts logging. `-q`, `-v` and `-vv` decide how much; without them `JANUS_LOG`, in the form `janus=debug`.
pub fn start_logging(context: &Context) -> Result<(), Failure> {
    let filter = filter(context)?;
    let started = tracing_subscriber::registry()
        .with(filter)
        .with(FilterFn::new(allowed).with_max_level_hint(LevelFilter::TRACE))
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr))
        .try_init();
    started.map_err(|error| {
        Failure::new(Exit::Failed, "log", "cannot start logging").because(error.to_string())
    })
}

fn filter(context: &Context) -> Result<EnvFilter, Failure> {
    let directives = match (context.global.quiet, context.global.verbose) {
        (true, _) => "error".to_owned(),
        (false, 0) => context
            .environment
            .log_filter()
            .unwrap_or_else(|| "warn,janus=info".to_owned()),
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
