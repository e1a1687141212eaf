//! `janus demo`: Janus with nothing installed and no account anywhere.
//!
//! A gateway of its own port and directories, in front of two small servers of this program, spoken to over their real
//! transports: `notes` is a process on pipes, one for each of its two accounts, `dice` speaks Streamable HTTP. The demo is
//! a client of that gateway, in a session, as most clients are.
//!
//! Invariants:
//! - Nothing is read from or left in the user's files: the directory is removed however the demo ends.
//! - A server that does not answer ends the demo with its reason; nobody waits for it without a limit.

mod dice;
mod notes;
mod scratch;
mod tour;
mod web;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::log::start_logging_from;
use super::serve::runtime;
use super::{Context, Exit, Failure};
use crate::daemon::{Handed, Ready, Stopped, run as run_daemon};
use crate::model::{
    Account, AccountName, Auth, Command, Endpoint, EraChoice, HttpEndpoint, Identity, Listen,
    Profile, ProfileName, ProxySettings, QUESTION_TIMEOUT, Reach, Server, ServerName, Settings,
    Sharing, Switching, ToolFilter, VaultSettings, Written,
};

use scratch::Scratch;
use tour::Tour;

pub(super) use notes::serve as serve_notes;

/// The accounts at `notes`, and what people call them.
const OWNERS: [(&str, &str); 2] = [("alice", "Alice at work"), (BOB, "Bob, a customer")];
/// The account and the profile that has no other.
const BOB: &str = "bob";

/// A server of the demo answers in milliseconds; on a loaded machine a process may take seconds to start.
const SERVER_TIMEOUT: Duration = Duration::from_secs(10);
/// The web server's connections belong to a gateway that is gone by then.
const WEB_ENDS: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// End after the calls instead of serving on.
    #[arg(long)]
    check: bool,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    // What the demo's own servers do not offer is nothing to tell a person about.
    let _logging = start_logging_from(context, "warn,rmcp=error")?;
    runtime()?.block_on(Box::pin(demonstrate(arguments.check, context)))
}

async fn demonstrate(check: bool, context: &Context) -> Result<Exit, Failure> {
    let tasks = TaskTracker::new();
    // Caught before there is anything to remove.
    let asked = asked_to_stop(&tasks)?;
    let scratch = Scratch::make(&context.environment.child_environment())?;
    let dice = web::Web::bind().await?;
    let settings = settings(&scratch, dice.address, context)?;

    let (stop, web_stops) = (asked.child_token(), CancellationToken::new());
    tasks.spawn(dice.serve(tasks.clone(), web_stops.clone()));
    let (announce, ready) = oneshot::channel();
    let on_ready = |ready: &Ready| {
        // Nobody waits for it any more only if the demo is over.
        drop(announce.send(ready.clone()));
    };
    let daemon = run_daemon(settings, None, Handed::default(), on_ready, stop.clone());
    let shown = async {
        let shown = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(Exit::Interrupted),
            shown = show(ready, check, context) => shown,
        };
        if check || !matches!(shown, Ok(Exit::Done)) {
            stop.cancel();
        }
        shown
    };
    let (stopped, shown) = tokio::join!(Box::pin(daemon), Box::pin(shown));

    web_stops.cancel();
    asked.cancel();
    tasks.close();
    if tokio::time::timeout(WEB_ENDS, tasks.wait()).await.is_err() {
        tracing::warn!("a connection of the demo was cut off");
    }
    let removed = scratch.remove();
    // The daemon's own failure is the reason for everything else.
    let stopped = stopped?;
    let shown = shown?;
    removed?;
    Ok(match stopped {
        Stopped::Asked => shown,
        Stopped::VitalTask | Stopped::Leaving(_) => Exit::Failed,
    })
}

/// Waits for the gateway, plays the tour, prints it.
async fn show(
    ready: oneshot::Receiver<Ready>,
    check: bool,
    context: &Context,
) -> Result<Exit, Failure> {
    let Ok(ready) = ready.await else {
        return Err(Failure::new(
            Exit::Failed,
            "failed",
            "the gateway did not start",
        ));
    };
    let Some(http) = ready.http else {
        return Err(anyhow::anyhow!("the demo has no address").into());
    };
    let tour = Tour::play(http, context).await?;
    context
        .output
        .document("demo", tour.to_json(), || tour.text(check))?;
    Ok(Exit::Done)
}

/// Cancelled when a person or the system asks; also when the terminal goes away.
fn asked_to_stop(tasks: &TaskTracker) -> Result<CancellationToken, Failure> {
    let caught = |kind| signal(kind).map_err(|error| Failure::from(anyhow::Error::from(error)));
    let mut interrupt = caught(SignalKind::interrupt())?;
    let mut terminate = caught(SignalKind::terminate())?;
    let mut hangup = caught(SignalKind::hangup())?;
    let asked = CancellationToken::new();
    let token = asked.clone();
    tasks.spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            () = token.cancelled() => {}
        }
        token.cancel();
    });
    Ok(asked)
}

fn settings(scratch: &Scratch, dice: SocketAddr, context: &Context) -> Result<Settings, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::from(anyhow::Error::new(error).context("cannot find this program's own file"))
    })?;
    let program = program.into_os_string().into_string().map_err(|_| {
        Failure::new(
            Exit::Failed,
            "failed",
            "this program's own path is not UTF-8",
        )
    })?;
    let notes = |owner: &str| {
        Endpoint::Process(Command {
            program: program.clone(),
            args: vec!["demo-server".to_owned(), owner.to_owned()],
            env: Vec::new(),
        })
    };
    let owners = OWNERS.map(|(name, label)| account(name, label, notes(name)));
    let owners = owners.into_iter().collect::<Result<Vec<_>, _>>()?;
    let url = format!("http://{dice}/mcp")
        .parse()
        .map_err(|error| Failure::from(anyhow::Error::new::<http::uri::InvalidUri>(error)))?;
    let dice = HttpEndpoint {
        url,
        headers: Vec::new(),
        ca: None,
    };
    let mut dice = Account::only(Endpoint::Http(dice));
    // Nobody logs in to it, so that no tool offers to.
    dice.auth.how = Auth::None;
    let servers = vec![server("notes", owners)?, server("dice", vec![dice])?];
    Ok(Settings {
        identity: identity(&servers)?,
        file: None,
        listen: Listen {
            http: (Ipv4Addr::LOCALHOST, 0).into(),
            socket: scratch.path().join("mcp.sock"),
            http_is_configured: false,
            socket_is_configured: false,
            control: scratch.path().join("control.sock"),
            session_idle: Duration::from_hours(24),
            question_timeout: QUESTION_TIMEOUT,
            upgrade_on_reload: false,
        },
        state_directory: scratch.path().join("state"),
        servers,
        child_environment: context.environment.child_environment(),
        proxy: ProxySettings::default(),
        vault: VaultSettings::default(),
    })
}

/// Two profiles: one with both accounts, and one where everything is bob.
fn identity(servers: &[Arc<Server>]) -> Result<Identity, Failure> {
    let everything = servers.iter().map(|server| {
        let accounts = server.accounts.iter().map(|account| account.name.clone());
        (&server.name, accounts.collect())
    });
    let mut identity = Identity::plain(everything);
    let both = identity
        .profiles
        .first()
        .map(|profile| profile.name.clone());
    identity.profiles.push(Profile {
        name: ProfileName::new(BOB).map_err(anyhow::Error::from)?,
        reach: vec![Reach {
            server: ServerName::new("notes").map_err(anyhow::Error::from)?,
            accounts: vec![AccountName::new(BOB).map_err(anyhow::Error::from)?],
            ordered: true,
            written: Written::nowhere(),
        }],
        guarded: false,
        switching: Switching::Session,
        written: Written::nowhere(),
    });
    identity.default_profile = both.map(|name| (name, Written::nowhere()));
    Ok(identity)
}

fn account(name: &str, label: &str, endpoint: Endpoint) -> Result<Account, Failure> {
    Ok(Account {
        name: AccountName::new(name).map_err(anyhow::Error::from)?,
        label: Some(label.to_owned()),
        ..Account::only(endpoint)
    })
}

fn server(name: &str, accounts: Vec<Account>) -> Result<Arc<Server>, Failure> {
    Ok(Arc::new(Server {
        name: ServerName::new(name).map_err(anyhow::Error::from)?,
        accounts,
        default: None,
        description: None,
        timeout: SERVER_TIMEOUT,
        idle: None,
        sharing: Sharing::default(),
        era: EraChoice::default(),
        transport: crate::model::Transport::Auto,
        tools: ToolFilter::default(),
    }))
}
