//! `janus serve`: the daemon.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::config::warned_at;
use super::{Context, Exit, Failure, start_logging};
use crate::config::{ConfigError, Problem};
use crate::daemon::{
    Handed, Inherited, Manager, NotBound, Read, Stopped, Unready, run as run_daemon,
};
use crate::store::Unusable;

/// Runs until it is asked to stop.
pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    // Before there is any thread.
    let mut handed = Handed {
        inherited: Inherited::take(),
        manager: Manager::default(),
    };
    let logging = start_logging(context)?;
    handed.inherited.explain();
    let loaded = match context.loaded() {
        Ok(loaded) => loaded,
        Err(failure) => {
            if logging.is_journal() {
                let said = failure.parts().message.clone();
                tracing::error!(
                    event = "configuration_refused",
                    "{said}; run: janus config validate"
                );
            }
            return Err(unready(failure, handed));
        }
    };
    let settings = loaded.settings;
    let file = settings.file.as_deref().unwrap_or_else(|| Path::new(""));
    for warning in &loaded.warnings {
        let place = warned_at(warning, &file.display().to_string());
        tracing::warn!(place, "{}", warning.message);
    }
    if settings.servers.is_empty() {
        context
            .output
            .note("nothing is configured yet: `janus config path` names the file to write");
    }
    let on_ready = |ready: &crate::daemon::Ready| {
        // Tests and scripts wait for this line.
        let places = ready.listening.join(" and ");
        if logging.is_journal() {
            tracing::info!(event = "ready", "ready on {places}");
        } else {
            context.output.note(&format!("janus: ready on {places}"));
        }
    };
    let read = reader(context)?;
    let stopped = runtime()?
        .block_on(run_daemon(
            settings,
            Some(read),
            handed,
            on_ready,
            CancellationToken::new(),
        ))
        .map_err(not_started)?;
    Ok(match stopped {
        Stopped::Asked => Exit::Done,
        Stopped::VitalTask => Exit::Failed,
    })
}

/// Tells whoever waits at the sockets, and the service manager, why Janus does not start.
fn unready(failure: Failure, handed: Handed) -> Failure {
    let (inherited, manager) = (handed.inherited, handed.manager);
    let parts = failure.parts();
    let first = parts.mistakes.first().map_or(parts, Failure::parts);
    let rest = parts.mistakes.len().saturating_sub(1);
    let more = match rest {
        0 => String::new(),
        rest => format!(" (and {rest} more)"),
    };
    let why = Unready {
        message: format!("{}{more}", first.message),
        place: first.place.clone(),
        help: "janus config validate".to_owned(),
    };
    let place = why.place.as_deref().unwrap_or("the configuration");
    manager.ends(
        &format!("did not start: {place}: {}", why.message),
        failure.exit().number(),
    );
    if !inherited.is_empty() {
        // Without a runtime they see the connection break, which says less.
        if let Ok(runtime) = runtime() {
            runtime.block_on(inherited.refuse(why));
        }
    }
    failure
}

/// Reads the same file again, in the environment that the daemon was started with.
fn reader(context: &Context) -> Result<Read, Failure> {
    let (location, environment) = (context.location()?, context.environment.clone());
    Ok(Box::new(move || {
        let loaded = crate::config::load(&location, &environment);
        loaded
            .map(|loaded| loaded.settings)
            .map_err(|error| match error {
                ConfigError::Wrong { problems, file, .. } => {
                    let line = |problem: &Problem| {
                        format!(
                            "{}:{}: {}",
                            file.display(),
                            problem.place.position,
                            problem.mistake
                        )
                    };
                    problems.iter().map(line).collect()
                }
                other => vec![other.to_string()],
            })
    }))
}

/// One thread for the data path: cheaper for each call than several, at the same throughput on small machines.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from(anyhow::Error::from(error)))
}

fn not_started(error: anyhow::Error) -> Failure {
    let help = match (
        error.downcast_ref::<NotBound>(),
        error.downcast_ref::<Unusable>(),
    ) {
        (Some(NotBound::AnotherJanus(_)), _) | (_, Some(Unusable::InUse { .. })) => {
            Some("use the one that runs:  janus tool list")
        }
        (Some(NotBound::Taken(_)), _) => {
            Some("choose another address:  janus config path    # listen.http")
        }
        _ => None,
    };
    let failure = Failure::from(error);
    help.into_iter().fold(failure, Failure::help)
}
