//! Whether Janus may go on as another program now: the program can, and nothing is under way.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::daemon::compose::Composed;
use crate::downstream::control::NotNow;
use crate::handover::{FORMAT, Program, Rehearsed};
use crate::telemetry::redact;

/// The program reads its configuration and looks at the state.
const REHEARSAL: Duration = Duration::from_secs(20);
/// How often it is looked whether servers still work on something.
const LOOK: Duration = Duration::from_millis(5);
/// Of what it says.
const LONGEST: u64 = 64 * 1024;
/// Of that, for a person, where it fails.
const MOST: usize = 600;
/// How a program ends whose configuration is wrong (`EX_CONFIG` of sysexits.h).
const CONFIGURATION: i32 = 78;

/// Resolves when it may: nothing is read from clients any more. Otherwise everything goes on as before. The version that
/// comes.
///
/// # Errors
/// Why not, and what to do.
pub(in crate::daemon) async fn prepare(
    program: &Program,
    (force, wait): (bool, Duration),
    composed: &Composed,
) -> Result<String, NotNow> {
    let (downstream, upstream) = (&composed.downstream, &composed.upstream);
    let rehearsed = rehearse(program).await?;
    if !rehearsed.formats.contains(&FORMAT) {
        let version = rehearsed.version;
        let why = format!("it is version {version}, which cannot take over what this one has");
        return Err(unable(program, why, Cure::Restart));
    }
    if !force {
        no_login(composed)?;
    }
    // A process that has not said yet what it is does not go along, and would be started again. One that never says it
    // is no reason to stay.
    let starts = if force { wait / 4 } else { wait / 2 };
    timeout(starts, upstream.started()).await.ok();
    downstream.close_intake();
    let by = Instant::now() + wait;
    let quiet = async {
        loop {
            downstream.quiet().await;
            if upstream.in_flight().is_empty() {
                return;
            }
            sleep(LOOK).await;
        }
    };
    if timeout_at(by, quiet).await.is_err() && !force {
        let busy = upstream.in_flight();
        let waiting = downstream.waiting();
        downstream.open_intake();
        return Err(NotNow::Busy { waiting, at: busy });
    }
    // One of the last calls may have begun one.
    let no_login = if force { Ok(()) } else { no_login(composed) };
    if no_login.is_err() {
        downstream.open_intake();
    }
    no_login.map(|()| rehearsed.version)
}

/// A login is known to this process alone. One that no person has to do with yet is begun again by the next call.
fn no_login(composed: &Composed) -> Result<(), NotNow> {
    let waiting = composed.logins.attended();
    if waiting.is_empty() {
        Ok(())
    } else {
        Err(NotNow::LoginWaits(waiting))
    }
}

/// What a person does about a program that does not take over.
#[derive(Debug, Clone, Copy)]
enum Cure {
    /// It is no program that runs here.
    Install,
    /// It runs, and says more to a person.
    Try,
    /// What it says is that the configuration is wrong.
    Configure,
    /// It takes over from none, or not from this one.
    Restart,
}

fn unable(program: &Program, why: String, cure: Cure) -> NotNow {
    let path = program.path().display();
    let help = match cure {
        Cure::Install => format!("install it again, then janus reexec:  ls -l '{path}'"),
        Cure::Try => format!("see whether it runs:  '{path}' --version"),
        Cure::Configure => "janus config validate".to_owned(),
        Cure::Restart => {
            "end this one and start it anew; where it is a service:  systemctl --user restart janus"
                .to_owned()
        }
    };
    NotNow::Unable {
        program: program.path().to_owned(),
        why,
        help,
    }
}

/// Asks the program whether it could go on.
async fn rehearse(program: &Program) -> Result<Rehearsed, NotNow> {
    let unable = |why, cure| unable(program, why, cure);
    let mut command = Command::from(program.rehearsal());
    let started = command.process_group(0).kill_on_drop(true).spawn();
    let mut child =
        started.map_err(|error| unable(format!("it cannot be started: {error}"), Cure::Install))?;
    let heard = timeout(REHEARSAL, heard(&mut child)).await;
    let Ok(heard) = heard else {
        end_all(&child);
        let limit = REHEARSAL.as_secs();
        let why = format!("it did not answer within {limit} s");
        return Err(unable(why, Cure::Try));
    };
    let (status, answer, complaint) =
        heard.map_err(|error| unable(format!("it cannot be heard: {error}"), Cure::Try))?;
    if !status.success() {
        let said = String::from_utf8_lossy(&complaint);
        let said: String = redact(said.trim()).chars().take(MOST).collect();
        let cure = if status.code() == Some(CONFIGURATION) {
            Cure::Configure
        } else {
            Cure::Try
        };
        let why = format!("it would not start ({status}): {said}");
        return Err(unable(why, cure));
    }
    serde_json::from_slice(&answer).map_err(|_| {
        unable(
            "it does not know how to take over".to_owned(),
            Cure::Restart,
        )
    })
}

/// How it ended, its answer, and what it complained of.
async fn heard(child: &mut Child) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (answer, complaint) = tokio::join!(beginning(stdout), beginning(stderr));
    Ok((child.wait().await?, answer?, complaint?))
}

async fn beginning(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(LONGEST).read_to_end(&mut text).await?;
    }
    Ok(text)
}

/// Ends it with all that it started. It was not waited for, so its id is not another's.
fn end_all(child: &Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(group) = id.and_then(Pid::from_raw) {
        kill_process_group(group, Signal::KILL).ok();
    }
}
