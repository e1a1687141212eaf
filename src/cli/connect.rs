//! `janus connect`: MCP on standard input and output.

use clap::Args;

use super::serve::runtime;
use super::{Context, Exit, Failure, start_logging};

/// What `janus connect` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Run the gateway in this process instead of reaching the daemon.
    #[arg(long, required = true)]
    standalone: bool,
    /// The view to show: /mcp, or /mcp/@SERVER for one server alone.
    #[arg(long, value_name = "PATH", default_value = "/mcp")]
    path: String,
}

/// Serves one client until its input ends.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    start_logging(context)?;
    let runtime = runtime()?;
    runtime.block_on(crate::daemon::standalone(settings, &arguments.path))?;
    // Standard input is read by a thread that may still wait for a line; nobody waits for it.
    runtime.shutdown_background();
    Ok(Exit::Done)
}
