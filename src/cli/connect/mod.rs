//! `janus connect`: MCP on standard input and output, for clients that start their servers themselves.
//!
//! Without `--standalone` it is a shim: what the client says goes to the daemon's socket, what the daemon says to the
//! client. When the daemon restarts, the shim waits, comes back to its session, and the client sees nothing of it.
//!
//! Invariants:
//! - Standard output carries whole JSON-RPC messages and nothing else.
//! - Every request is answered exactly once, and one that may have run is never sent twice.
//! - Everything that is held is bounded; who is slow slows only itself.
//! - The shim ends when its client does, never because the daemon is away.

mod entry;
mod ledger;
mod lines;
mod link;
mod session;
mod shim;
mod wire;

use std::path::PathBuf;

use clap::Args;

use super::serve::runtime;
use super::{Context, Exit, Failure, start_logging};

use shim::Shim;
use wire::Door;

/// What `janus connect` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Run the gateway in this process instead of reaching the daemon.
    #[arg(long, conflicts_with = "client")]
    standalone: bool,
    /// The view to show: /mcp, /mcp/PROFILE, or /mcp/@SERVER/ACCOUNT for one account alone.
    #[arg(long, value_name = "PATH", default_value = "/mcp")]
    path: String,
    /// The client of the configuration that this is.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
}

/// Serves one client until its input ends.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let runtime = runtime()?;
    if arguments.standalone {
        let settings = context.settings()?;
        let _logging = start_logging(context)?;
        runtime.block_on(crate::daemon::standalone(settings, &arguments.path))?;
    } else {
        let _logging = start_logging(context)?;
        let door = Door::new(
            socket(context),
            &arguments.path,
            arguments.client.clone(),
            context,
        )?;
        runtime.block_on(async {
            let shim = Shim::new(door, tokio::io::stdin(), tokio::io::stdout());
            shim.run(crate::daemon::asked_to_stop()).await
        })?;
    }
    // Standard input is read by a thread that may still wait for a line; nobody waits for it.
    runtime.shutdown_background();
    Ok(Exit::Done)
}

/// The daemon's socket. A configuration that is broken or missing does not keep the client from a daemon that runs.
fn socket(context: &Context) -> PathBuf {
    match context.settings() {
        Ok(settings) => settings.listen.socket,
        Err(failure) => {
            let socket = context.environment.socket();
            tracing::debug!(
                code = failure.parts().code,
                socket = %socket.display(),
                "the configuration cannot be read; the socket is looked for at its usual place"
            );
            socket
        }
    }
}
