//! The life of the daemon.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::compose::Composed;
use super::end::Why;
use super::hand_over::{Came, Leaving, prepare};
use super::hygiene::keep_memory_private;
use super::start::{Asks, Daemon};
use super::systemd::{Inherited, Manager};
use crate::credential::Clock;
use crate::downstream::control::{Coming, GoOn, Reload, Reloaded};
use crate::handover::Program;
use crate::model::Settings;
use crate::process::{ask_the_next_to_stop, hold_signals, release_signals};

/// Where Janus can be reached.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The TCP address, with the port the system chose where none was asked for.
    pub http: Option<SocketAddr>,
    /// Where clients reach it, as they write it.
    pub listening: Vec<String>,
}

/// What whoever started Janus has given it.
#[derive(Debug, Default)]
pub struct Handed {
    /// The sockets that are open already.
    pub inherited: Inherited,
    /// Who wants to know how things stand.
    pub manager: Manager,
    /// What this process had as another program.
    pub came: Option<Came>,
    /// How often it was another program.
    pub lives: u64,
    /// Why the program that is installed did not take over.
    pub not_replaced: Option<String>,
    /// The program to go on as when it is asked to; `None`: it cannot.
    pub program: Option<Program>,
    /// What time it is; a test's may be moved.
    pub clock: Clock,
}

/// Why the daemon ended.
#[derive(Debug)]
pub enum Stopped {
    /// It was asked to.
    Asked,
    /// A task it cannot be without ended, which is a defect.
    VitalTask,
    /// It is to go on as another program.
    Leaving(Box<Leaving>),
}

/// Reads the configuration again; what is wrong with it, a line for each mistake.
pub type Read = Box<dyn Fn() -> Result<Settings, Vec<String>> + Send>;

/// Calls that are under way get this long to end before Janus goes on as another program.
const QUIET: Duration = Duration::from_secs(30);

/// For a signal that has come to be told.
const LAST_LOOK: Duration = Duration::from_millis(2);

/// Wishes that wait: one is fulfilled, and whoever asks meanwhile is served by the next.
const WISHES: usize = 4;

/// Serves until `stop` ends, a signal asks for it, or a vital task ends.
///
/// # Errors
/// The state directory is not usable or another Janus has it; a socket is taken.
pub async fn run(
    settings: Settings,
    read: Option<Read>,
    handed: Handed,
    on_ready: impl FnOnce(&Ready),
    stop: CancellationToken,
) -> anyhow::Result<Stopped> {
    let manager = handed.manager.clone();
    let ran = serve(settings, read, handed, on_ready, stop).await;
    if let Err(why) = &ran {
        manager.failed(why);
    }
    ran
}

async fn serve(
    settings: Settings,
    read: Option<Read>,
    mut handed: Handed,
    on_ready: impl FnOnce(&Ready),
    stop: CancellationToken,
) -> anyhow::Result<Stopped> {
    keep_memory_private();
    // From here on a signal asks for something: before, SIGHUP would end the process in the middle of a migration, and
    // SIGTERM a daemon that was just said to be ready.
    let hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be waited for")?;
    let asked = stop_signals()?;
    release_signals();
    let program = handed.program.take();
    let (reload, reloads) = mpsc::channel(WISHES);
    let (go_on, wishes) = mpsc::channel(WISHES);
    let asks = Asks {
        reload: read.is_some().then_some(reload),
        go_on: program.is_some().then_some(go_on),
    };
    let mut stopped = std::pin::pin!(async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = asked => {}
        }
    });
    let can_go_back = handed.came.is_some();
    let daemon = Daemon::start(settings, handed, asks, on_ready).await;
    if daemon.is_err() && can_go_back {
        pass_on(&mut stopped).await;
    }
    let mut daemon = daemon?;
    let asked = Asked {
        hangup,
        reloads,
        wishes,
    };
    let why = daemon.serves(read, program, asked, &mut stopped).await;
    let ended = daemon.end(why).await?;
    if matches!(ended, Stopped::Leaving(_)) {
        pass_on(&mut stopped).await;
    }
    Ok(ended)
}

/// Whoever asks for the end from now on, or has done so, means the next program of this process.
async fn pass_on(stopped: &mut (impl Future<Output = ()> + Unpin)) {
    hold_signals();
    if timeout(LAST_LOOK, stopped).await.is_ok() {
        ask_the_next_to_stop();
    }
}

/// What is asked of a daemon that serves.
struct Asked {
    hangup: Signal,
    reloads: mpsc::Receiver<Reload>,
    wishes: mpsc::Receiver<GoOn>,
}

/// Why Janus may go on as another program.
enum Wish {
    /// Somebody asks for it.
    GoOn(GoOn),
    /// The configuration was read again.
    Reloaded,
}

/// Whether nothing is read any more, and Janus goes on as `program`.
async fn goes_on(composed: &Composed, wish: Wish, program: &Program, read: Option<&Read>) -> bool {
    let (how, answer) = match wish {
        Wish::GoOn(asked) => ((asked.force, asked.wait), Some(asked.answer)),
        Wish::Reloaded => {
            let wanted = composed.settings().listen.upgrade_on_reload;
            if !wanted || !program.is_another() {
                return false;
            }
            ((false, QUIET), None)
        }
    };
    // The program that comes reads the same file: what it does not take up is said to who asks, and looked for before
    // anybody waits.
    let settings = read
        .filter(|_| answer.is_some())
        .and_then(|read| read().ok());
    let stays = settings.and_then(|settings| composed.stays(&settings));
    let prepared = prepare(program, how, composed).await;
    let comes = prepared.is_ok();
    if let Err(not_now) = &prepared {
        tracing::warn!(event = "not_replaced", "Janus goes on as it is: {not_now}");
    }
    let coming = prepared.map(|version| Coming {
        version,
        notes: stays.into_iter().collect(),
    });
    // Whoever asked may not wait any more.
    drop(answer.map(|answer| answer.send(coming)));
    comes
}

impl Daemon {
    /// Does what it is asked until it is to serve no more; why. Whoever still waits for an answer then gets none, and its
    /// connection does not hold up the end.
    async fn serves(
        &mut self,
        read: Option<Read>,
        program: Option<Program>,
        mut asked: Asked,
        stopped: &mut (impl Future<Output = ()> + Unpin),
    ) -> Why {
        let read = read.as_ref();
        loop {
            let wish = tokio::select! {
                () = &mut *stopped => return Why::Asked,
                _ = self.vital.join_next() => return Why::VitalTask,
                // What service managers and people send to say the same as `janus config reload`. What is wrong with the
                // file was logged.
                Some(()) = asked.hangup.recv() => self.reload(read).is_ok().then_some(Wish::Reloaded),
                Some(Reload(answer)) = asked.reloads.recv() => {
                    let reloaded = self.reload(read);
                    let wish = reloaded.is_ok().then_some(Wish::Reloaded);
                    // Whoever asked may not wait any more.
                    drop(answer.send(reloaded));
                    wish
                }
                Some(asked) = asked.wishes.recv() => Some(Wish::GoOn(asked)),
            };
            let (Some(wish), Some(program)) = (wish, &program) else {
                continue;
            };
            tokio::select! {
                comes = goes_on(&self.composed, wish, program, read) => if comes {
                    return Why::GoesOn(program.clone());
                },
                () = &mut *stopped => return Why::Asked,
                _ = self.vital.join_next() => return Why::VitalTask,
            }
        }
    }

    fn reload(&mut self, read: Option<&Read>) -> Result<Reloaded, Vec<String>> {
        let Some(read) = read else {
            return Err(Vec::new());
        };
        self.manager.reloading();
        let outcome = read().map(|settings| self.composed.reload(settings));
        match &outcome {
            Ok(_) => self.standing.configured(self.composed.settings()),
            Err(mistakes) => {
                self.standing.refused(mistakes);
                self.composed.downstream.refuse(mistakes);
                tracing::error!(
                    event = "configuration_refused",
                    "the configuration is wrong, and the earlier one stays in force: {}",
                    mistakes.join("; ")
                );
            }
        }
        self.manager.ready(&self.standing.line());
        outcome
    }
}

/// Waits for a signal that asks for the end.
pub async fn asked_to_stop() -> anyhow::Result<()> {
    stop_signals()?.await;
    Ok(())
}

/// Resolves at a signal that asks for the end: one that came since this was called counts.
fn stop_signals() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
