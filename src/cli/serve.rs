//! `janus serve`: the daemon.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::config::warned_at;
use super::start::NotStarted;
use super::{Context, Exit, Failure, Logging, start_logging};
use crate::config::{ConfigError, Problem};
use crate::daemon::{
    Handed, Inherited, Read, Stopped, Way, hold_signals, keep_memory_private, release_signals,
    run as run_daemon,
};
use crate::handover::{Program, Rehearsed};
use crate::model::Settings;
use crate::store::Store;

/// For threads that read a file or a name when Janus ends.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// What Janus says to itself when it becomes another program; nobody else has a reason to.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Go on with what the program before left on standard input.
    #[arg(long, hide = true)]
    go_on: bool,
    /// Say whether this program could go on, and end.
    #[arg(long, hide = true)]
    rehearse: bool,
}

/// Runs until it is asked to stop.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    if arguments.rehearse {
        return rehearse(context);
    }
    // What comes along holds secrets.
    keep_memory_private();
    let program = started(context);
    let mut way = if arguments.go_on {
        Some(Way::receive()?)
    } else {
        None
    };
    match served(context, program, &mut way) {
        Ok(Stopped::Asked) => Ok(Exit::Done),
        Ok(Stopped::VitalTask) => Ok(Exit::Failed),
        Ok(Stopped::Leaving(leaving)) => Err(leaving.go().into()),
        Err(failure) => match way {
            // It serves nobody yet, and the program before could.
            Some(way) => {
                let parts = failure.parts();
                let why = parts
                    .place
                    .iter()
                    .fold(parts.message.clone(), |why, place| {
                        format!("{why} ({place})")
                    });
                Err(failure.because(way.go_back(&why).to_string()))
            }
            None => Err(failure),
        },
    }
}

/// The program that runs, by the name it was started with.
fn started(context: &Context) -> Program {
    let environment = context.environment.child_environment();
    let path = environment.iter().find(|(name, _)| name == "PATH");
    let path = path.map(|(_, path)| path.as_os_str());
    Program::started(std::env::args_os(), path)
}

/// Says whether this program could take over: the configuration is right, and the state is of a format it knows.
fn rehearse(context: &Context) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    Store::may_open(&settings.state_directory).map_err(anyhow::Error::from)?;
    let answer = serde_json::to_string(&Rehearsed::now()).map_err(anyhow::Error::from)?;
    context.output.data(&answer)?;
    Ok(Exit::Done)
}

/// Serves; `way` is gone as soon as there is no way back.
fn served(context: &Context, program: Program, way: &mut Option<Way>) -> Result<Stopped, Failure> {
    // Before there is any thread. Until somebody takes them, signals wait.
    hold_signals();
    let handed = Handed {
        // What the program before was handed comes along another way.
        inherited: if way.is_some() {
            Inherited::default()
        } else {
            Inherited::take()
        },
        program: Some(program),
        ..Handed::default()
    };
    let manager = handed.manager.clone();
    let mut waiting = Some(handed.inherited.again());
    let served = serve(context, handed, way, &mut waiting);
    served.map_err(|why| match waiting {
        Some(waiting) if way.is_none() => {
            release_signals();
            why.told(waiting, &manager)
        }
        // It had started, or the program before goes on.
        _ => why.into_failure(),
    })
}

/// The same; `waiting` is let go when it serves.
fn serve(
    context: &Context,
    mut handed: Handed,
    way: &mut Option<Way>,
    waiting: &mut Option<Inherited>,
) -> Result<Stopped, NotStarted> {
    let logging = start_logging(context).map_err(NotStarted::configuration)?;
    handed.inherited.explain();
    if let Some(way) = way {
        take_over(way, &mut handed)?;
    }
    let settings = settings(context, &logging)?;
    let on_ready = |ready: &crate::daemon::Ready| {
        drop(way.take());
        drop(waiting.take());
        // Tests and scripts wait for this line.
        let places = ready.listening.join(" and ");
        if logging.is_journal() {
            tracing::info!(event = "ready", "ready on {places}");
        } else {
            context.output.note(&format!("janus: ready on {places}"));
        }
    };
    let read = reader(context).map_err(NotStarted::configuration)?;
    let runtime = one_thread()
        .on_thread_start(hold_signals)
        .build()
        .map_err(|error| NotStarted::surroundings(anyhow::Error::from(error).into()))?;
    let stopped = runtime.block_on(run_daemon(
        settings,
        Some(read),
        handed,
        on_ready,
        CancellationToken::new(),
    ));
    // What still blocks a thread is nobody's any more.
    runtime.shutdown_timeout(LAST_MOMENT);
    stopped.map_err(NotStarted::of)
}

/// Takes what the program before had.
fn take_over(way: &mut Way, handed: &mut Handed) -> Result<(), NotStarted> {
    if let Some(why) = way.failed() {
        tracing::error!(
            event = "not_replaced",
            "the program that is installed did not take over, and version {} goes on: {why}",
            env!("CARGO_PKG_VERSION")
        );
    }
    handed.lives = way.lives();
    handed.not_replaced = way.failed().map(str::to_owned);
    let came = way.came();
    handed.came = Some(came.map_err(|why| NotStarted::surroundings(why.into()))?);
    Ok(())
}

/// The configuration; what is wrong or strange in it is said where a daemon says it.
fn settings(context: &Context, logging: &Logging) -> Result<Settings, NotStarted> {
    let loaded = context.loaded().map_err(|failure| {
        if logging.is_journal() {
            let said = failure.parts().message.clone();
            tracing::error!(
                event = "configuration_refused",
                "{said}; run: janus config validate"
            );
        }
        NotStarted::configuration(failure)
    })?;
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
    Ok(settings)
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
fn one_thread() -> tokio::runtime::Builder {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all();
    builder
}

/// For what a command does.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    one_thread()
        .build()
        .map_err(|error| Failure::from(anyhow::Error::from(error)))
}
